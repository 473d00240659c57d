"""Whether groups of pictures favour one of two models, by flipping signs."""

import numpy as np

# Odd, so that no p equals a level; for each pair that is tested more are needed.
FLIPS = 9999
FLIPS_PER_PAIR = 100


def flip_groups(
    sums: np.ndarray, sizes: np.ndarray, level: float, pairs: int
) -> tuple[float, float, float]:
    """Test whether groups favour neither side: flip the signs of their sums at random.

    The mean of the groups that are flipped, a random half of all, lies above the true
    difference as often as below it. So these means give the interval (Hartigan 1969), too.

    Args:
        sums: float (groups,), of the differences of a group's pictures.
        sizes: int (groups,), how many pictures these are.
        level, pairs: as in `compare_runs`, and so is what is returned.
    """
    # Of equal groups only the number that is flipped counts. Rounded, thirds add up to 0.
    rounded = np.round([sums, sizes], 12)
    kinds, counts = np.unique(rounded, axis=1, return_counts=True)
    rng = np.random.default_rng(0)
    flips = FLIPS + FLIPS_PER_PAIR * pairs
    shape = (flips, len(counts))
    flipped = rng.binomial(counts, 0.5, size=shape)
    # As they were observed is one way, too.
    flipped[0] = 0
    half = kinds @ flipped.T
    half = half.round(9)
    is_low = half[0] <= 0
    is_high = half[0] >= 0
    smaller = min(is_low.mean(), is_high.mean())
    p_value = min(2 * smaller, 1.0)
    low, high = _find_bounds(half, level)
    # The interval is that of one more group won by each side: without it a tie has no width.
    size = np.sqrt(np.mean(sizes**2))
    won, lost = rng.integers(0, 2, size=(2, flips))
    extra = np.array([won - lost, won + lost])
    wide_low, wide_high = _find_bounds(half + size * extra, level)
    # A bound that excludes 0 says what p says, so it stays on its side.
    if not wide_low <= 0 < low:
        low = min(low, wide_low)
    if not high < 0 <= wide_high:
        high = max(high, wide_high)
    return low, high, p_value


def _find_bounds(half, level):
    """Return the interval that the means of random halves give, of their sums and sizes."""
    sums, sizes = half
    means = sums / np.maximum(sizes, 1)
    shares = [level / 2, 1 - level / 2]
    return np.quantile(means, shares, method="inverted_cdf")
