"""Kinds of mistakes, the cells of a confusion matrix, and the pictures behind them."""

import numpy as np
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
    found = {}
    seen = set()
    for label in labels:
        found[label] = []
        for (true, predicted), wrong in _group_mistakes(predictions, label):
            chosen = wrong[:MAX_OF_KIND].tolist()
            if len(seen.union(chosen)) > MAX_PICTURES:
                chosen = []
            seen.update(chosen)
            kind = {
                "true": int(true),
                "predicted": int(predicted),
                "pictures": len(wrong),
                "shown": [(k, str(predictions.files[k])) for k in chosen],
            }
            found[label].append(kind)
    return found


def _group_mistakes(predictions, label):
    # The most frequent kinds, each with its pictures, the surest answers first.
    model = predictions.labels.index(label)
    order = np.argsort(-predictions.confidence[model], kind="stable")
    wrong = order[~predictions.correct[model, order]]
    table = pd.DataFrame(index=wrong)
    table["true"] = predictions.y_true[wrong]
    table["predicted"] = predictions.y_pred[model, wrong]
    kinds = [(kind, rows.index) for kind, rows in table.groupby(["true", "predicted"])]
    kinds.sort(key=lambda kind: -len(kind[1]))
    return kinds[:MAX_KINDS]
