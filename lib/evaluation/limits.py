"""The limits that pictures set which taught the model nothing: of answer sets, and of strangers.

A set holds every class that is probable enough (Sadinle, Lei and Wasserman 2019). A stranger is
farther from what a model has learned than nearly all such pictures. Either limit is calibrated by
the lowest scores of them (Vovk et al. 2005).
"""

import json

import numpy as np
import pandas as pd

from lib.evaluation.parents import find_parent
from lib.models.record import Record, SetLimit, StrangerLimit

# Of pictures like the validation ones so many are not marked as strangers, on average.
MIN_SHARE = 0.95


def find_limit(scores: np.ndarray, groups: np.ndarray, share: float) -> float | None:
    """Return a limit below which at most `share` of new groups have a score, on average.

    It is the k-th lowest of the groups' lowest scores, k = ⌊share · (groups + 1)⌋; None
    where k is 0: too few groups for any limit.

    Args:
        scores: float (n,).
        groups: int (n,), as in `intervals`.
        share: between 0 and 1.
    """
    lowest = np.sort(pd.Series(scores).groupby(groups).min())
    k = int(share * (len(lowest) + 1) + 1e-9)
    if k == 0:
        return None
    return float(lowest[k - 1])


def build_prediction_sets(y_prob: np.ndarray, limit: float | None) -> np.ndarray:
    """Tell which classes each set holds, bool (n, classes).

    They are the most probable class, and those whose probability reaches the limit; all
    without a limit.
    """
    sets = y_prob >= (limit or 0)
    sets[np.arange(len(sets)), y_prob.argmax(axis=1)] = True
    return sets


def set_columns(y_prob: np.ndarray, record: Record) -> dict[str, list]:
    """Return the sets of a model as columns.

    Args:
        y_prob: float (n, classes), scaled by the temperature.
        record: of the model, with its limit.

    Returns:
        set, JSON lists, the most probable class first; set_size; and, where classes have parents,
        parent, the lowest that holds the whole set, or "".
    """
    sets = build_prediction_sets(y_prob, record.answer_sets.limit)
    sizes = sets.sum(axis=1).tolist()
    order = np.argsort(-y_prob, axis=1, kind="stable")
    names = np.array(record.class_names)
    texts = []
    glosses = []
    for ranked, size in zip(order, sizes):
        held = names[ranked[:size]].tolist()
        texts.append(json.dumps(held, ensure_ascii=False))
        glosses.append(find_parent(held, record.parents))
    columns = {"set": texts, "set_size": sizes}
    if record.parents:
        columns["parent"] = glosses
    return columns


def describe_sets(kept: SetLimit) -> str:
    """Say what sets promise, or that too few pictures allow none."""
    whose = "groups of pictures" if kept.grouped else "pictures"
    count = f"{kept.groups:,} validation {whose}"
    if kept.limit is None:
        return f"{count} are too few for sets of {kept.coverage:g}: each holds all classes."
    said = (
        f"Answer sets hold the true class of about {100 * kept.coverage:g} of 100 {whose}, "
        f"on average over all classes, if they are like the {count} that set the limit."
    )
    if kept.lowest:
        name, covered, pictures = kept.lowest
        said += f" Of {name} they held it for {covered:,} of {pictures:,} pictures."
    return said


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
    """Return the mark, or "", of each picture; of distances, float (k,), NaN has none."""
    # Nothing is farther than NaN, which None becomes.
    farthest = np.array(strangers.farthest, float)
    return np.where(distances > farthest, strangers.mark, "").tolist()


def describe_strangers(strangers: StrangerLimit) -> str:
    """Say what the mark of `limit_strangers` means."""
    if not strangers.groups:
        return "no limit of strangers is stored: 10_hand_over finds one"
    count = f"{strangers.groups:,} validation pictures (groups count once)"
    if strangers.farthest is None:
        return f"{count} are too few to tell strangers."
    return f'"{strangers.mark}" marks strangers; {count} set the limit.'
