"""How far the probabilities of one model can be taken at their word."""

import numpy as np
import pandas as pd

from lib.data.split import deal_folds
from lib.evaluation import intervals
from lib.models.linear import apply_temperature, fit_temperature, measure_loss

# Bins of the expected calibration error, draws of its test, and what decides them.
BINS, DRAWS, SEED = 15, 1000, 0


def measure_calibration(y_true, y_prob, groups) -> dict:
    """Measure how far the probabilities can be taken at their word; Args as `metrics.evaluate`.

    Returns:
        nll: mean negative log-likelihood of the true class, in nats; brier: mean squared distance
        from certainty of the truth, 0-2 (Brier 1950); confidence: mean probability of the answers;
        overconfidence: confidence minus accuracy; ece: expected calibration error, 0-1, the mean
        distance of accuracy from confidence over 15 bins (Guo et al. 2017), and ece_by_chance: what
        would be expected of it if every probability were right; calibration_p: the probability of
        an ece as large in that case.
    """
    of_truth = y_prob[np.arange(len(y_true)), y_true].astype(float)
    confidence, right = y_prob.max(axis=1).astype(float), y_prob.argmax(axis=1) == y_true
    p_value, by_chance = resample_calibration(confidence, right, groups)
    return {
        "nll": measure_loss(y_true, y_prob),
        "brier": float((np.einsum("ij,ij->i", y_prob, y_prob) - 2 * of_truth + 1).mean()),
        "confidence": float(confidence.mean()),
        "overconfidence": float((confidence - right).mean()),
        "ece": find_ece(confidence, right),
        "ece_by_chance": by_chance,
        "calibration_p": p_value,
    }


def _find_bins(confidence):
    return np.ceil(np.asarray(confidence, float) * BINS).clip(1, BINS).astype(int)


def find_ece(confidence, right) -> float:
    """Return the expected calibration error of probabilities (n,) that are right (n,) or not."""
    gaps = np.bincount(_find_bins(confidence), confidence - right)
    return float(np.abs(gaps).sum() / len(right))


def resample_calibration(confidence, right, groups) -> tuple[float, float]:
    """Test calibration by drawing which answers are right (resampling: Bröcker and Smith 2007).

    Pictures of a group are right or wrong together, the worst case. Return the share of draws with
    an ECE as large, and the mean ECE of the draws.
    """
    rng = np.random.default_rng(SEED)
    chances = (rng.random(groups.max() + 1)[groups] for _ in range(DRAWS))
    drawn = np.array([find_ece(confidence, chance < confidence) for chance in chances])
    as_large = (drawn >= find_ece(confidence, right) - 1e-12).sum()
    return float((1 + as_large) / (1 + DRAWS)), float(drawn.mean())


def bin_confidences(y_true, y_prob, groups) -> pd.DataFrame:
    """Sort pictures by the probability of the answer into bins of equal width.

    Return one row a bin with pictures: confidence (mean probability of the answer), accuracy, low,
    high (its Wilson 95 % interval), pictures.
    """
    confidence, right = y_prob.max(axis=1).astype(float), y_prob.argmax(axis=1) == y_true
    bins, rows = _find_bins(confidence), []
    for chosen in (bins == number for number in np.unique(bins)):
        bounds = intervals.find_share_interval(right[chosen], groups[chosen])
        rows.append((confidence[chosen].mean(), right[chosen].mean(), *bounds, chosen.sum()))
    return pd.DataFrame(rows, columns=["confidence", "accuracy", "low", "high", "pictures"])


def split_halves(y_true, groups, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Divide pictures, but no group, into halves that have each class alike.

    Return two bool (n,): what is fitted on, and what is judged; of one group, the same twice.
    """
    if len(np.unique(groups)) == 1:
        every = np.ones(len(y_true), bool)
        return every, every
    fitted = deal_folds(y_true, groups, 2, seed) == 0
    return fitted, ~fitted


def judge_temperature(y_true, y_prob, groups) -> dict[str, float]:
    """Fit a temperature on one half of the pictures and judge it on the other.

    Returns:
        temperature: as `fit_temperature` returns it; nll_before, nll_after, ece_before, ece_after: of
        the other half.
    """
    fitted, judged = split_halves(y_true, groups)
    temperature = fit_temperature(y_true[fitted], y_prob[fitted])
    scores, truth, before = {"temperature": temperature}, y_true[judged], y_prob[judged]
    for when, given in (("before", before), ("after", apply_temperature(before, temperature))):
        scores[f"nll_{when}"] = measure_loss(truth, given)
        scores[f"ece_{when}"] = find_ece(given.max(axis=1), given.argmax(axis=1) == truth)
    return scores
