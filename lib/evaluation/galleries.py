"""Pictures with captions, as matplotlib Figures."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lib.evaluation.figure_text import measure, note_spelled, shorten, shorten_names

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
    texts = [text for heading in headings for text in captions[heading]] if captions else []
    title += note_spelled([*headings, *(line for text in texts for line in text)])
    # In inches: a cell's width, the text below its picture, and the picture.
    inches, below = 1.2, 0
    if len(headings) > MOST_LARGE:
        inches = 0.6
    if captions:
        inches, below = 1.8, 0.14 * max(map(len, texts)) + 0.12
    shape = rows[headings[0]].shape
    width, height = 0.92 * inches, 0.92 * inches * shape[1] / shape[2]
    tops = np.arange(len(headings)) * (height + 0.08 * inches + below)
    size = [inches * max(len(rows[heading]) for heading in headings), tops[-1] + height + below]
    axes = _open_axes(size, title, headings, tops + height / 2)
    for heading, top in zip(headings, tops):
        for column, picture in enumerate(rows[heading]):
            left = column * inches
            axes.imshow(picture, extent=(left, left + width, top + height, top))
            if captions:
                lines = [shorten(line, 0.96 * inches, 8) for line in captions[heading][column]]
                place, style = (left, top + 1.02 * height), dict(va="top", linespacing=1.15)
                axes.text(*place, "\n".join(lines), fontsize=8, **style)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return axes.figure


def _open_axes(size, title: str, headings, places) -> plt.Axes:
    # Axes in inches, from the top. No layout is computed: the room for names and title is known.
    lines = "\n".join(headings).split("\n")
    short = dict(zip(lines, shorten_names(lines, 3)))
    names = ["\n".join(short[line] for line in heading.split("\n")) for heading in headings]
    beside = max(measure(name, 9) for name in names) + 0.3
    above = 0.25 * len(title.splitlines()) + 0.2
    whole = np.maximum(size, [measure(title, 12) + 0.1, 0]) + [beside, above + 0.1]
    figure = plt.figure(figsize=whole, layout="none")
    axes = figure.add_axes((beside / whole[0], 0.1 / whole[1], *size / whole))
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_yticks(places, names, fontsize=9)
    axes.set_xticks([])
    axes.tick_params(length=0, grid_alpha=0)
    axes.set_frame_on(False)
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
            k: [f"says {said[k]} {confidence[k]:.2f}", f"label {answers.truth[k]}"]
            for k in order[~answers.right[label][order]][:count]
        }
    return _draw(rows, answers, pictures, "The mistakes that each model was surest of")


def confused(answers, pairs, pictures, count: int) -> Figure | None:
    """Draw examples of each pair of classes that is confused, those of most models first.

    `pairs` is what `metrics.list_confusions` returns; all else is as in `mistakes`.
    """
    rows, models = {}, answers.trained
    for row in pairs.itertuples():
        taken = [answers.predicted[label] == row.predicted for label in models]
        votes = np.sum(taken, axis=0) * (answers.truth == row.true)
        rows[f"{row.true}\n→ {row.predicted}\n{row.pictures} times"] = {
            k: [f"by {votes[k]} of {len(models)} models"]
            for k in np.argsort(-votes, kind="stable")[:count]
            if votes[k]
        }
    return _draw(rows, answers, pictures, "The classes most often confused")


def suspects(answers, table, pictures, count: int) -> Figure | None:
    """Draw the pictures that no trained model recognises, and what each says, in two rows at most.

    `table` is what `Answers.list_suspects` returns; all else is as in `mistakes`.
    """
    rows = {"least probable": {}, "next": {}}
    for k, probability in table.label_probability[: 2 * count].items():
        heading = "least probable" if len(rows["least probable"]) < count else "next"
        said = [f"{label}: {answers.predicted[label][k]}" for label in answers.trained]
        if said[4:]:
            said[4:] = [f"and {len(said) - 4} further models"]
        rows[heading][k] = [f"label {answers.truth[k]} {probability:.2f}", *said]
    title = "The label, its mean probability, and what the trained models say"
    return _draw(rows, answers, pictures, title)


def _draw(rows: dict[str, dict[int, list[str]]], answers, pictures, title: str) -> Figure | None:
    # rows: heading to {position of a picture: lines below it}, to which its file is added.
    rows = {heading: row for heading, row in rows.items() if row}
    if not rows:
        return None
    captions = {
        heading: [[*lines, answers.files[k]] for k, lines in row.items()]
        for heading, row in rows.items()
    }
    shown = {heading: pictures[np.array(list(row))] for heading, row in rows.items()}
    return picture_grid(shown, title, captions)


def evidence_grid(pictures, evidence: dict[str, np.ndarray], title: str, captions) -> Figure:
    """Draw pictures in the first row, "pictures", and below it each model's evidence.

    `evidence` is model label to what `gradcam.grad_cam` returns, all else as elsewhere here.
    """
    rows = {label: overlay_evidence(pictures, maps) for label, maps in evidence.items()}
    return picture_grid({"pictures": pictures} | rows, title, captions)


def overlay_evidence(pictures: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Lay evidence over pictures: yellow on darkened grey needs no eye for red and green.

    Args:
        pictures: uint8 (n, height, width, 3), as the result.
        evidence: float (n, h, w), 0-1, of any size.
    """
    size = pictures.shape[2:0:-1]
    resized = [Image.fromarray(one.astype(np.float32)).resize(size) for one in evidence]
    strength = np.stack(resized).clip(0, 1)
    colour, cover = plt.get_cmap("plasma")(strength)[..., :3], 0.8 * strength[..., None]
    grey = pictures.mean(axis=3, keepdims=True) * 0.6
    return ((1 - cover) * grey + cover * 255 * colour).astype(np.uint8)


def random_pictures(pictures, captions: list[list[tuple[str, str]]]) -> Figure:
    """Draw one row a picture, uint8 (height, width, 3), beside it its lines of (text, colour)."""
    lines = max(len(caption) for caption in captions)
    height = max(2.2, 0.3 * lines + 0.3)
    options = dict(figsize=(10, height * len(pictures)), width_ratios=[1, 2.6], squeeze=False)
    figure, grid = plt.subplots(len(pictures), 2, **options)
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
