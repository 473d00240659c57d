import time

import numpy as np
import pytest
import simulations
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import beta, binomtest, fisher_exact

from lib.evaluation import comparisons


def make_right(*pattern):
    return np.repeat([flag == "1" for flag, _ in pattern], [count for _, count in pattern])


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (3, 0), (9, 2), (20, 21), (120, 80)])
def test_mcnemar_test_equals_the_exact_binomial_test(only_a, only_b):
    a = make_right(("1", only_a), ("0", only_b), ("1", 30))
    b = make_right(("0", only_a), ("1", only_b), ("1", 30))
    difference, p_value = comparisons.compare_pair(a, b, np.arange(len(a)))
    assert difference == pytest.approx((only_a - only_b) / len(a))
    assert p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert comparisons.compare_pair(b, a, np.arange(len(a))) == (-difference, p_value)
    assert comparisons.compare_pair(a, a, np.arange(len(a))) == (0, 1)


def test_unpaired_test_does_not_establish_the_claim_of_the_report():
    right = [round(0.3556 * 2002), round(0.3357 * 2002)]
    p_value = fisher_exact([[k, 2002 - k] for k in right]).pvalue
    assert p_value == pytest.approx(0.19, abs=0.005)


def draw_pairs(rng, only_a, only_b, n=240):
    """Return whether two models are right, which differ on these shares of pictures."""
    kind = rng.choice(4, n, p=[only_a, only_b, 0.4, 0.6 - only_a - only_b])
    return np.isin(kind, [0, 2]), np.isin(kind, [1, 2])


def test_pairs_are_corrected_after_holm():
    right = {"good": make_right(("1", 20)), "poor": make_right(("0", 20))}
    right |= {"even": make_right(("1", 10), ("0", 10)), "slight": make_right(("1", 14), ("0", 6))}
    pairs = comparisons.compare_pairs(right, np.arange(20))
    assert list(pairs.model[:3]) == ["good"] * 3
    assert list(pairs.other[:3]) == ["slight", "even", "poor"]
    p_value = [binomtest(0, count).pvalue for count in (6, 10, 20, 4, 14, 10)]
    assert list(pairs.p_value) == pytest.approx(p_value)
    # Sorted: 20, 14, 10, 10, 6, 4 pictures that only the better model recognises.
    steps = [binomtest(0, n).pvalue * k for n, k in [(20, 6), (14, 5), (10, 4), (10, 3), (6, 2)]]
    steps[3] = steps[2]
    by_size = dict(zip((20, 14, 10, 6), np.delete(steps, 3))) | {4: binomtest(0, 4).pvalue}
    assert list(pairs.p_holm) == pytest.approx([by_size[n] for n in (6, 10, 20, 4, 14, 10)])


@pytest.mark.parametrize(("only_a", "only_b"), [(0.15, 0.12), (0.4, 0.06), (0.05, 0.05), (0.3, 0)])
def test_intervals_of_a_difference_hold_the_truth(only_a, only_b):
    rng, held, groups = np.random.default_rng(3), 0, np.arange(240)
    for _ in range(300):
        low, high = comparisons.bound_difference(*draw_pairs(rng, only_a, only_b), groups)
        held += low <= only_a - only_b <= high
    assert held / 300 >= 0.93


def integrate_bound(only_a, only_b, n, level=0.05):
    """Find the lower bound of Fay and Lumbard below 0 by adaptive quadrature."""
    differ = beta(only_a + only_b + 1, n - only_a - only_b)

    def miss(bound):
        def multiply(share):
            return differ.pdf(share) * beta.cdf((1 + bound / share) / 2, only_a, only_b + 1)

        return quad(multiply, -bound, 1, epsabs=1e-10)[0] - level / 2

    return brentq(miss, -1 + 1e-9, -1e-9)


@pytest.mark.parametrize("n", [5, 8, 40, 240])
def test_bounds_are_those_of_an_exact_integral(n):
    for only_a, only_b in [(0, 0), (0, 1), (0, 3), (1, 1), (2, 2), (1, n - 3)]:
        a = make_right(("1", only_a), ("0", n - only_a))
        b = make_right(("0", only_a), ("1", only_b), ("0", n - only_a - only_b))
        low, _ = comparisons.bound_difference(a, b, np.arange(n))
        assert low == pytest.approx(integrate_bound(max(only_a, 1e-9), only_b, n), abs=1e-5)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005])
def test_interval_excludes_0_exactly_if_the_test_rejects(level):
    for differ in range(1, 26):
        for only_a in range(differ + 1):
            a = make_right(("1", only_a), ("0", differ - only_a), ("1", 15))
            b = make_right(("0", only_a), ("1", differ - only_a), ("1", 15))
            low, high = comparisons.bound_difference(a, b, np.arange(len(a)), level)
            p_value = comparisons.compare_pair(a, b, np.arange(len(a)))[1]
            assert (low > 0 or high < 0) == (p_value < level)


REPORTS = [(40, 3, 0), (80, 6, 0), (240, 3, 0.1), (2002, 3, 0)]


@pytest.mark.parametrize(("n", "models", "gap"), REPORTS)
def test_no_report_contradicts_itself(n, models, gap):
    contradictions, false_claims, missed = simulations.compare_models(n, models, gap, 60)
    assert contradictions == 0 and false_claims <= 9 and missed <= 9


def test_pairs_of_copies_are_no_stronger_evidence_than_one_of_them():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 60)) < [[0.7], [0.5]]
    alone, copies = comparisons.compare_pair(a, b, np.arange(60))[1], np.repeat(np.arange(60), 8)
    assert comparisons.compare_pair(a[copies], b[copies], np.arange(480))[1] < alone
    told = comparisons.compare_pair(a[copies], b[copies], copies)[1]
    assert told == pytest.approx(alone)


def test_fifteen_models_are_compared_within_two_seconds():
    rng = np.random.default_rng(0)
    right = dict(enumerate(rng.random((15, 240)) < rng.uniform(0.5, 0.9, (15, 1))))
    started = time.process_time()
    pairs = comparisons.compare_pairs(right, np.arange(240))
    assert len(pairs) == 105 and time.process_time() - started < 2


@pytest.mark.parametrize(("runs", "spread"), [(2, 0.3), (5, 0), (5, 0.5)])
def test_interval_of_a_way_of_training_counts_pictures_and_runs(runs, spread):
    assert min(simulations.cover_ways(240, runs, spread, 150)) >= 0.9


def test_one_run_has_no_interval_and_unequal_seeds_are_paired_by_seed():
    right = {"a": {42: np.ones(9, bool)}, "b": {42: np.zeros(9, bool), 43: np.ones(9, bool)}}
    ways, differences = comparisons.compare_ways(right, np.arange(9))
    assert np.isnan(ways.low["a"]) and ways["mean"]["b"] == 0.5 and differences.empty
    right["a"][43] = right["a"][44] = np.ones(9, bool)
    ways, differences = comparisons.compare_ways(right, np.arange(9))
    assert list(ways.runs) == [3, 2] and differences.runs.tolist() == [2]
    assert differences.difference[0] == 0.5
