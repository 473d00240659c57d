"""Pictures with captions, as matplotlib Figures."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lib.evaluation.figure_text import INK, RIGHT, WRONG, measure, shorten, shorten_names
from lib.evaluation.figures import MOST_ROWS


def picture_grid(rows: dict[str, np.ndarray], title: str, captions=None) -> Figure | None:
    """Draw one row of pictures for each heading, the first 40 of them; None without pictures.

    Args:
        rows: heading to uint8 pictures (n, height, width, 3), all of one size; n may differ.
        title: of the figure.
        captions: heading to n lists of lines below the pictures; None for none.
    """
    headings = [heading for heading, pictures in rows.items() if len(pictures)][:MOST_ROWS]
    if not headings:
        return None
    captions = captions or {heading: [[]] * len(rows[heading]) for heading in headings}
    columns = max(len(rows[heading]) for heading in headings)
    most = max(len(text) for heading in headings for text in captions[heading])
    lines = "\n".join(headings).split("\n")
    short = dict(zip(lines, shorten_names(lines, 3)))
    # In inches a picture with the space beside it; in its widths the height of a picture.
    side, height = 1.7 if most else 1.2, np.divide(*rows[headings[0]].shape[1:3])
    width = side * columns + max(measure(line, 9) for line in short.values()) + 0.4
    size = max(width, 7), (side * height + 0.14 * most + 0.15) * len(headings) + 0.5
    figure, grid = plt.subplots(len(headings), figsize=size, squeeze=False, label=title)
    for axes, heading in zip(grid.flat, headings):
        for column, (picture, text) in enumerate(zip(rows[heading], captions[heading])):
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
    answers, rows = answers.trained, {}
    for place, label in enumerate(answers.labels):
        order = np.argsort(-answers.confidence[place], kind="stable")
        wrong = order[~answers.correct[place, order]][:count]
        rows[label] = {k: [_say(answers, place, k), f"label {answers.truth[k]}"] for k in wrong}
    return _draw(rows, answers, pictures, "The mistakes that each model was surest of")


def confused(answers, pairs, pictures, count: int) -> Figure | None:
    """Draw examples of each of the pairs that `metrics.list_confusions` returns, as `mistakes`.

    Those that most models confuse come first.
    """
    answers, rows = answers.trained, {}
    said = answers.class_names[answers.y_pred]
    for row in pairs.itertuples():
        votes = (said == row.predicted).sum(axis=0) * (answers.truth == row.true)
        chosen = [k for k in np.argsort(-votes, kind="stable")[:count] if votes[k]]
        heading = f"{row.true}\n→ {row.predicted}\n{row.pictures} times"
        rows[heading] = {k: [f"by {votes[k]} of {len(said)} models"] for k in chosen}
    return _draw(rows, answers, pictures, "The classes most often confused")


def suspects(answers, table, pictures, count: int) -> Figure | None:
    """Draw the first pictures of `Answers.list_suspects` in two rows at most, as `mistakes`."""
    answers, rows = answers.trained, {"least probable": {}, "next": {}}
    more = [f"and {len(answers.labels) - 4} more"] if answers.labels[4:] else []
    for place, (k, probability) in enumerate(table.label_probability[: 2 * count].items()):
        said = zip(answers.labels[:4], answers.class_names[answers.y_pred[:4, k]])
        lines = [f"label {answers.truth[k]} {probability:.2f}", *map(": ".join, said), *more]
        rows["least probable" if place < count else "next"][k] = lines
    title = "The label, its mean probability, and what the trained models say"
    return _draw(rows, answers, pictures, title)


def _say(answers, model: int, k: int) -> str:
    name = answers.class_names[answers.y_pred[model, k]]
    return f"says {name} {answers.confidence[model, k]:.2f}"


def _draw(rows: dict[str, dict[int, list[str]]], answers, pictures, title: str) -> Figure | None:
    # rows: heading to {position of a picture: lines below it}, to which its file is added.
    shown = {heading: pictures[np.array(list(row))] for heading, row in rows.items() if row}
    for heading, row in rows.items():
        rows[heading] = [[*lines, answers.files[k]] for k, lines in row.items()]
    return picture_grid(shown, title, rows)


def evidence(answers, pictures, chosen, maps: dict[str, np.ndarray]) -> Figure | None:
    """Draw pictures, `chosen` int (k,), and below them what spoke for each model's answers.

    `maps` is label to what `gradcam.grad_cam` returns of them; None without any.
    """
    rows = {"pictures": pictures[chosen]}
    captions = {"pictures": [[answers.truth[k], answers.files[k]] for k in chosen]}
    for place, label in enumerate(answers.labels):
        if label in maps:
            rows[label] = np.stack(list(map(_overlay, rows["pictures"], maps[label])))
            captions[label] = [[_say(answers, place, k)] for k in chosen]
    return picture_grid(rows, "What spoke for each answer", captions) if maps else None


def _overlay(picture: np.ndarray, strength: np.ndarray) -> np.ndarray:
    strength = Image.fromarray(strength.astype(np.float32)).resize(picture.shape[1::-1])
    cover = np.clip(strength, 0, 1)
    colour, cover = 255 * plt.get_cmap("plasma")(cover)[..., :3], 0.8 * cover[..., None]
    grey = 0.6 * picture.mean(axis=2, keepdims=True)  # Yellow on it needs no eye for red and green.
    return ((1 - cover) * grey + cover * colour).astype(np.uint8)


def random_pictures(pictures, table, labels: list[str]) -> Figure:
    """Draw one row a picture, uint8 (height, width, 3), beside it what each model says of it.

    `table` has columns file, truth ("" where it is unknown), verdict, and of each model its label,
    which is the answer, and "<label> probability".
    """
    most = max(6, len(labels) + 2)
    size, label = (10, (0.3 * most + 0.4) * len(pictures)), "Pictures and what models say"
    options = dict(figsize=size, width_ratios=[1, 2.6], squeeze=False, label=label)
    figure, grid = plt.subplots(len(pictures), 2, **options)
    for (left, right), picture, (_, row) in zip(grid, pictures, table.iterrows()):
        left.imshow(picture)
        left.set_axis_off()
        right.set_axis_off()
        for line, (text, colour) in enumerate(_write_lines(row, labels)):
            place = 1 - (line + 0.5) / most
            right.text(0, place, shorten(text, 6.8, 11), color=colour, va="center", fontsize=11)
    return figure


def _write_lines(row, labels: list[str]):
    yield f"{row['file']}: {row['truth'] or 'truth unknown'}", INK
    for label in labels:
        mark, colour = ("✓ ", RIGHT) if row[label] == row["truth"] else ("✗ ", WRONG)
        mark, colour = (mark, colour) if row["truth"] else ("", INK)
        yield f"{mark}{label}: {row[label]}, {row[f'{label} probability']:.2f}", colour
    yield row["verdict"], INK
