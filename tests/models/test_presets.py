"""Networks of keras-hub, tiny and of random weights: each kind by itself, and one through 05 and 06."""

import keras
import numpy as np
import pytest
from conftest import add_head
from test_contest import gather

from lib.models import backbones, gradcam, keys, parts, saved

POOLING = {
    "ViT": "class_token",
    "DINOV2": "class_token",
    "DINOV3": "class_token",
    "SigLIP": "own_vector",
    "ResNet": "mean_of_places",
}
SHAPE = {"image_shape": (48, 48, 3)}
SIZES = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2}
WIDTH = {"intermediate_dim": 32}
PATCHES = SHAPE | {"patch_size": 16}
TEXT = {"vocabulary_size": 9, "embedding_dim": 16, "max_sequence_length": 8}
# The networks of keras-hub that see pictures, as small as they can be. Those that detect, segment or
# write about pictures are not among them.
TINY = {
    "ViT": PATCHES | SIZES | {"mlp_dim": 32, "use_class_token": True},
    "DINOV2": PATCHES
    | SIZES
    | WIDTH
    | {"position_embedding_shape": (48, 48), "num_register_tokens": 4},
    "DINOV3": PATCHES | SIZES | WIDTH,
    "DeiT": PATCHES | SIZES | WIDTH,
    "SigLIP": {},
    "CLIP": {"projection_dim": 16},
    "MetaCLIP2": {"projection_dim": 16},
    "ResNet": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [3],
        "stackwise_num_filters": [64, 16],
        "stackwise_num_blocks": [1, 1],
        "stackwise_num_strides": [1, 2],
        "block_type": "basic_block",
    },
    "HGNetV2": {
        "depths": [1, 1],
        "embedding_size": 8,
        "hidden_sizes": [16, 32],
        "stem_channels": [3, 8, 8],
        "hidden_act": "relu",
        "use_learnable_affine_block": False,
        "stackwise_stage_filters": [[8, 8, 16, 1, 1, 3], [16, 8, 32, 1, 1, 3]],
        "apply_downsample": [False, True],
        "use_lightweight_conv_block": [False, False],
    },
    "EfficientNet": {
        "stackwise_kernel_sizes": [3, 5],
        "stackwise_num_repeats": [1, 1],
        "stackwise_input_filters": [8, 8],
        "stackwise_output_filters": [8, 16],
        "stackwise_expansion_ratios": [1, 6],
        "stackwise_strides": [1, 2],
        "stackwise_squeeze_and_excite_ratios": [0, 0],
        "stackwise_block_types": ["v1", "v1"],
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "activation": "relu6",
    },
    "MiT": SHAPE
    | {
        "layerwise_depths": [1, 1],
        "num_layers": 2,
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [2, 1],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "hidden_dims": [16, 32],
    },
    "MobileNetV5": {
        "stackwise_block_types": [["er"]],
        "stackwise_num_blocks": [1],
        "stackwise_num_filters": [[16]],
        "stackwise_strides": [[2]],
        "stackwise_act_layers": [["relu"]],
        "stackwise_exp_ratios": [[2.0]],
        "stackwise_se_ratios": [[0.0]],
        "stackwise_exp_kernel_sizes": [[3]],
        "stackwise_pw_kernel_sizes": [[1]],
        "stackwise_dw_kernel_sizes": [[0]],
        "stackwise_dw_start_kernel_sizes": [[0]],
        "stackwise_dw_end_kernel_sizes": [[0]],
        "stackwise_num_heads": [[0]],
        "stackwise_key_dims": [[0]],
        "stackwise_value_dims": [[0]],
        "stackwise_kv_strides": [[0]],
        "stackwise_use_cpe": [[False]],
        "use_msfa": False,
    },
    "SwinTransformer": SHAPE
    | {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 3},
}
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 3)).astype(np.float32)


# Rows and columns of a heatmap; 3 of 48 pixels in pieces of 16.
PLACES = {
    "EfficientNet": 12,
    "HGNetV2": 6,
    "MiT": 6,
    "MobileNetV5": 12,
    "ResNet": 6,
    "SwinTransformer": 12,
}


def build_network(kind):
    """Build a small network of keras-hub."""
    from keras_hub import models

    keras.utils.set_random_seed(0)
    settings = dict(TINY[kind])
    if hasattr(models, f"{kind}TextEncoder"):
        text = getattr(models, f"{kind}TextEncoder")
        vision = getattr(models, f"{kind}VisionEncoder")
        settings["vision_encoder"] = vision(**PATCHES, **SIZES, **WIDTH)
        settings["text_encoder"] = text(**TEXT, **SIZES, **WIDTH)
    return getattr(models, f"{kind}Backbone")(**settings)


def save_preset(kind, folder):
    """Save a small network as keras-hub saves one, and return it."""
    from keras_hub import layers

    network = build_network(kind)
    network.save_to_preset(folder)
    converter = getattr(layers, f"{kind}ImageConverter")
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
    tower = network.vision_encoder if kind == "SigLIP" else network
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


@pytest.fixture(scope="module", params=TINY)
def any_kind(request):
    from keras_hub import models

    if not hasattr(models, f"{request.param}Backbone"):
        pytest.skip("Earlier releases of keras-hub have fewer.")
    return request.param


@pytest.fixture(scope="module")
def any_spec(any_kind, folder):
    save_preset(any_kind, str(folder / any_kind))
    return f"hub:{folder / any_kind}@48"


@pytest.fixture(scope="module")
def any_model(any_kind, any_spec, tmp_path_factory):
    """The model that 05 saves of a kind, as it is loaded again after another seed, and the features' key of 05."""
    keras.utils.set_random_seed(1)
    backbone = backbones.load_backbone(any_spec, "imagenet", None, {}, None)
    extractor = parts.build_extractor(backbone)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    saved.write_model(add_head(extractor.input, extractor.output), path)
    keras.utils.set_random_seed(2)
    return keras.saving.load_model(path), keys.make_frozen_key(extractor)


def test_features_that_05_computed_are_found_by_07(any_model):
    model, known = any_model

    extractor, _ = parts.find_parts(model)

    assert keys.make_frozen_key(extractor) == known


def test_heatmap_has_a_number_for_each_piece_of_the_picture(any_kind, any_model):
    model, _ = any_model

    heatmaps = gradcam.grad_cam(model, PIXELS.astype(np.uint8))

    side = PLACES.get(any_kind, 3)
    assert heatmaps.shape == (2, side, side)
    assert heatmaps.max(axis=(1, 2)).tolist() == [1, 1]


def test_preset_that_names_neither_size_nor_offset_sees_224_pixels(folder):
    from keras_hub import layers

    preset = str(folder / "bare")
    network = save_preset("ResNet", preset)
    layers.ResNetImageConverter(scale=1 / 255).save_to_preset(preset)
    shown = np.full((1, 224, 224, 3), 102.0)

    backbone = backbones.load_backbone(f"hub:{preset}", "x", None, {}, None)

    assert backbone.image_size == 224
    expected = np.asarray(network(shown / 255))
    assert np.allclose(backbone.model(shown), expected, atol=1e-4)


def test_unknown_preset_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="hub:no_such_preset"):
        backbones.load_backbone("hub:no_such_preset", "imagenet", None, {}, None)


def test_every_kind_that_sees_pictures_takes_part_in_the_contest(folder, prepared):
    from keras_hub import models

    # Earlier releases of keras-hub have fewer.
    known = [kind for kind in TINY if hasattr(models, f"{kind}Backbone")]
    kinds = [kind for kind in known if kind not in POOLING]
    for kind in kinds:
        save_preset(kind, str(folder / kind))

    facts, features = gather([f"hub:{folder / kind}@48" for kind in kinds], prepared)

    assert [row["reason"] for row in facts] == [""] * len(kinds)
    # The last maps, of 32 channels, and not those of the stem.
    assert features["hgnetv2_48"].shape[1] == 32


def test_preset_that_leads_to_the_weights_of_another_network_is_refused_with_both_names():
    from keras_hub import models

    presets = models.Backbone.presets
    refused = []
    for name in presets:
        try:
            backbones.check_handle(name, presets)
        except ValueError as error:
            refused.append(str(error))

    # Three of keras-hub 0.32, and none that leads to its own.
    assert len(presets) > 100
    assert all(
        "efficientnet_b1_ft_imagenet for efficientnet_e" in one for one in refused
    )
    wrong = {
        "efficientnet_el": {"kaggle_handle": "kaggle://a/b/keras/efficientnet_b1/5"}
    }
    with pytest.raises(ValueError, match="efficientnet_b1 for efficientnet_el"):
        backbones.check_handle("efficientnet_el", wrong)
