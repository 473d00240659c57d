import html
import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import binomtest, fisher_exact
from sklearn import metrics as expected

from lib.judging import metrics

CLASSES = ["bird", "frog", "newt", "shell"]
Y_TRUE = np.array([0, 0, 0, 0, 1, 1, 2])  # no shell at all
Y_PRED = np.array([0, 0, 0, 1, 1, 3, 0])


def make_right(*pattern):
    return np.repeat([flag == "1" for flag, _ in pattern], [count for _, count in pattern])


def test_scores_equal_those_computed_by_hand():
    score = metrics.evaluate(Y_TRUE, np.eye(4)[Y_PRED], CLASSES)
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
    score, y_pred = metrics.evaluate(y_true, y_prob, CLASSES), y_prob.argmax(axis=1)
    assert score["top1"] == pytest.approx(expected.accuracy_score(y_true, y_pred))
    assert score["top3"] == pytest.approx(expected.top_k_accuracy_score(y_true, y_prob, k=3))
    for name in ("average_per_class", "balanced_accuracy"):
        assert score[name] == pytest.approx(expected.balanced_accuracy_score(y_true, y_pred))
    for average in ("macro", "weighted"):
        f1 = expected.f1_score(y_true, y_pred, average=average)
        assert score[f"{average}_f1"] == pytest.approx(f1)
    assert score["kappa"] == pytest.approx(expected.cohen_kappa_score(y_true, y_pred))
    assert score["nll"] == pytest.approx(expected.log_loss(y_true, y_prob))
    assert score["brier"] == pytest.approx(((y_prob - np.eye(4)[y_true]) ** 2).sum(axis=1).mean())
    recall = expected.recall_score(y_true, y_pred, average=None)
    assert list(score["per_class"].values()) == pytest.approx(recall)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_few_classes_and_pictures_are_valid_json(classes, recwarn):
    y_true = np.arange(classes)
    score = metrics.evaluate(y_true, np.eye(classes, dtype=np.float32)[y_true], CLASSES[:classes])
    assert json.loads(json.dumps(score, allow_nan=False)) == score
    assert score["top3"] == score["kappa"] == 1 and not recwarn.list
    low, high = score["average_per_class_interval"]
    assert low < 1 and high == 1, "two pictures don't make a model infallible"


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


def test_unpaired_test_does_not_establish_the_claim_of_the_report():
    right = [round(0.3556 * 2002), round(0.3357 * 2002)]
    p_value = fisher_exact([[k, 2002 - k] for k in right]).pvalue
    assert p_value == pytest.approx(0.19, abs=0.005)


def draw_pairs(rng, only_a, only_b, n=240):
    """Return whether two models are right, which differ on these shares of pictures."""
    kind = rng.choice(4, n, p=[only_a, only_b, 0.4, 0.6 - only_a - only_b])
    return np.isin(kind, [0, 2]), np.isin(kind, [1, 2])


def share_covered(intervals, truth):
    return np.mean([low - 1e-12 <= truth <= high + 1e-12 for low, high in intervals])


@pytest.mark.parametrize(("n", "share"), [(240, 0.32), (240, 0.65), (2002, 0.35)])
def test_wilson_intervals_cover_the_truth(n, share):
    drawn = np.random.default_rng(1).binomial(n, share, 2000)
    interval = {k: metrics.wilson_interval(k, n) for k in set(drawn)}
    assert 0.93 <= share_covered([interval[k] for k in drawn], share) <= 0.97


@pytest.mark.parametrize(("per_class", "middle"), [(24, 0.35), (24, 0.65), (24, 0.95), (8, 0.5)])
def test_bootstrap_intervals_of_the_average_cover_the_truth(per_class, middle, monkeypatch):
    monkeypatch.setattr(metrics, "DRAWS", 1000)
    recall = middle + np.linspace(-1, 1, 10) * min(0.3, 0.99 - middle)
    support = np.full(10, per_class)
    right = np.random.default_rng(2).binomial(support, recall, (2000, 10))
    intervals = [metrics.bootstrap_average(row, support) for row in right]
    assert 0.93 <= share_covered(intervals, recall.mean()) <= 0.97


@pytest.mark.parametrize(("only_a", "only_b"), [(0.15, 0.12), (0.4, 0.06), (0.05, 0.05)])
def test_bootstrap_intervals_of_the_difference_cover_the_truth(only_a, only_b, monkeypatch):
    monkeypatch.setattr(metrics, "DRAWS", 1000)
    rng = np.random.default_rng(3)
    pairs = [draw_pairs(rng, only_a, only_b) for _ in range(2000)]
    intervals = [metrics.bootstrap_difference(*pair) for pair in pairs]
    assert 0.93 <= share_covered(intervals, only_a - only_b) <= 0.97


def test_mcnemar_test_raises_few_false_alarms():
    rng = np.random.default_rng(4)
    p_values = [metrics.compare_pair(*draw_pairs(rng, 0.15, 0.15))[1] for _ in range(2000)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.055


def test_three_equal_models_are_rarely_told_apart_anywhere(monkeypatch):
    monkeypatch.setattr(metrics, "DRAWS", 10)
    rng, alarms = np.random.default_rng(5), 0
    for _ in range(400):
        pairs = metrics.compare_pairs(dict(zip("abc", rng.random((3, 240)) < 0.4)))
        alarms += (pairs.p_holm < 0.05).any()
    assert alarms / 400 <= 0.055


def test_pairs_are_corrected_after_holm():
    right = {"good": make_right(("1", 20)), "poor": make_right(("0", 20))}
    right |= {"even": make_right(("1", 10), ("0", 10)), "slight": make_right(("1", 14), ("0", 6))}
    pairs = metrics.compare_pairs(right)
    assert list(pairs.model[:3]) == ["good"] * 3 and list(pairs.other[:3]) == [
        "slight",
        "even",
        "poor",
    ]
    p_value = [binomtest(0, count).pvalue for count in (6, 10, 20, 4, 14, 10)]
    assert list(pairs.p_value) == pytest.approx(p_value)
    # Sorted: 20, 14, 10, 10, 6, 4 pictures that only the better model recognises.
    steps = [binomtest(0, n).pvalue * k for n, k in [(20, 6), (14, 5), (10, 4), (10, 3), (6, 2)]]
    steps[3] = steps[2]
    by_size = dict(zip((20, 14, 10, 6), np.delete(steps, 3))) | {4: binomtest(0, 4).pvalue}
    assert list(pairs.p_holm) == pytest.approx([by_size[n] for n in (6, 10, 20, 4, 14, 10)])


def test_order_is_claimed_only_where_it_is_established():
    even = make_right(("1", 10), ("0", 10))
    poor, good = np.zeros(20, bool), np.ones(20, bool)
    (sentence,) = metrics.describe_pairs(metrics.compare_pairs({"one": even, "two": even}))
    assert sentence.startswith("one and two can't be told apart on 20 pictures: difference 0.000 (")
    assert "better" not in sentence and sentence.endswith("p = 1 (exact McNemar, Holm).")
    (sentence,) = metrics.describe_pairs(metrics.compare_pairs({"poor": poor, "good": good}))
    assert sentence.startswith("good is better than poor by 1.000 (")
    assert sentence.endswith("p < 0.0001 (exact McNemar, Holm).")
    # 6 of 6: p = 0.031 convinces once, but not as one of three comparisons.
    slight = make_right(("1", 6), ("0", 14))
    pairs = metrics.compare_pairs({"slight": slight, "poor": poor})
    assert "better" in metrics.describe_pairs(pairs)[0] and pairs.low[0] > 0
    crowd = metrics.compare_pairs({"slight": slight, "poor": poor, "none": poor})
    sentences = metrics.describe_pairs(crowd)
    assert not any("better" in sentence for sentence in sentences) and len(sentences) == 3
    assert metrics.describe_pairs(metrics.compare_pairs({"alone": even})) == []


def test_verdict_says_who_leads_what_is_established_and_what_to_beware_of():
    y_true = np.arange(200) % 2
    sure, guess = np.array([[0.98, 0.02], [0.02, 0.98]]), np.array([[0.9, 0.1], [0.9, 0.1]])
    answers = {"guess": guess[y_true], "again": guess[1 - y_true], "good": sure[y_true]}
    scores = {label: metrics.evaluate(y_true, p, ["a", "b"]) for label, p in answers.items()}
    right = {label: p.argmax(axis=1) == y_true for label, p in answers.items()}
    first, second, third = metrics.describe_verdict(scores, metrics.compare_pairs(right))
    assert first.startswith("good scores highest: it recognises 1.000 of 200") and "0.500" in first
    assert second == ("good is better than guess and again; guess and again can't be told apart.")
    assert "0.980, which is too low" in third
    alone = {"guess": scores["guess"]}
    first, second, third = metrics.describe_verdict(alone, metrics.compare_pairs({"guess": y_true}))
    assert "does not rule out" in first and "no other model" in second
    assert "0.900, which is too high (expected calibration error 0.400)" in third


def test_calibration_error_equals_the_mean_gap_over_bins_counted_one_by_one():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 4, 203), rng.dirichlet(np.ones(4), 203)
    confidence, right, total = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true, 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.measure_calibration(y_true, y_prob)["ece"] == pytest.approx(total / 203)
    bins = metrics.bin_confidences(y_true, y_prob)
    assert bins.pictures.sum() == 203 and (bins.low <= bins.accuracy).all()


def test_temperature_of_an_overconfident_model_is_found_and_heals_it():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 5))
    y_true = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    y_prob = softmax(logits * 3, axis=1).astype(np.float32)
    judged = metrics.judge_temperature(y_true, y_prob)
    assert judged["temperature"] == pytest.approx(3, rel=0.1)
    assert judged["ece_before"] > 0.15 and judged["ece_after"] < 0.04
    assert judged["nll_after"] < judged["nll_before"]
    assert judged == metrics.judge_temperature(y_true, y_prob)
    softened = metrics.soften(y_prob, judged["temperature"])
    assert (softened.argmax(axis=1) == y_prob.argmax(axis=1)).all()
    # One picture of a class, and probabilities that float32 rounded to 0 and 1.
    certain = metrics.judge_temperature(np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]])
    assert np.isfinite(list(certain.values())).all()


def test_escaped_names_are_shown_as_they_are_by_markdown_and_html():
    name = "<img src=x onerror=alert(1)> **b** `c` [d](e) $f$ _g_ h_i a\nb & \\"
    text = metrics.escape_text(name)
    assert not set(text) & set("<>*`[]$\\\n=") and "h_i" in text
    assert html.unescape(text) == name.replace("\n", " ")


@pytest.mark.parametrize(
    ("names", "text"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")]
)
def test_names_are_joined_as_people_do(names, text):
    assert metrics.join_names(names) == text
    assert metrics.join_names("abcde") == "a, b, c and 2 more"


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
