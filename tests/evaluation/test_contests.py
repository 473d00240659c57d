"""Candidates on the same folds: how rarely a difference is claimed that is none, and the choice."""

import numpy as np
import pandas as pd
import pytest
import simulations
from scipy import stats

from lib.evaluation import contests
from lib.models import linear


def judge(accuracies, speeds, n=200, reasons=()):
    """Judge candidates whose held-out answers have the mean of their accuracies."""
    folds = {}
    y_prob = {}
    for name, values in accuracies.items():
        folds[name] = np.array(values)
        is_right = np.arange(n) < round(folds[name].mean() * n)
        y_prob[name] = np.stack([is_right, ~is_right], axis=1)[np.newaxis]
    facts = pd.DataFrame({"candidate": list(accuracies), "reason": ""})
    facts["pictures_per_second"] = speeds
    gone = pd.DataFrame({"candidate": reasons, "reason": "gone"})
    facts = pd.concat([facts, gone], ignore_index=True)
    y_true = np.zeros(n, int)
    return contests.judge_candidates(facts, y_true, y_prob, folds, np.arange(n))


NEAR = {
    "small": [[0.88, 0.90, 0.91, 0.89, 0.90]],
    "large": [[0.90, 0.90, 0.92, 0.89, 0.91]],
    "weak": [[0.60, 0.62, 0.61, 0.60, 0.62]],
}


def test_best_and_cheapest_are_chosen_among_those_that_take_part():
    table = judge(NEAR, [50, 10, 900], reasons=["absent"])
    assert list(table.candidate) == ["large", "small", "weak", "absent"]
    assert contests.choose_candidate(table, "best") == "large"
    assert contests.choose_candidate(table, "cheapest") == "small"
    assert np.isnan(table.p_holm[0])
    assert table.p_holm[1] > 0.05 > table.p_holm[2]
    assert table.difference_low[1] < 0 < table.difference_high[1]
    assert table.difference_high[2] < 0
    assert table.n.isna().tolist() == [False, False, False, True]
    assert table.reason[3] == "gone"
    said = contests.describe_contest(table)
    assert "better than weak; these pictures are too few" in said


def test_of_equals_the_faster_is_best_and_one_alone_is_compared_with_nobody():
    table = judge({"slow": [[0.9, 0.8]], "fast": [[0.9, 0.8]]}, [10, 20])
    assert contests.choose_candidate(table, "best") == "fast"
    assert table.p_holm[1] == 1 and table.difference[1] == 0
    table = judge({"only": [[0.9, 0.8]]}, [10])
    assert contests.choose_candidate(table, "cheapest") == "only"
    assert "no other" in contests.describe_contest(table)


def test_who_is_better_on_average_over_the_folds_is_never_called_worse():
    table = judge({"a": [[0.9, 0.9]], "b": [[0.8, 0.8]]}, [10, 20])
    table["difference"] = [np.nan, 0.03]
    table["p_holm"] = [np.nan, 1e-6]
    said = contests.describe_contest(table)
    assert "too few to say whether it is better than b" in said
    assert contests.choose_candidate(table, "cheapest") == "b"


def test_corrected_test_is_that_of_nadeau_and_bengio():
    a = np.array([[0.80, 0.84, 0.79, 0.83, 0.81], [0.82, 0.80, 0.83, 0.81, 0.80]])
    b = a - np.array([[0.02, 0.01, 0.03, 0.00, 0.02], [0.01, 0.03, 0.02, 0.01, 0.00]])
    (row,) = contests.compare_folds({"a": a, "b": b}, "a").itertuples()
    gaps = (b - a).ravel()
    statistic = gaps.mean() / np.sqrt((1 / 10 + 1 / 4) * gaps.var(ddof=1))
    assert row.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), 9))
    middle = (row.difference_low + row.difference_high) / 2
    assert middle == pytest.approx(gaps.mean()) == pytest.approx(row.difference)
    assert (row.difference_high < 0) == (row.p_holm < 0.05)


@pytest.fixture
def describe_classes(monkeypatch):
    """Say of ten classes, by so much apart, whether more pictures would help."""

    def describe(distance: float, per_class: int):
        monkeypatch.setattr(contests, "SHARES", (0.5, 1.0))
        rng = np.random.default_rng(0)
        n = 10 * per_class
        y_true = np.repeat(np.arange(10), per_class)
        centres = distance * rng.normal(size=(10, 30))
        features = (centres[y_true] + rng.normal(size=(n, 30))).astype(np.float32)
        table = contests.learning_curve(features, y_true, 10, np.arange(n), seed=0)
        return table, contests.describe_learning_curve(table)

    return describe


def test_more_pictures_are_said_to_help_where_half_of_them_were_surely_worse(
    describe_classes,
):
    table, sentence = describe_classes(0.5, 12)
    assert table.pictures.tolist() == [60, 120]
    assert table.n.tolist() == [120, 120]
    assert table.accuracy.between(table.low, table.high).all()
    half, whole = table.itertuples()
    assert half.p_holm == half.p_value < 0.05
    assert half.difference == pytest.approx(half.accuracy - whole.accuracy)
    assert contests.is_rising(table)
    assert f"rose by {whole.accuracy - half.accuracy:.3f} (0." in sentence


def test_nothing_is_claimed_of_pictures_that_are_too_few_or_too_easy(describe_classes):
    table, sentence = describe_classes(3, 6)
    assert not contests.is_rising(table)
    assert "not established" in sentence


def test_a_fall_is_no_rise_and_is_told_with_its_sign():
    row = {"share": 0.5, "pictures": 60, "difference": 0.02, "p_holm": 0.01}
    row |= {"difference_low": 0.01, "difference_high": 0.03}
    table = pd.DataFrame([row, {"share": 1.0, "pictures": 120}])
    sentence = contests.describe_learning_curve(table)
    assert not contests.is_rising(table)
    assert "−0.020 (−0.030 to −0.010)" in sentence
    assert "rose" not in sentence


def test_learning_curve_tries_each_share_and_names_what_cannot_be_tried(
    monkeypatch, capsys
):
    shares = []

    def cross_validate(features, y_true, *task, repeats, train_mask, **options):
        shares.append(train_mask.mean())
        if train_mask.mean() < 0.25:
            raise ValueError("too few")
        y_prob = np.tile(np.eye(2)[y_true], (repeats, 1, 1))
        return linear.HeldOut(y_prob, np.ones((repeats, 5)), None, None)

    monkeypatch.setattr(contests.linear, "cross_validate", cross_validate)
    y_true = np.arange(200) % 2
    features = np.zeros((200, 3))
    table = contests.learning_curve(features, y_true, 2, np.arange(200), seed=0)
    assert shares == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.7, 1.0])
    assert table.share.tolist() == [0.4, 0.5, 0.7, 1.0]
    assert table.pictures.tolist() == [80, 100, 140, 200]
    printed = capsys.readouterr().out
    assert "Note: 10 % of the pictures can't be tried: too few" in printed
    # Half of them say nothing without all, and all say nothing without half.
    alone = table[table.share == 1][["share", "pictures", "accuracy"]]
    few = contests.describe_learning_curve(alone)
    assert few == "These pictures are too few to try half of them."
    assert not contests.is_rising(alone)


def test_a_true_rise_is_seen_by_its_pictures_more_often_than_by_its_folds():
    assert simulations.claim_rise(0, 200) <= 0.05
    assert simulations.claim_rise(0.1, 200) > 0.6
