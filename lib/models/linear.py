"""A linear classifier on features, by scikit-learn, and answers to held-out rows."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data.split import deal_folds
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss
from lib.work import show_progress

# C times the number of features, which is how far logits may spread.
STRENGTHS = (0.3, 1, 3, 10)
PARTS = 3  # into which rows are dealt to choose C and the temperature
# A feature whose range is so small beside its values shows only how float32 rounds.
FLAT = 1e-4
ROUGH = 1e-3  # tolerance of fits that only choose C and the temperature
NEVER = -30.0  # the logit of a class that no row showed
# Threads of BLAS that share busy cores wait for one another, up to fifty times as long.
limit_threads = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Classifier:
    """A multinomial logistic regression of standardised features, and its temperature."""

    pipeline: Pipeline  # StandardScaler and LogisticRegression, fitted
    num_classes: int
    temperature: float

    @property
    def C(self) -> float:
        """The inverse strength of the L2 penalty."""
        return self.pipeline[-1].C

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for features, float32 (n, d)."""
        scores = self.pipeline.decision_function(features[:])
        if scores.ndim == 1:
            # Of two classes scikit-learn scores the second alone.
            scores = np.column_stack([np.zeros(len(scores)), scores])
        logits = np.full((len(scores), self.num_classes), NEVER)
        logits[:, self.pipeline.classes_] = scores
        y_prob = softmax(logits / self.temperature, axis=1)
        return y_prob.astype(np.float32)


@dataclass(frozen=True)
class LabelClassifier:
    """A classifier of two classes for each label: without it, and with it."""

    classifiers: list[Classifier]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, labels), for features, float32 (n, d)."""
        y_prob = [one.predict_proba(features)[:, 1] for one in self.classifiers]
        return np.column_stack(y_prob)


@dataclass(frozen=True)
class HeldOut:
    """Answers to rows that were held out, and the choices for each fold."""

    y_prob: np.ndarray  # float32 (repeats, n, classes)
    accuracies: np.ndarray  # float (repeats, folds)
    C: np.ndarray  # float (repeats, folds)
    temperatures: np.ndarray  # float (repeats, folds), by which y_prob is scaled


@limit_threads
def fit(
    features: np.ndarray,
    y_true: np.ndarray,
    num_classes: int,
    groups: np.ndarray,
    seed: int,
    class_weights: str = "none",
) -> tuple:
    """Fit a classifier, with the C and temperature that suit held-out rows best.

    For each C classifiers that learn from two of three parts answer the third. The
    smallest loss decides, at the temperature that suits each C best.

    Args:
        features: float32 (n, d).
        y_true: int (n,), the index of each true class.
        groups: int (n,), as in `deal_folds`, as is `seed`.
        class_weights: "balanced" lets every class count the same, however few its
            rows; or "none".

    Returns:
        The classifier, and the answers to held-out rows that chose its C and
        temperature, float32 (n, classes).

    Raises:
        ValueError: too few groups, or only one class, would be left to learn from.
    """
    y_true = np.asarray(y_true)
    part = deal_folds(y_true, groups, PARTS, seed)
    _require_two_classes(y_true, part)
    rows = _clear_flat(features)
    scaled_rows = StandardScaler().fit_transform(rows)
    min_loss = np.inf
    for strength in STRENGTHS:
        C = strength / rows.shape[1]
        rough = _build_regression(C, class_weights, ROUGH)
        y_prob = _answer_parts(rough, scaled_rows, y_true, part, num_classes)
        temperature = fit_temperature(y_true, y_prob)
        scaled = apply_temperature(y_prob, temperature)
        loss = measure_loss(y_true, scaled)
        if loss < min_loss:
            min_loss = loss
            regression = _build_regression(C, class_weights)
            pipeline = make_pipeline(StandardScaler(), regression)
            best = Classifier(pipeline, num_classes, temperature)
            held_out = scaled.astype(np.float32)
    best.pipeline.fit(rows, y_true)
    return best, held_out


def _build_regression(C, class_weights, tol=1e-4):
    class_weight = "balanced" if class_weights == "balanced" else None
    return LogisticRegression(C=C, class_weight=class_weight, tol=tol, max_iter=1000)


def _clear_flat(features):
    """Set features to 0 that vary by rounding alone, so that they get no weight."""
    rows = np.asarray(features[:], np.float32)
    is_flat = np.ptp(rows, axis=0) <= FLAT * np.abs(rows[0])
    if is_flat.any():
        rows = np.where(is_flat, np.float32(0), rows)
    return rows


def _require_two_classes(y_true, part):
    for number in range(PARTS):
        if len(np.unique(y_true[part != number])) < 2:
            raise ValueError(
                "One of two classes is a single group of pictures (copies, "
                "look-alikes, given ones): held out, it leaves one class to learn "
                "from. Add other pictures of it."
            )


def _answer_parts(regression, rows, y_true, part, num_classes):
    with warnings.catch_warnings():
        # A class that lies in one part alone is never the answer to it.
        warnings.filterwarnings("ignore", "Number of classes in", RuntimeWarning)
        found = cross_val_predict(
            regression, rows, y_true, cv=PredefinedSplit(part), method="predict_proba"
        )
    y_prob = np.zeros((len(rows), num_classes), found.dtype)
    y_prob[:, np.unique(y_true)] = found
    return np.maximum(y_prob, np.exp(NEVER).astype(found.dtype))


def fit_labels(
    features: np.ndarray,
    y_true: np.ndarray,
    groups: np.ndarray,
    seed: int,
    class_weights: str = "none",
) -> tuple:
    """Fit a logistic regression for each label, as `fit` does for two classes.

    Args:
        features: float32 (n, d).
        y_true: bool (n, labels).
        groups, seed, class_weights: as in `fit`.

    Returns:
        The classifier, and the answers to held-out rows, float32 (n, labels).
    """
    classifiers = []
    held_out = np.zeros(y_true.shape, np.float32)
    for label in range(y_true.shape[1]):
        classifier, answers = fit(
            features=features,
            y_true=y_true[:, label].astype(int),
            num_classes=2,
            groups=groups,
            seed=seed,
            class_weights=class_weights,
        )
        classifiers.append(classifier)
        held_out[:, label] = answers[:, 1]
    return LabelClassifier(classifiers), held_out


@limit_threads
def cross_validate(
    features: np.ndarray,
    y_true: np.ndarray,
    num_classes: int,
    groups: np.ndarray,
    seed: int,
    folds: int = 5,
    repeats: int = 1,
    class_weights: str = "none",
    train_mask: np.ndarray | None = None,
) -> HeldOut:
    """Answer every row by classifiers that have seen neither it nor its group.

    Args:
        features, y_true, num_classes, groups, seed, class_weights: as in `fit`.
        folds: into which rows are dealt by `deal_folds`, alike for all features.
        repeats: how often they are dealt, the seed one larger each time.
        train_mask: bool (repeats, n), which rows may be learned from; None for all.
    """
    rows = np.asarray(features[:], np.float32)
    y_true = np.asarray(y_true)
    if train_mask is None:
        train_mask = np.ones((repeats, len(y_true)), bool)
    seeds = range(seed, seed + repeats)
    dealt = [deal_folds(y_true, groups, folds, seed=one) for one in seeds]
    y_prob = np.zeros((repeats, len(y_true), num_classes), np.float32)
    accuracies = np.zeros((repeats, folds))
    strengths = np.zeros((repeats, folds))
    temperatures = np.zeros((repeats, folds))
    steps = list(np.ndindex(repeats, folds))
    for repeat, number in show_progress(steps, "cross-validation", unit="fold"):
        held = dealt[repeat] == number
        learned = ~held & train_mask[repeat]
        classifier, _ = fit(
            features=rows[learned],
            y_true=y_true[learned],
            num_classes=num_classes,
            groups=groups[learned],
            seed=seed,
            class_weights=class_weights,
        )
        answers = classifier.predict_proba(rows[held])
        y_prob[repeat, held] = answers
        is_right = answers.argmax(axis=1) == y_true[held]
        accuracies[repeat, number] = is_right.mean()
        strengths[repeat, number] = classifier.C
        temperatures[repeat, number] = classifier.temperature
    return HeldOut(y_prob, accuracies, strengths, temperatures)
