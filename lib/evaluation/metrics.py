"""Numbers of one model, from labels and probabilities."""

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from lib.data.split import deal_folds
from lib.evaluation.intervals import effective_sample_size, wilson_interval
from lib.models.temperature import (
    TINY,
    apply_temperature,
    fit_temperature,
    measure_loss,
)

BINS = 15  # of the expected calibration error


def evaluate(y_true, y_prob, class_names, groups) -> dict:
    """Score one model.

    Args:
        y_true: int (n,), positions in `class_names`.
        y_prob: float (n, classes), rows sum to 1.
        class_names: text (classes,).
        groups: int (n,), as in `intervals`.

    Returns:
        n, and effective_n of `intervals`; top1, top3: share of pictures whose true class is the most
        probable one, or one of the three most probable; average_per_class: the mean recall over classes
        with pictures, also called balanced accuracy; macro_f1, weighted_f1, kappa (Cohen 1960), and
        roc_auc, pr_auc (average precision), means over classes of one against the rest, as in
        scikit-learn; what `measure_calibration` returns; majority_class: the class with most pictures, and
        baseline: what always answering it scores; by class support, per_class (recall), precision
        and f1. `_interval` after a name is Wilson's, of 95 %. Every class has pictures, as 01 sees to it.
    """
    n, of_truth = (
        effective_sample_size(groups),
        y_prob[np.arange(len(y_true)), y_true, None],
    )
    # Of equal probabilities the first counts as the higher, as argmax has it.
    earlier = np.arange(y_prob.shape[1]) < y_true[:, None]
    rank = ((y_prob > of_truth) | ((y_prob == of_truth) & earlier)).sum(axis=1)
    scores = {"n": len(y_true), "effective_n": n}
    for name, top in (("top1", 1), ("top3", 3)):
        scores[name] = float((rank < top).mean())
        scores[f"{name}_interval"] = wilson_interval(scores[name], n)
    y_pred, support = (
        y_prob.argmax(axis=1),
        np.bincount(y_true, minlength=len(class_names)),
    )
    scores |= score_classes(y_true, y_pred, class_names, groups)
    scores |= {
        "kappa": float(cohen_kappa_score(y_true, y_pred)),
        "majority_class": str(class_names[support.argmax()]),
        "baseline": float(support.max() / len(y_true)),
    }
    scores |= measure_areas(y_true, y_prob)
    scores |= measure_calibration(y_true, y_prob)
    return scores | judge_temperature(y_true, y_prob, groups)


def pool_groups(y_prob, groups) -> np.ndarray:
    """Give each picture the answer of its group: the mean of its pictures' logarithms of probabilities.

    Of float (n, classes), scaled by the temperature, and groups (n,), returns float (n, classes).
    """
    logarithms = pd.DataFrame(np.log(np.maximum(y_prob, TINY)))
    return softmax(
        logarithms.groupby(np.asarray(groups)).transform("mean").to_numpy(), axis=1
    )


def group_columns(y_prob, class_names, groups, usable) -> dict[str, pd.Series]:
    """Write what `pool_groups` says as columns; pictures not `usable`, bool (n,), have no vote."""
    table = pd.DataFrame({"group": groups})[usable]
    pooled = pool_groups(y_prob[usable], table.group)
    table["group_label"] = np.asarray(class_names)[pooled.argmax(axis=1)]
    table["group_probability"] = pooled.max(axis=1).round(6)
    agree = pd.Series(
        y_prob[usable].argmax(axis=1) == pooled.argmax(axis=1), table.index
    )
    of_group = agree.groupby(table.group)
    table["group_agree"] = of_group.transform("sum")
    table["group_size"] = of_group.transform("size")
    return dict(table.reindex(range(len(groups))).items())


def score_groups(y_true, y_prob, groups) -> dict:
    """Return groups, how many have one class, and by_group, the share of them right; or {} without any."""
    groups, truth = pd.Series(groups), pd.Series(y_true)
    alike = truth.groupby(groups).transform("nunique") == 1
    chosen = (alike & ~groups.duplicated()).to_numpy()
    if not (groups.duplicated().any() and chosen.any()):
        return {}
    correct = pool_groups(y_prob, groups).argmax(axis=1)[chosen] == truth[chosen]
    return {"groups": int(chosen.sum()), "by_group": float(correct.mean())}


def measure_areas(y_true, y_prob) -> dict:
    """Return roc_auc and pr_auc of `evaluate`."""
    truth = y_true[:, np.newaxis] == np.arange(y_prob.shape[1])
    means = {"roc_auc": roc_auc_score, "pr_auc": average_precision_score}
    return {name: float(area(truth, y_prob)) for name, area in means.items()}


def score_classes(y_true, y_pred, class_names, groups) -> dict:
    """Return what `evaluate` says of single classes, and the scores that are means over them."""
    options = {"labels": range(len(class_names)), "zero_division": 0}
    precision, recall, f1, support = precision_recall_fscore_support(
        y_true, y_pred, **options
    )
    scores = {
        "average_per_class": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "support": dict(zip(class_names, support.astype(int).tolist())),
    }
    for name, values in (("per_class", recall), ("precision", precision), ("f1", f1)):
        scores[name] = dict(zip(class_names, values.tolist()))
    of_class = (
        effective_sample_size(groups[y_true == k]) for k in range(len(class_names))
    )
    bounds = map(wilson_interval, recall, of_class)
    return scores | {"per_class_interval": dict(zip(class_names, bounds))}


def measure_calibration(y_true, y_prob) -> dict[str, float]:
    """Measure how far probabilities, float (n, classes), can be taken at their word.

    Returns:
        nll: mean negative log-likelihood of the true class, in nats; brier: mean squared distance
        from certainty of the truth, 0-2 (Brier 1950); confidence: mean probability of the answers;
        ece: as `expected_calibration_error` returns it.
    """
    confidence, of_truth = (
        y_prob.max(axis=1),
        y_prob[np.arange(len(y_true)), y_true].astype(float),
    )
    return {
        "nll": measure_loss(y_true, y_prob),
        "brier": float((np.square(y_prob).sum(axis=1) - 2 * of_truth + 1).mean()),
        "confidence": float(confidence.mean(dtype=float)),
        "ece": expected_calibration_error(y_true, y_prob),
    }


def reliability_table(y_true, y_prob, groups) -> pd.DataFrame:
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
        *map(wilson_interval, means.accuracy, bins.group.agg(effective_sample_size))
    ]
    return means.reset_index(drop=True)


def expected_calibration_error(y_true, y_prob) -> float:
    """Return the expected calibration error, 0-1, over 15 bins (Guo et al. 2017)."""
    bins = reliability_table(y_true, y_prob, np.arange(len(y_true)))
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
            f"ece_{when}": expected_calibration_error(truth, given),
        }
    return scores
