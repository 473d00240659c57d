"""Where in a picture a model finds its answer."""

import math

import keras
import numpy as np

POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten)


def grad_cam(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Make a heatmap of each picture, by Grad-CAM (Selvaraju et al. 2017).

    What is pooled last, maps, or else what the last transformer block gets, tokens, is added up. Each
    channel is weighted by its mean slope: that of the predicted class's score before the softmax, beyond
    the mean of all scores, which no softmax feels. And it is counted from its mean over all places, since
    it may be large everywhere. What speaks against the class is cut off at 0.

    Args:
        images: uint8 (n, height, width, 3), which pass at once.

    Returns:
        Heatmaps, float32 (n, rows, columns), one number for each place of the maps, or for each token of
        a piece of the picture: 1 where most speaks for the answer, 0 where nothing does.

    Raises:
        ValueError: no maps are pooled, and there is no transformer block.
    """
    values, slopes = _differentiate(model, images.astype(np.float32))
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    beyond = values - values.mean(axis=(1, 2), keepdims=True)
    heatmaps = np.maximum((weights * beyond).sum(axis=-1), 0)
    largest = heatmaps.max(axis=(1, 2), keepdims=True)
    return heatmaps / np.maximum(largest, 1e-30)


def _differentiate(model, pixels):
    """Return what the last layer gets that sees places, and the slopes of the answer along it."""
    import tensorflow as tf

    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = last.activation
    reader = _find_reader(model)
    call = reader.call
    seen = []

    def watch(inputs, *args, **options):
        tape.watch(inputs)
        seen.append(inputs)
        return call(inputs, *args, **options)

    # What comes before the reader needs no slopes, and to keep it would take memory.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        last.activation = keras.activations.linear
        reader.call = watch
        try:
            scores = model(pixels, training=False)
        finally:
            last.activation = activation
            del reader.call
        lead = tf.reduce_max(scores, axis=1) - tf.reduce_mean(scores, axis=1)
    return _lay_out(seen[-1]), _lay_out(tape.gradient(lead, seen[-1]))


def _find_reader(model):
    """Return the last layer that still gets places: what pools maps, or the last transformer block.

    A single place, which some networks flatten, is no map to point at.
    """
    for layer in reversed(model.layers):
        if isinstance(layer, POOLING):
            shape = layer.input.shape
            if len(shape) == 4 and shape[1:3] != (1, 1):
                return layer
    blocks = list(filter(_is_block, model._flatten_layers()))
    if blocks:
        return blocks[-1]
    raise ValueError(
        "neither maps nor transformer blocks lead to its answer, so there is no place to point at."
    )


def _is_block(layer):
    """Tell whether a layer is a transformer block: attention stands in it, and more."""
    parts = layer._flatten_layers(include_self=False, recursive=False)
    names = [type(part).__name__ for part in parts]
    # Attention may hold attention. So does what pools SigLIP's tokens, by its name.
    is_more = "Attention" not in type(layer).__name__
    return (
        is_more
        and not isinstance(layer, keras.Model)
        and any("Attention" in name for name in names)
    )


def _lay_out(tensor):
    """Return maps as they are, and tokens, (n, count, channels), as maps, without those of no place.

    Class and register tokens stand first. The others are those of a square.
    """
    values = np.asarray(tensor, np.float32)
    if values.ndim == 4:
        return values
    n, count, channels = values.shape
    side = math.isqrt(count)
    return values[:, -side * side :].reshape(n, side, side, channels)
