import numpy as np
import pytest

from lib.data import generators, pixels
from lib.data.split import read_split

SIDE = 64
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


def test_batches_are_full_but_the_last():
    batches = make_numbered(seed=5)
    sizes = [len(batches[index][0]) for index in range(len(batches))]
    assert sizes == [4, 4, 3]


def test_each_epoch_covers_every_picture_once_in_a_new_order():
    batches = make_numbered(seed=5)
    orders = []
    for _ in range(2):
        images, labels = read_epoch(batches)
        numbers = list_numbers(images)
        assert images.dtype == np.uint8
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


def test_without_a_seed_the_order_stays():
    images, _ = read_epoch(make_numbered())
    assert list_numbers(images) == list(range(11))


def test_fit_is_fed_the_batches_of_the_epoch_that_is_set_without_autotuning():
    batches = make_numbered(seed=5)
    fed = generators.stream(batches)
    assert len(fed) == len(batches)
    assert not fed.options().autotune.enabled
    for epoch in (0, 0, 3):
        batches.epoch = epoch
        expected = [batches[index] for index in range(len(batches))]
        for (images, labels), given in zip(expected, fed, strict=True):
            assert given[0].dtype == np.uint8
            assert np.array_equal(given[0], images)
            assert np.array_equal(given[1], labels)


def read_part(ws, part):
    table = read_split(ws)
    rows = table[table.part == part]
    return rows, pixels.open_pixels(ws, rows, 8)[:]


def list_contents(images):
    return {picture.tobytes() for picture in images}


def test_validation_is_neither_shuffled_nor_augmented(prepared):
    rows, stored = read_part(prepared, "validation")
    _, validation = generators.pair(prepared, 8, 5, seed=1, augment=True)
    images, labels = read_epoch(validation)
    names = np.array(["007", "NA", "red"])[labels.argmax(axis=1)]
    assert np.array_equal(images, stored)
    assert list(names) == list(rows.label)


@pytest.mark.parametrize("augment", [False, True])
def test_the_training_part_is_shuffled_and_where_asked_for_augmented(prepared, augment):
    _, stored = read_part(prepared, "train")
    train, _ = generators.pair(prepared, 8, 5, seed=1, augment=augment)
    images, _ = read_epoch(train)
    assert not np.array_equal(images, stored)
    is_unchanged = list_contents(images) == list_contents(stored)
    assert is_unchanged == (not augment)


def test_augmentation_repeats_itself_within_an_epoch_alone(prepared):
    train, _ = generators.pair(prepared, 8, 5, seed=1, augment=True)
    first, _ = train[0]
    assert first.dtype == np.uint8
    assert np.array_equal(first, train[0][0])
    train.epoch += 1
    assert not np.array_equal(first, train[0][0])


def draw_marks():
    """Draw a mark to the right of the centre in red, and one below it in green."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    marked = np.zeros((SIDE, SIDE, 3))
    marked[..., 0] = 250 * np.exp(-((x - REACH) ** 2 + y**2) / 18)
    marked[..., 1] = 250 * np.exp(-(x**2 + (y - REACH) ** 2) / 18)
    return np.rint(marked).astype(np.uint8)


def find_marks(images):
    """Return where the marks lie, (n, 2, 2): x and y, then the two marks."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    weights = images[..., :2].astype(float)
    mass = weights.sum(axis=(1, 2))
    across = (weights * x[..., None]).sum(axis=(1, 2)) / mass
    down = (weights * y[..., None]).sum(axis=(1, 2)) / mass
    return np.stack([across, down], axis=1)


@pytest.fixture(scope="module")
def recovered():
    """Parameters of 600 augmentations, read off where two marks went: angle, zooms, flip."""
    images = np.broadcast_to(draw_marks(), (600, SIDE, SIDE, 3))
    moved = generators.augment(images, np.random.default_rng(7))
    # The map leads from the new places to the old ones.
    maps = REACH * np.linalg.inv(find_marks(moved))
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
    assert -20.5 < angle.min() < -19
    assert 19 < angle.max() < 20.5
    assert 0.2 < (abs(angle) < 5).mean() < 0.3


@pytest.mark.parametrize("name", ["zoom_x", "zoom_y"])
def test_height_and_width_are_zoomed_by_up_to_a_fifth(recovered, name):
    zoom = recovered[name]
    assert 0.79 < zoom.min() < 0.82
    assert 1.18 < zoom.max() < 1.21
    assert 0.2 < (abs(zoom - 1) < 0.05).mean() < 0.3


@pytest.mark.parametrize("other", ["zoom_y", "angle"])
def test_zoom_of_the_width_has_nothing_to_do_with(recovered, other):
    assert abs(np.corrcoef(recovered["zoom_x"], recovered[other])[0, 1]) < 0.15


def test_half_of_the_pictures_are_mirrored(recovered):
    mirrored = recovered["mirrored"]
    upright = recovered["angle"][~mirrored]
    assert 0.42 < mirrored.mean() < 0.58
    assert upright.min() < -15
    assert upright.max() > 15


TRANSFORMS = {
    "none": (0, 1, 1, (3, 1), (3, 1)),
    "mirrored left to right": (0, -1, 1, (0, 2), (8, 2)),
    "zoomed": (0, 0.5, 2, (8, 4), (6, 5)),
    "turned": (np.pi / 2, 1, 1, (8, 3), (4, 7)),
    "zoomed, then turned": (np.pi / 2, 2, 1, (6, 3), (4, 7)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_leads_to_the_place_computed_by_hand(name):
    angle, zoom_x, zoom_y, new, old = TRANSFORMS[name]
    # 9 pixels wide, 7 high: the centre is (4, 3).
    (transform,) = generators.compose_transforms(
        np.array([angle]), np.array([zoom_x]), np.array([zoom_y]), height=7, width=9
    )
    assert transform @ np.append(new, 1) == pytest.approx(old, abs=1e-5)


def test_order_and_augmentation_of_an_epoch_share_no_stream(monkeypatch):
    drawn = []
    default_rng = np.random.default_rng

    def note(seed):
        drawn.append(default_rng(seed).random())
        return default_rng(seed)

    monkeypatch.setattr(np.random, "default_rng", note)
    pictures = np.zeros((8, 4, 4, 3), np.uint8)
    batches = generators.Batches(pictures, np.zeros(8, int), 2, 4, seed=0, augment=True)
    for _ in range(3):
        read_epoch(batches)
    # An order and two batches for each of three epochs.
    assert len(drawn) == 9
    assert len(set(drawn)) == 9


def test_edges_are_filled_with_the_nearest_pixel():
    constant = np.full((40, 16, 16, 3), 200, np.uint8)
    assert (generators.augment(constant, np.random.default_rng(0)) == 200).all()


def test_the_same_rng_augments_alike():
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    first = generators.augment(images, np.random.default_rng(3))
    again = generators.augment(images, np.random.default_rng(3))
    other = generators.augment(images, np.random.default_rng(4))
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
