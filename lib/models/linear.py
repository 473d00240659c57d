"""A linear classifier on kept features, and its cross-validation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from lib.data.split import deal_folds
from lib.machine import count_cores

# Strengths of the regularisation that are tried, from the strongest on; folds that choose among them.
PENALTIES, INNER_FOLDS = np.logspace(-2, -6, 9), 3
TEMPERATURES = np.geomspace(1 / 16, 4, 49)
# So many held-out rows are enough to choose by; of right and of wrong answers, a temperature needs so
# many. Bytes that folds may copy at a time.
ENOUGH, FEWEST, MEMORY = 2000, 5, 2 << 30
# The most steps of a fit, and the relative gain that ends it.
STEPS, PRECISION = 100, 1e-5
# Threads of BLAS are limited to one below: these matrices are narrow, and where other work is done,
# threads wait for one another, up to fifty times as long.


@dataclass(frozen=True)
class Basis:
    """Features in units of their own spread, turned into the axes along which they vary most.

    A turn changes nothing about a linear classifier with an L2 penalty but how fast it is found, and
    neither axes nor units know a label.
    """

    rows: np.ndarray  # float32 (n, axes), the features in these axes; mean squared length is 1
    variances: np.ndarray  # float64 (axes,), of each axis
    axes: np.ndarray  # float64 (d, axes), which lead from features, less their mean, to rows
    mean: np.ndarray  # float64 (d,)

    def find_kernel(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn weights of `fit_linear` to the features as they are: kernel (d, classes), bias."""
        kernel = self.axes @ weights[:-1]
        return kernel.astype(np.float32), (weights[-1] - self.mean @ kernel).astype(np.float32)


@threadpool_limits.wrap(limits=1, user_api="blas")
def find_basis(features) -> Basis:
    """Find the principal axes of features, float32 (n, d), each divided by its standard deviation."""
    rows = np.array(features[:], np.float32)
    mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    # What never varies tells nothing.
    units = np.where(spread > 0, 1 / np.maximum(spread, 1e-30), 0)
    units /= np.sqrt(max((spread > 0).sum(), 1))
    rows = (rows - mean.astype(np.float32)) * units.astype(np.float32)
    # Of the two products of rows with themselves, the smaller tells the same axes.
    if rows.shape[0] >= rows.shape[1]:
        squares, axes = np.linalg.eigh(rows.T @ rows)
    else:
        squares, axes = np.linalg.eigh(rows @ rows.T)
        axes = rows.T @ axes / np.sqrt(np.maximum(squares, 1e-30))
    kept = squares > squares.max() * 1e-6
    squares, axes = squares[kept], axes[:, kept]
    return Basis(rows @ axes, squares / len(rows), units[:, np.newaxis] * axes, mean)


def fit_linear(
    basis: Basis, y_true, num_classes: int, penalty: float, chosen, start=None
) -> np.ndarray:
    """Fit a multinomial logistic regression with an L2 penalty (L-BFGS, Liu and Nocedal 1989).

    Smallest is the mean of the negative log-likelihood plus penalty / 2 times the sum of the squared
    weights; the bias is free. Each axis is scaled by the curvature that it has before anything is
    learned (after Böhning 1992), which saves most of the steps.

    Args:
        y_true: int (n,), of all rows of the basis.
        chosen: int (k,), the rows to learn from.
        start: weights to begin with, as returned; None for zeros.

    Returns float64 (axes + 1, classes); the last row is the bias.
    """
    rows, truth = basis.rows[chosen], y_true[chosen]
    curvature = np.sqrt(np.append(basis.variances, 1) / 2 + penalty)[:, np.newaxis]
    shrinking = np.append(np.full(rows.shape[1], penalty), 0)[:, np.newaxis]
    places = np.arange(len(rows)), truth

    def weigh(point):
        weights = point.reshape(-1, num_classes) / curvature
        single = weights.astype(np.float32)
        logits = log_softmax(rows @ single[:-1] + single[-1], axis=1)
        loss = -logits[places].mean(dtype=np.float64) + (shrinking * weights**2).sum() / 2
        errors = np.exp(logits)
        errors[places] -= 1
        errors /= len(rows)
        slope = np.vstack([rows.T @ errors, errors.sum(axis=0)]) + shrinking * weights
        return loss, (slope / curvature).ravel()

    if start is None:
        start = np.zeros((rows.shape[1] + 1, num_classes))
    start = (start * curvature).ravel()
    options = {"maxiter": STEPS, "ftol": PRECISION, "maxcor": 20}
    found = minimize(weigh, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(-1, num_classes) / curvature


def find_logits(basis: Basis, weights: np.ndarray, chosen) -> np.ndarray:
    """Return what a softmax makes probabilities of rows: float64 (k, classes)."""
    return basis.rows[chosen] @ weights[:-1].astype(np.float32) + weights[-1]


@threadpool_limits.wrap(limits=1, user_api="blas")
def choose_penalty(basis, y_true, num_classes, chosen, groups, seed) -> tuple:
    """Choose the penalty under which rows that were held out are least surprising.

    The mean negative log-likelihood decides, at the temperature (Guo et al. 2017) that suits it best:
    a strong penalty makes a classifier modest, and that is no reason against it. The search ends
    where the loss begins to rise. Of many rows, one fold of held-out ones is enough.

    Args:
        chosen: int (k,), the rows that may be looked at.
        groups: int (n,), as in `deal_folds`.

    Returns penalty, temperature, and weights from which a fit with this penalty is near.
    """
    fold = deal_folds(y_true[chosen], groups[chosen], INNER_FOLDS, seed)
    asked_folds = range(min(INNER_FOLDS, -(-ENOUGH * INNER_FOLDS // len(chosen))))
    asked = np.concatenate([chosen[fold == held] for held in asked_folds])
    starts, best = [None] * INNER_FOLDS, (np.inf,)
    for penalty in PENALTIES:
        logits = []
        for held in asked_folds:
            learned = chosen[fold != held]
            starts[held] = fit_linear(basis, y_true, num_classes, penalty, learned, starts[held])
            logits.append(find_logits(basis, starts[held], chosen[fold == held]))
        loss, temperature = _find_temperature(np.concatenate(logits), y_true[asked])
        if loss > best[0]:
            break
        best = loss, float(penalty), temperature, starts[0]
    return best[1:]


def _find_temperature(logits, y_true) -> tuple[float, float]:
    """Return the smallest mean negative log-likelihood, and the temperature that gives it."""
    places, right = (np.arange(len(y_true)), y_true), logits.argmax(axis=1) == y_true
    # Nothing bounds the temperature of what is always right.
    steps = TEMPERATURES if min(right.sum(), (~right).sum()) >= FEWEST else np.ones(1)
    losses = [-log_softmax(logits / step, axis=1)[places].mean() for step in steps]
    return min(losses), float(steps[np.argmin(losses)])


def cross_validate(basis, y_true, num_classes, groups, folds, seed) -> tuple:
    """Answer every row by classifiers that have not seen its label.

    Each chooses penalty and temperature for itself, among the rows that it learns from.

    Args:
        y_true: int (n,). groups: int (n,), as in `deal_folds`.
        folds: int (n, repeats), in which fold each row is, in each repeat.

    Returns probabilities, float32 (repeats, n, classes), and accuracies, float64 (repeats, folds),
    of each held-out fold.
    """
    repeats, count = folds.shape[1], folds.max() + 1
    y_prob = np.zeros((repeats, len(y_true), num_classes), np.float32)
    accuracies = np.zeros((repeats, count))

    def judge_fold(place):
        repeat, held = place
        learned = np.flatnonzero(folds[:, repeat] != held)
        asked = np.flatnonzero(folds[:, repeat] == held)
        told = (basis, y_true, num_classes)
        penalty, temperature, start = choose_penalty(*told, learned, groups, seed)
        weights = fit_linear(*told, penalty, learned, start)
        return place, asked, softmax(find_logits(basis, weights, asked) / temperature, axis=1)

    # A fold a core, each without threads of its own; each copies its rows twice.
    workers = max(1, min(count_cores(), MEMORY // (2 * basis.rows.nbytes)))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        judged = pool.map(judge_fold, np.ndindex(accuracies.shape))
        options = {"total": repeats * count, "desc": "cross-validation", "unit": "fold"}
        for place, asked, answers in tqdm(judged, **options):
            y_prob[place[0], asked] = answers
            accuracies[place] = (answers.argmax(axis=1) == y_true[asked]).mean()
    return y_prob, accuracies
