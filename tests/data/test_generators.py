import numpy as np
import pytest

from lib.data import generators, pixels
from lib.data.split import read_split

SIDE, REACH = 64, 16


def make_numbered(count=11, **options):
    """Batches of one-pixel pictures whose value is their number, and whose class its third."""
    numbers = np.arange(count, dtype=np.uint8)
    pictures = np.broadcast_to(numbers[:, None, None, None], (count, 1, 1, 3))
    return generators.Batches(pictures, numbers % 3, 3, batch_size=4, **options)


def read_epoch(batches):
    drawn = [batches[index] for index in range(len(batches))]
    batches.epoch += 1
    return drawn


def test_each_epoch_covers_every_picture_once_in_a_new_order():
    batches, epochs = make_numbered(seed=5), []
    for _ in range(2):
        drawn = read_epoch(batches)
        assert [len(images) for images, _ in drawn] == [4, 4, 3]
        images, labels = (np.concatenate(parts) for parts in zip(*drawn))
        assert images.dtype == np.uint8 and sorted(images[:, 0, 0, 0]) == list(
            range(11)
        )
        assert np.array_equal(labels, np.eye(3)[images[:, 0, 0, 0] % 3])
        epochs.append(list(images[:, 0, 0, 0]))
    assert epochs[0] != epochs[1]


def test_order_depends_on_seed_and_epoch_alone():
    first, later, other = (
        make_numbered(seed=5),
        make_numbered(seed=5),
        make_numbered(seed=6),
    )
    read_epoch(first)
    later.epoch = other.epoch = 1
    assert np.array_equal(first[2][0], later[2][0])
    assert not np.array_equal(first[1][0], other[1][0])
    fixed = np.concatenate([images for images, _ in read_epoch(make_numbered())])
    assert list(fixed[:, 0, 0, 0]) == list(range(11))


def test_fit_is_fed_the_batches_of_the_epoch_that_is_set_without_autotuning():
    batches = make_numbered(seed=5)
    fed = generators.stream(batches)
    for batches.epoch in (0, 0, 3):
        drawn = [batches[index] for index in range(len(batches))]
        for (images, labels), (fed_images, fed_labels) in zip(drawn, fed, strict=True):
            assert fed_images.dtype == np.uint8
            assert np.array_equal(images, fed_images) and np.array_equal(
                labels, fed_labels
            )
    assert len(fed) == len(batches) and not fed.options().autotune.enabled


def test_only_the_training_part_is_shuffled_and_augmented(prepared):
    table = read_split(prepared)
    for augment in (False, True):
        train, validation = generators.pair(prepared, 8, 5, seed=1, augment=augment)
        for batches, part in ((train, "train"), (validation, "validation")):
            rows = table[table.part == part]
            stored = pixels.open_pixels(prepared, rows, 8)[np.arange(len(rows))]
            images, labels = (
                np.concatenate(parts) for parts in zip(*read_epoch(batches))
            )
            unchanged = part == "validation" or not augment
            if part == "validation":
                assert np.array_equal(images, stored)
                names = np.array(["007", "NA", "red"])[labels.argmax(axis=1)]
                assert list(names) == list(rows.label)
            order = {picture.tobytes() for picture in images}
            assert (order == {picture.tobytes() for picture in stored}) == unchanged
    again, _ = generators.pair(prepared, 8, 5, seed=1, augment=True)
    first = again[0][0]
    assert first.dtype == np.uint8 and np.array_equal(first, again[0][0])
    again.epoch += 1
    assert not np.array_equal(first, again[0][0])


@pytest.fixture(scope="module")
def recovered():
    """Parameters of 600 augmentations, read off where two marks went: angle, zooms, flip."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    marked = np.zeros((SIDE, SIDE, 3))
    marked[..., 0] = 250 * np.exp(-((x - REACH) ** 2 + y**2) / 18)
    marked[..., 1] = 250 * np.exp(-(x**2 + (y - REACH) ** 2) / 18)
    images = np.broadcast_to(np.rint(marked).astype(np.uint8), (600, SIDE, SIDE, 3))
    moved = generators.augment(images, np.random.default_rng(7)).astype(float)[..., :2]
    mass = moved.sum(axis=(1, 2))
    places = [(moved * axis[..., None]).sum(axis=(1, 2)) / mass for axis in (x, y)]
    # Rows: x and y; columns: the two marks. The map leads from the new places to the old ones.
    maps = REACH * np.linalg.inv(np.stack(places, axis=1))
    angle = np.arctan2(-maps[:, 0, 1], maps[:, 1, 1])
    along = maps[:, 0, 0] * np.cos(angle) + maps[:, 1, 0] * np.sin(angle)
    return {
        "angle": np.degrees(angle),
        "zoom_x": abs(along),
        "zoom_y": np.linalg.norm(maps[:, :, 1], axis=1),
        "mirrored": along < 0,
    }


def test_rotation_is_uniform_in_20_degrees(recovered):
    angle = recovered["angle"]
    assert abs(angle).max() < 20.5 and angle.max() > 19 and angle.min() < -19
    assert 0.2 < (abs(angle) < 5).mean() < 0.3


def test_height_and_width_are_zoomed_apart_by_up_to_a_fifth(recovered):
    for name in ("zoom_x", "zoom_y"):
        zoom = recovered[name]
        assert 0.79 < zoom.min() < 0.82 and 1.18 < zoom.max() < 1.21
        assert 0.2 < (abs(zoom - 1) < 0.05).mean() < 0.3
    assert abs(np.corrcoef(recovered["zoom_x"], recovered["zoom_y"])[0, 1]) < 0.15
    assert abs(np.corrcoef(recovered["zoom_x"], recovered["angle"])[0, 1]) < 0.15


def test_half_of_the_pictures_are_mirrored(recovered):
    assert 0.42 < recovered["mirrored"].mean() < 0.58
    upright = recovered["angle"][~recovered["mirrored"]]
    assert upright.min() < -15 and upright.max() > 15


@pytest.mark.parametrize(
    ("angle", "zoom_x", "zoom_y", "new", "old"),
    [
        (0, 1, 1, (3, 1), (3, 1)),
        (0, -1, 1, (0, 2), (8, 2)),  # mirrored left to right
        (0, 0.5, 2, (8, 4), (6, 5)),
        (np.pi / 2, 1, 1, (8, 3), (4, 7)),
        (np.pi / 2, 2, 1, (6, 3), (4, 7)),  # zoom comes first, then the turn
    ],
)
def test_transform_leads_to_the_place_computed_by_hand(angle, zoom_x, zoom_y, new, old):
    # 9 pixels wide, 7 high: the centre is (4, 3).
    transform = generators.compose_transforms(
        np.array([angle]), np.array([zoom_x]), np.array([zoom_y]), 7, 9
    )
    (a0, a1, a2), (b0, b1, b2) = transform[0]
    x, y = new
    assert (a0 * x + a1 * y + a2, b0 * x + b1 * y + b2) == pytest.approx(old, abs=1e-5)


def test_order_and_augmentation_of_an_epoch_share_no_stream(monkeypatch):
    drawn, real = [], np.random.default_rng
    monkeypatch.setattr(
        np.random,
        "default_rng",
        lambda seed: drawn.append(real(seed).random(4)) or real(seed),
    )
    pictures = np.zeros((8, 4, 4, 3), np.uint8)
    batches = generators.Batches(pictures, np.zeros(8, int), 2, 4, seed=0, augment=True)
    for batches.epoch in (0, 1, 2):
        for index in range(len(batches)):
            batches[index]
    # An order and two batches for each of three epochs, no two alike.
    assert len({tuple(stream) for stream in drawn}) == len(drawn) == 9


def test_edges_are_filled_with_the_nearest_pixel_and_the_same_rng_repeats_itself():
    constant = np.full((40, 16, 16, 3), 200, np.uint8)
    assert (generators.augment(constant, np.random.default_rng(0)) == 200).all()
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    first, again, other = (
        generators.augment(images, np.random.default_rng(s)) for s in (3, 3, 4)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.uint8
