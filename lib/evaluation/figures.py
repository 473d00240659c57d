"""Plots of what `metrics` and `answers` return, as matplotlib Figures."""

import math
import unicodedata
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Inches of a figure of the report: its letters can be read on a phone, too.
WIDTH = 5.6
MAX_LETTERS = 30  # of a name that is shown
MAX_MODELS = 12  # in the figure of their accuracies
MAX_ROWS = 40  # classes that have a row each
TRAINING = "#1f6fb4"
VALIDATION = "#e07b00"
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
    max_letters = max(max_letters // 2, max_letters - wide // 2)
    if len(text) > max_letters:
        begin = text[: 2 * max_letters // 3]
        end = text[1 - max_letters // 3 :]
        text = f"{begin}…{end}"
    return text + SPACE * min(wide, max_letters)


def _open_rows(names, inches, width):
    shown = list(names[:MAX_ROWS])
    texts = [shorten(name) for name in shown]
    left_out = len(names) - len(shown)
    if left_out:
        texts.append(f"and {left_out} more")
    figure, axes = plt.subplots(figsize=(width, inches * len(texts) + 1.8))
    axes.set_yticks(range(len(texts)), texts, fontsize=9)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure, axes, shown


def _add_legend(figure, axes):
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


def _draw_intervals(axes, rows, values, bounds, **options):
    lengths = np.abs(np.transpose(bounds) - np.asarray(values))
    axes.errorbar(values, rows, xerr=lengths, fmt="o", ms=5, lw=1.2, **options)


def accuracy_by_model(
    means: pd.DataFrame,
    baseline: float,
    runs: pd.DataFrame | None = None,
    without_looking: float | None = None,
) -> Figure:
    """Draw the accuracy of the best models, `MAX_MODELS` at most, and of a baseline.

    Args:
        means: columns mean, low and high; the index has the names of the models.
        baseline: the accuracy of always answering the commonest class.
        runs: columns configuration, the name of a model, and top1 of each of its trainings.
        without_looking: the accuracy of size, light and sharpness of the files.
    """
    best = means.sort_values("mean", ascending=False, kind="stable")[:MAX_MODELS]
    figure, axes, _ = _open_rows(best.index, 0.3, WIDTH)
    rows = range(len(best))
    bounds = best[["low", "high"]]
    label = "top-1 accuracy, 95 % interval"
    _draw_intervals(axes, rows, best["mean"], bounds, label=label, color=TRAINING)
    if runs is not None and len(runs) > len(means):
        shown = runs[runs.configuration.isin(best.index)]
        places = best.index.get_indexer(shown.configuration)
        (dots,) = axes.plot(shown.top1, places, "o", color=TRAINING)
        dots.set(markerfacecolor="none", label="one training")
    line = axes.axvline(baseline, color=VALIDATION, linestyle="--")
    line.set_label("always the commonest class")
    if without_looking is not None:
        line = axes.axvline(without_looking, color=VALIDATION, linestyle=":")
        line.set_label("size, light and sharpness alone")
    axes.set_xlim(SHARES)
    axes.set_xlabel("top-1 accuracy")
    if len(best) < len(means):
        axes.set_xlabel(f"top-1 accuracy, the best {len(best)} of {len(means)} models")
    return _add_legend(figure, axes)


def class_balance(split: pd.DataFrame) -> Figure:
    """Draw how many pictures each class has in each part, the largest class first.

    `split` has the columns label and part.
    """
    sizes = split.label.value_counts()
    figure, axes, names = _open_rows(sizes.index, 0.3, width=10)
    train, validation = pd.crosstab(split.part, split.label)[names].to_numpy()
    rows = np.arange(len(names))
    axes.barh(rows, train, color=TRAINING, label="train")
    bars = axes.barh(rows, validation, left=train, color=VALIDATION, label="validation")
    texts = [f"{one:,} + {other:,}" for one, other in zip(train, validation)]
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set_xlim(0, sizes.max() * 1.2)
    axes.set_xlabel(
        f"pictures, {len(split):,} in all, {sizes.min():,} in the smallest class"
    )
    return _add_legend(figure, axes)


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
        panels[0].set_title(shorten(label), loc="left", fontsize=11)
        panels[0].set_ylim(SHARES)
        for axes, metric in zip(panels, ("accuracy", "loss")):
            axes.plot(history.epoch, history[metric], ".-", color=TRAINING)
            axes.plot(history.epoch, history[f"val_{metric}"], ".-", color=VALIDATION)
            axes.set(xlabel="epoch", ylabel=metric)
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    for line, label in zip(grid[0, 0].lines, ("training", "validation")):
        line.set_label(label)
    return _add_legend(figure, grid[0, 0])


def recall_by_class(scores: dict[str, dict]) -> Figure:
    """Draw the recall of each class by each model, with 95 % intervals.

    `scores` has what `metrics.evaluate` returns of each model's label. The classes that the
    first model recognises worst come first.
    """
    first = next(iter(scores.values()))
    recalls = pd.Series(first["per_class"], dtype=float)
    order = recalls.sort_values(kind="stable").index
    figure, axes, names = _open_rows(order, 0.14 * len(scores) + 0.14, WIDTH)
    for position, (label, score) in enumerate(scores.items()):
        shift = 0.8 * ((position + 0.5) / len(scores) - 0.5)
        recall = [score["per_class"][name] for name in names]
        bounds = [score["per_class_interval"][name] for name in names]
        rows = np.arange(len(names)) + shift
        _draw_intervals(axes, rows, recall, bounds, label=shorten(label))
    axes.set_xlim(SHARES)
    axes.set_xlabel(f"recall, with 95 % interval, n = {first['n']:,}")
    return _add_legend(figure, axes)


def reliability(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each probability are right, one panel for each model.

    `tables` has what `metrics.reliability_table` returns of each model's label.
    """
    lines = math.ceil(len(tables) / 2)
    figure = plt.figure(figsize=(WIDTH, 2.8 * lines + 0.6))
    for number, (label, table) in enumerate(tables.items(), start=1):
        axes = figure.add_subplot(lines, 2, number, aspect="equal")
        _draw_reliability(axes, table)
        axes.set_title(
            f"{shorten(label, 20)}, n = {table.pictures.sum():,}", fontsize=9
        )
    return _add_legend(figure, axes)


def _draw_reliability(axes, table):
    diagonal = axes.axline((0, 0), slope=1, color="grey", linestyle="--", lw=1)
    diagonal.set_label("right as often as it says")
    axes.vlines(table.confidence, table.low, table.high, lw=1, label="95 % interval")
    shares = table.pictures / table.pictures.sum()
    areas = 20 + 300 * shares
    dots = axes.scatter(table.confidence, table.accuracy, areas, color=TRAINING)
    dots.set(alpha=0.7, label="answers (area: how many)")
    axes.set(xlim=SHARES, ylim=SHARES)
    axes.set_xlabel("probability of the answer", fontsize=9)
    axes.set_ylabel("share that is right", fontsize=9)


def accuracy_when_sure(table: pd.DataFrame) -> Figure:
    """Draw what `Predictions.selective_accuracy` returns."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    sure = table.threshold
    (right,) = axes.plot(sure, table.accuracy, color=TRAINING)
    right.set_label("right, of those answered")
    (answered,) = axes.plot(sure, table.share, color=VALIDATION)
    answered.set_label("answered, of all pictures")
    band = axes.fill_between(sure, table.low, table.high, color=TRAINING)
    band.set(alpha=0.15, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("answers only from this probability on")
    return _add_legend(figure, axes)
