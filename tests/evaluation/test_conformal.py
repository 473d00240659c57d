import json
import math

import numpy as np
import pytest
from scipy.special import softmax

from lib.evaluation import calibration, conformal


def draw_answers(n, classes=10, groups=None, seed=0, strength=2.0, overconfidence=1.7):
    """Draw answers of a model that is too sure; pictures of a group are copies of one."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) if groups is None else groups
    y_true = rng.integers(0, classes, groups.max() + 1)
    logits = rng.normal(0, 1, (len(y_true), classes))
    # Classes are not equally hard.
    logits[np.arange(len(y_true)), y_true] += strength * np.linspace(0.2, 1.8, classes)[y_true]
    y_prob = softmax(overconfidence * logits, axis=1).astype(np.float32)
    return y_true[groups], y_prob[groups]


def cover_halves(y_true, y_prob, coverage=0.95, groups=None, times=200):
    """Return the share of sets that hold the truth on the other halves of random ones: (times,)."""
    shares = []
    for seed in range(times):
        fitted, judged = calibration.split_halves(y_true, groups, seed)
        members = None if groups is None else groups[fitted]
        kept = conformal.keep_scores(y_true[fitted], y_prob[fitted], members)
        sets = conformal.build_sets(y_prob[judged], kept, coverage)
        shares.append(conformal.measure_sets(y_true[judged], sets)["coverage"])
    return np.array(shares)


@pytest.mark.parametrize("seed", range(3))
def test_sets_at_95_percent_hold_the_truth_in_95_of_100_cases(seed):
    shares = cover_halves(*draw_answers(400, seed=seed))
    assert 0.94 <= shares.mean() <= 0.96 and shares.min() > 0.85


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.99])
def test_sets_hold_the_truth_as_often_as_asked(coverage):
    shares = cover_halves(*draw_answers(1000), coverage)
    assert coverage - 0.01 <= shares.mean() <= coverage + 0.01


def test_pictures_of_a_group_stand_in_one_half_and_count_as_one():
    groups = np.repeat(np.arange(120), np.arange(120) % 5 + 1)
    y_true, y_prob = draw_answers(len(groups), groups=groups, strength=3)
    for seed in range(20):
        fitted, judged = calibration.split_halves(y_true, groups, seed)
        assert not set(groups[fitted]) & set(groups[judged]) and (fitted ^ judged).all()
    assert 0.94 <= cover_halves(y_true, y_prob, groups=groups).mean() <= 0.97
    # The copies of a picture tell nothing that the picture doesn't.
    _, first = np.unique(groups, return_index=True)
    alone = conformal.keep_scores(y_true[first], y_prob[first])
    copied = conformal.keep_scores(y_true, y_prob, groups)
    assert alone["pictures"] == copied["pictures"] == 120 < len(copied["scores"])
    for share in (0.2, 0.5, 0.8, 0.95):
        below = conformal.find_threshold(copied, share)
        assert below == conformal.find_threshold(alone, share)


def test_threshold_is_the_quantile_of_finite_samples():
    y_true, y_prob = draw_answers(99)
    kept = conformal.keep_scores(y_true, y_prob)
    ranked = np.sort(y_prob[np.arange(99), y_true])[::-1]
    for coverage in (0.01, 0.1, 0.5, 0.9, 0.95, 0.99):
        exact = ranked[math.ceil(round(100 * coverage, 6)) - 1]
        below = conformal.find_threshold(kept, coverage)
        assert below <= exact and below == pytest.approx(exact, rel=1e-3)
    assert conformal.find_threshold(kept, 1e-12) == pytest.approx(ranked[0], rel=1e-3)


def test_too_few_pictures_make_sets_of_all_classes_and_that_is_said():
    y_true, y_prob = draw_answers(19, classes=4)
    enough = conformal.keep_scores(y_true, y_prob)
    few = conformal.keep_scores(y_true[:18], y_prob[:18])
    assert conformal.find_threshold(enough, 0.95) > 0 == conformal.find_threshold(few, 0.95)
    assert conformal.build_sets(y_prob, few, 0.95).all()
    assert not conformal.build_sets(y_prob, few, 0.9).all()
    told = conformal.describe_sets(few, 0.95)
    assert "18 pictures" in told and "19" in told and "all classes" in told
    assert "all classes" not in conformal.describe_sets(enough, 0.95)
    assert "99" in conformal.describe_sets(enough, 0.99)


def test_ties_only_add_classes_and_the_same_picture_gets_the_same_set():
    y_true, y_prob = np.arange(200) % 4, np.tile([0.4, 0.2, 0.2, 0.2], (200, 1))
    kept = conformal.keep_scores(y_true, y_prob)
    assert conformal.build_sets(y_prob, kept, 0.2)[:, 0].all()
    assert conformal.build_sets(y_prob, kept, 0.2).sum() == 200
    assert conformal.build_sets(y_prob, kept, 0.5).all(), "of equal classes all belong to a set"
    # Probabilities that float32 rounded to 0.
    certain = np.eye(4, dtype=np.float32)[(y_true + 1) % 4]
    kept = conformal.keep_scores(y_true, certain)
    assert kept["scores"] == [0.0] * 200 and conformal.build_sets(certain, kept, 0.5).all()


def test_no_set_is_empty():
    y_true = np.arange(200) % 4
    sure = np.full((200, 4), 0.01) + 0.96 * np.eye(4)[y_true]
    kept = conformal.keep_scores(y_true, sure)
    unsure = np.array([[0.3, 0.4, 0.2, 0.1]])
    assert (unsure < conformal.find_threshold(kept, 0.5)).all()
    assert conformal.build_sets(unsure, kept, 0.5).tolist() == [[False, True, False, False]]


def test_many_scores_are_kept_in_short_and_never_promise_more():
    y_true, y_prob = draw_answers(5003)
    kept = conformal.keep_scores(y_true, y_prob)
    assert len(kept["scores"]) == 1000 and kept["pictures"] == 5003
    assert len(json.dumps(kept)) < 12_000 and json.loads(json.dumps(kept)) == kept
    ranked = np.sort(y_prob[np.arange(5003), y_true])[::-1]
    for coverage in np.linspace(0.01, 0.9995, 200):
        place = math.ceil(5004 * coverage)
        below = conformal.find_threshold(kept, coverage)
        assert ranked[min(place + 5, 5002)] * 0.998 <= below <= ranked[place - 1]


def test_measured_coverage_and_size_have_intervals_and_classes_their_own():
    y_true, y_prob = draw_answers(600)
    fitted, judged = calibration.split_halves(y_true)
    sets = conformal.build_sets(
        y_prob[judged], conformal.keep_scores(y_true[fitted], y_prob[fitted]), 0.95
    )
    score = conformal.measure_sets(y_true[judged], sets)
    assert score["n"] == 300 and score["size"] == pytest.approx(sets.sum() / 300)
    for name in ("coverage", "size"):
        low, high = score[f"{name}_interval"]
        assert low < score[name] < high
    hard = y_true[judged] == 0
    of_class = conformal.measure_sets(y_true[judged][hard], sets[hard])
    assert of_class["n"] == hard.sum() and of_class["coverage"] == sets[hard, 0].mean()
    assert of_class["coverage"] < score["coverage"], "the promise is an average one"
    alike = conformal.measure_sets(y_true[judged], np.ones_like(sets))
    assert alike["coverage"] == 1 and alike["size_interval"] is None


def test_copies_make_no_interval_narrower():
    y_true, y_prob = draw_answers(600)
    sets = conformal.build_sets(y_prob, conformal.keep_scores(y_true, y_prob), 0.9)
    copied, groups = np.repeat(np.arange(600), 4), np.repeat(np.arange(600), 4)
    once = conformal.measure_sets(y_true, sets)
    naive = conformal.measure_sets(y_true[copied], sets[copied])
    told = conformal.measure_sets(y_true[copied], sets[copied], groups)
    for name in ("coverage", "size"):
        widths = [np.ptp(score[f"{name}_interval"]) for score in (once, naive, told)]
        assert widths[1] < 0.6 * widths[0] < 0.9 * widths[0] < widths[2] < 1.3 * widths[0]


def test_of_no_pictures_nothing_is_claimed():
    score = conformal.measure_sets(np.zeros(0, int), np.zeros((0, 3), bool))
    assert score.pop("n") == 0 and set(score.values()) == {None} and len(score) == 4


def test_sets_are_written_as_lists_that_any_reader_takes_apart():
    names = ["a", 'b; "c"', "Ünï, <d>"]
    y_prob = np.array([[0.2, 0.3, 0.5], [0.9, 0.06, 0.04]])
    kept = {"pictures": 100, "scores": [0.25] * 100}
    columns = conformal.write_sets(y_prob, names, kept, 0.5)
    assert [json.loads(text) for text in columns["set"]] == [["Ünï, <d>", 'b; "c"'], ["a"]]
    assert columns["set_size"] == [2, 1] and "Ünï" in columns["set"][0]


DAMAGED = [
    [], "0.9", {}, {"pictures": 20}, {"pictures": 20, "scores": []},
    {"pictures": 0, "scores": [0.5]}, {"pictures": "20", "scores": [0.5]},
    {"pictures": 2, "scores": [0.1, 0.5]}, {"pictures": 1, "scores": [1.5]},
    {"pictures": 1, "scores": [float("nan")]}, {"pictures": 1, "scores": "a"},
    {"pictures": 2000, "scores": [0.5] * 1001},
]  # fmt: skip


@pytest.mark.parametrize("kept", DAMAGED, ids=str)
def test_damaged_scores_are_an_error_that_names_file_key_and_remedy(kept):
    with pytest.raises(ValueError, match='cnn.json: "answer_sets" is damaged: run 08_evaluation'):
        conformal.check_scores({"answer_sets": kept}, "cnn.json")


def test_model_that_was_never_judged_is_told_what_to_run():
    with pytest.raises(ValueError, match='cnn.json has no "answer_sets": run 08_evaluation'):
        conformal.check_scores({}, "cnn.json")
    kept = conformal.keep_scores(*draw_answers(30))
    assert conformal.check_scores({"answer_sets": kept}, "cnn.json") is kept
