import numpy as np
import pytest
import simulations
from scipy.stats import binomtest, fisher_exact

from lib.evaluation import comparisons


def make_right(*pattern):
    return np.repeat([flag == "1" for flag, _ in pattern], [count for _, count in pattern])


def test_mcnemar_test_equals_the_sum_of_binomial_terms():
    a = make_right(("1", 50), ("1", 8), ("0", 2), ("0", 40))
    b = make_right(("1", 50), ("0", 8), ("1", 2), ("0", 40))
    # 8 of 10 discordant pictures: 2 (1 + 10 + 45) / 2^10
    assert comparisons.compare_pair(a, b) == pytest.approx((0.06, 2 * 56 / 1024))
    assert comparisons.compare_pair(b, a) == pytest.approx((-0.06, 2 * 56 / 1024))
    assert comparisons.compare_pair(a, a) == (0, 1)


def test_unpaired_test_does_not_establish_the_claim_of_the_report():
    right = [round(0.3556 * 2002), round(0.3357 * 2002)]
    p_value = fisher_exact([[k, 2002 - k] for k in right]).pvalue
    assert p_value == pytest.approx(0.19, abs=0.005)


def draw_pairs(rng, only_a, only_b, n=240):
    """Return whether two models are right, which differ on these shares of pictures."""
    kind = rng.choice(4, n, p=[only_a, only_b, 0.4, 0.6 - only_a - only_b])
    return np.isin(kind, [0, 2]), np.isin(kind, [1, 2])


def test_mcnemar_test_raises_few_false_alarms():
    rng = np.random.default_rng(4)
    p_values = [comparisons.compare_pair(*draw_pairs(rng, 0.15, 0.15))[1] for _ in range(2000)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.055


def test_pairs_are_corrected_after_holm():
    right = {"good": make_right(("1", 20)), "poor": make_right(("0", 20))}
    right |= {"even": make_right(("1", 10), ("0", 10)), "slight": make_right(("1", 14), ("0", 6))}
    pairs = comparisons.compare_pairs(right, np.arange(20) % 2)
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


@pytest.mark.parametrize(("only_a", "only_b"), [(0.15, 0.12), (0.4, 0.06), (0.05, 0.05), (0.3, 0)])
def test_intervals_of_a_difference_hold_the_truth(only_a, only_b):
    rng, held = np.random.default_rng(3), 0
    for _ in range(300):
        low, high = comparisons.bound_difference(*draw_pairs(rng, only_a, only_b))
        held += low <= only_a - only_b <= high
    assert held / 300 >= 0.93


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005])
def test_interval_excludes_0_exactly_if_the_test_rejects(level):
    for differ in range(1, 26):
        for only_a in range(differ + 1):
            a = make_right(("1", only_a), ("0", differ - only_a), ("1", 15))
            b = make_right(("0", only_a), ("1", differ - only_a), ("1", 15))
            low, high = comparisons.bound_difference(a, b, level=level)
            assert (low > 0 or high < 0) == (comparisons.compare_pair(a, b)[1] < level)


@pytest.mark.parametrize(
    ("n", "models", "gap"), [(40, 3, 0), (80, 6, 0), (240, 3, 0.1), (2002, 3, 0)]
)
def test_no_report_contradicts_itself(n, models, gap, monkeypatch):
    monkeypatch.setattr(comparisons, "DRAWS", 1)
    contradictions, false_claims, missed = simulations.compare_models(n, models, gap, 60)
    assert contradictions == 0 and false_claims <= 9 and missed <= 9


def test_pairs_of_copies_are_no_stronger_evidence_than_one_of_them():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 60)) < [[0.7], [0.5]]
    alone, copies = comparisons.compare_pair(a, b)[1], np.repeat(np.arange(60), 8)
    assert comparisons.compare_pair(a[copies], b[copies])[1] < alone
    told = comparisons.compare_pair(a[copies], b[copies], copies)[1]
    assert told == pytest.approx(alone)


def test_averages_per_class_are_compared_by_swapping_answers():
    y_true = np.repeat([0, 1], [190, 10])
    constant, fair = y_true == 0, np.arange(200) % 20 != 0
    difference, p_value = comparisons.swap_labels(fair, constant, y_true)
    assert difference == pytest.approx(fair[:190].mean() / 2 + fair[190:].mean() / 2 - 0.5)
    assert p_value < 0.05 < comparisons.compare_pair(fair, constant)[1]
    assert comparisons.swap_labels(fair, fair, y_true) == (0, 1)
    assert simulations.swap_equal_models((190, 10), 60) <= 0.15


@pytest.mark.parametrize(("runs", "spread"), [(2, 0.3), (5, 0), (5, 0.5)])
def test_interval_of_a_way_of_training_counts_pictures_and_runs(runs, spread):
    assert min(simulations.cover_ways(240, runs, spread, 150)) >= 0.9


def test_one_run_has_no_interval_and_unequal_seeds_are_paired_by_seed():
    right = {"a": {42: np.ones(9, bool)}, "b": {42: np.zeros(9, bool), 43: np.ones(9, bool)}}
    ways, differences = comparisons.compare_ways(right)
    assert np.isnan(ways.low["a"]) and ways["mean"]["b"] == 0.5 and differences.empty
    right["a"][43] = right["a"][44] = np.ones(9, bool)
    ways, differences = comparisons.compare_ways(right)
    assert list(ways.runs) == [3, 2] and differences.runs.tolist() == [2]
    assert differences.difference[0] == 0.5
