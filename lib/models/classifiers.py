"""Fitted linear classifiers, of classes and of labels."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax
from sklearn.pipeline import Pipeline

NEVER = -30.0  # the logit of a class that no row showed


@dataclass(frozen=True)
class Classifier:
    """A multinomial logistic regression of standardised features, and its temperature."""

    pipeline: Pipeline  # StandardScaler and LogisticRegression, fitted
    num_classes: int
    temperature: float
    activation = "softmax"

    @property
    def C(self) -> float:
        """The inverse strength of the L2 penalty."""
        return self.pipeline[-1].C

    def get_weights(self) -> list[np.ndarray]:
        """Return weights and bias for features that are not standardised.

        Returns:
            float32 (d, classes) and float32 (classes,), divided by the temperature.
        """
        scaler, regression = self.pipeline
        coefficients = regression.coef_ / scaler.scale_
        weights = np.zeros((coefficients.shape[1], self.num_classes), np.float32)
        bias = np.full(self.num_classes, NEVER / self.temperature, np.float32)
        bias[regression.classes_] = 0
        # Of two classes scikit-learn has weights for the second alone.
        classes = regression.classes_[-len(coefficients) :]
        weights[:, classes] = coefficients.T / self.temperature
        intercepts = regression.intercept_ - coefficients @ scaler.mean_
        bias[classes] = intercepts / self.temperature
        return [weights, bias]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for features, float32 (n, d)."""
        weights, bias = self.get_weights()
        return softmax(features[:] @ weights + bias, axis=1)


@dataclass(frozen=True)
class LabelClassifier:
    """A classifier of two classes for each label: without it, and with it."""

    classifiers: list[Classifier]
    activation = "sigmoid"

    def get_weights(self) -> list[np.ndarray]:
        """Return weights, float32 (d, labels), and bias, float32 (labels,)."""
        weights = []
        biases = []
        for classifier in self.classifiers:
            both, bias = classifier.get_weights()
            # Softmax of two classes is the sigmoid of their difference.
            weights.append(both[:, 1] - both[:, 0])
            biases.append(bias[1] - bias[0])
        return [np.column_stack(weights), np.array(biases)]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, labels), for features, float32 (n, d)."""
        weights, bias = self.get_weights()
        return expit(features[:] @ weights + bias)
