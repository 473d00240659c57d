"""A linear classifier as the last layer of a network."""

import keras
import numpy as np

from lib.models.linear import NEVER, Classifier, LabelClassifier


def build_head(classifier: Classifier) -> keras.Sequential:
    """Build a classifier's twin: features as they are, (n, d), to probabilities."""
    weights, bias = fold_scaling(classifier)
    return _build_dense(weights, bias, "softmax")


def build_label_head(classifier: LabelClassifier) -> keras.Sequential:
    """Build the twin for labels: features, (n, d), to a probability for each label."""
    columns = []
    biases = []
    for one in classifier.classifiers:
        weights, bias = fold_scaling(one)
        # Softmax of two classes is the sigmoid of their difference.
        columns.append(weights[:, 1] - weights[:, 0])
        biases.append(bias[1] - bias[0])
    return _build_dense(np.column_stack(columns), np.array(biases), "sigmoid")


def fold_scaling(classifier: Classifier) -> tuple:
    """Return weights and bias for features that are not standardised.

    Returns:
        float (d, classes) and float (classes,), divided by the temperature.
    """
    scaler, regression = classifier.pipeline
    coefficients = regression.coef_ / scaler.scale_
    intercepts = regression.intercept_ - coefficients @ scaler.mean_
    weights = np.zeros((coefficients.shape[1], classifier.num_classes))
    bias = np.full(classifier.num_classes, NEVER)
    bias[regression.classes_] = 0
    # Of two classes scikit-learn has weights for the second alone.
    classes = regression.classes_[-len(coefficients) :]
    weights[:, classes] = coefficients.T
    bias[classes] = intercepts
    return weights / classifier.temperature, bias / classifier.temperature


def _build_dense(weights, bias, activation):
    inputs = keras.Input((len(weights),))
    dense = keras.layers.Dense(len(bias), activation=activation)
    head = keras.Sequential([inputs, dense], name="head")
    head.set_weights([weights.astype(np.float32), bias.astype(np.float32)])
    return head
