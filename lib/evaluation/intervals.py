"""Intervals of shares, and tests of models that answered the same pictures.

Groups are int (n,), equal for pictures that belong together; `np.arange(n)` where none do.
"""

import itertools
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.evaluation.flips import flip_groups

# The level of every test and interval.
LEVEL = 0.05
# Fewer trainings of a configuration can't tell how much seeds matter.
MIN_RUNS = 5
PAIRS = ["model", "other", "difference", "low", "high", "runs", "n", "p_value", "test"]


def effective_sample_size(
    groups: np.ndarray, correct: np.ndarray | None = None
) -> float:
    """Return how many independent pictures tell as much: n² / Σ sizes² (Kish 1965).

    That takes all pictures of a group for the same one. Where the groups differ still more,
    as hard bursts beside easy pictures do, it is p (1 - p) / their own variance.

    Args:
        groups: int (n,).
        correct: bool or float (n,), whose mean p is asked; without it only sizes count.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) == 0:
        return 0.0
    n = sizes.sum() ** 2 / (sizes**2).sum()
    if correct is not None and len(sizes) < len(group):
        share = np.mean(correct)
        sums = np.bincount(group, weights=correct - share)
        of_groups = np.sum(sums**2) / len(group) ** 2
        n = min(n, share * (1 - share) / of_groups) if of_groups > 0 else n
    return float(n)


def wilson_interval(
    share: float, n: float, level: float = LEVEL, df: float = np.inf
) -> list[float]:
    """Return the interval of a share of n pictures (Wilson 1927); [0, 1] where n is 0.

    Args:
        share: between 0 and 1.
        n: the effective sample size.
        level: how often the interval may miss the truth.
        df: degrees of freedom, finite where a spread was estimated.
    """
    if n == 0:
        return [0.0, 1.0]
    half = t.ppf(1 - level / 2, df) ** 2 / (2 * n)
    # The upper bound mirrors the lower one, so that 0 and 1 are bounds of themselves.
    low = _find_lower_bound(share, half)
    high = 1 - _find_lower_bound(1 - share, half)
    return [float(low), float(high)]


def _find_lower_bound(share, half):
    variance = 2 * half * share * (1 - share)
    margin = np.sqrt(variance + half * half)
    return (share + half - margin) / (1 + 2 * half)


def mean_interval(top1: np.ndarray, n: float) -> list[float]:
    """Return the interval of the mean of shares, float (runs,), each of n pictures.

    It is Wilson's, with the variance of the runs added to that of the pictures.
    """
    share = np.mean(top1)
    if np.ptp(top1) == 0:
        return wilson_interval(share, n)
    of_pictures = share * (1 - share) / n
    of_runs = np.var(top1, ddof=1) / len(top1)
    variance = of_pictures + of_runs
    df = (len(top1) - 1) * (variance / of_runs) ** 2
    return wilson_interval(share, share * (1 - share) / variance, df=df)


def compare_runs(
    differences: np.ndarray,
    groups: np.ndarray,
    level: float = LEVEL,
    seed_variance: float = 0.0,
    seed_df: float = 1.0,
    pairs: int = 1,
) -> tuple[float, float, float]:
    """Test whether the mean of paired differences is 0, by a paired t.

    Each side wins one more group (Bonett and Price 2012). Groups and runs are two
    sources of variance, whose degrees of freedom are Welch's and Satterthwaite's. Where one
    run is compared with one, and any pictures belong together, `flip_groups` tests instead.

    Args:
        differences: float (runs, pictures), -1 to 1.
        groups: int (pictures,).
        level: how often the interval may miss the truth.
        seed_variance: variance of the mean that seeds cause, as it was estimated from
            more runs than these; of several runs it counts where it is larger than theirs.
        seed_df: its degrees of freedom.
        pairs: how many are tested, on which the number of flips depends.

    Returns:
        low and high, the interval of the mean; and p_value.
    """
    differences = np.asarray(differences, float)
    runs = len(differences)
    by_picture = differences.mean(axis=0)
    if runs == 1 and len(np.unique(groups)) < len(groups):
        return flip_groups(by_picture, groups, level, pairs)
    mean, of_pictures, pictures_df = _estimate_mean(by_picture, groups)
    of_seeds = 0.0
    if runs > 1:
        own_variance = differences.mean(axis=1).var(ddof=1) / runs
        of_seeds = max(seed_variance, own_variance)
        seed_df = max(seed_df, runs - 1)
    variance = of_pictures + of_seeds
    df = variance**2 / (of_pictures**2 / pictures_df + of_seeds**2 / seed_df)
    error = np.sqrt(variance)
    margin = t.ppf(1 - level / 2, df) * error
    p_value = 2 * t.sf(abs(mean) / error, df)
    return max(mean - margin, -1.0), min(mean + margin, 1.0), float(p_value)


def _estimate_mean(by_picture, groups):
    # Return the mean, with one more group won by each side, its variance, which is
    # Σ residuals² / pictures² of the groups, and its degrees of freedom (Satterthwaite).
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    size = np.sqrt(np.mean(sizes**2))
    sums = np.append(np.bincount(group, weights=by_picture), [size, -size])
    sizes = np.append(sizes, [size, size])
    mean = sums.sum() / sizes.sum()
    squares = (sums - mean * sizes) ** 2
    count = len(sums)
    variance = squares.sum() / sizes.sum() ** 2 * count / (count - 1)
    df = count - 1.0
    if count < len(by_picture) + 2:
        df = min(df, squares.sum() ** 2 / np.sum(squares**2))
    return mean, variance, df


def correct_tests(p_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number (Holm 1979); a missing one is no test.

    Returns:
        The corrected values, and the level of each one's step.
    """
    order = np.argsort(p_values, kind="stable")
    count = np.sum(~np.isnan(p_values))
    steps = np.maximum(count - np.arange(len(p_values)), 1)
    scaled = np.minimum(p_values[order] * steps, 1)
    corrected = np.maximum.accumulate(scaled)
    # Once a step fails, all further tests have its level.
    failed = np.sum(corrected >= LEVEL)
    levels = LEVEL / np.maximum(steps, failed)
    rank = np.argsort(order)
    return corrected[rank], levels[rank]


def compare_configurations(
    correct: dict[str, dict], groups: np.ndarray
) -> pd.DataFrame:
    """Compare each pair of configurations, on the runs that can be compared.

    Runs of one seed are compared; a run that no seed decides with every run of the other;
    one run with one run. Else there is no row. How much seeds matter is pooled over all
    configurations, and of two to four trainings nothing is claimed.

    Args:
        correct: configuration to {seed: bool (n,), whether that run is right on each
            picture}; the seed is None where none decides.
        groups: int (n,).

    Returns:
        A row per pair: model, other (the better one first), difference, low, high, runs, n,
        p_value, p_holm (both missing where nothing can be claimed) and established. The
        interval has the level of its step in Holm's procedure, so that it excludes 0
        exactly where p_holm claims a difference (Serlin 1993).
    """
    table = _list_pairs(correct, groups)
    is_tested = (table.runs == 1) | (table.runs >= MIN_RUNS)
    table["p_value"] = table.p_value.astype(float).where(is_tested)
    table["p_holm"], levels = correct_tests(table.p_value.to_numpy())
    for index, test in enumerate(table.pop("test")):
        low, high, _ = test(level=levels[index])
        table.loc[index, ["low", "high"]] = [low, high]
    return table.assign(established=table.p_holm < LEVEL)


def _list_pairs(correct, groups):
    # Of each pair the difference, and its test, which takes a level.
    seed_variance, seed_df = _pool_seeds(correct)
    rows = []
    both = list(itertools.combinations(correct, 2))
    for model, other in both:
        differences = _subtract(correct[model], correct[other])
        if len(differences) == 0:
            continue
        row = {"model": model, "other": other}
        if differences.mean() < 0:
            row = {"model": other, "other": model}
            differences = -differences
        runs = len(differences)
        # Each side that seeds decide has a variance of its own.
        sides = sum(None not in correct[name] for name in (model, other))
        test = partial(
            compare_runs,
            differences,
            groups,
            seed_variance=sides * seed_variance / runs,
            seed_df=seed_df,
            pairs=len(both),
        )
        _, _, p_value = test(level=LEVEL)
        row |= {"difference": differences.mean(), "runs": runs, "n": len(groups)}
        row |= {"p_value": p_value, "test": test}
        rows.append(row)
    return pd.DataFrame(rows, columns=PAIRS)


def _pool_seeds(correct):
    # Return the variance of accuracy over seeds, and its degrees of freedom:
    # Σ (top1 - mean of its configuration)² / Σ (runs - 1).
    squares = 0.0
    df = 0
    for runs in correct.values():
        top1 = [flags.mean() for flags in runs.values()]
        squares += np.var(top1) * len(top1)
        df += len(top1) - 1
    return squares / max(df, 1), max(df, 1)


def _subtract(runs, others):
    seeds = [(seed, seed) for seed in runs if seed in others]
    is_single = len(runs) == len(others) == 1
    if is_single or None in runs or None in others:
        seeds = list(itertools.product(runs, others))
    elif len(seeds) == 1:
        seeds = []
    differences = []
    for seed, other_seed in seeds:
        differences.append(runs[seed].astype(float) - others[other_seed])
    return np.array(differences)
