from functools import cache, partial

import cv2
import numpy as np
import pandas as pd
import pytest
from drawing import CLASS_NAMES, draw_picture

from lib.data import copies
from lib.data.findings import leave_out
from lib.data.hashes import find_candidates, pair_hashes


@cache
def draw_pictures(count=120):
    """Draw demo pictures of all classes in turn."""
    drawn = []
    for number in range(count):
        name = CLASS_NAMES[number % len(CLASS_NAMES)]
        picture = draw_picture(name, np.random.default_rng([99, number]))
        drawn.append(np.asarray(picture))
    return drawn


def shrink(pictures, side=16):
    small = []
    for picture in pictures:
        small.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(small)


def find_near_duplicates(pictures, side=96):
    thumbnails = shrink(pictures)
    return copies.find_near_duplicates(thumbnails, shrink(pictures, side))


def compress(picture):
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def scale(picture):
    return cv2.resize(picture, None, fx=0.4, fy=0.4)


def change_tone(picture, contrast, brightness):
    levels = (picture - 128.0) * contrast + 128 + brightness
    return np.clip(levels, 0, 255).astype(np.uint8)


def brighten(picture):
    return change_tone(picture, 1, 25)


def raise_contrast(picture):
    return change_tone(picture, 1.3, 0)


def crop(picture, share):
    high, wide = np.rint(share * np.array(picture.shape[:2]) / 2).astype(int)
    return picture[high:-high, wide:-wide]


def crop_little(picture):
    return crop(picture, 0.02)


def crop_more(picture):
    return crop(picture, 0.04)


def mirror(picture):
    return picture[:, ::-1]


def mirror_and_compress(picture):
    return compress(mirror(picture))


def recolour(picture, degrees):
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hues = hsv[..., 0].astype(int) + degrees // 2
    hsv[..., 0] = hues % 180  # OpenCV counts hues to 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


# How a picture comes back from the web, and the share of such copies that must be found.
ALTERATIONS = {
    "recompressed": (compress, 1),
    "scaled": (scale, 1),
    "brightened": (brighten, 0.97),
    "contrast": (raise_contrast, 0.97),
    "cropped by 2 %": (crop_little, 0.99),
    "cropped by 4 %": (crop_more, 0.93),
    "mirrored": (mirror, 1),
    "mirrored and recompressed": (mirror_and_compress, 1),
}


def pair_with_copies(pictures, alter):
    """Return the pairs found among pictures and altered copies; whether each is one of these two."""
    altered = [alter(picture) for picture in pictures]
    near = find_near_duplicates(pictures + altered)
    return near, near.b - near.a == len(pictures)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_are_found_and_nothing_else(name):
    alter, recall = ALTERATIONS[name]

    near, is_right = pair_with_copies(draw_pictures(), alter)

    assert is_right.mean() >= 0.95
    assert is_right.sum() / 120 >= recall
    assert (near.mirrored[is_right] == ("mirrored" in name)).all()


@pytest.mark.parametrize("degrees", [60, 120, 180])
def test_recoloured_pictures_are_not_alike(degrees):
    near, _ = pair_with_copies(draw_pictures(), partial(recolour, degrees=degrees))
    assert len(near) <= 0.02 * 120


def draw_symbol(rng):
    """Draw three shapes on a pale ground, the same left and right."""
    symbol = np.full((240, 240, 3), rng.integers(200, 256), np.uint8)
    for height in rng.integers(60, 180, 3).tolist():
        axes = rng.integers(15, 100, 2).tolist()
        ink = rng.integers(0, 230, 3).tolist()
        cv2.ellipse(symbol, (120, height), axes, 0, 0, 360, ink, -1, cv2.LINE_AA)
    return symbol


def test_symmetrical_pictures_are_found_once_and_not_with_themselves():
    rng = np.random.default_rng(5)
    symbols = [draw_symbol(rng) for _ in range(60)]

    near, is_right = pair_with_copies(symbols, compress)

    assert is_right.sum() == 60
    assert is_right.mean() >= 0.95
    assert not near.duplicated(["a", "b"]).any()
    assert (near.a < near.b).all()


@pytest.mark.parametrize("count", [30, 1, 0])
def test_pictures_of_one_colour_are_alike_to_none(count):
    plain = np.full((count, 16, 16, 3), 90, np.uint8)
    plain[..., 0] += np.arange(count, dtype=np.uint8)[:, None, None]

    near = copies.find_near_duplicates(plain, plain)

    assert list(near) == ["a", "b", "distance", "mirrored"]
    assert near.empty


def pack(bits):
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def cluster_hashes(rng, n):
    """Draw hashes of which many differ in a few bits, and their mirror images."""
    flips = rng.random((n, 64)) < rng.uniform(0, 0.1, (n, 1))
    centres = rng.integers(0, 2, (12, 64))
    bits = centres[rng.integers(0, 12, n)] ^ flips
    turned = bits ^ (np.arange(64) % 2)
    return np.stack([pack(bits), pack(turned)])


def compare_all(hashes, max_bits):
    found = []
    n = hashes.shape[1]
    for a in range(n):
        differences = np.bitwise_count(hashes[0, a] ^ hashes)
        turned, others = np.nonzero(differences <= max_bits)
        for is_mirrored, b in zip(turned.tolist(), others.tolist()):
            if a < b:
                found.append([a, b, is_mirrored])
    return found


@pytest.mark.parametrize("max_bits", [0, 3, 8])
@pytest.mark.parametrize("n", [60, 500])
def test_pairs_of_hashes_are_those_of_brute_force(n, max_bits):
    hashes = cluster_hashes(np.random.default_rng(n), n)
    hashes[1, 0] = hashes[0, 1]

    pairs = np.transpose(pair_hashes(hashes, max_bits)).tolist()

    expected = compare_all(hashes, max_bits)
    assert expected
    assert sorted(pairs) == sorted(expected)


def make_noisy_copies():
    """Return thumbnails of 40 pictures and of three copies each, the noisiest first."""
    base = shrink(draw_pictures()[:40])
    every = [base]
    for size in (6, 3, 0):
        noise = np.random.default_rng(size).normal(0, 1, base.shape)
        every.append((base + size * noise).clip(0, 255).astype(np.uint8))
    thumbnails = np.concatenate(every)
    thumbnails[60:80] = thumbnails[60:80, :, ::-1]
    return thumbnails


@pytest.fixture(scope="module")
def noisy():
    """Thumbnails of noisy copies, and the pairs that are found among them."""
    thumbnails = make_noisy_copies()
    return thumbnails, copies.find_near_duplicates(thumbnails, thumbnails)


def test_the_most_alike_come_first(noisy):
    _, near = noisy
    order = near.sort_values(["distance", "a", "b"], ignore_index=True)
    pd.testing.assert_frame_equal(near, order)
    assert (near.distance[:30] == 0).all()
    assert near.distance.max() > 0


def test_distance_is_one_minus_the_correlation_of_colours(noisy):
    thumbnails, near = noisy
    coarse = thumbnails.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    assert near.mirrored.any()
    for pair in near.itertuples():
        other = coarse[pair.b]
        if pair.mirrored:
            other = other[:, ::-1]
        correlation = np.corrcoef(coarse[pair.a].ravel(), other.ravel())[0, 1]
        assert pair.distance == pytest.approx(1 - correlation, abs=1e-4)


def test_all_pairs_of_many_alike_pictures_are_found():
    noise = np.random.default_rng(0).normal(0, 1, (120, 16, 16, 3))
    near = shrink(draw_pictures()[:1]) + noise

    pairs = find_candidates(near.clip(0, 255).astype(np.uint8))

    assert len(pairs) == 120 * 119 // 2
    assert not pairs.mirrored.any()
    assert not pairs.duplicated(["a", "b"]).any()


def draw_alike(count):
    """Draw pictures that all look alike, each with detail of its own: as X-rays are."""
    rng = np.random.default_rng(1)
    coarse = cv2.GaussianBlur(shrink(draw_pictures()[:1], 160)[0], (0, 0), 5)
    drawn = []
    for _ in range(count):
        noise = rng.normal(0, 14, (60, 60, 1))
        fine = cv2.resize(noise, (160, 160), interpolation=cv2.INTER_CUBIC)
        levels = coarse + fine[..., np.newaxis]
        drawn.append(levels.clip(0, 255).astype(np.uint8))
    return drawn


def test_pictures_that_look_alike_and_differ_in_detail_are_no_copies():
    pictures = draw_alike(14)
    assert len(find_candidates(shrink(pictures))) > 60
    assert find_near_duplicates(pictures).empty


@pytest.mark.parametrize("name", ALTERATIONS)
def test_copies_are_found_among_pictures_that_are_all_alike_and_no_others(name):
    alter, _ = ALTERATIONS[name]
    near, is_right = pair_with_copies(draw_alike(8), alter)
    assert is_right.all()
    assert len(near) >= 7


def test_pictures_without_detail_are_taken_at_their_word():
    smooth = []
    for picture in draw_pictures(20):
        blurred = cv2.GaussianBlur(scale(picture), (0, 0), 16)
        smooth.append(cv2.resize(blurred, None, fx=2.5, fy=2.5))

    _, is_right = pair_with_copies(smooth, compress)

    assert is_right.sum() == 20


@pytest.fixture
def table():
    """Four pictures of class a and one of b; the first two are equal, and the last two."""
    table = pd.DataFrame({"file": ["a/1", "a/2", "a/3", "a/4", "b/1"]})
    table["digest"] = list("xxyzz")
    table["label"] = list("aaaab")
    return table.assign(part="")


def list_problems(findings):
    return dict(zip(findings.file, findings.problem))


def test_copies_are_kept_together_and_contradictory_ones_are_named(table):
    found = copies.find_duplicates(table, "together")

    other_class = "duplicate_other_class"
    assert list_problems(found) == {
        "a/1": "duplicate",
        "a/2": "duplicate",
        "a/4": other_class,
        "b/1": other_class,
    }
    assert set(found.action) == {"kept, same part"}


def test_the_first_copy_stays_where_others_are_dropped(table):
    found = copies.find_duplicates(table, "drop")
    assert list(leave_out(table, found).file) == ["a/1", "a/3"]


def test_the_copy_of_the_validation_part_stays_where_others_are_dropped(table):
    table["part"] = ["train", "validation", "", "", ""]
    found = copies.find_duplicates(table, "drop")
    assert list(leave_out(table, found).file) == ["a/2", "a/3"]


def test_alike_pictures_are_named_and_those_of_several_classes_told_apart(table):
    pairs = pd.DataFrame({"a": [0, 2], "b": [1, 4]})

    found = copies.describe_pairs(table, pairs)

    other_class = "near_duplicate_other_class"
    assert list_problems(found) == {
        "a/1": "near_duplicate",
        "a/2": "near_duplicate",
        "a/3": other_class,
        "b/1": other_class,
    }


def test_without_pairs_nothing_is_found(table):
    none = pd.DataFrame({"a": [], "b": []}, dtype=int)
    assert copies.describe_pairs(table, none).empty


@pytest.fixture
def compared(monkeypatch):
    """A list that grows with every pair whose detail is compared."""
    compared = []
    lay_over = cv2.findTransformECC

    def note(*arguments):
        compared.append(1)
        return lay_over(*arguments)

    monkeypatch.setattr(cv2, "findTransformECC", note)
    return compared


def test_frames_of_one_film_are_connected_by_few_comparisons(compared):
    scene = cv2.resize(draw_pictures()[0], (160, 160))
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(60):
        noisy = scene + rng.normal(0, 2, scene.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))

    near = find_near_duplicates(frames)

    # A tree has an edge less than nodes.
    assert len(near) == 59
    assert set(near.a) | set(near.b) == set(range(60))
    assert len(compared) <= 4 * 60
    assert len(find_candidates(shrink(frames))) == 60 * 59 // 2


def test_comparisons_in_vain_are_bounded_and_said(compared, monkeypatch, capsys):
    monkeypatch.setattr(copies, "MAX_MISSES", 5)
    pictures = draw_alike(40)
    pictures.append(compress(pictures[7]))

    near = find_near_duplicates(pictures)

    assert near[["a", "b"]].to_numpy().tolist() == [[7, 40]]
    assert len(compared) <= 6 * 41
    assert "pairs that look alike were not compared" in capsys.readouterr().out
