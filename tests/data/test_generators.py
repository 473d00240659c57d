import cv2
import numpy as np
import pandas as pd
import pytest

from lib.data import generators, pixels
from lib.data.split import read_split

CENTRE = 32
REACH = 16


def make_numbered(**options):
    """Batches of 11 one-pixel pictures whose value is their number, and whose class its third."""
    numbers = np.arange(11, dtype=np.uint8)
    pictures = np.broadcast_to(numbers[:, None, None, None], (11, 1, 1, 3))
    return generators.Batches(pictures, numbers % 3, 3, batch_size=4, **options)


def read_epoch(batches):
    """Return all pictures and one-hot labels of an epoch, and go to the next."""
    images = []
    labels = []
    for index in range(len(batches)):
        some, of_some = batches[index]
        images.append(some)
        labels.append(of_some)
    batches.epoch += 1
    return np.concatenate(images), np.concatenate(labels)


def list_numbers(images):
    return images[:, 0, 0, 0].tolist()


def test_batches_are_a_sequence_that_ends():
    batches = make_numbered(seed=5)

    numbers = [list_numbers(images) for images, _ in batches]

    assert [len(some) for some in numbers] == [4, 4, 3]
    assert list_numbers(batches[-1][0]) == numbers[2]
    for index in (3, -4):
        with pytest.raises(IndexError):
            batches[index]


def test_each_epoch_covers_every_picture_once_in_a_new_order():
    batches = make_numbered(seed=5)
    orders = []
    for _ in range(2):
        images, labels = read_epoch(batches)
        numbers = list_numbers(images)
        assert sorted(numbers) == list(range(11))
        assert np.array_equal(labels, np.eye(3)[np.array(numbers) % 3])
        orders.append(numbers)

    assert orders[0] != orders[1]


def test_order_depends_on_seed_and_epoch_alone():
    first = make_numbered(seed=5)
    later = make_numbered(seed=5)
    other = make_numbered(seed=6)

    read_epoch(first)
    later.epoch = 1
    other.epoch = 1

    assert np.array_equal(first[2][0], later[2][0])
    assert not np.array_equal(first[1][0], other[1][0])


def test_fit_is_fed_the_batches_of_the_epoch_that_is_set():
    batches = make_numbered(seed=5)
    fed = generators.stream(batches)
    assert len(fed) == 3
    for epoch in (0, 0, 3):
        batches.epoch = epoch
        expected = [batches[index] for index in range(3)]
        for (images, labels), given in zip(expected, fed, strict=True):
            assert given[0].dtype == np.uint8
            assert np.array_equal(given[0], images)
            assert np.array_equal(given[1], labels)


def test_fit_is_fed_without_autotuning():
    assert not generators.stream(make_numbered()).options().autotune.enabled


def pair(ws, augment):
    """Return the batches of both parts."""
    return generators.pair(ws, 8, 5, seed=1, augment=augment)


def read_part(ws, part):
    table = read_split(ws)
    rows = table[table.part == part]
    return rows, pixels.open_pixels(ws, rows, 8)[:]


def test_validation_is_neither_shuffled_nor_augmented(prepared):
    rows, stored = read_part(prepared, "validation")
    _, validation = pair(prepared, augment=True)

    images, labels = read_epoch(validation)

    names = np.array(["007", "NA", "red"])[labels.argmax(axis=1)]
    assert np.array_equal(images, stored)
    assert list(names) == list(rows.label)


@pytest.mark.parametrize("augment", [False, True])
def test_training_is_shuffled_and_where_asked_for_augmented(prepared, augment):
    _, stored = read_part(prepared, "train")
    train, _ = pair(prepared, augment)

    images, _ = read_epoch(train)

    contents = {picture.tobytes() for picture in images}
    is_unchanged = contents == {picture.tobytes() for picture in stored}
    assert not np.array_equal(images, stored)
    assert is_unchanged == (not augment)


def test_batches_and_epochs_are_augmented_differently_and_each_batch_always_alike():
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    equal = np.stack([noise, noise])
    batches = generators.Batches(equal, [0, 1], 2, batch_size=1, seed=0, augment=True)

    first, _ = batches[0]
    again, _ = batches[0]
    second, _ = batches[1]
    batches.epoch = 1
    later, _ = batches[0]

    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, later)


def find_mark(channel):
    """Return the place of a mark, from the centre: x and y."""
    moments = cv2.moments(channel)
    place = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return place - CENTRE


@pytest.fixture(scope="module")
def recovered():
    """Parameters of 600 augmentations, read off where a mark to the right and one below went."""
    side = 2 * CENTRE + 1
    marked = np.zeros((side, side, 3), np.uint8)
    cv2.circle(marked, (CENTRE + REACH, CENTRE), 4, (250, 0, 0), -1)
    cv2.circle(marked, (CENTRE, CENTRE + REACH), 4, (0, 250, 0), -1)
    images = np.broadcast_to(marked, (600, side, side, 3))
    moved = generators.augment(images, np.random.default_rng(7))
    rows = []
    for image in moved:
        red, green, _ = cv2.split(image)
        new = np.stack([find_mark(red), find_mark(green)], axis=1)
        to_old = REACH * np.linalg.inv(new)
        angle = np.degrees(np.arctan2(-to_old[0, 1], to_old[1, 1]))
        zoom_x, zoom_y = np.linalg.norm(to_old, axis=0)
        is_mirrored = np.linalg.det(to_old) < 0
        rows.append((angle, zoom_x, zoom_y, is_mirrored))
    return pd.DataFrame(rows, columns=["angle", "zoom_x", "zoom_y", "is_mirrored"])


def test_rotation_is_uniform_in_20_degrees(recovered):
    angle = recovered.angle
    assert -20.5 < angle.min() < -19
    assert 19 < angle.max() < 20.5
    # A quarter of -20 to 20 lies in -5 to 5.
    assert 0.2 < angle.between(-5, 5).mean() < 0.3


@pytest.mark.parametrize("name", ["zoom_x", "zoom_y"])
def test_height_and_width_are_zoomed_by_up_to_a_fifth(recovered, name):
    zoom = recovered[name]
    assert 0.79 < zoom.min() < 0.82
    assert 1.18 < zoom.max() < 1.21
    # A quarter of 0.8 to 1.2 lies in 0.95 to 1.05.
    assert 0.2 < zoom.between(0.95, 1.05).mean() < 0.3


@pytest.mark.parametrize("other", ["zoom_y", "angle"])
def test_zoom_of_the_width_has_nothing_to_do_with(recovered, other):
    assert abs(recovered.zoom_x.corr(recovered[other])) < 0.15


def test_half_of_the_pictures_are_mirrored_whatever_their_angle(recovered):
    upright = recovered[~recovered.is_mirrored]
    assert 0.42 < len(upright) / 600 < 0.58
    assert upright.angle.min() < -15
    assert upright.angle.max() > 15


def test_edges_are_filled_with_the_nearest_pixel():
    constant = np.full((40, 16, 16, 3), 200, np.uint8)
    assert (generators.augment(constant, np.random.default_rng(0)) == 200).all()
