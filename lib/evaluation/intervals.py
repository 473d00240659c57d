"""Intervals of shares, and tests of models that answered the same pictures.

Groups are int (n,), equal for pictures that belong together; `np.arange(n)` where none do.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import sem, t

from lib.evaluation.flips import flip_groups

# The level of every test and interval.
LEVEL = 0.05
# Fewer trainings of a configuration can't tell how much seeds matter.
MIN_RUNS = 5


@dataclass(frozen=True)
class Pair:
    """Two configurations, of which the first is ahead on these pictures, or equal."""

    model: str
    other: str
    difference: float  # of their accuracies, 0-1
    # The interval, at the level of its step in Holm's procedure (Serlin 1993).
    low: float
    high: float
    runs: int  # that were compared
    n: int  # pictures
    p_value: float  # NaN of two to four runs, of which nothing can be claimed
    p_holm: float = np.nan  # corrected for the number of pairs
    established: bool = False  # p_holm < LEVEL, exactly where the interval excludes 0


def effective_sample_size(
    groups: np.ndarray, correct: np.ndarray | None = None
) -> float:
    """Return how many independent pictures tell as much: n² / Σ sizes² (Kish 1965).

    That takes all pictures of a group for the same one. Where the groups differ still more,
    as hard bursts beside easy pictures do, it is p (1 - p) / their own variance.

    Args:
        groups: int (n,).
        correct: bool or float (n,), whose mean is p; without it only sizes count.
    """
    sums, sizes = _sum_groups(correct, groups)
    count = len(groups)
    squares = max(sizes @ sizes, 1)
    n = count**2 / squares
    if correct is not None and len(sizes) < count:
        share = np.mean(correct)
        residuals = sums - share * sizes
        own_variance = residuals @ residuals / count**2
        if own_variance > 0:
            n = min(n, share * (1 - share) / own_variance)
    return float(n)


def _sum_groups(values, groups):
    """Return the sum of the values of each group, of None their number, and its size."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.bincount(group, weights=values), sizes


def wilson_interval(share: float, n: float, df: float = np.inf) -> list[float]:
    """Return the interval of a share of n pictures (Wilson 1927); [0, 1] where n is 0.

    Args:
        share: between 0 and 1.
        n: the effective sample size.
        df: degrees of freedom, finite where a spread was estimated.
    """
    if n == 0:
        return [0.0, 1.0]
    z = t.ppf(1 - LEVEL / 2, df)
    half = z**2 / (2 * n)
    # The upper bound mirrors the lower one, so that 0 and 1 are bounds of themselves.
    shares = np.array([share, 1 - share])
    squares = 2 * half * shares * (1 - shares) + half * half
    margins = np.sqrt(squares)
    bounds = (shares + half - margins) / (1 + 2 * half)
    low, mirrored = bounds.tolist()
    return [low, 1 - mirrored]


def mean_interval(top1: np.ndarray, n: float) -> list[float]:
    """Return the interval of the mean of shares, float (runs,), each of n pictures.

    It is Wilson's, with the variance of the runs added to that of the pictures.
    """
    share = np.mean(top1)
    if np.ptp(top1) == 0:
        return wilson_interval(share, n)
    of_picture = share * (1 - share)
    of_runs = sem(top1) ** 2
    variance = of_picture / n + of_runs
    df = (len(top1) - 1) * (variance / of_runs) ** 2
    return wilson_interval(share, of_picture / variance, df=df)


def compare_runs(
    differences: np.ndarray,
    groups: np.ndarray,
    level: float = LEVEL,
    seed_variance: float = 0.0,
    seed_df: float = 1.0,
    pairs: int = 1,
) -> tuple[float, float, float]:
    """Test whether the mean of paired differences is 0, by a paired t.

    Each side wins one more group (Bonett and Price 2012). Groups and runs are two sources
    of variance (Welch, Satterthwaite). Single runs in groups have `flip_groups`.

    Args:
        differences: float (runs, pictures), -1 to 1.
        level: how often the interval may miss the truth.
        seed_variance, seed_df: of one run, estimated from more runs than these, where it is
            larger than their own; and its degrees of freedom.
        pairs: how many are tested, on which the number of flips depends.

    Returns:
        low and high, the interval of the mean; and p_value.
    """
    runs = len(differences)
    sums, sizes = _sum_groups(np.mean(differences, axis=0), groups)
    if runs == 1 and sizes.max() > 1:
        return flip_groups(sums, sizes, level, pairs)
    mean, of_pictures, pictures_df = _estimate_mean(sums, sizes)
    of_seeds = 0.0
    if runs > 1:
        own_variance = np.mean(differences, axis=1).var(ddof=1)
        of_seeds = max(seed_variance, own_variance) / runs
    variance = of_pictures + of_seeds
    squares_by_df = of_pictures**2 / pictures_df + of_seeds**2 / seed_df
    df = variance**2 / squares_by_df
    error = np.sqrt(variance)
    bounds = t.interval(1 - level, df, mean, error)
    low, high = np.clip(bounds, -1, 1)
    p_value = 2 * t.sf(abs(mean) / error, df)
    return low, high, p_value


def _estimate_mean(sums, sizes):
    """Return the mean, its variance, Σ residuals² / pictures², and degrees of freedom.

    Groups of unequal weight have fewer (Satterthwaite).
    """
    size = np.sqrt(np.mean(sizes**2))
    sums = np.append(sums, [size, -size])
    sizes = np.append(sizes, [size, size])
    count = sizes.sum()
    mean = sums.sum() / count
    squares = (sums - mean * sizes) ** 2
    total = squares.sum()
    df = len(sums) - 1
    variance = total / count**2 * (1 + 1 / df)
    if size > 1:
        df = min(df, total**2 / (squares @ squares))
    return mean, variance, df


def correct_tests(p_values: Sequence[float]) -> pd.DataFrame:
    """Return p_holm, and level, that of each step (Holm 1979); a missing p is no test."""
    table = pd.DataFrame({"p": p_values}).sort_values("p", kind="stable")
    steps = table.p.count() - np.arange(len(table))
    p_holm = (steps * table.p).clip(upper=1).cummax()
    # Once a step fails, all further tests have its level.
    failed = max(np.sum(p_holm >= LEVEL), 1)
    level = LEVEL / steps.clip(failed)
    return pd.DataFrame({"p_holm": p_holm, "level": level}).sort_index()


def compare_configurations(correct: dict[str, dict], groups: np.ndarray) -> list[Pair]:
    """Compare each pair of configurations that have runs in common.

    These are runs of one seed; a run that no seed decides, with every run of the other; one
    run with one run. How much seeds matter is pooled over all configurations.

    Args:
        correct: configuration to {seed: bool (n,), whether that run is right on each
            picture}; the seed is None where none decides.
    """
    tested = _test_pairs(correct, groups, itertools.repeat(LEVEL))
    steps = correct_tests([pair.p_value for pair in tested])
    pairs = []
    # The same tests once more, so that each interval has the level of its step.
    for pair, p in zip(_test_pairs(correct, groups, iter(steps.level)), steps.p_holm):
        pairs.append(replace(pair, p_holm=p, established=p < LEVEL))
    return pairs


def _test_pairs(correct, groups, levels):
    """Yield each pair that can be compared, tested at the next level."""
    seed_variance, seed_df = _pool_seeds(correct)
    combinations = list(itertools.combinations(correct, 2))
    for names in combinations:
        model, other = names
        differences = _subtract(correct[model], correct[other])
        runs = len(differences)
        if runs == 0:
            continue
        mean = differences.mean()
        if mean < 0:
            other, model = names
            differences = -differences
        # Each side that seeds decide has a variance of its own.
        sides = sum(None not in correct[name] for name in names)
        low, high, p_value = compare_runs(
            differences,
            groups,
            level=next(levels),
            seed_variance=sides * seed_variance,
            seed_df=seed_df,
            pairs=len(combinations),
        )
        if 1 < runs < MIN_RUNS:
            p_value = np.nan
        yield Pair(model, other, abs(mean), low, high, runs, len(groups), p_value)


def _pool_seeds(correct):
    """Return the variance of accuracy over seeds, and its degrees of freedom.

    It is Σ (top1 - mean of its configuration)² / Σ (runs - 1).
    """
    squares = []
    for runs in correct.values():
        top1 = np.mean(list(runs.values()), axis=1)
        squares.extend((top1 - top1.mean()) ** 2)
    df = max(len(squares) - len(correct), 1)
    return np.sum(squares) / df, df


def _subtract(runs, others):
    """Return the differences of the runs that can be compared, float (runs, n)."""
    is_single = len(runs) == len(others) == 1
    differences = []
    for seed, other_seed in itertools.product(runs, others):
        if is_single or seed == other_seed or None in (seed, other_seed):
            differences.append(runs[seed].astype(float) - others[other_seed])
    # One common seed of several runs tells nothing of the others.
    if is_single or len(differences) > 1:
        return np.array(differences)
    return np.array([])
