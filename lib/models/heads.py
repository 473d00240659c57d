"""A linear classifier as the last layer of a network."""

import keras

from lib.models.linear import Classifier


def build_head(classifier: Classifier) -> keras.Sequential:
    """Build a classifier's twin: features as they are, (n, d), to probabilities."""
    weights = classifier.weights
    bias = classifier.bias
    head = keras.Sequential(
        [
            keras.Input((len(weights),)),
            keras.layers.Dense(len(bias), activation=classifier.activation),
        ],
        name="head",
    )
    head.set_weights([weights, bias])
    return head
