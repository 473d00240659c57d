"""Scores of one model, from labels and probabilities."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from lib.evaluation.calibration import Calibration, calibrate
from lib.evaluation.intervals import effective_sample_size, share_interval
from lib.models.record import Record


@dataclass(frozen=True)
class ParentScore:
    """How often the parent of an answer is the true one, where a class without one stands alone."""

    accuracy: float
    interval: list[float]
    mistakes: int
    mistakes_within: int  # answers of a wrong class that has the right parent
    chance_within: float  # how many these would be, were each mistake any wrong class


@dataclass(frozen=True)
class Score:
    """The numbers of one model; shares are 0-1, intervals of 95 % Wilson's."""

    label: str  # of the model
    n: int  # pictures
    effective_n: float  # `intervals.effective_sample_size`
    top1: float  # share of pictures whose true class is the most probable one
    top1_interval: list[float]
    average_per_class: float  # the mean recall, also called balanced accuracy
    macro_f1: float
    # By class; `per_class` is recall, and `support` counts pictures.
    support: dict[str, int]
    per_class: dict[str, float]
    precision: dict[str, float]
    f1: dict[str, float]
    per_class_interval: dict[str, list[float]]
    majority_class: str
    baseline: float  # the top-1 of always answering it
    calibration: Calibration
    parents: ParentScore | None  # None of classes without

    @property
    def worst_first(self) -> list[str]:
        """The classes, the lowest recall first."""
        return sorted(self.per_class, key=self.per_class.get)


def evaluate(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    groups: np.ndarray,
    record: Record,
    compared: int = 1,
) -> Score:
    """Score one model, by probabilities of the temperature that it establishes.

    Args:
        y_true: int (n,), the index of each true class; every class has pictures.
        y_prob: float (n, classes), rows sum to 1.
        groups: int (n,), as in `intervals`.
        record: of the model.
        compared: how many configurations are compared.
    """
    y_pred = y_prob.argmax(axis=1)
    correct = y_pred == y_true
    calibration = calibrate(y_true, y_prob, groups, record, compared)
    return Score(
        label=record.label,
        n=len(y_true),
        effective_n=effective_sample_size(groups),
        top1=float(correct.mean()),
        top1_interval=share_interval(correct, groups),
        **_score_classes(y_true, y_pred, record.class_names, groups),
        calibration=calibration,
        parents=_score_parents(y_true, y_pred, record, groups),
    )


def _score_classes(y_true, y_pred, class_names, groups):
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, labels=range(len(class_names)), zero_division=0
    )
    by_class = {
        "support": support,
        "per_class": recall,
        "precision": precision,
        "f1": f1,
    }
    table = pd.DataFrame(by_class, class_names)
    bounds = {}
    for number, correct in pd.Series(y_pred == y_true).groupby(y_true):
        name = class_names[number]
        bounds[name] = share_interval(correct, groups[correct.index])
    return table.to_dict() | {
        "average_per_class": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "per_class_interval": bounds,
        "majority_class": class_names[support.argmax()],
        "baseline": float(support.max() / len(y_true)),
    }


def _score_parents(y_true, y_pred, record, groups):
    if not record.parents:
        return None
    parents = pd.Series(record.class_names).replace(record.parents)
    others = parents.groupby(parents).transform("size") - 1
    chance = others.to_numpy() / (len(parents) - 1)
    names = parents.to_numpy()
    is_right = names[y_true] == names[y_pred]
    is_wrong = y_true != y_pred
    return ParentScore(
        accuracy=float(is_right.mean()),
        interval=share_interval(is_right, groups),
        mistakes=int(is_wrong.sum()),
        mistakes_within=int(is_right[is_wrong].sum()),
        chance_within=float(chance[y_true[is_wrong]].sum()),
    )
