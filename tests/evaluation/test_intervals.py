"""Intervals of shares hold the truth, in groups, too."""

import pytest
import simulations
from scipy import stats

from lib.evaluation import intervals


@pytest.mark.parametrize("right", [0, 8, 10])
def test_interval_of_a_share_is_wilsons(right):
    expected = stats.binomtest(right, 10).proportion_ci(method="wilson")

    found = intervals.wilson_interval(right / 10, 10)

    assert found == pytest.approx([expected.low, expected.high])


def test_of_no_picture_nothing_is_known():
    assert intervals.wilson_interval(0, 0) == [0, 1]
    assert intervals.effective_sample_size([]) == 0


@pytest.mark.parametrize("bursts", simulations.UNEQUAL)
def test_intervals_hold_the_truth_where_groups_are_of_unequal_size(bursts):
    held = simulations.cover_unequal(*bursts, reports=400)

    assert min(held) >= 0.88


def test_intervals_hold_the_truth_where_a_few_bursts_are_hard():
    assert simulations.cover_hard_bursts(400) >= 0.9
