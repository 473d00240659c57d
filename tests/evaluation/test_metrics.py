"""Scores equal those of scikit-learn; groups count as much as they are worth."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from lib.evaluation import metrics
from lib.evaluation.intervals import wilson_interval

CLASSES = ["bird", "frog", "newt", "shell"]


@pytest.fixture
def drawn():
    """The classes of 203 pictures, and probabilities that know nothing of them."""
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1])
    y_prob = rng.dirichlet(np.ones(4), 203)
    return y_true, y_prob


def test_scores_equal_those_of_scikit_learn(drawn):
    y_true, y_prob = drawn
    y_pred = y_prob.argmax(axis=1)
    is_class = np.eye(4)[y_true]
    distances = (y_prob - is_class) ** 2
    expected = {
        "n": 203,
        "top1": sklearn.accuracy_score(y_true, y_pred),
        "top3": sklearn.top_k_accuracy_score(y_true, y_prob, k=3),
        "average_per_class": sklearn.balanced_accuracy_score(y_true, y_pred),
        "macro_f1": sklearn.f1_score(y_true, y_pred, average="macro"),
        "weighted_f1": sklearn.f1_score(y_true, y_pred, average="weighted"),
        "kappa": sklearn.cohen_kappa_score(y_true, y_pred),
        "nll": sklearn.log_loss(y_true, y_prob),
        "brier": distances.sum() / 203,
        "roc_auc": sklearn.roc_auc_score(y_true, y_prob, multi_class="ovr"),
        "pr_auc": sklearn.average_precision_score(is_class, y_prob),
        "majority_class": "bird",
        "baseline": np.mean(y_true == 0),
    }

    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))

    found = {name: score[name] for name in expected}
    assert found == pytest.approx(expected)


def test_scores_of_classes_equal_those_of_scikit_learn(drawn):
    y_true, y_prob = drawn
    y_pred = y_prob.argmax(axis=1)
    expected = sklearn.precision_recall_fscore_support(y_true, y_pred)

    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))

    for name, values in zip(("precision", "per_class", "f1", "support"), expected):
        by_class = dict(zip(CLASSES, values))
        assert score[name] == pytest.approx(by_class)


def test_scores_of_two_pictures_are_valid_json(recwarn):
    every = np.arange(2)

    score = metrics.evaluate(every, np.eye(2, dtype=np.float32), "ab", every)

    assert not recwarn.list
    text = json.dumps(score, allow_nan=False)
    assert json.loads(text) == score
    assert score["top1"] == score["kappa"] == score["roc_auc"] == 1


def test_every_interval_is_wilsons_of_as_many_pictures_as_the_groups_are_worth():
    # Ten bursts of 20 and 40 single pictures, of which the last three are mistaken.
    groups = np.repeat(np.arange(50), [20] * 10 + [1] * 40)
    y_true = groups % 2
    y_pred = np.where(groups < 47, y_true, 1 - y_true)
    n = 240**2 / (10 * 20**2 + 40)
    # Half of both are of the class "a", and one of its 120 pictures is mistaken.
    n_of_a = 120**2 / (5 * 20**2 + 20)

    score = metrics.evaluate(y_true, np.eye(2)[y_pred], "ab", groups)

    assert score["effective_n"] == pytest.approx(n)
    assert score["top1_interval"] == wilson_interval(237 / 240, n)
    assert score["per_class_interval"]["a"] == wilson_interval(119 / 120, n_of_a)


# The odds of the first class are 2, 2 and 1 / 32 in "b": their geometric mean is 1 / 2.
OF_FIRST = np.array([2 / 3, 2 / 3, 1 / 33, 0.7, 0.2])
Y_PROB = np.stack([OF_FIRST, 1 - OF_FIRST], axis=1)
GROUPS = np.array(["b", "b", "b", "a", "c"])


def test_group_answers_by_the_mean_of_logarithms():
    pooled = metrics.pool_groups(Y_PROB, GROUPS)

    assert pooled[:, 0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.7, 0.2])


def test_answers_of_groups_stand_beside_those_of_their_own_pictures():
    score = metrics.score_groups(np.ones(5, int), Y_PROB, GROUPS)

    # One picture of "b" is right, which outvotes the others; "a" is wrong, "c" right.
    by_picture = (1 / 3 + 0 + 1) / 3
    expected = {"groups": 3, "by_group": 2 / 3, "by_picture": by_picture}
    assert score == pytest.approx(expected)


def test_a_group_of_two_classes_has_no_truth():
    score = metrics.score_groups(np.array([0, 1, 1, 1, 1]), Y_PROB, GROUPS)

    assert score["groups"] == 2


def test_of_single_pictures_no_groups_are_scored():
    assert metrics.score_groups(np.ones(5, int), Y_PROB, np.arange(5)) == {}
