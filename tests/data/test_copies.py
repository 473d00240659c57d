import tracemalloc
from functools import cache
from unittest import mock

import cv2
import numpy as np
import pandas as pd
import pytest
from alike import ALTERATIONS, compress, find_near_duplicates, shrink
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


@pytest.mark.parametrize("count", [30, 1, 0])
def test_pictures_of_one_colour_are_alike_to_none(count):
    plain = np.full((count, 16, 16, 3), 90, np.uint8)
    plain[..., 0] += np.arange(count, dtype=np.uint8)[:, None, None]

    near = copies.find_near_duplicates(plain, plain)

    assert list(near) == ["a", "b", "distance", "mirrored"]
    assert near.empty


def pack(bits):
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


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
@pytest.mark.parametrize(("n", "count"), [(60, 60), (500, 500), (500, 20)])
def test_pairs_of_hashes_are_those_of_brute_force(n, count, max_bits):
    hashes = cluster_hashes(np.random.default_rng(n), n)
    hashes[1, 0] = hashes[0, 1]

    pairs = pair_hashes(hashes, max_bits, count)

    expected = [pair for pair in compare_all(hashes, max_bits) if pair[0] < count]
    assert expected
    assert sorted(pairs.to_numpy().tolist()) == sorted(expected)


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


def test_distance_is_one_minus_the_correlation_of_colours_and_the_least_comes_first():
    thumbnails = make_noisy_copies()
    coarse = thumbnails.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4))

    near = copies.find_near_duplicates(thumbnails, thumbnails)

    assert near.mirrored.any()
    assert near.distance.is_monotonic_increasing
    for pair in near.itertuples():
        other = coarse[pair.b]
        if pair.mirrored:
            other = other[:, ::-1]
        correlation = np.corrcoef(coarse[pair.a].ravel(), other.ravel())[0, 1]
        assert pair.distance == pytest.approx(1 - correlation, abs=1e-4)


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


@pytest.fixture
def compared(monkeypatch):
    """What counts the pairs whose detail is compared."""
    lay_over = mock.Mock(wraps=cv2.findTransformECC)
    monkeypatch.setattr(cv2, "findTransformECC", lay_over)
    return lay_over


def draw_film(count, side):
    """Draw frames of one scene, each with noise of its own."""
    scene = cv2.resize(draw_pictures()[0], (side, side))
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        noisy = scene + rng.normal(0, 2, scene.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))
    return frames


def test_frames_of_one_film_and_their_mirror_images_are_connected_by_few_comparisons(
    compared,
):
    frames = draw_film(100, 160)
    frames[::25] = [frame[:, ::-1] for frame in frames[::25]]

    near = find_near_duplicates(frames)

    # A tree has an edge less than nodes.
    assert len(near) == 99
    assert set(near.a) | set(near.b) == set(range(100))
    assert compared.call_count <= 4 * 100


def test_a_film_and_its_mirrored_copy_are_one_group():
    frames = draw_film(100, 160)
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]

    near = find_near_duplicates(frames + mirrored)

    assert len(near) == 199


def test_a_film_of_many_frames_needs_little_memory():
    frames = np.stack(draw_film(1000, 16))
    tracemalloc.start()

    near = copies.find_near_duplicates(frames, frames)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(near) == 999
    # All pairs would take several times as much.
    assert peak < 20e6


def test_comparisons_in_vain_are_bounded_and_said(compared, monkeypatch, capsys):
    monkeypatch.setattr(copies, "MAX_MISSES", 5)
    pictures = draw_alike(40)
    pictures.append(compress(pictures[7]))

    near = find_near_duplicates(pictures)

    assert near[["a", "b"]].to_numpy().tolist() == [[7, 40]]
    assert compared.call_count <= 6 * 41
    assert "pairs that look alike were not compared" in capsys.readouterr().out
