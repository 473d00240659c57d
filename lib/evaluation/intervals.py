"""Intervals of shares: how many different pictures some tell as much as, and Wilson's interval.

Groups are int (n,), equal for pictures that belong together; `np.arange(n)` where none do.
"""

import numpy as np
from scipy.stats import t

# The level of every test and interval.
LEVEL = 0.05


def effective_sample_size(groups: np.ndarray) -> float:
    """Return how many independent pictures tell as much as groups, int (n,): n² / Σ sizes² (Kish 1965).

    That takes all pictures of a group for the same one.
    """
    _, sizes = np.unique(groups, return_counts=True)
    return count_different(sizes, sizes)


def count_different(sums: np.ndarray, sizes: np.ndarray) -> float:
    """Return `effective_sample_size` of groups, or less where a few of them are unlike the others.

    Where groups differ more than if their pictures were the same one, as hard bursts beside easy
    pictures do, it is p (1 - p) / their own variance.

    Args:
        sums: float (groups,), how many pictures of each are right; p is their share of all.
        sizes: int (groups,), how many pictures each has.
    """
    count = sizes.sum()
    squares = max(sizes @ sizes, 1)
    n = count**2 / squares
    if len(sizes) < count:
        share = sums.sum() / count
        residuals = sums - share * sizes
        own_variance = residuals @ residuals / count**2
        if own_variance > 0:
            variance = share * (1 - share)
            n = min(n, variance / own_variance)
    return float(n)


def sum_groups(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the values of each group, and its size."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.bincount(group, weights=values), sizes


def wilson_interval(share: float, n: float, df: float = np.inf) -> list[float]:
    """Return the interval of a share of n pictures (Wilson 1927); [0, 1] where n is 0.

    Args:
        share: between 0 and 1.
        n: the effective sample size.
        df: degrees of freedom, finite where pictures belong together.
    """
    if n == 0:
        return [0.0, 1.0]
    z = t.ppf(1 - LEVEL / 2, df)
    half = z**2 / (2 * n)
    wrong = 1 - share
    margin = np.sqrt(2 * half * share * wrong + half**2)
    centre = share + half
    ends = np.array([centre - margin, centre + margin])
    bounds = ends / (1 + 2 * half)
    # Rounded, 0 and 1 are bounds of themselves.
    return bounds.round(12).tolist()


def share_interval(correct: np.ndarray, groups: np.ndarray) -> list[float]:
    """Return the interval of the share of pictures that are right.

    Where pictures belong together, a few groups may decide, so it has a t of n - 1 degrees of
    freedom, n being the effective sample size.

    Args:
        correct: bool (n,), or float (n,): in which share of some trainings each is right.
        groups: int (n,).
    """
    sums, sizes = sum_groups(correct, groups)
    n = count_different(sums, sizes)
    pictures = len(correct)
    share = sums.sum() / max(pictures, 1)
    df = np.inf
    if len(sizes) < pictures:
        df = max(n - 1, 1)
    return wilson_interval(share, n, df)
