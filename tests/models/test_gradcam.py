import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
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


def build_plain(ending=(), activation="softmax"):
    """Build a model as 02 and 03 do."""
    parts = [layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu")]
    parts += [layers.MaxPooling2D(2), layers.Conv2D(16, 3, activation="relu")]
    parts += [layers.MaxPooling2D(2), layers.Dropout(0.3), layers.Flatten()]
    parts += [layers.Dense(3, activation=activation), *ending]
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *parts])


def build_nested(inside=(), outside=()):
    """Build a model as 04 does, with a residual block in its backbone; return the model to its maps too."""
    pixels_in = keras.Input((SIZE, SIZE, 3))
    first = layers.Conv2D(8, 3, activation="relu")(pixels_in / 255)
    branch = layers.Conv2D(8, 3, padding="same", activation="relu")(first)
    maps = features = layers.Add()([branch, first])
    for layer in (layers.Dropout(0.5, name="one"), *inside):
        features = layer(features)
    backbone, pixels_in = keras.Model(pixels_in, features), keras.Input((SIZE, SIZE, 3))
    features = backbone(pixels_in, training=False)
    for layer in outside:
        features = layer(features)
    return finish(pixels_in, features), keras.Model(backbone.inputs, maps)


def finish(pixels_in, features, name="model"):
    head = [keras.Input(features.shape[1:]), layers.Dense(3, activation="softmax")]
    return keras.Model(pixels_in, keras.Sequential(head)(features), name=name)


def build_pooled_within():
    return build_nested(inside=[layers.GlobalAveragePooling2D()])


def build_pooled_outside():
    # A second layer of one name, as where a backbone came from a file.
    again = layers.Dropout(0.5, name="one")
    return build_nested(outside=[again, layers.GlobalAveragePooling2D()])


def test_model_trained_on_a_patch_lights_that_patch_and_stays_as_it_is():
    keras.utils.set_random_seed(0)
    (images, places, y_true), model = draw_patches(300), build_plain()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), y_true, epochs=8, verbose=0)
    before, config = model.predict_on_batch(images[:30]), model.get_config()
    assert (before.argmax(axis=1) == y_true[:30]).mean() > 0.9
    evidence = gradcam.grad_cam(model, images[:30], y_true[:30])
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
    larger = keras.ops.image.resize(evidence[..., None], (SIZE, SIZE), interpolation="bilinear")
    larger = keras.ops.convert_to_numpy(larger)[..., 0]
    return larger / np.maximum(larger.max(axis=(1, 2), keepdims=True), 1e-30)


def test_evidence_is_that_of_finite_differences_for_the_predicted_class_and_any_other():
    keras.utils.set_random_seed(0)
    model, (images, _, _) = build_plain(), draw_patches(4)
    last = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    maps = keras.Model(model.inputs, last.output).predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()

    def score(maps):
        pooled = maps.reshape(4, 6, 2, 6, 2, 16).max(axis=(2, 4))
        return pooled.reshape(4, -1).astype(float) @ kernel + bias

    # A change of a whole map moves no maximum, so the score is linear in it.
    inner, steps = maps[:, :12, :12], np.eye(16, dtype=np.float32)
    slopes = np.stack([score(inner + step) - score(inner - step) for step in steps], axis=1)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    for classes, given in ((predicted, None), ((predicted + 1) % 3, (predicted + 1) % 3)):
        expected = weigh(maps, slopes[np.arange(4), :, classes])
        assert np.allclose(gradcam.grad_cam(model, images, given), expected, atol=1e-4)


@pytest.mark.parametrize("build", [build_pooled_within, build_pooled_outside])
def test_maps_are_those_after_an_addition_and_weights_those_of_the_moment(build):
    keras.utils.set_random_seed(0)
    (model, cut), (images, _, classes) = build(), draw_patches(4)
    maps = cut.predict_on_batch(images)
    kernel, bias = model.layers[-1].get_weights()
    for factor in (1, -1):
        model.layers[-1].set_weights([factor * kernel, bias])
        expected = weigh(maps, factor * kernel.T[classes])
        assert np.allclose(gradcam.grad_cam(model, images, classes), expected, atol=1e-4)


ENDINGS = [([layers.Softmax()], None), ([layers.Activation("sigmoid")], None), ([], "sigmoid")]


@pytest.mark.parametrize(("ending", "activation"), [*ENDINGS, ([], None), (None, None)])
def test_the_score_is_the_one_before_the_last_activation(ending, activation):
    keras.utils.set_random_seed(0)
    model, (images, _, classes) = build_plain(), draw_patches(4)
    other = build_plain(ending or [], activation)
    other.set_weights(model.get_weights())
    if ending is None:
        other = keras.Model(other.inputs, keras.ops.softmax(other.outputs[0]))
    expected = gradcam.grad_cam(model, images, classes)
    assert np.allclose(gradcam.grad_cam(other, images, classes), expected, atol=1e-6)


def test_threads_share_a_model_whose_graph_does_not_grow():
    keras.utils.set_random_seed(0)
    models, (images, _, _) = [build_pooled_outside()[0]], draw_patches(8)
    inside = models[0].layers[1].layers
    before, evidence = models[0].predict_on_batch(images), gradcam.grad_cam(models[0], images)
    marks = [len(layer._inbound_nodes) for layer in inside]

    def ask(turn):
        if turn % 2:
            return np.allclose(models[0](images), before, atol=1e-6)
        return np.allclose(gradcam.grad_cam(models[0], images), evidence, atol=1e-6)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(100)))
    assert [len(layer._inbound_nodes) for layer in inside] == marks


def test_random_layers_are_at_rest_and_half_precision_shows_nearly_the_same():
    keras.utils.set_random_seed(0)
    plain, (images, _, classes) = build_plain(), draw_patches(4)
    parts = [keras.Input((SIZE, SIZE, 3)), layers.RandomFlip(), layers.GaussianNoise(0.9), plain]
    expected = gradcam.grad_cam(plain, images, classes)
    evidence = gradcam.grad_cam(keras.Sequential(parts), images, classes)
    assert np.allclose(evidence, expected, atol=1e-6)
    keras.config.set_dtype_policy("mixed_float16")
    half = build_plain()
    keras.config.set_dtype_policy("float32")
    half.set_weights(plain.get_weights())
    evidence = gradcam.grad_cam(half, images, classes)
    assert evidence.dtype == np.float32 and np.allclose(evidence, expected, atol=0.02)


def build_without_maps(kind):
    pixels_in = keras.Input((SIZE, SIZE, 3))
    maps, pool = layers.Conv2D(8, 8, strides=8)(pixels_in), layers.GlobalAveragePooling2D
    if kind == "flat":
        features = layers.Flatten()(layers.Rescaling(1 / 255)(pixels_in))
    elif kind == "tokens":
        tokens = layers.Reshape((16, 8))(maps)
        tokens += layers.MultiHeadAttention(2, 4)(tokens, tokens)
        features = layers.GlobalAveragePooling1D()(tokens)
    elif kind == "paths":
        features = layers.Concatenate()([pool()(maps), pool()(layers.Conv2D(8, 3)(maps))])
    else:
        features = type("Closed", (keras.Model,), {"call": lambda self, x: x})()(pixels_in)
    return finish(pixels_in, features, kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("flat", "flat has no maps before its answer"),
        ("tokens", "tokens has no maps before its answer"),
        ("paths", "paths can't be cut at its last maps: more than one path"),
        ("closed", "closed.* is a model that does not show its layers"),
    ],
)
def test_model_without_maps_or_that_can_not_be_cut_is_an_error_that_says_why(kind, words):
    with pytest.raises(ValueError, match=words):
        gradcam.grad_cam(build_without_maps(kind), draw_patches(1)[0])


def test_a_model_without_maps_gets_a_line_and_the_others_are_shown(monkeypatch, capsys):
    models, images = (
        {"tokens": build_without_maps("tokens"), "plain": build_plain()},
        draw_patches(3)[0],
    )
    monkeypatch.setattr(gradcam, "load_model", lambda ws, name: models[name])
    monkeypatch.setattr(gradcam, "open_pixels", lambda ws, files, size: images[: len(files)])
    table = pd.DataFrame({"name": list(models), "image_size": SIZE}, list(models))
    evidence = gradcam.explain_models(None, table, ["a", "b"])
    assert list(evidence) == ["plain"] and evidence["plain"].shape[0] == 2
    assert "tokens has no maps" in capsys.readouterr().out


def test_evidence_is_the_same_on_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed")
    keras.utils.set_random_seed(0)
    images, _, classes = draw_patches(3)
    np.savez(tmp_path / "asked.npz", images=images, classes=classes)
    models = {tmp_path / "a.keras": build_plain(), tmp_path / "b.keras": build_pooled_within()[0]}
    for path, model in models.items():
        model.save(path)
    script = (
        "import sys, keras, numpy as np; from pathlib import Path; from lib.models import gradcam\n"
        "asked = np.load(Path(sys.argv[1], 'asked.npz'))\n"
        "for path in Path(sys.argv[1]).glob('*.keras'):\n"
        "    model = keras.saving.load_model(path)\n"
        "    np.save(path.with_suffix('.npy'), gradcam.grad_cam(model, **asked))\n"
    )
    other = "tensorflow" if keras.backend.backend() == "jax" else "jax"
    paths = os.pathsep.join([str(workspace.REPOSITORY), *sys.path])
    environment = os.environ | {"KERAS_BACKEND": other, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=environment)
    for path, model in models.items():
        expected = gradcam.grad_cam(model, images, classes)
        assert np.allclose(np.load(path.with_suffix(".npy")), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNet", "EfficientNetB0", "ResNet50"])
def test_whole_networks_of_keras_applications_show_their_evidence(name):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(64, 64, 3), classes=3)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    evidence = gradcam.grad_cam(model, images)
    assert evidence.shape == (2, 64, 64) and np.isfinite(evidence).all() and evidence.any()
