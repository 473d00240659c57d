"""Numbers of one model, from labels and probabilities."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from lib.data.split import deal_folds
from lib.evaluation.group_answers import score_groups
from lib.evaluation.intervals import LEVEL, effective_sample_size, wilson_interval
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
class Score:
    """The numbers of one model; shares and probabilities are 0-1, intervals of 95 % Wilson's."""

    label: str  # of the model, with the weights that its training started from
    weights: str
    n: int  # pictures
    effective_n: float  # `intervals.effective_sample_size`
    top1: float  # share of pictures whose true class is the most probable one
    top1_interval: list[float]
    top3: float  # or one of the three most probable ones
    top3_interval: list[float]
    average_per_class: float  # the mean recall, also called balanced accuracy
    macro_f1: float
    # By class; `per_class` is recall, and `support` counts pictures.
    support: dict[str, int]
    per_class: dict[str, float]
    precision: dict[str, float]
    f1: dict[str, float]
    per_class_interval: dict[str, list[float]]
    majority_class: str
    baseline: float  # the top-1 of always answering it
    roc_auc: float  # the mean of each class against the rest
    nll: float  # mean negative log-likelihood of the true class, in nats
    brier: float  # mean squared distance from certainty of the truth, 0-2 (Brier 1950)
    confidence: float  # mean probability of the answers
    ece: float  # `expected_calibration_error`
    temperature: float  # `establish_temperature`; 1 of what was calibrated before
    # Of the half that did not fit it, without and with it.
    nll_before: float
    ece_before: float
    nll_after: float
    ece_after: float
    # `judge_confidence` of the scaled probabilities, of all pictures where the temperature is 1.
    judged_n: int
    judged_top1: float
    judged_confidence: float
    judged_z: float
    # `group_answers.score_groups`; None where no pictures belong together.
    groups: int | None = None
    by_group: float | None = None
    by_picture: float | None = None
    parents: dict | None = None  # `_score_parents`; None of classes without
    compared: int = 1  # configurations, of which this may be the best

    @property
    def calibration(self) -> str:
        """Whether the scaled probabilities can be believed; its level is divided by `compared`."""
        if self.judged_n < MIN_PICTURES:
            return "too few"
        if 2 * norm.sf(abs(self.judged_z)) >= LEVEL / self.compared:
            return "neither too sure nor too modest"
        return "too sure" if self.judged_z < 0 else "too modest"

    @property
    def worst_first(self) -> list[str]:
        """The classes, the lowest recall first."""
        return sorted(self.per_class, key=self.per_class.get)

    def to_dict(self) -> dict:
        """Return the numbers that there are, for JSON and tables."""
        return {name: one for name, one in vars(self).items() if one is not None}


def evaluate(
    y_true: np.ndarray,
    y_prob: np.ndarray,
    record: Record,
    groups: np.ndarray,
    compared: int = 1,
) -> Score:
    """Score one model.

    Args:
        y_true: int (n,), the index of each true class; every class has pictures.
        y_prob: float (n, classes), rows sum to 1.
        record: of the model; what other pictures have calibrated, these must not.
        groups: int (n,), as in `intervals`.
        compared: how many configurations are compared.
    """
    order = np.argsort(-y_prob, axis=1, kind="stable")
    is_truth = order == y_true[:, np.newaxis]
    rank = is_truth.argmax(axis=1)
    correct = rank == 0
    is_among = rank < 3
    return Score(
        label=record.label,
        weights=record.weights,
        n=len(y_true),
        effective_n=effective_sample_size(groups),
        top1=float(correct.mean()),
        top1_interval=share_interval(correct, groups),
        top3=float(is_among.mean()),
        top3_interval=share_interval(is_among, groups),
        **_score_classes(y_true, order[:, 0], record.class_names, groups),
        **_score_probabilities(y_true, y_prob, correct),
        **_judge_probabilities(y_true, y_prob, correct, groups, record),
        parents=_score_parents(y_true, order[:, 0], record, groups),
        compared=compared,
    )


def share_interval(correct: np.ndarray, groups: np.ndarray) -> list[float]:
    """Return the interval of the share of pictures that are right, bool (n,)."""
    share = np.sum(correct) / max(len(correct), 1)
    return wilson_interval(share, effective_sample_size(groups, correct))


def _score_classes(y_true, y_pred, class_names, groups):
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, labels=range(len(class_names)), zero_division=0
    )
    by_class = {"support": support, "per_class": recall, "precision": precision}
    table = pd.DataFrame(by_class, class_names).assign(f1=f1)
    bounds = {}
    for number, correct in pd.Series(y_pred == y_true).groupby(y_true):
        name = class_names[number]
        bounds[name] = share_interval(correct, groups[correct.index])
    return table.to_dict() | {
        "average_per_class": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "per_class_interval": bounds,
        "majority_class": class_names[support.argmax()],
        "baseline": float(support.max() / len(y_true)),
    }


def _score_parents(y_true, y_pred, record, groups):
    """Score the parents of answers, where a class without one stands alone."""
    if not record.parents:
        return None
    parents = pd.Series(record.class_names).replace(record.parents).to_numpy()
    is_right = parents[y_true] == parents[y_pred]
    return {
        "accuracy": float(is_right.mean()),
        "interval": share_interval(is_right, groups),
        "n": len(y_true),
        "mistakes_within": int(is_right[y_true != y_pred].sum()),
    }


def _score_probabilities(y_true, y_prob, correct):
    confidence = y_prob.max(axis=1).astype(float)
    is_class = y_true[:, np.newaxis] == np.arange(y_prob.shape[1])
    of_truth = y_prob[is_class].astype(float)
    distances = np.square(y_prob).sum(axis=1) - 2 * of_truth + 1
    return {
        "roc_auc": float(roc_auc_score(is_class, y_prob)),
        "nll": measure_loss(y_true, y_prob),
        "brier": float(distances.mean()),
        "confidence": float(confidence.mean()),
        "ece": expected_calibration_error(confidence, correct),
    }


def _judge_probabilities(y_true, y_prob, correct, groups, record):
    # The temperature, what it changes on the half that judges it, and what is handed over.
    first, second = split_halves(y_true, groups)
    temperature = 1.0
    if not record.calibrated_on:
        temperature = establish_temperature(y_true[first], y_prob[first], groups[first])
    scaled = y_prob
    if temperature != 1:
        scaled = apply_temperature(y_prob, temperature)
    judged = {"temperature": temperature}
    for when, answers in (("before", y_prob), ("after", scaled)):
        confidence = answers.max(axis=1).astype(float)
        ece = expected_calibration_error(confidence[second], correct[second])
        judged[f"nll_{when}"] = measure_loss(y_true[second], answers[second])
        judged[f"ece_{when}"] = ece
    is_judge = second | (temperature == 1)
    judged |= judge_confidence(
        confidence[is_judge], correct[is_judge], groups[is_judge]
    )
    return judged | score_groups(y_true, scaled, groups)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the mean distance of probability and share that is right in bins (Guo et al. 2017)."""
    table = pd.DataFrame({"confidence": confidence, "correct": correct})
    by_bin = table.groupby(np.ceil(confidence * BINS).clip(1, BINS))
    bins = by_bin.mean()
    gaps = (bins.confidence - bins.correct).abs()
    return float(np.average(gaps, weights=by_bin.size()))


def split_halves(y_true: np.ndarray, groups: np.ndarray) -> tuple:
    """Divide pictures, but no group, into halves, two bool (n,), that have each class alike.

    The first fits the temperature and measures answer sets, the second judges it and limits them.
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
) -> dict[str, float]:
    """Compare how often answers are right, bool (n,), with how often they say to be, float (n,).

    Returns:
        judged_n, pictures; judged_top1, their share that is right; judged_confidence, their mean
        probability; and judged_z, Σ(right - p) / √Σp(1 - p), standard normal where each answer is
        right as often as it says (Spiegelhalter 1986); groups count by their effective size.
    """
    n = len(correct)
    variance = np.maximum(np.sum(confidence * (1 - confidence)), TINY)
    z = np.sum(correct - confidence) / np.sqrt(variance)
    return {
        "judged_n": n,
        "judged_top1": float(correct.mean()),
        "judged_confidence": float(confidence.mean()),
        "judged_z": float(z * np.sqrt(effective_sample_size(groups) / n)),
    }
