"""Models for phones, browsers and small computers: LiteRT files."""

import textwrap
import warnings
from pathlib import Path

import keras
import numpy as np

from lib.base.machine import count_cores
from lib.base.storage import atomic_write
from lib.models.parts import expose_features


class LiteRTModel:
    """An opened LiteRT file, which is asked like a model, picture by picture."""

    def __init__(self, path: Path):
        from tensorflow import lite

        # TensorFlow says at each use that its interpreter moves to ai-edge-litert.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            interpreter = lite.Interpreter(str(path), num_threads=count_cores())
        (taken,) = interpreter.get_input_details()
        self.name = path.name
        self.input_shape = taken["shape"].tolist()
        self.run = interpreter.get_signature_runner()

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), of pictures, uint8."""
        answers = [self.run(images=image[np.newaxis])["output_0"] for image in images]
        return np.vstack(answers)


def try_export(model: keras.Model, path: Path) -> str:
    """Write a model as a LiteRT file, its weights in float16; return "", or why there is no file.

    It takes a uint8 picture and gives probabilities; a model with a backbone gives its
    features, too: `output_0` and `output_1`.
    """
    import tensorflow as tf

    tf.get_logger().setLevel("WARNING")  # It names temporary folders.
    shape = (1, *model.input_shape[1:])  # one, for browsers
    # One version of Keras heeds the shape of the first, another that of the second.
    picture = keras.Input(batch_shape=shape, dtype="uint8", name="images")
    signature = [keras.InputSpec(shape=shape, dtype="uint8", name="images")]
    network = expose_features(model)
    try:
        answers = network(keras.ops.cast(picture, "float32"), training=False)
        with atomic_write(path) as part:
            keras.Model(picture, answers).export(
                str(part),
                format="litert",
                input_signature=signature,
                verbose=False,
                optimizations=[tf.lite.Optimize.DEFAULT],
                # Phones have LiteRT's own operations alone; Keras would admit TensorFlow's.
                target_spec={
                    "supported_types": [tf.float16],
                    "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS],
                },
            )
    # A converter refuses a network in many ways; no result is lost by that.
    except Exception as error:
        path.unlink(missing_ok=True)
        return f"{path.name} can't be made: {textwrap.shorten(str(error), 250)}"
    return ""
