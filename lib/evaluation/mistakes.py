"""Kinds of mistakes, the cells of a confusion matrix, and the pictures behind them."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from lib.evaluation.answers import Predictions

MAX_OF_KIND = 6  # pictures of each kind of mistake
MAX_KINDS = 40  # that have pictures


@dataclass(frozen=True)
class Kind:
    """A kind of mistakes: pictures of one class that are taken for another one."""

    true: int  # positions of classes
    predicted: int
    pictures: int  # how many
    shown: dict[int, str]  # position to file of those that the model was surest of


@dataclass(frozen=True)
class Confusion:
    """The two classes that are taken for one another most often."""

    classes: list[int]  # their positions
    pictures: int  # of both that are taken for the other one
    mistakes: int  # of all classes


def find_mistakes(predictions: Predictions, label: str) -> list[Kind]:
    """List a model's kinds of mistakes, the most frequent first, with pictures to show of each."""
    y_pred = predictions.y_pred[predictions.labels.index(label)]
    table = pd.DataFrame({"true": predictions.y_true, "predicted": y_pred})
    by_kind = table.loc[predictions.list_mistakes(label)].groupby(["true", "predicted"])
    kinds = []
    for (true, predicted), rows in sorted(by_kind, key=lambda kind: -len(kind[1])):
        count = MAX_OF_KIND if len(kinds) < MAX_KINDS else 0
        shown = {k: predictions.files[k] for k in rows.index[:count]}
        kinds.append(Kind(true, predicted, len(rows), shown))
    return kinds


def find_confused(kinds: list[Kind]) -> Confusion | None:
    """Find the two classes between which most mistakes are; None where others have as many, or one."""
    pictures = Counter()
    for kind in kinds:
        pictures[frozenset([kind.true, kind.predicted])] += kind.pictures
    most, next_most, *_ = sorted([1, 1, *pictures.values()], reverse=True)
    if most == next_most:
        return None
    pair = max(pictures, key=pictures.get)
    return Confusion(sorted(pair), most, pictures.total())
