"""Sentences that claim no more than the numbers and tests behind them."""

import pandas as pd
from scipy.stats import kendalltau

from lib.judging.intervals import LEVEL
from lib.judging.wording import join_names, write_bounds, write_p

# A gap between confidence and accuracy that doesn't matter, and the epochs that make a trend.
TOLERANCE, LAST = 0.05, 10


def describe_verdict(scores: dict[str, dict], pairs: pd.DataFrame) -> list[str]:
    """Say which model scores highest, what is established, and how far to trust its probabilities.

    Args:
        scores: model label to what `metrics.evaluate` returns.
        pairs: as `comparisons.compare_pairs` returns them.
    """
    top = max(score["top1"] for score in scores.values())
    best = [label for label, score in scores.items() if score["top1"] == top]
    score = scores[best[0]]
    verbs = "score highest, all the same: each" if best[1:] else "scores highest: it"
    low, high = score["top1_interval"]
    common = f"always answering {score['commonest']}, the commonest class,"
    if len(set(score["support"].values())) == 1:
        common = "always answering the same class"
    text = (
        f"{join_names(best)} {verbs} recognises {top:.3f} of {score['n']:,} validation pictures (95 % "
        f"interval {low:.3f}–{high:.3f}), where {common} would score {score['baseline']:.3f}"
    )
    if low <= score["baseline"]:
        text += ", which the interval does not rule out"
    told = pairs.p_holm < LEVEL
    better = pairs[told].groupby("model", sort=False).other
    claims = [f"{model} is better than {join_names(others)}" for model, others in better]
    for row in pairs[~told].itertuples():
        same = "score the same" if row.difference == 0 else "can't be told apart"
        claims.append(f"{row.model} and {row.other} {same}")
    if claims[3:]:
        claims[3:] = [f"{len(claims) - 3} more findings stand below"]
    findings = "; ".join(claims) or "There is no other model to compare it with"
    return [f"{text}.", f"{findings}.", describe_calibration(best[0], score)]


def describe_calibration(label: str, score: dict) -> str:
    """Say whether a model's probabilities can be taken at their word, as far as a test tells.

    Args:
        label: of the model.
        score: what `metrics.evaluate` returns.
    """
    off, bounds, ece = score["overconfidence"], score["overconfidence_interval"], score["ece"]
    text = f"{label} gives its answers a probability of {score['confidence']:.3f} on average, "
    reason = f"expected calibration error {ece:.3f}, by chance alone {score['ece_by_chance']:.3f}"
    if score["calibration_p"] < LEVEL:
        text += "which is "
        size = f"{abs(off):.3f}"
        if bounds is not None:
            size += f" ({write_bounds(*sorted(map(abs, bounds)))})"
        if bounds is not None and bounds[0] <= 0 <= bounds[1]:
            text = f"The probabilities of {label} are wrong in both directions, though their mean "
            text += f"of {score['confidence']:.3f} fits"
        else:
            text += f"{'too high' if off > 0 else 'too low'} by {size}"
    elif bounds is not None and max(map(abs, bounds)) <= TOLERANCE and ece <= TOLERANCE:
        text += f"which is about right, within {TOLERANCE}"
    else:
        text += f"and whether that is right can't be told from n = {score['n']:,}"
    return f"{text} ({reason}, {write_p(score['calibration_p'])})."


def describe_pairs(pairs: pd.DataFrame) -> list[str]:
    """Say of each pair of `comparisons.compare_pairs` whether one is better, and claim no more."""
    sentences = []
    for row in pairs.itertuples():
        size = f"{row.difference:.3f} ({write_bounds(row.low, row.high)})"
        if row.p_holm < LEVEL:
            claim = f"{row.model} is better than {row.other} by {size}"
        elif row.difference == 0:
            claim = f"{row.model} and {row.other} score the same on {row.n:,} pictures: {size}"
        else:
            claim = f"{row.model} and {row.other} can't be told apart on {row.n:,} pictures: "
            claim += f"difference {size}"
        sentences.append(f"{claim}, {write_p(row.p_holm)} (exact McNemar, Holm).")
    return sentences


def describe_balance(pairs: pd.DataFrame) -> list[str]:
    """Say the same of the averages per class, by the permutation test of `compare_pairs`."""
    sentences = []
    for row in pairs.itertuples():
        claim = f"{row.model} and {row.other} can't be told apart"
        if row.balanced_holm < LEVEL:
            ordered = [row.model, row.other]
            if row.balanced_difference < 0:
                ordered.reverse()
            claim = " is better than ".join(ordered)
        size = f"{abs(row.balanced_difference):.3f}"
        sentences.append(
            f"Each class counting the same, {claim}: difference {size}, "
            f"{write_p(row.balanced_holm)} (paired permutations, Holm)."
        )
    return sentences


def describe_ways(ways: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Say which way of training is better on average, as far as several runs tell.

    Args:
        ways, differences: as `comparisons.compare_ways` returns them.
    """
    sentences = []
    for row in differences.itertuples():
        size = f"{row.difference:.3f} ({write_bounds(row.low, row.high)})"
        after = f"on average over {row.runs} trainings of each on {row.n:,} pictures"
        if row.low > 0:
            sentences.append(f"{row.way} is better than {row.other} by {size} {after}.")
        elif row.high < 0:
            sentences.append(f"{row.way} is worse than {row.other}: difference {size} {after}.")
        else:
            claim = f"That {row.way} is better than {row.other} is not established"
            sentences.append(f"{claim}: difference {size} {after}.")
    once = ways.index[ways.runs == 1]
    if len(once):
        sentences.append(
            f"One training tells of {join_names(once)} how that run scores; how much of it is the "
            "luck of a seed, and whether a way of training is better than another, it can't tell."
        )
    return sentences


def describe_agreement(truth: str, predicted: dict[str, str]) -> str:
    """Say which models are right on one picture; where the truth is unknown, whether they agree.

    Args:
        truth: its class, or "".
        predicted: model label to class.
    """
    if not truth:
        classes = set(predicted.values())
        if len(classes) == 1:
            return f"Truth unknown; the models agree on {classes.pop()}."
        return f"Truth unknown; the models see {len(classes)} different classes."
    right = [label for label, name in predicted.items() if name == truth]
    if len(right) == len(predicted):
        return "Every model is right."
    if not right:
        return "No model is right."
    verb = "is" if len(right) == 1 else "are"
    return f"{' and '.join(right)} {verb} right."


def describe_extremes(per_class: dict[str, float], count: int = 3) -> str:
    """Say which classes a model recognises best and worst, ties together.

    Args:
        per_class: {class: recall}.
        count: how many of tied classes are named.
    """
    recall = pd.Series(per_class, dtype=float)
    parts = []
    for side, value in (("best", recall.max()), ("worst", recall.min())):
        names = join_names(recall.index[recall == value], count)
        parts.append(f"{side} {names} ({value:.2f})")
    return "; ".join(parts) + "."


def describe_gap(history: pd.DataFrame) -> str:
    """Say how far training and validation are apart after the last epoch, and where the loss goes.

    A trend is claimed only where Kendall's tau of the last epochs and their validation losses is
    not 0 (Mann 1945).

    Args:
        history: columns epoch, accuracy, val_accuracy, val_loss, as `training.fit` returns it.
    """
    last, tail = history.iloc[-1], history.tail(LAST)
    gap = last.accuracy - last.val_accuracy
    best = history.loc[history.val_loss.idxmin()]
    side = "above" if gap >= 0 else "below"
    text = (
        f"After epoch {last.epoch:.0f} the training accuracy is {last.accuracy:.3f} and the "
        f"validation accuracy {last.val_accuracy:.3f}: training is {abs(gap):.3f} {side} validation. "
        f"The validation loss was lowest after epoch {best.epoch:.0f} ({best.val_loss:.3f})"
    )
    if best.epoch < last.epoch:
        text += f" and ends at {last.val_loss:.3f}"
    trend = "they show no trend"
    # Of two epochs there is no trend to test.
    tau, p_value = kendalltau(tail.epoch, tail.val_loss) if len(tail) > 2 else (0, 1)
    if p_value < LEVEL:
        trend = f"it was {'falling' if tau < 0 else 'rising'} ({write_p(p_value)}, Mann–Kendall)"
    return f"{text}; over the last {len(tail)} epochs {trend}."
