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
    places, y_true = (
        rng.integers(0, SIZE - PATCH, (count, 2)),
        rng.integers(0, 3, count),
    )
    for image, (top, left), label in zip(images, places, y_true):
        image[top : top + PATCH, left : left + PATCH] = np.eye(3)[label] * 255
    return images, places, y_true


def build_plain(activation="softmax"):
    """Build a model as 02 and 03 do."""
    parts = [layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu")]
    parts += [layers.MaxPooling2D(2), layers.Conv2D(16, 3, activation="relu")]
    parts += [layers.MaxPooling2D(2), layers.Dropout(0.3), layers.Flatten()]
    parts += [layers.Dense(3, activation=activation)]
    built = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *parts])
    # As it comes from a file.
    return keras.Sequential.from_config(built.get_config())


def finish(pixels_in, features, name="model"):
    head = [keras.Input(features.shape[1:]), layers.Dense(3, activation="softmax")]
    return keras.Model(pixels_in, keras.Sequential(head)(features), name=name)


def build_backbone(boxed=False):
    """Build a model as 04 does, with a residual block in its backbone; return the model to its maps too."""
    pixels_in = keras.Input((SIZE, SIZE, 3))
    first = layers.Conv2D(8, 3, activation="relu")(pixels_in / 255)
    branch = layers.Conv2D(8, 3, padding="same", activation="relu")(first)
    backbone = keras.Model(pixels_in, layers.Add()([branch, first]))
    backbone.trainable = False
    if boxed:
        pixels_in = keras.Input((SIZE, SIZE, 3))
        backbone = keras.Model(pixels_in, backbone(pixels_in))
    features = layers.GlobalAveragePooling2D()(backbone.output)
    return finish(backbone.input, features), backbone


def test_model_trained_on_a_patch_lights_that_patch_and_stays_as_it_is():
    keras.utils.set_random_seed(0)
    (images, places, y_true), model = draw_patches(300), build_plain()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), y_true, epochs=8, verbose=0)
    before, config = model.predict_on_batch(images[:30]), model.get_config()
    assert (before.argmax(axis=1) == y_true[:30]).mean() > 0.9
    evidence = gradcam.grad_cam(model, images[:30])
    assert evidence.shape == (30, SIZE, SIZE) and evidence.dtype == np.float32
    assert evidence.min() >= 0 and np.allclose(evidence.max(axis=(1, 2)), 1)
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in evidence]
    far = abs(np.array(peaks) - places[:30] - PATCH / 2).max(axis=1)
    assert (far <= PATCH / 2 + 2).mean() >= 0.9
    assert np.array_equal(model.predict_on_batch(images[:30]), before)
    assert model.get_config() == config


def weigh(maps, weights):
    """Finish Grad-CAM by hand: maps (n, h, w, k), weights (n, k)."""
    evidence = np.maximum(np.einsum("nhwk,nk->nhw", maps, weights), 0)
    assert evidence.any()
    larger = keras.ops.image.resize(
        evidence[..., None], (SIZE, SIZE), interpolation="bilinear"
    )
    larger = keras.ops.convert_to_numpy(larger)[..., 0]
    return larger / np.maximum(larger.max(axis=(1, 2), keepdims=True), 1e-30)


def test_evidence_is_that_of_the_mean_weight_of_each_map_for_the_predicted_class():
    keras.utils.set_random_seed(0)
    model, (images, _, _) = build_plain(), draw_patches(4)
    maps, kinds = images.astype(np.float32), [type(layer) for layer in model.layers]
    for layer in model.layers[: kinds.index(layers.Flatten)]:
        maps = layer(maps)
    maps = keras.ops.convert_to_numpy(maps)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel := abs(kernel), bias])
    # The score is linear in the maps: the mean slope over their places is the mean weight.
    slopes = kernel.reshape(-1, maps.shape[-1], 3).mean(axis=0)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    expected = weigh(maps, slopes.T[predicted])
    assert np.allclose(gradcam.grad_cam(model, images), expected, atol=1e-4)


@pytest.mark.parametrize("boxed", [False, True])
def test_maps_are_what_the_pooling_takes_and_weights_those_of_the_moment(boxed):
    keras.utils.set_random_seed(0)
    (model, to_maps), (images, *_) = build_backbone(boxed), draw_patches(4)
    maps = to_maps.predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()
    for factor in (1, -1):
        model.layers[-1].set_weights([factor * kernel, bias])
        classes = model.predict_on_batch(images).argmax(axis=1)
        expected = weigh(maps, factor * kernel.T[classes])
        assert np.allclose(gradcam.grad_cam(model, images), expected, atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_score_is_the_one_before_the_last_activation(activation):
    keras.utils.set_random_seed(0)
    model, (images, *_) = build_plain(), draw_patches(4)
    other = build_plain(activation)
    other.set_weights(model.get_weights())
    expected = gradcam.grad_cam(model, images)
    assert np.allclose(gradcam.grad_cam(other, images), expected, atol=1e-6)


def build_without_maps():
    pixels_in = keras.Input((SIZE, SIZE, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 8, strides=8)(pixels_in))
    return finish(pixels_in, layers.GlobalAveragePooling1D()(tokens), "tokens")


def test_a_model_without_maps_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no maps lead to its answer"):
        gradcam.grad_cam(build_without_maps(), draw_patches(3)[0])


@pytest.mark.parametrize("name", ["MobileNet", "EfficientNetB0"])
def test_networks_of_keras_applications_show_their_evidence(name):
    backbone = backbones.load_backbone(name, None, 64, {}, None)
    extractor = parts.build_extractor(backbone)
    model = finish(extractor.input, extractor.output)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    evidence = gradcam.grad_cam(model, images)
    assert evidence.shape == (2, 64, 64) and np.isfinite(evidence).all()
