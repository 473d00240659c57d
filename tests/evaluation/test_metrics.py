import json

import numpy as np
import pytest
import simulations
from sklearn import metrics as expected

from lib.evaluation import intervals, metrics

CLASSES = ["bird", "frog", "newt", "shell"]
Y_TRUE = np.array([0, 0, 0, 0, 1, 1, 2])  # no shell at all
Y_PRED = np.array([0, 0, 0, 1, 1, 3, 0])


def evaluate(y_true, y_prob, class_names, groups=None):
    groups = np.arange(len(y_true)) if groups is None else groups
    return metrics.evaluate(y_true, y_prob, class_names, groups)


def test_scores_equal_those_computed_by_hand():
    score = evaluate(Y_TRUE, np.eye(4)[Y_PRED], CLASSES)
    assert score["top1"] == pytest.approx(4 / 7) and score["n"] == 7
    recall = score["per_class"]
    assert [recall[name] for name in CLASSES[:3]] == [0.75, 0.5, 0] and recall["shell"] is None
    # Every class with pictures counts the same, however many it has.
    assert score["average_per_class"] == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert score["per_class_interval"]["shell"] == [0, 1]
    low, high = score["top1_interval"]
    assert 0 < low < 4 / 7 < high < 1


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 4, 203), rng.dirichlet(np.ones(4), 203)
    score, y_pred = evaluate(y_true, y_prob, CLASSES), y_prob.argmax(axis=1)
    assert score["top1"] == pytest.approx(expected.accuracy_score(y_true, y_pred))
    assert score["top3"] == pytest.approx(expected.top_k_accuracy_score(y_true, y_prob, k=3))
    balanced = expected.balanced_accuracy_score(y_true, y_pred)
    assert score["average_per_class"] == pytest.approx(balanced)
    for average in ("macro", "weighted"):
        f1 = expected.f1_score(y_true, y_pred, average=average)
        assert score[f"{average}_f1"] == pytest.approx(f1)
    assert score["kappa"] == pytest.approx(expected.cohen_kappa_score(y_true, y_pred))
    assert score["nll"] == pytest.approx(expected.log_loss(y_true, y_prob))
    assert score["brier"] == pytest.approx(((y_prob - np.eye(4)[y_true]) ** 2).sum(axis=1).mean())
    area = expected.roc_auc_score(y_true, y_prob, multi_class="ovr")
    assert score["roc_auc"] == pytest.approx(area)
    precision = expected.average_precision_score(np.eye(4)[y_true], y_prob)
    assert score["pr_auc"] == pytest.approx(precision)
    for name in simulations.SCORES:
        low, high = score[f"{name}_interval"]
        assert low < score[name] < high
    recall = expected.recall_score(y_true, y_pred, average=None)
    assert list(score["per_class"].values()) == pytest.approx(recall)
    precision, _, f1, _ = expected.precision_recall_fscore_support(y_true, y_pred)
    assert list(score["precision"].values()) == pytest.approx(precision)
    assert list(score["f1"].values()) == pytest.approx(f1) and score["n_independent"] == 203


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_few_classes_and_pictures_are_valid_json(classes, recwarn):
    y_true = np.arange(classes)
    score = evaluate(y_true, np.eye(classes, dtype=np.float32)[y_true], CLASSES[:classes])
    assert json.loads(json.dumps(score, allow_nan=False)) == score
    assert score["top3"] == score["kappa"] == 1 and not recwarn.list
    assert score["top1_interval"][0] < 0.5, "two pictures don't make a model infallible"
    assert score["average_per_class_interval"] is None, "too few pictures for an interval"


def test_scores_of_one_class_are_valid_json_though_kappa_is_not_defined(recwarn):
    score = evaluate(np.zeros(30, int), np.tile([0.9, 0.1], (30, 1)), CLASSES[:2])
    assert json.loads(json.dumps(score, allow_nan=False)) == score and not recwarn.list
    assert score["kappa"] is score["roc_auc"] is score["per_class"]["frog"] is None
    assert score["top1"] == score["average_per_class"] == 1


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (0, 0, 0, 1)],
)
def test_interval_is_wilsons(right, n, low, high):
    assert intervals.wilson_interval(right, n) == pytest.approx([low, high], abs=5e-5)


def test_confusions_are_listed_most_frequent_first_and_ties_in_class_order():
    matrix = np.array([[9, 1, 3, 0], [2, 5, 0, 3], [0, 0, 4, 0], [0, 0, 0, 0]])
    table = metrics.list_confusions(matrix, CLASSES, 3)
    assert table.values.tolist() == [
        ["bird", "newt", 3, 3 / 13],
        ["frog", "shell", 3, 0.3],
        ["frog", "bird", 2, 0.2],
    ]
    assert len(metrics.list_confusions(matrix, CLASSES, 99)) == 4
    assert metrics.list_confusions(np.diag([3, 2]), CLASSES[:2], 5).empty
    counted = metrics.count_confusions(Y_TRUE, Y_PRED, 4)
    assert counted.tolist() == [[3, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_areas_of_tied_probabilities_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 3, 300), rng.dirichlet(np.ones(4), 300).round(1)
    areas = metrics.measure_areas(y_true, y_prob)
    # No picture is of the fourth class: it has no curve.
    one_hot = np.eye(4)[y_true][:, :3]
    assert areas["roc_auc"] == pytest.approx(expected.roc_auc_score(one_hot, y_prob[:, :3]))
    precision = expected.average_precision_score(one_hot, y_prob[:, :3])
    assert areas["pr_auc"] == pytest.approx(precision)


@pytest.mark.parametrize("kind", simulations.SETS)
@pytest.mark.parametrize("model", simulations.MODELS)
@pytest.mark.parametrize("n", [40, 240])
def test_intervals_hold_the_truth_as_often_as_they_say(kind, model, n):
    reports = 120
    for name, (held, shown) in simulations.cover_scores(kind, n, model, reports, 40_000).items():
        # What is missed may be a score of chance: three deviations; a cautious interval is no lie.
        slack = 3 * np.sqrt(0.95 * 0.05 / max(shown * reports, 1))
        assert shown < 0.5 or held >= 0.95 - slack - 0.02, name
        assert shown == 1 or name == "average_per_class"


@pytest.mark.parametrize(("classes", "each"), [(200, 1), (50, 1), (2, [38, 2])])
def test_one_picture_a_class_is_too_few_for_an_interval_of_the_average(classes, each):
    rng, y_true = np.random.default_rng(0), np.repeat(np.arange(classes), each)
    y_prob = rng.dirichlet(np.ones(classes), len(y_true))
    y_prob[np.arange(len(y_true)), y_true] += rng.random(len(y_true)) > 0.4
    y_prob /= y_prob.sum(axis=1, keepdims=True)
    score = evaluate(y_true, y_prob, [str(k) for k in range(classes)])
    assert score["average_per_class_interval"] is None
    assert score["top1_interval"][0] < score["top1"] < score["top1_interval"][1]


def test_groups_are_counted_as_groups():
    for name, (told, untold) in simulations.cover_groups(60, 40_000).items():
        assert told >= 0.85 > untold, name
    groups = np.repeat(np.arange(20), 5)
    score = evaluate(groups % 2, np.eye(2)[groups // 2 % 2], ["a", "b"], groups)
    assert score["n"] == 100 and score["groups"] == 20
    assert score["n_independent"] == pytest.approx(19, abs=1)


@pytest.mark.parametrize(("count", "size"), [(1, 30), (2, 20), (3, 20), (5, 3), (10, 20), (50, 3)])
def test_few_groups_tell_no_more_than_they_can(count, size):
    rng, held, groups = np.random.default_rng(0), 0, np.repeat(np.arange(count), size)
    for _ in range(200):
        right = rng.random(count * size) < rng.random(count)[groups]
        low, high = intervals.find_share_interval(right, groups)
        held += low <= 0.5 <= high
    assert held / 200 >= 0.92
    assert count > 1 or (low, high) == (0, 1), "of one group nothing tells how others would be"


def test_baseline_is_the_commonest_class():
    y_true = np.repeat([0, 1], [190, 10])
    score = evaluate(y_true, np.eye(2)[np.zeros(200, int)], ["often", "rare"])
    assert score["commonest"] == "often" and score["baseline"] == score["top1"] == 0.95
    assert score["average_per_class"] == 0.5


@pytest.mark.parametrize(("groups", "members"), [(1, 24), (2, 12), (3, 8)])
def test_few_groups_a_class_are_too_few_for_intervals_of_its_scores(groups, members):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(10 * groups), members)
    y_true = group // groups
    answer = np.where(rng.random(10 * groups) < 0.5, np.arange(10 * groups) // groups, 0)
    score = evaluate(y_true, np.eye(10)[answer[group]], list("abcdefghij"), group)
    assert score["average_per_class_interval"] is None
    low, high = score["top1_interval"]
    assert high - low > 0.2, "30 groups at most, whatever the number of pictures"
