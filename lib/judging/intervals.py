"""95 % intervals of shares and of means.

Pictures of one family (copies, look-alikes, one group) say less than as many others: the number of
pictures is divided by the design effect of families (Kish 1965), as Korn and Graubard (1998) do.
Families are int (n,), equal for pictures that belong together, or None where none do.
"""

import numpy as np
from scipy.stats import t

# The level of every test and interval.
LEVEL = 0.05
# With fewer pictures (families, where they come in families), for the ECE or a class, or fewer of
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


def find_effect(values, families) -> float:
    """Return the design effect of families on the sum of values (n,) around 0; 1 without any."""
    if families is None:
        return 1.0
    sums = np.bincount(families, values)
    return max(1.0, float(sums @ sums / max(values @ values, 1e-300)))


def drop_lonely(families):
    """Return families, int (n,); None where each has one picture, so that nothing belongs together."""
    if families is None or len(np.unique(families)) == len(families):
        return None
    return families


def count_members(y_true, families, num_classes: int) -> np.ndarray:
    """Return how many independent pictures each class has: its families, or all: int (classes,)."""
    if families is None:
        return np.bincount(y_true, minlength=num_classes)
    pairs = np.unique(np.stack([y_true, families]), axis=1)
    return np.bincount(pairs[0], minlength=num_classes)


def find_share_interval(right, families=None) -> list[float]:
    """Return the Wilson interval of the share of True in `right` (n,), with families."""
    n, count = len(right), float(np.sum(right))
    # The share is moved a little to 1/2: what is always right has families too.
    effect = find_effect(right - (count + 1) / (n + 2), families)
    return wilson_interval(count / effect, n / effect)


def find_mean_interval(values, families=None, strata=None) -> list[float]:
    """Return the interval of the mean of values (n,): Student's t without skewness (Hall 1992).

    `strata`, int (n,), are what the counts are fixed of, as those of the classes are; they count
    only where there are no families.
    """
    n, residuals = len(values), values - np.mean(values)
    if families is not None:
        residuals = np.bincount(families, residuals)[np.unique(families)]
    elif strata is not None:
        counts = np.bincount(strata)[strata]
        means = np.bincount(strata, values)[strata] / counts
        within = (values - means) * np.sqrt(counts / np.maximum(counts - 1, 1))
        # A class of one picture has no spread of its own, and all classes may have none.
        if np.abs(within).max() > 1e-9:
            residuals = np.where(counts > 1, within, residuals)
    groups, squares = len(residuals), (residuals**2).sum()
    if squares == 0:
        return [float(np.mean(values))] * 2
    skewness = groups**0.5 * (residuals**3).sum() / squares**1.5
    limits = t.ppf([1 - LEVEL / 2, LEVEL / 2], groups - 1) / np.sqrt(groups)
    if abs(skewness) > 1e-6:
        powers = np.cbrt(1 + skewness * (limits - skewness / (6 * groups)))
        limits = 3 / skewness * (powers - 1)
    return (np.mean(values) - np.sqrt(squares * groups) / n * limits).tolist()
