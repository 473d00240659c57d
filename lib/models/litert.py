"""Models for phones, browsers and small computers: LiteRT files."""

import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from lib.machine import count_cores
from lib.models.parts import expose_features, has_backbone
from lib.storage import atomic_write


def export_litert(model, path: Path) -> None:
    """Write a model as a LiteRT file, its weights in float16: a uint8 picture in, probabilities out.

    Of a model with a backbone its features come out, too: `output_0` and `output_1`. A ValueError where
    Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A LiteRT file needs KERAS_BACKEND=tensorflow, which has the converter."
        )
    import tensorflow as tf

    tf.get_logger().setLevel("WARNING")  # It names temporary folders.
    # Browsers take one picture. Of these two, one Keras heeds the first, another the second.
    shape = (1, *model.input_shape[1:])
    picture = keras.Input(batch_shape=shape, dtype="uint8", name="images")
    signature = [keras.InputSpec(shape=shape, dtype="uint8", name="images")]
    network = expose_features(model) if has_backbone(model) else model
    answer = keras.Model(
        picture, network(keras.ops.cast(picture, "float32"), training=False)
    )
    # Phones have LiteRT's own operations alone; Keras would admit TensorFlow's.
    target = {
        "supported_types": [tf.float16],
        "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS],
    }
    options = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": target}
    with atomic_write(path) as part:
        answer.export(
            str(part),
            format="litert",
            input_signature=signature,
            verbose=False,
            **options,
        )


def open_litert(path: Path) -> SimpleNamespace:
    """Open a LiteRT file so that it can be asked like a model, picture by picture."""
    import tensorflow as tf

    # TensorFlow says at each use that its interpreter moves to ai-edge-litert.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        interpreter = tf.lite.Interpreter(str(path), num_threads=count_cores())
    ask, (taken,) = interpreter.get_signature_runner(), interpreter.get_input_details()

    def predict_on_batch(images):
        return np.vstack(
            [ask(images=image[np.newaxis])["output_0"] for image in images]
        )

    shape = (None, *map(int, taken["shape"][1:]))
    return SimpleNamespace(
        name=path.name, predict_on_batch=predict_on_batch, input_shape=shape
    )


def try_export(model, path: Path) -> str:
    """Write a model as `export_litert` does; return "", or why there is no file."""
    try:
        export_litert(model, path)
        open_litert(path).predict_on_batch(
            np.zeros((1, *model.input_shape[1:]), np.uint8)
        )
        return ""
    # A converter refuses a network in many ways, and may tell all of it; no result is lost by that.
    except Exception as error:
        path.unlink(missing_ok=True)
        return f"{path.name} can't be made: {textwrap.shorten(str(error), 250)}"
