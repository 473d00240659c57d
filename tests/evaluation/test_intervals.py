"""Intervals hold the truth, tests claim rarely what is false, and both say the same."""

import numpy as np
import pandas as pd
import pytest
import simulations
from scipy import stats

from lib.evaluation import intervals, label_tests


@pytest.mark.parametrize("right", [0, 8, 10])
def test_interval_of_a_share_is_wilsons(right):
    expected = stats.binomtest(right, 10).proportion_ci(method="wilson")

    found = intervals.wilson_interval(right / 10, 10)

    assert found == pytest.approx([expected.low, expected.high])


def test_of_no_picture_nothing_is_known():
    assert intervals.wilson_interval(0, 0) == [0, 1]
    assert intervals.effective_sample_size([]) == 0


def test_a_large_group_makes_pictures_count_less():
    # One burst of 8 pictures, and 4 single ones: 12² / (8² + 4).
    groups = [0] * 8 + [1, 2, 3, 4]

    assert intervals.effective_sample_size(groups) == pytest.approx(144 / 68)


@pytest.mark.parametrize("bursts", simulations.UNEQUAL)
def test_intervals_hold_the_truth_where_groups_are_of_unequal_size(bursts):
    held = simulations.cover_unequal(*bursts, reports=400)

    assert min(held) >= 0.88


def test_intervals_hold_the_truth_where_a_few_bursts_are_hard():
    assert simulations.cover_hard_bursts(400) >= 0.9


def test_interval_of_the_mean_has_the_variance_of_the_runs_beside_that_of_pictures():
    found = intervals.mean_interval([0.88, 0.92], 100)

    # The pictures' is 0.9 · 0.1 / 100; of the runs 2 · 0.02² / 1, divided by 2 of them.
    variance = 0.0009 + 0.0004
    df = (variance / 0.0004) ** 2
    expected = intervals.wilson_interval(0.9, 0.09 / variance, df=df)
    assert found == pytest.approx(expected)


def test_claim_of_the_best_of_several_is_asked_at_a_stricter_level():
    # Just above the baseline: enough for one model, not for the best of eight.
    assert label_tests.beats_baseline(0.575, 240, 0.5, count=1)
    assert not label_tests.beats_baseline(0.575, 240, 0.5, count=8)


def test_fractions_of_pictures_beat_no_baseline():
    # 6 of 6 at one half: p = 2 / 2⁶ = 0.031; 5 of 5: 0.063.
    assert label_tests.beats_baseline(1, 6.0, 0.5, count=1)
    assert not label_tests.beats_baseline(1, 5.9, 0.5, count=1)


def test_without_runs_the_t_is_that_of_one_more_picture_won_by_each_side():
    gaps = np.repeat([-1.0, 0, 1], [10, 70, 20])
    expected = stats.ttest_1samp([*gaps, 1, -1], 0)

    low, high, p_value = intervals.compare_runs([gaps], np.arange(100))

    assert p_value == pytest.approx(expected.pvalue)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()))


def test_bounds_of_a_difference_end_at_1():
    # Nine of nine: about 0.8, give or take 0.4.
    _, high, _ = intervals.compare_runs(np.ones((1, 9)), np.arange(9))

    assert high == 1


def test_several_runs_in_groups_have_the_variance_of_the_groups_and_one_more_won_by_each_side():
    # One side wins three bursts of ten and loses one; then each wins one more.
    gaps = np.repeat([1.0, 1, 1, -1], 10)
    expected = stats.ttest_1samp([1, 1, 1, -1, 1, -1], 0)
    # Satterthwaite's: four squares of residuals are 4/9 and two are 16/9.
    df = (4 * 4 + 2 * 16) ** 2 / (4 * 4**2 + 2 * 16**2)

    _, _, p_value = intervals.compare_runs([gaps, gaps], np.arange(40) // 10)

    assert p_value == pytest.approx(2 * stats.t.sf(expected.statistic, df))


def test_a_pair_is_established_among_many_as_far_as_flips_can_tell():
    # 30 groups of two, which one model alone has right, beside 22 copies of the other.
    groups = np.arange(60) // 2
    correct = {name: {0: np.zeros(60, bool)} for name in range(22)}
    correct["good"] = {0: np.ones(60, bool)}

    pairs = intervals.compare_configurations(correct, groups)

    assert sum(pair.established for pair in pairs) == 22
    # What was observed is one of the ways, so none is impossible.
    assert min(pair.p_value for pair in pairs) > 0


def test_signs_of_the_sums_of_groups_are_flipped_where_one_run_is_compared_with_one():
    sums = np.array([1, 2, 3, 4, 5, 6, 7, -8, -1, -1])
    expected = stats.permutation_test((sums,), np.sum, permutation_type="samples")
    sizes = np.abs(sums)
    groups = np.repeat(np.arange(10), sizes)

    _, _, p_value = intervals.compare_runs([np.repeat(np.sign(sums), sizes)], groups)

    assert p_value == pytest.approx(expected.pvalue, abs=0.02)


def test_differences_of_means_of_draws_tie_as_whole_ones_do():
    # Thirds add up to 0 only where their rounding is undone.
    gaps = np.random.default_rng(0).integers(-3, 4, 90)
    groups = np.arange(90) // 3

    _, _, expected = intervals.compare_runs([gaps], groups)
    _, _, p_value = intervals.compare_runs([gaps / 3], groups)

    assert p_value == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_interval_excludes_0_where_signs_are_rarely_so_unequal(sign):
    # Ten of forty pictures are won, and a burst that ties is larger than all.
    gaps = np.repeat([0, sign, 0], [60, 10, 30])
    groups = np.maximum(np.arange(100) - 59, 0)

    low, high, p_value = intervals.compare_runs([gaps], groups)

    assert p_value < 0.05
    assert low * high > 0


def test_interval_of_groups_that_all_tie_has_a_width():
    groups = simulations.draw_groups(3, 40, 120)

    low, high, p_value = intervals.compare_runs(np.zeros((1, 240)), groups)

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


def test_with_many_pictures_the_t_is_that_of_the_runs_if_these_vary_more_than_others():
    gaps = np.repeat([[0.1], [0.2], [0.3]], 10_000, axis=1)
    expected = stats.ttest_1samp([0.1, 0.2, 0.3], 0)

    _, _, p_value = intervals.compare_runs(
        gaps, np.arange(10_000), seed_variance=1e-6, seed_df=2
    )

    assert p_value == pytest.approx(expected.pvalue, rel=1e-3)


def test_tests_are_corrected_after_holm_and_a_failed_step_gives_its_level_to_the_next():
    p_values = np.array([0.01, np.nan, 0.04, 0.03])

    found = intervals.correct_tests(p_values)

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
    pairs = intervals.compare_configurations(correct, np.arange(60))
    return pd.DataFrame(pairs).set_index(["model", "other"])


def test_only_runs_of_common_seeds_are_compared_and_the_better_one_stands_first():
    correct = make(b={43: 20, 42: 21, 45: 60}, a={42: 50, 43: 51}, c={42: 40})

    pairs = compare(correct)

    assert pairs.runs.to_dict() == {("a", "b"): 2}
    assert pairs.difference.tolist() == pytest.approx([(29 + 31) / 2 / 60])


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

    assert pairs.runs.to_dict() == {("linear", "net"): 5, ("linear", "alone"): 1}
    assert pairs.difference.tolist() == pytest.approx([29 / 60, 10 / 60])
    assert pairs.established.all()


@pytest.mark.parametrize("sides", [1, 2])
def test_variance_of_seeds_is_pooled_and_counts_for_each_side_that_has_them(sides):
    # Runs of net spread by 3 pictures, of other by 10; no seed decides linear.
    net = {42: 20, 43: 26, 44: 23, 45: 22, 46: 24}
    other = {42: 10, 43: 30, 44: 20, 45: 15, 46: 25}
    seeded = make(net=net, other=other, linear={None: 50})
    pair = ("linear", "net") if sides == 1 else ("net", "other")
    better = np.array(list(seeded[pair[0]].values()), float)
    differences = better - list(seeded[pair[1]].values())
    # Squares of 3, 3, 0, 1, 1, and of 10, 10, 0, 5, 5 pictures of 60; each has 4 degrees of freedom.
    variance = (20 + 250) / 8 / 60**2

    found = compare(seeded).p_value[pair]

    _, _, expected = intervals.compare_runs(
        differences, np.arange(60), seed_variance=sides * variance, seed_df=8
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("spreads", simulations.SPREADS)
def test_equal_configurations_are_rarely_told_apart_by_five_seeds(spreads):
    assert simulations.claim_seeds(2000, 5, spreads, reports=60) <= 0.1
