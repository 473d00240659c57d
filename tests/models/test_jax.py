"""Keras on JAX takes the same batches, and learns from them, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

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
    """Make batches of twelve grey pictures of 4 x 4 pixels; the brighter half is class 1."""
    levels = np.arange(12, dtype=np.uint8) * 20
    pictures = np.tile(levels[:, None, None, None], (1, 4, 4, 3))
    return generators.Batches(
        pictures, np.arange(12) // 6, num_classes=2, batch_size=5, seed=3
    )


def test_stream_feeds_keras_on_jax_the_same_batches(tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    model.save(tmp_path / "tiny.keras")
    expected = model.predict(generators.stream(make_batches()), verbose=0)
    path = str(Path(__file__).parent)
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
