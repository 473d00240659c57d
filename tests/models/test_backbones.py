import contextlib
import inspect
import multiprocessing
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib import workspace
from lib.data.store import Selection
from lib.models import backbones, networks

SMALL = {"alpha": 0.25}


@pytest.fixture
def demo_ws(tmp_path):
    return replace(workspace.open("demo"), results=tmp_path, scratch=tmp_path)


@pytest.fixture
def no_download(monkeypatch):
    """Make every download of weights fail, as it does without a network."""

    def fail(*arguments, **options):
        raise Exception("URL fetch failure: no route to host")

    module = inspect.getmodule(keras.applications.MobileNet)
    monkeypatch.setattr(module.file_utils, "get_file", fail)


def test_backbone_without_weights_is_frozen_and_labelled_untrained(ws):
    backbone = backbones.load_backbone("MobileNet", None, 32, SMALL, ws)
    assert backbone.weights == "untrained"
    assert backbone.model.output_shape == (None, 1, 1, 256)
    assert not backbone.model.trainable_weights and backbone.model.weights


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_file_is_loaded_and_names_the_label(ws, tmp_path):
    trained = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), **SMALL
    )
    path = tmp_path / "mine.weights.h5"
    trained.save_weights(path)
    backbone = backbones.load_backbone("MobileNet", str(path), 32, SMALL, ws)
    assert backbone.weights == "mine.weights.h5"
    for kept, loaded in zip(trained.get_weights(), backbone.model.get_weights(), strict=True):
        assert np.array_equal(kept, loaded)
    with pytest.raises(ValueError, match="(?i)mine.weights.h5 does not fit mobilenet"):
        backbones.load_backbone("MobileNet", str(path), 32, {"alpha": 0.5}, ws)


@pytest.mark.parametrize(
    ("name", "weights", "options", "error", "words"),
    [
        ("ResNet5", None, {}, ValueError, ["BACKBONE", "'ResNet5'", "ResNet50, "]),
        ("MobileNet", None, {"alfa": 1}, ValueError, ["BACKBONE_OPTIONS", "MobileNet", "'alfa'"]),
        (
            "MobileNet",
            None,
            {"pooling": "avg"},
            ValueError,
            ["BACKBONE_OPTIONS", "'pooling'", "leave"],
        ),
        ("MobileNet", "gone.h5", {}, FileNotFoundError, ["WEIGHTS", "gone.h5", "None"]),
    ],
)
def test_wrong_parameter_is_an_error_that_names_it(ws, name, weights, options, error, words):
    with pytest.raises(error) as caught:
        backbones.load_backbone(name, weights, 32, options, ws)
    assert all(word in str(caught.value) for word in words), caught.value


def test_file_without_weights_is_an_error_that_names_it(ws, tmp_path):
    path = tmp_path / "page.h5"
    path.write_text("<html>404 Not Found</html>")
    with pytest.raises(ValueError, match="(?i)page.h5 does not fit mobilenet"):
        backbones.load_backbone("MobileNet", str(path), 32, SMALL, ws)


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_too_small_a_picture_is_not_blamed_on_weights_or_network(ws, demo_ws, weights):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="32") as caught:
            backbones.load_backbone("ResNet50", weights, 16, {}, workspace_)
        assert "IMAGE_SIZE" in str(caught.value) and "WEIGHTS" not in str(caught.value)


def test_weights_that_cannot_be_downloaded_are_done_without_on_the_demo_only(
    ws, demo_ws, no_download
):
    with pytest.raises(ConnectionError, match="MobileNet.*no route to host.*WEIGHTS"):
        backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, ws)
    assert (
        backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, demo_ws).weights == "untrained"
    )


def test_option_without_imagenet_weights_is_not_blamed_on_the_network(ws, demo_ws, no_download):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="MobileNet has no ImageNet weights.*alpha"):
            backbones.load_backbone("MobileNet", "imagenet", 128, {"alpha": 0.3}, workspace_)


def test_nothing_that_others_downloaded_is_removed(ws, no_download, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "DOWNLOADS", tmp_path)
    (tmp_path / "other_project_top.h5").write_bytes(b"half of a file")
    with pytest.raises(ConnectionError, match="delete what a killed download.*WEIGHTS"):
        backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, ws)
    assert (tmp_path / "other_project_top.h5").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet50", [-103.939, -116.779, 255 - 123.68]),
        ("ResNet50V2", [1, -1, -1]),
        ("MobileNet", [1, -1, -1]),
        ("EfficientNetB0", [255, 0, 0]),
        ("DenseNet121", [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]),
    ],
)
def test_preprocessing_is_that_of_the_backbone(name, expected):
    build, preprocess = networks.find_application(name)
    assert build is getattr(keras.applications, name)
    red = np.full((1, 2, 2, 3), (255, 0, 0), np.float32)
    assert preprocess(red)[0, 1, 1] == pytest.approx(expected, abs=1e-3)


def test_every_model_of_keras_applications_is_found():
    names = [name for name, f in vars(keras.applications).items() if inspect.isfunction(f)]
    assert len(names) > 30
    for name in names:
        assert networks.find_application(name)[0] is getattr(keras.applications, name)


@pytest.fixture(scope="module")
def extractor():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3), keras.layers.Flatten()]
    return keras.Sequential(layers)


@pytest.fixture
def images():
    store = np.random.default_rng(0).integers(0, 256, (75, 8, 8, 3), dtype=np.uint8)
    return Selection(store, np.arange(70)[::-1], np.array([f"{k:032x}" for k in range(70)]))


def test_cached_features_equal_the_extractor_and_are_computed_once(
    extractor, images, tmp_path, monkeypatch
):
    expected = extractor.predict(images[np.arange(70)], verbose=0)
    features = backbones.cached_features(extractor, images, tmp_path)
    assert features.shape == (70, 180) and features[:].dtype == np.float32
    assert np.allclose(features[:], expected, rtol=1e-5, atol=1e-3)
    monkeypatch.setattr(extractor, "predict_on_batch", None)  # a call would fail
    assert np.array_equal(backbones.cached_features(extractor, images, tmp_path)[:], features[:])


def count_predictions(extractor, monkeypatch):
    """Return a list that grows with every picture that passes the extractor."""
    seen, predict = [], extractor.predict_on_batch
    monkeypatch.setattr(
        extractor, "predict_on_batch", lambda batch: seen.extend(batch) or predict(batch)
    )
    return seen


def test_features_cut_short_are_continued_where_they_stopped(
    extractor, images, tmp_path, monkeypatch
):
    whole = np.array(backbones.cached_features(extractor, images, tmp_path)[:])
    (path,) = tmp_path.glob("*/features_*.rows")
    with path.open("r+b") as cut:
        cut.truncate(int(40.5 * whole[0].nbytes))
    seen = count_predictions(extractor, monkeypatch)
    again = backbones.cached_features(extractor, images, tmp_path)
    assert len(seen) == 30 and np.allclose(again[:], whole, rtol=1e-5, atol=1e-3)


def test_features_are_shared_by_sets_that_share_pictures(extractor, images, tmp_path, monkeypatch):
    half = Selection(images.array, images.rows[:40], images.digests[:40])
    backbones.cached_features(extractor, half, tmp_path)
    seen = count_predictions(extractor, monkeypatch)
    twice = Selection(
        images.array, np.append(images.rows, images.rows), np.append(images.digests, images.digests)
    )
    features = backbones.cached_features(extractor, twice, tmp_path)
    assert len(seen) == 30 and features.shape == (140, 180)
    assert np.array_equal(features[:70], features[70:])


def test_other_pictures_or_weights_do_not_share_features(extractor, images, tmp_path):
    first = backbones.cached_features(extractor, images, tmp_path)[:]
    other = Selection(images.array, images.rows[::-1], np.array([f"b{k:031x}" for k in range(70)]))
    assert np.allclose(
        backbones.cached_features(extractor, other, tmp_path)[::-1], first, rtol=1e-4
    )
    assert len(backbones.cached_features(extractor, images, tmp_path).array) == 140
    extractor.layers[0].bias.assign(np.full(5, 1e-6, np.float32))
    backbones.cached_features(extractor, images, tmp_path)
    assert len(list(tmp_path.glob("*/features_*.rows"))) == 2


@pytest.mark.parametrize("change", ["pooling", "preprocessing", "precision"])
def test_another_architecture_of_the_same_weights_does_not_share_features(change, images, tmp_path):
    def build(pool, scale, policy):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        pixels = keras.Input((8, 8, 3))
        maps = keras.layers.Conv2D(5, 3)(keras.layers.Rescaling(scale)(pixels))
        keras.config.set_dtype_policy("float32")
        return keras.Model(pixels, pool(maps), name="extractor")

    average, largest = keras.layers.GlobalAveragePooling2D(), keras.layers.GlobalMaxPooling2D()
    first = backbones.cached_features(build(average, 1 / 255, "float32"), images, tmp_path)
    again = backbones.cached_features(build(average, 1 / 255, "float32"), images, tmp_path)
    assert again.store == first.store
    changed = {
        "pooling": (largest, 1 / 255, "float32"),
        "preprocessing": (average, 1.0, "float32"),
        "precision": (average, 1 / 255, "mixed_bfloat16"),
    }
    other = build(*changed[change])
    features = backbones.cached_features(other, images, tmp_path)
    expected = np.asarray(other.predict_on_batch(images[:32]), np.float32)
    assert features.store != first.store and np.allclose(features[:32], expected, atol=1e-3)


def test_features_that_are_there_demand_no_room(extractor, images, tmp_path, monkeypatch):
    backbones.cached_features(extractor, images, tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    assert len(backbones.cached_features(extractor, images, tmp_path)) == 70


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
        found.append(backbones.cached_features(model, images, folder / str(len(found)))[:])
    assert found[0].shape == (75, 180) and np.allclose(*found, rtol=1e-5, atol=1e-3)


def test_features_on_two_devices_are_those_of_one(tmp_path):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=extract_on_two_devices, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
