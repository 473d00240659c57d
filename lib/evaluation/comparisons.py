"""Paired tests of models that answered the same pictures; groups are those of `intervals`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.evaluation.intervals import LEVEL, sum_groups

# Fewer trainings of a configuration can't tell how much seeds matter.
MIN_RUNS = 5
# Odd, so that no p equals a level; so many can establish one of 499 pairs.
FLIPS = 19999


@dataclass(frozen=True)
class Pair:
    """Two configurations, of which the first is ahead on these pictures, or equal."""

    model: str
    other: str
    difference: float  # of their accuracies, 0-1
    # The interval, at the level of its step in Holm's procedure (Serlin 1993).
    low: float
    high: float
    # Corrected for the number of pairs; NaN of two to four runs, of which nothing can be claimed.
    p_holm: float
    established: bool  # p_holm < LEVEL, exactly where the interval excludes 0


def compare_configurations(correct: dict[str, dict], groups: np.ndarray) -> list[Pair]:
    """Compare each pair of configurations that have runs in common.

    These are runs of one seed; a run that no seed decides, with every run of the other; one
    run with one run.

    Args:
        correct: configuration to {seed: bool (n,), whether that run is right on each
            picture}; the seed is None where none decides.
        groups: int (n,).
    """
    compared = []
    p_values = []
    for model, other in itertools.combinations(correct, 2):
        differences = _subtract(correct[model], correct[other])
        runs = len(differences)
        if runs == 0:
            continue
        if differences.mean() < 0:
            compared.append((other, model, -differences))
        else:
            compared.append((model, other, differences))
        _, _, p_value = compare_runs(differences, groups)
        p_values.append(np.nan if 1 < runs < MIN_RUNS else p_value)
    steps = correct_tests(p_values).itertuples()
    pairs = []
    for (model, other, differences), step in zip(compared, steps):
        # The same test once more, so that the interval has the level of its step.
        low, high, _ = compare_runs(differences, groups, step.level)
        difference = differences.mean()
        is_sure = step.p_holm < LEVEL
        pair = Pair(model, other, difference, low, high, step.p_holm, is_sure)
        pairs.append(pair)
    return pairs


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


def correct_tests(p_values: Sequence[float]) -> pd.DataFrame:
    """Return p_holm, and level, that of each step (Holm 1979); a missing p is no test."""
    ordered = pd.Series(p_values, dtype=float).sort_values(kind="stable")
    steps = ordered.count() - np.arange(len(ordered))
    p_holm = (steps * ordered).clip(upper=1).cummax()
    # Once a step fails, all further tests have its level.
    failed = max(np.sum(p_holm >= LEVEL), 1)
    level = LEVEL / steps.clip(failed)
    return pd.DataFrame({"p_holm": p_holm, "level": level}).sort_index()


def compare_runs(
    differences: np.ndarray, groups: np.ndarray, level: float = LEVEL
) -> tuple[float, float, float]:
    """Test whether the mean of paired differences is 0, by a paired t.

    Each side wins one more group (Bonett and Price 2012). Groups and runs are two sources
    of variance (Welch, Satterthwaite). Single runs in groups have `_flip_groups`.

    Args:
        differences: float (runs, pictures), -1 to 1.
        groups: int (pictures,).
        level: how often the interval may miss the truth.

    Returns:
        low and high, the interval of the mean; and p_value.
    """
    runs = len(differences)
    sums, sizes = sum_groups(np.mean(differences, axis=0), groups)
    if runs == 1 and sizes.max() > 1:
        return _flip_groups(sums, sizes, level)
    mean, variance, df = _estimate_mean(sums, sizes)
    if runs > 1:
        of_pictures = variance**2 / df
        of_runs = np.mean(differences, axis=1).var(ddof=1) / runs
        variance += of_runs
        df = variance**2 / (of_pictures + of_runs**2 / (runs - 1))
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


def _flip_groups(sums, sizes, level):
    """Test whether groups favour neither side: flip the signs of their sums at random.

    The mean of the groups that are flipped, a random half of all, lies above the true
    difference as often as below it. So these means give the interval (Hartigan 1969), too.
    """
    # Of equal groups only the number that is flipped counts. Rounded, thirds add up to 0.
    rounded = np.round([sums, sizes], 12)
    kinds, counts = np.unique(rounded, axis=1, return_counts=True)
    rng = np.random.default_rng(0)
    flipped = rng.binomial(counts, 0.5, size=(FLIPS, len(counts)))
    # As they were observed is one way, too.
    flipped[0] = 0
    half = kinds @ flipped.T
    half = half.round(9)
    is_low = half[0] <= 0
    is_high = half[0] >= 0
    smaller = min(is_low.mean(), is_high.mean())
    p_value = min(2 * smaller, 1.0)
    bounds = [_find_bounds(half, level)]
    if p_value >= level:
        # At least as wide as with one more group won by each side: else a tie has no width.
        size = np.sqrt(np.mean(sizes**2))
        won, lost = rng.integers(0, 2, size=(2, FLIPS))
        extra = np.array([won - lost, won + lost])
        bounds.append(_find_bounds(half + size * extra, level))
    low = np.min(bounds)
    high = np.max(bounds)
    return low, high, p_value


def _find_bounds(half, level):
    """Return the interval that the means of random halves give, of their sums and sizes."""
    sums, sizes = half
    means = sums / np.maximum(sizes, 1)
    shares = [level / 2, 1 - level / 2]
    return np.quantile(means, shares, method="inverted_cdf")
