import tracemalloc

import numpy as np
import pandas as pd
import pytest

from lib.data import generators, pixels
from lib.data.split import read_split


def make_numbered(**options):
    """Batches of 11 one-pixel pictures whose value is their number, and whose class its third."""
    numbers = np.arange(11, dtype=np.uint8)
    pictures = np.broadcast_to(numbers[:, None, None, None], (11, 1, 1, 3))
    return generators.Batches(pictures, numbers % 3, 3, batch_size=4, **options)


def read_epoch(batches):
    """Return all pictures and one-hot labels of an epoch, and go to the next."""
    images, labels = zip(*batches)
    batches.epoch += 1
    return np.concatenate(images), np.concatenate(labels)


def list_numbers(images):
    return images[:, 0, 0, 0].tolist()


def test_each_epoch_covers_every_picture_once_in_an_order_of_its_own():
    batches = make_numbered(seed=5)
    orders = []
    for _ in range(2):
        images, labels = read_epoch(batches)
        numbers = list_numbers(images)
        assert sorted(numbers) == list(range(11))
        assert (labels.argmax(axis=1) == np.array(numbers) % 3).all()
        orders.append(numbers)

    assert orders[0] != orders[1]


def test_order_depends_on_seed_and_epoch_alone():
    first = make_numbered(seed=5)
    read_epoch(first)

    expected = list_numbers(first[2][0])

    later = make_numbered(seed=5, epoch=1)
    other = make_numbered(seed=6, epoch=1)
    assert list_numbers(later[2][0]) == expected
    assert list_numbers(other[2][0]) != expected


def test_labels_of_a_batch_need_memory_for_this_batch_alone():
    y_true = np.arange(2000)
    inputs = np.zeros((2000, 1), np.uint8)
    batches = generators.Batches(inputs, y_true, 2000, batch_size=8)
    tracemalloc.start()

    _, labels = batches[3]

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert labels.shape == (8, 2000)
    assert peak < 3 * labels.nbytes


def test_fit_is_fed_the_batches_of_the_epoch_that_is_set():
    batches = make_numbered(seed=5)
    fed = generators.stream(batches)
    assert len(fed) == 3
    for epoch in (0, 0, 3):
        batches.epoch = epoch
        for (images, labels), given in zip(batches, fed, strict=True):
            assert np.array_equal(given[0], images)
            assert np.array_equal(given[1], labels)


def pair(ws, augment):
    """Return the batches of both parts."""
    return generators.pair(ws, 8, 5, seed=1, augment=augment)


def test_validation_is_neither_shuffled_nor_augmented(prepared):
    rows = read_split(prepared).query("part == 'validation'")
    _, validation = pair(prepared, augment=True)

    images, labels = read_epoch(validation)

    names = np.array(["007", "NA", "red"])[labels.argmax(axis=1)]
    assert np.array_equal(images, pixels.open_pixels(prepared, rows, 8)[:])
    assert list(names) == list(rows.label)


@pytest.mark.parametrize("augment", [False, True])
def test_training_is_augmented_where_asked_for(prepared, augment):
    train, _ = pair(prepared, augment)

    images, _ = read_epoch(train)

    is_unchanged = set(map(bytes, images)) == set(map(bytes, train.inputs[:]))
    assert is_unchanged == (not augment)


def test_batches_and_epochs_are_augmented_differently_and_each_batch_always_alike():
    ramp = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    equal = np.stack([ramp, ramp])
    y_true = np.arange(2)
    batches = generators.Batches(equal, y_true, 2, batch_size=1, seed=0, augment=True)

    seen = []
    for epoch, index in [(0, 0), (0, 0), (0, 1), (1, 0)]:
        batches.epoch = epoch
        seen.append(bytes(batches[index][0]))

    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.fixture(scope="module")
def recovered():
    """Parameters of 600 augmentations, read off a picture whose red is x, and green is y."""
    ramp = 3 * np.arange(65)
    red, green = np.meshgrid(ramp, ramp)
    picture = np.dstack([red, green, green]).astype(np.uint8)
    images = np.broadcast_to(picture, (600, 65, 65, 3))
    moved = generators.augment(images, np.random.default_rng(7)).astype(float)
    # How far 32 pixels to the right, or down, were apart in the old picture.
    right = (moved[:, 32, 48] - moved[:, 32, 16]) / 96
    down = (moved[:, 48, 32] - moved[:, 16, 32]) / 96
    angle = np.degrees(np.arctan2(-down[:, 0], down[:, 1]))
    columns = {
        "angle": angle,
        "is_mirrored": right[:, 0] < 0,
        "zoom_x": np.linalg.norm(right[:, :2], axis=1),
        "zoom_y": np.linalg.norm(down[:, :2], axis=1),
    }
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("angle", -20, 20), ("zoom_x", 0.8, 1.2), ("zoom_y", 0.8, 1.2)],
)
def test_angle_and_both_zooms_are_uniform_in_their_range(recovered, name, low, high):
    share = (recovered[name] - low) / (high - low)
    assert -0.05 < share.min() < 0.05
    assert 0.95 < share.max() < 1.05
    assert 0.2 < share.between(0.375, 0.625).mean() < 0.3


@pytest.mark.parametrize("other", ["zoom_y", "angle"])
def test_zoom_of_the_width_has_nothing_to_do_with(recovered, other):
    assert abs(recovered.zoom_x.corr(recovered[other])) < 0.15


def test_half_of_the_pictures_are_mirrored(recovered):
    assert 0.42 < recovered.is_mirrored.mean() < 0.58


def test_edges_are_filled_with_the_nearest_pixel():
    constant = np.full((40, 16, 16, 3), 200, np.uint8)
    assert (generators.augment(constant, np.random.default_rng(0)) == 200).all()
