"""Tests of labels: which classes are weaker than the rest, and whether answers know the labels.

Groups are those of `intervals`.
"""

import numpy as np
from scipy.stats import fisher_exact

from lib.evaluation.comparisons import correct_tests
from lib.evaluation.intervals import LEVEL, count_different

# Of labels that are permuted: so many can tell that one of 99 models knows them.
DRAWS = 1999


def find_weak_classes(
    y_true: np.ndarray, correct: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """List the classes that surely have a lower recall than all others together.

    Each class has Fisher's exact test, of as many pictures as its groups and those of the
    others tell as much as; then Holm's correction. A class of one group has no test.

    Args:
        y_true: int (n,), the index of each true class.
        correct: bool (n,).
        groups: int (n,).

    Returns:
        Their indices, int (k,), the lowest recall first.
    """
    labels, unit = _list_units(y_true, groups)
    sums = np.bincount(unit, weights=correct)
    sizes = np.bincount(unit)
    pictures = np.bincount(y_true)
    right = np.bincount(y_true, weights=correct)
    recalls = right / np.maximum(pictures, 1)
    p_values = []
    for number in range(len(pictures)):
        is_in = labels == number
        counts = _count_right(sums[is_in], sizes[is_in])
        others = _count_right(sums[~is_in], sizes[~is_in])
        p_value = np.nan
        if sum(counts) > 1:
            p_value = fisher_exact([counts, others]).pvalue
        p_values.append(p_value)
    is_low = recalls < np.mean(correct)
    is_sure = correct_tests(p_values).p_holm < LEVEL
    weak = np.flatnonzero(is_low & is_sure)
    return weak[recalls[weak].argsort(kind="stable")]


def _count_right(sums, sizes):
    """Return how many different pictures are right, and how many wrong, in whole numbers."""
    n = int(count_different(sums, sizes) + 1e-9)
    right = round(n * sums.sum() / max(sizes.sum(), 1))
    return right, n - right


def measure_association(
    y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Test whether answers agree with the labels more often than with permuted ones.

    What answers as frequent as these agree with by chance is subtracted, which leaves the
    numerator of Cohen's kappa: 0 for a model that always says the same. A group counts once.

    Args:
        y_true: int (n,), the index of each true class.
        y_pred: int (models, n), the answers.
        groups: int (n,), pictures of one group keep a common label.

    Returns:
        p-values, float (models,).
    """
    labels, unit = _list_units(y_true, groups)
    weights = 1 / np.bincount(unit)[unit]
    classes = max(y_true.max(), y_pred.max()) + 1
    support = np.bincount(labels, minlength=classes)
    by_chance = []
    for answers in y_pred:
        answered = np.bincount(answers, weights=weights, minlength=classes)
        by_chance.append(answered @ support / len(labels))

    def measure(of_units: np.ndarray) -> np.ndarray:
        agreement = (y_pred == of_units[unit]) @ weights
        return np.abs(agreement - by_chance)

    observed = measure(labels) - 1e-9
    rng = np.random.default_rng(0)
    # The truth is one of the permutations.
    as_far = np.ones(len(y_pred))
    for _ in range(DRAWS):
        as_far += measure(rng.permutation(labels)) >= observed
    return as_far / (DRAWS + 1)


def _list_units(y_true, groups):
    """Return the label of each unit, and the unit of each picture; a group has one in each class."""
    pairs = np.stack([y_true, groups], axis=1)
    units, unit = np.unique(pairs, axis=0, return_inverse=True)
    labels = units[:, 0]
    return labels, unit
