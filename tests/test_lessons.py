"""What lessons compute by hand, against lib and against scikit-learn."""

import itertools
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import load_functions, run_cells
from planted import answer_held_out, draw_features, measure_ranking, plant_labels
from scipy import stats
from sklearn import metrics

from lib.evaluation import comparisons, figures, intervals, limits, neighbours
from lib.evaluation.calibration import split_halves
from lib.evaluation.label_tests import find_weak_classes
from lib.models.record import SetLimit

BY_HAND = load_functions(
    "08_evaluation", "evaluation-12", "evaluation-18", np=np, stats=stats
)
choose_threshold = load_functions(
    "11_multi_label", "several-24", "several-24-all", pd=pd, metrics=metrics
).choose_threshold


def test_interval_of_08_is_that_of_the_report():
    groups = np.repeat([0, 1, 2, 3], [1, 2, 3, 4])
    first = SimpleNamespace(correct=[groups > 0], labels=["cnn"])
    names = {"groups": groups, "first": first}
    names["compute_wilson"] = BY_HAND.compute_wilson

    known = run_cells("08_evaluation", ["effective-code"], names)

    n = intervals.effective_sample_size(groups)
    assert known["n"] == pytest.approx(n)
    found = [known["low"], known["high"]]
    assert found == pytest.approx(intervals.wilson_interval(0.9, n))


def test_test_of_08_is_that_of_the_report():
    correct = np.random.default_rng(0).random((2, 60)) < 0.7
    first = SimpleNamespace(correct=correct, labels=["cnn", "net"])
    BY_HAND.compare_two.__globals__["first"] = first

    *_, low, high, p = BY_HAND.compare_two("cnn", "net")

    differences = correct[0].astype(int) - correct[1]
    expected = comparisons.compare_runs([differences], np.arange(60))
    assert [low, high, p] == pytest.approx(list(expected))


def test_correction_of_08_is_that_of_the_report():
    p_values = {("a", "b"): 0.01, ("a", "c"): 0.4, ("b", "c"): 0.03}
    names = {"itertools": itertools, "best_first": list("abc")}
    names["compare_two"] = lambda *pair: [*pair, 0, 0, 0, 0, 0, p_values[pair]]

    pairs = run_cells("08_evaluation", ["evaluation-20"], names)["pairs"]

    corrected = comparisons.correct_tests([0.01, 0.03, 0.4]).p_holm
    assert pairs["corrected p"].tolist() == pytest.approx(list(corrected))


def test_surer_answers_are_fewer_and_counted_with_those_that_are_right():
    names = {
        "figures": figures,
        "intervals": intervals,
        "apply_temperature": lambda y_prob, temperature: y_prob,
        "answer": mock.Mock(label="cnn"),
        "groups": np.arange(4),
        "ws": None,
        "show": mock.Mock(),
    }
    y_prob = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    correct = np.array([[True, False, True, True]])
    names["first"] = SimpleNamespace(labels=["cnn"], y_prob=[y_prob], correct=correct)

    curve = run_cells("08_evaluation", ["evaluation-34b"], names)["curve"]

    assert curve.loc[:0.5].iloc[-1, :2].tolist() == [0.75, 1]
    assert curve.loc[:0.8].iloc[-1].tolist() == [
        0.5,
        0.5,
        *intervals.share_interval(np.array([True, False]), np.arange(2)),
    ]


def mark_labels(y_prob, y_true):
    """Return ranks, and which labels are marked, as 07 finds them."""
    classes = np.arange(y_prob.shape[1])
    names = {"y_prob": y_prob, "y_true": y_true, "EXAMPLES": 1}
    names["class_names"] = classes
    names["table"] = pd.DataFrame({"file": y_true, "label": y_true})
    known = run_cells("07_label_audit", ["rank-code", "doubt-code"], names)
    return known["report"]["rank"].to_numpy(), known["is_doubtful"]


def test_planted_errors_come_first_in_the_ranking_of_07():
    features, truth = draw_features(300, 5, 0)
    labels, planted = plant_labels(truth, 0.05, 0)
    y_prob = answer_held_out(features, labels, np.arange(300), seed=0)

    rank, is_doubtful = mark_labels(y_prob, labels)

    precision, recall = measure_ranking(rank, planted)
    assert precision >= 0.75
    assert recall >= 0.9
    assert is_doubtful[planted].mean() >= 0.7
    assert np.delete(is_doubtful, planted).mean() <= 0.02


def test_a_label_is_marked_where_it_is_improbable_and_another_is_suggested():
    y_true = np.array([0, 0, 0, 1])
    y_prob = np.full((4, 11), 0.09)
    y_prob[:, 1] = [0.9, 0.05, 0.7, 0.5]
    y_prob[:2, 0] = [0.05, 0.095]
    y_prob[2, 0] = 0.1

    rank, is_doubtful = mark_labels(y_prob, y_true)

    assert is_doubtful.tolist() == [True, False, False, False]
    # No two have the same.
    assert rank.tolist() == [1, 2, 3, 4]


def look_beside(rows, y_true, suggested):
    """Return the nearest pictures of suggested classes, and outliers, as 07 finds them."""
    names = {
        "neighbours": neighbours,
        "table": pd.DataFrame({"file": np.arange(len(rows))}),
        "scaled": rows,
        "groups": np.arange(len(rows)),
        "class_names": np.unique(y_true),
        "y_true": y_true,
        "suggested": suggested,
        "ws": mock.Mock(),
        "read_table": lambda _: pd.DataFrame(columns=["file", "problem"]),
    }
    known = run_cells("07_label_audit", ["outliers-code"], names)
    return known["similar"], known["is_outlier"]


@pytest.fixture
def rows():
    """Features of 200 pictures in four classes."""
    features, _ = draw_features(200, 4, 0)
    return neighbours.scale_features(features)


def test_the_similar_picture_is_the_nearest_of_the_class_that_is_suggested(rows):
    y_true = np.arange(200) % 4
    suggested = (y_true + 1) % 4
    apart = np.linalg.norm(rows[:, np.newaxis] - rows, axis=2)
    apart[y_true != suggested[:, np.newaxis]] = np.inf

    similar, _ = look_beside(rows, y_true, suggested)

    assert similar.tolist() == apart.argmin(axis=1).tolist()


def test_what_is_unlike_its_class_is_an_outlier(rows):
    rows[7] = -rows[7]
    y_true = np.arange(200) % 4

    _, is_outlier = look_beside(rows, y_true, y_true)

    assert is_outlier[7]
    assert is_outlier.sum() <= 16


def test_a_class_of_one_picture_is_no_error():
    y_true = np.array([0, 0, 1])

    similar, is_outlier = look_beside(np.eye(3, dtype=np.float32), y_true, y_true)

    assert similar.tolist() == [1, 0, -1]
    assert not is_outlier.any()


def calibrate_sets(y_true, y_prob, groups, coverage):
    """Return what 10 knows once its answer sets are calibrated."""
    counting, calibrating = split_halves(y_true, groups)
    names = {
        "limits": limits,
        "share_interval": intervals.share_interval,
        "find_weak_classes": find_weak_classes,
        "SetLimit": SetLimit,
        "apply_temperature": lambda y_prob, temperature: y_prob,
        "update_record": mock.Mock(),
        "record": SimpleNamespace(temperature=1),
        "ws": None,
        "y_true": y_true,
        "y_prob": y_prob,
        "groups": groups,
        "counting": counting,
        "every": np.arange(len(y_true)),
        "calibrating": calibrating,
        "class_names": np.array(list("abcd")),
        "COVERAGE": coverage,
    }
    cells = ["hand-11", "hand-11-limit", "hand-11-sets", "hand-11-keep"]
    return SimpleNamespace(**run_cells("10_hand_over", cells, names))


def test_answer_sets_of_10_have_the_limit_of_one_half_and_name_whom_they_serve_least():
    # Pictures in pairs; sets of the fourth class are often wrong.
    groups = np.arange(400) // 2
    y_true = groups % 4
    y_prob = 0.9 * np.eye(4)[y_true]
    y_prob[y_true == 3, 0] = 0.5
    y_prob[y_true == 3, 3] = np.linspace(0, 1, 100)
    of_truth = y_prob[np.arange(400), y_true]

    known = calibrate_sets(y_true, y_prob, groups, 0.95)

    half = known.calibrating
    limit = limits.find_limit(of_truth[half], groups[half], 0.05)
    sets = limits.build_prediction_sets(y_prob, limit)
    of_d = sets[:, 3][~half & (y_true == 3)]
    served_least = ["d", of_d.sum(), len(of_d)]
    assert known.kept == SetLimit(0.95, limit, 100, True, served_least)
    assert known.choose_limit(0.995) is None, "a hundred groups are too few"


def choose_to_label(first, groups, count):
    """Return the positions that 07 chooses of pictures whose first class has a probability."""
    y_prob = np.stack([first, 1 - first], axis=1)
    estimator = mock.Mock()
    estimator.fit.return_value.predict_proba.return_value = y_prob
    names = {
        "new": pd.DataFrame({"file": range(len(first))}),
        "features": y_prob,
        "of_new": y_prob,
        "y_true": None,
        "groups": None,
        "new_groups": groups,
        "class_names": np.array(["cat", "dog"]),
        "estimator": estimator,
        "ws": mock.Mock(),
        "TO_LABEL": count,
        "EXAMPLES": count,
    }
    return run_cells("07_label_audit", ["choose-code"], names)["chosen"].file.tolist()


# Margins of 0.8, 0.1, 0.2, 0.1 and 0.6.
FIRST = np.array([0.9, 0.45, 0.6, 0.55, 0.2])


@pytest.mark.parametrize(
    ("groups", "count", "expected"),
    [(np.arange(5), 3, [1, 3, 2]), (np.array([0, 1, 2, 1, 2]), 9, [1, 2, 0])],
    ids=["the unsurest", "of a group the unsurest alone"],
)
def test_next_to_label_are_the_unsurest(groups, count, expected):
    assert choose_to_label(FIRST, groups, count) == expected


def test_no_other_threshold_has_a_higher_f1():
    rng = np.random.default_rng(4)
    has_label = rng.random(80) < 0.3
    y_prob = 0.3 * has_label + 0.7 * rng.random(80)
    # Many answers are equal.
    y_prob = y_prob.round(1)

    threshold = choose_threshold(has_label, y_prob)

    found = metrics.f1_score(has_label, y_prob >= threshold)
    others = [metrics.f1_score(has_label, y_prob >= limit) for limit in y_prob]
    assert found == pytest.approx(max(others))


def test_threshold_lies_in_the_middle_of_the_gap_and_of_no_picture_at_a_half():
    has_label = np.array([True, False, True, False])
    y_prob = np.array([0.9, 0.2, 0.6, 0.1])

    assert choose_threshold(has_label, y_prob) == pytest.approx(0.4)
    assert choose_threshold(np.zeros(4, bool), y_prob) == 0.5
