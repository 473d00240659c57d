"""Features: computed once, shared by sets, and never those of other pictures or weights."""

from dataclasses import replace
from unittest import mock

import keras
import numpy as np
import pytest

from lib.data.store import Selection, Store
from lib.models.features import cached_features


def build_extractor():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8, 8, 3))
    return keras.Sequential([inputs, keras.layers.Conv2D(5, 3), keras.layers.Flatten()])


@pytest.fixture(scope="module")
def extractor():
    return build_extractor()


@pytest.fixture
def images(tmp_path):
    """Seventy of 140 pictures in a store, the last ones first."""
    rows = np.random.default_rng(0).integers(0, 256, (140, 8, 8, 3), dtype=np.uint8)
    digests = [f"{number:032x}" for number in range(140)]
    store = Store(tmp_path / "pixels", (np.uint8, (8, 8, 3)))
    store.put(dict(zip(digests, rows)))
    store.refresh()
    return Selection(store, np.array(digests[69::-1]))


def test_cached_features_equal_the_extractor_and_are_computed_once(
    extractor, images, ws, monkeypatch
):
    expected = extractor.predict(images[:], verbose=0)

    features = cached_features(extractor, images, ws)

    assert features.shape == (70, 180)
    assert features[:].dtype == np.float32
    assert np.allclose(features[:], expected, rtol=1e-5, atol=1e-3)
    monkeypatch.setattr(extractor, "predict_on_batch", None)  # a call would fail
    assert np.array_equal(cached_features(extractor, images, ws)[:], features[:])


def test_features_are_shared_by_sets_that_share_pictures(
    extractor, images, ws, monkeypatch
):
    expected = extractor.predict(images[:], verbose=0)
    cached_features(extractor, replace(images, digests=images.digests[:40]), ws)
    predict = mock.Mock(wraps=extractor.predict_on_batch)
    monkeypatch.setattr(extractor, "predict_on_batch", predict)
    twice = replace(images, digests=np.tile(images.digests, 2))

    features = cached_features(extractor, twice, ws)

    assert sum(len(call.args[0]) for call in predict.call_args_list) == 30
    assert np.allclose(features[:], np.tile(expected, (2, 1)), rtol=1e-5, atol=1e-3)


def test_other_weights_and_versions_of_keras_do_not_share_features(
    extractor, images, ws, monkeypatch
):
    cached_features(extractor, images, ws)
    other = keras.models.clone_model(extractor)
    other.set_weights(extractor.get_weights())
    other.layers[0].bias.assign(np.full(5, 1e-6, np.float32))

    cached_features(other, images, ws)
    monkeypatch.setattr(keras, "__version__", "3.0")
    cached_features(other, images, ws)

    sizes = [path.stat().st_size for path in ws.scratch.glob("**/features_*/digests")]
    assert sizes == [70 * 32, 70 * 32, 70 * 32]


def test_network_with_a_layer_that_is_random_in_training_gives_what_was_kept(
    images, ws
):
    noise = keras.layers.RandomBrightness(1.0, seed=0)
    network = keras.Sequential([keras.Input((8, 8, 3)), noise, keras.layers.Flatten()])

    features = cached_features(network, images, ws)

    assert np.array_equal(features[:], images[:].reshape(70, -1))


def test_features_of_a_network_that_was_saved_and_built_after_another_seed_are_its_own(
    images, ws, monkeypatch, tmp_path
):
    def build(seed):
        keras.utils.set_random_seed(seed)
        inner = keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.5)])
        rows = [keras.Input((8, 8, 3)), keras.layers.Flatten(), inner]
        return keras.Sequential(rows)

    network = build(1)
    cached_features(network, images, ws)
    again = build(2)
    again.set_weights(network.get_weights())
    again.trainable = False
    again.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    loaded.layers[-1].trainable = True

    for same in (again, loaded):
        monkeypatch.setattr(same, "predict_on_batch", None)  # a call would fail
        cached_features(same, images, ws)
