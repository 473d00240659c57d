import contextlib
import multiprocessing
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib import workspace
from lib.data.arrays import Selection
from lib.models import extraction


@pytest.fixture(scope="module")
def extractor():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3), keras.layers.Flatten()]
    return keras.Sequential(layers)


@pytest.fixture
def images():
    store = np.random.default_rng(0).integers(0, 256, (75, 8, 8, 3), dtype=np.uint8)
    return Selection(store, np.arange(70)[::-1], np.array([f"{k:032x}" for k in range(70)]))


def test_cached_features_equal_the_extractor_and_are_computed_once(
    extractor, images, ws, monkeypatch
):
    expected = extractor.predict(images[np.arange(70)], verbose=0)
    features = extraction.cached_features(extractor, images, ws)
    assert features.shape == (70, 180) and features[:].dtype == np.float32
    assert np.allclose(features[:], expected, rtol=1e-5, atol=1e-3)
    monkeypatch.setattr(extractor, "predict_on_batch", None)  # a call would fail
    assert np.array_equal(extraction.cached_features(extractor, images, ws)[:], features[:])


def count_predictions(extractor, monkeypatch):
    """Return a list that grows with every picture that passes the extractor."""
    seen, predict = [], extractor.predict_on_batch
    monkeypatch.setattr(
        extractor, "predict_on_batch", lambda batch: seen.extend(batch) or predict(batch)
    )
    return seen


def test_features_cut_short_are_continued_where_they_stopped(extractor, images, ws, monkeypatch):
    whole = np.array(extraction.cached_features(extractor, images, ws)[:])
    (path,) = ws.scratch.glob("*/features_*.rows")
    with path.open("r+b") as cut:
        cut.truncate(int(40.5 * whole[0].nbytes))
    seen = count_predictions(extractor, monkeypatch)
    again = extraction.cached_features(extractor, images, ws)
    assert len(seen) == 30 and np.allclose(again[:], whole, rtol=1e-5, atol=1e-3)


def test_features_are_shared_by_sets_that_share_pictures(extractor, images, ws, monkeypatch):
    half = Selection(images.array, images.rows[:40], images.digests[:40])
    extraction.cached_features(extractor, half, ws)
    seen = count_predictions(extractor, monkeypatch)
    twice = Selection(
        images.array, np.append(images.rows, images.rows), np.append(images.digests, images.digests)
    )
    features = extraction.cached_features(extractor, twice, ws)
    assert len(seen) == 30 and features.shape == (140, 180)
    assert np.array_equal(features[:70], features[70:])


def test_other_pictures_or_weights_do_not_share_features(extractor, images, ws):
    first = extraction.cached_features(extractor, images, ws)[:]
    other = Selection(images.array, images.rows[::-1], np.array([f"b{k:031x}" for k in range(70)]))
    assert np.allclose(extraction.cached_features(extractor, other, ws)[::-1], first, rtol=1e-4)
    assert len(extraction.cached_features(extractor, images, ws).array) == 140
    extractor.layers[0].bias.assign(np.full(5, 1e-6, np.float32))
    extraction.cached_features(extractor, images, ws)
    assert len(list(ws.scratch.glob("*/features_*.rows"))) == 2


@pytest.mark.parametrize("change", ["pooling", "preprocessing", "precision"])
def test_another_architecture_of_the_same_weights_does_not_share_features(change, images, ws):
    def build(pool, scale, policy):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        pixels = keras.Input((8, 8, 3))
        maps = keras.layers.Conv2D(5, 3)(keras.layers.Rescaling(scale)(pixels))
        keras.config.set_dtype_policy("float32")
        return keras.Model(pixels, pool(maps), name="extractor")

    average, largest = keras.layers.GlobalAveragePooling2D(), keras.layers.GlobalMaxPooling2D()
    first = extraction.cached_features(build(average, 1 / 255, "float32"), images, ws)
    again = extraction.cached_features(build(average, 1 / 255, "float32"), images, ws)
    assert again.store == first.store
    changed = {
        "pooling": (largest, 1 / 255, "float32"),
        "preprocessing": (average, 1.0, "float32"),
        "precision": (average, 1 / 255, "mixed_bfloat16"),
    }
    other = build(*changed[change])
    features = extraction.cached_features(other, images, ws)
    expected = np.asarray(other.predict_on_batch(images[:32]), np.float32)
    assert features.store != first.store and np.allclose(features[:32], expected, atol=1e-3)


def test_features_that_are_there_demand_no_room(extractor, images, ws, monkeypatch):
    extraction.cached_features(extractor, images, ws)
    full = shutil.disk_usage(ws.scratch)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    assert len(extraction.cached_features(extractor, images, ws)) == 70


def extract_on_two_devices(folder):
    """Compute features as on two GPUs, on two logical devices of the CPU, and as on one."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    pixels = np.random.default_rng(0).integers(0, 256, (75, 8, 8, 3), dtype=np.uint8)
    images = Selection(pixels, np.arange(75), np.array([f"{k:032x}" for k in range(75)]))
    found = []
    for scope in (tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope, contextlib.nullcontext):
        keras.utils.set_random_seed(0)
        with scope():
            layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3), keras.layers.Flatten()]
            model = keras.Sequential(layers)
        ws = workspace.Workspace(folder, folder, folder / str(len(found)))
        found.append(extraction.cached_features(model, images, ws)[:])
    assert found[0].shape == (75, 180) and np.allclose(*found, rtol=1e-5, atol=1e-3)


def test_features_on_two_devices_are_those_of_one(tmp_path):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=extract_on_two_devices, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
