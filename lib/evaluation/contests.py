"""Candidates cross-validated on the same folds: sure differences, a choice, a doubt, more pictures."""

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.data.split import deal_folds
from lib.evaluation.intervals import (
    LEVEL,
    correct_tests,
    effective_sample_size,
    wilson_interval,
)
from lib.evaluation.wording import format_bounds, format_number, format_percent
from lib.models import linear

SPEED = "pictures_per_second"
SHARES, DRAWS = (
    (0.1, 0.2, 0.4, 0.5, 0.7, 1.0),
    3,
)  # of the training pictures, and how often drawn


def judge_candidates(
    facts: pd.DataFrame, y_true, y_prob: dict, accuracies: dict, groups
):
    """Add to the facts of each candidate what cross-validation says of it.

    Args:
        facts: columns candidate, pictures_per_second and any others, a row a candidate.
        y_prob: candidate to float (repeats, n, classes), answers to rows that were held out.
        accuracies: candidate to float (repeats, folds), of the folds that were held out.

    Returns candidate, accuracy (the mean over the repeats), low, high (Wilson's interval), n, the
    columns of `compare_folds`, and the other facts; the most accurate first, of equals the fastest.
    """
    rows, n = [], effective_sample_size(groups)
    for name, answers in y_prob.items():
        accuracy = (answers.argmax(axis=2) == y_true).mean()
        rows.append((name, accuracy, *wilson_interval(accuracy, n), len(y_true)))
    scores = pd.DataFrame(rows, columns=["candidate", "accuracy", "low", "high", "n"])
    scores = scores.astype({"n": "Int64"}).merge(facts[["candidate", SPEED]], "outer")
    scores = scores.sort_values(["accuracy", SPEED], ascending=False, ignore_index=True)
    differences = compare_folds(accuracies, scores.candidate[0])
    table = scores.drop(columns=SPEED).merge(differences, "left", on="candidate")
    return table.merge(facts, "left", on="candidate")


def compare_folds(accuracies: dict[str, np.ndarray], best: str) -> pd.DataFrame:
    """Compare all other candidates with the best over repeated cross-validation on the same folds.

    Training sets of folds overlap, so their accuracies vary too little: the variance of the mean
    difference is made larger by test size over training size (Nadeau and Bengio 2003), with Student's
    t; then Holm's correction. That the best is the best of these very folds is not corrected for.

    Returns a row each: candidate, difference, difference_low, difference_high, p_value, p_holm.
    """
    size, folds = accuracies[best].size, accuracies[best].shape[1]
    others = {
        name: of - accuracies[best] for name, of in accuracies.items() if name != best
    }
    gaps = np.reshape(list(others.values()), (len(others), size))
    means, variances = gaps.mean(axis=1), gaps.var(axis=1, ddof=1)
    # Where all differences are equal, a hair of spread, so that nothing is divided by 0.
    errors = np.sqrt(np.maximum(variances * (1 / size + 1 / (folds - 1)), 1e-24))
    p_values = 2 * t.sf(np.abs(means) / errors, size - 1)
    corrected, levels = correct_tests(p_values)
    reach = t.ppf(1 - levels / 2, size - 1) * errors
    table = pd.DataFrame({"candidate": list(others), "difference": means})
    table = table.assign(difference_low=means - reach, difference_high=means + reach)
    return table.assign(p_value=p_values, p_holm=corrected)


def is_worse(table: pd.DataFrame) -> pd.Series:
    """Tell which candidates are surely worse than the best: bool, in order."""
    return (table.p_holm < LEVEL) & (table.difference < 0)


def choose_candidate(table: pd.DataFrame, how: str) -> str:
    """Return the "best" candidate, or the "cheapest": the fastest that isn't surely worse."""
    equal = table[table.accuracy.notna() & ~is_worse(table)]
    if how == "cheapest":
        equal = equal.sort_values(SPEED, ascending=False, kind="stable")
    return equal.candidate.iloc[0]


def describe_contest(table: pd.DataFrame) -> str:
    """Say which candidate scores highest, and which others are surely worse."""
    best, worse = table.iloc[0], is_worse(table)
    unsure = table.candidate[table.p_holm.notna() & ~worse]
    parts = {"it is better than": table.candidate[worse]}
    parts["these pictures are too few to say whether it is better than"] = unsure
    parts = [
        f"{words} {', '.join(names)}" for words, names in parts.items() if len(names)
    ]
    return (
        f"{best.candidate} recognises {best.accuracy:.3f} of {best.n:,} training pictures, each held "
        f"out (95 % interval {best.low:.3f} to {best.high:.3f}); "
        f"{'; '.join(parts) or 'there is no other to compare it with'}."
    )


def doubt_contest(metadata, score: dict) -> str:
    """Say where the winner of 05 was surely better in the contest than it is here; else return "".

    `metadata` is the model's JSON, whose candidates have the intervals of the contest.
    """
    candidates, name = (
        metadata.get("candidates"),
        metadata["name"].removesuffix("_linear"),
    )
    for row in candidates if isinstance(candidates, list) else ():
        if row["candidate"] == name and row["low"] > score["top1_interval"][1]:
            there, here = format_percent(row["accuracy"]), format_percent(score["top1"])
            return (
                f"In the contest {name} recognised {there}, here {here}: it may have learned from "
                "these pictures before, or the validation pictures are of another kind."
            )
    return ""


def learning_curve(
    features, y_true, num_classes, groups, seed, class_weights="none"
) -> pd.DataFrame:
    """Measure how accuracy grows with the pictures that a linear classifier learns from.

    Arguments as in `linear.fit`. Each share of the pictures is drawn three times, the classes in
    proportion, no group divided; every picture is answered by classifiers that have not seen it.

    Returns share, pictures (that there are for it), accuracy, low, high (Wilson's interval), n, and, of
    half of them, the columns of `compare_folds` with all. A share that can't be tried has no row.
    """
    rows, accuracies, n = [], {}, effective_sample_size(groups)
    for share in SHARES:
        try:
            tenths = [
                deal_folds(y_true, groups, 10, seed + DRAWS + draw)
                for draw in range(DRAWS)
            ]
            some, task = (
                np.less(tenths, 10 * share),
                (y_true, num_classes, groups, seed),
            )
            options = {"repeats": DRAWS, "class_weights": class_weights}
            options["train_mask"] = some
            held_out = linear.cross_validate(features, *task, **options)
        except ValueError as error:
            print(f"{100 * share:.0f} % of the pictures can't be tried: {error}")
            continue
        accuracy = (held_out.y_prob.argmax(axis=2) == y_true).mean()
        accuracies[share] = held_out.accuracies
        bounds = wilson_interval(accuracy, n)
        rows.append((share, round(some.sum() / DRAWS), accuracy, *bounds, len(y_true)))
    table = pd.DataFrame(rows, columns="share pictures accuracy low high n".split())
    if 0.5 not in accuracies:
        return table
    compared = {share: accuracies[share] for share in (0.5, 1.0)}
    differences = compare_folds(compared, 1).rename(columns={"candidate": "share"})
    return table.merge(differences, "left", on="share")


def describe_learning_curve(table: pd.DataFrame) -> str:
    """Say whether accuracy has risen from half of the pictures to all of them: `learning_curve`."""
    shares = table.set_index("share")
    if 0.5 not in shares.index:
        return "These pictures are too few to try half of them."
    half, count = shares.loc[0.5], shares.pictures.iloc[-1]
    bounds = format_bounds(-half.difference_high, -half.difference_low)
    rise, verdict = (
        format_number(-half.difference),
        "that more would help is not established",
    )
    if half.p_holm < LEVEL and half.difference < 0:
        verdict = "more pictures of this kind should help"
    return f"From half to all of the {count:,} pictures, accuracy rose by {rise} ({bounds}): {verdict}."
