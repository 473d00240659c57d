"""Confusion matrices, and the pictures behind their cells."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from lib.evaluation.answers import Predictions
from lib.evaluation.figures import WIDTH, shorten

MAX_NUMBERED = 20  # classes of a confusion matrix with numbers
MAX_NAMED = 30  # classes of a confusion matrix with names
MAX_KINDS = 400  # of mistakes of each model that are listed
MAX_OF_KIND = 6  # pictures of each kind of mistake
MAX_PICTURES = 200  # different pictures of mistakes in all


def confusion_matrices(
    matrix: np.ndarray, class_names: Sequence[str], label: str
) -> Figure:
    """Draw a confusion matrix as counts and as shares of the true class.

    `matrix` is int (classes, classes); its rows are the true classes.
    """
    if len(matrix) <= MAX_NUMBERED:
        figure, panels = plt.subplots(1, 2, figsize=(13.8, 6.4))
    else:
        figure, panels = plt.subplots(2, 1, figsize=(WIDTH, 2 * WIDTH))
    figure.suptitle(f"{shorten(label)}: confusion matrix, n = {matrix.sum():,}")
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    names = []
    if len(matrix) <= MAX_NAMED:
        names = [shorten(name, 20) for name in class_names]
    _draw_matrix(panels[0], matrix, names, "pictures", number="d", top=None)
    _draw_matrix(
        panels[1], shares, names, "share of the true class", number=".2f", top=1
    )
    return figure


def _draw_matrix(axes, values, names, meaning, number, top):
    is_numbered = len(values) <= MAX_NUMBERED
    size = 9 if len(values) <= 12 else 7
    # Square roots keep single mistakes visible beside a class of hundreds.
    norm = PowerNorm(0.5, 0, top)
    key = {"shrink": 0.7, "label": meaning}
    sns.heatmap(
        values,
        ax=axes,
        annot=is_numbered,
        fmt=number,
        annot_kws={"fontsize": size},
        cmap="Blues",
        norm=norm,
        cbar_kws=key,
        square=True,
        rasterized=True,
    )
    which = "" if names else f", {len(values)} by name"
    axes.set(xlabel=f"predicted class{which}", ylabel=f"true class{which}")
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, names, fontsize=9, rotation=45, ha="right")
    axes.set_yticks(middles, names, fontsize=9, rotation=0)
    for text in axes.get_xticklabels():
        text.set_rotation_mode("anchor")


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
