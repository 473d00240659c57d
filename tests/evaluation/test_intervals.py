"""Intervals hold the truth, tests claim rarely what is false, and both say the same."""

import numpy as np
import pytest
import simulations
from scipy import stats

from lib.evaluation import intervals

ALONE = np.arange(240)


@pytest.mark.parametrize(("right", "n"), [(8, 10), (0, 10), (10, 10), (71, 80)])
def test_interval_of_a_share_is_wilsons(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert intervals.wilson_interval(right / n, n) == pytest.approx([*expected])


def test_pictures_of_a_group_count_as_one_where_all_groups_are_as_large():
    assert (
        intervals.effective_sample_size(ALONE) == 240
        and intervals.effective_sample_size([]) == 0
    )
    assert intervals.wilson_interval(0, 0) == [0, 1], "of no picture nothing is known"
    assert intervals.effective_sample_size(ALONE // 8) == pytest.approx(30)
    # 10 bursts of 20 and 40 single pictures: 240² / (10 · 20² + 40).
    unequal = np.r_[np.repeat(np.arange(10), 20), 10 + np.arange(40)]
    assert intervals.effective_sample_size(unequal) == pytest.approx(240**2 / 4040)


@pytest.mark.parametrize("bursts", simulations.UNEQUAL)
def test_intervals_hold_the_truth_where_groups_are_of_unequal_size(bursts):
    assert min(simulations.cover_unequal(*bursts, reports=400)) >= 0.88


def test_interval_of_several_runs_is_wider_than_that_of_one_which_is_wilsons():
    low, high = intervals.mean_interval([0.9, 0.9], 100)
    assert (
        [low, high]
        == intervals.mean_interval([0.9], 100)
        == intervals.wilson_interval(0.9, 100)
    )
    lower, higher = intervals.mean_interval([0.88, 0.92], 100)
    assert lower < low < high < higher


def test_claim_of_the_best_of_several_is_asked_at_a_stricter_level():
    # Just above the baseline: enough for one model, not for the best of eight.
    assert intervals.beats_baseline(0.575, 240, 0.5, 1)
    assert not intervals.beats_baseline(0.575, 240, 0.5, 8)
    assert not intervals.beats_baseline(
        1, intervals.effective_sample_size(np.zeros(30)), 0.5, 1
    )


def test_without_runs_the_t_is_that_of_one_more_picture_won_by_each_side():
    gaps = np.random.default_rng(0).choice([-1.0, 0, 1], 100, p=[0.1, 0.7, 0.2])
    expected = stats.ttest_1samp(np.r_[gaps, 1, -1], 0)
    low, high, p_value = intervals.compare_runs([gaps], 100)
    assert p_value == pytest.approx(expected.pvalue)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()))
    assert intervals.compare_runs([0 * gaps], 100)[2] == 1, (
        "equal answers differ in nothing"
    )


def make(**runs):
    """Return way to {seed: whether it is right on each of 60 pictures}, so many of them."""
    return {
        way: {seed: np.arange(60) < k for seed, k in of.items()}
        for way, of in runs.items()
    }


def test_only_runs_of_common_seeds_are_compared():
    correct = make(
        a={42: 50, 43: 51}, b={43: 20, 44: 60, 42: 21}, c={42: 40}, d={7: 10, 8: 10}
    )
    pairs = intervals.compare_configurations(correct, np.arange(60))
    (row,) = pairs.itertuples()
    assert (row.model, row.other, row.runs) == ("a", "b", 2), (
        "c was trained once, d with others"
    )
    assert row.difference == pytest.approx(0.5) and row.low > 0 and row.p_holm < 0.05


def test_what_no_seed_decides_stands_beside_every_run_and_one_run_beside_one():
    correct = make(linear={None: 50}, net={42: 20, 43: 22, 44: 21}, alone={7: 40})
    pairs = intervals.compare_configurations(correct, np.arange(60)).set_index(
        ["model", "other"]
    )
    assert dict(pairs.runs) == {("linear", "net"): 3, ("linear", "alone"): 1}
    assert pairs.difference["linear", "net"] == pytest.approx(29 / 60)


def test_pairs_are_corrected_after_holm_and_their_intervals_say_the_same():
    rng = np.random.default_rng(0)
    correct = {k: {42: rng.random(80) < 0.4 + 0.1 * k} for k in range(6)}
    pairs = intervals.compare_configurations(correct, np.arange(80))
    assert len(pairs) == 15 and (pairs.difference >= 0).all()
    order = np.sort(pairs.p_value) * np.arange(15, 0, -1)
    expected = np.minimum(np.maximum.accumulate(order), 1)
    assert np.sort(pairs.p_holm) == pytest.approx(expected)
    assert ((pairs.p_holm < 0.05) == (pairs.low > 0)).all()
    assert 0 < (pairs.p_holm < 0.05).sum() < 15
    # 0.03 isn't below 0.05 / 2, and with it falls 0.04.
    assert [*intervals.correct_tests(np.array([0.03, 0.04]))[1]] == [0.025, 0.025]


def test_with_many_pictures_the_t_is_that_of_the_runs():
    gaps = np.repeat([[0.1], [0.2], [0.3]], 10_000, axis=1)
    expected = stats.ttest_1samp(gaps[:, 0], 0).pvalue
    assert intervals.compare_runs(gaps, 10_000)[2] == pytest.approx(expected, rel=1e-3)
