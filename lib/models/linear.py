"""One linear classifier on features, in scikit-learn's form."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data.split import TooFewGroupsError, deal_folds
from lib.models.temperature import apply_temperature, fit_temperature, measure_loss

# C times the number of features, which is how far logits may spread.
STRENGTHS = (0.3, 1, 3, 10)
PARTS = 3  # into which rows are dealt to choose C and the temperature
# A feature whose range is so small beside its values shows only how float32 rounds.
FLAT = 1e-4
# Of the median scale of features: none is divided by less.
MIN_SCALE = 0.01
# Tolerances of the fits that only choose C and the temperature, and of the last one.
ROUGH = 3e-3
FINE = 1e-4
MIN_PROBABILITY = 1e-13  # of a class that the other parts lack
# Threads of BLAS that share busy cores wait for one another, up to fifty times as long.
limit_threads = threadpool_limits.wrap(limits=1, user_api="blas")
# A class that lies in one fold alone is never the answer to it: its probability is 0 there.
warnings.filterwarnings("ignore", "Number of classes in", RuntimeWarning)


class TunedLogistic(ClassifierMixin, BaseEstimator):
    """A logistic regression of standardised features, with the C and temperature that suit best.

    For each C classifiers that learn from two of three parts answer the third. The
    smallest loss decides, at the temperature that suits each C best (Guo et al. 2017).

    Args:
        class_weight: "balanced" lets every class count the same, however few its
            rows; or None.
        seed: decides how groups are dealt into the three parts.

    Attributes:
        classes_: (classes,), those of y, sorted.
        C_: the inverse strength of the L2 penalty.
        temperature_: by which `predict_proba` divides the logits.
        held_out_: float32 (n, classes), the answers, divided so, that chose both.
        pipeline_: StandardScaler and LogisticRegression, fitted to all rows.
    """

    def __init__(self, class_weight: str | None = None, seed: int = 0):
        self.class_weight = class_weight
        self.seed = seed

    @limit_threads
    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> "TunedLogistic":
        """Fit to rows: float32 (n, d), their classes (n,), and groups, int (n,), held out together.

        Raises:
            TooFewGroupsError: too few groups, or only one class, would be left to learn from.
            ValueError: all rows are the same.
        """
        self.classes_, y_true = np.unique(y, return_inverse=True)
        part = deal_folds(y_true, groups, PARTS, self.seed)
        for number in range(PARTS):
            if len(np.unique(y_true[part != number])) < 2:
                raise TooFewGroupsError(
                    "One of two classes is a single group of pictures (copies, look-alikes, given "
                    "ones): held out, it leaves one class to learn from. Add other pictures of it."
                )
        regression = LogisticRegression(class_weight=self.class_weight, max_iter=1000)
        scaler, scaled_rows = _standardise(X)
        min_loss = np.inf
        for strength in STRENGTHS:
            # A Python float: with numpy's, scikit-learn would compute in float64.
            C = strength / scaled_rows.shape[1]
            regression.set_params(C=C, tol=ROUGH)
            y_prob = _answer_parts(regression, scaled_rows, y_true, part)
            temperature = fit_temperature(y_true, y_prob)
            scaled = apply_temperature(y_prob, temperature)
            loss = measure_loss(y_true, scaled)
            if loss < min_loss:
                min_loss = loss
                self.C_ = C
                self.temperature_ = temperature
                self.held_out_ = scaled
        regression.set_params(C=self.C_, tol=FINE)
        regression.fit(scaled_rows, y)
        self.pipeline_ = make_pipeline(scaler, regression)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class, (n,), of each row of float32 (n, d)."""
        return self.pipeline_.predict(X)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), scaled by the temperature."""
        return apply_temperature(self.pipeline_.predict_proba(X), self.temperature_)


def _standardise(features):
    """Return a StandardScaler of features, float32 (n, d), and what it makes of them.

    A ValueError where all of them are flat.
    """
    is_flat = find_flat(features)
    if is_flat.all():
        raise ValueError(
            "The features of all pictures are the same, so no classifier can learn from them: name another "
            "network."
        )
    rows = np.where(is_flat, np.float32(0), features)  # They get no weight.
    scaler = StandardScaler().fit(rows)
    # Else a feature that is nearly always the same would decide the picture where it is not.
    floor = MIN_SCALE * np.median(scaler.scale_[scaler.var_ > 0])
    scaler.scale_ = np.maximum(scaler.scale_, floor)
    return scaler, scaler.transform(rows)


def find_flat(features: np.ndarray) -> np.ndarray:
    """Tell which features vary by rounding alone: of float32 (n, d) bool (d,)."""
    return np.ptp(features, axis=0) <= FLAT * np.abs(features[0])


def _answer_parts(regression, rows, y_true, part):
    """Return the answers to each part of classifiers that learned from the others."""
    y_prob = cross_val_predict(
        regression, rows, y_true, cv=PredefinedSplit(part), method="predict_proba"
    )
    return np.maximum(y_prob, MIN_PROBABILITY)
