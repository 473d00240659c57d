"""Strangers are marked as rarely as was asked."""

import numpy as np
import pytest

from lib.evaluation.strangers import (
    describe_strangers,
    limit_strangers,
    mark_strangers,
)


def test_pictures_farther_away_than_their_share_of_known_ones_are_marked():
    known = np.arange(200)

    strangers = limit_strangers(known, known, coverage=0.95)

    # The limit is the tenth largest, 190: 0.05 times 201, rounded down.
    mark = strangers["mark"]
    notes = mark_strangers([300, 190.5, 190, 0, np.nan], strangers)
    assert notes == [mark, mark, "", "", ""]
    said = describe_strangers(strangers)
    assert (
        mark == "farther from its training pictures than 95 of 100 validation pictures"
    )
    assert said.startswith(f'"{mark}" marks strangers; 200 validation pictures')


@pytest.mark.parametrize(("count", "is_enough"), [(18, False), (19, True)])
def test_nineteen_groups_suffice_to_mark_strangers(count, is_enough):
    groups = np.arange(4 * count) // 4

    strangers = limit_strangers(np.zeros(4 * count), groups, coverage=0.95)

    (note,) = mark_strangers([9], strangers)
    assert bool(note) == is_enough
    said = describe_strangers(strangers)
    assert said.startswith("18 validation pictures") == (not is_enough)


def test_a_twentieth_at_most_is_marked_and_less_where_sets_may_miss_less():
    known = np.arange(199)

    # The ninth largest of 199, 0.05 times 200 down, and the second largest: 0.01 times 200.
    assert limit_strangers(known, known, 0.8)["farthest"] == 189
    assert limit_strangers(known, known, 0.99)["farthest"] == 197
