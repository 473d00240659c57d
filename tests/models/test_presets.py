"""Networks of keras-hub, tiny and of random weights: each kind by itself, and one through 05 and 06."""

import importlib.util

import keras
import numpy as np
import pytest
from conftest import add_head

from lib.models import backbones, parts, saved

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="keras-hub is not installed"
)
POOLING = {
    "vit": "class_token",
    "dinov2": "class_token",
    "dinov3": "class_token",
    "siglip": "own_vector",
    "resnet": "mean_of_places",
}
SIZES = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2}
WIDTH = {"intermediate_dim": 32}
PATCHES = {"image_shape": (48, 48, 3), "patch_size": 16}
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 3)).astype(np.float32)


def build_network(kind):
    """Build a small network of keras-hub, and the layer that prepares its pictures."""
    from keras_hub import layers, models

    keras.utils.set_random_seed(0)
    if kind == "vit":
        network = models.ViTBackbone(
            mlp_dim=32, use_class_token=True, **PATCHES, **SIZES
        )
        return network, layers.ViTImageConverter
    if kind == "dinov2":
        network = models.DINOV2Backbone(
            position_embedding_shape=(48, 48), **PATCHES, **SIZES, **WIDTH
        )
        return network, layers.DINOV2ImageConverter
    if kind == "dinov3":
        network = models.DINOV3Backbone(**PATCHES, **SIZES, **WIDTH)
        return network, layers.DINOV3ImageConverter
    if kind == "siglip":
        text = models.SigLIPTextEncoder(
            vocabulary_size=9,
            embedding_dim=16,
            max_sequence_length=8,
            **SIZES,
            **WIDTH,
        )
        vision = models.SigLIPVisionEncoder(**PATCHES, **SIZES, **WIDTH)
        return models.SigLIPBackbone(vision, text), layers.SigLIPImageConverter
    network = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    return network, layers.ResNetImageConverter


def save_preset(kind, folder):
    """Save a small network as keras-hub saves one, and return it."""
    network, converter = build_network(kind)
    network.save_to_preset(folder)
    scaled = converter(image_size=(48, 48), scale=[1 / 127.5] * 3, offset=[-1.0] * 3)
    scaled.save_to_preset(folder)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("presets")


@pytest.fixture(scope="module", params=POOLING)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def network(kind, folder):
    """A network of keras-hub, which lies as a preset in the folder of its kind."""
    return save_preset(kind, str(folder / kind))


@pytest.fixture(scope="module")
def model(kind, folder, network):
    """The same network as a preset without its last layers, and a head behind it."""
    backbone = backbones.load_backbone(
        f"hub:{folder / kind}", "imagenet", None, {}, None
    )
    extractor = parts.build_extractor(backbone)
    return add_head(extractor.input, extractor.output, kind)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_features_are_those_that_the_network_itself_pools(kind, network, model):
    tower = network.vision_encoder if kind == "siglip" else network
    expected = np.asarray(tower(PIXELS / 127.5 - 1))
    if POOLING[kind] == "class_token":
        expected = expected[:, 0]
    if POOLING[kind] == "mean_of_places":
        expected = expected.mean(axis=(1, 2))

    extractor, head = parts.find_parts(model)

    assert head.name == "head"
    assert extractor.input_shape == (None, 48, 48, 3)
    assert extractor.layers[-1].name == POOLING[kind]
    assert np.allclose(extractor(PIXELS), expected, atol=1e-4)


def test_file_answers_as_its_model(model, tmp_path):
    path = tmp_path / "model.keras"

    saved.write_model(model, path)

    again = keras.saving.load_model(path, safe_mode=True)
    assert np.allclose(again(PIXELS), model(PIXELS), atol=1e-5)


def test_preset_that_names_neither_size_nor_offset_sees_224_pixels(folder):
    preset = str(folder / "bare")
    network, converter = build_network("resnet")
    network.save_to_preset(preset)
    converter(scale=1 / 255).save_to_preset(preset)
    shown = np.full((1, 224, 224, 3), 102.0)

    backbone = backbones.load_backbone(f"hub:{preset}", "x", None, {}, None)

    assert backbone.image_size == 224
    expected = np.asarray(network(shown / 255))
    assert np.allclose(backbone.model(shown), expected, atol=1e-4)


def test_unknown_preset_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="hub:no_such_preset"):
        backbones.load_backbone("hub:no_such_preset", "imagenet", None, {}, None)
