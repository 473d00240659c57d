"""Answer sets, and the limit from pictures that taught the model nothing.

A set holds every class that is probable enough (Sadinle, Lei and Wasserman 2019). The limit is
calibrated by the lowest scores of such pictures (Vovk et al. 2005).
"""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.evaluation import metrics
from lib.models.record import AnswerSets


def find_limit(scores: np.ndarray, groups: np.ndarray, share: float) -> float | None:
    """Return a limit below which at most `share` of new groups have a score, on average.

    It is the k-th lowest of the groups' lowest scores, k = ⌊share · (groups + 1)⌋; None
    where k is 0: too few groups for any limit.

    Args:
        scores: float (n,).
        groups: int (n,), as in `intervals`.
        share: between 0 and 1.
    """
    lowest = pd.Series(scores).groupby(groups).min().sort_values()
    k = int(share * (len(lowest) + 1) + 1e-9)
    if k == 0:
        return None
    return float(lowest.iloc[k - 1])


def judge_sets(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    groups: np.ndarray,
    coverage: float,
) -> tuple[AnswerSets, pd.DataFrame]:
    """Find the limit of answer sets on the second half of the pictures, and measure them on the first.

    The first half is the one that a temperature is fitted on, so no picture does both.

    Args:
        y_true: int (n,), the index of each true class.
        y_prob: float (n, classes), scaled by the temperature.
        groups: int (n,), as in `intervals`.
        coverage: the share of groups whose pictures' sets should all hold the truth.

    Returns:
        The limit; and of each picture that measures y_true, group, covered (whether its set
        holds the truth) and size.
    """
    first, second = metrics.split_halves(y_true, groups)
    of_truth = y_prob[np.arange(len(y_true)), y_true]
    limit = find_limit(of_truth[second], groups[second], 1 - coverage)
    sets = build_prediction_sets(y_prob[first], limit)
    table = pd.DataFrame({"y_true": y_true[first], "group": groups[first]})
    table["covered"] = sets[np.arange(len(table)), table.y_true]
    table["size"] = sets.sum(axis=1)
    sizes = pd.Series(groups[second]).value_counts()
    kept = AnswerSets(coverage, limit, len(sizes), grouped=bool(sizes.max() > 1))
    return kept, table


def build_prediction_sets(y_prob: np.ndarray, limit: float | None) -> np.ndarray:
    """Tell which classes each set holds, bool (n, classes).

    They are the most probable class, and those whose probability reaches the limit; all
    without a limit.
    """
    if limit is None:
        return np.ones(y_prob.shape, bool)
    sets = y_prob >= limit
    sets[np.arange(len(sets)), y_prob.argmax(axis=1)] = True
    return sets


def set_columns(
    y_prob: np.ndarray, class_names: Sequence[str], limit: float | None
) -> dict[str, list]:
    """Return sets as columns: set, JSON lists, the most probable class first; and set_size."""
    sets = build_prediction_sets(y_prob, limit)
    order = np.argsort(-y_prob, axis=1, kind="stable")
    texts = []
    for ranked, is_held in zip(order, sets):
        names = [str(class_names[k]) for k in ranked if is_held[k]]
        texts.append(json.dumps(names, ensure_ascii=False))
    return {"set": texts, "set_size": sets.sum(axis=1).tolist()}


def describe_sets(kept: AnswerSets) -> str:
    """Say what sets promise, or that too few pictures allow none: `judge_sets`."""
    whose = "groups of pictures" if kept.grouped else "pictures"
    count = f"{kept.groups:,} validation {whose}"
    if kept.limit is None:
        return f"{count} are too few for sets of {kept.coverage:g}: each holds all classes."
    promise = f"Sets hold the truth for about {100 * kept.coverage:g} of 100 {whose}"
    return f"{promise}, if they are like the {count} that set the limit."
