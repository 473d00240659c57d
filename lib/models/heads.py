"""Linear classifiers as the last layer of a network."""

import keras
import numpy as np

from lib.models.linear import TunedLogistic


def build_head(classifier: TunedLogistic) -> keras.Sequential:
    """Build a classifier's twin: features as they are, (n, d), to probabilities."""
    weights, bias = unscale(classifier)
    if len(classifier.classes_) == 2:
        # Softmax gives the first class a logit, too: 0.
        weights = np.pad(weights, [(0, 0), (1, 0)])
        bias = np.pad(bias, (1, 0))
    dense = keras.layers.Dense(len(bias), activation="softmax")
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
