"""Where in a picture a model finds its answer."""

import keras
import numpy as np

POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten)


def grad_cam(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Make a heatmap of each picture, by Grad-CAM (Selvaraju et al. 2017).

    The maps that are pooled, or flattened, are added up, each weighted by the mean
    gradient of the predicted class's score before the softmax; what speaks against the
    class is cut off at 0.

    Args:
        images: uint8 (n, height, width, 3), which pass at once.

    Returns:
        Heatmaps, float32 (n, rows, columns), one number for each place of the maps: 1 where
        most speaks for the answer, 0 where nothing does.

    Raises:
        ValueError: no maps are pooled.
    """
    import tensorflow as tf

    find_maps, head = _split_at_pooling(model)
    last = head[-1]
    if isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = last.activation
    last.activation = keras.activations.linear
    try:
        with tf.GradientTape() as tape:
            maps = find_maps(images.astype(np.float32), training=False)
            tape.watch(maps)
            scores = maps
            for layer in head:
                scores = layer(scores)
            score = tf.reduce_max(scores, axis=1)
    finally:
        last.activation = activation
    slopes = tape.gradient(score, maps).numpy()
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    heatmaps = np.maximum((weights * maps.numpy()).sum(axis=-1), 0)
    largest = heatmaps.max(axis=(1, 2), keepdims=True)
    return heatmaps / np.maximum(largest, 1e-30)


def _split_at_pooling(model):
    """Return the model to the maps that are pooled last, and the layers behind them.

    A single place, which some networks flatten, is no map to point at.
    """
    for position, layer in reversed(list(enumerate(model.layers))):
        if isinstance(layer, POOLING):
            maps = layer.input
            if len(maps.shape) == 4 and maps.shape[1:3] != (1, 1):
                return keras.Model(model.inputs[0], maps), model.layers[position:]
    raise ValueError("no maps lead to its answer, so there is no place to point at.")
