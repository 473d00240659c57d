import json
import math

import numpy as np
import pytest
from scipy.special import softmax

from lib.evaluation import calibration, conformal


def draw_answers(n, classes=10, groups=None, seed=0, strength=2.0):
    """Draw answers of a model that is too sure, and the groups; pictures of a group are copies."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) if groups is None else groups
    y_true = rng.integers(0, classes, groups.max() + 1)
    logits = rng.normal(0, 1, (len(y_true), classes))
    # Classes are not equally hard.
    logits[np.arange(len(y_true)), y_true] += strength * np.linspace(0.2, 1.8, classes)[y_true]
    y_prob = softmax(1.7 * logits, axis=1).astype(np.float32)
    return y_true[groups], y_prob[groups], groups


def calibrate_sets(y_true, y_prob, groups):
    return conformal.calibrate(-y_prob[np.arange(len(y_true)), y_true], groups)


def cover_halves(y_true, y_prob, groups, coverage, times=200):
    """Return what sets of random halves measure on the other halves: a list of dicts."""
    scores = []
    for seed in range(times):
        fitted, judged = calibration.split_halves(y_true, groups, seed)
        kept = calibrate_sets(y_true[fitted], y_prob[fitted], groups[fitted])
        sets = conformal.build_sets(y_prob[judged], kept, coverage)
        scores.append(conformal.measure_sets(y_true[judged], sets, groups[judged]))
    return scores


def average(scores, name):
    return np.mean([score[name] for score in scores])


@pytest.mark.parametrize("grouped", [False, True])
def test_p_values_of_pictures_like_the_calibrating_ones_are_uniform(grouped):
    rng, small = np.random.default_rng(0), []
    groups = np.repeat(np.arange(150), np.arange(150) % 4 + 1 if grouped else 1)
    for _ in range(300):
        # Of a group all are alike, but for a little.
        drawn = rng.gamma(2, size=150)[groups] + rng.normal(0, 0.01, len(groups))
        kept = conformal.calibrate(drawn.astype(np.float32), groups)
        p_values = conformal.find_p_values(kept, rng.gamma(2, size=200).astype(np.float32))
        small.append([(p_values <= level).mean() for level in (0.01, 0.1, 0.3, 0.5, 0.8)])
    assert np.mean(small, axis=0) == pytest.approx([1 / 151, 0.1, 0.3, 0.5, 0.8], abs=0.01)


def test_p_value_counts_groups_that_are_as_strange_or_stranger():
    strangeness = np.array([0.1, 0.2, 0.2, 0.4], np.float32)
    kept = conformal.calibrate(strangeness, np.arange(4))
    assert kept == {"pictures": 4, "grouped": False, "scores": [0.1, 0.2, 0.2, 0.4]}
    asked = np.array([[0, 0.1, 0.2], [0.3, 0.5, np.nan]], np.float32)
    expected = [[1, 1, 0.8], [0.4, 0.2, np.nan]]
    assert conformal.find_p_values(kept, asked) == pytest.approx(np.array(expected), nan_ok=True)
    # Three of the four are one picture.
    kept = conformal.calibrate(strangeness, np.array([5, 7, 7, 7]))
    assert kept["pictures"] == 2 and kept["grouped"]
    p_values = conformal.find_p_values(kept, np.float32([0.1, 0.2, 0.3, 0.5]))
    # Of two groups all; the second; at least a third of the second; none.
    assert p_values == pytest.approx([1, 2 / 3, 1.5 / 3, 1 / 3])


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_a_class_is_in_a_set_from_the_threshold_on(coverage):
    y_true, y_prob, groups = draw_answers(400, groups=np.arange(400) // 2)
    kept = calibrate_sets(y_true[:200], y_prob[:200], groups[:200])
    threshold = conformal.find_threshold(kept, coverage)
    sets = conformal.build_sets(y_prob, kept, coverage)
    if "too few" in conformal.describe_sets(kept, coverage):
        assert threshold is None and sets.all()
    else:
        sure = y_prob.argmax(axis=1)[:, np.newaxis] == np.arange(10)
        assert np.array_equal((y_prob >= threshold) | sure, sets) and 0 < threshold < 1


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
def test_sets_hold_the_truth_as_often_as_asked(coverage):
    scores = cover_halves(*draw_answers(1000), coverage)
    assert average(scores, "coverage") == pytest.approx(coverage, abs=0.01)


def test_promise_is_about_groups_where_large_groups_are_harder():
    sizes = np.where(np.arange(300) % 3 == 0, 6, 1)
    groups = np.repeat(np.arange(300), sizes)
    y_true, y_prob, _ = draw_answers(0, groups=groups, strength=3)
    _, unsure, _ = draw_answers(0, groups=groups, strength=1)
    y_prob = np.where(sizes[groups, np.newaxis] == 6, unsure, y_prob)
    scores = cover_halves(y_true, y_prob, groups, 0.9, 100)
    assert average(scores, "coverage") == pytest.approx(0.9, abs=0.015)
    assert average(scores, "by_picture") < 0.87


def test_copies_of_a_picture_tell_nothing_that_the_picture_does_not():
    groups = np.repeat(np.arange(120), np.arange(120) % 5 + 1)
    y_true, y_prob, _ = draw_answers(0, groups=groups, strength=3)
    first = np.unique(groups, return_index=True)[1]
    alone = calibrate_sets(y_true[first], y_prob[first], groups[first])
    copied = calibrate_sets(y_true, y_prob, groups)
    assert alone["pictures"] == copied["pictures"] == 120 < len(copied["scores"])
    for coverage in (0.2, 0.5, 0.8, 0.95):
        sets = [conformal.build_sets(y_prob, kept, coverage) for kept in (alone, copied)]
        assert np.array_equal(*sets)


def test_set_holds_what_reaches_the_quantile_of_finite_samples():
    y_true, y_prob, groups = draw_answers(99)
    kept, asked = calibrate_sets(y_true, y_prob, groups), draw_answers(500, seed=1)[1]
    ranked = np.sort(y_prob[np.arange(99), y_true])[::-1]
    for coverage in (0.01, 0.1, 0.5, 0.9, 0.95, 0.99):
        expected = asked >= ranked[math.ceil(round(100 * coverage, 6)) - 1]
        expected[np.arange(500), asked.argmax(axis=1)] = True
        assert np.array_equal(conformal.build_sets(asked, kept, coverage), expected)


def test_too_few_pictures_make_sets_of_all_classes_and_that_is_said():
    y_true, y_prob, groups = draw_answers(19, classes=4)
    enough = calibrate_sets(y_true, y_prob, groups)
    few = calibrate_sets(y_true[:18], y_prob[:18], groups[:18])
    assert conformal.build_sets(y_prob, few, 0.95).all()
    assert not conformal.build_sets(y_prob, enough, 0.95).all()
    assert not conformal.build_sets(y_prob, few, 0.9).all()
    told = conformal.describe_sets(few, 0.95)
    assert "18 validation pictures are too few" in told and "all classes" in told
    assert "0.95 of pictures" in conformal.describe_sets(enough, 0.95)
    assert "too few" in conformal.describe_sets(enough, 0.99)
    told = conformal.describe_sets(enough | {"grouped": True}, 0.95)
    assert "0.95 of groups of pictures" in told


def test_ties_only_add_classes_and_the_same_picture_gets_the_same_set():
    y_true, groups = np.arange(200) % 4, np.arange(200)
    y_prob = np.tile(np.float32([0.4, 0.2, 0.2, 0.2]), (200, 1))
    kept = calibrate_sets(y_true, y_prob, groups)
    assert conformal.build_sets(y_prob, kept, 0.2)[:, 0].all()
    assert conformal.build_sets(y_prob, kept, 0.2).sum() == 200
    assert conformal.build_sets(y_prob, kept, 0.5).all(), "of equal classes all belong to a set"
    # Probabilities that float32 rounded to 0.
    certain = np.eye(4, dtype=np.float32)[(y_true + 1) % 4]
    kept = calibrate_sets(y_true, certain, groups)
    assert kept["scores"] == [0.0] * 200 and conformal.build_sets(certain, kept, 0.5).all()


def test_no_set_is_empty():
    y_true = np.arange(200) % 4
    sure = np.float32(0.01 + 0.96 * np.eye(4)[y_true])
    kept = calibrate_sets(y_true, sure, np.arange(200))
    unsure = np.float32([[0.3, 0.4, 0.2, 0.1]])
    assert (conformal.find_p_values(kept, -unsure) < 0.5).all()
    assert conformal.build_sets(unsure, kept, 0.5).tolist() == [[False, True, False, False]]


def test_many_scores_are_kept_in_short_exactly_and_never_promise_more():
    y_true, y_prob, groups = draw_answers(5003)
    kept, strangeness = calibrate_sets(y_true, y_prob, groups), -y_prob[groups, y_true]
    assert len(kept["scores"]) == 1000 and kept["pictures"] == 5003
    assert len(json.dumps(kept)) < 15_000 and json.loads(json.dumps(kept)) == kept
    assert set(np.float32(kept["scores"])) <= set(strangeness), "not rounded"
    asked = np.unique(strangeness)
    exact = (1 + (strangeness >= asked[:, np.newaxis]).sum(axis=1)) / 5004
    more = conformal.find_p_values(kept, asked) - exact
    assert more.min() > -1e-9 and more.max() < 6 / 5004


def test_many_groups_whose_shares_are_rounded_are_calibrated_too():
    strangeness = np.random.default_rng(0).random(60_000, np.float32)
    kept = conformal.calibrate(strangeness, np.arange(60_000) // 3)
    assert kept["pictures"] == 20_000 and kept["scores"][-1] == strangeness.max()


def test_half_of_the_pictures_judges_and_every_class_has_a_row():
    y_true, y_prob, groups = draw_answers(600)
    names = [f"class {k}" for k in range(10)]
    kept, score, by_class = conformal.judge_sets(y_true, y_prob, groups, names, 0.95)
    assert kept["pictures"] == score["pictures"] == 300
    assert score["coverage"] == score["by_picture"] and score["low"] < score["coverage"]
    assert score["coverage"] < score["high"] and 1 < score["size"] < 10
    assert list(by_class.columns) == ["class", "pictures", "coverage", "low", "high", "size"]
    assert set(by_class["class"]) == set(names) and by_class.coverage.is_monotonic_increasing
    assert by_class.coverage @ by_class.pictures / 300 == pytest.approx(score["coverage"])
    assert by_class["size"] @ by_class.pictures / 300 == pytest.approx(score["size"])
    hard = by_class.set_index("class").loc["class 0"]
    assert hard.coverage < score["coverage"], "the promise is an average one"


def test_a_single_group_judges_nothing():
    y_true, y_prob, _ = draw_answers(30, classes=2)
    kept, score, by_class = conformal.judge_sets(y_true, y_prob, np.zeros(30, int), "ab", 0.9)
    assert kept["pictures"] == 1 and score["pictures"] == 0 == len(by_class)
    assert math.isnan(score["coverage"]) and (score["low"], score["high"]) == (0, 1)
    assert "leaves none" in conformal.describe_judgement(score)


def test_copies_make_no_interval_narrower():
    y_true, y_prob, groups = draw_answers(600)
    sets = conformal.build_sets(y_prob, calibrate_sets(y_true, y_prob, groups), 0.9)
    once = conformal.measure_sets(y_true, sets, groups)
    again = np.repeat(groups, 4)
    copied = conformal.measure_sets(y_true[again], sets[again], again)
    assert copied == pytest.approx(once | {"pictures": 2400})


def test_sets_are_written_as_lists_that_any_reader_takes_apart():
    names = ["a", 'b; "c"', "Ünï, <d>"]
    y_prob = np.float32([[0.2, 0.3, 0.5], [0.9, 0.06, 0.04]])
    kept = {"pictures": 100, "grouped": False, "scores": [-0.25] * 100}
    columns = conformal.write_sets(y_prob, names, kept, 0.5)
    assert [json.loads(text) for text in columns["set"]] == [["Ünï, <d>", 'b; "c"'], ["a"]]
    assert columns["set_size"] == [2, 1] and "Ünï" in columns["set"][0]


KEPT = {"pictures": 2, "grouped": False, "scores": [-0.5, -0.1]}


def test_missing_scores_are_an_error_that_names_file_key_and_remedy():
    with pytest.raises(ValueError, match='cnn.json: "answer_sets" .* 10_hand_over with MODEL'):
        conformal.check_sets({}, "cnn.json")
    assert conformal.check_sets({"answer_sets": KEPT}, "cnn.json") is KEPT


def test_the_strangest_is_marked_and_what_is_not_known_is_not():
    kept = conformal.calibrate(np.random.default_rng(0).random(150, np.float32), np.arange(150))
    marks = conformal.write_marks(np.float32([2, np.nan, 0]), kept)
    assert marks["note"] == [conformal.NOTE, "", ""]
    assert marks["resemblance_p"] == pytest.approx([1 / 151, np.nan, 1], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("count", "marked"), [(99, False), (100, True)])
def test_too_few_validation_pictures_mark_nothing_and_that_is_said(count, marked):
    kept = conformal.calibrate(np.zeros(count, np.float32), np.arange(count))
    marks = conformal.write_marks(np.ones(1, np.float32), kept)
    assert marks["resemblance_p"] == [round(1 / (count + 1), 6)]
    assert (marks["note"] == [conformal.NOTE]) == marked
    assert ("too few" in conformal.describe_marks(kept)) != marked


def test_what_was_measured_is_said_by_group_and_by_picture_where_these_differ():
    held, groups = np.array([True, True, True, False]), np.array([0, 0, 0, 1])
    sets = np.stack([held, ~held], axis=1)
    score = conformal.measure_sets(np.zeros(4, int), sets, groups)
    said = conformal.describe_judgement(score)
    assert "0.500 (" in said and "0.750 where groups count by their pictures" in said
    alone = conformal.measure_sets(np.zeros(4, int), sets, np.arange(4))
    assert "0.750 (" in conformal.describe_judgement(alone) and "1.0 classes on average" in said
    assert "where groups" not in conformal.describe_judgement(alone)
