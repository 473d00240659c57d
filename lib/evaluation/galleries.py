"""Pictures with captions, as HTML tables that fit any width."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from lib.evaluation.display import encode, open_template
from lib.evaluation.mistakes import Kind

THUMBNAIL = 144  # pixels of its longer side
# Of a heatmap in each direction: a coarser one can't tell a thing from its background.
MIN_PLACES = 6
# Lines below the pictures of each heading.
Captions = dict[str, Sequence[Sequence[str]]]


def picture_grid(
    rows: dict[str, Sequence[np.ndarray]],
    title: str,
    captions: Captions | None = None,
) -> str | None:
    """Return one row of pictures for each heading, the first 40; None without pictures.

    Args:
        rows: heading to any number of pictures, uint8 (height, width, 3).
        title: stands above the rows.
        captions: heading to the lines below each of its pictures; missing ones are empty.
            The name of a file stays on one line, and may lose its middle.
    """
    filled = [row for row in rows.items() if len(row[1])]
    if not filled:
        return None
    template = open_template("gallery.html.jinja")
    return template.render(title=title, rows=filled, captions=captions or {})


@dataclass(frozen=True)
class Unsqueezed:
    """Squares that models see, in the shape that their files have.

    Attributes:
        squares: uint8 (n, side, side, 3), a `Selection` of them.
        shapes: int (n, 2), width and height of the files.
    """

    squares: Sequence[np.ndarray]
    shapes: np.ndarray

    def __getitem__(self, chosen: Sequence[int]) -> list[np.ndarray]:
        """Return the pictures at some positions, their longer side as long as that of the squares."""
        pictures = []
        for square, shape in zip(self.squares[chosen], self.shapes[chosen]):
            sides = np.maximum(shape * len(square) // shape.max(), 1)
            pictures.append(np.asarray(Image.fromarray(square).resize(sides)))
        return pictures


def thumbnails(mistakes: list[Kind], pictures: Unsqueezed) -> str:
    """Return a style sheet of the pictures that `mistakes.find_mistakes` shows.

    The picture at position k of `pictures` is the background of the class pk.
    """
    rules = []
    for number in chain.from_iterable(kind.shown for kind in mistakes):
        picture = Image.fromarray(pictures[[number]][0])
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        rules.append(f".p{number}{{background-image:url({encode(picture)})}}")
    return f"<style>{''.join(rules)}</style>"


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
        if min(of_model.shape[1:]) >= MIN_PLACES:
            rows[label] = list(map(_overlay, pictures, of_model))
    if len(rows) == 1:
        return None
    return picture_grid(rows, "What spoke for each answer", captions)


def _overlay(picture, strength):
    height, width = picture.shape[:2]
    coarse = Image.fromarray(strength.astype(np.float32))
    values = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))
    colour = 255 * plt.get_cmap("plasma")(values)[..., :3]
    cover = 0.8 * values[..., np.newaxis]
    # Yellow on grey needs no eye for red and green.
    grey = 0.6 * picture.mean(axis=2, keepdims=True)
    return ((1 - cover) * grey + cover * colour).astype(np.uint8)
