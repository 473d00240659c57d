"""Answer sets hold the truth as often as asked."""

import json

import numpy as np
import pytest
import simulations

from lib.evaluation import conformal
from lib.models.record import AnswerSets


def test_limit_is_the_kth_lowest_of_the_groups_lowest_scores():
    scores = np.array([0.5, 0.9, 0.3, 0.8, 0.4, 0.7])
    groups = np.array([0, 0, 1, 1, 2, 2])

    # The lowest of the groups are 0.5, 0.3 and 0.4; k = 0.5 · 4, and 0.24 · 4 is below 1.
    assert conformal.find_limit(scores, groups, 0.5) == 0.4
    assert conformal.find_limit(scores, groups, 0.24) is None


def test_sets_of_nine_tenths_need_nine_groups():
    nine = np.arange(9)

    # 1 - 0.9 is a little less than a tenth.
    assert conformal.find_limit(nine, nine, 1 - 0.9) == 0


def test_without_a_limit_sets_hold_all_classes():
    assert conformal.build_prediction_sets(np.eye(2), None).all()


@pytest.mark.parametrize(
    ("limit", "grouped", "words"),
    [(None, False, "18 validation pictures"), (0.2, True, "95 of 100 groups")],
)
def test_sets_say_what_they_promise_or_that_pictures_are_too_few(limit, grouped, words):
    kept = AnswerSets(0.95, limit, groups=18, grouped=grouped)

    said = conformal.describe_sets(kept)

    assert words in said
    assert ("too few" in said) == (limit is None)


def test_a_set_holds_what_reaches_the_limit_and_always_the_most_probable_class():
    y_prob = np.float32([[0.5, 0.25, 0.25], [0.2, 0.3, 0.2], [0.1, 0.1, 0.2]])

    sets = conformal.build_prediction_sets(y_prob, 0.25)

    assert sets.tolist() == [
        [True, True, True],
        [False, True, False],
        [False, False, True],
    ]


def test_sets_hold_the_truth_as_often_as_asked():
    found = simulations.cover_sets(np.arange(400), 60, coverage=0.9)

    assert found == pytest.approx(0.9, abs=0.015)


def test_sets_are_written_as_lists_that_any_reader_takes_apart():
    names = ["a", 'b; "c"', "Ünï, <d>"]

    columns = conformal.set_columns(np.float32([[0.2, 0.3, 0.5]]), names, 0.25, {})

    assert list(columns) == ["set", "set_size"]
    assert columns["set_size"] == [2]
    (text,) = columns["set"]
    assert json.loads(text) == ["Ünï, <d>", 'b; "c"']
    assert "Ünï" in text
