"""Sentences that claim no more than the tests behind them."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from lib.evaluation.comparisons import bound_difference, compare_pair
from lib.evaluation.intervals import LEVEL
from lib.evaluation.wording import (
    join_names,
    write_bounds,
    write_number,
    write_p,
    write_percent,
    write_things,
)

# A gap between confidence and accuracy that doesn't matter, and the epochs that make a trend.
TOLERANCE, LAST = 0.05, 10


def describe_calibration(score: dict) -> str:
    """Say whether a model's probabilities can be believed, as far as a test tells.

    `score` is what `metrics.evaluate` returns. "Yes" is said only where the test doubts nothing, the
    error is small, and so are both ends of the interval of what could have been right.
    """
    mean, off, (low, high) = score["confidence"], score["overconfidence"], score["top1_interval"]
    right = write_percent(score["top1"])
    says = f"it says {write_percent(mean)} on average and is right in {right} of cases"
    if score["calibration_p"] >= LEVEL:
        if max(mean - low, high - mean, score["ece"]) <= TOLERANCE:
            return f"yes: {says}"
        return f"not enough pictures to say: {says}"
    if low <= mean <= high:
        return f"no, though their mean of {write_percent(mean)} fits: some are too high, or too low"
    size = f"about {write_things(round(100 * abs(off)), 'point')}"
    if abs(off) < 0.005:
        size = "less than 1 point"
    return f"{'too sure' if off > 0 else 'not sure enough'} by {size}: {says}"


def tabulate_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Arrange the pairs of `comparisons.compare_pairs` as a small matrix of texts, best model first.

    A cell says how much higher the top-1 accuracy of its row is than that of its column, and whether
    that is established. Columns have the numbers of the rows.
    """
    names = list(dict.fromkeys([*pairs.model, *pairs.other]))
    labels = [f"{number} {name}" for number, name in enumerate(names, 1)]
    table = pd.DataFrame("", labels, [str(k) for k in range(1, len(names) + 1)])
    for row in pairs.itertuples():
        a, b = names.index(row.model), names.index(row.other)
        sides = ("better", "worse") if row.p_holm < LEVEL else ("not sure",) * 2
        sides = ("same",) * 2 if row.difference == 0 else sides
        for place, sign, said in (((a, b), 1, sides[0]), ((b, a), -1, sides[1])):
            table.iloc[place] = f"{write_number(sign * row.difference, 3, '+')} {said}"
    return table


def describe_ways(ways: pd.DataFrame, differences: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Say which way of training is better on average, as `comparisons.compare_ways` tells.

    Returns sentences about what is established, and about what is not.
    """
    established, unknown = [], []
    for row in differences.itertuples():
        bounds = "without an interval"
        if pd.notna(row.low):
            bounds = write_bounds(row.low, row.high)
        size = (
            f"{write_number(row.difference)} ({bounds}) on average over {row.runs} trainings of each "
            f"on {row.n:,} pictures."
        )
        if row.low > 0 or row.high < 0:
            side = "better" if row.low > 0 else "worse"
            established.append(f"{row.way} is {side} than {row.other}: difference {size}")
        else:
            both = f"{row.way} is better than {row.other}"
            unknown.append(f"That {both} is not established: difference {size}")
    once = ways.index[ways.runs == 1]
    if not len(differences) and not len(once) and len(ways) > 1:
        unknown.append("No two ways of training have two seeds in common to be compared on.")
    if len(once):
        unknown.append(
            f"{join_names(once)} {'were' if len(once) > 1 else 'was'} trained once. How much of a "
            "score is the luck of a seed, one training can't tell."
        )
    return established, unknown


def describe_agreement(truth: str, predicted: dict[str, str]) -> str:
    """Say which models (label to class) are right on one picture, or agree where truth is ""."""
    classes, right = set(predicted.values()), [k for k in predicted if predicted[k] == truth]
    if not truth:
        agree = f"agree on {[*classes][0]}" if len(classes) == 1 else f"see {len(classes)} classes"
        return f"Truth unknown; the models {agree}."
    if len(right) in (0, len(predicted)):
        return "Every model is right." if right else "No model is right."
    return f"{join_names(right, most=9)} {'are' if right[1:] else 'is'} right."


def describe_gap(history: pd.DataFrame) -> str:
    """Say how far training and validation are apart after the last epoch, and where the loss goes.

    A trend is claimed only where Kendall's tau of the last epochs and their validation losses is
    not 0 (Mann 1945). `history` is as `training.train` returns it.
    """
    last, tail, lost = history.iloc[-1], history.tail(LAST), history[history.val_loss.isna()]
    gap = last.accuracy - last.val_accuracy
    side = "above" if gap >= 0 else "below"
    text = (
        f"After epoch {last.epoch:.0f} the training accuracy is {last.accuracy:.3f} and the "
        f"validation accuracy {last.val_accuracy:.3f}: training is {abs(gap):.3f} {side} "
        "validation. The validation loss "
    )
    if len(lost):
        return f"{text}is no number from epoch {lost.epoch.iloc[0]:.0f} on."
    best = history.loc[history.val_loss.idxmin()]
    text += f"was lowest after epoch {best.epoch:.0f} ({best.val_loss:.3f})"
    if best.epoch < last.epoch:
        text += f" and ends at {last.val_loss:.3f}"
    # Of two epochs there is no trend to test.
    if len(tail) < 3:
        return f"{text}. These are too few epochs for a trend."
    trend = "shows no trend"
    tau, p_value = kendalltau(tail.epoch, tail.val_loss)
    if p_value < LEVEL:
        trend = f"was {'falling' if tau < 0 else 'rising'} ({write_p(p_value)})"
    return f"{text}. Over the last {len(tail)} epochs it {trend}."


def describe_change(before: str, after: str, was_right, is_right, groups) -> str:
    """Say what one model corrects of another's mistakes, makes anew, and whether that is a gain.

    Args:
        before, after: names of the two models.
        was_right, is_right: bool (n,), whether each is right on each picture.
        groups: int (n,), as in `intervals`.
    """
    corrected, made = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
    difference, p_value = compare_pair(is_right, was_right, groups)
    bounds = write_bounds(*bound_difference(is_right, was_right, groups))
    verdict = "That doesn't establish that either is better"
    if p_value < LEVEL:
        verdict = f"So {after if difference > 0 else before} is better"
    test = "exact McNemar"
    if len(np.unique(groups)) < len(groups):
        test = "McNemar, groups counted once"
    return (
        f"Of {len(is_right):,} pictures, {after} corrects {corrected} that {before} gets wrong, and "
        f"gets {made} wrong that {before} has right. {verdict}: difference "
        f"{write_number(difference)} ({bounds}), {write_p(p_value)} ({test}). This is one question, "
        "asked once; 08 asks about every pair of models at once, and corrects for that."
    )
