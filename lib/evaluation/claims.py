"""Sentences that claim no more than the tests behind them."""

import pandas as pd
from scipy.stats import kendalltau

from lib.evaluation.comparisons import bound_difference, compare_pair
from lib.evaluation.intervals import LEVEL
from lib.evaluation.wording import join_names, write_bounds, write_p

# A gap between confidence and accuracy that doesn't matter, and the epochs that make a trend.
TOLERANCE, LAST = 0.05, 10


def describe_verdict(scores: dict[str, dict], pairs: pd.DataFrame) -> list[str]:
    """Say which model scores highest, what is established, and how far to trust its confidence."""
    top = max(score["top1"] for score in scores.values())
    best = [label for label, score in scores.items() if score["top1"] == top]
    score = scores[best[0]]
    verbs = "score highest, all the same: each" if best[1:] else "scores highest: it"
    low, high = score["top1_interval"]
    counts = sorted(score["support"].values())
    common = f"always answering {score['commonest']}, the commonest class,"
    if counts[0] == counts[-1]:
        common = "always answering the same class"
    elif counts[-2:] == [counts[-1]] * 2:
        common = f"always answering {score['commonest']}, one of the commonest classes,"
    text = (
        f"{join_names(best)} {verbs} recognises {top:.3f} of {score['n']:,} validation pictures "
        f"(95 % interval {low:.3f}–{high:.3f}), where {common} would score {score['baseline']:.3f}"
    )
    if high < score["baseline"]:
        text += ", which is better"
    elif low <= score["baseline"]:
        text += ", which the interval does not rule out"
    told = pairs.p_holm < LEVEL
    better = pairs[told].groupby("model", sort=False).other
    claims = [f"{model} is better than {join_names(others)}" for model, others in better]
    for row in pairs[~told].itertuples():
        same = "score the same" if row.difference == 0 else "can't be told apart"
        claims.append(f"{row.model} and {row.other} {same}")
    if claims[3:]:
        claims[3:] = ["the other pairs stand below"]
    findings = "There is no other model to compare it with"
    if claims:
        findings = f"Of these runs, {'; '.join(claims)}"
    return [f"{text}.", f"{findings}.", describe_calibration(best[0], score)]


def describe_calibration(label: str, score: dict) -> str:
    """Say whether a model's probabilities can be taken at their word, as far as a test tells."""
    off, bounds, ece = score["overconfidence"], score["overconfidence_interval"], score["ece"]
    mean = f"{score['confidence']:.3f}"
    text = f"{label} gives its answers a probability of {mean} on average, "
    small = bounds is not None and max(map(abs, bounds)) <= TOLERANCE and ece <= TOLERANCE
    if score["calibration_p"] >= LEVEL:
        claim = f"and whether that is right can't be told from n = {score['n']:,}"
        if small:
            claim = f"which is about right, within {TOLERANCE}"
    elif bounds is not None and bounds[0] <= 0 <= bounds[1]:
        text = f"The probabilities of {label} are wrong in both directions, "
        claim = f"though their mean of {mean} fits"
    elif bounds is None:
        claim = "which is wrong; by how much, the answers are too few or too much alike to tell"
    else:
        size = f"{abs(off):.3f} ({write_bounds(*sorted(map(abs, bounds)))})"
        claim = f"which is too {'high' if off > 0 else 'low'} by {size}"
    reason = f"expected calibration error {ece:.3f}, by chance alone {score['ece_by_chance']:.3f}"
    return f"{text}{claim} ({reason}, {write_p(score['calibration_p'])})."


def describe_pairs(pairs: pd.DataFrame) -> list[str]:
    """Say of each pair of `comparisons.compare_pairs` whether one is better, and claim no more."""
    sentences = []
    for row in pairs.itertuples():
        size = f"{row.difference:.3f} ({write_bounds(row.low, row.high)})"
        both = f"{row.model} and {row.other}"
        claim = f"{both} can't be told apart on {row.n:,} pictures: difference {size}"
        if row.p_holm < LEVEL:
            claim = f"{row.model} is better than {row.other} by {size}"
        elif row.difference == 0:
            claim = f"{both} score the same on {row.n:,} pictures: {size}"
        sentences.append(f"{claim}, {write_p(row.p_holm)} (exact McNemar, Holm).")
    return sentences


def describe_balance(pairs: pd.DataFrame) -> list[str]:
    """Say the same of the averages per class, by the permutation test of `compare_pairs`."""
    sentences = []
    for row in pairs.itertuples():
        claim = f"{row.model} and {row.other} can't be told apart"
        if row.balanced_holm < LEVEL and row.balanced_difference > 0:
            claim = f"{row.model} is better than {row.other}"
        elif row.balanced_holm < LEVEL:
            claim = f"{row.other} is better than {row.model}"
        elif row.balanced_difference == 0:
            claim = f"{row.model} and {row.other} score the same"
        claim += f" on {row.n:,} pictures: difference {abs(row.balanced_difference):.3f}"
        test = f"{write_p(row.balanced_holm)} (paired permutations, Holm)"
        sentences.append(f"Each class counting the same, {claim}, {test}.")
    return sentences


def describe_ways(ways: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Say which way of training is better on average, as `comparisons.compare_ways` tells."""
    sentences = []
    for row in differences.itertuples():
        claim = f"That {row.way} is better than {row.other} is not established: difference"
        if row.low > 0:
            claim = f"{row.way} is better than {row.other} by"
        elif row.high < 0:
            claim = f"{row.way} is worse than {row.other}: difference"
        bounds = "too few pictures for an interval"
        if pd.notna(row.low):
            bounds = write_bounds(row.low, row.high)
        sentences.append(
            f"{claim} {row.difference:.3f} ({bounds}) "
            f"on average over {row.runs} trainings of each on {row.n:,} pictures."
        )
    once = ways.index[ways.runs == 1]
    if not sentences and not len(once) and len(ways) > 1:
        sentences.append("No two ways of training have two seeds in common to be compared on.")
    if len(once):
        sentences.append(
            f"One training tells of {join_names(once)} how that run scores; how much of it is the "
            "luck of a seed, and whether a way of training is better than another, it can't tell."
        )
    return sentences


def describe_agreement(truth: str, predicted: dict[str, str]) -> str:
    """Say which models (label to class) are right on one picture, or agree where truth is ""."""
    classes, right = set(predicted.values()), [k for k in predicted if predicted[k] == truth]
    if not truth and len(classes) == 1:
        return f"Truth unknown; the models agree on {classes.pop()}."
    if not truth:
        return f"Truth unknown; the models see {len(classes)} different classes."
    if len(right) == len(predicted):
        return "Every model is right."
    if not right:
        return "No model is right."
    return f"{' and '.join(right)} {'are' if right[1:] else 'is'} right."


def describe_extremes(per_class: dict[str, float]) -> str:
    """Say which classes have the best and the worst recall, ties together."""
    recall = pd.Series(per_class, dtype=float)
    best, worst = recall.max(), recall.min()
    if best == worst:
        return f"all classes alike ({best:.2f})."
    names = [join_names(recall.index[recall == value]) for value in (best, worst)]
    return f"best {names[0]} ({best:.2f}); worst {names[1]} ({worst:.2f})."


def describe_gap(history: pd.DataFrame) -> str:
    """Say how far training and validation are apart after the last epoch, and where the loss goes.

    A trend is claimed only where Kendall's tau of the last epochs and their validation losses is
    not 0 (Mann 1945). `history` is as `training.train` returns it.
    """
    last, tail = history.iloc[-1], history.tail(LAST)
    gap, best = last.accuracy - last.val_accuracy, history.loc[history.val_loss.idxmin()]
    side = "above" if gap >= 0 else "below"
    text = (
        f"After epoch {last.epoch:.0f} the training accuracy is {last.accuracy:.3f} and the "
        f"validation accuracy {last.val_accuracy:.3f}: training is {abs(gap):.3f} {side} "
        f"validation. The validation loss was lowest after epoch {best.epoch:.0f} "
        f"({best.val_loss:.3f})"
    )
    if best.epoch < last.epoch:
        text += f" and ends at {last.val_loss:.3f}"
    # Of two epochs there is no trend to test.
    if len(tail) < 3:
        return f"{text}; these are too few epochs for a trend."
    trend = "they show no trend"
    tau, p_value = kendalltau(tail.epoch, tail.val_loss)
    if p_value < LEVEL:
        trend = f"it was {'falling' if tau < 0 else 'rising'} ({write_p(p_value)}, Mann–Kendall)"
    return f"{text}; over the last {len(tail)} epochs {trend}."


def describe_change(before: str, after: str, was_right, is_right, groups=None) -> str:
    """Say what one model corrects of another's mistakes, makes anew, and whether that is a gain.

    Args:
        before, after: names of the two models.
        was_right, is_right: bool (n,), whether each is right on each picture.
        groups: as in `metrics.evaluate`.
    """
    corrected, made = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
    difference, p_value = compare_pair(is_right, was_right, groups)
    bounds = write_bounds(*bound_difference(is_right, was_right, groups))
    verdict = "which doesn't establish that either is better"
    if p_value < LEVEL:
        verdict = f"so {after if difference > 0 else before} is better"
    test = "exact McNemar" if groups is None else "McNemar, groups counted once"
    return (
        f"Of {len(is_right):,} pictures, {after} corrects {corrected} that {before} gets wrong, and "
        f"gets {made} wrong that {before} has right, {verdict}: difference {difference:z.3f} "
        f"({bounds}), {write_p(p_value)} ({test})."
    )
