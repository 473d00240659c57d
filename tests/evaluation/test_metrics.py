import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from lib.evaluation import metrics
from lib.evaluation.intervals import wilson_interval

CLASSES = ["bird", "frog", "newt", "shell"]


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1])
    y_prob = rng.dirichlet(np.ones(4), 203)
    y_pred = y_prob.argmax(axis=1)
    is_class = np.eye(4)[y_true]
    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))
    same = {
        "top1": sklearn.accuracy_score(y_true, y_pred),
        "top3": sklearn.top_k_accuracy_score(y_true, y_prob, k=3),
        "average_per_class": sklearn.balanced_accuracy_score(y_true, y_pred),
        "macro_f1": sklearn.f1_score(y_true, y_pred, average="macro"),
        "weighted_f1": sklearn.f1_score(y_true, y_pred, average="weighted"),
        "kappa": sklearn.cohen_kappa_score(y_true, y_pred),
        "nll": sklearn.log_loss(y_true, y_prob),
        "brier": ((y_prob - is_class) ** 2).sum(axis=1).mean(),
        "roc_auc": sklearn.roc_auc_score(y_true, y_prob, multi_class="ovr"),
        "pr_auc": sklearn.average_precision_score(is_class, y_prob),
        "baseline": (y_true == 0).mean(),
    }
    found = {name: score[name] for name in same}
    assert found == pytest.approx(same)
    assert score["majority_class"] == "bird"
    by_class = sklearn.precision_recall_fscore_support(y_true, y_pred)
    for name, values in zip(("precision", "per_class", "f1"), by_class):
        assert list(score[name].values()) == pytest.approx(values)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_few_pictures_are_valid_json(classes, recwarn):
    y_prob = np.eye(classes, dtype=np.float32)
    every = np.arange(classes)
    score = metrics.evaluate(every, y_prob, CLASSES[:classes], every)
    assert not recwarn.list
    assert json.loads(json.dumps(score, allow_nan=False)) == score
    assert score["top1"] == score["kappa"] == score["roc_auc"] == 1
    assert score["top1_interval"][0] < 0.9, "few pictures don't make a model infallible"


def test_every_interval_is_wilsons_of_as_many_pictures_as_the_groups_are_worth():
    groups = np.repeat(np.arange(50), [20] * 10 + [1] * 40)
    y_true = groups % 2
    y_prob = np.eye(2)[np.where(groups < 47, y_true, 1 - y_true)]
    score = metrics.evaluate(y_true, y_prob, "ab", groups)
    assert score["n"] == 240
    assert score["effective_n"] == pytest.approx(57600 / 4040)
    assert score["top1_interval"] == wilson_interval(237 / 240, 57600 / 4040)
    # Of each class five bursts and twenty single pictures.
    expected_interval = wilson_interval(score["per_class"]["a"], 120**2 / 2020)
    assert score["per_class_interval"]["a"] == pytest.approx(expected_interval)
    assert "average_per_class_interval" not in score


Y_PROB = np.array([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99], [0.7, 0.3], [0.2, 0.8]])
GROUPS = np.array(["b", "b", "b", "a", "c"])


def test_group_answers_by_the_mean_of_logarithms():
    pooled = metrics.pool_groups(Y_PROB, GROUPS)
    of_b = np.exp(np.log(Y_PROB[:3]).mean(axis=0))
    # Two of three are outvoted by one that is sure.
    assert of_b.argmax() == 1
    assert pooled[:3] == pytest.approx(np.tile(of_b / of_b.sum(), (3, 1)))
    assert pooled[3:] == pytest.approx(Y_PROB[3:])


def test_answers_of_groups_stand_beside_those_of_their_own_pictures():
    score = metrics.score_groups(np.ones(5, int), Y_PROB, GROUPS)
    # Of b one of three pictures is right, a is wrong, c is right.
    assert score["groups"] == 3
    assert score["by_group"] == pytest.approx(2 / 3)
    assert score["by_picture"] == pytest.approx((1 / 3 + 0 + 1) / 3)


def test_a_group_of_two_classes_has_no_truth_and_without_groups_nothing_is_said():
    y_true = np.array([0, 1, 1, 1, 1])
    assert metrics.score_groups(y_true, Y_PROB, GROUPS)["groups"] == 2
    assert metrics.score_groups(y_true, Y_PROB, np.arange(5)) == {}


def test_where_pooling_changes_nothing_groups_and_pictures_score_the_same():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), np.where(np.arange(60) % 2, 1, 12))
    y_true = groups % 3
    # All pictures of a group have one answer, and large groups are harder.
    right = rng.random(60) < np.where(np.arange(60) % 2, 0.9, 0.4)
    y_pred = np.where(right[groups], y_true, (y_true + 1) % 3)
    score = metrics.score_groups(y_true, np.eye(3)[y_pred] * 0.7 + 0.1, groups)
    assert score["by_group"] == pytest.approx(right.mean())
    assert score["by_picture"] == pytest.approx(right.mean())
    assert right[groups].mean() < right.mean() - 0.1
