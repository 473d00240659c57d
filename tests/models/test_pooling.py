import inspect
from dataclasses import replace

import keras
import numpy as np
import pytest

from lib import workspace
from lib.models import backbones

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
