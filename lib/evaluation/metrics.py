"""Numbers of one model, from labels and probabilities."""

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from lib.evaluation import calibration, intervals

# With fewer pictures in the wrong place no interval of ROC AUC holds often enough.
FEWEST_MISPLACED = 2


def evaluate(y_true, y_prob, class_names, groups=None) -> dict:
    """Score one model.

    Args:
        y_true: int (n,), positions in `class_names`.
        y_prob: float (n, classes), rows sum to 1.
        class_names: text (classes,).
        groups: int (n,), equal for pictures that belong together; None where none do.

    Returns:
        n; top1, top3: share of pictures whose true class is the most probable one, or one of the
        three most probable; what `score_matrix`, `measure_areas` and `calibration` measure;
        balanced_accuracy, another name of average_per_class; commonest: the class with most
        pictures, and baseline: what always answering it scores; support and per_class: {class:
        pictures or recall, None without pictures}; `_interval` after a name: its 95 % interval, or
        None where there are too few pictures for one.
    """
    y_true, y_prob = np.asarray(y_true), np.asarray(y_prob)
    groups = intervals.drop_lonely(groups)
    y_pred, of_truth = y_prob.argmax(axis=1), y_prob[np.arange(len(y_true)), y_true, None]
    # Of equal probabilities the first counts as the higher, as argmax has it.
    earlier = np.arange(y_prob.shape[1]) < y_true[:, None]
    rank = ((y_prob > of_truth) | ((y_prob == of_truth) & earlier)).sum(axis=1)
    matrix = count_confusions(y_true, y_pred, len(class_names))
    support, scores = matrix.sum(axis=1), {"n": len(y_true)}
    for name, right in (("top1", y_pred == y_true), ("top3", rank < 3)):
        scores[name] = float(right.mean())
        scores[f"{name}_interval"] = intervals.find_share_interval(right, groups)
    scores |= score_matrix(matrix, y_true, y_pred, groups)
    return scores | {
        "balanced_accuracy": scores["average_per_class"],
        "balanced_accuracy_interval": scores["average_per_class_interval"],
        "commonest": str(class_names[support.argmax()]),
        "baseline": float(support.max() / len(y_true)),
        **measure_areas(y_true, y_prob, groups),
        **calibration.measure_calibration(y_true, y_prob, groups),
        **calibration.judge_temperature(y_true, y_prob, groups),
        **score_classes(y_true, y_pred, class_names, groups),
    }


def score_classes(y_true, y_pred, class_names, groups) -> dict[str, dict]:
    """Return support, per_class (recall) and per_class_interval, as `evaluate` has them."""
    scores = {"support": {}, "per_class": {}, "per_class_interval": {}}
    for position, name in enumerate(class_names):
        chosen = y_true == position
        right = y_pred[chosen] == position
        members = None if groups is None else groups[chosen]
        scores["support"][name] = len(right)
        scores["per_class"][name] = float(right.mean()) if len(right) else None
        scores["per_class_interval"][name] = intervals.find_share_interval(right, members)
    return scores


def count_confusions(y_true, y_pred, num_classes: int) -> np.ndarray:
    """Count pictures by true (rows) and predicted class (columns): int64 (classes, classes)."""
    return confusion_matrix(y_true, y_pred, labels=range(num_classes))


def list_confusions(matrix: np.ndarray, class_names, count: int) -> pd.DataFrame:
    """List the most frequent mistakes of a confusion matrix, `count` at most.

    Columns true, predicted, pictures, share (of the true class); ties in class order.
    """
    true, predicted = np.nonzero(matrix * (1 - np.eye(len(matrix), dtype=int)))
    table = pd.DataFrame(np.array(class_names)[[true, predicted]].T, columns=["true", "predicted"])
    table["pictures"] = matrix[true, predicted]
    table["share"] = table.pictures / matrix.sum(axis=1)[true]
    return table.sort_values("pictures", ascending=False, kind="stable", ignore_index=True)[:count]


def score_matrix(matrix: np.ndarray, y_true, y_pred, groups) -> dict:
    """Score a confusion matrix (`count_confusions` of the same answers), with intervals.

    average_per_class is the mean recall over classes with pictures, kappa that of Cohen (1960).
    Each picture has an influence on a score, and the variance of the influences within the classes
    is that of the score (delta method). The interval is Wilson's, for as many pictures as would
    give that variance. None where the classes have so few pictures that it would promise too much.
    """
    support = matrix.sum(axis=1)
    shares, scores = _share_answers(matrix), {}
    members = intervals.count_members(y_true, groups, len(matrix))
    inverse = 1 / members[members > 0]
    enough = len(inverse) ** 2 / inverse.sum() >= intervals.FEWEST
    # A class of one picture says nothing of its spread.
    enough &= (inverse == 1).sum() <= inverse.sum() / 2
    in_class = 1 / inverse.mean() >= intervals.FEWEST_IN_CLASS
    if groups is not None:
        enough &= in_class and members[members > 0].min() > 1
    smooth = _weigh_pictures(shares * support[:, None])
    for name, (value, _, scale) in _weigh_pictures(matrix).items():
        middle, influence, _ = smooth[name]
        mean = (shares * influence).sum(axis=1)
        variance = (shares * influence**2).sum(axis=1) - mean**2
        variance *= support**2 / np.maximum(support - 1, 1)
        effect = intervals.find_effect(influence[y_true, y_pred] - mean[y_true], groups)
        # Degrees of freedom of a sum of variances (Satterthwaite 1946).
        freedom = variance.sum() ** 2 / (variance**2 / np.maximum(support - 1, 1)).sum()
        n = middle * (1 - middle) / (variance.sum() * effect)
        bounds = intervals.wilson_interval(value * n, n, freedom)
        scores[name] = float(scale(value))
        # In classes of few pictures F1 is too low.
        shown = enough and (in_class or "f1" not in name)
        scores[f"{name}_interval"] = [float(scale(bound)) for bound in bounds] if shown else None
    return scores


def _share_answers(matrix):
    # How often each class is answered to pictures of a class. One right and one wrong answer are
    # added, shared among the classes: what is always right stays uncertain (after Agresti and
    # Coull 1998). A class of one picture gets the mean of all others.
    support, eye = matrix.sum(axis=1, keepdims=True), np.eye(len(matrix))
    present = (support[:, 0] > 0) | (matrix.sum(axis=0) > 0)
    wrong = (1 - eye) * present / max(present.sum() - 1, 1)
    added = 1 / (support > 0).sum()
    shares = (matrix + added * (eye + wrong)) / (support + 2 * added)
    right = np.diag(shares)[support[:, 0] > 0].mean()
    return np.where(support == 1, right * eye + (1 - right) * wrong, shares)


def _weigh_pictures(matrix) -> dict:
    # name: score, influence (classes, classes) of a picture by its class and answer, and the scale
    # that the score is shown in.
    n, support, answered = matrix.sum(), matrix.sum(axis=1), matrix.sum(axis=0)
    right, eye, total = np.diag(matrix), np.eye(len(matrix)), np.maximum(support + answered, 1e-9)
    average = (support > 0) / np.maximum(support, 1) / (support > 0).sum()
    scores = {"average_per_class": (right @ average, eye * average, float)}
    f1 = 2 * right / total
    for name, weights in (("macro_f1", np.ones(len(matrix))), ("weighted_f1", support)):
        weights = weights * (support + answered > 0)
        weights = weights / weights.sum() / total
        influence = 2 * eye * weights - weights * f1
        scores[name] = (f1 @ (weights * total), influence, float)
    agreement, chance = right.sum() / n, support @ answered / n**2
    rest = max(1 - chance, 1e-9)
    influence = eye / n - support / n**2 * (1 - agreement) / rest
    scores["kappa"] = (agreement, influence, lambda share: (share - chance) / rest)
    return scores


def measure_areas(y_true, y_prob, groups=None) -> dict:
    """Measure how well the probability of a class ranks its pictures above the others.

    Returns:
        roc_auc, pr_auc: area under the ROC curve (DeLong et al. 1988) and average precision, the
        mean over classes of one against the rest; areas_without: how many classes are left out,
        since all pictures or none are of them; `_interval` of each area, None for pr_auc always:
        in few pictures it is too high, and no interval that was tried held what it promised.
    """
    support = np.bincount(y_true, minlength=y_prob.shape[1])
    classes = np.flatnonzero((support > 0) & (support < len(y_true)))
    scores = {"roc_auc": None, "roc_auc_interval": None, "pr_auc": None, "pr_auc_interval": None}
    scores["areas_without"] = y_prob.shape[1] - len(classes)
    if not len(classes):
        return scores
    columns, influence, measured = np.ascontiguousarray(y_prob.T), np.zeros(len(y_true)), []
    for c in classes:
        area, precision, changes = _measure_class(y_true == c, columns[c])
        measured.append((area, precision))
        influence += changes / len(classes)
    areas, precisions = np.transpose(measured)
    scores |= {"roc_auc": float(areas.mean()), "pr_auc": float(precisions.mean())}
    # How many pictures are ranked too low, in all: with few, the interval would promise too much.
    misplaced = (np.minimum(support, len(y_true) - support)[classes] * (1 - areas)).sum()
    members = intervals.count_members(y_true, groups, len(support))[classes]
    enough = misplaced >= FEWEST_MISPLACED and members.min() >= intervals.FEWEST_IN_CLASS
    if enough and np.abs(influence).max() > 1e-12:
        values = areas.mean() + len(y_true) * influence
        bounds = intervals.find_mean_interval(values, groups, y_true)
        scores["roc_auc_interval"] = np.clip(bounds, 0, 1).tolist()
    return scores


def _measure_class(positive, score):
    # ROC AUC, average precision, and the influence of each picture on the first, float (n,).
    hits, count = np.sort(score[positive]), positive.sum()
    others = len(score) - count
    # Pictures of the class that are ranked below each picture, and below or as high.
    below, upto = np.searchsorted(hits, score), np.searchsorted(hits, score, "right")
    # Pictures that are ranked below each one of the class, and below or as high.
    lower = np.bincount(upto, minlength=count + 1).cumsum()
    level = np.bincount(below, minlength=count + 1).cumsum()
    share = 1 - (below + upto) / (2 * count)
    area, rank = share[~positive].mean(), below[positive]
    share[positive] = (lower[rank] + level[rank] - rank - upto[positive]) / (2 * others)
    precision = ((count - rank) / (len(score) - lower[rank])).mean()
    return area, precision, (share - area) / np.where(positive, count, others)
