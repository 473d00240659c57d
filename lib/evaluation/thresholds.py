"""Where a probability becomes a yes: the threshold of a label."""

import numpy as np


def choose_threshold(has_label: np.ndarray, y_prob: np.ndarray) -> float:
    """Return the threshold of the highest F1, in the middle of the gap to the next lower answer.

    Args:
        has_label: bool (n,), which pictures have the label.
        y_prob: float (n,), answers by classifiers that have not learned from them.

    Returns:
        The lowest of equally good thresholds; 0.5 where no picture has the label.
    """
    if not has_label.any():
        return 0.5
    limits, place = np.unique(y_prob, return_inverse=True)
    # How many answers reach each limit, and how many of them are right.
    yeses = np.bincount(place)[::-1].cumsum()[::-1]
    right = np.bincount(place, weights=has_label)[::-1].cumsum()[::-1]
    f1 = 2 * right / (yeses + has_label.sum())
    best = f1.argmax()
    start = max(best - 1, 0)
    gap = limits[start : best + 1]
    return float(gap.mean())
