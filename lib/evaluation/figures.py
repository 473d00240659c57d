"""Plots of what `metrics` and `comparisons` return, as matplotlib Figures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.evaluation.figure_text import add_legend, shorten, shorten_names

MOST_ROWS = 40  # classes that have a row each
MOST_NUMBERED, MOST_NAMED = 20, 30  # classes of a matrix with numbers, and with names
COLOURS = TRAINING, VALIDATION = "#1f6fb4", "#e07b00"


def open_rows(names, inches: float, label: str, width: float = 10):
    """Open a figure of one row a name, that many inches high; return it, its axes, names shown."""
    shown = list(names[:MOST_ROWS])
    texts = shorten_names(shown, 0.35 * width)
    if len(names) > len(shown):
        texts.append(f"and {len(names) - len(shown)} more")
    figure, axes = plt.subplots(figsize=(width, inches * len(texts) + 1.8), label=label)
    axes.set_yticks(range(len(texts)), texts, fontsize=9)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure, axes, shown


def accuracy_by_model(scores: dict[str, dict]) -> Figure:
    """Draw the top-1 accuracy of each model (label to `metrics.evaluate`), of the best 12 at most."""
    best = sorted(scores, key=lambda label: -scores[label]["top1"])[:12]
    figure, axes, _ = open_rows(best, 0.3, "Top-1 accuracy of each model", width=5.2)
    top1, bounds = zip(*((scores[k]["top1"], scores[k]["top1_interval"]) for k in best))
    options = dict(color=TRAINING, label="top-1 accuracy, 95 % interval")
    _draw_points(axes, range(len(best)), top1, bounds, **options)
    options = dict(color=VALIDATION, ls="--", label="always the commonest class")
    axes.axvline(scores[best[0]]["baseline"], **options)
    axes.set(xlim=(-0.02, 1.02), xlabel=f"{len(best)} of {len(scores)} models, best first")
    add_legend(figure, axes)
    return figure


def _draw_points(axes, places, values, bounds, fmt="o", **options) -> None:
    reach = np.abs(np.transpose(bounds) - np.asarray(values))
    axes.errorbar(values, places, xerr=reach, fmt=fmt, ms=5, lw=1.2, **options)


def class_balance(split: pd.DataFrame) -> Figure:
    """Draw how many pictures (columns label, part) each class has in each part, largest first."""
    sizes = split.label.value_counts()
    figure, axes, names = open_rows(sizes.index, 0.3, "Pictures of each class and part")
    counts = pd.crosstab(split.part, split.label)[names]
    train, validation = counts.loc["train"], counts.loc["validation"]
    places = range(len(names))
    axes.barh(places, train, color=TRAINING, label="train")
    bars = axes.barh(places, validation, left=train, color=VALIDATION, label="validation")
    texts = [f"{one:,} + {other:,}" for one, other in zip(train, validation)]
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set_xlim(0, sizes.max() * 1.2)
    axes.set_xlabel(f"pictures, {len(split):,} in all, {sizes.min():,} in the smallest class")
    add_legend(figure, axes)
    return figure


def learning_curves(histories: dict[str, pd.DataFrame]) -> Figure | None:
    """Draw accuracy and loss over the epochs, one row for each model label and its history."""
    if not histories:
        return None
    options = dict(figsize=(11, 3.4 * len(histories) + 0.4), label="Accuracy and loss by epoch")
    figure, grid = plt.subplots(len(histories), 2, squeeze=False, **options)
    for line, (label, history) in zip(grid, histories.items()):
        for axes, metric in zip(line, ("accuracy", "loss")):
            options = dict(label=["training", "validation"], style=".-", legend=False, ax=axes)
            history.plot("epoch", [metric, f"val_{metric}"], color=COLOURS, **options)
            axes.set(title=f"{shorten(label, 4, 12)}: {metric}", xlabel="epoch", ylabel=metric)
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        line[0].set_ylim(0, 1)
    add_legend(figure, grid[0, 0])
    return figure


def confusion_matrices(matrix: np.ndarray, class_names, label: str) -> Figure:
    """Draw a confusion matrix (rows are true classes) as counts and as shares of the true class."""
    numbered, named = len(matrix) <= MOST_NUMBERED, len(matrix) <= MOST_NAMED
    side, title = 6.4 if numbered else 8, f"{shorten(label, 6, 13)}: confusion matrix"
    figure, panels = plt.subplots(1, 2, figsize=(2 * side + 1, side), label=title)
    figure.suptitle(f"{title}, n = {matrix.sum():,}")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    options = dict(annot=numbered, annot_kws={"fontsize": 9 if len(matrix) <= 12 else 7})
    options |= dict(cmap="Blues", square=True, rasterized=True)
    names = shorten_names(class_names, 1.4) if named else []
    more = "" if named else f", {len(matrix)} by name"
    content = ((matrix, "d", "pictures", None), (shares, ".2f", "share of the true class", 1))
    for axes, (values, form, what, top) in zip(panels, content):
        # Square roots keep single mistakes visible beside a class of hundreds.
        key = dict(norm=PowerNorm(0.5, 0, top), cbar_kws={"shrink": 0.7, "label": what})
        key["cbar_kws"]["ticks"] = MaxNLocator(5, integer=top is None)
        sns.heatmap(values, fmt=form, ax=axes, **options, **key)
        axes.set(xlabel=f"predicted class{more}", ylabel=f"true class{more}")
        places, slanted = np.arange(len(names)) + 0.5, dict(rotation=45, rotation_mode="anchor")
        axes.set_xticks(places, names, fontsize=9, ha="right", **slanted)
        axes.set_yticks(places, names, fontsize=9, rotation=0)
    return figure


def recall_by_class(scores: dict[str, dict]) -> Figure:
    """Draw recall by class and model (label to `metrics.evaluate`), the lowest classes first."""
    recall = pd.DataFrame({k: score["per_class"] for k, score in scores.items()}).astype(float)
    order, inches = recall.mean(axis=1).sort_values(kind="stable").index, 0.14 * len(scores) + 0.14
    figure, axes, names = open_rows(order, inches, "Recall of each class by each model")
    for position, (label, score) in enumerate(scores.items()):
        places = np.arange(len(names)) + 0.8 * ((position + 0.5) / len(scores) - 0.5)
        bounds = [score["per_class_interval"][name] for name in names]
        _draw_points(axes, places, recall.loc[names, label], bounds, label=label)
    axes.set(xlim=(-0.02, 1.02), xlabel=f"recall, with 95 % interval, n = {score['n']:,}")
    add_legend(figure, axes)
    return figure


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each probability are right, one panel for each model's bins."""
    lines = -(-len(bins) // 3)
    figure = plt.figure(figsize=(11.4, 4 * lines + 0.4), label="How often sure answers are right")
    for place, (label, table) in enumerate(bins.items(), 1):
        axes = figure.add_subplot(lines, 3, place, aspect="equal")
        axes.axline((0, 0), slope=1, color="grey", ls="--", lw=1, label="as sure as right")
        axes.vlines(table.confidence, table.low, table.high, lw=1, label="95 % interval")
        area = 20 + 500 * table.pictures / table.pictures.sum()
        options = dict(color=TRAINING, alpha=0.7, label="answers (area: how many)")
        axes.scatter(table.confidence, table.accuracy, area, **options)
        # Among many classes no answer is probable: the axes end where the points do.
        top = min(1, 1.2 * table[["confidence", "accuracy"]].to_numpy().max())
        axes.set(xlim=(0, 1.03 * top), ylim=(-0.03 * top, 1.03 * top))
        axes.set(xlabel="probability of the answer", ylabel="share that is right")
        axes.set_title(shorten(f"{label}, n = {table.pictures.sum():,}", 3.1, 11), fontsize=11)
        axes.locator_params(nbins=5)
    add_legend(figure, axes)
    return figure


def ways_of_training(runs: pd.DataFrame, ways: pd.DataFrame) -> Figure | None:
    """Draw all runs (way, top1) and their means (mean, low, high); None without a second run."""
    if len(runs) == len(ways):
        return None
    figure, axes, names = open_rows(ways.index, 0.6, "Accuracy of each way of training")
    runs, ways = runs[runs.way.isin(names)], ways.loc[names]
    places = ways.index.get_indexer(runs.way) - 0.15
    axes.plot(runs.top1, places, "o", ms=7, mfc="none", color=TRAINING, label="one run")
    options = dict(fmt="D", color=VALIDATION, label="mean of the runs, 95 % interval")
    _draw_points(axes, np.arange(len(ways)) + 0.15, ways["mean"], ways[["low", "high"]], **options)
    axes.set_xlabel("top-1 accuracy")
    add_legend(figure, axes)
    return figure
