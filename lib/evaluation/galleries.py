"""Pictures with captions, as HTML tables that fit any width."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from lib.evaluation.display import open_template

# Of a heatmap in each direction: a coarser one can't tell a thing from its background.
MIN_PLACES = 6
# Lines below the pictures of each heading.
Captions = dict[str, Sequence[Sequence[str]]]


def picture_grid(
    rows: dict[str, Sequence[np.ndarray | Path]],
    title: str,
    captions: Captions | None = None,
    page_folder: Path | None = None,
) -> str | None:
    """Return one row of pictures for each heading, the first 40; None without pictures.

    Args:
        rows: heading to any number of pictures, uint8 (height, width, 3), or their files.
        title: stands above the rows.
        captions: heading to the lines below each of its pictures; missing ones are empty.
            The name of a file stays on one line, and may lose its middle.
        page_folder: where the page lies that shows them; where pictures are files, a click
            opens these there.
    """
    filled = [row for row in rows.items() if len(row[1])]
    if not filled:
        return None
    template = open_template("gallery.html.jinja")
    return template.render(
        title=title, rows=filled, captions=captions or {}, page_folder=page_folder
    )


def show_heatmaps(
    pictures: Sequence[np.ndarray], maps: dict[str, np.ndarray], captions: Captions
) -> str | None:
    """Show pictures in a row, and below it what spoke for each model's answers.

    Args:
        pictures: uint8 (k, height, width, 3).
        maps: label to float (k, rows, columns), as `gradcam.grad_cam` returns it. Those
            coarser than `MIN_PLACES` are not shown.
        captions: as in `picture_grid`; the heading of the pictures is "pictures".

    Returns None without any maps.
    """
    rows = {"pictures": pictures}
    for label, of_model in maps.items():
        _, height, width = of_model.shape
        if min(height, width) >= MIN_PLACES:
            rows[label] = list(map(_overlay, pictures, of_model))
    if len(rows) == 1:
        return None
    return picture_grid(rows, "What spoke for each answer", captions)


def _overlay(picture, strength):
    height, width, _ = picture.shape
    values = cv2.resize(strength.astype(np.float32), (width, height))
    paint = plt.get_cmap("plasma")
    colour = 255 * paint(values)[..., :3]
    cover = 0.8 * values[..., np.newaxis]
    # Yellow on grey needs no eye for red and green.
    grey = 0.6 * picture.mean(axis=2, keepdims=True)
    shown = (1 - cover) * grey + cover * colour
    return shown.astype(np.uint8)
