"""Keras on JAX takes the same batches, and learns from them, in a process of its own."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
from conftest import build_classifier

from lib.base import workspace
from lib.data import generators

PROGRAM = """
import json
import sys

import keras
from test_jax import make_batches

from lib.data import generators

assert keras.backend.backend() == "jax"
model = keras.saving.load_model(sys.argv[1])
batches = make_batches()
fed = generators.stream(batches)
probabilities = model.predict(fed, verbose=0)
losses = model.fit(fed, epochs=20, verbose=0).history["loss"]
print(json.dumps([probabilities.tolist(), losses]))
"""


def make_batches():
    """Make batches of twelve grey pictures of 4 x 4 pixels; the brighter, the higher the class."""
    levels = np.arange(12, dtype=np.uint8) * 20
    pictures = np.tile(levels[:, None, None, None], (1, 4, 4, 3))
    return generators.Batches(
        pictures, np.arange(12) // 4, num_classes=3, batch_size=5, seed=3
    )


def test_stream_feeds_keras_on_jax_the_same_batches(tmp_path):
    keras.utils.set_random_seed(1)
    model = build_classifier(
        keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), shape=(4, 4, 3)
    )
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    model.save(tmp_path / "tiny.keras")
    expected = model.predict(generators.stream(make_batches()), verbose=0)
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}

    output = subprocess.check_output(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "tiny.keras")],
        env=environment,
        cwd=workspace.REPOSITORY,
        text=True,
    )

    probabilities, losses = json.loads(output.splitlines()[-1])
    assert np.allclose(probabilities, expected, atol=1e-5)
    assert losses[-1] < 0.9 * losses[0]
