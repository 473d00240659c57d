"""How well the probabilities of one model rank the pictures, class by class."""

import numpy as np

from lib.judging.intervals import find_mean_interval

# With fewer pictures in a class, or in the wrong place, no interval holds the truth often enough.
FEWEST_IN_CLASS, FEWEST_MISPLACED = 5, 2


def measure_areas(y_true, y_prob, families=None) -> dict:
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
    columns, areas, precisions = np.ascontiguousarray(y_prob.T), [], []
    influence = np.zeros(len(y_true))
    for c in classes:
        area, precision, changes = _measure_class(y_true == c, columns[c])
        areas.append(area)
        precisions.append(precision)
        influence += changes / len(classes)
    scores |= {"roc_auc": float(np.mean(areas)), "pr_auc": float(np.mean(precisions))}
    # How many pictures are ranked too low, in all: with few, the interval would promise too much.
    misplaced = (np.minimum(support, len(y_true) - support)[classes] * (1 - np.array(areas))).sum()
    if misplaced >= FEWEST_MISPLACED and support[classes].min() >= FEWEST_IN_CLASS:
        values = np.mean(areas) + len(y_true) * influence
        bounds = find_mean_interval(values, families, strata=y_true)
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
