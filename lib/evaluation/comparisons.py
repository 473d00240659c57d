"""Numbers of several models on the same pictures: pairs of models, and ways of training."""

import itertools

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from scipy.stats import norm, t

from lib.evaluation.intervals import FEWEST, LEVEL, find_effect

# Draws of the permutation test, and what decides them.
DRAWS, SEED = 2000, 0
# Quantiles to integrate over, denser at the ends, and their weights.
STEPS = np.linspace(-6, 6, 97)
QUANTILES, WEIGHTS = norm.cdf(STEPS), norm.pdf(STEPS) / norm.pdf(STEPS).sum()


def compare_pairs(right: dict[str, np.ndarray], y_true, groups=None) -> pd.DataFrame:
    """Compare each pair of models, best first.

    Args:
        right: model label to bool (n,), whether it is right on each picture.
        y_true, groups: as in `metrics.evaluate`.

    Returns:
        One row a pair: model, other, difference, low, high, p_value (`compare_pair`), p_holm (the
        same, corrected for the number of pairs after Holm 1979, so that any false claim among them
        is as rare as the level says), n. The interval of a pair has the level of its step in Holm's
        procedure (Serlin 1993), so it excludes 0 exactly if p_holm is below the level.
        balanced_difference, balanced_p, balanced_holm: of the average per class (`swap_labels`).
    """
    ordered = sorted(right, key=lambda label: -right[label].mean())
    pairs = list(itertools.combinations(ordered, 2))
    tests = [compare_pair(right[a], right[b], groups) for a, b in pairs]
    corrected, levels = correct_tests([p_value for _, p_value in tests])
    rows = []
    for (a, b), (difference, p_value), p_holm, level in zip(pairs, tests, corrected, levels):
        bounds = bound_difference(right[a], right[b], groups, level)
        balanced = swap_labels(right[a], right[b], y_true, groups)
        rows.append((a, b, difference, *bounds, p_value, p_holm, len(y_true), *balanced))
    columns = "model other difference low high p_value p_holm n balanced_difference balanced_p"
    table = pd.DataFrame(rows, columns=columns.split())
    return table.assign(balanced_holm=correct_tests(table.balanced_p)[0])


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


def compare_pair(right_a, right_b, groups=None) -> tuple[float, float]:
    """Return the accuracy of a minus that of b, and the exact p-value (McNemar 1947)."""
    only_a, only_b, _ = _count_cells(right_a, right_b, groups)
    tails = betainc(only_a, only_b + 1, 0.5), betainc(only_b, only_a + 1, 0.5)
    return float(np.mean(right_a) - np.mean(right_b)), float(min(2 * min(tails), 1))


def bound_difference(right_a, right_b, groups=None, level: float = LEVEL) -> tuple[float, float]:
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
    few = np.maximum(betaincinv(differ, same + 1, QUANTILES), 1e-12)
    many = betaincinv(differ + 1, same, QUANTILES)

    def chance(bound):
        shares = (1 + bound / (few if bound > 0 else many)) / 2
        return WEIGHTS @ betainc(a, b + 1, np.clip(shares, 0, 1)) - level / 2

    return float(brentq(chance, -1, 1)) if chance(-1) < 0 else -1.0


def swap_labels(right_a, right_b, y_true, groups=None) -> tuple[float, float]:
    """Test the difference of two averages per class by swapping the models' answers at random.

    Were the models alike, the two answers to a picture (or group) could as well be swapped: a
    paired permutation test (Fisher 1935). Return the average of a minus that of b, and the p-value.
    """
    support = np.bincount(y_true)
    weights = 1 / support[y_true] / (support > 0).sum()
    shares = weights * (np.asarray(right_a, int) - np.asarray(right_b, int))
    sums = shares if groups is None else np.bincount(groups, shares)
    observed, sums = abs(shares.sum()), sums[sums != 0]
    rng = np.random.default_rng(SEED)
    drawn = [abs(sums @ (2 * rng.integers(0, 2, len(sums)) - 1)) for _ in range(DRAWS)]
    as_large = np.sum(np.array(drawn) >= observed - 1e-12)
    return float(shares.sum()), float((1 + as_large) / (1 + DRAWS))


def compare_ways(right: dict, groups=None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare ways of training, of each of which there are runs that differ in the seed alone.

    Args:
        right: way to {seed: bool (n,), whether that run is right on each picture}.
        groups: as in `metrics.evaluate`.

    Returns:
        ways: index way; columns runs, mean, lowest, highest (top-1 of the runs), low, high
        (`bound_mean`; NaN for one run), n.
        differences: way, other, difference, low, high, runs, n: of two ways on the seeds that both
        have, the better first; intervals hold together (Bonferroni). Pairs with fewer than two
        seeds in common are left out.
    """
    runs = {way: pd.DataFrame(seeds).astype(float) for way, seeds in right.items()}
    rows = []
    for way, table in runs.items():
        mean, low, high = bound_mean(table, groups, LEVEL, 0)
        tops = table.mean()
        rows.append((way, len(tops), mean, tops.min(), tops.max(), low, high, len(table)))
    columns = ["way", "runs", "mean", "lowest", "highest", "low", "high", "n"]
    ways = pd.DataFrame(rows, columns=columns).set_index("way")
    ordered = ways["mean"].sort_values(ascending=False, kind="stable").index
    pairs = itertools.combinations(ordered, 2)
    gaps = {(a, b): (runs[a] - runs[b]).dropna(axis=1) for a, b in pairs}
    gaps = {pair: table for pair, table in gaps.items() if table.shape[1] > 1}
    rows = [
        (*pair, *bound_mean(table, groups, LEVEL / len(gaps), -1), table.shape[1], len(table))
        for pair, table in gaps.items()
    ]
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
    residuals = table - mean
    if groups is not None:
        residuals = residuals.groupby(groups).sum()
    residuals, count = residuals.to_numpy(), len(residuals)
    if runs < 2 or count < FEWEST or not residuals.any():
        return mean, np.nan, np.nan
    of_pictures = (residuals.mean(axis=1) ** 2).sum() / n**2 * count / (count - 1)
    of_runs = of_each.var() / runs
    rest = residuals - residuals.mean(axis=1, keepdims=True) - residuals.mean(axis=0)
    of_both = (rest**2).sum() / n**2 / (runs * (runs - 1))
    spreads = [max(of_pictures - of_both, 0), of_runs]
    width = np.sqrt((t.ppf(1 - level / 2, [count - 1, runs - 1]) ** 2 * spreads).sum())
    return mean, max(mean - width, least), min(mean + width, 1)
