"""Strangers: pictures farther from what a model has learned than nearly all validation pictures."""

import numpy as np

from lib.evaluation.conformal import find_limit
from lib.models.record import StrangerLimit

# Of pictures like the validation ones so many are not marked as strangers, on average.
MIN_SHARE = 0.95


def limit_strangers(
    known_distances: np.ndarray, groups: np.ndarray, coverage: float
) -> StrangerLimit:
    """Find the distance beyond which a picture is a stranger.

    Args:
        known_distances: float (n,), of the validation pictures.
        groups: int (n,), the group of each.
        coverage: of the answer sets. What these may miss may be marked, one in twenty at most.
    """
    share = max(coverage, MIN_SHARE)
    limit = find_limit(-known_distances, groups, 1 - share)
    return StrangerLimit(
        mark=f"farther from its training pictures than {100 * share:g} of 100 validation pictures",
        farthest=None if limit is None else -limit,
        groups=len(np.unique(groups)),
    )


def mark_strangers(distances: np.ndarray, strangers: StrangerLimit) -> list[str]:
    """Return the mark, or "", of each picture.

    Args:
        distances: float (k,); NaN where there is none.
        strangers: of `limit_strangers`.
    """
    # Nothing is farther than NaN, which None becomes.
    farthest = np.array(strangers.farthest, float)
    is_stranger = np.asarray(distances) > farthest
    return np.where(is_stranger, strangers.mark, "").tolist()


def describe_strangers(strangers: StrangerLimit) -> str:
    """Say what the mark of `limit_strangers` means."""
    count = f"{strangers.groups:,} validation pictures (groups count once)"
    if strangers.farthest is None:
        return f"{count} are too few to tell strangers."
    return f'"{strangers.mark}" marks strangers; {count} set the limit.'
