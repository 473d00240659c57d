"""Numbers of one model, from labels and probabilities."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from lib.data.split import deal_folds
from lib.evaluation.intervals import LEVEL, effective_sample_size, wilson_interval
from lib.models.temperature import (
    TINY,
    apply_temperature,
    fit_temperature,
    measure_loss,
)

BINS = 15  # of the expected calibration error


def evaluate(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    class_names: Sequence[str],
    groups: np.ndarray,
    is_calibrated: bool = False,
) -> dict:
    """Score one model.

    Args:
        y_true: int (n,), the index of each true class; every class has pictures.
        y_prob: float (n, classes), rows sum to 1.
        groups: int (n,), as in `intervals`.
        is_calibrated: whether other pictures have calibrated it, so that these must not.

    Returns:
        n, and effective_n, the effective sample size; top1, top3: share of pictures whose
        true class is the most probable one, or one of the three most probable;
        average_per_class: the mean recall, also called balanced accuracy; macro_f1; by
        class support, per_class (recall), precision and f1; majority_class, and baseline,
        what always answering it scores; roc_auc, the mean of each class against the rest;
        what `measure_calibration` and `judge_temperature` return. `_interval` after a name is
        Wilson's, of 95 %.
    """
    n = effective_sample_size(groups)
    scores = {"n": len(y_true), "effective_n": n}
    order = np.argsort(-y_prob, axis=1, kind="stable")
    is_truth = order == y_true[:, np.newaxis]
    for name, top in (("top1", 1), ("top3", 3)):
        is_among = is_truth[:, :top].any(axis=1)
        share = float(is_among.mean())
        scores[name] = share
        own_n = effective_sample_size(groups, is_among)
        scores[f"{name}_interval"] = wilson_interval(share, own_n)
    y_pred = order[:, 0]
    scores |= _score_classes(y_true, y_pred, class_names, groups)
    support = np.bincount(y_true, minlength=len(class_names))
    scores["majority_class"] = str(class_names[support.argmax()])
    scores["baseline"] = float(support.max() / len(y_true))
    is_class = y_true[:, np.newaxis] == np.arange(len(class_names))
    scores["roc_auc"] = float(roc_auc_score(is_class, y_prob))
    scores |= measure_calibration(y_true, y_prob)
    scores |= judge_temperature(y_true, y_prob, groups, is_calibrated)
    return scores


def _score_classes(y_true, y_pred, class_names, groups):
    classes = range(len(class_names))
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, labels=classes, zero_division=0
    )
    scores = {
        "average_per_class": float(recall.mean()),
        "macro_f1": float(f1.mean()),
    }
    by_class = {"support": support, "per_class": recall, "precision": precision}
    by_class["f1"] = f1
    scores |= pd.DataFrame(by_class, list(class_names)).to_dict()
    correct = pd.DataFrame({"group": groups, "correct": y_pred == y_true})
    bounds = {}
    for number, of_class in correct.groupby(y_true):
        n = effective_sample_size(of_class.group, of_class.correct)
        bounds[class_names[number]] = wilson_interval(recall[number], n)
    scores["per_class_interval"] = bounds
    return scores


def measure_calibration(y_true: np.ndarray, y_prob: np.ndarray) -> dict[str, float]:
    """Measure how far probabilities are from the shares that are right.

    Returns:
        nll: mean negative log-likelihood of the true class, in nats; brier: mean squared
        distance from certainty of the truth, 0-2 (Brier 1950); confidence: mean
        probability of the answers; ece: the expected calibration error.
    """
    confidence = y_prob.max(axis=1)
    of_truth = y_prob[np.arange(len(y_true)), y_true].astype(float)
    distances = np.square(y_prob).sum(axis=1) - 2 * of_truth + 1
    return {
        "nll": measure_loss(y_true, y_prob),
        "brier": float(distances.mean()),
        "confidence": float(confidence.mean(dtype=float)),
        "ece": expected_calibration_error(y_true, y_prob),
    }


def reliability_table(
    y_true: np.ndarray, y_prob: np.ndarray, groups: np.ndarray
) -> pd.DataFrame:
    """Sort pictures by the probability of the answer into 15 bins of equal width.

    Returns:
        A row per bin with pictures: confidence (mean probability of the answer),
        accuracy, low, high (its 95 % interval) and pictures.
    """
    table = pd.DataFrame({"confidence": y_prob.max(axis=1).astype(float)})
    table["accuracy"] = y_prob.argmax(axis=1) == y_true
    number = np.ceil(table.confidence * BINS).clip(1, BINS)
    means = table.groupby(number).mean()
    sizes = pd.Series(groups).groupby(number).agg(effective_sample_size)
    means["pictures"] = number.value_counts()
    means[["low", "high"]] = list(map(wilson_interval, means.accuracy, sizes))
    return means.reset_index(drop=True)


def expected_calibration_error(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Return the expected calibration error, 0-1, over 15 bins (Guo et al. 2017)."""
    bins = reliability_table(y_true, y_prob, np.arange(len(y_true)))
    gaps = (bins.confidence - bins.accuracy).abs()
    return float(np.average(gaps, weights=bins.pictures))


def split_halves(
    y_true: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divide pictures, but no group, into halves that have each class alike.

    Returns:
        Two bool (n,), the first and the second half. The first fits the temperature and
        measures answer sets; the second judges the temperature and limits the sets.
    """
    is_first = deal_folds(y_true, groups, 2, seed=0) == 0
    return is_first, ~is_first


def judge_temperature(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    groups: np.ndarray,
    is_calibrated: bool = False,
) -> dict[str, float]:
    """Fit a temperature on the first half of the pictures and judge it on the second.

    Args are those of `evaluate`.

    Returns:
        temperature, which is 1 where the likelihood ratio of the first half doesn't
        establish another one (Wilks 1938); of the second half nll_before, nll_after,
        ece_before and ece_after; and what `judge_confidence` returns of the scaled
        probabilities, of all pictures where the temperature is 1.
    """
    first, second = split_halves(y_true, groups)
    temperature = 1.0
    if not is_calibrated:
        temperature = _establish_temperature(
            y_true[first], y_prob[first], groups[first]
        )
    scaled = y_prob
    if temperature != 1:
        scaled = apply_temperature(y_prob, temperature)
    judged = {"temperature": temperature}
    for when, answers in (("before", y_prob), ("after", scaled)):
        half = y_true[second], answers[second]
        judged[f"nll_{when}"] = measure_loss(*half)
        judged[f"ece_{when}"] = expected_calibration_error(*half)
    is_judge = second | (temperature == 1)
    return judged | judge_confidence(
        y_true[is_judge], scaled[is_judge], groups[is_judge]
    )


def _establish_temperature(y_true, y_prob, groups):
    temperature = fit_temperature(y_true, y_prob)
    gain = measure_loss(y_true, y_prob)
    gain -= measure_loss(y_true, apply_temperature(y_prob, temperature))
    # Of n pictures, 2 n gain has a χ² of one degree of freedom where the temperature is 1.
    ratio = 2 * effective_sample_size(groups) * gain
    return temperature if chi2.sf(ratio, df=1) < LEVEL else 1.0


def judge_confidence(
    y_true: np.ndarray, y_prob: np.ndarray, groups: np.ndarray
) -> dict[str, float]:
    """Compare how often answers are right with how often they say to be.

    Args are those of `evaluate`.

    Returns:
        judged_n, how many pictures; judged_top1, the share that is right;
        judged_confidence, the mean probability of the answers; and judged_z,
        Σ(right - p) / √Σp(1 - p), which is standard normal where each answer is right as
        often as it says (Spiegelhalter 1986); groups count by their effective sample size.
    """
    confidence = y_prob.max(axis=1).astype(float)
    is_right = y_prob.argmax(axis=1) == y_true
    n = len(y_true)
    variance = np.maximum(np.sum(confidence * (1 - confidence)), TINY)
    z = np.sum(is_right - confidence) / np.sqrt(variance)
    return {
        "judged_n": n,
        "judged_top1": float(is_right.mean()),
        "judged_confidence": float(confidence.mean()),
        "judged_z": float(z * np.sqrt(effective_sample_size(groups) / n)),
    }
