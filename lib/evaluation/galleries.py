"""Pictures with captions, as matplotlib Figures."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lib.evaluation.figure_text import measure, shorten, shorten_names

MOST_ROWS = 40


def picture_grid(rows: dict[str, np.ndarray], title: str, captions=None) -> Figure:
    """Draw one row of pictures for each heading, the first 40 of them.

    Args:
        rows: heading to uint8 pictures (n, height, width, 3), all of one size; n may differ.
        title: of the figure.
        captions: heading to n lists of lines below the pictures; None for none.
    """
    headings = [heading for heading, pictures in rows.items() if len(pictures)][:MOST_ROWS]
    columns = max(len(rows[heading]) for heading in headings)
    lines = "\n".join(headings).split("\n")
    short = dict(zip(lines, shorten_names(lines, 3)))
    texts = {heading: captions[heading] if captions else [[]] * columns for heading in headings}
    most = max(len(text) for heading in headings for text in texts[heading])
    # In inches a picture with the space beside it; in its widths the height of a picture.
    side, height = 1.7 if captions else 1.2, np.divide(*rows[headings[0]].shape[1:3])
    width = side * columns + max(measure(line, 9) for line in short.values()) + 0.4
    size = max(width, 7), (side * height + 0.14 * most + 0.15) * len(headings) + 0.5
    options = dict(figsize=size, squeeze=False, label=title)
    figure, grid = plt.subplots(len(headings), 1, **options)
    for axes, heading in zip(grid.flat, headings):
        for column, (picture, text) in enumerate(zip(rows[heading], texts[heading])):
            axes.imshow(picture, extent=(column, column + 0.95, height, 0))
            text = "\n".join(shorten(line, 0.95 * side, 8) for line in text)
            axes.text(column, 1.02 * height, text, va="top", fontsize=8)
        axes.set(xlim=(0, columns), ylim=(height, 0), xticks=[], yticks=[])
        axes.set(anchor="W", frame_on=False)
        name = "\n".join(short[line] for line in heading.split("\n"))
        axes.set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    more = f" (the first {MOST_ROWS} of {len(rows)} rows)" if len(rows) > MOST_ROWS else ""
    figure.suptitle(title + more, x=0.01, ha="left", fontsize=12)
    return figure


def mistakes(answers, pictures, count: int) -> Figure | None:
    """Draw for each trained model the mistakes that it was surest of; None where there are none.

    Args:
        answers: the `Answers` of all models.
        pictures: uint8 (n, height, width, 3), in the order of the answers.
        count: pictures a row at most.
    """
    rows, answers = {}, answers.trained
    for label, *model in zip(answers.labels, answers.y_pred, answers.confidence, answers.right):
        y_pred, confidence, right = model
        said, order = answers.class_names[y_pred], np.argsort(-confidence, kind="stable")
        rows[label] = {
            k: [f"says {said[k]} {confidence[k]:.2f}", f"label {answers.truth[k]}"]
            for k in order[~right[order]][:count]
        }
    return _draw(rows, answers, pictures, "The mistakes that each model was surest of")


def confused(answers, pairs, pictures, count: int) -> Figure | None:
    """Draw examples of each pair of classes that is confused, those of most models first.

    `pairs` is what `metrics.list_confusions` returns; all else is as in `mistakes`.
    """
    rows, answers = {}, answers.trained
    said = answers.class_names[answers.y_pred]
    for row in pairs.itertuples():
        votes = (said == row.predicted).sum(axis=0) * (answers.truth == row.true)
        chosen = [k for k in np.argsort(-votes, kind="stable")[:count] if votes[k]]
        heading = f"{row.true}\n→ {row.predicted}\n{row.pictures} times"
        rows[heading] = {k: [f"by {votes[k]} of {len(said)} models"] for k in chosen}
    return _draw(rows, answers, pictures, "The classes most often confused")


def suspects(answers, table, pictures, count: int) -> Figure | None:
    """Draw the pictures that no trained model recognises, and what each says, in two rows at most.

    `table` is what `Answers.list_suspects` returns; all else is as in `mistakes`.
    """
    rows, answers = {"least probable": {}, "next": {}}, answers.trained
    said = answers.class_names[answers.y_pred]
    for k, probability in table.label_probability[: 2 * count].items():
        lines = [f"{label}: {name}" for label, name in zip(answers.labels, said[:, k])]
        if lines[4:]:
            lines[4:] = [f"and {len(lines) - 4} further models"]
        heading = "least probable" if len(rows["least probable"]) < count else "next"
        rows[heading][k] = [f"label {answers.truth[k]} {probability:.2f}", *lines]
    title = "The label, its mean probability, and what the trained models say"
    return _draw(rows, answers, pictures, title)


def _draw(rows: dict[str, dict[int, list[str]]], answers, pictures, title: str) -> Figure | None:
    # rows: heading to {position of a picture: lines below it}, to which its file is added.
    shown = {heading: pictures[np.array(list(row))] for heading, row in rows.items() if row}
    captions = {
        heading: [[*lines, answers.files[k]] for k, lines in row.items()]
        for heading, row in rows.items()
    }
    return picture_grid(shown, title, captions) if shown else None


def evidence(answers, pictures, chosen, maps: dict[str, np.ndarray]) -> Figure | None:
    """Draw some pictures, and below them what spoke for each model's answers; None without maps.

    `chosen`, int (k,), are positions of pictures; `maps` is label to what `gradcam.grad_cam` returns
    of these; all else is as in `mistakes`.
    """
    rows, captions = {"pictures": pictures[chosen]}, {"pictures": []}
    captions["pictures"] = [[answers.truth[k], answers.files[k]] for k in chosen]
    for place, label in enumerate(answers.labels):
        if label in maps:
            names, sure = answers.class_names[answers.y_pred[place]], answers.confidence[place]
            rows[label] = overlay_evidence(pictures[chosen], maps[label])
            captions[label] = [[f"says {names[k]} {sure[k]:.2f}"] for k in chosen]
    return picture_grid(rows, "What spoke for each answer", captions) if maps else None


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
    options = dict(figsize=(10, height * len(pictures)), label="Pictures and what models say")
    options |= dict(width_ratios=[1, 2.6], squeeze=False)
    figure, grid = plt.subplots(len(pictures), 2, **options)
    for (left, right), picture, caption in zip(grid, pictures, captions):
        left.imshow(picture)
        left.set_axis_off()
        right.set_axis_off()
        for line, (text, colour) in enumerate(caption):
            place = 0.5 + (len(caption) / 2 - line - 0.5) / max(lines, 6)
            style = dict(color=colour, va="center", fontsize=11, transform=right.transAxes)
            right.text(0, place, shorten(text, 6.8, 11), **style)
    return figure
