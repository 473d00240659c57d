from functools import cache

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.data import copies, demo
from lib.data.copies import find_candidates, pair_hashes
from lib.data.table import is_used


@cache
def draw_pictures(count=120):
    """Draw demo pictures of all classes in turn."""
    names = demo.CLASS_NAMES
    rngs = [np.random.default_rng([99, number]) for number in range(count)]
    return [
        np.asarray(demo.draw_picture(names[k % len(names)], rng))
        for k, rng in enumerate(rngs)
    ]


def shrink(pictures, side=16):
    size = (side, side)
    return np.stack(
        [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures]
    )


def find_near_duplicates(pictures, side=96):
    return copies.find_near_duplicates(shrink(pictures), shrink(pictures, side))


def compress(picture):
    return cv2.imdecode(
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1
    )


def change_tone(picture, contrast, brightness):
    return np.clip((picture - 128.0) * contrast + 128 + brightness, 0, 255).astype(
        np.uint8
    )


def crop(picture, share):
    high, wide = np.rint(share * np.array(picture.shape[:2]) / 2).astype(int)
    return picture[high:-high, wide:-wide]


def recolour(picture, degrees):
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (
        hsv[..., 0].astype(int) + degrees // 2
    ) % 180  # OpenCV counts hues to 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


# How a picture comes back from the web, and the share of such copies that must be found.
ALTERATIONS = {
    "recompressed": (compress, 1),
    "scaled": (lambda picture: cv2.resize(picture, None, fx=0.4, fy=0.4), 1),
    "brightened": (lambda picture: change_tone(picture, 1, 25), 0.97),
    "contrast": (lambda picture: change_tone(picture, 1.3, 0), 0.97),
    "cropped by 2 %": (lambda picture: crop(picture, 0.02), 0.99),
    "cropped by 4 %": (lambda picture: crop(picture, 0.04), 0.93),
    "mirrored": (lambda picture: picture[:, ::-1], 1),
    "mirrored and recompressed": (lambda picture: compress(picture[:, ::-1]), 1),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_are_found_and_nothing_else(name):
    alter, recall = ALTERATIONS[name]
    pictures = draw_pictures()
    alike = find_near_duplicates([*pictures, *map(alter, pictures)])
    right = alike[alike.b - alike.a == len(pictures)]
    assert len(right) / len(alike) >= 0.95
    assert len(right) / len(pictures) >= recall
    assert (right.mirrored == ("mirrored" in name)).all()


@pytest.mark.parametrize("degrees", [60, 120, 180])
def test_recoloured_pictures_are_not_alike(degrees):
    pictures = draw_pictures()
    recoloured = [recolour(picture, degrees) for picture in pictures]
    assert len(find_near_duplicates([*pictures, *recoloured])) <= 0.02 * len(pictures)


def draw_symbol(rng):
    """Draw three shapes on a pale ground, the same left and right."""
    symbol = np.full((240, 240, 3), rng.integers(200, 256), np.uint8)
    for centre in rng.integers(60, 180, 3).tolist():
        axes, ink = rng.integers(15, 100, 2).tolist(), rng.integers(0, 230, 3).tolist()
        cv2.ellipse(symbol, (120, centre), axes, 0, 0, 360, ink, -1, cv2.LINE_AA)
    return symbol


def test_symmetrical_pictures_are_found_once_and_not_with_themselves():
    rng = np.random.default_rng(5)
    symbols = [draw_symbol(rng) for _ in range(60)]
    alike = find_near_duplicates([*symbols, *map(compress, symbols)])
    right = alike.b - alike.a == 60
    assert right.sum() == 60 and right.mean() >= 0.95
    assert not alike.duplicated(["a", "b"]).any() and (alike.a < alike.b).all()


def test_pictures_of_one_colour_are_alike_to_none():
    plain = np.full((30, 16, 16, 3), 90, np.uint8)
    plain[..., 0] += np.arange(30, dtype=np.uint8)[:, None, None]
    assert (
        copies.find_near_duplicates(plain, plain).empty
        and copies.find_near_duplicates(plain[:1], plain).empty
    )
    assert list(copies.find_near_duplicates(plain[:0], plain)) == [
        "a",
        "b",
        "distance",
        "mirrored",
    ]


def cluster_hashes(rng, n):
    """Draw hashes of which many differ in a few bits, and their mirror images."""
    flips = rng.random((n, 64)) < rng.uniform(0, 0.1, (n, 1))
    bits = rng.integers(0, 2, (12, 64))[rng.integers(0, 12, n)] ^ flips
    turned = bits ^ (np.arange(64) % 2)
    return np.stack(
        [np.packbits(some, axis=1).view(np.uint64)[:, 0] for some in (bits, turned)]
    )


@pytest.mark.parametrize("max_bits", [0, 3, 8])
@pytest.mark.parametrize("n", [2, 60, 500])
def test_pairs_of_hashes_are_those_of_brute_force(n, max_bits):
    hashes = cluster_hashes(np.random.default_rng(n), n)
    hashes[1, 0] = hashes[0, 1]
    found = list(zip(*(column.tolist() for column in pair_hashes(hashes, max_bits))))
    expected = {
        (a, b, turned)
        for a in range(n)
        for b in range(a + 1, n)
        for turned in (False, True)
        if (int(hashes[0, a]) ^ int(hashes[int(turned), b])).bit_count() <= max_bits
    }
    assert set(found) == expected and len(found) == len(expected)


def test_distances_are_one_minus_the_correlation_and_the_most_alike_come_first():
    base = shrink(draw_pictures()[:40])
    noise = np.random.default_rng(0).normal(0, 6, (3, *base.shape))
    noise *= np.reshape([1, 0.5, 0], (3, 1, 1, 1, 1))
    thumbnails = np.concatenate([base, *(base + noise).clip(0, 255).astype(np.uint8)])
    thumbnails[60:80] = thumbnails[60:80, :, ::-1]
    alike = copies.find_near_duplicates(thumbnails, thumbnails)
    order = alike.sort_values(["distance", "a", "b"], ignore_index=True)
    pd.testing.assert_frame_equal(alike, order)
    assert (
        alike.mirrored.any()
        and (alike.distance[:30] == 0).all()
        and alike.distance.max() > 0
    )
    coarse = thumbnails.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    for a, b, distance, mirrored in alike.itertuples(index=False):
        other = coarse[b][:, ::-1] if mirrored else coarse[b]
        correlation = np.corrcoef(coarse[a].ravel(), other.ravel())[0, 1]
        assert distance == pytest.approx(1 - correlation, abs=1e-4)


def test_all_of_150_000_pairs_are_found(tmp_path):
    noise = np.random.default_rng(0).normal(0, 1, (550, 16, 16, 3))
    near = shrink(draw_pictures()[:1]) + noise
    near.clip(0, 255).astype(np.uint8).tofile(tmp_path / "store")
    store = np.memmap(
        tmp_path / "store", np.dtype([("thumbnail", "u1", (16, 16, 3))]), "r"
    )
    alike = find_candidates(store["thumbnail"])
    assert len(alike) == 550 * 549 // 2 > 150_000
    assert not alike.mirrored.any() and not alike.duplicated(["a", "b"]).any()


def draw_alike(rng, count):
    """Draw pictures that all look alike, each with detail of its own: as X-rays are."""
    coarse = cv2.GaussianBlur(shrink(draw_pictures()[:1], 160)[0], (0, 0), 5)
    for _ in range(count):
        fine = cv2.resize(
            rng.normal(0, 14, (60, 60, 1)), (160, 160), interpolation=cv2.INTER_CUBIC
        )
        yield (coarse + fine[..., np.newaxis]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_copies_are_found_among_pictures_that_are_all_alike_and_no_others(name):
    pictures = list(draw_alike(np.random.default_rng(1), 14))
    altered = [ALTERATIONS[name][0](picture) for picture in pictures]
    assert len(find_candidates(shrink(pictures))) > 60, "they look alike"
    assert find_near_duplicates(pictures).empty
    alike = find_near_duplicates([*pictures, *altered])
    assert (alike.b - alike.a == 14).all() and len(alike) >= 13


def test_pictures_without_detail_are_taken_at_their_word():
    smooth = [cv2.GaussianBlur(picture, (0, 0), 40) for picture in draw_pictures(20)]
    alike = find_near_duplicates([*smooth, *map(compress, smooth)])
    assert (alike.b - alike.a == 20).sum() == 20


def list_pictures(*rows):
    pictures = pd.DataFrame(rows, columns=["file", "digest"])
    return pictures.assign(label=pictures.file.str[0], part="", problem="", action="")


def test_copies_are_kept_together_or_left_out_and_contradictory_ones_are_named():
    rows = [("a/1", "x"), ("a/2", "x"), ("a/3", "y"), ("a/4", "z"), ("b/1", "z")]
    problems = {"a/1": "duplicate", "a/2": "duplicate"}
    contradictory = {"a/4": "duplicate_other_class", "b/1": "duplicate_other_class"}
    table = list_pictures(*rows)
    copies.note_copies(table, "together")
    assert dict(zip(table.file, table.problem)) == problems | contradictory | {
        "a/3": ""
    }
    assert set(table.action[table.problem != ""]) == {"kept, same part"}
    table = list_pictures(*rows)
    copies.note_copies(table, "drop")
    assert list(table.file[is_used(table)]) == ["a/1", "a/3"]
    assert set(table.action[table.problem != ""]) == {"left out"}
    table = list_pictures(*rows).assign(part=["train", "validation", "", "", ""])
    copies.note_copies(table, "drop")
    assert list(table.file[is_used(table)]) == ["a/2", "a/3"], (
        "that of validation stays"
    )


def test_alike_pictures_are_named_and_across_classes_told_apart():
    files = ["a/1", "a/2", "a/3", "a/4", "b/1"]
    table = list_pictures(*((file, file) for file in files))
    pairs = [("a/2", "a/3"), ("b/1", "a/1"), ("a/1", "a/3")]
    copies.note_near_duplicates(table, pd.DataFrame(pairs, columns=["file", "other"]))
    other_class = "near_duplicate_other_class"
    expected = [other_class, "near_duplicate", "near_duplicate", "", other_class]
    assert list(table.problem) == expected
    before = table.copy()
    copies.note_near_duplicates(
        table, pd.DataFrame(columns=["file", "other"], dtype=str)
    )
    assert table.equals(before)
