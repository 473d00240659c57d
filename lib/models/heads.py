"""A linear classifier as the last layer of a network."""

import keras

from lib.models.classifiers import Classifier, LabelClassifier


def build_head(classifier: Classifier | LabelClassifier) -> keras.Sequential:
    """Build a classifier's twin: features as they are, (n, d), to probabilities."""
    weights, bias = classifier.get_weights()
    inputs = keras.Input((len(weights),))
    dense = keras.layers.Dense(len(bias), activation=classifier.activation)
    head = keras.Sequential([inputs, dense], name="head")
    head.set_weights([weights, bias])
    return head
