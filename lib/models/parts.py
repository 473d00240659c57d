"""The two parts of a model: an extractor, from pixels to pooled features, and the head behind it."""

from functools import lru_cache

import keras
import numpy as np
from keras import layers

from lib.models.linear import TunedLogistic
from lib.models.networks import Network


def pool(outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Make one vector per picture of what a backbone gives.

    For maps it is the mean over all positions (Lin, Chen and Yan 2014). For tokens it is the class token,
    which stands first (ViT: Dosovitskiy et al. 2021); where their number is a square there is none, and
    the mean is taken. A vector stays as it is. The layer's name says which.

    Args:
        outputs: maps (n, h, w, channels), tokens (n, positions, channels) or vectors (n, channels).

    Returns:
        float (n, channels).
    """
    if len(outputs.shape) == 4:
        return layers.GlobalAveragePooling2D(name="mean_of_places")(outputs)
    if len(outputs.shape) == 2:
        return layers.Identity(name="own_vector")(outputs)
    count = outputs.shape[1]
    if (count**0.5).is_integer():
        return layers.GlobalAveragePooling1D(name="mean_of_tokens")(outputs)
    first = layers.Cropping1D((0, count - 1))(outputs)
    return layers.Flatten(name="class_token")(first)


def build_extractor(backbone: Network) -> keras.Model:
    """Build what leads from RGB pictures of 0-255, (n, size, size, 3), to features (n, channels)."""
    network = backbone.model
    return keras.Model(network.inputs[0], pool(network.output), name="extractor")


def has_backbone(model: keras.Model) -> bool:
    """Tell whether a saved model is a backbone with a head of its own behind it."""
    return isinstance(model.layers[-1], keras.Model)


def find_parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return extractor and head of a model with a backbone: pixels to features, features to probabilities."""
    *_, features, head = model.layers
    extractor = keras.Model(model.inputs[0], features.output, name="extractor")
    return extractor, head


# A model that is asked several times is traced once, which takes seconds.
@lru_cache(1)
def expose_features(model: keras.Model) -> keras.Model:
    """Make of a model with a backbone one that gives probabilities and, from the same pass, features.

    One without a backbone is returned as it is.
    """
    if not has_backbone(model):
        return model
    outputs = [*model.outputs, model.layers[-2].output]
    return keras.Model(model.inputs, outputs, name=model.name)


def build_head(classifier: TunedLogistic) -> keras.Sequential:
    """Build a classifier's twin: features as they are, (n, d), to probabilities."""
    weights, bias = unscale(classifier)
    if len(classifier.classes_) == 2:
        # Softmax gives the first class a logit, too: 0.
        weights = np.pad(weights, [(0, 0), (1, 0)])
        bias = np.pad(bias, (1, 0))
    dense = layers.Dense(len(bias), activation="softmax")
    head = keras.Sequential([keras.Input((len(weights),)), dense], name="head")
    head.set_weights([weights, bias])
    return head


def unscale(classifier: TunedLogistic) -> tuple[np.ndarray, np.ndarray]:
    """Return weights, (d, classes), and bias for features that are not standardised.

    Both are divided by the temperature. For two classes scikit-learn has those of the second alone.
    """
    scaler, regression = classifier.pipeline_
    coefficients = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - coefficients @ scaler.mean_
    return coefficients.T / classifier.temperature_, bias / classifier.temperature_
