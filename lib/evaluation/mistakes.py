"""Kinds of mistakes, the cells of a confusion matrix, and the pictures behind them."""

from dataclasses import dataclass

import pandas as pd

from lib.evaluation.answers import Predictions

MAX_OF_KIND = 6  # pictures of each kind of mistake
MAX_PICTURES = 200  # different pictures of mistakes in all


@dataclass(frozen=True)
class Kind:
    """A kind of mistakes: pictures of one class that are taken for another one."""

    true: int  # positions of classes
    predicted: int
    pictures: int  # how many
    shown: dict[int, str]  # position to file of those that the model was surest of


def find_mistakes(predictions: Predictions, labels: list[str]) -> dict[str, list[Kind]]:
    """List each model's kinds of mistakes, the most frequent first, with pictures to show of each.

    These are `MAX_PICTURES` different ones in all at most, those of the first models before others.
    """
    mistakes = {}
    seen = set()
    for label in labels:
        y_pred = predictions.y_pred[predictions.labels.index(label)]
        table = pd.DataFrame({"true": predictions.y_true, "predicted": y_pred})
        wrong = table.loc[predictions.list_mistakes(label)]
        by_kind = wrong.groupby(["true", "predicted"])
        mistakes[label] = []
        for (true, predicted), rows in sorted(by_kind, key=lambda kind: -len(kind[1])):
            chosen = rows.index[:MAX_OF_KIND].tolist()
            if len(seen.union(chosen)) > MAX_PICTURES:
                chosen = []
            seen.update(chosen)
            shown = {k: predictions.files[k] for k in chosen}
            mistakes[label].append(Kind(true, predicted, len(rows), shown))
    return mistakes
