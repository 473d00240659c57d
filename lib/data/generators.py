"""Batches for a model, in an order that a seed decides; augmentation."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from lib.base.machine import count_cores
from lib.base.workspace import Workspace
from lib.data import pixels
from lib.data.split import identify_set, read_split
from lib.data.store import Selection

ROTATION_DEGREES = 20
ZOOM = 0.2
# Random streams of one seed that never meet: (stream, epoch), (stream, epoch, batch).
ORDER = 0
AUGMENTATION = 1
# A thread a core turns whole pictures; OpenCV dividing each of them too would only cost time.
pool = ThreadPoolExecutor(count_cores())
cv2.setNumThreads(0)


@dataclass(frozen=True)
class Part:
    """A part of the split, which a model that is trained on it is saved with."""

    pictures: Selection  # uint8 (n, height, width, 3)
    class_names: list[str]  # in the order of their numbers
    set_hash: str  # `split.identify_set` of the split


@dataclass
class Batches:
    """Batches of inputs and one-hot labels; `stream` makes of them what `fit` takes.

    A batch depends on the seed, its number and `epoch` alone, which the training sets: an
    interrupted training goes on with the batches that it would have seen.

    Attributes:
        inputs: what takes an index array: a `Selection` of pixels, or features of pictures, (n, ...).
        y_true: int (n,), positions of the classes.
        seed: shuffles anew each epoch; None keeps the order.
        augment: change each picture at random; needs a seed.
        part: of the split, whose pictures the inputs are or were made of; not fed.
        epoch: of which the batches are, from 0.
    """

    inputs: Selection | np.ndarray
    y_true: np.ndarray
    num_classes: int
    batch_size: int
    seed: int | None = None
    augment: bool = False
    part: Part | None = None
    epoch: int = 0

    def __len__(self) -> int:
        return math.ceil(len(self.y_true) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index = range(len(self))[index]  # from behind, too, and an error past the end
        order = _draw_order(len(self.y_true), self.seed, self.epoch)
        start = index * self.batch_size
        chosen = order[start : start + self.batch_size]
        batch = self.inputs[chosen]
        if self.augment:
            rng = _open_stream(self.seed, AUGMENTATION, self.epoch, index)
            batch = augment(batch, rng)
        is_class = np.equal.outer(self.y_true[chosen], np.arange(self.num_classes))
        return batch, is_class.astype(float)

    def describe(self) -> list:
        """List all that decides the batches, except the seed: contents, labels, changes."""
        content = self.inputs
        if isinstance(content, Selection):
            content = [content.store.folder.name, content.digests]
        return [
            content,
            self.y_true,
            self.num_classes,
            self.batch_size,
            self.seed is not None,
            self.augment,
            ROTATION_DEGREES,
            ZOOM,
        ]


@lru_cache(maxsize=8)  # of an epoch, for all of its batches
def _draw_order(count, seed, epoch):
    """Return the positions of all pictures in the order of an epoch."""
    if seed is None:
        return np.arange(count)
    return _open_stream(seed, ORDER, epoch).permutation(count)


def _open_stream(seed, *numbers):
    """Return a generator of random numbers that no other numbers of the stream give."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=numbers))


def stream(batches: Batches):
    """Make of batches what `fit` takes; the next ones are prepared while a model trains."""
    # It takes seconds to import, and 01 does without it.
    import tensorflow as tf

    signature = tuple(
        tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0]
    )
    dataset = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=signature
    )
    options = tf.data.Options()
    # The thread that tunes may hold up the end of an epoch as long as it took (TensorFlow 2.21).
    options.autotune.enabled = False
    counted = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return counted.prefetch(2).with_options(options)


def pair(
    ws: Workspace, image_size: int, batch_size: int, seed: int, augment: bool = False
) -> tuple[Batches, Batches]:
    """Make the `Batches` of both parts of the split: uint8 pictures and one-hot labels.

    Training is shuffled and, where asked for, augmented; validation is in the order of split.csv.
    """
    table = read_split(ws)
    class_names = sorted(set(table.label))
    set_hash = identify_set(table)
    made = {}
    for name, rows in table.groupby("part"):
        y_true = np.searchsorted(class_names, rows.label)
        images = pixels.open_pixels(ws, rows, image_size)
        part = Part(images, class_names, set_hash)
        made[name] = Batches(images, y_true, len(class_names), batch_size, part=part)
    return replace(made["train"], seed=seed, augment=augment), made["validation"]


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror, turn and zoom each picture at random, in one affine transform with nearest edges.

    As Keras' ImageDataGenerator with `horizontal_flip=True, rotation_range=20, zoom_range=0.2`, which
    zooms height and width apart. Takes and returns uint8 (n, height, width, 3).
    """
    count = len(images)
    angle = np.deg2rad(rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES, count))
    zooms = rng.uniform(1 - ZOOM, 1 + ZOOM, (2, count))  # of height and width
    zooms[1] *= rng.choice([-1, 1], count)
    return np.stack(list(pool.map(_move, images, angle, zooms[::-1].T)))


def _move(image, angle, zooms):
    """Zoom the width and height of a picture (a negative zoom mirrors), then turn it, both about the centre."""
    size = image.shape[1::-1]  # width and height
    centre = np.subtract(size, 1) / 2
    cos = np.cos(angle)
    sin = np.sin(angle)
    # It leads from each place in the new picture to the place in the old one.
    turn = np.array([[cos, -sin], [sin, cos]]) * zooms
    return cv2.warpAffine(
        image,
        np.column_stack([turn, centre - turn @ centre]),
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
