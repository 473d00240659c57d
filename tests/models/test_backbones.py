"""Networks of three kinds, what is pooled of each, and where it comes from."""

import inspect
from dataclasses import replace
from unittest import mock

import keras
import numpy as np
import pytest
from requests import RequestException

from lib.base import workspace
from lib.models import backbones, networks, parts

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
SMALL = {"alpha": 0.25}
MODULE = inspect.getmodule(keras.applications.MobileNet)


def load(spec, weights=None, size=None, options=None, ws=None):
    """Load a network; nothing takes its place but on a demo that is given."""
    return backbones.load_backbone(spec, weights, size, options or {}, ws)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("hub:kaggle://keras/vit/keras/vit_base/3/", "vit_base"),
        ("/some where/EfficientNet Lite2.keras", "efficientnet_lite2"),
        ("nets/a@b.keras", "a_b"),
        ("path/net.keras@224", "net_224"),
        # TensorFlow asks that a letter or a digit comes first, and nothing else stands in it.
        ("a/<img src=x>.keras", "img_src_x_"),
        ("a/größe.keras", "gr_e"),
        ("a/漢字.keras@96", "96"),
    ],
)
def test_files_are_called_like_the_network(spec, name):
    assert networks.name_network(spec) == name


def test_folder_of_a_network_is_told_nobody():
    network = networks.Network(None, 32, "small.keras", "/home/me/small.keras")

    told = networks.describe_base(network)

    assert told["network"] == "small"
    assert "/home" not in str(told)


@pytest.fixture
def network_file(tmp_path):
    """Return a function that saves a small network; its output is maps, tokens or a vector."""

    def save(kind="maps", name="small net.keras"):
        pixels = keras.Input((32, 32, 3))
        outputs = keras.layers.Conv2D(4, 3, strides=8, activation="relu")(pixels)
        if kind == "tokens":
            outputs = keras.layers.Reshape((16, 4))(outputs)
        if kind == "vector":
            outputs = keras.layers.GlobalMaxPooling2D()(outputs)
        path = tmp_path / name
        keras.Model(pixels, outputs).save(path)
        return path

    return save


@pytest.mark.parametrize("kind", ["maps", "tokens", "vector"])
def test_features_of_a_file_are_those_of_the_network_in_it(kind, network_file):
    path = network_file(kind)
    outputs = keras.saving.load_model(path).predict(PIXELS, verbose=0)
    places = tuple(range(1, outputs.ndim - 1))

    backbone = load(str(path), weights="imagenet")
    features = parts.build_extractor(backbone).predict(PIXELS, verbose=0)

    assert np.allclose(features, outputs.mean(axis=places), rtol=1e-4, atol=1e-3)
    assert backbone.weights == "small net.keras"
    assert backbone.image_size == 32
    assert not backbone.model.trainable_weights


def test_network_of_a_file_standardises_pictures_of_other_sizes_alike(tmp_path):
    scaling = keras.layers.Normalization()
    scaling.adapt(PIXELS)
    path = tmp_path / "scaled.keras"
    keras.Sequential([keras.Input((8, 8, 3)), scaling]).save(path)

    backbone = load(str(path), size=32)

    assert backbone.model.input_shape == (None, 32, 32, 3)
    answers = backbone.model.predict(PIXELS, verbose=0)
    assert np.allclose(answers, scaling(PIXELS), atol=1e-4)


def test_size_in_a_spec_goes_before_the_parameter(network_file):
    spec = f"{network_file()}@48"

    backbone = load(spec, size=40)

    assert backbone.image_size == 48
    assert backbone.spec == spec


def test_classifier_is_no_network(network_file):
    """It may have learned these very pictures: what lies beside it tells."""
    path = network_file("vector", name="mine.keras")
    assert load(str(path)).weights == "mine.keras"
    record = '{"name": "a", "class_names": ["a"], "image_size": 8}'
    path.with_suffix(".json").write_text(record)

    with pytest.raises(ValueError, match=f"{path} .* classifier"):
        load(str(path))


@pytest.mark.parametrize("name", ["damaged.keras", "gone.keras"])
def test_unusable_file_is_an_error_that_names_it(name, tmp_path):
    (tmp_path / "damaged.keras").write_bytes(b"<html>404 Not Found</html>")

    with pytest.raises(ValueError, match=f"BACKBONE .*{name}"):
        load(str(tmp_path / name))


def test_network_of_grey_pictures_is_refused(tmp_path):
    grey = tmp_path / "grey.keras"
    layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]
    keras.Sequential(layers).save(grey)

    with pytest.raises(ValueError, match=r"grey.keras .*\(None, 8, 8, 1\)"):
        load(str(grey))


SEEN = "may have seen such pictures"
UNKNOWN = "nobody can tell what it has learned from: perhaps from pictures like these"


@pytest.mark.parametrize(
    ("spec", "weights", "licence", "note"),
    [
        ("ConvNeXtTiny", "imagenet", "MIT", ""),
        ("ConvNeXtBase", "imagenet", "MIT", SEEN),
        ("hub:dinov2_base@224", "dinov2_base", "Apache-2.0", SEEN),
        ("hub:dinov3_vit_large_sat493m", "x", "DINOv3 License", ""),
        ("nets/hub_dinov2.keras@224", "hub_dinov2.keras", "", UNKNOWN),
        ("hub:folder/dinov2_base", "dinov2_base", "", UNKNOWN),
        ("MobileNet", "mine.h5", "", UNKNOWN),
        ("hub:vitdet_base_sa1b", "x", "", UNKNOWN),
        ("hub:efficientnet_b5_sw_imagenet", "x", "Apache-2.0", SEEN),
        ("hub:mobilenetv5_300m_enc_gemma3n", "x", "Gemma Terms of Use", SEEN),
        ("MobileNet", "untrained", "", ""),
    ],
)
def test_origin_is_told_where_it_is_known(spec, weights, licence, note):
    origin = networks.describe_origin(spec, weights)

    assert origin["licence"] == licence
    assert origin["note"] == note
    assert bool(origin["source"]) == bool(licence)


@pytest.mark.parametrize(
    ("spec", "name", "asks"),
    [
        ("hub:dinov2_small@224", "keras/dinov2_small", "the text of its licence"),
        ("hub:dinov3_vit_small_lvd1689m@256", "", "a copy of the agreement"),
    ],
)
def test_name_on_the_hub_and_what_the_licence_asks_for_are_told(spec, name, asks):
    origin = networks.describe_origin(spec, "x")

    assert origin["base_model"] == name
    assert asks in origin["asks"]


def test_of_every_preset_that_sees_pictures_it_is_told_what_it_has_learned_from():
    models = pytest.importorskip("keras_hub").models
    families = """CLIP CSPNet DINOV2 DINOV3 DeiT DenseNet EfficientNet HGNetV2 MetaCLIP2 MobileNet
        MobileNetV5 ResNet SigLIP SwinTransformer VGG ViT Xception"""
    for family in families.split():
        # Earlier releases of keras-hub have fewer.
        backbone = getattr(models, f"{family}Backbone", models.ViTBackbone)
        for preset in backbone.presets:
            origin = networks.describe_origin(f"hub:{preset}", preset)
            assert origin["trained_on"], preset
            assert origin["source"], preset


def test_every_application_has_a_size_and_an_origin():
    licences = {}
    for name, build in vars(keras.applications).items():
        if callable(build):
            licences[name] = networks.describe_origin(name, "imagenet")["licence"]

    assert sorted(licences) == sorted(networks.SIDES.index)
    assert all(licences.values()), licences


@pytest.fixture
def demo_ws(tmp_path):
    return replace(workspace.open("demo"), results=tmp_path, scratch=tmp_path)


@pytest.fixture
def no_download(monkeypatch):
    """Make every download of weights fail, as it does where a proxy refuses them."""
    fail = mock.Mock(side_effect=Exception("URL fetch failure: no route to host"))
    monkeypatch.setattr(MODULE.file_utils, "get_file", fail)


@pytest.fixture
def weights_file(tmp_path):
    """The weights of a small MobileNet, in a file."""
    trained = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), **SMALL
    )
    path = tmp_path / "mine.weights.h5"
    trained.save_weights(path)
    return trained, path


def test_weights_file_is_loaded_and_names_the_label(weights_file):
    trained, path = weights_file

    backbone = load("MobileNet", weights=str(path), size=32, options=SMALL)

    assert backbone.weights == "mine.weights.h5"
    for kept, loaded in zip(trained.weights, backbone.model.weights, strict=True):
        assert np.array_equal(kept, loaded)


def test_unusable_weights_file_is_an_error_that_names_it(weights_file, tmp_path):
    _, path = weights_file
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(path.read_bytes()[:5000])

    with pytest.raises(ValueError, match=f"MobileNet .*WEIGHTS {cut}, IMAGE_SIZE 32"):
        load("MobileNet", weights=str(cut), size=32, options=SMALL)


@pytest.mark.parametrize(
    ("name", "weights", "size", "options", "words"),
    [
        ("ResNet5", None, 32, {}, "BACKBONE .*'ResNet5'.*: ResNet50,"),
        ("MobileNet", None, 32, {"alfa": 1}, "BACKBONE_OPTIONS .*'alfa'"),
        ("MobileNet", "gone.h5", 32, {}, "WEIGHTS gone.h5"),
        ("ResNet50", "imagenet", 16, {}, "IMAGE_SIZE 16.* 32"),
        ("MobileNet", "imagenet", 128, {"alpha": 0.3}, "'alpha': 0.3"),
    ],
)
def test_wrong_parameter_is_named_and_not_taken_for_a_failed_download(
    name, weights, size, options, words, demo_ws, no_download
):
    with pytest.raises(ValueError, match=words):
        load(name, weights=weights, size=size, options=options, ws=demo_ws)


def test_on_the_demo_sketches_take_the_place_of_a_failed_download(
    demo_ws, no_download, capsys
):
    backbone = load("MobileNet", weights="imagenet", size=128, ws=demo_ws)

    assert backbone.spec == backbone.weights == "sketches"
    assert not backbone.model.trainable_weights
    assert capsys.readouterr().out.startswith("Note: MobileNet")


def test_failed_download_is_an_error_that_says_what_to_do_without_a_connection(
    no_download,
):
    with pytest.raises(ValueError, match="MobileNet .*no route to host.* name a file"):
        load("MobileNet", weights="imagenet", size=128)


def test_preset_that_kaggle_refuses_is_an_error_that_says_how_to_get_it(monkeypatch):
    hub = pytest.importorskip("keras_hub")
    refuse = mock.Mock(side_effect=RequestException("403 for dinov3"))
    monkeypatch.setattr(hub.layers.ImageConverter, "from_preset", refuse)

    with pytest.raises(ValueError, match="403 for dinov3.* set KAGGLE_API_TOKEN"):
        load("hub:dinov3_vit_small_lvd1689m", weights="imagenet")
