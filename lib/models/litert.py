"""Models for phones and small computers: LiteRT files."""

import contextlib
import io
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras

from lib.storage import whole_file


def export_litert(model, path: Path) -> None:
    """Write a model as a LiteRT file, its weights in float16: uint8 pictures in, probabilities out.

    A ValueError where Keras runs on another backend than TensorFlow, or is older than 3.13.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("EXPORT needs KERAS_BACKEND=tensorflow, which has the converter.")
    import tensorflow as tf

    images = keras.Input(model.input_shape[1:], dtype="uint8", name="images")
    answer = keras.Model(images, model(keras.ops.cast(images, "float32"), training=False))
    # Phones have LiteRT's own operations alone; Keras would admit TensorFlow's.
    target = {"supported_types": [tf.float16], "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    options = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": target}
    with whole_file(path) as part, contextlib.redirect_stdout(io.StringIO()):
        answer.export(str(part), format="litert", **options)


def open_litert(path: Path) -> SimpleNamespace:
    """Open a LiteRT file so that `predict` can ask it like a model."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        # TensorFlow says at each use that its interpreter moves to ai-edge-litert.
        warnings.simplefilter("ignore", UserWarning)
        runner = Interpreter(str(path)).get_signature_runner()
    return SimpleNamespace(
        name=path.name, predict_on_batch=lambda images: runner(images=images)["output_0"]
    )
