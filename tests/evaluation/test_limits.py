"""Answer sets hold the truth as often as asked, and strangers are marked as rarely."""

import json

import numpy as np
import pytest
import simulations

from lib.evaluation import limits
from lib.models.record import Record, SetLimit, StrangerLimit


def test_limit_is_the_kth_lowest_of_the_groups_lowest_scores():
    scores = np.array([0.5, 0.9, 0.3, 0.8, 0.4, 0.7])
    groups = np.array([0, 0, 1, 1, 2, 2])

    # The lowest of the groups are 0.5, 0.3 and 0.4; k = 0.5 · 4, and 0.24 · 4 is below 1.
    assert limits.find_limit(scores, groups, 0.5) == 0.4
    assert limits.find_limit(scores, groups, 0.24) is None
    # 1 - 0.9 is a little less than a tenth.
    assert limits.find_limit(np.arange(9), np.arange(9), 1 - 0.9) == 0


def test_without_a_limit_sets_hold_all_classes():
    assert limits.build_prediction_sets(np.eye(2), None).all()


@pytest.mark.parametrize(
    ("limit", "grouped", "words"),
    [(None, False, "18 validation pictures"), (0.2, True, "95 of 100 groups")],
)
def test_sets_say_what_they_promise_or_that_pictures_are_too_few(limit, grouped, words):
    kept = SetLimit(0.95, limit, groups=18, grouped=grouped)

    said = limits.describe_sets(kept)

    assert words in said
    assert ("too few" in said) == (limit is None)


def test_a_set_holds_what_reaches_the_limit_and_always_the_most_probable_class():
    y_prob = np.float32([[0.5, 0.25, 0.25], [0.2, 0.3, 0.2], [0.1, 0.1, 0.2]])

    sets = limits.build_prediction_sets(y_prob, 0.25)

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
    record = Record("cnn", names, 8, answer_sets=SetLimit(limit=0.25))

    columns = limits.set_columns(np.float32([[0.2, 0.3, 0.5]]), record)

    assert list(columns) == ["set", "set_size"]
    assert columns["set_size"] == [2]
    (text,) = columns["set"]
    assert json.loads(text) == ["Ünï, <d>", 'b; "c"']
    assert "Ünï" in text


def test_pictures_farther_away_than_their_share_of_known_ones_are_marked():
    known = np.arange(200)

    strangers = limits.limit_strangers(known, known, coverage=0.95)

    # The limit is the tenth largest, 190: 0.05 times 201, rounded down.
    mark = strangers.mark
    notes = limits.mark_strangers([300, 190.5, 190, 0, np.nan], strangers)
    assert notes == [mark, mark, "", "", ""]
    said = limits.describe_strangers(strangers)
    assert (
        mark == "farther from its training pictures than 95 of 100 validation pictures"
    )
    assert said.startswith(f'"{mark}" marks strangers; 200 validation pictures')


def test_eighteen_groups_are_too_few_to_mark_strangers():
    groups = np.arange(72) // 4

    strangers = limits.limit_strangers(np.zeros(72), groups, coverage=0.95)

    assert limits.mark_strangers([9], strangers) == [""]
    assert limits.describe_strangers(strangers).startswith("18 validation pictures")


def test_of_a_model_without_a_limit_of_strangers_it_is_said_what_finds_one():
    # An earlier version kept none in the record.
    said = limits.describe_strangers(StrangerLimit())

    assert "too few" not in said
    assert "10_hand_over" in said


def test_a_twentieth_at_most_is_marked_and_less_where_sets_may_miss_less():
    known = np.arange(199)

    # The ninth largest of 199, 0.05 times 200 down, and the second largest: 0.01 times 200.
    assert limits.limit_strangers(known, known, 0.8).farthest == 189
    assert limits.limit_strangers(known, known, 0.99).farthest == 197
