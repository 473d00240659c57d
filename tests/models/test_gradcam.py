"""Heatmaps: they lie where the answer comes from, for networks of all kinds."""

import keras
import numpy as np
import pytest
from conftest import add_head, build_classifier
from keras import layers

from lib.models import backbones, gradcam, parts

SIZE = 32


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)


def build_plain(activation="softmax"):
    """Build a model as 02 and 03 do."""
    built = build_classifier(
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.3),
        layers.Flatten(),
        shape=(SIZE, SIZE, 3),
        activation=activation,
    )
    # As it comes from a file.
    return keras.Sequential.from_config(built.get_config())


def build_backbone(boxed):
    """Build a model as 04 does, with a residual block; return the model to its maps, too."""
    pixels = keras.Input((SIZE, SIZE, 3))
    first = layers.Conv2D(8, 3, activation="relu")(pixels / 255)
    branch = layers.Conv2D(8, 3, padding="same", activation="relu")(first)
    backbone = keras.Model(pixels, layers.Add()([branch, first]))
    backbone.trainable = False
    if boxed:
        pixels = keras.Input((SIZE, SIZE, 3))
        backbone = keras.Model(pixels, backbone(pixels))
    features = layers.GlobalAveragePooling2D()(backbone.output)
    return add_head(backbone.input, features), backbone


def weigh(maps, weights):
    """Finish Grad-CAM by hand: maps (n, h, w, k), weights (n, k)."""
    evidence = np.einsum("nhwk,nk->nhw", maps, weights)
    heatmaps = np.maximum(evidence, 0)
    largest = heatmaps.max(axis=(1, 2), keepdims=True)
    assert largest.any()
    return heatmaps / np.maximum(largest, 1e-30)


@pytest.mark.parametrize("boxed", [False, True])
def test_maps_are_what_the_pooling_takes_and_weights_those_of_the_moment(boxed, images):
    keras.utils.set_random_seed(0)
    model, to_maps = build_backbone(boxed)
    maps = to_maps.predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()

    for factor in (1, -1):
        model.layers[-1].set_weights([factor * kernel, bias])
        heatmaps = gradcam.grad_cam(model, images)

        predicted = model.predict_on_batch(images).argmax(axis=1)
        slopes = factor * kernel.T[predicted]
        assert np.allclose(heatmaps, weigh(maps, slopes), atol=1e-4)


def test_the_score_is_the_one_before_the_last_activation(images):
    keras.utils.set_random_seed(0)
    model = build_plain()
    other = build_plain(activation="sigmoid")
    other.set_weights(model.get_weights())

    heatmaps = gradcam.grad_cam(other, images)

    assert np.allclose(heatmaps, gradcam.grad_cam(model, images), atol=1e-6)


def test_a_single_place_that_is_flattened_is_no_map(images):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3))
    maps = layers.Conv2D(8, 8, strides=8)(pixels)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(maps)
    model = add_head(pixels, layers.Flatten()(layers.Conv2D(8, 1)(pooled)))

    heatmaps = gradcam.grad_cam(model, images)

    assert heatmaps.shape == (4, 4, 4)


def test_a_model_without_maps_is_an_error_that_says_so(images):
    pixels = keras.Input((SIZE, SIZE, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 8, strides=8)(pixels))
    model = add_head(pixels, layers.GlobalAveragePooling1D()(tokens))

    with pytest.raises(ValueError, match="no maps"):
        gradcam.grad_cam(model, images)


def test_the_last_pooling_counts_where_blocks_of_a_network_pool_within(images):
    backbone = backbones.load_backbone("MobileNetV3Small", None, 2 * SIZE, {}, None)
    extractor = parts.build_extractor(backbone)
    model = add_head(extractor.input, extractor.output)
    larger = images.repeat(2, axis=1).repeat(2, axis=2)

    heatmaps = gradcam.grad_cam(model, larger)

    # The network halves the side five times.
    assert heatmaps.shape == (4, 2, 2)
