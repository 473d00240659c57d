"""Where in a picture a model finds its answer."""

import inspect

import keras
import numpy as np


def grad_cam(model: keras.Model, images: np.ndarray, classes=None) -> np.ndarray:
    """Mark what in each picture speaks for a class, by Grad-CAM (Selvaraju et al. 2017).

    The maps of the last convolution are added up, each weighted by the mean gradient of the class's
    score before the last activation; what speaks against the class is cut off at 0. The model stays
    as it is, so threads may share it.

    Args:
        model: takes pictures, gives one probability a class; may hold models.
        images: uint8 (n, height, width, 3); all pass at once.
        classes: int (n,), a class for each picture; None for the predicted ones.

    Returns float32 (n, height, width): 1 where the evidence is strongest, 0 where there is none. A
    ValueError where the model has no convolution, or can't be cut.
    """
    layer, kept = find_last_maps(model), []
    last = next(part for part in _walk_back(model) if not isinstance(part, keras.Model))
    plain = _take_off_activation(last)

    def keep_maps(*args, **kwargs):
        kept.append(layer(*args, **kwargs))
        return kept[0]

    def score(maps):
        scores = _run(model, images, {last: plain, layer: lambda *_, **__: maps})
        return keras.ops.sum(chosen * scores)

    scores = keras.ops.convert_to_numpy(_run(model, images, {last: plain, layer: keep_maps}))
    classes = scores.argmax(axis=1) if classes is None else classes
    chosen, maps = np.eye(scores.shape[1])[classes], keras.ops.convert_to_numpy(kept[0])
    weights = _differentiate(score, maps).mean(axis=(1, 2), keepdims=True)
    evidence = np.maximum((weights * maps).sum(axis=-1, keepdims=True), 0)
    evidence = keras.ops.image.resize(evidence, images.shape[1:3], interpolation="bilinear")
    evidence = keras.ops.convert_to_numpy(evidence)[..., 0]
    return evidence / np.maximum(evidence.max(axis=(1, 2), keepdims=True), np.finfo("float32").tiny)


def find_last_maps(model: keras.Model) -> keras.Layer:
    """Return the last layer with weights, also in a model within, whose output has places.

    A ValueError where there is none, or a model does not show its layers.
    """
    for part in _walk_back(model):
        shape = part.output.shape if isinstance(part, keras.Layer) and part.weights else ()
        # Some classifiers end in a convolution of one place.
        if len(shape) == 4 and shape[1] != 1:
            return part
    raise ValueError(f"{model.name} has no convolution, so there is no place to point at.")


def _walk_back(model: keras.Model):
    # From the last layer or operation to the first; a model comes before what it holds.
    if not getattr(model, "inputs", None):
        raise ValueError(f"{model.name} is neither Sequential nor functional, so it can't be cut.")
    for part in reversed(keras.Model(model.inputs, model.outputs[0]).operations):
        yield part
        if isinstance(part, keras.Model):
            yield from _walk_back(part)


def _run(model: keras.Model, inputs, swaps: dict):
    # Keras' clone_model swaps layers on the same walk, but leaves marks on those it shares.
    def choose(part):
        if part in swaps:
            return swaps[part]
        if isinstance(part, keras.Model):
            return lambda inputs, **_: _run(part, inputs, swaps)
        if "training" not in inspect.signature(part.call).parameters:
            return part
        # Layers that augment are at work unless told otherwise.
        return lambda *args, **kwargs: part(*args, **kwargs | {"training": False})

    graph = keras.Model(model.inputs, model.outputs[0])
    return graph._run_through_graph(keras.ops.cast(inputs, graph.inputs[0].dtype), choose)


def _take_off_activation(last: keras.Operation):
    if type(last).__name__ == "Softmax":
        return lambda scores, **_: scores
    config = last.get_config()
    if "activation" not in config:
        return last
    plain = type(last).from_config(config | {"activation": "linear"})
    plain.build(last.input.shape)
    plain.set_weights(last.get_weights())
    return plain


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
