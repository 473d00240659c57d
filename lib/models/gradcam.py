"""Where in a picture a model finds its answer."""

import keras
import numpy as np

from lib.data.pixels import open_pixels
from lib.models.saved import load_model


def explain_models(ws, models, rows) -> dict[str, np.ndarray]:
    """Ask models what spoke for their answers to some pictures; one that can't tell gets a line.

    Args:
        models: a DataFrame, a row a model by its label; columns name and image_size.
        rows: of the split.

    Returns label to what `grad_cam` returns.
    """
    evidence = {}
    for label, row in models.iterrows():
        images = open_pixels(ws, rows, row["image_size"])[:]
        try:
            evidence[label] = grad_cam(load_model(ws, row["name"]), images)
        # Networks differ in many ways, and the other models can tell.
        except Exception as error:
            print(f"{row['name']} has no evidence to show: {error}")
    return evidence


def grad_cam(model: keras.Model, images: np.ndarray, classes=None) -> np.ndarray:
    """Mark what in each picture speaks for a class, by Grad-CAM (Selvaraju et al. 2017).

    The maps that are pooled, or flattened, are added up, each weighted by the mean gradient of the
    class's score before the softmax; what speaks against the class is cut off at 0.

    Args:
        model: takes pictures, gives one probability a class.
        images: uint8 (n, height, width, 3); all pass at once.
        classes: int (n,), a class for each picture; None for the predicted ones.

    Returns float32 (n, height, width): 1 where the evidence is strongest, 0 where there is none. A
    ValueError where no maps are pooled, or Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("Grad-CAM needs KERAS_BACKEND=tensorflow.")
    import tensorflow as tf

    both, last = keras.Model(model.inputs, _find_maps(model)), model.layers[-1]
    last = last.layers[-1] if isinstance(last, keras.Model) else last
    activation, last.activation = last.activation, keras.activations.linear
    try:
        # Watched from the pixels on, since what is frozen leaves no trace.
        pixels = tf.convert_to_tensor(images, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            maps, scores = both(pixels, training=False)
            classes = tf.argmax(scores, axis=1) if classes is None else classes
            score = tf.gather(scores, classes, axis=1, batch_dims=1)
        gradient = tape.gradient(score, maps)
    finally:
        last.activation = activation
    weighted = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True) * maps
    evidence = tf.nn.relu(tf.reduce_sum(weighted, axis=-1, keepdims=True))
    evidence = tf.image.resize(evidence, images.shape[1:3])[..., 0].numpy()
    return evidence / np.maximum(evidence.max(axis=(1, 2), keepdims=True), np.finfo("float32").tiny)


def _find_maps(model: keras.Model) -> tuple:
    """Return what the last pooling over all places takes, or `Flatten`, and the probabilities made of it."""
    pooling = keras.layers.GlobalAveragePooling2D, keras.layers.Flatten
    if isinstance(model, keras.Sequential):
        # Its layers stand in a graph for each that was added: a new one holds them all.
        tensors = [model.inputs[0]]
        for layer in model.layers:
            tensors.append(layer(tensors[-1]))
        takers = [t for layer, t in zip(model.layers, tensors) if isinstance(layer, pooling)]
    else:
        tensors = model.outputs
        takers = [layer.input for layer in model.layers if isinstance(layer, pooling)]
    if not takers or len(takers[-1].shape) != 4:
        raise ValueError("no maps lead to its answer, so there is no place to point at.")
    return takers[-1], tensors[-1]
