"""Pictures with captions, as matplotlib Figures."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from lib.judging.lettering import measure, note_spelled, shorten, shorten_names

# Up to this many rows, pictures are drawn large; up to that many, they are drawn at all.
MOST_LARGE, MOST_ROWS = 20, 60


def picture_grid(rows: dict[str, np.ndarray], title: str, captions=None) -> Figure:
    """Draw one row of pictures for each heading.

    Args:
        rows: heading to uint8 pictures (n, height, width, 3), all of one size; n may differ.
        title: of the figure.
        captions: heading to n lists of lines below the pictures; None for none.
    """
    headings = [heading for heading, pictures in rows.items() if len(pictures)][:MOST_ROWS]
    if len(rows) > MOST_ROWS:
        title += f"\n(the first {MOST_ROWS} of {len(rows)} rows)"
    # One picture of all pictures, smaller for many rows: axes for each would take minutes.
    step, inches = (1, 1.2) if len(headings) <= MOST_LARGE else (2, 0.6)
    pictures = [rows[heading][:, ::step, ::step] for heading in headings]
    height, width = pictures[0].shape[1:3]
    cell_height, cell_width = height + height // 12, width + width // 12
    texts = [captions[heading] for heading in headings] if captions else []
    if captions:
        inches, lines = 1.8, max(len(caption) for row in texts for caption in row)
        cell_height += int((0.14 * lines + 0.12) * cell_width / inches)
    title += note_spelled([*headings, *(part for row in texts for part in sum(row, []))])
    axes = _open_cells(pictures, headings, title, (cell_height, cell_width), inches)
    for line, row in enumerate(texts):
        for column, caption in enumerate(row):
            text = "\n".join(shorten(part, inches * width / cell_width, 8) for part in caption)
            place = (column * cell_width, line * cell_height + height * 1.02)
            axes.text(*place, text, fontsize=8, va="top", linespacing=1.15)
    return axes.figure


def _open_cells(rows: list[np.ndarray], headings, title: str, cell, inches: float) -> plt.Axes:
    """Join rows of pictures into one, a picture a cell so many inches wide, and draw it."""
    (height, width), columns = cell, max(map(len, rows))
    mosaic = np.full((len(rows) * height, columns * width, 3), 255, np.uint8)
    for line, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = line * height, column * width
            mosaic[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    lines = [line for heading in headings for line in heading.split("\n")]
    short = dict(zip(lines, shorten_names(lines, 3)))
    names = ["\n".join(short[line] for line in heading.split("\n")) for heading in headings]
    # No layout is computed: the room for names and title is known.
    beside = max(measure(name, 9) for name in names) + 0.3
    above = 0.25 * len(title.splitlines()) + 0.2
    size = inches / width * np.array([mosaic.shape[1], mosaic.shape[0]])
    whole = np.maximum(size, [measure(f" {title}", 12), 0]) + [beside, above + 0.1]
    axes = plt.figure(figsize=whole).add_axes((beside / whole[0], 0.1 / whole[1], *size / whole))
    axes.imshow(mosaic)
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_yticks(np.arange(len(rows)) * height + rows[0].shape[1] / 2, names, fontsize=9)
    axes.set(xticks=[])
    axes.tick_params(length=0, grid_alpha=0)
    sns.despine(ax=axes, left=True, bottom=True)
    return axes


def mistakes(answers, pictures, count: int) -> Figure | None:
    """Draw for each model the mistakes that it was surest of; None where there are none.

    Args:
        answers: the `Answers` of all models; those that were not trained are left out.
        pictures: uint8 (n, height, width, 3), in the order of the answers.
        count: pictures a row at most.
    """
    rows = {}
    for label in answers.trained:
        said, confidence = answers.predicted[label], answers.confidence[label]
        order = np.argsort(-confidence, kind="stable")
        rows[label] = {
            k: [
                f"says {said[k]} {confidence[k]:.2f}",
                f"label {answers.truth[k]}",
                answers.files[k],
            ]
            for k in order[~answers.right[label][order]][:count]
        }
    return _draw(rows, pictures, "The mistakes that each model was surest of")


def confused(answers, pairs, pictures, count: int) -> Figure | None:
    """Draw examples of each pair of classes that is confused, those of most models first.

    Args:
        answers, pictures, count: as in `mistakes`.
        pairs: columns true, predicted, pictures, as `metrics.list_confusions` returns them.
    """
    rows, models = {}, answers.trained
    for row in pairs.itertuples():
        taken = [answers.predicted[label] == row.predicted for label in models]
        votes = np.sum(taken, axis=0) * (answers.truth == row.true)
        rows[f"{row.true}\n→ {row.predicted}\n{row.pictures} times"] = {
            k: [f"by {votes[k]} of {len(models)} models", answers.files[k]]
            for k in np.argsort(-votes, kind="stable")[:count]
            if votes[k]
        }
    return _draw(rows, pictures, "The classes most often confused")


def suspects(answers, table, pictures, count: int) -> Figure | None:
    """Draw the pictures that no model recognises, and what each model says, in two rows at most.

    Args:
        answers, pictures, count: as in `mistakes`.
        table: as `Answers.list_suspects` returns it.
    """
    captions = {}
    for k, probability in table.label_probability[: 2 * count].items():
        said = [f"{label}: {answers.predicted[label][k]}" for label in answers.trained[:4]]
        captions[k] = [f"label {answers.truth[k]} {probability:.2f}", *said, answers.files[k]]
    places = list(captions)
    rows = {"least probable": places[:count], "next": places[count:]}
    rows = {heading: {k: captions[k] for k in row} for heading, row in rows.items()}
    return _draw(rows, pictures, "The label, its mean probability, and what the models say")


def _draw(rows: dict[str, dict[int, list[str]]], pictures, title: str) -> Figure | None:
    rows = {heading: row for heading, row in rows.items() if row}
    if not rows:
        return None
    shown = {heading: pictures[np.array(list(row))] for heading, row in rows.items()}
    return picture_grid(
        shown, title, {heading: list(row.values()) for heading, row in rows.items()}
    )


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
            style = dict(color=colour, va="center", fontsize=11, transform=right.transAxes)
            right.text(0, place, shorten(text, 6.8, 11), **style)
    shown = [text for caption in captions for text, _ in caption]
    figure.supxlabel(note_spelled(shown).strip(), fontsize=9)
    return figure
