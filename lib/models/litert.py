"""Models for phones and small computers: LiteRT files."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import keras

from lib.storage import whole_file


def export_litert(model, path: Path) -> None:
    """Write a model as a LiteRT file, its weights in float16: uint8 pictures in, probabilities out.

    Raises:
        ValueError: Keras runs on another backend than TensorFlow, which has the converter.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("EXPORT needs KERAS_BACKEND=tensorflow, which has the converter.")
    import tensorflow as tf

    pictures = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    answer = tf.function(lambda images: model(tf.cast(images, tf.float32), training=False))
    # The converter looks for variables in a tf.Module, which a model of Keras 3 isn't.
    owner = tf.Module()
    owner.kept = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [answer.get_concrete_function(pictures)], owner
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    with whole_file(path) as part:
        part.write_bytes(converter.convert())


def open_litert(path: Path) -> SimpleNamespace:
    """Open a LiteRT file so that `predict` can ask it like a model."""
    import tensorflow as tf

    with warnings.catch_warnings():
        # The interpreter will move to a package of its own, ai-edge-litert.
        warnings.simplefilter("ignore", UserWarning)
        runner = tf.lite.Interpreter(str(path)).get_signature_runner()
    return SimpleNamespace(
        name=path.name, predict_on_batch=lambda images: runner(images=images)["output_0"]
    )
