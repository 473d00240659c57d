"""Pictures of what `metrics` returns, and of pictures, as matplotlib Figures."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from PIL import Image

# Up to this many classes, cells carry numbers and every class its name.
MOST_NUMBERED, MOST_NAMED = 20, 60
TRAINING, VALIDATION = "#1f6fb4", "#e07b00"

sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
# A class named "$x$" is a name, not a formula.
plt.rcParams["text.parse_math"] = False


def class_balance(split: pd.DataFrame) -> Figure:
    """Draw how many pictures each class has in each part.

    Args:
        split: columns label, part.
    """
    counts = pd.crosstab(split.label, split.part)[["train", "validation"]]
    figure, axes = plt.subplots(figsize=(9, _height(len(counts))), layout="constrained")
    left = np.zeros(len(counts))
    for part, colour in (("train", TRAINING), ("validation", VALIDATION)):
        bars = axes.barh(counts.index, counts[part], left=left, color=colour, label=part)
        if len(counts) <= MOST_NUMBERED:
            axes.bar_label(bars, label_type="center", color="white", fontsize=9)
        left += counts[part].to_numpy()
    axes.set(xlabel="pictures", title=f"{len(split):,} usable pictures in {len(counts)} classes")
    _name_rows(axes, list(counts.index))
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def picture_grid(rows: dict[str, np.ndarray], title: str, captions=None) -> Figure:
    """Draw one labelled row of pictures a key.

    Args:
        rows: text to uint8 pictures (n, height, width, 3), all of one size; n may differ.
        title: of the figure.
        captions: text to n lists of lines below the pictures; None for none.
    """
    columns = max(len(pictures) for pictures in rows.values())
    # One picture of all pictures, smaller for many rows: axes for each would take minutes.
    step, inches = (1, 1.2) if len(rows) <= MOST_NUMBERED else (2, 0.6)
    rows = {name: pictures[:, ::step, ::step] for name, pictures in rows.items()}
    height, width = next(iter(rows.values())).shape[1:3]
    cell_height, cell_width = height + height // 12, width + width // 12
    if captions:
        inches = 1.8
        lines = max(len(caption) for row in captions.values() for caption in row)
        cell_height += int((0.14 * lines + 0.12) * cell_width / inches)
    mosaic = np.full((len(rows) * cell_height, columns * cell_width, 3), 255, np.uint8)
    longest = max(len(line) for name in rows for line in name.splitlines())
    size = inches * np.array([columns, len(rows) * cell_height / cell_width])
    size = np.minimum(size + [0.09 * longest + 0.3, 0.5], 200)
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    for line, (name, pictures) in enumerate(rows.items()):
        for column, picture in enumerate(pictures):
            top, left = line * cell_height, column * cell_width
            mosaic[top : top + height, left : left + width] = picture
            if captions:
                text = "\n".join(map(_shorten, captions[name][column]))
                axes.text(left, top + height * 1.02, text, fontsize=8, va="top", linespacing=1.15)
    axes.imshow(mosaic)
    axes.set_yticks(np.arange(len(rows)) * cell_height + height / 2, rows)
    axes.set(xticks=[], title=title)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    sns.despine(ax=axes, left=True, bottom=True)
    return figure


def picture_sizes(pictures: pd.DataFrame) -> Figure:
    """Draw the distribution of picture sizes.

    Args:
        pictures: columns width, height, in pixels.
    """
    sizes = pictures.groupby(["width", "height"]).size().reset_index(name="count")
    ratio = pictures.width / pictures.height
    figure, (scatter, histogram) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    scatter.scatter(
        sizes.width, sizes.height, s=20 + 600 * sizes["count"] / len(pictures), alpha=0.5
    )
    scatter.set(xlabel="width, pixels", ylabel="height, pixels", xlim=(0, None), ylim=(0, None))
    scatter.set_title(f"{len(sizes)} different sizes (area: number of pictures)")
    histogram.hist(np.log2(ratio), bins=31, color=TRAINING)
    marks = [mark for mark in (1 / 4, 1 / 2, 3 / 4, 1, 4 / 3, 2, 4) if ratio.min() <= mark * 1.2]
    marks = [mark for mark in marks if mark <= ratio.max() * 1.2]
    names = {1 / 4: "1:4", 1 / 2: "1:2", 3 / 4: "3:4", 1: "1:1", 4 / 3: "4:3", 2: "2:1", 4: "4:1"}
    histogram.set_xticks(np.log2(marks), [names[mark] for mark in marks])
    histogram.set(xlabel="width : height", ylabel="pictures", title="Shapes, before squaring")
    return figure


def learning_curves(histories: dict[str, pd.DataFrame]) -> Figure:
    """Draw accuracy and loss over the epochs, one row a model.

    Args:
        histories: model label to its history.
    """
    size = (11, 3.4 * len(histories) + 0.4)
    figure, grid = plt.subplots(
        len(histories), 2, figsize=size, layout="constrained", squeeze=False, sharey="col"
    )
    for line, (label, history) in zip(grid, histories.items()):
        for axes, metric in zip(line, ("accuracy", "loss")):
            for before, part, colour in (
                ("", "training", TRAINING),
                ("val_", "validation", VALIDATION),
            ):
                values = history[before + metric]
                axes.plot(history.epoch, values, "o-", ms=3, color=colour, label=part)
            axes.set(title=f"{label}: {metric}", xlabel="epoch", ylabel=metric)
            axes.xaxis.get_major_locator().set_params(integer=True)
        line[0].set_ylim(0, 1)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return figure


def confusion_matrices(matrix: np.ndarray, class_names, label: str) -> Figure:
    """Draw a confusion matrix as counts and as shares of the true class.

    Args:
        matrix: int (classes, classes), rows are true classes.
        class_names: text (classes,).
        label: of the model.
    """
    numbered = len(class_names) <= MOST_NUMBERED
    side = 6.4 if numbered else 8
    figure, panels = plt.subplots(1, 2, figsize=(2 * side, side * 0.95), layout="constrained")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    content = ((matrix, "d", "counts", None), (shares, ".2f", "share of the true class", 1))
    options = dict(annot=numbered, annot_kws={"fontsize": 9}, cmap="Blues", vmin=0, square=True)
    options |= dict(cbar=not numbered, cbar_kws={"shrink": 0.7})
    options |= dict(xticklabels=False, yticklabels=False)
    for axes, (values, form, what, top) in zip(panels, content):
        sns.heatmap(values, fmt=form, vmax=top, ax=axes, **options)
        axes.set(xlabel="predicted class", ylabel="true class", title=what)
        places = np.arange(len(class_names)) + 0.5
        axes.set_xticks(places, class_names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, class_names, rotation=0)
        for axis in (axes.xaxis, axes.yaxis):
            _thin_labels(axis, class_names)
    figure.suptitle(f"{label}: confusion matrix, n = {matrix.sum():,}")
    return figure


def recall_by_class(scores: dict[str, dict]) -> Figure:
    """Draw recall by class and model, with Wilson 95 % intervals; dots alone for many classes.

    Args:
        scores: model label to what `metrics.evaluate` returns.
    """
    class_names = list(next(iter(scores.values()))["per_class"])
    figure, axes = plt.subplots(
        figsize=(10, _height(len(class_names), 0.16 * len(scores) + 0.14)), layout="constrained"
    )
    thickness = 0.8 / len(scores)
    for position, (label, score) in enumerate(scores.items()):
        recall = np.array([score["per_class"][name] for name in class_names], float)
        bounds = np.array([score["per_class_interval"][name] for name in class_names])
        places = np.arange(len(class_names)) + (position + 0.5) * thickness - 0.4
        if len(class_names) > MOST_NAMED:
            axes.plot(recall, places, "o", ms=3, label=label)
            continue
        # Rounding may put a bound of a recall of 0 or 1 a hair on the wrong side.
        reach = np.maximum([recall - bounds[:, 0], bounds[:, 1] - recall], 0)
        error_kw = {"lw": 1, "alpha": 0.6}
        axes.barh(places, recall, thickness, xerr=reach, error_kw=error_kw, label=label)
    axes.axvline(1 / len(class_names), color="grey", ls="--", lw=1, label="guessing")
    _name_rows(axes, class_names)
    interval = ", with 95 % interval" if len(class_names) <= MOST_NAMED else ""
    title = f"Recall by class and model, n = {score['n']:,}"
    axes.set(xlim=(0, 1), xlabel=f"recall{interval}", title=title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each probability are right, one panel a model.

    Args:
        bins: model label to what `metrics.bin_confidences` returns.
    """
    columns = min(3, len(bins))
    lines = -(-len(bins) // columns)
    options = dict(figsize=(3.6 * columns + 0.6, 3.9 * lines), layout="constrained")
    figure, grid = plt.subplots(lines, columns, squeeze=False, sharex=True, sharey=True, **options)
    for axes, (label, table) in zip(grid.flat, bins.items()):
        area = 20 + 500 * table.pictures / table.pictures.sum()
        axes.plot([0, 1], [0, 1], color="grey", ls="--", lw=1)
        axes.vlines(table.confidence, table.low, table.high, lw=1)
        axes.scatter(table.confidence, table.accuracy, area, color=TRAINING, alpha=0.7)
        axes.set_title(label.replace(" (", "\n("), fontsize=11)
        axes.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    for axes in grid.flat[len(bins) :]:
        axes.set_axis_off()
    figure.supxlabel(f"probability of the answer, n = {table.pictures.sum():,}", fontsize=11)
    figure.supylabel("share that is right", fontsize=11)
    return figure


def accuracy_against_cost(costs: pd.DataFrame) -> Figure:
    """Draw top-1 accuracy with its interval against each cost, on logarithmic axes.

    Args:
        costs: model labels as index; columns top1, top1_low, top1_high, then one a cost, above 0,
            whose name says the unit.
    """
    names = list(costs.columns[3:])
    size = (3.7 * len(names), 4)
    figure, panels = plt.subplots(1, len(names), figsize=size, layout="constrained", sharey=True)
    for axes, name in zip(panels, names):
        for (label, row), marker in zip(costs.iterrows(), itertools.cycle("osD^vP*X")):
            heights = row[["top1_low", "top1", "top1_high"]]
            axes.plot([row[name]] * 3, heights, f"{marker}-", markevery=[1], ms=8, label=label)
        axes.set(xscale="log", xlabel=name, ylim=(0, 1))
        axes.margins(x=0.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    panels[0].set_ylabel("top-1 accuracy, 95 % interval")
    entries = panels[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=3, frameon=False)
    return figure


def random_pictures(pictures, captions: list[list[tuple[str, str]]]) -> Figure:
    """Draw one row a picture, its lines of text beside it.

    Args:
        pictures: uint8 (height, width, 3) each.
        captions: for each picture, lines of (text, colour).
    """
    lines = max(len(caption) for caption in captions)
    height = max(2.2, 0.3 * lines + 0.3)
    options = dict(figsize=(10, height * len(pictures)), layout="constrained", squeeze=False)
    figure, grid = plt.subplots(len(pictures), 2, width_ratios=[1, 2.6], **options)
    for (left, right), picture, caption in zip(grid, pictures, captions):
        left.imshow(picture)
        left.set_axis_off()
        right.set_axis_off()
        for line, (text, colour) in enumerate(caption):
            place = 0.5 + (len(caption) / 2 - line - 0.5) / max(lines, 6)
            style = dict(color=colour, va="center", transform=right.transAxes)
            right.text(0, place, text, **style)
    return figure


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 25 else f"{text[:10]}…{text[-14:]}"


def evidence_grid(pictures, evidence: dict[str, np.ndarray], title: str, captions) -> Figure:
    """Draw pictures in the first row, and below, for each model, what its evidence is.

    Args:
        pictures: uint8 (n, height, width, 3).
        evidence: model label to float (n, h, w), 0-1, as `explain.find_evidence` returns it.
        title: of the figure.
        captions: as in `picture_grid`; the first row is called "pictures".
    """
    rows = {label: overlay_evidence(pictures, maps) for label, maps in evidence.items()}
    return picture_grid({"pictures": pictures} | rows, title, captions)


def overlay_evidence(pictures: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Lay evidence over pictures: yellow on darkened grey needs no eye for red and green.

    Args:
        pictures: uint8 (n, height, width, 3).
        evidence: float (n, h, w), 0-1, of any size.

    Returns:
        uint8 (n, height, width, 3).
    """
    size = pictures.shape[2:0:-1]
    resized = [Image.fromarray(one.astype(np.float32)).resize(size) for one in evidence]
    strength = np.stack(resized).clip(0, 1)
    colour, cover = plt.get_cmap("plasma")(strength)[..., :3], 0.8 * strength[..., None]
    grey = pictures.mean(axis=3, keepdims=True) * 0.6
    return ((1 - cover) * grey + cover * 255 * colour).astype(np.uint8)


def _height(classes: int, inches: float = 0.32) -> float:
    if classes > MOST_NAMED:
        inches = 0.13
    # A picture of more than 65,536 pixels a side can't be drawn.
    return float(np.clip(inches * classes + 1.4, 3.5, 200))


def _name_rows(axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9 if len(names) <= MOST_NAMED else 6)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _thin_labels(axis, names: list[str]) -> None:
    step = -(-len(names) // MOST_NAMED)
    axis.set_ticks(axis.get_ticklocs()[::step], names[::step])
    axis.set_tick_params(labelsize=9 if len(names) <= MOST_NUMBERED else 6)
