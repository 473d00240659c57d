"""Plots of what `metrics` and `comparisons` return, as matplotlib Figures."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from lib.evaluation import figure_text
from lib.evaluation.figure_text import note_spelled, shorten, shorten_names

# Up to this many classes, the cells of a matrix carry numbers, and its classes names.
MOST_NUMBERED, MOST_NAMED = 20, 30
TRAINING, VALIDATION = "#1f6fb4", "#e07b00"


def class_balance(split: pd.DataFrame) -> Figure:
    """Draw how many pictures (columns label, part) each class has in each part, largest first."""
    counts = pd.crosstab(split.label, split.part)[["train", "validation"]]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure, axes, rows = figure_text.open_rows(list(counts.index), 0.3)
    shown, places = counts.loc[list(rows)], list(rows.values())
    axes.barh(places, shown.train, color=TRAINING, label="train")
    options = dict(left=shown.train, color=VALIDATION, label="validation")
    bars = axes.barh(places, shown.validation, **options)
    texts = [f"{train:,} + {validation:,}" for train, validation in shown.to_numpy()]
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set(xlim=(0, shown.sum(axis=1).max() * 1.2), xlabel=f"pictures{note_spelled(rows)}")
    axes.set_title(f"{len(split):,} usable pictures in {len(counts)} classes")
    figure_text.add_legend(figure, axes)
    return figure


def picture_sizes(pictures: pd.DataFrame) -> Figure:
    """Draw the distribution of picture sizes (columns width, height, in pixels)."""
    sizes = pictures.groupby(["width", "height"]).size().reset_index(name="count")
    figure, (scatter, histogram) = plt.subplots(1, 2, figsize=(11, 4))
    area = 20 + 600 * sizes["count"] / len(pictures)
    scatter.scatter(sizes.width, sizes.height, area, alpha=0.5)
    scatter.set(xlabel="width, pixels", ylabel="height, pixels")
    scatter.set(xlim=(0, sizes.width.max() * 1.1), ylim=(0, sizes.height.max() * 1.1))
    scatter.set_title(f"{len(sizes)} different sizes (area: number of pictures)")
    scatter.locator_params(axis="x", nbins=5)
    # An octave more, and the width is twice as many heights.
    octaves = np.log2(pictures.width / pictures.height)
    histogram.hist(octaves, bins=31, color=TRAINING)
    low, high = int(np.floor(octaves.min())), int(np.ceil(octaves.max()))
    marks = range(low, high + 1, max(1, -(-(high - low) // 6)))
    histogram.set_xticks(marks, [f"{2 ** max(mark, 0)}:{2 ** max(-mark, 0)}" for mark in marks])
    histogram.set(xlabel="width : height", ylabel="pictures", title="Shapes, before squaring")
    return figure


def learning_curves(histories: dict[str, pd.DataFrame]) -> Figure:
    """Draw accuracy and loss over the epochs, one row for each model label and its history."""
    labels = [shorten(label, 4, 12) for label in histories]
    size = (11, 3.4 * len(labels) + 0.4)
    figure, grid = plt.subplots(len(labels), 2, figsize=size, sharey="col", squeeze=False)
    for line, label, history in zip(grid, labels, histories.values()):
        for axes, metric in zip(line, ("accuracy", "loss")):
            axes.plot(history.epoch, history[metric], "o-", ms=3, color=TRAINING, label="training")
            values = history[f"val_{metric}"]
            axes.plot(history.epoch, values, "o-", ms=3, color=VALIDATION, label="validation")
            axes.set(title=f"{label}: {metric}", xlabel="epoch", ylabel=metric)
            axes.xaxis.get_major_locator().set_params(integer=True)
        line[0].set_ylim(0, 1)
    figure_text.add_legend(figure, grid[0, 0])
    return figure


def confusion_matrices(matrix: np.ndarray, class_names, label: str) -> Figure:
    """Draw a confusion matrix (rows are true classes) as counts and as shares of the true class."""
    classes, note = len(class_names), note_spelled(class_names).strip()
    numbered, named = classes <= MOST_NUMBERED, classes <= MOST_NAMED
    side = 6.4 if numbered else 8
    figure, panels = plt.subplots(1, 2, figsize=(2 * side, side))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    options = dict(annot=numbered, annot_kws={"fontsize": 9 if classes <= 12 else 7})
    options |= dict(cbar=not numbered, cbar_kws={"shrink": 0.7}, cmap="Blues", square=True)
    content = ((matrix, "d", "counts", None), (shares, ".2f", "share of the true class", 1))
    for axes, (values, form, what, top) in zip(panels, content):
        # Square roots keep single mistakes visible beside a class of hundreds.
        sns.heatmap(values, fmt=form, norm=PowerNorm(0.5, 0, top), ax=axes, **options)
        sns.despine(ax=axes, top=False, right=False)
        axes.set(xlabel="predicted class", ylabel="true class", title=what, xticks=[], yticks=[])
        if named:
            places, names = np.arange(classes) + 0.5, shorten_names(class_names, 1.4)
            slanted = dict(rotation=45, ha="right", rotation_mode="anchor")
            axes.set_xticks(places, names, fontsize=9, **slanted)
            axes.set_yticks(places, names, fontsize=9, rotation=0)
    if not named:
        told = "the list of the most frequent mistakes says which matter"
        note = f"{classes} classes by name: {told}."
    figure.supxlabel(note, fontsize=10)
    figure.suptitle(f"{shorten(label, side, 13)}: confusion matrix, n = {matrix.sum():,}")
    return figure


def recall_by_class(scores: dict[str, dict]) -> Figure:
    """Draw recall by class and model (label to `metrics.evaluate`), the lowest classes first."""
    recall = pd.DataFrame({k: score["per_class"] for k, score in scores.items()}).astype(float)
    order = recall.mean(axis=1).sort_values(kind="stable").index
    figure, axes, rows = figure_text.open_rows(list(order), 0.14 * len(scores) + 0.14)
    step = 0.8 / len(scores)
    for position, (label, score) in enumerate(scores.items()):
        values = recall.loc[list(rows), label].to_numpy()
        low, high = np.array([score["per_class_interval"][name] for name in rows]).T
        # Rounding may put a bound of a recall of 0 or 1 a hair on the wrong side.
        reach = np.maximum([values - low, high - values], 0)
        places = np.array(list(rows.values())) + (position + 0.5) * step - 0.4
        axes.errorbar(values, places, xerr=reach, fmt="o", ms=4, lw=1, label=label)
    axes.set(xlim=(-0.02, 1.02), xlabel=f"recall, with 95 % interval{note_spelled(rows)}")
    axes.set_title(f"Recall by class and model, n = {score['n']:,}")
    figure_text.add_legend(figure, axes)
    return figure


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each probability are right, one panel for each model's bins."""
    lines = -(-len(bins) // 3)
    figure = plt.figure(figsize=(11.4, 3.9 * lines))
    for number, (label, table) in enumerate(bins.items(), 1):
        axes = figure.add_subplot(lines, 3, number)
        area = 20 + 500 * table.pictures / table.pictures.sum()
        axes.axline((0, 0), slope=1, color="grey", ls="--", lw=1)
        axes.vlines(table.confidence, table.low, table.high, lw=1)
        axes.scatter(table.confidence, table.accuracy, area, color=TRAINING, alpha=0.7)
        axes.set_title(shorten(label, 3.1, 11), fontsize=11)
        # Among many classes no answer is probable: the axes end where the points do.
        top = min(1, 1.2 * table[["confidence", "accuracy"]].to_numpy().max())
        axes.set(xlim=(0, 1.03 * top), ylim=(-0.03 * top, 1.03 * top), aspect="equal")
        axes.locator_params(nbins=5)
    figure.supxlabel(f"probability of the answer, n = {table.pictures.sum():,}", fontsize=11)
    figure.supylabel("share that is right", fontsize=11)
    return figure


def accuracy_against_cost(costs: pd.DataFrame) -> Figure:
    """Draw top-1 accuracy with its interval against each cost, on logarithmic axes.

    `costs` has model labels as index; columns top1, top1_low, top1_high, then one a cost, above 0,
    whose name says the unit.
    """
    names = list(costs.columns[3:])
    size = (3.7 * len(names), 4.4)
    figure, (panels,) = plt.subplots(1, len(names), figsize=size, sharey=True, squeeze=False)
    for axes, name in zip(panels, names):
        for (label, row), marker in zip(costs.iterrows(), itertools.cycle("osD^vP*X")):
            heights = row[["top1_low", "top1", "top1_high"]]
            axes.plot([row[name]] * 3, heights, f"{marker}-", markevery=[1], ms=8, label=label)
        low, high = costs[name].min() / 1.7, costs[name].max() * 1.7
        axes.set(xscale="log", xlabel=name, xlim=(low, high), ylim=(0, 1))
        axes.set_xticks(figure_text.choose_ticks(low, high))
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    panels[0].set_ylabel("top-1 accuracy, 95 % interval")
    figure_text.add_legend(figure, panels[0])
    return figure


def ways_of_training(runs: pd.DataFrame, ways: pd.DataFrame) -> Figure:
    """Draw each run of each way of training, and beneath its runs their mean with its interval.

    `runs` is as `Answers.list_runs` has it, `ways` as `comparisons.compare_ways` has it.
    """
    figure, axes, _ = figure_text.open_rows(list(ways.index), 0.6)
    places = ways.index.get_indexer(runs.way) - 0.15
    axes.plot(runs.top1, places, "o", ms=7, mfc="none", color=TRAINING)
    for place, row in enumerate(ways.itertuples()):
        axes.plot([row.low, row.high], [place + 0.15] * 2, "|-", ms=9, color=VALIDATION)
        axes.plot(row.mean, place + 0.15, "D", ms=6, color=VALIDATION)
    axes.set_xlabel("top-1 accuracy (circles: runs, diamonds: mean with 95 % interval)")
    return figure
