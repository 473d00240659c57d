"""Plots of what `metrics` and `answers` return, as matplotlib Figures."""

import unicodedata
import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Inches of a figure of the report: its letters can be read on a phone, too.
WIDTH = 5.6
MAX_LETTERS = 30  # of a name that is shown
MAX_ROWS = 40  # classes that have a row each
TRAINING = "#1f6fb4"
VALIDATION = "#e07b00"
COLOURS = [TRAINING, VALIDATION]
# Limits of an axis of shares, so that points at its ends are whole.
SHARES = (-0.02, 1.02)
# The browser writes Chinese letters wider than matplotlib believes: this space keeps their
# room, and is not saved.
SPACE = "\u2002"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "figure.constrained_layout.use": True,
}
sns.set_theme(style="whitegrid", palette="colorblind", rc=STYLE)
warnings.filterwarnings("ignore", "Glyph .* missing")


def shorten(name: object, max_letters: int = MAX_LETTERS) -> str:
    """Return a name as one line of at most that many letters, its middle "…"."""
    line = " ".join(str(name).split())
    # Letters that are not printable may be no XML.
    text = "".join(filter(str.isprintable, line))
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    # Chinese letters are twice as wide.
    room = max(max_letters // 2, max_letters - wide // 2)
    if len(text) > room:
        begin = text[: 2 * room // 3]
        end = text[1 - room // 3 :]
        text = f"{begin}…{end}"
    return text + SPACE * min(wide, room)


def open_name_axes(names: pd.Index, inches: float) -> tuple[plt.Axes, list]:
    """Open a figure with a row for each name, the first `MAX_ROWS`, and one that counts the others.

    Args:
        names: from the top.
        inches: of the height of a row.

    Returns:
        The axes of the figure, and the names that have a row, at y = 0, 1, …
    """
    shown = list(names[:MAX_ROWS])
    texts = [shorten(name) for name in shown]
    left_out = len(names) - len(shown)
    if left_out:
        texts.append(f"and {left_out} more")
    _, axes = plt.subplots(figsize=(WIDTH, inches * len(texts) + 1.8))
    axes.set_yticks(range(len(texts)), texts)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return axes, shown


def add_legend(axes: plt.Axes) -> Figure:
    """Put the legend of some axes below their figure, in as many columns as fit, and return it."""
    figure = axes.figure
    handles, labels = axes.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = int(figure.get_figwidth() / (0.7 + 0.1 * longest))
    figure.legend(
        handles,
        labels,
        ncols=max(1, columns),
        loc="outside lower center",
        frameon=False,
    )
    return figure


def draw_intervals(
    axes: plt.Axes,
    rows: Sequence[float],
    values: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    **options: object,
) -> None:
    """Draw a point and its interval at each row; options are those of `errorbar`."""
    lengths = np.abs(np.transpose(bounds) - np.asarray(values))
    axes.errorbar(values, rows, xerr=lengths, fmt="o", **options)


def accuracy_by_model(
    means: pd.DataFrame,
    baseline: float,
    runs: pd.DataFrame | None = None,
    without_looking: float | None = None,
) -> Figure:
    """Draw the accuracy of models, the best first, and of a baseline.

    Args:
        means: columns mean, low and high; the index has the names of the models.
        baseline: the accuracy of always answering the commonest class.
        runs: columns configuration, the name of a model, and top1 of each of its trainings.
        without_looking: the accuracy of size, light and sharpness of the files.
    """
    best = means.sort_values("mean", ascending=False, kind="stable")
    axes, names = open_name_axes(best.index, 0.3)
    best = best.loc[names]
    rows = range(len(best))
    bounds = best[["low", "high"]]
    label = "top-1 accuracy, 95 % interval"
    draw_intervals(axes, rows, best["mean"], bounds, label=label, color=TRAINING)
    if runs is not None and len(runs) > len(means):
        shown = runs[runs.configuration.isin(names)]
        axes.plot(
            shown.top1,
            best.index.get_indexer(shown.configuration),
            "o",
            color=TRAINING,
            markerfacecolor="none",
            label="one training",
        )
    label = "always the commonest class"
    axes.axvline(baseline, color=VALIDATION, ls="--", label=label)
    if without_looking is not None:
        label = "size, light and sharpness alone"
        axes.axvline(without_looking, color=VALIDATION, ls=":", label=label)
    axes.set_xlim(SHARES)
    axes.set_xlabel("top-1 accuracy")
    return add_legend(axes)


def training_curves(histories: dict[str, pd.DataFrame]) -> Figure | None:
    """Draw accuracy and loss over the epochs, a row of two panels for each model.

    `histories` has the history of each model's label; None where it is empty.
    """
    if not histories:
        return None
    rows = len(histories)
    figure, grid = plt.subplots(
        rows, 2, squeeze=False, figsize=(WIDTH, 2.2 * rows + 0.4)
    )
    for panels, (label, history) in zip(grid, histories.items()):
        panels[0].set_title(shorten(label), loc="left")
        panels[0].set_ylim(SHARES)
        for axes, metric in zip(panels, ("accuracy", "loss")):
            both = history.set_index("epoch")[[metric, f"val_{metric}"]]
            both.columns = ["training", "validation"]
            both.plot(ax=axes, style=".-", color=COLOURS, legend=False)
            axes.set_ylabel(metric)
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    return add_legend(grid[0, 0])
