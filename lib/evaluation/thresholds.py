"""Where a probability becomes a yes: the threshold of a label."""

import numpy as np
from sklearn.metrics import precision_recall_curve

from lib.models.temperature import TINY


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
    precision, recall, limits = precision_recall_curve(has_label, y_prob)
    both = precision + recall
    f1 = 2 * precision * recall / np.maximum(both, TINY)
    # Rounded, so that equally good ones are equal; the last pair has no limit.
    best = f1[:-1].round(12).argmax()
    start = max(best - 1, 0)
    gap = limits[start : best + 1]
    return float(gap.mean())
