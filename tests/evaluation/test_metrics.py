"""Scores of a model, and answers of groups."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn import metrics as sklearn

from lib.evaluation import metrics, pooling
from lib.evaluation.intervals import wilson_interval
from lib.models.record import Record

CLASSES = ["bird", "frog", "newt", "shell"]


def judge(y_true, y_prob, groups=None, **facts):
    """Score a model of the first of four classes, of which a record has further facts."""
    record = Record("cnn", CLASSES[: y_prob.shape[1]], 8, **facts)
    if groups is None:
        groups = np.arange(len(y_true))
    return metrics.evaluate(y_true, y_prob, groups, record)


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1])
    y_prob = rng.dirichlet(np.ones(4), 203)
    y_pred = y_prob.argmax(axis=1)
    expected = {
        "label": "cnn",
        "n": 203,
        "top1": sklearn.accuracy_score(y_true, y_pred),
        "average_per_class": sklearn.balanced_accuracy_score(y_true, y_pred),
        "macro_f1": sklearn.f1_score(y_true, y_pred, average="macro"),
        "majority_class": "bird",
        "baseline": np.mean(y_true == 0),
    }
    of_classes = sklearn.precision_recall_fscore_support(y_true, y_pred)

    score = judge(y_true, y_prob)

    found = {name: getattr(score, name) for name in expected}
    assert found == pytest.approx(expected)
    for name, values in zip(("precision", "per_class", "f1", "support"), of_classes):
        assert getattr(score, name) == pytest.approx(dict(zip(CLASSES, values)))
    recalls = [score.per_class[name] for name in score.worst_first]
    assert recalls == sorted(recalls)


def test_scores_of_two_pictures_are_valid_json_though_one_is_surely_wrong(recwarn):
    score = asdict(judge(np.arange(2), np.float32([[1, 0], [1, 0]])))

    assert not recwarn.list
    text = json.dumps(score, allow_nan=False)
    assert json.loads(text) == score


def test_every_interval_is_that_of_as_many_pictures_as_the_groups_are_worth():
    # Ten bursts of 20 and 40 single pictures, of which the last three are mistaken.
    groups = np.repeat(np.arange(50), [20] * 10 + [1] * 40)
    y_true = groups % 2
    y_pred = np.where(groups < 47, y_true, 1 - y_true)
    n = 240**2 / (10 * 20**2 + 40)
    # Half of both are birds, and one of their 120 pictures is mistaken.
    n_of_birds = 120**2 / (5 * 20**2 + 20)

    score = judge(y_true, np.eye(2)[y_pred], groups)

    assert score.effective_n == pytest.approx(n)
    assert score.top1_interval == wilson_interval(237 / 240, n, n - 1)
    expected = wilson_interval(119 / 120, n_of_birds, n_of_birds - 1)
    assert score.per_class_interval["bird"] == expected


def test_answer_of_the_right_parent_is_a_mistake_within_it_as_chance_would_make_some():
    # Ten bursts of two: six are right, three in another class of the same parent.
    groups = np.repeat(np.arange(10), 2)
    y_true = np.repeat([0, 1, 2, 3, 0, 1, 0, 1, 2, 3], 2)
    y_pred = np.repeat([0, 1, 2, 3, 0, 1, 1, 0, 1, 2], 2)
    parents = {"bird": "Vertebrata", "frog": "Vertebrata"}
    parents |= {"newt": "Vertebrata", "Vertebrata": "Animalia"}

    score = judge(y_true, np.eye(4)[y_pred], groups, parents=parents)

    assert score.parents == metrics.ParentScore(
        accuracy=0.9,
        interval=pytest.approx(wilson_interval(0.9, 10, 9)),
        mistakes=8,
        mistakes_within=6,
        # Two of the other three classes have the parent of six mistakes.
        chance_within=pytest.approx(6 * 2 / 3),
    )


# The odds of the first class are 2, 2 and 1 / 32 in "b": their geometric mean is 1 / 2.
OF_FIRST = np.array([2 / 3, 2 / 3, 1 / 33, 0.7, 0.2])
Y_PROB = np.stack([OF_FIRST, 1 - OF_FIRST], axis=1)
GROUPS = np.array(["b", "b", "b", "a", "c"])


def test_a_group_has_the_answer_with_the_highest_mean_of_its_logarithms():
    pooled = pooling.pool_groups(Y_PROB, GROUPS)

    # One picture of "b" outvotes the others.
    assert pooled.argmax(axis=1).tolist() == [1, 1, 1, 0, 1]
    assert pooled[:3, 0] == pytest.approx(1 / 3)
