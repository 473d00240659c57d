import tracemalloc
from functools import cache
from itertools import product
from unittest import mock

import cv2
import numpy as np
import pandas as pd
import pytest
from alike import ALTERATIONS, compress, find_near_duplicates, shrink
from conftest import load_functions
from drawing import CLASS_NAMES, draw_picture

from lib.data import copies, findings, hashes
from lib.data.hashes import pair_hashes


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


@pytest.mark.parametrize(("seconds", "is_told"), [(60, False), (1e-9, True)])
def test_search_that_takes_long_says_how_far_it_is(
    seconds, is_told, monkeypatch, capsys
):
    monkeypatch.setattr(hashes, "LONG", seconds)
    noise = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)

    copies.find_near_duplicates(noise, noise)

    assert ("finding look-alikes: 100%" in capsys.readouterr().out) == is_told


@pytest.mark.parametrize("count", [30, 0])
def test_pictures_of_one_colour_are_alike_to_none(count):
    plain = np.full((count, 16, 16, 3), 90, np.uint8)
    near = copies.find_near_duplicates(plain, plain)
    assert set(near) == {"a", "b", "distance", "mirrored"}
    assert near.empty


def draw_hashes(count):
    """Draw hashes of which many differ in a few bits, and their mirror images."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2, (12, 64))
    flips = rng.random((count, 64)) < rng.uniform(0, 0.1, (count, 1))
    bits = centres[rng.integers(0, 12, count)] ^ flips
    both = np.stack([bits, bits ^ (np.arange(64) % 2)])
    return np.packbits(both, axis=2).view(np.uint64)[..., 0]


@pytest.mark.parametrize("count", [300, 20])
def test_pairs_of_hashes_are_those_of_brute_force(count):
    hashes = draw_hashes(300)
    hashes[1, 0] = hashes[0, 1]
    expected = set()
    for a, b, is_mirrored in product(range(count), range(300), (0, 1)):
        differences = hashes[0, a] ^ hashes[is_mirrored, b]
        if a != b and np.bitwise_count(differences) <= 8:
            expected.add((min(a, b), max(a, b), is_mirrored))

    pairs = pair_hashes(hashes, count)

    assert expected
    assert sorted(pairs.itertuples(index=False, name=None)) == sorted(expected)


def test_distance_is_one_minus_the_correlation_of_colours_and_the_least_comes_first():
    (base,) = shrink(draw_pictures()[:1]).astype(float)
    noise = np.random.default_rng(0).normal(0, 1, base.shape)
    noisy = np.stack([base + 9 * noise, base, base + 3 * noise])
    thumbnails = noisy.clip(0, 255).astype(np.uint8)
    coarse = thumbnails.reshape(3, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    correlations = np.corrcoef(coarse.reshape(3, -1))

    near = copies.find_near_duplicates(thumbnails, thumbnails)

    expected = 1 - correlations[near.a, near.b]
    assert len(near) == 2
    assert near.distance.is_monotonic_increasing
    assert near.distance.to_numpy() == pytest.approx(expected, abs=1e-4)


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


@pytest.mark.parametrize("name", ALTERATIONS)
def test_copies_are_found_among_pictures_that_are_all_alike_and_no_others(name):
    alter, _ = ALTERATIONS[name]
    near, is_right = pair_with_copies(draw_alike(8), alter)
    assert is_right.all()
    assert len(near) >= 7


def test_copies_are_kept_together_and_contradictory_ones_are_named():
    files = ["a/1", "a/2", "a/3", "a/4", "b/1"]
    table = pd.DataFrame({"file": files, "digest": list("xxyzz")})

    lesson = load_functions("01_data_prep", "copies-code", np=np, findings=findings)

    labelled = table.assign(label=list("aaaab"))
    found = lesson.describe_groups(labelled, table.digest, "duplicate", "kept")

    assert dict(zip(found.file, found.problem)) == {
        "a/1": "duplicate",
        "a/2": "duplicate",
        "a/4": "duplicate_other_class",
        "b/1": "duplicate_other_class",
    }
    assert set(found.action) == {"kept"}


@pytest.fixture
def compared(monkeypatch):
    """What counts the pairs whose detail is compared."""
    lay_over = mock.Mock(wraps=cv2.findTransformECC)
    monkeypatch.setattr(cv2, "findTransformECC", lay_over)
    return lay_over


def draw_film(count, side):
    """Draw frames of one scene, each with noise of its own."""
    scene = cv2.resize(draw_pictures()[0], (side, side))
    noise = np.random.default_rng(0).normal(0, 2, (count, *scene.shape))
    return list((scene + noise).clip(0, 255).astype(np.uint8))


def test_frames_of_one_film_and_their_mirror_images_are_connected_by_few_comparisons(
    compared,
):
    frames = draw_film(100, 160)
    frames[::25] = [frame[:, ::-1] for frame in frames[::25]]

    near = find_near_duplicates(frames)

    # A tree has an edge less than nodes.
    assert len(near) == 99
    assert compared.call_count <= 4 * 100


def test_copies_of_other_pictures_between_the_frames_of_a_film_are_found():
    others = [cv2.resize(each, (160, 160)) for each in draw_pictures()[1:31]]
    frames = draw_film(100, 160)
    pictures = [*others, *frames, *map(compress, others), compress(frames[50])]

    near = find_near_duplicates(pictures)

    is_other = near.a < 30
    assert (near.b - near.a)[is_other].tolist() == [130] * 30
    assert (~is_other).sum() == 100


def test_a_film_of_many_frames_needs_little_memory():
    frames = np.stack(draw_film(1000, 16))
    tracemalloc.start()

    near = copies.find_near_duplicates(frames, frames)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(near) == 999
    # All pairs would take several times as much.
    assert peak < 20e6


def test_comparisons_in_vain_are_bounded(compared, monkeypatch):
    monkeypatch.setattr(copies, "MAX_MISSES", 5)
    pictures = draw_alike(40)
    pictures.append(compress(pictures[7]))

    near = find_near_duplicates(pictures)

    assert near[["a", "b"]].to_numpy().tolist() == [[7, 40]]
    assert compared.call_count <= 6 * 41
