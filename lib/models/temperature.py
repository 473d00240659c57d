"""One temperature that divides the logits, so that a probability can be taken at its word."""

import numpy as np
from scipy.optimize import minimize_scalar

# A probability that float32 rounded to 0 has no logarithm.
TINY = np.finfo(np.float32).tiny
# The lowest and the highest temperature, and of right and of wrong answers how many one needs.
BOUNDS, FEWEST = (0.05, 20), 5


def _find_logits(y_prob):
    # The largest becomes 0.
    logits = np.log(np.maximum(y_prob, TINY))
    return logits - logits.max(axis=1, keepdims=True)


def apply_temperature(y_prob, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities, float (n, classes), by a temperature (Guo et al. 2017).

    Above 1 it makes a model less sure. Rows of what is returned sum to 1.
    """
    powers = np.exp(_find_logits(y_prob) / np.float32(temperature))
    return powers / powers.sum(axis=1, keepdims=True)


def measure_loss(y_true, y_prob) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats."""
    of_truth = y_prob[np.arange(len(y_true)), y_true].astype(float)
    return float(-np.log(np.maximum(of_truth, TINY)).mean())


def fit_temperature(y_true, y_prob) -> float:
    """Find the temperature at which the mean negative log-likelihood is smallest.

    Args:
        y_true: int (n,). y_prob: float (n, classes), of pictures that were not learned from.

    Returns the temperature, 0.05-20; 1 where fewer than five answers are right, or wrong: nothing
    bounds the temperature of what is always right.
    """
    right = y_prob.argmax(axis=1) == y_true
    if min(right.sum(), (~right).sum()) < FEWEST:
        return 1.0
    logits = _find_logits(y_prob)
    of_truth = logits[np.arange(len(y_true)), y_true].astype(float)

    def loss_at(logarithm):
        temperature = np.exp(logarithm)
        powers = logits / np.float32(temperature)
        sums = np.exp(powers, out=powers).sum(axis=1)
        return (np.log(sums) - of_truth / temperature).mean()

    options = {"bounds": np.log(BOUNDS), "method": "bounded", "options": {"xatol": 1e-4}}
    return float(np.exp(minimize_scalar(loss_at, **options).x))
