"""A linear classifier on features, by scikit-learn, and answers to held-out rows."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data.split import deal_folds
from lib.models.classifiers import Classifier, LabelClassifier
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss
from lib.work import show_progress

# C times the number of features, which is how far logits may spread.
STRENGTHS = (0.3, 1, 3, 10)
PARTS = 3  # into which rows are dealt to choose C and the temperature
# A feature whose range is so small beside its values shows only how float32 rounds.
FLAT = 1e-4
# Tolerances of the fits that only choose C and the temperature, and of the last one.
ROUGH = 3e-3
FINE = 1e-4
MIN_PROBABILITY = 1e-13  # of a class that no row showed
# Threads of BLAS that share busy cores wait for one another, up to fifty times as long.
limit_threads = threadpool_limits.wrap(limits=1, user_api="blas")


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
        temperature, float (n, classes).

    Raises:
        ValueError: too few groups, or only one class, would be left to learn from.
    """
    y_true = np.asarray(y_true)
    part = deal_folds(y_true, groups, PARTS, seed)
    _require_two_classes(y_true, part)
    rows = np.asarray(features[:], np.float32)
    rows = np.where(find_flat(rows), np.float32(0), rows)  # They get no weight.
    regression = LogisticRegression(max_iter=1000)
    if class_weights == "balanced":
        regression.set_params(class_weight="balanced")
    scaled_rows = StandardScaler().fit_transform(rows)
    min_loss = np.inf
    for strength in STRENGTHS:
        C = strength / rows.shape[1]
        regression.set_params(C=C, tol=ROUGH)
        y_prob = _answer_parts(regression, scaled_rows, y_true, part, num_classes)
        temperature = fit_temperature(y_true, y_prob)
        scaled = apply_temperature(y_prob, temperature)
        loss = measure_loss(y_true, scaled)
        if loss < min_loss:
            min_loss = loss
            best_C = C
            best_temperature = temperature
            held_out = scaled
    regression.set_params(C=best_C, tol=FINE)
    pipeline = make_pipeline(StandardScaler(), regression)
    pipeline.fit(rows, y_true)
    return Classifier(pipeline, num_classes, best_temperature), held_out


def find_flat(features: np.ndarray) -> np.ndarray:
    """Tell which features vary by rounding alone: of float32 (n, d) bool (d,)."""
    return np.ptp(features, axis=0) <= FLAT * np.abs(features[0])


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
    return np.maximum(y_prob, MIN_PROBABILITY)


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
    found = HeldOut(
        y_prob=np.zeros((repeats, len(y_true), num_classes), np.float32),
        accuracies=np.zeros((repeats, folds)),
        C=np.zeros((repeats, folds)),
        temperatures=np.zeros((repeats, folds)),
    )
    steps = list(np.ndindex(repeats, folds))
    for step in show_progress(steps, "cross-validation", unit="fold"):
        repeat, number = step
        held = deal_folds(y_true, groups, folds, seed + repeat) == number
        learned = ~held
        if train_mask is not None:
            learned &= train_mask[repeat]
        classifier, _ = fit(
            features=rows[learned],
            y_true=y_true[learned],
            num_classes=num_classes,
            groups=groups[learned],
            seed=seed,
            class_weights=class_weights,
        )
        answers = classifier.predict_proba(rows[held])
        found.y_prob[repeat, held] = answers
        is_right = answers.argmax(axis=1) == y_true[held]
        found.accuracies[step] = is_right.mean()
        found.C[step] = classifier.C
        found.temperatures[step] = classifier.temperature
    return found
