"""Intervals hold the truth, tests claim rarely what is false, and both say the same."""

import numpy as np
import pytest
import simulations
from scipy import stats

from lib.evaluation import intervals

ALONE = np.arange(240)
# 10 bursts of 20 pictures, and 40 single ones.
UNEQUAL = simulations.draw_groups(10, 20, 40)


@pytest.mark.parametrize(("right", "n"), [(8, 10), (0, 10), (10, 10), (71, 80)])
def test_interval_of_a_share_is_wilsons(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    found = intervals.wilson_interval(right / n, n)
    assert found == pytest.approx(list(expected))


def test_of_no_picture_nothing_is_known():
    assert intervals.wilson_interval(0, 0) == [0, 1]
    assert intervals.effective_sample_size([]) == 0


def test_pictures_of_a_group_count_as_one_where_all_groups_are_as_large():
    assert intervals.effective_sample_size(ALONE) == 240
    assert intervals.effective_sample_size(ALONE // 8) == pytest.approx(30)
    n = intervals.effective_sample_size(UNEQUAL)
    assert n == pytest.approx(240**2 / (10 * 20**2 + 40))


@pytest.mark.parametrize("bursts", simulations.UNEQUAL)
def test_intervals_hold_the_truth_where_groups_are_of_unequal_size(bursts):
    assert min(simulations.cover_unequal(*bursts, reports=400)) >= 0.88


def test_interval_of_equal_runs_is_that_of_one():
    one = intervals.mean_interval([0.9], 100)
    assert one == intervals.wilson_interval(0.9, 100)
    assert intervals.mean_interval([0.9, 0.9], 100) == one


def test_interval_of_runs_that_differ_is_wider():
    low, high = intervals.mean_interval([0.9], 100)
    lower, higher = intervals.mean_interval([0.88, 0.92], 100)
    assert lower < low < high < higher


def test_claim_of_the_best_of_several_is_asked_at_a_stricter_level():
    # Just above the baseline: enough for one model, not for the best of eight.
    assert intervals.beats_baseline(0.575, 240, 0.5, count=1)
    assert not intervals.beats_baseline(0.575, 240, 0.5, count=8)


def test_thirty_pictures_of_one_group_beat_nothing():
    n = intervals.effective_sample_size(np.zeros(30))
    assert not intervals.beats_baseline(1, n, 0.5, count=1)


def test_fractions_of_pictures_beat_no_baseline():
    # 6 of 6 at one half: p = 2 / 2⁶ = 0.031; 5 of 5: 0.063.
    assert intervals.beats_baseline(1, 6.0, 0.5, count=1)
    assert not intervals.beats_baseline(1, 5.9, 0.5, count=1)
    # 0.9 of 10.5 is 9.45: 9 of 10, p = 2 · 11 / 2¹⁰ = 0.021; with 8 it were 0.109.
    assert intervals.beats_baseline(0.9, 10.5, 0.5, count=2)
    assert not intervals.beats_baseline(0.85, 10.5, 0.5, count=1)


def test_without_runs_the_t_is_that_of_one_more_picture_won_by_each_side():
    gaps = np.random.default_rng(0).choice([-1.0, 0, 1], 100, p=[0.1, 0.7, 0.2])
    expected = stats.ttest_1samp(np.r_[gaps, 1, -1], 0)
    low, high, p_value = intervals.compare_runs([gaps], np.arange(100))
    assert p_value == pytest.approx(expected.pvalue)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()))


def test_equal_answers_differ_in_nothing():
    _, _, p_value = intervals.compare_runs(np.zeros((1, 100)), np.arange(100))
    assert p_value == 1


def test_bounds_of_a_difference_reach_1_and_no_further():
    groups = np.arange(9)
    low, high, _ = intervals.compare_runs(np.ones((1, 9)), groups)
    assert 0 < low < 0.5
    assert high == 1
    low, high, _ = intervals.compare_runs(-np.ones((1, 9)), groups)
    assert low == -1
    assert -0.5 < high < 0
    gaps = np.repeat([1.0, 0], [90, 10])
    low, high, _ = intervals.compare_runs([gaps], np.arange(100))
    assert 0.8 < low < 0.9 < high < 1


def test_groups_that_differ_more_than_pictures_make_a_difference_less_sure():
    # All pictures of 7 of the 20 bursts are won by one side.
    groups = simulations.draw_groups(20, 10, 400)
    gaps = np.where(groups < 7, 1.0, 0)
    low, high, _ = intervals.compare_runs([gaps], groups)
    sums = np.bincount(groups, weights=gaps - gaps.mean())
    error = np.sqrt(np.sum(sums**2)) / 600
    assert high - low > 2 * 1.96 * error


def test_bursts_that_disagree_more_are_rarely_told_apart_falsely():
    assert simulations.claim_bursts(400) <= 0.06


def test_with_many_pictures_the_t_is_that_of_the_runs():
    gaps = np.repeat([[0.1], [0.2], [0.3]], 10_000, axis=1)
    expected = stats.ttest_1samp(gaps[:, 0], 0).pvalue
    _, _, p_value = intervals.compare_runs(gaps, np.arange(10_000))
    assert p_value == pytest.approx(expected, rel=1e-3)


def test_variance_of_seeds_is_never_below_that_of_the_runs_compared():
    gaps = np.repeat([[0.1], [0.2], [0.3]], 100, axis=1)
    groups = np.arange(100)
    own = intervals.compare_runs(gaps, groups)
    assert intervals.compare_runs(gaps, groups, seed_variance=1e-6) == own
    wide = intervals.compare_runs(gaps, groups, seed_variance=0.04, seed_df=8)
    assert wide[1] - wide[0] > own[1] - own[0]


def make(**counts):
    """Return configuration to {seed: whether it is right on each of 60 pictures}."""
    correct = {}
    for name, runs in counts.items():
        correct[name] = {seed: np.arange(60) < right for seed, right in runs.items()}
    return correct


def test_only_runs_of_common_seeds_are_compared():
    correct = make(
        a={42: 50, 43: 51, 44: 52},
        b={43: 20, 44: 60, 42: 21, 45: 60},
        c={42: 40},
        d={7: 10, 8: 10},
    )
    (row,) = intervals.compare_configurations(correct, np.arange(60)).itertuples()
    assert (row.model, row.other, row.runs) == ("a", "b", 3)
    assert row.difference == pytest.approx((29 + 31 - 8) / 3 / 60)


def test_of_two_trainings_a_difference_is_shown_and_nothing_is_claimed():
    correct = make(a={42: 50, 43: 51}, b={42: 20, 43: 21}, c={42: 5, 43: 6})
    pairs = intervals.compare_configurations(correct, np.arange(60))
    assert pairs.difference.tolist() == pytest.approx([0.5, 0.75, 0.25])
    assert (pairs.low > 0).all()
    assert pairs.p_holm.isna().all()
    assert not pairs.established.any()


def test_what_no_seed_decides_stands_beside_every_run_and_one_run_beside_one():
    correct = make(linear={None: 50}, net={42: 20, 43: 22, 44: 21}, alone={7: 40})
    pairs = intervals.compare_configurations(correct, np.arange(60))
    pairs = pairs.set_index(["model", "other"])
    assert dict(pairs.runs) == {("linear", "net"): 3, ("linear", "alone"): 1}
    assert pairs.difference["linear", "net"] == pytest.approx(29 / 60)
    assert pairs.established.all()


def test_pairs_are_corrected_after_holm_and_their_intervals_say_the_same():
    rng = np.random.default_rng(0)
    correct = {k: {42: rng.random(80) < 0.4 + 0.1 * k} for k in range(6)}
    pairs = intervals.compare_configurations(correct, np.arange(80))
    assert len(pairs) == 15
    assert (pairs.difference >= 0).all()
    order = np.sort(pairs.p_value) * np.arange(15, 0, -1)
    expected = np.minimum(np.maximum.accumulate(order), 1)
    assert np.sort(pairs.p_holm) == pytest.approx(expected)
    assert ((pairs.p_holm < 0.05) == (pairs.low > 0)).all()
    assert 0 < pairs.established.sum() < 15


def test_a_step_that_fails_gives_its_level_to_those_behind_it():
    # 0.03 isn't below 0.05 / 2, and with it falls 0.04.
    _, levels = intervals.correct_tests(np.array([0.03, 0.04]))
    assert levels.tolist() == [0.025, 0.025]


def test_equal_configurations_are_rarely_told_apart_by_three_seeds():
    assert simulations.claim_seeds(2000, runs=3, reports=60) <= 0.1
