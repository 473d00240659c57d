"""Kinds of mistakes, the cells of a confusion matrix, and the pictures behind them."""

import pandas as pd

from lib.evaluation.answers import Predictions

MAX_KINDS = 400  # of mistakes of each model that are listed
MAX_OF_KIND = 6  # pictures of each kind of mistake
MAX_PICTURES = 200  # different pictures of mistakes in all


def find_mistakes(predictions: Predictions, labels: list[str]) -> dict[str, list[dict]]:
    """List each model's kinds of mistakes, the most frequent first, with pictures to show of each.

    Returns:
        Label to rows of true and predicted, positions of classes, pictures, a count, and shown:
        number and file of those that the model was surest of. These are `MAX_PICTURES` different
        ones in all at most, those of the first models before others.
    """
    mistakes = {}
    seen = set()
    for label in labels:
        mistakes[label] = []
        for (true, predicted), wrong in _group_mistakes(predictions, label):
            chosen = wrong[:MAX_OF_KIND].tolist()
            if len(seen.union(chosen)) > MAX_PICTURES:
                chosen = []
            seen.update(chosen)
            kind = {
                "true": true,
                "predicted": predicted,
                "pictures": len(wrong),
                "shown": [(k, predictions.files[k]) for k in chosen],
            }
            mistakes[label].append(kind)
    return mistakes


def _group_mistakes(predictions, label):
    # The most frequent kinds, each with its pictures, the surest answers first.
    y_pred = predictions.y_pred[predictions.labels.index(label)]
    table = pd.DataFrame({"true": predictions.y_true, "predicted": y_pred})
    wrong = table.loc[predictions.list_mistakes(label)]
    kinds = [(kind, rows.index) for kind, rows in wrong.groupby(["true", "predicted"])]
    return sorted(kinds, key=lambda kind: -len(kind[1]))[:MAX_KINDS]
