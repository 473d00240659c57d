"""Where in a picture a model finds its answer."""

import keras
import numpy as np


def grad_cam(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Mark what in each picture speaks for the model's answer, by Grad-CAM (Selvaraju et al. 2017).

    The maps that are pooled, or flattened, are added up, each weighted by the mean gradient of the
    class's score before the softmax; what speaks against the class is cut off at 0.

    Takes uint8 (n, height, width, 3), which pass at once. Returns float32 (n, height, width): 1 where
    the evidence is strongest, 0 where there is none. A ValueError where no maps are pooled, or Keras
    does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("Grad-CAM needs KERAS_BACKEND=tensorflow.")
    import tensorflow as tf

    find_maps, behind = _cut(model)
    last = behind[-1].layers[-1] if isinstance(behind[-1], keras.Model) else behind[-1]
    activation, last.activation = last.activation, keras.activations.linear
    try:
        with tf.GradientTape() as tape:
            scores = maps = find_maps(
                tf.convert_to_tensor(images, tf.float32), training=False
            )
            tape.watch(maps)
            for layer in behind:
                scores = layer(scores)
            score = tf.reduce_max(scores, axis=1)
        gradient = tape.gradient(score, maps)
    finally:
        last.activation = activation
    weighted = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True) * maps
    evidence = tf.nn.relu(tf.reduce_sum(weighted, axis=-1, keepdims=True))
    evidence = tf.image.resize(evidence, images.shape[1:3])[..., 0].numpy()
    return evidence / np.maximum(
        evidence.max(axis=(1, 2), keepdims=True), np.finfo("float32").tiny
    )


def _cut(model: keras.Model) -> tuple:
    """Return what makes the maps that are pooled, or flattened, last; and the layers behind them."""
    pooling = keras.layers.GlobalAveragePooling2D, keras.layers.Flatten
    places = [k for k, layer in enumerate(model.layers) if isinstance(layer, pooling)]
    if not places or len(model.layers[places[-1]].input.shape) != 4:
        raise ValueError(
            "no maps lead to its answer, so there is no place to point at."
        )
    before, behind = model.layers[: places[-1]], model.layers[places[-1] :]
    if isinstance(model, keras.Sequential):
        return keras.Sequential(before), behind
    return keras.Model(model.inputs, behind[0].input), behind
