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

    `right` maps a model's label to bool (n,), whether it is right on each picture.

    Returns a row a pair: model, other, difference, low, high, p_value, p_holm, n. Any false claim by
    p_holm is as rare as the level says (Holm 1979). An interval has the level of its step in Holm's
    procedure (Serlin 1993), so it excludes 0 exactly if p_holm is below the level.
    """
    ordered = sorted(right, key=lambda label: -right[label].mean())
    table = pd.DataFrame(itertools.combinations(ordered, 2), columns=["model", "other"])
    pairs = [(right[a], right[b], groups) for a, b in zip(table.model, table.other)]
    difference, p_value = np.reshape([compare_pair(*pair) for pair in pairs], (-1, 2)).T
    p_holm, levels = correct_tests(p_value)
    bounds = [bound_difference(*pair, level) for pair, level in zip(pairs, levels)]
    low, high = np.reshape(bounds, (-1, 2)).T
    table = table.assign(difference=difference, low=low, high=high, p_value=p_value)
    return table.assign(p_holm=p_holm, n=len(groups))


def correct_tests(p_values) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number (Holm 1979); return them, and the level of each one's step."""
    order, steps = np.argsort(p_values, kind="stable"), np.arange(len(p_values), 0, -1)
    corrected = np.maximum.accumulate(np.minimum(p_values[order] * steps, 1))
    # Once a step fails, all further tests have its level.
    levels = LEVEL / np.maximum(steps, (corrected >= LEVEL).sum())
    place = order.argsort()
    return corrected[place], levels[place]


def compare_pair(right_a, right_b, groups) -> tuple[float, float]:
    """Return the accuracy of a minus that of b, and the exact p-value (McNemar 1947)."""
    only_a, only_b, _ = _count_cells(right_a, right_b, groups)
    tails = betainc(only_a, only_b + 1, 0.5), betainc(only_b, only_a + 1, 0.5)
    return float(np.mean(right_a) - np.mean(right_b)), float(min(2 * min(tails), 1))


def bound_difference(right_a, right_b, groups, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval that goes with the test of `compare_pair` (Fay and Lumbard 2021)."""
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

    def miss(bound):
        if bound > 0:
            return 1 - level / 2 - _find_tail(bound, (b + 1, a), (differ, same + 1))
        return _find_tail(-bound, (a, b + 1), (differ + 1, same)) - level / 2

    ends = (0, 1) if miss(0) < 0 else (-1, 0)
    return float(brentq(miss, *ends, xtol=1e-9))


def _find_tail(size: float, wrong, differing) -> float:
    # The chance that differing * (1 - 2 * wrong) is above size, for shares with these two beta
    # distributions. Only where it can be is integrated over, so that no step is jumped across.
    most = betainc(*wrong, (1 - size) / 2)
    gaps = np.maximum(1 - 2 * betaincinv(*wrong, most * QUANTILES), max(size, 1e-12))
    return most * (WEIGHTS @ (1 - betainc(*differing, size / gaps)))


def compare_ways(right: dict, groups) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare ways of training, of each of which there are runs that differ in the seed alone.

    `right` maps a way to {seed: bool (n,), whether that run is right on each picture}.

    Returns ways: index way; columns runs, mean, lowest, highest (top-1 of the runs), low, high, n; and
    differences: way, other, difference, low, high, runs, n, the better first, on two or more seeds
    that both have. The intervals of differences hold together (Bonferroni).
    """
    runs = {way: pd.DataFrame(seeds).astype(float) for way, seeds in right.items()}
    rows = []
    for way, table in runs.items():
        (mean, *bounds), top1 = bound_mean(table, groups, LEVEL, 0), table.mean()
        rows.append((way, len(top1), mean, top1.min(), top1.max(), *bounds, len(table)))
    columns = "way runs mean lowest highest low high n".split()
    ways = pd.DataFrame(rows, columns=columns).set_index("way")
    ordered = ways["mean"].sort_values(ascending=False, kind="stable").index
    pairs = itertools.combinations(ordered, 2)
    gaps = {(a, b): (runs[a] - runs[b]).dropna(axis=1) for a, b in pairs}
    gaps = {pair: gap for pair, gap in gaps.items() if gap.shape[1] > 1}
    level = LEVEL / max(len(gaps), 1)
    rows = [(*p, *bound_mean(gap, groups, level, -1), *gap.shape[::-1]) for p, gap in gaps.items()]
    return ways, pd.DataFrame(rows, columns="way other difference low high runs n".split())


def bound_mean(table: pd.DataFrame, groups, level: float, least: int) -> tuple:
    """Return a mean over pictures (rows) and runs (columns), and its interval: both are chance.

    The variances of both add up (two-way random effects: Cameron, Gelbach and Miller 2011), and so do
    the squares of their widths, of Student's t (Graybill and Wang 1980). Bounds lie within `least` and
    1; they are NaN for one run, for too few pictures, or where all are alike, which tells nothing.
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
