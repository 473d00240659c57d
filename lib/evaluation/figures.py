"""Plots of what `metrics` and `answers` return, as matplotlib Figures."""

import math
import unicodedata
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

LETTERS = 30  # of a name that is shown
MAX_ROWS = 40  # classes that have a row each
MAX_NUMBERED, MAX_NAMED = 20, 30  # classes of a matrix with numbers, and with names
COLOURS = TRAINING, VALIDATION = "#1f6fb4", "#e07b00"
# The browser writes Chinese letters wider than matplotlib believes: this space keeps their room, and
# is not saved.
SPACE = "\u2002"
LOOK = {"svg.fonttype": "none", "svg.hashsalt": "", "text.parse_math": False}
LOOK |= {
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "figure.constrained_layout.use": True,
}
sns.set_theme(style="whitegrid", palette="colorblind", rc=LOOK)
warnings.filterwarnings("ignore", "Glyph .* missing")


def shorten(name, letters: int = LETTERS) -> str:
    """Return a name as one line of at most that many letters, its middle "…"."""
    # What is not printable may be no XML.
    text = "".join(
        letter for letter in " ".join(str(name).split()) if letter.isprintable()
    )
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    letters = max(letters // 2, letters - wide // 2)  # Chinese ones are twice as wide.
    if len(text) > letters:
        text = f"{text[: 2 * letters // 3]}…{text[1 - letters // 3 :]}"
    return text + SPACE * min(wide, letters)


def _open_rows(names, inches: float, width: float = 10):
    shown = list(names[:MAX_ROWS])
    texts = [shorten(name) for name in shown]
    if len(names) > len(shown):
        texts.append(f"and {len(names) - len(shown)} more")
    figure, axes = plt.subplots(figsize=(width, inches * len(texts) + 1.8))
    axes.set_yticks(range(len(texts)), texts, fontsize=9)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure, axes, shown


def _add_legend(figure: Figure, axes: plt.Axes) -> Figure:
    handles, labels = axes.get_legend_handles_labels()
    columns = figure.get_figwidth() // (0.7 + 0.1 * max(map(len, labels)))
    options = dict(
        ncols=max(1, int(columns)), loc="outside lower center", frameon=False
    )
    figure.legend(handles, labels, **options)
    return figure


def _draw_points(axes, places, values, bounds, **options) -> None:
    reach = np.abs(np.transpose(bounds) - np.asarray(values))
    axes.errorbar(values, places, xerr=reach, fmt="o", ms=5, lw=1.2, **options)


def accuracy_by_model(
    means: pd.DataFrame, baseline: float, runs: pd.DataFrame | None = None
):
    """Draw the accuracy of the best 12 models (index their names; mean, low, high) and a baseline.

    `runs` has columns configuration, as the models are called, and top1, of each single training.
    """
    best = means.sort_values("mean", ascending=False, kind="stable")[:12]
    figure, axes, _ = _open_rows(best.index, 0.3, width=5.2)
    options = dict(color=TRAINING, label="top-1 accuracy, 95 % interval")
    _draw_points(axes, range(len(best)), best["mean"], best[["low", "high"]], **options)
    if runs is not None and len(runs) > len(means):
        places = runs.configuration.map(
            {way: place for place, way in enumerate(best.index)}
        )
        axes.plot(
            runs.top1, places, "o", mfc="none", color=TRAINING, label="one training"
        )
    axes.axvline(
        baseline, color=VALIDATION, ls="--", label="always the commonest class"
    )
    axes.set(
        xlim=(-0.02, 1.02), xlabel=f"{len(best)} of {len(means)} models, best first"
    )
    return _add_legend(figure, axes)


def class_balance(split: pd.DataFrame) -> Figure:
    """Draw how many pictures (columns label, part) each class has in each part, largest first."""
    sizes = split.label.value_counts()
    figure, axes, names = _open_rows(sizes.index, 0.3)
    train, validation = pd.crosstab(split.part, split.label)[names].to_numpy()
    axes.barh(range(len(names)), train, color=TRAINING, label="train")
    options = dict(left=train, color=VALIDATION, label="validation")
    bars = axes.barh(range(len(names)), validation, **options)
    texts = [f"{one:,} + {other:,}" for one, other in zip(train, validation)]
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set_xlim(0, sizes.max() * 1.2)
    axes.set_xlabel(
        f"pictures, {len(split):,} in all, {sizes.min():,} in the smallest class"
    )
    return _add_legend(figure, axes)


def training_curves(histories: dict[str, pd.DataFrame]) -> Figure | None:
    """Draw accuracy and loss over the epochs, one row for each model label and its history."""
    if not histories:
        return None
    rows = len(histories)
    figure, grid = plt.subplots(rows, 2, squeeze=False, figsize=(11, 3.4 * rows + 0.4))
    for line, (label, history) in zip(grid, histories.items()):
        for axes, metric in zip(line, ("accuracy", "loss")):
            options = dict(
                label=["training", "validation"], style=".-", legend=False, ax=axes
            )
            history.plot("epoch", [metric, f"val_{metric}"], color=COLOURS, **options)
            axes.set(title=f"{shorten(label)}: {metric}", xlabel="epoch", ylabel=metric)
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        line[0].set_ylim(0, 1)
    return _add_legend(figure, grid[0, 0])


def describe_gap(history: pd.DataFrame) -> str:
    """Say how far training and validation are apart at the end, and where the loss was lowest.

    `history` is as `training.train` returns it.
    """
    last, best = history.iloc[-1], history.loc[history.val_loss.idxmin()]
    gap = last.accuracy - last.val_accuracy
    side = "above" if gap >= 0 else "below"
    end = f" and ends at {last.val_loss:.3f}" if best.epoch < last.epoch else ""
    return (
        f"After epoch {last.epoch:.0f} the training accuracy is {last.accuracy:.3f} and the "
        f"validation accuracy {last.val_accuracy:.3f}: training is {abs(gap):.3f} {side} validation. "
        f"The validation loss was lowest after epoch {best.epoch:.0f} ({best.val_loss:.3f}){end}."
    )


def confusion_matrices(matrix: np.ndarray, class_names, label: str) -> Figure:
    """Draw a confusion matrix (rows are true classes) as counts and as shares of the true class."""
    numbered = len(matrix) <= MAX_NUMBERED
    side = 6.4 if numbered else 8
    names = (
        [shorten(name, 20) for name in class_names] if len(matrix) <= MAX_NAMED else []
    )
    more = "" if names else f", {len(matrix)} by name"
    figure, panels = plt.subplots(1, 2, figsize=(2 * side + 1, side))
    figure.suptitle(f"{shorten(label)}: confusion matrix, n = {matrix.sum():,}")
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    options = dict(
        annot=numbered, annot_kws={"fontsize": 9 if len(matrix) <= 12 else 7}
    )
    options |= dict(cmap="Blues", square=True, rasterized=True)
    content = (
        (matrix, "d", "pictures", None),
        (shares, ".2f", "share of the true class", 1),
    )
    for axes, (values, form, what, top) in zip(panels, content):
        # Square roots keep single mistakes visible beside a class of hundreds.
        key = dict(norm=PowerNorm(0.5, 0, top), cbar_kws={"shrink": 0.7, "label": what})
        sns.heatmap(values, fmt=form, ax=axes, **options, **key)
        axes.set(xlabel=f"predicted class{more}", ylabel=f"true class{more}")
        places, slanted = (
            np.arange(len(names)) + 0.5,
            dict(rotation=45, rotation_mode="anchor"),
        )
        axes.set_xticks(places, names, fontsize=9, ha="right", **slanted)
        axes.set_yticks(places, names, fontsize=9, rotation=0)
    return figure


def recall_by_class(scores: dict[str, dict]) -> Figure:
    """Draw recall by class and model (label to `metrics.evaluate`), the lowest classes first."""
    recall = pd.DataFrame({k: score["per_class"] for k, score in scores.items()})
    order = recall.mean(axis=1).sort_values(kind="stable").index
    figure, axes, names = _open_rows(order, 0.14 * len(scores) + 0.14)
    for position, (label, score) in enumerate(scores.items()):
        places = np.arange(len(names)) + 0.8 * ((position + 0.5) / len(scores) - 0.5)
        bounds = [score["per_class_interval"][name] for name in names]
        _draw_points(
            axes, places, recall.loc[names, label], bounds, label=shorten(label)
        )
    axes.set(
        xlim=(-0.02, 1.02), xlabel=f"recall, with 95 % interval, n = {score['n']:,}"
    )
    return _add_legend(figure, axes)


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each probability are right, one panel for each model's bins."""
    lines = math.ceil(len(bins) / 3)
    figure = plt.figure(figsize=(11.4, 4 * lines + 0.4))
    for place, (label, table) in enumerate(bins.items(), 1):
        axes = figure.add_subplot(lines, 3, place, aspect="equal")
        axes.axline(
            (0, 0), slope=1, color="grey", ls="--", lw=1, label="as sure as right"
        )
        axes.vlines(
            table.confidence, table.low, table.high, lw=1, label="95 % interval"
        )
        area = 20 + 500 * table.pictures / table.pictures.sum()
        options = dict(color=TRAINING, alpha=0.7, label="answers (area: how many)")
        axes.scatter(table.confidence, table.accuracy, area, **options)
        axes.set(xlabel="probability of the answer", ylabel="share that is right")
        axes.set_title(f"{shorten(label)}, n = {table.pictures.sum():,}", fontsize=11)
    return _add_legend(figure, axes)


def accuracy_when_sure(table: pd.DataFrame) -> Figure:
    """Draw what `Predictions.selective_accuracy` returns."""
    labels = ["right, of those answered", "answered, of all pictures"]
    options = dict(color=COLOURS, figsize=(6.4, 3.4), legend=False)
    axes = table.plot("threshold", ["accuracy", "share"], label=labels, **options)
    axes.fill_between(
        table.threshold, table.low, table.high, color=TRAINING, alpha=0.15, lw=0
    )
    axes.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="answers only from this probability on"
    )
    return _add_legend(axes.figure, axes)
