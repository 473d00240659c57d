"""A linear classifier on features, by scikit-learn, its temperature, and answers to held-out rows."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data.split import deal_folds
from lib.machine import count_cores
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss
from lib.work import show_progress

# C times the number of features, which is how far logits may spread; inner parts.
STRENGTHS, PARTS = (0.3, 1, 3, 10), 3
FLAT = 1e-4  # the spread of a feature beside its mean that is only how float32 rounds
# Threads of BLAS that share busy cores wait for one another, up to fifty times as long.
limit_threads = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of features as they are: multinomial or, with sigmoid, one a label."""

    weights: np.ndarray  # float32 (d, classes), divided by the temperature
    bias: np.ndarray  # float32 (classes,), too
    C: float  # inverse strength of the L2 penalty, on standardised features
    temperature: float = 1.0
    activation: str = "softmax"

    def predict_proba(self, features) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for features, float32 (n, d)."""
        logits = features[:] @ self.weights + self.bias
        return (
            expit(logits) if self.activation == "sigmoid" else softmax(logits, axis=1)
        )


@dataclass(frozen=True)
class HeldOut:
    """Answers to rows that were held out, and what was chosen for each fold."""

    y_prob: np.ndarray  # float32 (repeats, n, classes)
    accuracies: np.ndarray  # float (repeats, folds)
    C: np.ndarray  # float (repeats, folds), the strength that each classifier has
    temperatures: np.ndarray  # float (repeats, folds), by which y_prob is scaled


def _fit_each(
    features, y_true, num_classes: int, strengths, class_weight, temperature=1.0
):
    # Returns a classifier for each C.
    shown = np.unique(y_true)
    if len(shown) < 2:
        raise ValueError(
            "One of two classes is a single group of pictures (copies, look-alikes, given ones): held "
            "out, it leaves one class to learn from. Add other pictures of it."
        )
    scaler, classifiers = StandardScaler().fit(features), []
    scaler.scale_[np.sqrt(scaler.var_) <= FLAT * np.abs(scaler.mean_)] = np.inf
    rows = scaler.transform(features)
    for C in strengths:
        model = LogisticRegression(
            C=C, class_weight=class_weight, max_iter=1000, tol=1e-3
        )
        model.fit(rows, y_true)
        # A class that no row shows is never the answer.
        weights, bias = (
            np.zeros((rows.shape[1], num_classes)),
            np.full(num_classes, -30.0),
        )
        bias[shown] = 0
        # Of two classes scikit-learn has weights for the second alone.
        places = shown[-len(model.coef_) :]
        weights[:, places] = model.coef_.T / scaler.scale_[:, np.newaxis]
        bias[places] = model.intercept_ - scaler.mean_ @ weights[:, places]
        both = [(one / temperature).astype(np.float32) for one in (weights, bias)]
        classifiers.append(Classifier(*both, C, temperature))
    return classifiers


@limit_threads
def fit(features, y_true, num_classes, groups, seed, class_weights="none") -> tuple:
    """Fit a classifier, with the C and the temperature under which held-out rows surprise least.

    For each C classifiers that learn from two of three parts answer the third. What decides is the loss
    at the temperature that suits each C best.

    Args:
        features: float32 (n, d). y_true: int (n,), positions of so many classes.
        groups: int (n,), and `seed`: as in `deal_folds`.
        class_weights: balanced, where every class counts the same however few its rows; or none.

    Returns a Classifier, and the answers to held-out rows that chose its C and temperature, float32
    (n, classes). A ValueError where too few groups, or only one class, would be left to learn from.
    """
    features, y_true = np.asarray(features[:], np.float32), np.asarray(y_true)
    class_weight = "balanced" if class_weights == "balanced" else None
    part = deal_folds(y_true, groups, PARTS, seed)
    strengths = [strength / features.shape[1] for strength in STRENGTHS]
    y_prob = np.zeros((len(strengths), len(y_true), num_classes), np.float32)
    for number in range(PARTS):
        held = part == number
        learned = features[~held], y_true[~held], num_classes
        for answers, classifier in zip(
            y_prob, _fit_each(*learned, strengths, class_weight)
        ):
            answers[held] = classifier.predict_proba(features[held])
    temperatures = [fit_temperature(y_true, answers) for answers in y_prob]
    scaled = [apply_temperature(*pair) for pair in zip(y_prob, temperatures)]
    best = int(np.argmin([measure_loss(y_true, answers) for answers in scaled]))
    chosen = [strengths[best]], class_weight, temperatures[best]
    return _fit_each(features, y_true, num_classes, *chosen)[0], scaled[best]


def fit_labels(features, y_true, groups, seed: int, class_weights="none") -> tuple:
    """Fit a logistic regression for each label, as `fit` does for two classes.

    Of float32 (n, d), bool (n, labels), and groups, int (n,), returns a Classifier, whose C is an
    array, and the answers to held-out rows, float32 (n, labels).
    """
    pairs = [
        fit(features, has.astype(int), 2, groups, seed, class_weights)
        for has in y_true.T
    ]
    # Softmax of two classes is the sigmoid of their difference.
    weights = np.column_stack([np.diff(one.weights) for one, _ in pairs])
    bias, strengths = np.array([(np.diff(one.bias)[0], one.C) for one, _ in pairs]).T
    fitted = Classifier(
        weights, bias.astype(np.float32), strengths, activation="sigmoid"
    )
    return fitted, np.column_stack([answers[:, 1] for _, answers in pairs])


@limit_threads
def cross_validate(
    features,
    y_true,
    num_classes,
    groups,
    seed,
    folds=5,
    repeats=1,
    class_weights="none",
    train_mask=True,
) -> HeldOut:
    """Answer every row by classifiers that have seen neither it nor its group.

    As in `fit`; rows are dealt into `folds`, `repeats` times, alike for all features. `train_mask`,
    bool (repeats, n), says which may be learned from.
    """
    features, y_true = np.asarray(features[:], np.float32), np.asarray(y_true)
    dealt = [
        deal_folds(y_true, groups, folds, seed + repeat) for repeat in range(repeats)
    ]
    y_prob, accuracies = np.zeros((repeats, len(y_true), num_classes), np.float32), []
    masks = [
        (repeat, dealt[repeat] == fold) for repeat, fold in np.ndindex(repeats, folds)
    ]
    train_mask = np.broadcast_to(train_mask, (repeats, len(y_true)))

    def answer(held, mask):
        learned = ~held & mask
        rows = features[learned], y_true[learned], num_classes, groups[learned]
        classifier, _ = fit(*rows, seed, class_weights)
        return classifier, classifier.predict_proba(features[held])

    pool = Parallel(min(count_cores(), 4), prefer="threads", return_as="generator")
    fits = pool(delayed(answer)(held, train_mask[repeat]) for repeat, held in masks)
    bar = show_progress(fits, "cross-validation", len(masks), unit="fold")
    classifiers = []
    for (classifier, answers), (repeat, held) in zip(bar, masks):
        classifiers.append(classifier)
        y_prob[repeat, held] = answers
        accuracies.append((answers.argmax(axis=1) == y_true[held]).mean())
    shape = (repeats, folds)
    return HeldOut(
        y_prob=y_prob,
        accuracies=np.reshape(accuracies, shape),
        C=np.reshape([classifier.C for classifier in classifiers], shape),
        temperatures=np.reshape(
            [classifier.temperature for classifier in classifiers], shape
        ),
    )
