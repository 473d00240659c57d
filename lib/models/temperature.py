"""One number that makes probabilities more or less sure: the temperature."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

# A probability that float32 rounded to 0 has no logarithm.
TINY = np.finfo(np.float32).tiny
RANGE = (0.05, 20)  # of temperatures
MIN_ANSWERS = 5  # right ones, and wrong ones, that a temperature needs


def apply_temperature(y_prob: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature (Guo et al. 2017).

    Args:
        y_prob: float (n, classes), rows sum to 1.

    Returns:
        Probabilities, float (n, classes); above 1 a temperature makes them less sure.
    """
    logits = np.log(np.maximum(y_prob, TINY))
    scaled = logits / np.float32(temperature)
    return softmax(scaled, axis=1)


def measure_loss(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats.

    Args:
        y_true: int (n,), the index of each true class.
        y_prob: float (n, classes).
    """
    of_truth = y_prob[np.arange(len(y_true)), y_true].astype(float)
    losses = -np.log(np.maximum(of_truth, TINY))
    return float(losses.mean())


def fit_temperature(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Find the temperature, 0.05 to 20, at which `measure_loss` is smallest.

    It is 1 where fewer than five answers are right, or wrong: nothing bounds the
    temperature of answers that are all right.

    Args:
        y_true: int (n,), the index of each true class.
        y_prob: float (n, classes).
    """
    is_right = y_prob.argmax(axis=1) == y_true
    if min(is_right.sum(), (~is_right).sum()) < MIN_ANSWERS:
        return 1.0

    def find_loss(logarithm: float) -> float:
        scaled = apply_temperature(y_prob, np.exp(logarithm))
        return measure_loss(y_true, scaled)

    found = minimize_scalar(
        find_loss,
        bounds=np.log(RANGE),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))
