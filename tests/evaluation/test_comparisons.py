"""Paired tests claim rarely what is false, and their intervals say the same."""

import numpy as np
import pandas as pd
import pytest
import simulations
from scipy import stats

from lib.evaluation import comparisons


def test_bounds_of_a_difference_end_at_1():
    # Nine of nine: about 0.8, give or take 0.4.
    _, high, _ = comparisons.compare_runs(np.ones((1, 9)), np.arange(9))

    assert high == 1


def test_several_runs_in_groups_have_the_variance_of_the_groups_and_one_more_won_by_each_side():
    # One side wins three bursts of ten and loses one; then each wins one more.
    gaps = np.repeat([1.0, 1, 1, -1], 10)
    expected = stats.ttest_1samp([1, 1, 1, -1, 1, -1], 0)
    # Satterthwaite's: four squares of residuals are 4/9 and two are 16/9.
    df = (4 * 4 + 2 * 16) ** 2 / (4 * 4**2 + 2 * 16**2)

    _, _, p_value = comparisons.compare_runs([gaps, gaps], np.arange(40) // 10)

    assert p_value == pytest.approx(2 * stats.t.sf(expected.statistic, df))


def test_a_pair_is_established_among_many_as_far_as_flips_can_tell():
    # 30 groups of two, which one model alone has right, beside 22 copies of the other.
    groups = np.arange(60) // 2
    correct = {name: {0: np.zeros(60, bool)} for name in range(22)}
    correct["good"] = {0: np.ones(60, bool)}

    pairs = comparisons.compare_configurations(correct, groups)

    assert sum(pair.established for pair in pairs) == 22
    # What was observed is one of the ways, so none is impossible.
    assert min(pair.p_holm for pair in pairs) > 0


def test_signs_of_the_sums_of_groups_are_flipped_where_one_run_is_compared_with_one():
    sums = np.array([1, 2, 3, 4, 5, 6, 7, -8, -1, -1])
    expected = stats.permutation_test((sums,), np.sum, permutation_type="samples")
    sizes = np.abs(sums)
    groups = np.repeat(np.arange(10), sizes)

    _, _, p_value = comparisons.compare_runs([np.repeat(np.sign(sums), sizes)], groups)

    assert p_value == pytest.approx(expected.pvalue, abs=0.02)


def test_differences_of_means_of_draws_tie_as_whole_ones_do():
    # Thirds add up to 0 only where their rounding is undone.
    gaps = np.random.default_rng(0).integers(-3, 4, 90)
    groups = np.arange(90) // 3

    _, _, expected = comparisons.compare_runs([gaps], groups)
    _, _, p_value = comparisons.compare_runs([gaps / 3], groups)

    assert p_value == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_interval_excludes_0_where_signs_are_rarely_so_unequal(sign):
    # Ten of forty pictures are won, and a burst that ties is larger than all.
    gaps = np.repeat([0, sign, 0], [60, 10, 30])
    groups = np.maximum(np.arange(100) - 59, 0)

    low, high, p_value = comparisons.compare_runs([gaps], groups)

    assert p_value < 0.05
    assert low * high > 0


def test_interval_of_groups_that_all_tie_has_a_width():
    groups = simulations.draw_groups(3, 40, 120)

    low, high, p_value = comparisons.compare_runs(np.zeros((1, 240)), groups)

    assert p_value == 1
    assert -0.2 < low < -0.01
    assert 0.01 < high < 0.2


@pytest.mark.parametrize("shape", simulations.GROUPED)
def test_a_difference_in_groups_is_established_as_often_as_the_groups_allow(shape):
    claimed, held = simulations.judge_flips(shape, win=0.14, lose=0.06, reports=20)
    claimed_falsely, _ = simulations.judge_flips(shape, win=0.1, lose=0.1, reports=20)

    assert claimed > 0.5
    assert held >= 0.9
    assert claimed_falsely <= 0.1


def test_tests_are_corrected_after_holm_and_a_failed_step_gives_its_level_to_the_next():
    p_values = np.array([0.01, np.nan, 0.04, 0.03])

    found = comparisons.correct_tests(p_values)

    # 3 · 0.01 holds, since what is missing is no test; 2 · 0.03 fails, and all that are larger.
    expected = pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert found.p_holm.tolist() == expected
    levels = found.level[p_values > 0].tolist()
    assert levels == pytest.approx([0.05 / 3, 0.025, 0.025])


def make(**counts):
    """Return configuration to {seed: whether it is right on each of 60 pictures}."""
    correct = {}
    for name, runs in counts.items():
        correct[name] = {seed: np.arange(60) < right for seed, right in runs.items()}
    return correct


def compare(correct):
    pairs = comparisons.compare_configurations(correct, np.arange(60))
    return pd.DataFrame(pairs).set_index(["model", "other"])


def test_only_runs_of_common_seeds_are_compared_and_the_better_one_stands_first():
    correct = make(b={43: 20, 42: 21, 45: 60}, a={42: 50, 43: 51}, c={42: 40})

    pairs = compare(correct)

    expected = {("a", "b"): (29 + 31) / 2 / 60}
    assert pairs.difference.to_dict() == pytest.approx(expected)


@pytest.mark.parametrize("runs", [2, 4])
def test_of_two_to_four_trainings_a_difference_is_shown_and_nothing_is_claimed(runs):
    correct = make(a=dict.fromkeys(range(runs), 50), b=dict.fromkeys(range(runs), 20))

    (pair,) = compare(correct).itertuples()

    assert pair.difference == 0.5
    assert pair.low > 0
    assert np.isnan(pair.p_holm)
    assert not pair.established


def test_what_no_seed_decides_stands_beside_every_run_and_one_run_beside_one():
    net = {42: 20, 43: 22, 44: 21, 45: 21, 46: 21}
    correct = make(linear={None: 50}, net=net, alone={7: 40})

    pairs = compare(correct)

    expected = {("linear", "net"): 29 / 60, ("linear", "alone"): 10 / 60}
    assert pairs.difference.to_dict() == pytest.approx(expected)
    assert pairs.established.all()


@pytest.mark.parametrize("spreads", simulations.SPREADS)
def test_equal_configurations_are_rarely_told_apart_by_five_seeds(spreads):
    assert simulations.claim_seeds(2000, 5, spreads, reports=60) <= 0.1
