"""Whether probabilities can be believed, and the temperature that makes them so."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from lib.data.split import deal_folds
from lib.evaluation.intervals import LEVEL, effective_sample_size, sum_groups
from lib.models.record import Record
from lib.models.temperature import (
    TINY,
    apply_temperature,
    fit_temperature,
    measure_loss,
)

BINS = 15  # of the expected calibration error
MIN_PICTURES = 20  # that tell something about calibration


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities of a model can be believed, scaled by its temperature."""

    temperature: float  # `establish_temperature`; 1 of what was calibrated before
    # `expected_calibration_error` of the half that did not fit it, without and with it.
    ece_before: float
    ece_after: float
    # Of all pictures where the temperature is 1, else of that half.
    n: int
    top1: float  # share that is right
    confidence: float  # mean probability of the answers
    z: float  # `judge_confidence`
    compared: int  # configurations, each of which may be called too sure

    @property
    def word(self) -> str:
        """Whether the scaled probabilities can be believed, at a level divided by `compared`."""
        if self.n < MIN_PICTURES:
            return "too few pictures to say"
        if 2 * norm.sf(abs(self.z)) < LEVEL / self.compared:
            return "too sure" if self.z < 0 else "too modest"
        return "neither too sure nor too modest"


def calibrate(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    groups: np.ndarray,
    record: Record,
    compared: int,
) -> Calibration:
    """Fit the temperature to one half of the pictures, and judge it by the other.

    Args:
        y_true, groups: int (n,), the index of each true class, and groups as in `intervals`.
        y_prob: float (n, classes), rows sum to 1.
        record: of the model; what other pictures have calibrated, these must not.
        compared: how many configurations are compared.
    """
    first, second = split_halves(y_true, groups)
    temperature = 1.0
    if record.kind != "linear":
        temperature = establish_temperature(y_true[first], y_prob[first], groups[first])
    correct = y_prob.argmax(axis=1) == y_true
    scaled = y_prob if temperature == 1 else apply_temperature(y_prob, temperature)
    before = y_prob.max(axis=1).astype(float)
    after = scaled.max(axis=1).astype(float)
    is_judge = second | (temperature == 1)
    said = after[is_judge]
    is_right = correct[is_judge]
    return Calibration(
        temperature=temperature,
        ece_before=expected_calibration_error(before[second], correct[second]),
        ece_after=expected_calibration_error(after[second], correct[second]),
        n=len(said),
        top1=float(is_right.mean()),
        confidence=float(said.mean()),
        z=judge_confidence(said, is_right, groups[is_judge]),
        compared=compared,
    )


def split_halves(
    y_true: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divide pictures, but no group, into halves, two bool (n,), that have each class alike.

    The first fits the temperature and counts what sets hold, the second judges it and limits them.
    """
    is_first = deal_folds(y_true, groups, 2, seed=0) == 0
    return is_first, ~is_first


def establish_temperature(
    y_true: np.ndarray, y_prob: np.ndarray, groups: np.ndarray
) -> float:
    """Fit a temperature; it is 1 where the likelihood ratio establishes no other one (Wilks 1938)."""
    temperature = fit_temperature(y_true, y_prob)
    gain = measure_loss(y_true, y_prob)
    gain -= measure_loss(y_true, apply_temperature(y_prob, temperature))
    # Of n pictures, 2 n gain has a χ² of one degree of freedom where the temperature is 1.
    ratio = 2 * effective_sample_size(groups) * gain
    return temperature if chi2.sf(ratio, df=1) < LEVEL else 1.0


def judge_confidence(
    confidence: np.ndarray, correct: np.ndarray, groups: np.ndarray
) -> float:
    """Compare how often answers are right, bool (n,), with how often they say to be, float (n,).

    Returns:
        Σ(right - p) by its standard deviation, standard normal where each answer is right as
        often as it says (Spiegelhalter 1986). Pictures of a group are right or wrong together.
    """
    deviations, _ = sum_groups(np.sqrt(confidence * (1 - confidence)), groups)
    variance = max(deviations @ deviations, TINY)
    return float(np.sum(correct - confidence) / np.sqrt(variance))


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the mean distance of probability and share that is right in bins (Guo et al. 2017)."""
    number = np.ceil(confidence * BINS).clip(1, BINS)
    # Each is the gap of a bin, times its answers.
    gaps = pd.Series(confidence - correct).groupby(number).sum()
    return float(gaps.abs().sum() / len(correct))
