"""How sure a share is, and a difference of models that answered the same pictures.

Groups are int (n,), equal for pictures that belong together (copies, bursts, one animal);
`np.arange(n)` where none do.
"""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import binom, t

# The level of every test and interval.
LEVEL = 0.05


def effective_sample_size(groups) -> float:
    """Return how many pictures of different groups tell as much: n² / Σ sizes² (Kish 1965)."""
    _, sizes = np.unique(groups, return_counts=True)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def wilson_interval(
    share: float, n: float, level: float = LEVEL, freedom=np.inf
) -> list[float]:
    """Return the interval of a share of n pictures (Wilson 1927); [0, 1] where n is 0.

    `freedom`, the degrees of freedom, is finite where a spread was estimated.
    """
    if n == 0:
        return [0.0, 1.0]
    z = t.ppf(1 - level / 2, freedom)
    middle = share + z**2 / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)
    # Rounding must not put a bound of a share of 0 or 1 a hair beside it.
    return [float(low) if share > 0 else 0.0, float(high) if share < 1 else 1.0]


def mean_interval(top1, n: float) -> list[float]:
    """Return the interval of the mean of runs' shares (runs,), each of n pictures.

    It is Wilson's, with the variance of the runs added, and as many degrees of freedom as both have.
    """
    share, runs = np.mean(top1), len(top1)
    if np.ptp(top1) == 0:
        return wilson_interval(share, n)
    of_runs = np.var(top1, ddof=1) / runs
    variance = share * (1 - share) / n + of_runs
    freedom = (runs - 1) * (variance / of_runs) ** 2
    return wilson_interval(share, share * (1 - share) / variance, LEVEL, freedom)


def beats_baseline(top1: float, n: float, baseline: float, count: int) -> bool:
    """Tell whether one of `count` models surely beats a baseline, by the exact binomial test.

    The best of them was chosen for its score: the level is divided by their number (Bonferroni).
    """
    correct = np.floor(top1 * n + 1e-9)
    return bool(2 * binom.sf(correct - 1, np.floor(n), baseline) < LEVEL / count)


def compare_runs(
    differences, n: float, level: float = LEVEL
) -> tuple[float, float, float]:
    """Return low, high and p_value of the mean of paired differences, -1 to 1, float (runs, pictures).

    One picture more is won by each side (Bonett and Price 2012). Pictures and runs are two sources of
    variance, whose degrees of freedom are Welch's and Satterthwaite's. n is the effective number.
    """
    d, (runs, _), n = np.mean(differences, axis=0), np.shape(differences), n + 2
    mean = d.mean() * (n - 2) / n
    of_pictures = (((d**2).mean() * (n - 2) + 2) / n - mean**2) / (n - 1)
    of_runs = np.var(np.mean(differences, axis=1), ddof=1) / runs if runs > 1 else 0
    variance = of_pictures + of_runs
    freedom = variance**2 / (of_pictures**2 / (n - 1) + of_runs**2 / max(runs - 1, 1))
    reach = t.ppf(1 - level / 2, freedom) * np.sqrt(variance)
    p_value = 2 * t.sf(abs(mean) / np.sqrt(variance), freedom)
    return max(mean - reach, -1.0), min(mean + reach, 1.0), float(p_value)


def correct_tests(p_values) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number (Holm 1979); return them, and the level of each one's step."""
    order, steps = np.argsort(p_values, kind="stable"), np.arange(len(p_values), 0, -1)
    corrected = np.maximum.accumulate(np.minimum(p_values[order] * steps, 1))
    # Once a step fails, all further tests have its level.
    levels = LEVEL / np.maximum(steps, (corrected >= LEVEL).sum())
    place = order.argsort()
    return corrected[place], levels[place]


def compare_configurations(correct: dict[str, dict], groups) -> pd.DataFrame:
    """Compare each pair of ways of training, on the runs that can be compared.

    `correct` maps a way to {seed: bool (n,), whether that run is right on each picture}; the seed is
    None where none decides. Runs of one seed are compared; a run that no seed decides with every run
    of the other; one run with one run. Else nothing is claimed, and there is no row.

    Returns model, other (the better first), difference, low, high, p_value, p_holm, runs, n. An interval
    has the level of its step in Holm's procedure, so it excludes 0 exactly if p_holm claims a
    difference (Serlin 1993).
    """
    pairs, n = [], effective_sample_size(groups)
    for model, other in itertools.combinations(correct, 2):
        gaps = _subtract(correct[model], correct[other])
        if len(gaps):
            pairs.append(
                (model, other, gaps) if gaps.mean() >= 0 else (other, model, -gaps)
            )
    p_value = np.array([compare_runs(gaps, n)[2] for *_, gaps in pairs])
    p_holm, levels = correct_tests(p_value)
    rows = [
        (*names, gaps.mean(), *compare_runs(gaps, n, level)[:2], *gaps.shape)
        for (*names, gaps), level in zip(pairs, levels)
    ]
    table = pd.DataFrame(rows, columns="model other difference low high runs n".split())
    return table.assign(p_value=p_value, p_holm=p_holm)


def _subtract(runs: dict, others: dict) -> np.ndarray:
    seeds = [(seed, seed) for seed in runs if seed in others]
    if None in runs or None in others or len(runs) == len(others) == 1:
        seeds = itertools.product(runs, others)
    elif len(seeds) == 1:
        seeds = []
    return np.array([runs[a].astype(float) - others[b] for a, b in seeds])
