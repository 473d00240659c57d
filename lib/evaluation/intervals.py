"""95 % intervals of shares and of means.

Pictures of one group (copies, look-alikes, one animal) say less than as many others: the number of
pictures is divided by the design effect of groups (Kish 1965), as Korn and Graubard (1998) do.
Groups are int (n,), equal for pictures that belong together, or None where none do.
"""

import numpy as np
from scipy.stats import t

# The level of every test and interval.
LEVEL = 0.05
# With fewer pictures (groups, where they come in groups), for the ECE or a class, or fewer of
# right or of wrong answers, no interval holds often enough.
FEWEST, FEWEST_FOR_ECE, FEWEST_IN_CLASS, FEWEST_MISTAKES = 20, 80, 5, 5


def wilson_interval(right: float, n: float, freedom: float = np.inf) -> list[float]:
    """Return the 95 % interval of a share, `right` of `n` (Wilson 1927); [0, 1] where n is 0.

    Both may be divided by a design effect; `freedom` is that of a variance that was estimated.
    """
    if n == 0:
        return [0.0, 1.0]
    z, share = t.ppf(1 - LEVEL / 2, freedom), right / n
    middle = share + z**2 / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)
    # Rounding must not put a bound of a share of 0 or 1 a hair beside it.
    return [float(low) if right > 0 else 0.0, float(high) if right < n else 1.0]


def find_effect(values, groups) -> float:
    """Return the design effect of groups on the sum of values (n,) around 0; 1 without any."""
    if groups is None:
        return 1.0
    sums = np.bincount(groups, values)
    return max(1.0, float(sums @ sums / max(values @ values, 1e-300)))


def drop_lonely(groups):
    """Return groups, int (n,); None where each has one picture, so that nothing belongs together."""
    if groups is None or len(np.unique(groups)) == len(groups):
        return None
    return groups


def count_members(y_true, groups, num_classes: int) -> np.ndarray:
    """Return how many independent pictures each class has: its groups, or all: int (classes,)."""
    if groups is None:
        return np.bincount(y_true, minlength=num_classes)
    pairs = np.unique(np.stack([y_true, groups]), axis=1)
    return np.bincount(pairs[0], minlength=num_classes)


def find_share_interval(right, groups=None) -> list[float]:
    """Return the Wilson interval of the share of True in `right` (n,), with groups."""
    n, count = len(right), float(np.sum(right))
    # The share is moved a little to 1/2: what is always right has groups too.
    effect = find_effect(right - (count + 1) / (n + 2), groups)
    return wilson_interval(count / effect, n / effect)


def find_mean_interval(values, groups=None, strata=None) -> list[float]:
    """Return the interval of the mean of values (n,): Student's t without skewness (Hall 1992).

    `strata`, int (n,), are what the counts are fixed of, as those of the classes are; they count
    only where there are no groups.
    """
    n, residuals = len(values), values - np.mean(values)
    if groups is not None:
        residuals = np.bincount(groups, residuals)[np.unique(groups)]
    elif strata is not None:
        counts = np.bincount(strata)[strata]
        means = np.bincount(strata, values)[strata] / counts
        within = (values - means) * np.sqrt(counts / np.maximum(counts - 1, 1))
        # A class of one picture has no spread of its own, and all classes may have none.
        if np.abs(within).max() > 1e-9:
            residuals = np.where(counts > 1, within, residuals)
    count, squares = len(residuals), (residuals**2).sum()
    if squares == 0:
        return [float(np.mean(values))] * 2
    skewness = count**0.5 * (residuals**3).sum() / squares**1.5
    limits = t.ppf([1 - LEVEL / 2, LEVEL / 2], count - 1) / np.sqrt(count)
    if abs(skewness) > 1e-6:
        powers = np.cbrt(1 + skewness * (limits - skewness / (6 * count)))
        limits = 3 / skewness * (powers - 1)
    return (np.mean(values) - np.sqrt(squares * count) / n * limits).tolist()
