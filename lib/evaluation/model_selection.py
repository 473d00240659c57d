"""Candidates cross-validated on the same folds: differences, a doubt, more pictures."""

import numpy as np
import pandas as pd
from scipy.stats import t
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lib.base.work import show_progress
from lib.data.split import TooFewGroupsError, deal_folds
from lib.evaluation.intervals import (
    compare_runs,
    correct_tests,
    effective_sample_size,
    wilson_interval,
)
from lib.evaluation.metrics import Score
from lib.models.linear import TunedLogistic
from lib.models.record import Record

SPEED = "pictures_per_second"
# Shares of the training pictures that are tried, and how often each is drawn.
SHARES = (0.1, 0.2, 0.4, 0.5, 0.7, 1.0)
DRAWS = 3
MAX_ROWS = 20_000  # of the learning curve
FOLDS = 5
OF_HALF = ["difference", "difference_low", "difference_high", "p_value"]


def judge_candidates(
    facts: pd.DataFrame,
    y_true: np.ndarray,
    y_prob: dict[str, np.ndarray],
    accuracies: dict[str, np.ndarray],
    groups: np.ndarray,
) -> pd.DataFrame:
    """Add to the facts of each candidate what cross-validation says of it.

    Args:
        facts: a row per candidate: candidate, pictures_per_second and any others.
        y_true: int (n,), the index of each true class.
        y_prob: candidate to float (repeats, n, classes), answers to held-out rows.
        accuracies: candidate to float (repeats, folds), of the folds that were held out.
        groups: int (n,), as in `intervals`.

    Returns:
        candidate, accuracy (the mean over the repeats), low, high (Wilson's interval), n,
        the facts, and the columns of `compare_folds`; the most accurate first, of equals the
        fastest.
    """
    n = effective_sample_size(groups)
    rows = []
    for name, answers in y_prob.items():
        accuracy = (answers.argmax(axis=2) == y_true).mean()
        low, high = wilson_interval(accuracy, n)
        rows.append([name, accuracy, low, high, len(y_true)])
    scores = pd.DataFrame(rows, columns=["candidate", "accuracy", "low", "high", "n"])
    table = scores.astype({"n": "Int64"}).merge(facts, "outer", on="candidate")
    table = table.sort_values(["accuracy", SPEED], ascending=False)
    means = table.set_index("candidate").accuracy
    differences = compare_folds(accuracies, means, groups)
    return table.merge(differences, "left", on="candidate")


def compare_folds(
    accuracies: dict[str, np.ndarray], means: pd.Series, groups: np.ndarray
) -> pd.DataFrame:
    """Compare all other candidates with the best over repeated cross-validation.

    Training sets of folds overlap, so their accuracies vary too little: the variance of the mean
    difference is made larger by test size over training size (Nadeau and Bengio 2003; of repeated folds
    Bouckaert and Frank 2004), with Student's t; then Holm's correction. That the best is the best of
    these very folds is not corrected for.

    Args:
        accuracies: candidate to float (repeats, folds).
        means: candidate to its accuracy over all pictures, the best first.
        groups: int (n,), as in `intervals`.

    Returns:
        A row per candidate: candidate, difference, p_value, p_holm, difference_low, difference_high.
        Both p are missing where one group is larger than half a fold, which varies more than the others.
    """
    best = means.index[0]
    table = means.drop(best).dropna().sub(means[best]).to_frame("difference")
    folds = accuracies[best].shape[1]
    df = accuracies[best].size - 1
    errors = []
    for name in table.index:
        by_fold = accuracies[name] - accuracies[best]
        variance = by_fold.var(ddof=1) * (1 / by_fold.size + 1 / (folds - 1))
        # Where all differences are equal, a hair of spread, so that nothing is divided by 0.
        errors.append(max(np.sqrt(variance), 1e-12))
    table["p_value"] = 2 * t.sf(table.difference.abs() / errors, df)
    if np.bincount(groups).max() > len(groups) / folds / 2:
        table["p_value"] = np.nan
    table["p_holm"], levels = correct_tests(table.p_value.to_numpy())
    low, high = t.interval(1 - levels, df, table.difference, errors)
    table = table.assign(difference_low=low, difference_high=high)
    return table.reset_index(names="candidate")


def doubt_contest(record: Record, score: Score) -> dict:
    """Tell whether the winner of 05 was surely better in the contest than it is here.

    Args:
        record: of the model, whose candidates have the intervals of the contest.
        score: of the model.

    Returns:
        candidate, accuracy (in the contest) and top1 (here); empty where there is nothing to
        doubt, and of random weights, which have seen no pictures before.
    """
    if record.is_untrained:
        return {}
    for row in record.candidates:
        name = row["candidate"]
        if name == record.network and row["low"] > score.top1_interval[1]:
            accuracy = row["accuracy"]
            return {"candidate": name, "accuracy": accuracy, "top1": score.top1}
    return {}


def learning_curve(
    features: np.ndarray,
    y_true: np.ndarray,
    groups: np.ndarray,
    estimator: TunedLogistic,
) -> pd.DataFrame:
    """Measure how accuracy grows with the pictures that a linear classifier learns from.

    Each share of the pictures, of more than `MAX_ROWS` of a part, is drawn three times, the
    classes in proportion, no group divided; every picture is answered by classifiers that
    have not seen it. Args are those of `TunedLogistic.fit`, and the estimator.

    Returns:
        share, pictures (how many it is), accuracy, low, high (Wilson's interval), n; and of
        half of them difference to all, difference_low, difference_high and p_value, by
        `compare_runs`, of the mean of the draws. A share that can't be tried has no row.
    """
    if len(y_true) > MAX_ROWS:
        parts = -(-len(y_true) // MAX_ROWS)
        is_tried = deal_folds(y_true, groups, parts, estimator.seed) == 0
        features = features[is_tried]
        y_true = y_true[is_tried]
        groups = groups[is_tried]
    n = effective_sample_size(groups)
    rows = []
    correct = {}
    for share, pictures, right in _try_shares(estimator, features, y_true, groups):
        correct[share] = right
        low, high = wilson_interval(right.mean(), n)
        row = {"share": share, "pictures": pictures, "accuracy": right.mean()}
        rows.append(row | {"low": low, "high": high, "n": len(y_true)})
    table = pd.DataFrame(rows)
    if 0.5 in correct and 1.0 in correct:
        # Draws share their pictures: of three a variance of their own would say little.
        differences = correct[0.5] - correct[1.0]
        tested = compare_runs([differences], groups)
        table.loc[table.share == 0.5, OF_HALF] = [differences.mean(), *tested]
    return table


def _try_shares(estimator, features, y_true, groups):
    """Yield shares, how many pictures they are, and how often each is answered rightly."""
    for share in show_progress(SHARES, "learning curve", unit="share"):
        try:
            yield share, *_judge_share(share, estimator, features, y_true, groups)
        except TooFewGroupsError as error:
            print(f"Note: {100 * share:.0f} % of the pictures can't be tried: {error}")


def _judge_share(share, estimator, features, y_true, groups):
    """Return how many pictures it is, and how often each is answered rightly: float (n,)."""
    right = np.zeros(len(y_true))
    pictures = 0
    for draw in range(DRAWS):
        seed = estimator.seed + draw
        is_drawn = deal_folds(y_true, groups, 10, seed + DRAWS) < 10 * share
        # Each draw has folds of its own, of which the drawn rows are learned from.
        fold_of = deal_folds(y_true, groups, FOLDS, seed)
        splits = []
        for others, held in PredefinedSplit(fold_of).split():
            splits.append((others[is_drawn[others]], held))
        y_pred = cross_val_predict(
            estimator, features, y_true, cv=splits, params={"groups": groups}
        )
        right += y_pred == y_true
        pictures += is_drawn.sum()
    return round(pictures / DRAWS), right / DRAWS


def summarize_curve(table: pd.DataFrame) -> dict:
    """Sum up how accuracy changed from half of the pictures to all: `learning_curve`.

    Returns:
        pictures (how many all are), change, low, high (its interval) and is_rising, whether
        it surely rose; empty where half of the pictures could not be tried.
    """
    if "difference" not in table:
        return {}
    half = table[table.share == 0.5].iloc[0]
    return {
        "pictures": int(half.n),
        "change": -half.difference,
        "low": -half.difference_high,
        "high": -half.difference_low,
        "is_rising": bool(half.difference_high < 0),
    }
