"""Whether groups of pictures favour one of two models, by flipping signs."""

import numpy as np

# Odd, so that no p equals a level; for each pair that is tested more are needed.
FLIPS = 9999
FLIPS_PER_PAIR = 100


def flip_groups(
    sums: np.ndarray, sizes: np.ndarray, level: float, pairs: int = 1
) -> tuple[float, float, float]:
    """Test whether groups favour neither side: flip the signs of their sums at random.

    The mean of the groups that are flipped, a random half of all, lies above the true
    difference as often as below it. So these means give the interval (Hartigan 1969), too.

    Args:
        sums: float (groups,), of the differences of a group's pictures.
        sizes: int (groups,), how many pictures these are.
        level, pairs: as in `compare_runs`, and so is what is returned.
    """
    # Of groups of one sum and one size only the number that is flipped counts. Rounded, here
    # and below, thirds, which means of three draws have, are equal and add up to 0, too.
    kinds, counts = np.unique(np.round([sums, sizes], 12), axis=1, return_counts=True)
    rng = np.random.default_rng(0)
    flips = FLIPS + FLIPS_PER_PAIR * pairs
    flipped = rng.binomial(counts, 0.5, size=(flips, len(counts)))
    # As they were observed is one way, too.
    flipped[0] = 0
    half = (kinds @ flipped.T).round(9)
    p_value = 2 * min(np.mean(half[0] <= 0), np.mean(half[0] >= 0))
    low, high = _find_bounds(half, level)
    # The interval is that of one more group won by each side: without it a tie has no width.
    size = np.sqrt(np.mean(sizes**2))
    won, lost = size * rng.integers(0, 2, size=(2, flips))
    wide = half + [won - lost, won + lost]
    wide_low, wide_high = _find_bounds(wide, level)
    # A bound that excludes 0 says what p says, so it stays on its side.
    if not wide_low <= 0 < low:
        low = min(low, wide_low)
    if not high < 0 <= wide_high:
        high = max(high, wide_high)
    return low, high, min(p_value, 1.0)


def _find_bounds(half, level):
    """Return the interval that the means of random halves give, of their sums and sizes."""
    sums, sizes = half
    means = sums / np.maximum(sizes, 1)
    return np.quantile(means, [level / 2, 1 - level / 2], method="inverted_cdf")
