"""Tests of labels: which classes are weaker than the rest, and whether answers know the labels."""

import numpy as np
from scipy.stats import binom, fisher_exact

from lib.evaluation.intervals import LEVEL, correct_tests

# Of labels that are permuted; more tests need more of them.
DRAWS = 1999
DRAWS_PER_TEST = 100


def find_weaker(
    y_true: np.ndarray, correct: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """List the classes that surely have a lower recall than all others together.

    Each class has Fisher's exact test; where pictures belong together, the labels of
    groups are permuted. Then Holm's correction. A class of one group has no test.

    Args:
        y_true: int (n,), the index of each true class.
        correct: bool (n,).
        groups: int (n,), as in `intervals`.

    Returns:
        Their indices, int (k,), the lowest recall first.
    """
    labels, _ = _list_units(y_true, groups)
    support = np.bincount(y_true)
    right = np.bincount(y_true, weights=correct)
    if len(labels) == len(y_true):
        counts = np.stack([right, support - right], axis=1)
        others = counts.sum(axis=0) - counts
        p_values = [fisher_exact(table).pvalue for table in zip(counts, others)]
    else:
        p_values = _permute_recalls(y_true, correct, groups, len(support))
    has_several = np.bincount(labels) > 1
    tests = correct_tests(np.where(has_several, p_values, np.nan))
    recalls = right / np.maximum(support, 1)
    is_lower = recalls < np.mean(correct)
    weaker = np.flatnonzero(is_lower & (tests.p_holm < LEVEL))
    order = recalls[weaker].argsort(kind="stable")
    return weaker[order]


def _permute_recalls(y_true, correct, groups, tests):
    """Return how often permuted labels give each class a recall as far from the mean."""
    count = 0
    for draw, labels in enumerate(_permute_labels(y_true, groups, tests)):
        sizes = np.maximum(np.bincount(labels), 1)
        recalls = np.bincount(labels, weights=correct) / sizes
        distances = np.abs(recalls - np.mean(correct))
        if draw == 0:
            observed = distances - 1e-9
        count += distances >= observed
    return count / (draw + 1)


def measure_association(
    y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray, tests: int = 1
) -> np.ndarray:
    """Test whether answers agree with the labels more often than with permuted ones.

    So a class of few pictures counts, too, which always answering the commonest one misses.

    Args:
        y_true: int (n,), the index of each true class.
        y_pred: int (models, n), the answers.
        groups: int (n,), as in `intervals`.
        tests: how many p are compared with one level.

    Returns:
        p-values, float (models,).
    """
    permuted = _permute_labels(y_true, groups, tests)
    drawn = [(y_pred == labels).sum(axis=1) for labels in permuted]
    distances = drawn - np.mean(drawn[1:], axis=0)
    is_as_far = np.abs(distances) >= distances[0] - 1e-9
    return is_as_far.mean(axis=0)


def beats_baseline(top1: float, n: float, baseline: float, count: int) -> bool:
    """Tell whether one of `count` models beats a baseline, by the exact binomial test.

    The best of them was chosen for its score: the level is divided by their number
    (Bonferroni). Fractions of pictures are dropped.
    """
    correct = np.floor(top1 * n + 1e-9)
    pictures = np.floor(n)
    p_value = 2 * binom.sf(correct - 1, pictures, baseline)
    return bool(p_value < LEVEL / count)


def _permute_labels(y_true, groups, tests):
    """Give the labels, then permuted ones; pictures of one group keep a common one."""
    yield y_true
    labels, unit = _list_units(y_true, groups)
    rng = np.random.default_rng(0)
    for _ in range(DRAWS + DRAWS_PER_TEST * tests):
        yield rng.permutation(labels)[unit]


def _list_units(y_true, groups):
    # A group of several classes is one unit in each. Returns labels, and the units of pictures.
    pairs = np.stack([y_true, groups], axis=1)
    units, unit = np.unique(pairs, axis=0, return_inverse=True)
    return units[:, 0], unit
