import keras
import numpy as np
import pytest

from lib.data import generators
from lib.models import classify, litert


@pytest.mark.filterwarnings("error:.*Interpreter.*:UserWarning")
def test_exported_file_answers_like_the_model_on_bytes_and_holds_half_precision(tmp_path):
    keras.utils.set_random_seed(0)
    parts = [keras.layers.Conv2D(64, 3), keras.layers.BatchNormalization(momentum=0)]
    parts += [keras.layers.DepthwiseConv2D(3, activation="relu"), keras.layers.Flatten()]
    backbone = keras.Sequential([keras.Input((12, 12, 3)), *parts])
    rng = np.random.default_rng(0)
    images, y_true = rng.integers(0, 256, (7, 12, 12, 3), dtype=np.uint8), [2, 0, 1, 1, 0, 2, 2]
    backbone(
        images / np.float32(127.5) - 1, training=True
    )  # gives the normalisation its statistics
    pixels_in = keras.Input((12, 12, 3))
    scaled = keras.applications.mobilenet.preprocess_input(pixels_in)
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(pixels_in, head(backbone(scaled, training=False)))
    litert.export_litert(model, tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").stat().st_size < 3 * model.count_params()
    batches = generators.Batches(images, y_true, 3, batch_size=3)
    labels, y_prob = classify.predict_batches(
        litert.open_litert(tmp_path / "model.tflite"), batches
    )
    expected = np.asarray(model.predict_on_batch(images))
    assert list(labels) == y_true and expected.std() > 0.01
    assert np.allclose(y_prob, expected, atol=0.005) and np.allclose(
        y_prob.sum(axis=1), 1, atol=1e-5
    )
