"""Candidates cross-validated on the same folds: scores, a doubt, more pictures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lib.base.work import show_progress
from lib.data.split import TooFewGroupsError, deal_folds
from lib.evaluation.intervals import (
    compare_runs,
    effective_sample_size,
    wilson_interval,
)
from lib.evaluation.metrics import Score
from lib.models.linear import TunedLogistic
from lib.models.record import Record

# Shares of the training pictures that are tried, and how often each is drawn.
SHARES = (0.1, 0.2, 0.4, 0.5, 0.7, 1.0)
DRAWS = 3
MAX_ROWS = 20_000  # of the learning curve
FOLDS = 5


def judge_candidates(
    facts: pd.DataFrame,
    y_true: np.ndarray,
    y_prob: dict[str, np.ndarray],
    groups: np.ndarray,
) -> pd.DataFrame:
    """Add to the facts of each candidate how often its held-out answers are right.

    Args:
        facts: a row per candidate: candidate, pictures_per_second and any others.
        y_true: int (n,), the index of each true class.
        y_prob: candidate to float (repeats, n, classes), answers to held-out rows.
        groups: int (n,), as in `intervals`.

    Returns:
        candidate, accuracy (the mean over the repeats), low, high (Wilson's interval), n, and
        the facts; the most accurate first, of equals the fastest.
    """
    n = effective_sample_size(groups)
    rows = []
    for name, answers in y_prob.items():
        accuracy = (answers.argmax(axis=2) == y_true).mean()
        low, high = wilson_interval(accuracy, n)
        rows.append([name, accuracy, low, high, len(y_true)])
    scores = pd.DataFrame(rows, columns=["candidate", "accuracy", "low", "high", "n"])
    table = scores.astype({"n": "Int64"}).merge(facts, "outer", on="candidate")
    order = ["accuracy", "pictures_per_second"]
    return table.sort_values(order, ascending=False, ignore_index=True)


@dataclass(frozen=True)
class Doubt:
    """A network that was surely better in the contest of 05 than it is here."""

    candidate: str
    accuracy: float  # in the contest
    top1: float  # here


def doubt_contest(contest: list[dict], record: Record, score: Score) -> Doubt | None:
    """Tell whether the network of a model of 05 was surely better in the contest than it is here.

    Args:
        contest: of `record.Found`.
        record: of the model.
        score: of the model.

    Returns:
        None where there is nothing to doubt, and of random weights, which have seen no pictures before.
    """
    if record.kind != "linear" or record.is_untrained:
        return None
    for row in contest:
        name = row["candidate"]
        if name == record.network and row["low"] > score.top1_interval[1]:
            return Doubt(name, row["accuracy"], score.top1)
    return None


def learning_curve(
    features: np.ndarray,
    y_true: np.ndarray,
    groups: np.ndarray,
    estimator: TunedLogistic,
) -> pd.DataFrame:
    """Measure how accuracy grows with the pictures that a linear classifier learns from.

    Of more than `MAX_ROWS` pictures as many are drawn. Each share of them is drawn three
    times, the classes in proportion, no group divided; every picture is answered by
    classifiers that have not seen it. Args are those of `TunedLogistic.fit`, and the estimator.

    Returns:
        share, pictures (how many it is), accuracy, low, high (Wilson's interval), n; and of
        half of them difference to all, difference_low and difference_high, by
        `compare_runs`, of the mean of the draws. A share that can't be tried has no row.
    """
    shuffled = np.random.default_rng(estimator.seed).permutation(len(y_true))
    tried = np.sort(shuffled[:MAX_ROWS])
    features = features[tried]
    y_true = y_true[tried]
    groups = groups[tried]
    n = effective_sample_size(groups)
    rows = []
    correct = {}
    for share in show_progress(SHARES, "learning curve", unit="share"):
        try:
            pictures, right = _judge_share(share, estimator, features, y_true, groups)
        except TooFewGroupsError as error:
            print(f"Note: {100 * share:.0f} % of the pictures can't be tried: {error}")
            continue
        correct[share] = right
        low, high = wilson_interval(right.mean(), n)
        rows.append([share, pictures, right.mean(), low, high, len(right)])
    columns = ["share", "pictures", "accuracy", "low", "high", "n"]
    table = pd.DataFrame(rows, columns=columns)
    if 0.5 in correct and 1.0 in correct:
        # Draws share their pictures: of three a variance of their own would say little.
        differences = correct[0.5] - correct[1.0]
        low, high, _ = compare_runs([differences], groups)
        of_half = [differences.mean(), low, high]
        columns = ["difference", "difference_low", "difference_high"]
        table.loc[table.share == 0.5, columns] = of_half
    return table


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
