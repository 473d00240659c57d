import json

import numpy as np
import pytest
from sklearn import metrics as expected

from lib.evaluation import metrics
from lib.evaluation.intervals import wilson_interval

CLASSES = ["bird", "frog", "newt", "shell"]


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_prob = (
        rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1]),
        rng.dirichlet(np.ones(4), 203),
    )
    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))
    y_pred = y_prob.argmax(axis=1)
    assert score["top1"] == pytest.approx(expected.accuracy_score(y_true, y_pred))
    assert score["top3"] == pytest.approx(
        expected.top_k_accuracy_score(y_true, y_prob, k=3)
    )
    balanced = expected.balanced_accuracy_score(y_true, y_pred)
    assert score["average_per_class"] == pytest.approx(balanced)
    for average in ("macro", "weighted"):
        f1 = expected.f1_score(y_true, y_pred, average=average)
        assert score[f"{average}_f1"] == pytest.approx(f1)
    assert score["kappa"] == pytest.approx(expected.cohen_kappa_score(y_true, y_pred))
    assert score["nll"] == pytest.approx(expected.log_loss(y_true, y_prob))
    assert score["brier"] == pytest.approx(
        ((y_prob - np.eye(4)[y_true]) ** 2).sum(axis=1).mean()
    )
    area = expected.roc_auc_score(y_true, y_prob, multi_class="ovr")
    assert score["roc_auc"] == pytest.approx(area)
    precision = expected.average_precision_score(np.eye(4)[y_true], y_prob)
    assert score["pr_auc"] == pytest.approx(precision)
    precision, recall, f1, _ = expected.precision_recall_fscore_support(y_true, y_pred)
    for name, values in (("precision", precision), ("per_class", recall), ("f1", f1)):
        assert list(score[name].values()) == pytest.approx(values)
    assert (
        score["majority_class"] == "bird" and score["baseline"] == (y_true == 0).mean()
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_few_pictures_are_valid_json(classes, recwarn):
    y_prob = np.eye(classes, dtype=np.float32)
    score = metrics.evaluate(
        np.arange(classes), y_prob, CLASSES[:classes], np.arange(classes)
    )
    assert json.loads(json.dumps(score, allow_nan=False)) == score and not recwarn.list
    assert score["top1"] == score["top3"] == score["kappa"] == score["roc_auc"] == 1
    assert score["top1_interval"][0] < 0.9, "few pictures don't make a model infallible"


def test_every_interval_is_wilsons_of_as_many_pictures_as_the_groups_are_worth():
    groups = np.r_[np.repeat(np.arange(10), 20), 10 + np.arange(40)]
    y_true = groups % 2
    y_prob = np.eye(2)[np.where(groups < 47, y_true, 1 - y_true)]
    score = metrics.evaluate(y_true, y_prob, "ab", groups)
    assert score["n"] == 240 and score["effective_n"] == pytest.approx(57600 / 4040)
    assert score["top1_interval"] == wilson_interval(237 / 240, 57600 / 4040)
    # Of each class five bursts and twenty single pictures.
    expected_interval = wilson_interval(score["per_class"]["a"], 120**2 / 2020)
    assert score["per_class_interval"]["a"] == pytest.approx(expected_interval)
    assert not any(name.startswith("average_per_class_") for name in score), (
        "it has no interval"
    )


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
