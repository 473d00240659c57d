"""Names and numbers say what they are, and rounding claims nothing."""

import numpy as np
import pytest

from lib.evaluation import wording


def test_p_value_is_rounded_down_and_crosses_no_level():
    assert wording.format_p(0.0498) == "0.049"
    assert wording.format_p(0.05) == "0.050"
    assert wording.format_p(0.0009) == "< 0.001"
    assert wording.format_p(1) == "1.000"
    assert wording.format_p(np.nan) == "–"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.8875, "89 %"),
        (1, "100 %"),
        (0.957, "96 %"),
        (239 / 240, "99.6 %"),
        (0.9999, "99.9 %"),
        (0.0004, "0.1 %"),
    ],
)
def test_only_0_and_1_are_written_as_such(share, text):
    assert wording.format_percent(share) == text.replace(" ", "\N{NO-BREAK SPACE}")


def test_pictures_that_are_right_are_a_share_with_its_interval_and_a_count():
    is_right = np.arange(80) < 76

    said = wording.format_right(is_right, np.arange(80))

    assert said.replace("\N{NO-BREAK SPACE}", " ") == "95 % right (88 to 98), 76 of 80"


def test_shares_are_written_as_counts_and_things_in_their_plural():
    assert wording.format_count(0.8875, 80) == "71 of 80"
    assert wording.format_things(1, "class") == "1 class"
    assert wording.format_things(2000, "class") == "2,000 classes"
    assert wording.format_things(2, "point") == "2 points"


def test_numbers_have_a_true_minus_sign_and_0_has_none():
    assert wording.format_number(-0.0001) == "0.000"
    assert wording.format_number(-0.1) == "−0.100"


def test_equal_numbers_are_rounded_alike_however_they_were_computed():
    assert wording.format_number(71 / 80) == "0.888"
    assert wording.format_number(np.nextafter(71 / 80, 1)) == "0.888"
    assert wording.format_number(np.nextafter(-71 / 80, 0)) == "−0.888"
