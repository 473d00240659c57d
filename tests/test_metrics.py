import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from lib import metrics

CLASSES = ["bird", "frog", "newt", "shell"]
Y_TRUE = np.array([0, 0, 0, 0, 1, 1, 2])  # no shell at all
Y_PRED = np.array([0, 0, 0, 1, 1, 3, 0])


def make_right(*pattern):
    return np.repeat([flag == "1" for flag, _ in pattern], [count for _, count in pattern])


def test_scores_equal_those_computed_by_hand():
    score = metrics.evaluate(Y_TRUE, np.eye(4)[Y_PRED], CLASSES)
    assert score["top1"] == pytest.approx(4 / 7) and score["n"] == 7
    recall = score["per_class"]
    assert [recall[name] for name in CLASSES[:3]] == [0.75, 0.5, 0] and np.isnan(recall["shell"])
    # Every class with pictures counts the same, however many it has.
    assert score["average_per_class"] == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert score["per_class_interval"]["shell"] == [0, 1]
    low, high = score["top1_interval"]
    assert 0 < low < 4 / 7 < high < 1


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 4, 203), rng.dirichlet(np.ones(4), 203)
    score, y_pred = metrics.evaluate(y_true, y_prob, CLASSES), y_prob.argmax(axis=1)
    assert score["top1"] == pytest.approx(accuracy_score(y_true, y_pred))
    assert score["average_per_class"] == pytest.approx(balanced_accuracy_score(y_true, y_pred))
    expected = recall_score(y_true, y_pred, average=None)
    assert list(score["per_class"].values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (0, 0, 0, 1)],
)
def test_interval_is_wilsons(right, n, low, high):
    assert metrics.wilson_interval(right, n) == pytest.approx([low, high], abs=5e-5)


def test_mcnemar_test_equals_the_sum_of_binomial_terms():
    a = make_right(("1", 50), ("1", 8), ("0", 2), ("0", 40))
    b = make_right(("1", 50), ("0", 8), ("1", 2), ("0", 40))
    # 8 of 10 discordant pictures: 2 (1 + 10 + 45) / 2^10
    assert metrics.compare_pair(a, b) == pytest.approx((0.06, 2 * 56 / 1024))
    assert metrics.compare_pair(b, a) == pytest.approx((-0.06, 2 * 56 / 1024))
    assert metrics.compare_pair(a, a) == (0, 1)


def test_order_is_claimed_only_where_it_is_established():
    even = make_right(("1", 10), ("0", 10))
    poor, good = np.zeros(20, bool), np.ones(20, bool)
    (sentence,) = metrics.describe_order({"one": even, "two": even})
    assert "can't be told apart on 20 pictures" in sentence and "better" not in sentence
    (sentence,) = metrics.describe_order({"poor": poor, "good": good})
    assert sentence.startswith("good is better than poor, by 1.0000 (p < 0.0001)")
    sentences = metrics.describe_order({"poor": poor, "even": even, "good": good})
    assert [text.split(",")[0] for text in sentences] == [
        "good is better than even",
        "good is better than poor",
        "even is better than poor",
    ]
    # 6 of 6: p = 0.031 convinces once, but not as one of three comparisons.
    slight = make_right(("1", 6), ("0", 14))
    assert "better" in metrics.describe_order({"slight": slight, "poor": poor})[0]
    crowd = metrics.describe_order({"slight": slight, "poor": poor, "none": poor})
    assert not any("better" in sentence for sentence in crowd) and len(crowd) == 3


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ("frog", {"a": "frog", "b": "frog"}, "Every model is right."),
        ("frog", {"a": "newt", "b": "bird"}, "No model is right."),
        ("frog", {"a": "newt", "b": "frog"}, "b is right."),
        ("frog", {"a": "frog", "b": "newt", "c": "frog"}, "a and c are right."),
        ("", {"a": "frog", "b": "frog"}, "Truth unknown; the models agree on frog."),
        ("", {"a": "frog", "b": "newt"}, "Truth unknown; the models see 2 different classes."),
    ],
)
def test_agreement_says_which_models_are_right(truth, predicted, words):
    assert metrics.describe_agreement(truth, predicted) == words


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


@pytest.mark.parametrize("y_pred", [Y_PRED, np.zeros(7, int)])
def test_report_has_every_class_also_one_never_seen_or_predicted(y_pred, recwarn):
    text, table = metrics.report_classes(Y_TRUE, y_pred, CLASSES)
    assert not recwarn.list
    assert set(CLASSES) < set(table.index) and "accuracy" in table.index
    assert list(table.support[CLASSES]) == [4, 2, 1, 0]
    assert table.precision["newt"] == 0 and table.recall["bird"] == (y_pred[:4] == 0).mean()
    assert f"{(y_pred[Y_TRUE == 1] == 1).mean():.4f}" in text


def test_gap_says_how_far_training_is_from_validation():
    columns = ["epoch", "accuracy", "val_accuracy", "val_loss"]
    rows = [(1, 0.3, 0.4, 2.0), (2, 0.6, 0.5, 1.25), (3, 0.9, 0.45, 1.75)]
    text = metrics.describe_gap(pd.DataFrame(rows, columns=columns))
    for words in ("epoch 3", "0.900", "0.450 above", "lowest after epoch 2 (1.250)", "1.750"):
        assert words in text
    text = metrics.describe_gap(pd.DataFrame(rows[:1], columns=columns))
    assert "0.100 below" in text and "last one" in text
