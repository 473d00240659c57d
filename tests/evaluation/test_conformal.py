import json

import numpy as np
import pytest
import simulations

from lib.evaluation import conformal, metrics


def test_limit_is_the_kth_lowest_of_the_groups_lowest_scores():
    scores = np.array([0.5, 0.9, 0.3, 0.8, 0.4, 0.7])
    groups = np.array([0, 0, 1, 1, 2, 2])
    # Lowest of the groups: 0.5, 0.3, 0.4.
    assert conformal.find_limit(scores, groups, 0.5) == 0.4
    assert conformal.find_limit(scores, groups, 0.24) is None, "k is 0"


def test_sets_of_nine_tenths_need_nine_groups():
    assert conformal.find_limit(np.arange(8), np.arange(8), 1 - 0.9) is None
    assert conformal.find_limit(np.arange(9), np.arange(9), 1 - 0.9) == 0


def test_without_a_limit_sets_hold_all_classes_and_that_is_said():
    y_prob = np.float32([[0.9, 0.1], [0.2, 0.8]])
    assert conformal.build_prediction_sets(y_prob, None).all()
    kept = {"coverage": 0.95, "limit": None, "groups": 18, "grouped": False}
    said = conformal.describe_sets(kept)
    assert "18 validation pictures are too few for sets of 0.95" in said
    kept |= {"limit": 0.2, "grouped": True}
    assert "about 95 of 100 groups of pictures" in conformal.describe_sets(kept)


def test_a_set_holds_what_reaches_the_limit_and_always_the_most_probable_class():
    y_prob = np.float32([[0.5, 0.25, 0.25], [0.2, 0.3, 0.2], [0.1, 0.1, 0.8]])
    sets = conformal.build_prediction_sets(y_prob, 0.25)
    assert sets.tolist() == [[True] * 3, [False, True, False], [False, False, True]]
    sets = conformal.build_prediction_sets(y_prob, 0.9)
    assert sets.sum(axis=1).tolist() == [1, 1, 1], "none is empty"


def test_limit_is_of_one_half_and_the_half_of_the_temperature_measures():
    y_true = np.arange(60) % 3
    noise = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    y_prob = 0.5 * noise + 0.5 * np.eye(3)[y_true]
    of_truth = y_prob[np.arange(60), y_true]
    fitted, rest = metrics.split_halves(y_true, np.arange(60))
    kept, measured = conformal.judge_sets(y_true, y_prob, np.arange(60), 0.9)
    third_lowest = np.sort(of_truth[rest])[2]  # k = 0.1 times 31, rounded down
    assert kept == {
        "coverage": 0.9,
        "limit": third_lowest,
        "groups": 30,
        "grouped": False,
    }
    assert measured.group.tolist() == np.flatnonzero(fitted).tolist()
    sets = conformal.build_prediction_sets(y_prob[fitted], third_lowest)
    assert measured["size"].tolist() == sets.sum(axis=1).tolist()
    assert measured.covered.tolist() == sets[np.arange(30), y_true[fitted]].tolist()


def test_sets_hold_the_truth_as_often_as_asked():
    found = simulations.cover_sets(np.arange(400), 60, coverage=0.9)
    assert found == pytest.approx(0.9, abs=0.015)
    # Of bursts that are harder, groups are promised: more pictures than were held by one score each.
    assert simulations.cover_sets(simulations.HARD_BURSTS, 60, hard=1.2) > 0.84


def test_sets_are_written_as_lists_that_any_reader_takes_apart():
    names = ["a", 'b; "c"', "Ünï, <d>"]
    y_prob = np.float32([[0.2, 0.3, 0.5], [0.9, 0.06, 0.04]])
    columns = conformal.set_columns(y_prob, names, 0.25)
    first, second = columns["set"]
    assert json.loads(first) == ["Ünï, <d>", 'b; "c"']
    assert json.loads(second) == ["a"]
    assert columns["set_size"] == [2, 1]
    assert "Ünï" in first


def test_pictures_farther_away_than_their_share_of_known_ones_are_marked():
    known = np.linspace(0.1, 0.5, 200)
    mark = "unlike 95 of 100 pictures it knows"
    notes, line = conformal.mark_out_of_distribution(
        distances=[0.6, 0.492, 0.48, 0.2, np.nan],
        known_distances=known,
        groups=np.arange(200),
        coverage=0.95,
    )
    # The limit is the tenth largest: 0.05 times 201, rounded down.
    assert notes == [mark, mark, "", "", ""]
    assert mark in line
    assert "200 validation pictures" in line


@pytest.mark.parametrize(("count", "mark"), [(18, ""), (19, "unlike 95 of 100")])
def test_nineteen_groups_suffice_to_mark_strangers(count, mark):
    known = np.repeat(np.linspace(0.1, 0.5, count), 4)
    groups = np.repeat(np.arange(count), 4)
    notes, line = conformal.mark_out_of_distribution([9], known, groups, coverage=0.95)
    assert notes[0][:16] == mark
    assert f"{count} validation pictures" in line
    assert ("too few" in line) == (mark == "")


def test_strangers_and_answer_sets_have_one_share_up_to_a_twentieth():
    shares = [conformal.find_share(coverage) for coverage in (0.8, 0.95, 0.99)]
    assert shares == pytest.approx([0.05, 0.05, 0.01])
    assert "99 of 100" in conformal.describe_mark(0.99)
    known = np.linspace(0, 1, 199)
    limit = conformal.find_farthest(known, np.arange(199), 0.99)
    assert limit == pytest.approx(known[-2])
