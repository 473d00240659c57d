import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers

from lib import workspace
from lib.models import gradcam

SIZE, PATCH = 32, 8


def draw_patches(count):
    """Draw noise with a patch of one of three colours, the class, at a random place."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    places, y_true = rng.integers(0, SIZE - PATCH, (count, 2)), rng.integers(0, 3, count)
    for image, (top, left), label in zip(images, places, y_true):
        image[top : top + PATCH, left : left + PATCH] = np.eye(3)[label] * 255
    return images, places, y_true


def make_convolutions():
    first, last = (layers.Conv2D(filters, 3, activation="relu") for filters in (8, 16))
    return first, layers.MaxPooling2D(2), last


def build_plain(ending=(), activation="softmax"):
    """Build a model as 02 and 03 do."""
    head = [layers.MaxPooling2D(2), layers.Dropout(0.3), layers.Flatten()]
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), *make_convolutions(), *head]
        + [layers.Dense(3, activation=activation), *ending]
    )


def build_nested(pooled):
    """Build a model as 04 does, its backbone (with the pooling, if asked for) a model within."""
    pool = layers.GlobalAveragePooling2D()
    inside = [keras.Input((SIZE, SIZE, 3)), *make_convolutions(), *[pool] * pooled]
    pixels_in = keras.Input((SIZE, SIZE, 3))
    features = keras.Sequential(inside, name="backbone")(pixels_in / 255, training=False)
    features = features if pooled else pool(features)
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3, activation="softmax")])
    return keras.Model(pixels_in, head(features))


BUILD = {
    "plain": build_plain,
    "nested": lambda: build_nested(False),
    "nested with pooling": lambda: build_nested(True),
}


@pytest.mark.parametrize("kind", BUILD)
def test_model_trained_on_a_patch_lights_that_patch(kind, tmp_path):
    keras.utils.set_random_seed(0)
    images, places, y_true = draw_patches(300)
    model = BUILD[kind]()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), y_true, epochs=6, verbose=0)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    before = model.predict_on_batch(images[:30])
    assert (before.argmax(axis=1) == y_true[:30]).mean() > 0.9
    evidence = gradcam.grad_cam(model, images[:30], y_true[:30])
    assert evidence.shape == (30, SIZE, SIZE) and evidence.dtype == np.float32
    assert evidence.min() >= 0 and np.allclose(evidence.max(axis=(1, 2)), 1)
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in evidence]
    far = abs(np.array(peaks) - places[:30] - PATCH / 2).max(axis=1)
    assert (far <= PATCH / 2 + 2).mean() >= 0.9
    assert np.array_equal(model.predict_on_batch(images[:30]), before)


def test_evidence_for_another_class_lies_elsewhere_and_the_predicted_one_is_the_default():
    keras.utils.set_random_seed(0)
    model, (images, _, _) = build_plain(), draw_patches(4)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    default = gradcam.grad_cam(model, images)
    assert np.array_equal(default, gradcam.grad_cam(model, images, predicted))
    assert not np.allclose(default, gradcam.grad_cam(model, images, (predicted + 1) % 3))


def weigh(maps, weights):
    """Finish Grad-CAM by hand: maps (n, h, w, k), weights (n, k); scaled to 1, in the maps' size."""
    evidence = np.maximum(np.einsum("nhwk,nk->nhw", maps, weights), 0)
    return evidence / np.maximum(evidence.max(axis=(1, 2), keepdims=True), 1e-30)


def enlarge(evidence):
    assert evidence.any()
    larger = keras.ops.image.resize(evidence[..., None], (SIZE, SIZE), interpolation="bilinear")
    larger = keras.ops.convert_to_numpy(larger)[..., 0]
    return larger / np.maximum(larger.max(axis=(1, 2), keepdims=True), 1e-30)


def test_evidence_of_a_plain_model_is_that_of_finite_differences():
    keras.utils.set_random_seed(0)
    model, (images, _, classes) = build_plain(), draw_patches(4)
    names = [layer.name for layer in model.layers]
    last = names.index(gradcam.find_last_maps(model).name)
    assert isinstance(model.layers[last], layers.Conv2D)
    maps = keras.Model(model.inputs, model.layers[last].output).predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()

    def score(maps):
        pooled = maps.reshape(4, 6, 2, 6, 2, 16).max(axis=(2, 4))
        return (pooled.reshape(4, -1).astype(float) @ kernel + bias)[np.arange(4), classes]

    # A change of a whole map moves no maximum, so the score is linear in it.
    steps = np.eye(16, dtype=np.float32)
    weights = np.stack(
        [score(maps[:, :12, :12] + step) - score(maps[:, :12, :12] - step) for step in steps],
        axis=1,
    )
    expected = enlarge(weigh(maps, weights))
    assert np.allclose(gradcam.grad_cam(model, images, classes), expected, atol=1e-4)


@pytest.mark.parametrize("pooled", [False, True])
def test_evidence_of_a_nested_model_is_the_one_worked_out_by_hand(pooled):
    keras.utils.set_random_seed(0)
    model, (images, _, classes) = build_nested(pooled), draw_patches(4)
    backbone, head = model.get_layer("backbone"), model.layers[-1]
    cut = keras.Model(backbone.inputs, backbone.layers[-1 - pooled].output)
    kernel, _ = head.layers[-1].get_weights()
    expected = enlarge(weigh(cut.predict_on_batch(images / np.float32(255)), kernel.T[classes]))
    assert np.allclose(gradcam.grad_cam(model, images, classes), expected, atol=1e-4)


def test_evidence_of_a_transfer_model_as_in_04_is_the_one_worked_out_by_hand():
    keras.utils.set_random_seed(0)
    backbone = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(SIZE * 2, SIZE * 2, 3)
    )
    pixels_in = keras.Input((SIZE * 2, SIZE * 2, 3))
    scaled = keras.applications.resnet.preprocess_input(pixels_in)
    features = layers.GlobalAveragePooling2D()(backbone(scaled, training=False))
    dense = [layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    parts = [layers.Dropout(0.5), dense[0], layers.Dropout(0.3), dense[1]]
    head = keras.Sequential([keras.Input(features.shape[1:]), *parts], name="head")
    model = keras.Model(pixels_in, head(features))
    images, _, classes = draw_patches(4)
    images = images.repeat(2, axis=1).repeat(2, axis=2)
    maps = backbone.predict_on_batch(images[..., ::-1] - np.float32([103.939, 116.779, 123.68]))
    (first, bias), (second, _) = (layer.get_weights() for layer in dense)
    is_on = maps.mean(axis=(1, 2)) @ first + bias > 0
    weights = (second.T[classes] * is_on) @ first.T
    small = weigh(maps, weights)
    found = gradcam.grad_cam(model, images, classes)
    expected = keras.ops.image.resize(small[..., None], (64, 64), interpolation="bilinear")
    expected = keras.ops.convert_to_numpy(expected)[..., 0]
    expected = expected / np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-30)
    assert (expected.max(axis=(1, 2)) == 1).any()
    assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("ending", "activation"),
    [
        ([layers.Softmax()], None),
        ([layers.Activation("softmax")], None),
        ([], "sigmoid"),
        ([layers.Activation("sigmoid")], None),
        ([], None),
    ],
)
def test_the_score_is_the_one_before_the_last_activation(ending, activation):
    keras.utils.set_random_seed(0)
    model, (images, _, classes) = build_plain(), draw_patches(4)
    other = build_plain(ending, activation)
    other.set_weights(model.get_weights())
    expected = gradcam.grad_cam(model, images, classes)
    assert np.allclose(gradcam.grad_cam(other, images, classes), expected, atol=1e-6)


def test_softmax_of_keras_ops_is_taken_off_too():
    keras.utils.set_random_seed(0)
    bare, (images, _, classes) = build_plain(activation=None), draw_patches(4)
    model = keras.Model(bare.inputs, keras.ops.softmax(bare.outputs[0]))
    expected = gradcam.grad_cam(bare, images, classes)
    assert np.allclose(gradcam.grad_cam(model, images, classes), expected, atol=1e-6)


def test_threads_that_ask_one_model_at_the_same_time_get_what_one_alone_gets():
    keras.utils.set_random_seed(0)
    model, (images, _, _) = build_nested(False), draw_patches(8)
    before, evidence = model.predict_on_batch(images), gradcam.grad_cam(model, images)
    marks = [len(layer._inbound_nodes) for layer in model.layers]

    def ask(turn):
        if turn % 2:
            return np.allclose(model(images), before, atol=1e-6)
        return np.allclose(gradcam.grad_cam(model, images), evidence, atol=1e-6)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(40)))
    assert [len(layer._inbound_nodes) for layer in model.layers] == marks


def test_random_layers_are_at_rest():
    keras.utils.set_random_seed(0)
    images, _, classes = draw_patches(4)
    parts = [layers.RandomFlip(), layers.GaussianNoise(0.9), build_plain()]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *parts])
    expected = gradcam.grad_cam(parts[-1], images, classes)
    assert np.allclose(gradcam.grad_cam(model, images, classes), expected, atol=1e-6)


class Closed(keras.Model):
    """A model whose layers are known to its own code alone."""

    def __init__(self):
        super().__init__(name="closed")
        self.inside = build_plain()

    def call(self, images):
        return self.inside(images)


def test_model_that_cannot_be_cut_is_an_error_that_says_why():
    images, _, _ = draw_patches(1)
    pixels_in = keras.Input((SIZE, SIZE, 3))
    model = Closed()
    for closed in (model, keras.Model(pixels_in, model(pixels_in))):
        with pytest.raises(ValueError, match="closed.*neither.*can't be cut"):
            gradcam.grad_cam(closed, images)


def test_evidence_is_the_same_on_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed")
    keras.utils.set_random_seed(0)
    images, _, classes = draw_patches(3)
    for name, build in BUILD.items():
        build().save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "asked.npz", images=images, classes=classes)
    script = (
        "import sys, keras, numpy as np; from pathlib import Path; from lib.models import gradcam\n"
        "asked = np.load(Path(sys.argv[1], 'asked.npz'))\n"
        "for path in Path(sys.argv[1]).glob('*.keras'):\n"
        "    model = keras.saving.load_model(path)\n"
        "    np.save(path.with_suffix('.npy'), gradcam.grad_cam(model, **asked))\n"
    )
    other = "tensorflow" if keras.backend.backend() == "jax" else "jax"
    environment = os.environ | {"KERAS_BACKEND": other, "PYTHONPATH": str(workspace.REPOSITORY)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=environment)
    for name in BUILD:
        model = keras.saving.load_model(tmp_path / f"{name}.keras")
        expected = gradcam.grad_cam(model, images, classes)
        assert np.allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"), [("MobileNet", {"alpha": 0.25}), ("EfficientNetB0", {}), ("ResNet50", {})]
)
def test_backbones_of_keras_applications_show_their_evidence(name, options):
    build = getattr(keras.applications, name)
    backbone = build(weights=None, include_top=False, input_shape=(64, 64, 3), **options)
    pixels_in = keras.Input((64, 64, 3))
    features = layers.GlobalAveragePooling2D()(backbone(pixels_in, training=False))
    model = keras.Model(pixels_in, layers.Dense(3, activation="softmax")(features))
    assert gradcam.find_last_maps(model) is backbone
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    evidence = gradcam.grad_cam(model, images)
    assert evidence.shape == (2, 64, 64) and np.isfinite(evidence).all()


def test_model_without_a_convolution_is_an_error_that_names_it():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)], name="flat"
    )
    with pytest.raises(ValueError, match="flat has no convolution"):
        gradcam.find_last_maps(model)
