"""How far the probabilities of one model can be taken at their word."""

import numpy as np
import pandas as pd

from lib.data.split import deal_folds
from lib.evaluation.intervals import effective_n, wilson_interval
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss

BINS = 15  # of the expected calibration error


def measure_calibration(y_true, y_prob) -> dict[str, float]:
    """Measure how far probabilities, float (n, classes), can be taken at their word.

    Returns:
        nll: mean negative log-likelihood of the true class, in nats; brier: mean squared distance
        from certainty of the truth, 0-2 (Brier 1950); confidence: mean probability of the answers;
        ece: as `find_ece` returns it.
    """
    confidence, of_truth = (
        y_prob.max(axis=1),
        y_prob[np.arange(len(y_true)), y_true].astype(float),
    )
    return {
        "nll": measure_loss(y_true, y_prob),
        "brier": float((np.square(y_prob).sum(axis=1) - 2 * of_truth + 1).mean()),
        "confidence": float(confidence.mean(dtype=float)),
        "ece": find_ece(y_true, y_prob),
    }


def bin_confidences(y_true, y_prob, groups) -> pd.DataFrame:
    """Sort pictures by the probability of the answer into 15 bins of equal width.

    Returns a row a bin with pictures: confidence (mean probability of the answer), accuracy, low, high
    (its 95 % interval), pictures.
    """
    table = pd.DataFrame(
        {"confidence": y_prob.max(axis=1).astype(float), "group": groups}
    )
    table["accuracy"] = y_prob.argmax(axis=1) == y_true
    bins = table.groupby(np.ceil(table.confidence * BINS).clip(1, BINS))
    means = bins[["confidence", "accuracy"]].mean().assign(pictures=bins.size())
    means[["low", "high"]] = [
        *map(wilson_interval, means.accuracy, bins.group.agg(effective_n))
    ]
    return means.reset_index(drop=True)


def find_ece(y_true, y_prob) -> float:
    """Return the expected calibration error, 0-1, over 15 bins (Guo et al. 2017)."""
    bins = bin_confidences(y_true, y_prob, np.arange(len(y_true)))
    return float(
        np.average((bins.confidence - bins.accuracy).abs(), weights=bins.pictures)
    )


def split_halves(y_true, groups) -> tuple[np.ndarray, np.ndarray]:
    """Divide pictures, but no group, into halves that have each class alike.

    Return two bool (n,): what is fitted on, and what is judged.
    """
    fitted = deal_folds(y_true, groups, 2, seed=0) == 0
    return fitted, ~fitted


def judge_temperature(y_true, y_prob, groups) -> dict[str, float]:
    """Fit a temperature on one half of the pictures and judge it on the other.

    Returns temperature; and of the other half nll_before, nll_after, ece_before, ece_after.
    """
    fitted, judged = split_halves(y_true, groups)
    temperature = fit_temperature(y_true[fitted], y_prob[fitted])
    scores, truth, before = {"temperature": temperature}, y_true[judged], y_prob[judged]
    for when, given in (
        ("before", before),
        ("after", apply_temperature(before, temperature)),
    ):
        scores |= {
            f"nll_{when}": measure_loss(truth, given),
            f"ece_{when}": find_ece(truth, given),
        }
    return scores
