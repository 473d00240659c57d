"""Heatmaps: they lie where the answer comes from, for networks of all kinds."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.models import backbones, gradcam, parts

SIZE, PATCH = 32, 8


def draw_patches(count):
    """Draw noise with a patch of one of three colours, the class, at a random place."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    corners = rng.integers(0, SIZE - PATCH, (count, 2))
    y_true = rng.integers(0, 3, count)
    for image, (top, left), label in zip(images, corners, y_true):
        patch = image[top : top + PATCH, left : left + PATCH]
        patch[:] = 0
        patch[..., label] = 255
    return images, corners, y_true


def build_plain(activation="softmax"):
    """Build a model as 02 and 03 do."""
    built = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, activation=activation),
        ]
    )
    # As it comes from a file.
    return keras.Sequential.from_config(built.get_config())


def add_head(pixels, features):
    inputs = keras.Input(features.shape[1:])
    dense = layers.Dense(3, activation="softmax")
    head = keras.Sequential([inputs, dense])
    return keras.Model(pixels, head(features))


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


def test_model_trained_on_a_patch_lights_that_patch_and_stays_as_it_is():
    keras.utils.set_random_seed(0)
    images, corners, y_true = draw_patches(300)
    model = build_plain()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), y_true, epochs=8, verbose=0)
    before = model.predict_on_batch(images[:30])
    config = model.get_config()
    assert (before.argmax(axis=1) == y_true[:30]).mean() > 0.9
    heatmaps = gradcam.grad_cam(model, images[:30])
    places = model.layers[-3].output.shape[1]
    assert heatmaps.shape == (30, places, places)
    assert heatmaps.dtype == np.float32
    assert heatmaps.min() >= 0
    assert np.allclose(heatmaps.max(axis=(1, 2)), 1)
    peaks = heatmaps.reshape(30, -1).argmax(axis=1)
    peaks = np.column_stack(np.unravel_index(peaks, (places, places)))
    centres = corners[:30] + PATCH / 2
    distances = abs((peaks + 0.5) * SIZE / places - centres).max(axis=1)
    assert (distances <= PATCH / 2 + 2).mean() >= 0.9
    assert np.array_equal(model.predict_on_batch(images[:30]), before)
    assert model.get_config() == config


def weigh(maps, weights):
    """Finish Grad-CAM by hand: maps (n, h, w, k), weights (n, k)."""
    heatmaps = np.maximum(np.einsum("nhwk,nk->nhw", maps, weights), 0)
    assert heatmaps.any()
    return heatmaps / np.maximum(heatmaps.max(axis=(1, 2), keepdims=True), 1e-30)


def test_maps_are_weighted_by_their_mean_weight_for_the_predicted_class():
    keras.utils.set_random_seed(0)
    model = build_plain()
    images, _, _ = draw_patches(4)
    maps = images.astype(np.float32)
    for layer in model.layers[:-2]:
        maps = layer(maps)
    maps = keras.ops.convert_to_numpy(maps)
    kernel, bias = model.layers[-1].get_weights()
    kernel = abs(kernel)
    model.layers[-1].set_weights([kernel, bias])
    # The score is linear in the maps: the mean slope over their places is the mean weight.
    slopes = kernel.reshape(-1, maps.shape[-1], 3).mean(axis=0)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    expected = weigh(maps, slopes.T[predicted])
    assert np.allclose(gradcam.grad_cam(model, images), expected, atol=1e-4)


@pytest.mark.parametrize("boxed", [False, True])
def test_maps_are_what_the_pooling_takes_and_weights_those_of_the_moment(boxed):
    keras.utils.set_random_seed(0)
    model, to_maps = build_backbone(boxed)
    images, _, _ = draw_patches(4)
    maps = to_maps.predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()
    for factor in (1, -1):
        model.layers[-1].set_weights([factor * kernel, bias])
        predicted = model.predict_on_batch(images).argmax(axis=1)
        expected = weigh(maps, factor * kernel.T[predicted])
        assert np.allclose(gradcam.grad_cam(model, images), expected, atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_score_is_the_one_before_the_last_activation(activation):
    keras.utils.set_random_seed(0)
    model = build_plain()
    other = build_plain(activation)
    other.set_weights(model.get_weights())
    images, _, _ = draw_patches(4)
    expected = gradcam.grad_cam(model, images)
    assert np.allclose(gradcam.grad_cam(other, images), expected, atol=1e-6)


def test_a_model_without_maps_is_an_error_that_says_so():
    pixels = keras.Input((SIZE, SIZE, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 8, strides=8)(pixels))
    model = add_head(pixels, layers.GlobalAveragePooling1D()(tokens))
    with pytest.raises(ValueError, match="no maps"):
        gradcam.grad_cam(model, draw_patches(3)[0])


@pytest.mark.parametrize("name", ["MobileNet", "EfficientNetB0"])
def test_networks_of_keras_applications_have_heatmaps(name):
    backbone = backbones.load_backbone(name, None, 64, {}, None)
    extractor = parts.build_extractor(backbone)
    model = add_head(extractor.input, extractor.output)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    heatmaps = gradcam.grad_cam(model, images)
    places = backbone.model.output.shape[1]
    assert heatmaps.shape == (2, places, places)
    assert np.isfinite(heatmaps).all()
