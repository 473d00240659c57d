"""Where in a picture a model finds its answer."""

import contextlib

import keras
import numpy as np


def find_evidence(model: keras.Model, images: np.ndarray, classes=None) -> np.ndarray:
    """Mark what in each picture speaks for a class, by Grad-CAM (Selvaraju et al. 2017).

    The maps of the last convolution are added up, each weighted by the mean gradient of the class's
    score before softmax with respect to it; what then speaks against the class is cut off at 0.

    Args:
        model: takes pictures, gives one probability a class; may hold models.
        images: uint8 (n, height, width, 3); all pass at once.
        classes: int (n,), a class for each picture; None for the predicted ones.

    Returns:
        float32 (n, height, width): 1 where the evidence is strongest, 0 where there is none.

    Raises:
        ValueError: the model has no convolution.
    """
    with _open_model(model, find_last_maps(model)) as record:
        scores = keras.ops.convert_to_numpy(model(images, training=False))
        maps = keras.ops.convert_to_numpy(record["maps"])
        classes = scores.argmax(axis=1) if classes is None else classes
        chosen = np.eye(scores.shape[1], dtype=np.float32)[classes]

        def score(change):
            record["change"] = change
            return keras.ops.sum(chosen * model(images, training=False))

        gradient = _differentiate(score, np.zeros_like(maps))
    evidence = np.maximum((gradient.mean(axis=(1, 2), keepdims=True) * maps).sum(axis=-1), 0)
    size = images.shape[1:3]
    evidence = keras.ops.image.resize(evidence[..., None], size, interpolation="bilinear")
    evidence = keras.ops.convert_to_numpy(evidence)[..., 0]
    strongest = evidence.max(axis=(1, 2), keepdims=True)
    return evidence / np.maximum(strongest, np.finfo(np.float32).tiny)


def find_last_maps(model: keras.Model) -> keras.Layer:
    """Return the last layer with weights, also in a model within, whose output has places.

    Raises:
        ValueError: there is none.
    """
    for layer in reversed(model.layers):
        shape = layer.output.shape
        # Some classifiers end in a convolution of one place.
        if len(shape) == 4 and shape[1] != 1 and layer.weights:
            return layer
        if isinstance(layer, keras.Model):
            with contextlib.suppress(ValueError):
                return find_last_maps(layer)
    raise ValueError(f"{model.name} has no convolution, so there is no place to point at.")


@contextlib.contextmanager
def _open_model(model: keras.Model, layer: keras.Layer):
    """Have a layer keep its maps and add a change to them, and the model answer before softmax.

    A model within a model has no outputs of its own in the outer graph, so the graph can't be cut
    there; a call can be overheard anywhere.
    """
    last = model
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    call, activation, record = layer.call, last.activation, {"change": 0}

    def add_change(*args, **kwargs):
        record["maps"] = call(*args, **kwargs)
        return record["maps"] + record["change"]

    layer.call, last.activation = add_change, keras.activations.linear
    try:
        yield record
    finally:
        layer.call, last.activation = call, activation


def _differentiate(function, point: np.ndarray) -> np.ndarray:
    # Keras has no word for a gradient.
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(point))
    import tensorflow as tf

    point = tf.constant(point)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return tape.gradient(value, point).numpy()
