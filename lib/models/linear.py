"""A linear classifier on features, by scikit-learn, and its answers to pictures that were held out."""

import gc
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from lib.data.split import deal_folds
from lib.machine import count_cores
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss
from lib.work import show_progress

# C times the number of features, which is how far logits may spread: five are tried, on one of so many
# parts, of so many rows at most.
STRENGTHS, PARTS, ENOUGH = (0.3, 1, 3, 10, 30), 3, 10_000
# The slope that ends a fit, times the number of classes, and the most steps.
TOLERANCE, STEPS = 1e-2, 200
# A feature whose spread is a smaller part of its mean tells how float32 rounds, and nothing else.
FLAT = 1e-4
# The logit of a class that no row shows; bytes that folds may copy at a time, and that are many.
ABSENT, MEMORY, LARGE = -30.0, 2 << 30, 1 << 24


@dataclass(frozen=True)
class Classifier:
    """A logistic regression of standardised features: multinomial or, with sigmoid, one a class."""

    mean: np.ndarray  # float32 (d,), of the features
    units: np.ndarray  # float32 (d,), what they are multiplied by; 0 for those that never vary
    weights: np.ndarray  # float32 (d, classes)
    bias: np.ndarray  # float32 (classes,)
    C: float  # inverse strength of the L2 penalty
    temperature: float = 1.0  # divides the logits (Guo et al. 2017)
    activation: str = "softmax"

    def answer(self, features) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for features, float32 (n, d)."""
        logits = ((features[:] - self.mean) * self.units) @ self.weights + self.bias
        logits /= np.float32(self.temperature)
        return expit(logits) if self.activation == "sigmoid" else softmax(logits, axis=1)


def centre(rows) -> tuple[np.ndarray, np.ndarray]:
    """Take the mean off each feature, float32 (n, d), in place.

    Returns the means, and the units in which features have a spread of 1: float32 (d,), 0 for those
    that never vary.
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows -= mean
    spread = np.sqrt(np.einsum("ij,ij->j", rows, rows) / len(rows))
    return mean, np.divide(1, spread, np.zeros_like(spread), where=spread > FLAT * np.abs(mean))


def _learn(rows, y_true, num_classes: int, strengths):
    # Yields a classifier for each C; a fit begins where the one before it ended. The rows are used up.
    mean, units = centre(rows)
    rows *= units
    shown, model = np.unique(y_true), LogisticRegression(max_iter=STEPS, warm_start=True)
    for C in strengths:
        weights = np.zeros((rows.shape[1], num_classes), np.float32)
        bias = np.full(num_classes, ABSENT, np.float32)
        bias[shown] = 0
        if len(shown) > 1:
            model.set_params(C=C, tol=TOLERANCE / num_classes).fit(rows, y_true)
            # Of two classes scikit-learn has weights for the second alone.
            with_weights = shown[-len(model.coef_) :]
            weights[:, with_weights], bias[with_weights] = model.coef_.T, model.intercept_
        yield Classifier(mean, units, weights, bias, C)
    if rows.nbytes > LARGE:
        # SciPy before 1.17 leaves a copy of the rows behind with each fit, in a circle of references.
        gc.collect()


def _choose(features, y_true, num_classes: int, part) -> tuple[float, float]:
    # Answers to the first part decide on C, answers to all parts on the temperature.
    y_prob, lowest, first = np.zeros((len(part), num_classes), np.float32), np.inf, part == 0
    strengths = [strength / features.shape[1] for strength in STRENGTHS]
    for classifier in _learn(features[~first], y_true[~first], num_classes, strengths):
        answers = classifier.answer(features[first])
        softened = apply_temperature(answers, fit_temperature(y_true[first], answers))
        if (loss := measure_loss(y_true[first], softened)) < lowest:
            lowest, C, y_prob[first] = loss, classifier.C, answers
    for number in range(1, PARTS):
        held = part == number
        (classifier,) = _learn(features[~held], y_true[~held], num_classes, [C])
        y_prob[held] = classifier.answer(features[held])
    return C, fit_temperature(y_true, y_prob)


# Threads of BLAS that share busy cores wait for one another, up to fifty times as long.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit(features, y_true, num_classes: int, groups, seed: int, chosen=None) -> Classifier:
    """Fit a classifier, with the C and the temperature under which held-out rows surprise least.

    The rows are dealt into three parts. Five values of C are tried on one of them; what decides is
    the mean negative log-likelihood at the temperature that suits each best, for a small C makes a
    classifier modest, and that is no reason against it. The temperature that is kept suits the
    answers to all three. Above 10,000 rows, a stratified sample chooses.

    Args:
        features: float32 (n, d). y_true: int (n,), positions of the classes.
        num_classes: how many classes there are, also such as no row shows.
        groups: int (n,), as in `deal_folds`.
        seed: decides who is held out.
        chosen: int (k,), the rows to learn from; None for all.

    A ValueError where there are too few groups to hold any out.
    """
    features = np.asarray(features[:], np.float32)
    few = chosen = np.arange(len(y_true)) if chosen is None else chosen
    if len(few) > ENOUGH:
        samples = deal_folds(y_true[few], np.arange(len(few)), -(-len(few) // ENOUGH), seed)
        few = few[samples == 0]
    part = deal_folds(y_true[few], groups[few], PARTS, seed)
    # A fit that ends before its time is judged by its answers, like every other.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        C, temperature = _choose(features[few], y_true[few], num_classes, part)
        (fitted,) = _learn(features[chosen], y_true[chosen], num_classes, [C])
    return replace(fitted, temperature=temperature)


def answer_held_out(features, y_true, num_classes, groups, seed, folds=5, repeats=1) -> tuple:
    """Answer every row by classifiers that have seen neither it nor its group.

    Args:
        features, y_true, num_classes, groups: as in `fit`, which fits the classifier of each fold.
        seed: decides how the rows are dealt into folds; it is the same for all features.
        folds, repeats: into how many, and how often.

    Returns probabilities, float32 (repeats, n, classes), and accuracies, float64 (repeats, folds), of
    each fold. A ValueError where there are too few groups.
    """
    features = np.asarray(features[:], np.float32)
    dealt = [deal_folds(y_true, groups, folds, seed + repeat) for repeat in range(repeats)]
    y_prob = np.zeros((repeats, len(y_true), num_classes), np.float32)
    accuracies = np.zeros((repeats, folds))

    def answer_fold(place):
        repeat, fold = place
        held = dealt[repeat] == fold
        classifier = fit(features, y_true, num_classes, groups, seed, np.flatnonzero(~held))
        y_prob[repeat, held] = answers = classifier.answer(features[held])
        accuracies[place] = (answers.argmax(axis=1) == y_true[held]).mean()

    places = list(np.ndindex(accuracies.shape))
    workers = max(1, min(count_cores(), MEMORY // (2 * features.nbytes)))
    with (
        threadpool_limits(1, "blas"),
        # Each thread's own filter is all threads'.
        warnings.catch_warnings(action="ignore"),
        ThreadPoolExecutor(workers) as pool,
    ):
        for _ in show_progress(
            pool.map(answer_fold, places), "cross-validation", len(places), unit="fold"
        ):
            pass
    return y_prob, accuracies
