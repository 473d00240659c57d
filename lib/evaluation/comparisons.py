"""Numbers of several models on the same pictures: pairs of models, and ways of training."""

import itertools

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from scipy.stats import norm, t

from lib.evaluation.intervals import FEWEST, LEVEL, find_effect

# Quantiles to integrate over, denser at both ends, and their weights.
STEPS = np.linspace(-6, 6, 97)
QUANTILES, WEIGHTS = norm.cdf(STEPS), norm.pdf(STEPS) / norm.pdf(STEPS).sum()


def compare_pairs(right: dict[str, np.ndarray], groups) -> pd.DataFrame:
    """Compare each pair of models, best first.

    Args:
        right: model label to bool (n,), whether it is right on each picture.
        groups: int (n,), as in `intervals`.

    Returns:
        One row a pair: model, other, difference, low, high, p_value (`compare_pair`), p_holm (the
        same, corrected for the number of pairs after Holm 1979, so that any false claim among them
        is as rare as the level says), n. The interval of a pair has the level of its step in Holm's
        procedure (Serlin 1993), so it excludes 0 exactly if p_holm is below the level.
    """
    ordered = sorted(right, key=lambda label: -right[label].mean())
    pairs = list(itertools.combinations(ordered, 2))
    rows = [(a, b, *compare_pair(right[a], right[b], groups)) for a, b in pairs]
    table = pd.DataFrame(rows, columns=["model", "other", "difference", "p_value"])
    corrected, levels = correct_tests(table.p_value)
    bounds = [bound_difference(right[a], right[b], groups, k) for (a, b), k in zip(pairs, levels)]
    table[["low", "high"]] = np.reshape(bounds, (-1, 2))
    table = table.assign(p_holm=corrected, n=len(groups))
    return table[["model", "other", "difference", "low", "high", "p_value", "p_holm", "n"]]


def correct_tests(p_values) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number (Holm 1979); return them, and the level of each one's step.

    Once a step fails, all further tests have its level.
    """
    p_values = np.asarray(p_values, float)
    order, steps = np.argsort(p_values, kind="stable"), np.arange(len(p_values), 0, -1)
    corrected, levels = np.empty(len(p_values)), np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(np.minimum(p_values[order] * steps, 1))
    failed = (corrected[order] >= LEVEL).cumsum() > 0
    levels[order] = LEVEL / np.where(failed, max(failed.sum(), 1), steps)
    return corrected, levels


def compare_pair(right_a, right_b, groups) -> tuple[float, float]:
    """Return the accuracy of a minus that of b, and the exact p-value (McNemar 1947)."""
    only_a, only_b, _ = _count_cells(right_a, right_b, groups)
    tails = betainc(only_a, only_b + 1, 0.5), betainc(only_b, only_a + 1, 0.5)
    return float(np.mean(right_a) - np.mean(right_b)), float(min(2 * min(tails), 1))


def bound_difference(right_a, right_b, groups, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of the difference (Fay and Lumbard 2021).

    It excludes 0 exactly if the p-value of `compare_pair` is below `level`.
    """
    only_a, only_b, n = _count_cells(right_a, right_b, groups)
    return _find_bound(only_a, only_b, n, level), -_find_bound(only_b, only_a, n, level)


def _count_cells(right_a, right_b, groups):
    difference = np.asarray(right_a, int) - np.asarray(right_b, int)
    effect = find_effect(difference, groups)
    # Where there is none, nearly none: no case has to be told apart.
    only_a, only_b = (max((difference == sign).sum() / effect, 1e-9) for sign in (1, -1))
    return only_a, only_b, len(difference) / effect


def _find_bound(a: float, b: float, n: float, level: float) -> float:
    # The lower bound melds those of Clopper and Pearson of two shares: of the pictures that the
    # models differ on, and of those among them that only the first model is right on.
    differ, same = a + b, max(n - a - b, 1e-9)

    def chance(bound):
        if bound > 0:
            return 1 - level / 2 - _find_tail(bound, (b + 1, a), (differ, same + 1))
        return _find_tail(-bound, (a, b + 1), (differ + 1, same)) - level / 2

    ends = (0, 1) if chance(0) < 0 else (-1, 0)
    return float(brentq(chance, *ends, xtol=1e-9))


def _find_tail(size: float, wrong, differing) -> float:
    # The chance that differing * (1 - 2 * wrong) is above size, for shares with these two beta
    # distributions. Only where it can be is integrated over, so that no step is jumped across.
    most = betainc(*wrong, (1 - size) / 2)
    gaps = np.maximum(1 - 2 * betaincinv(*wrong, most * QUANTILES), max(size, 1e-12))
    return most * (WEIGHTS @ (1 - betainc(*differing, size / gaps)))


def compare_ways(right: dict, groups) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare ways of training, of each of which there are runs that differ in the seed alone.

    Args:
        right: way to {seed: bool (n,), whether that run is right on each picture}.
        groups: int (n,), as in `intervals`.

    Returns:
        ways: index way; columns runs, mean, lowest, highest (top-1 of the runs), low, high
        (`bound_mean`; NaN for one run), n.
        differences: way, other, difference, low, high, runs, n: of two ways on the seeds that both
        have, the better first; intervals hold together (Bonferroni). Pairs with fewer than two
        seeds in common are left out.
    """
    runs = {way: pd.DataFrame(seeds).astype(float) for way, seeds in right.items()}
    rows = []
    for table in runs.values():
        mean, low, high = bound_mean(table, groups, LEVEL, 0)
        rows.append(
            (table.shape[1], mean, *table.mean().agg(["min", "max"]), low, high, len(table))
        )
    columns = ["runs", "mean", "lowest", "highest", "low", "high", "n"]
    ways = pd.DataFrame(rows, index=pd.Index(runs, name="way"), columns=columns)
    ordered = ways["mean"].sort_values(ascending=False, kind="stable").index
    pairs = itertools.combinations(ordered, 2)
    gaps = [(a, b, (runs[a] - runs[b]).dropna(axis=1)) for a, b in pairs]
    gaps = [(a, b, gap) for a, b, gap in gaps if gap.shape[1] > 1]
    level = LEVEL / max(len(gaps), 1)
    rows = [(a, b, *bound_mean(gap, groups, level, -1), *gap.shape[::-1]) for a, b, gap in gaps]
    columns = ["way", "other", "difference", "low", "high", "runs", "n"]
    return ways, pd.DataFrame(rows, columns=columns)


def bound_mean(table: pd.DataFrame, groups, level: float, least: int) -> tuple:
    """Return a mean over pictures (rows) and runs (columns), and its interval: both are chance.

    The variance is that of the pictures' means plus what the runs add to it (two-way random effects:
    Cameron, Gelbach and Miller 2011); each part has Student's t of its own degrees of freedom, and
    the squares of the two widths are added (Graybill and Wang 1980).

    Returns:
        mean, low, high: within `least` and 1; the last two NaN for one run, for too few pictures, or
        where all pictures are alike, so that nothing tells how others would be.
    """
    (n, runs), of_each = table.shape, table.mean()
    mean = of_each.mean()
    residuals = (table - mean).groupby(groups).sum().to_numpy()
    count = len(residuals)
    if runs < 2 or count < FEWEST or not residuals.any():
        return mean, np.nan, np.nan
    of_pictures = (residuals.mean(axis=1) ** 2).sum() / n**2 * count / (count - 1)
    of_runs = of_each.var() / runs
    rest = residuals - residuals.mean(axis=1, keepdims=True) - residuals.mean(axis=0)
    of_both = (rest**2).sum() / n**2 / (runs * (runs - 1))
    spreads = [max(of_pictures - of_both, 0), of_runs]
    width = np.sqrt((t.ppf(1 - level / 2, [count - 1, runs - 1]) ** 2 * spreads).sum())
    return mean, max(mean - width, least), min(mean + width, 1)
