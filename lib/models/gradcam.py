"""Where in a picture a model finds its answer."""

import functools

import keras
import numpy as np
from keras import layers

from lib.data.pixels import open_pixels
from lib.models.pooling import flatten
from lib.models.saved import load_model

# Maps before these have more places; scores before those are the ones before the last activation.
COARSE = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout)
ACTIVATIONS = ("Activation", "Sigmoid", "Softmax")


def explain_models(ws, models, files) -> dict[str, np.ndarray]:
    """Ask models what spoke for their answers to some pictures; one that can't tell gets a line.

    Args:
        models: a DataFrame, a row a model by its label; columns name and image_size.
        files: text (n,), of the split.

    Returns label to what `grad_cam` returns.
    """
    evidence = {}
    for label, row in models.iterrows():
        images = open_pixels(ws, files, row["image_size"])[:]
        try:
            evidence[label] = grad_cam(load_model(ws, row["name"]), images)
        except ValueError as error:
            print(error)
    return evidence


def grad_cam(model: keras.Model, images: np.ndarray, classes=None) -> np.ndarray:
    """Mark what in each picture speaks for a class, by Grad-CAM (Selvaraju et al. 2017).

    The last maps are added up, each weighted by the mean gradient of the class's score before the last
    activation; what speaks against the class is cut off at 0. Threads may share the model.

    Args:
        model: takes pictures, gives one probability a class; may hold models.
        images: uint8 (n, height, width, 3); all pass at once.
        classes: int (n,), a class for each picture; None for the predicted ones.

    Returns float32 (n, height, width): 1 where the evidence is strongest, 0 where there is none. A
    ValueError where no maps lead to the answer, or not the last ones alone.
    """
    lower, upper, last = _cut(model)
    finish = _take_off_activation(last, upper.output_shape)

    def score(maps):
        return finish(upper(maps, training=False))

    maps = keras.ops.convert_to_numpy(lower(images, training=False)).astype(np.float32)
    scores = keras.ops.convert_to_numpy(score(maps))
    classes = scores.argmax(axis=1) if classes is None else classes
    chosen = np.eye(scores.shape[1], dtype=scores.dtype)[classes]
    gradient = _differentiate(lambda maps: keras.ops.sum(chosen * score(maps)), maps)
    weighted = gradient.mean(axis=(1, 2), keepdims=True) * maps
    evidence = np.maximum(weighted.sum(axis=-1, keepdims=True), 0)
    evidence = keras.ops.image.resize(evidence, images.shape[1:3], interpolation="bilinear")
    evidence = keras.ops.convert_to_numpy(evidence)[..., 0]
    return evidence / np.maximum(evidence.max(axis=(1, 2), keepdims=True), np.finfo("float32").tiny)


# Every cut leaves marks on the layers that the parts share.
@functools.lru_cache(maxsize=4)
def _cut(model: keras.Model) -> tuple[keras.Model, keras.Model, keras.Operation]:
    # Pictures to maps; maps to what the last layer takes, or gives without an activation; that layer.
    with flatten(model) as (flat, steps):
        maps, (last, scores) = _find_last_maps(model.name, steps), steps[-1]
        if type(last).__name__ in ACTIVATIONS or hasattr(last, "activation"):
            scores = steps[-2][1]
        try:
            lower, upper = keras.Model(flat.inputs[0], maps), keras.Model(maps, scores)
            # Keras 3.13 runs into it only where it is computed.
            upper.compute_output_shape((1, *maps.shape[1:]))
        except (KeyError, ValueError) as error:
            says = "can't be cut at its last maps: more than one path leads to its answer"
            raise ValueError(f"{model.name} {says}.") from error
    return lower, upper, last


def _find_last_maps(name: str, steps: list[tuple]) -> keras.KerasTensor:
    has_weights = [bool(getattr(layer, "weights", ())) for layer, _ in steps]
    # What comes before all weights are the pixels themselves.
    for layer, output in reversed(steps[has_weights.index(True) :] if any(has_weights) else []):
        shape = getattr(output, "shape", ())
        if len(shape) == 4 and shape[1:3] != (1, 1) and not isinstance(layer, COARSE):
            return output
        if len(shape) == 3:
            break
    raise ValueError(f"{name} has no maps before its answer, so there is no place to point at.")


def _take_off_activation(last: keras.Operation, input_shape: tuple):
    if type(last).__name__ in ACTIVATIONS or not hasattr(last, "activation"):
        return lambda scores: scores
    plain = type(last).from_config(last.get_config() | {"activation": "linear"})
    plain.build(input_shape)
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
