import numpy as np
import pytest

from lib.evaluation import neighbours


@pytest.fixture
def drawn():
    """Features of 200 pictures in 4 classes, then near copies of the first 20; thumbnails."""
    rng = np.random.default_rng(0)
    y_true = np.arange(200) % 4
    features = rng.gamma(1, 1, (200, 64)) + 2 * rng.gamma(1, 1, (4, 64))[y_true]
    copies = features[:20] * rng.uniform(0.85, 1.15, (20, 64))
    thumbnails = rng.integers(0, 256, (200, 1, 1, 3)) * np.linspace(0.5, 1, 256).reshape(16, 16, 1)
    thumbnails = np.r_[thumbnails, thumbnails[:20, :, ::-1]].astype(np.uint8)
    return np.r_[features, copies].astype(np.float32), np.r_[y_true, y_true[:20]], thumbnails


def look(features, y_true, groups=None):
    groups = np.arange(len(y_true)) if groups is None else groups
    return neighbours.find_neighbours(neighbours.scale_features(features), y_true, y_true, groups)


def test_copies_are_found_and_others_are_not(drawn):
    features, y_true, thumbnails = drawn
    pairs = neighbours.find_copies(look(features, y_true), thumbnails)
    found = set(zip(pairs.a, pairs.b))
    true = {(k, 200 + k) for k in range(20)}
    assert len(found & true) >= 18 and len(found & true) >= 0.9 * len(found)
    assert pairs.closeness.is_monotonic_increasing


def test_many_copies_of_one_picture_are_found(drawn):
    features, y_true, thumbnails = drawn
    rng = np.random.default_rng(2)
    copies = features[:1] * rng.uniform(0.85, 1.15, (7, 64)).astype(np.float32)
    features, y_true = np.r_[features[:200], copies], np.r_[y_true[:200], y_true[:1].repeat(7)]
    thumbnails = np.r_[thumbnails[:200], thumbnails[:1].repeat(7, axis=0)]
    pairs = neighbours.find_copies(look(features, y_true), thumbnails)
    eight = {0, *range(200, 207)}
    assert set(pairs.a) | set(pairs.b) == eight


def test_close_features_of_other_brightness_are_no_copies(drawn):
    features, y_true, thumbnails = drawn
    thumbnails[200:] //= 3
    bright = thumbnails[:20].max(axis=(1, 2, 3)) > 100
    pairs = neighbours.find_copies(look(features, y_true), thumbnails)
    copied = pairs.a[pairs.b == pairs.a + 200]
    assert not bright[copied].any() and bright.sum() > 10


def test_pictures_known_to_belong_together_are_no_news(drawn):
    features, y_true, thumbnails = drawn
    groups = np.r_[np.arange(200), np.arange(20)]
    found = look(features, y_true, groups)
    assert not (groups[found.nearest] == groups[:, np.newaxis]).any()
    assert not (neighbours.find_copies(found, thumbnails).b >= 200).any()


def test_blocks_give_what_one_comparison_gives(drawn, monkeypatch):
    features, y_true, _ = drawn
    whole = look(features, y_true)
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 4 * 220 * 7)
    parts = look(features, y_true)
    assert (whole.nearest == parts.nearest).all() and (whole.similar == parts.similar).all()
    assert np.allclose(whole.distances, parts.distances, atol=1e-4)
    assert np.allclose(whole.spread, parts.spread, atol=1e-4)
    rows = neighbours.scale_features(features)
    exact = np.linalg.norm(rows[:, np.newaxis] - rows, axis=2)
    np.fill_diagonal(exact, np.inf)
    assert (exact.argmin(axis=1) == whole.nearest[:, 0]).all()
    assert np.allclose(np.sort(exact, axis=1)[:, :5], whole.distances, atol=1e-3)


def test_what_is_unlike_its_class_is_an_outlier():
    rng = np.random.default_rng(1)
    y_true = np.arange(100) % 2
    features = rng.gamma(4, 1, (100, 32)) + 6 * rng.gamma(1, 1, (2, 32))[y_true]
    features[7] = rng.gamma(0.2, 20, 32)
    found = neighbours.find_outliers(look(features, y_true).spread, y_true)
    assert found[7] and found.sum() <= 8


def test_few_pictures_and_lonely_classes_are_no_error():
    rows = np.eye(3, dtype=np.float32)
    found = look(rows, np.array([0, 0, 1]))
    assert np.isinf(found.spread[2]) and found.similar[2] == -1 and found.similar[0] == 1
    assert not neighbours.find_outliers(found.spread, np.array([0, 0, 1])).any()
    assert neighbours.find_copies(found, np.zeros((3, 16, 16, 3), np.uint8)).empty


def test_a_picture_with_few_others_beside_its_group_is_no_copy_of_all():
    rng, groups = np.random.default_rng(0), np.r_[np.zeros(8, int), 1:5]
    features, thumbnails = rng.gamma(1, 1, (12, 64)), np.full((12, 16, 16, 3), 99, np.uint8)
    pairs = neighbours.find_copies(look(features, np.zeros(12, int), groups), thumbnails)
    assert pairs.empty
