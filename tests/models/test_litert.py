import keras
import numpy as np
import pytest

from lib.data import generators
from lib.models import classify, litert


def build_model():
    """Build a model as 04 does, whose normalisation has statistics."""
    keras.utils.set_random_seed(0)
    parts = [keras.layers.Conv2D(64, 3), keras.layers.BatchNormalization(momentum=0)]
    parts += [
        keras.layers.DepthwiseConv2D(3, activation="relu"),
        keras.layers.Flatten(),
    ]
    backbone = keras.Sequential([keras.Input((12, 12, 3)), *parts])
    backbone(draw_images(7) / np.float32(127.5) - 1, training=True)
    pixels_in = keras.Input((12, 12, 3))
    scaled = keras.applications.mobilenet.preprocess_input(pixels_in)
    head = keras.layers.Dense(3, activation="softmax")
    return keras.Model(pixels_in, head(backbone(scaled, training=False)))


def draw_images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model, and its file."""
    model, path = build_model(), tmp_path_factory.mktemp("models") / "model.tflite"
    litert.export_litert(model, path)
    return model, path


def test_file_takes_exactly_one_picture_of_bytes_as_browsers_want_it(exported):
    import tensorflow as tf

    (taken,) = tf.lite.Interpreter(str(exported[1])).get_input_details()
    assert (
        taken["shape"].tolist() == taken["shape_signature"].tolist() == [1, 12, 12, 3]
    )
    assert taken["dtype"] is np.uint8


def test_network_that_the_converter_refuses_is_a_reason_and_no_file(
    tmp_path, monkeypatch
):
    pixels_in = keras.Input((12, 12, 3))
    odd = keras.layers.Flatten()(keras.ops.erfinv(pixels_in / 300))
    path = tmp_path / "odd.tflite"
    path.write_bytes(b"of an earlier model")
    reason = litert.try_export(keras.Model(pixels_in, odd), path)
    assert reason.startswith("odd.tflite can't be made: ") and "Erfinv" in reason
    assert len(reason) < 300 and "\n" not in reason
    assert not path.exists() and not [*tmp_path.iterdir()]
    with monkeypatch.context() as patch:
        patch.setattr(litert, "open_litert", lambda path: path / 0)
        assert "unsupported operand" in litert.try_export(build_model(), path)
    assert not path.exists(), "what no interpreter opens is no file"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert "KERAS_BACKEND=tensorflow" in litert.try_export(build_model(), path)


@pytest.mark.filterwarnings("error:.*Interpreter.*:UserWarning")
def test_file_answers_like_the_model_and_holds_half_precision(exported):
    model, path = exported
    assert path.stat().st_size < 3 * model.count_params()
    images, y_true = draw_images(7), [2, 0, 1, 1, 0, 2, 2]
    batches = generators.Batches(images, y_true, 3, batch_size=3)
    labels, y_prob = classify.predict_batches(litert.open_litert(path), batches)
    expected = np.asarray(model.predict_on_batch(images))
    assert list(labels) == y_true and expected.std() > 0.01
    assert np.allclose(y_prob, expected, atol=0.005)
    assert np.allclose(y_prob.sum(axis=1), 1, atol=1e-5)
