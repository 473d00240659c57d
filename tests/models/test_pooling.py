import inspect
from dataclasses import replace

import keras
import numpy as np
import pytest

from lib import workspace
from lib.models import backbones, configs, pooling

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
        ("ResNet5", None, {}, ValueError, ["BACKBONE", "'ResNet5'", '"ResNet50"?']),
        ("MobileNet", None, {"alfa": 1}, ValueError, ["BACKBONE_OPTIONS", "MobileNet", "'alfa'"]),
        (
            "MobileNet",
            None,
            {"include_top": True},
            ValueError,
            ["BACKBONE_OPTIONS", "'include_top'", "MobileNet"],
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
    monkeypatch.setattr(backbones, "DOWNLOADS", tmp_path)
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
    build, preprocess = backbones.find_application(name)
    assert build is getattr(keras.applications, name)
    red = np.full((1, 2, 2, 3), (255, 0, 0), np.float32)
    assert preprocess(red)[0, 1, 1] == pytest.approx(expected, abs=1e-3)


def test_every_model_of_keras_applications_is_found():
    names = [name for name, f in vars(keras.applications).items() if inspect.isfunction(f)]
    assert len(names) > 30
    for name in names:
        assert backbones.find_application(name)[0] is getattr(keras.applications, name)


def build_nested():
    """Build a model three models deep, in which two layers of other weights have one name."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="same")])
    named = {"pixels": keras.Input((8, 8, 3), name="pixels")}
    middle = keras.Model(named, layers.Dropout(0.5)(inner(named["pixels"])))
    pixels = keras.Input((8, 8, 3))
    outputs = middle({"pixels": layers.Conv2D(3, 1, name="same")(pixels)}, training=False)
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(outputs))


def test_flattened_model_answers_the_same_and_shows_every_layer_in_order():
    model, pictures = build_nested(), np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    key, names = configs.make_key(model), [layer.name for layer in pooling.list_layers(model)]
    with pooling.flatten(model) as (flat, steps):
        # What comes out can be cut, and opened again.
        with pooling.flatten(keras.Model(flat.inputs[0], steps[1][1])) as (_, again):
            assert len(again) == 2
    kinds = ["Conv2D", "Conv2D", "Dropout", "GlobalAveragePooling2D"]
    assert [type(layer).__name__ for layer, _ in steps] == kinds
    assert [output.shape[-1] for _, output in steps] == [3, 4, 4, 4]
    expected = model.predict_on_batch(pictures)
    answers = flat.predict_on_batch(pictures)
    assert answers.shape == (5, 4) and np.allclose(answers, expected, atol=1e-6)
    assert {id(weight) for weight in flat.weights} == {id(weight) for weight in model.weights}
    assert configs.make_key(model) == key
    assert [layer.name for layer in pooling.list_layers(model)] == names


def test_model_that_hides_its_layers_is_an_error_that_names_it():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    pixels = keras.Input((4, 4, 3))
    with pytest.raises(ValueError, match="mine is a model that does not show its layers"):
        with pooling.flatten(keras.Model(pixels, Own(name="mine")(pixels))):
            pass


def test_of_a_layer_with_several_outputs_the_first_is_shown():
    class Two(keras.Layer):
        def call(self, inputs):
            return inputs + 1, {"further": inputs}

    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, Two()(pixels)[0])
    with pooling.flatten(model) as (flat, steps):
        pass
    assert [output.shape for _, output in steps] == [(None, 4, 4, 3)]
    assert (flat.predict_on_batch(np.zeros((2, 4, 4, 3))) == 1).all()
