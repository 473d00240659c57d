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


def test_group_answers_by_the_mean_of_logarithms():
    y_prob = np.array([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99], [0.7, 0.3], [0.2, 0.8]])
    groups = np.array(["b", "b", "b", "a", "c"])
    pooled = metrics.pool_groups(y_prob, groups)
    of_b = np.exp(np.log(y_prob[:3]).mean(axis=0))
    # Two of three are outvoted by one that is sure.
    assert (
        pooled[:3] == pytest.approx(np.tile(of_b / of_b.sum(), (3, 1)))
        and of_b.argmax() == 1
    )
    assert pooled[3:] == pytest.approx(y_prob[3:])
    score = metrics.score_groups(np.array([1, 1, 1, 1, 1]), y_prob, groups)
    assert score == {"groups": 3, "by_group": pytest.approx(2 / 3)}
    # A group of two classes has no truth; where each picture is its own, there is nothing to say.
    assert (
        metrics.score_groups(np.array([0, 1, 1, 1, 1]), y_prob, groups)["groups"] == 2
    )
    assert metrics.score_groups(np.array([0, 1, 1, 1, 1]), y_prob, np.arange(5)) == {}
