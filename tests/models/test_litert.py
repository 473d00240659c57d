"""LiteRT files: they answer like their model, or there is a reason and no file."""

import keras
import numpy as np
import pytest
from conftest import add_head

from lib.models import litert


def draw_images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


def build_model():
    """Build a model as 04 does, whose normalisation has statistics."""
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(64, 3),
            keras.layers.BatchNormalization(momentum=0),
            keras.layers.DepthwiseConv2D(3, activation="relu"),
            keras.layers.Flatten(),
        ]
    )
    backbone(draw_images(7) / np.float32(127.5) - 1, training=True)
    pixels = keras.Input((12, 12, 3))
    scaled = keras.applications.mobilenet.preprocess_input(pixels)
    return add_head(pixels, backbone(scaled, training=False))


def test_network_that_the_converter_refuses_is_a_reason_and_no_file(tmp_path):
    pixels = keras.Input((12, 12, 3))
    odd = keras.layers.Flatten()(keras.ops.erfinv(pixels / 300))
    path = tmp_path / "odd.tflite"
    path.write_bytes(b"of an earlier model")

    reason = litert.try_export(keras.Model(pixels, odd), path)

    assert reason.startswith("odd.tflite ")
    assert "Erfinv" in reason
    assert len(reason) < 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error:.*Interpreter.*:UserWarning")
def test_file_answers_like_the_model_and_holds_half_precision(tmp_path):
    model = build_model()
    path = tmp_path / "model.tflite"
    images = draw_images(7)
    expected = np.asarray(model.predict_on_batch(images))
    assert expected.std() > 0.01

    assert litert.try_export(model, path) == ""
    opened = litert.LiteRTModel(path)

    assert opened.input_shape == [1, 12, 12, 3]
    assert np.allclose(opened.predict_on_batch(images), expected, atol=0.005)
    # Two bytes a weight instead of four, and what else the file holds.
    assert path.stat().st_size < 3 * model.count_params()
