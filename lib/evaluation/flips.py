"""Whether groups of pictures favour one of two models, by flipping signs."""

import numpy as np

# Odd, so that no p equals a level; for each pair that is tested more are needed.
FLIPS = 9999
FLIPS_PER_PAIR = 100


def flip_groups(
    by_picture: np.ndarray, groups: np.ndarray, level: float, pairs: int = 1
) -> tuple[float, float, float]:
    """Test whether groups favour neither side: flip the signs of their sums at random.

    The mean of the groups that are flipped, a random half of all, lies above the true
    difference as often as below it. So these means give the interval (Hartigan 1969), too.

    Args:
        by_picture: int or float (n,), differences.
        groups: int (n,).
        level: how often the interval may miss the truth.
        pairs: how many are tested.

    Returns:
        low and high, the interval of the mean; and p_value.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.bincount(group, weights=by_picture)
    # Of groups of one sum and one size only the number that is flipped counts.
    kinds, counts = np.unique([sums, sizes], axis=1, return_counts=True)
    kind_sums, kind_sizes = kinds
    rng = np.random.default_rng(0)
    flips = FLIPS + FLIPS_PER_PAIR * pairs
    flipped = rng.binomial(counts, 0.5, size=(flips, len(counts)))
    # As they were observed is one way, too.
    flipped[0] = 0
    half_sums = flipped @ kind_sums
    half_sizes = flipped @ kind_sizes
    below = np.mean(half_sums <= 0)
    above = np.mean(half_sums >= 0)
    p_value = float(2 * min(below, above))
    low, high = _find_bounds(half_sums, half_sizes, level)
    # The interval is that of one more group won by each side: without it a tie has no width.
    size = np.sqrt(np.mean(sizes**2))
    won, lost = size * rng.integers(0, 2, size=(2, flips))
    wide_sums = half_sums + won - lost
    wide_sizes = half_sizes + won + lost
    wide_low, wide_high = _find_bounds(wide_sums, wide_sizes, level)
    # A bound that excludes 0 says what p says, so it stays on its side.
    if low <= 0 or wide_low > 0:
        low = min(low, wide_low)
    if high >= 0 or wide_high < 0:
        high = max(high, wide_high)
    return low, high, min(p_value, 1.0)


def _find_bounds(sums, sizes, level):
    means = sums / np.maximum(sizes, 1)
    shares = [level / 2, 1 - level / 2]
    return np.quantile(means, shares, method="inverted_cdf").tolist()
