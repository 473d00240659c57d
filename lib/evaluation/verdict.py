"""What the answer box and the sentences say; they claim no more than the tests behind them."""

import numpy as np
import pandas as pd

from lib.evaluation import contests, intervals, wording
from lib.evaluation.intervals import LEVEL, beats_baseline

WEAKEST = 3  # classes that are named


def find_answer(answers) -> dict:
    """Find what the answer box says in parts.html.jinja, of the `Predictions` of all models.

    Only trained models count, where there are any. The best is the way of training with the highest
    mean; those come first that surely beat the majority class, and that no other surely beats.

    Returns trained: whether any model is; name and label of the best, and of its first training;
    is_useful: whether each of its trainings beats the baseline; count: how many were compared; way: its
    row of `Predictions.configurations`; to_repeat: networks that were trained once; better, worse, same, unsure,
    apart: those that it is better than, that are better, that score the same, that too few pictures
    tell from it, that can't be compared; doubts of `contests.doubt_contest`; what `list_weakest` returns.
    """
    trained, pairs, n = (
        answers.trained,
        answers.pairs,
        intervals.effective_sample_size(answers.groups),
    )
    labels, scores = (
        dict(zip(trained.runs.configuration, trained.labels)),
        trained.scores,
    )
    ways = answers.configurations[answers.configurations.index.isin(labels)]
    names, baseline = (
        list(ways.index),
        np.bincount(answers.y_true).max() / len(answers.y_true),
    )
    sure = pairs[(pairs.p_holm < LEVEL) & pairs.model.isin(names)]
    useful = {
        name
        for name in names
        if beats_baseline(ways.lowest[name], n, baseline, len(ways))
    }
    best = min(names, key=lambda name: (name not in useful, name in {*sure.other}))
    once = ways.index[ways.runs == 1]
    return {
        "trained": bool((trained.models.weights != "untrained").any()),
        "label": labels[best],
        "name": best,
        "is_useful": best in useful,
        "count": len(ways),
        "configuration": ways.loc[best].to_dict(),
        "doubts": [
            contests.doubt_contest(trained.models.loc[k], s) for k, s in scores.items()
        ],
        "to_repeat": [
            name for name in once if not name.endswith(("_linear", "_finetuned"))
        ],
        **_place_others(best, ways, pairs, sure),
        **list_weakest(scores[labels[best]]),
    }


def _place_others(best: str, ways, pairs, sure) -> dict[str, list[str]]:
    kinds = {
        "unsure": [
            *pairs.other[pairs.model == best],
            *pairs.model[pairs.other == best],
        ],
        "same": ways.index[ways["mean"] == ways["mean"][best]],
        "better": sure.other[sure.model == best],
        "worse": sure.model[sure.other == best],
    }
    kind_of = dict.fromkeys(ways.index, "apart")
    for kind, others in kinds.items():
        kind_of |= dict.fromkeys(others, kind)
    kind_of[best] = "best"
    return {
        k: [way for way in ways.index if kind_of[way] == k] for k in (*kinds, "apart")
    }


def list_weakest(score: dict) -> dict:
    """List the classes that are recognised worst, below the average and never without a mistake.

    Returns weakest: (class, pictures recognised, pictures), three at most; weakest_more: how many
    further classes are recognised as badly as the last of them.
    """
    recall = pd.Series(score["per_class"], dtype=float).sort_values(kind="stable")
    worst = recall[(recall < 1) & (recall <= recall.mean() + 1e-9)]
    listed, support = worst.head(WEAKEST), score["support"]
    rows = [
        (name, round(share * support[name]), support[name])
        for name, share in listed.items()
    ]
    more = int((worst[WEAKEST:] == listed.max()).sum()) if len(listed) else 0
    return {"weakest": rows, "weakest_more": more}


def describe_calibration(score: dict) -> str:
    """Say whether probabilities can be believed: mean confidence beside Wilson's interval of top-1.

    `score` is of `Predictions.scores`: the level is divided by the number of models compared.
    """
    mean, top1 = score["confidence"], score["top1"]
    low, high = intervals.wilson_interval(
        top1, score["effective_n"], LEVEL / score["compared"]
    )
    verdict = f"as sure as right, as far as {wording.format_things(score['n'], 'picture')} can tell"
    if not low <= mean <= high:
        points = wording.format_things(max(1, round(100 * abs(mean - top1))), "point")
        verdict = f"{'too sure' if mean > high else 'too modest'} by about {points}"
    confidence, share = wording.format_percent(mean), wording.format_percent(top1)
    return (
        f"{verdict}: it says {confidence} on average and is right in {share} of cases"
    )


def tabulate_pairs(pairs: pd.DataFrame, ways) -> pd.DataFrame:
    """Arrange the pairs of `intervals.compare_configurations` as a small matrix of texts, `ways` in their order.

    A cell says how much higher the top-1 accuracy of its row is than that of its column, and whether
    that is established; "–" is not compared. Columns have the numbers of the rows.
    """
    cells = {(way, way): "" for way in ways}
    for row in pairs.itertuples():
        words = ("better", "worse") if row.p_holm < LEVEL else ("not sure", "not sure")
        above, below = (
            wording.format_number(k * row.difference, 3, "+") for k in (1, -1)
        )
        cells[row.model, row.other] = f"{above} {words[0]}"
        cells[row.other, row.model] = f"{below} {words[1]}"
    rows = [[cells.get((way, other), "–") for other in ways] for way in ways]
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    return pd.DataFrame(rows, [*map(" ".join, zip(numbers, ways))], numbers)


def describe_pairs(pairs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Say of each pair of `intervals.compare_configurations` with several runs which way of training is better.

    Returns sentences about what is established, and about what is not.
    """
    established, unknown = [], []
    for row in pairs[pairs.runs > 1].itertuples():
        claim = f"{row.model} is better than {row.other}"
        size, bounds = (
            wording.format_number(row.difference),
            wording.format_bounds(row.low, row.high),
        )
        says = f"difference {size} ({bounds}), {wording.format_p(row.p_holm)}, on average over "
        says += f"{row.runs} trainings and {row.n:,} pictures."
        if row.p_holm < LEVEL:
            established.append(f"{claim}: {says}")
        else:
            unknown.append(f"That {claim} is not established: {says}")
    return established, unknown


def describe_change(before: str, after: str, was_correct, is_correct, groups) -> str:
    """Say what one model corrects of another's mistakes, makes anew, and whether that is a gain.

    Of the names of two models, whether each is right on each picture, bool (n,), and groups, int (n,),
    as in `intervals`.
    """
    gaps = np.subtract(is_correct, was_correct, dtype=float)
    low, high, p_value = intervals.compare_runs(
        [gaps], intervals.effective_sample_size(groups)
    )
    verdict = (
        f"{len(gaps):,} pictures are too few to say which of these two models is better"
    )
    if p_value < LEVEL:
        verdict = f"So {after if gaps.mean() > 0 else before} is the better one of these two models"
    return (
        f"Of {len(gaps):,} pictures, {after} corrects {(gaps > 0).sum()} that {before} gets wrong, and "
        f"gets {(gaps < 0).sum()} wrong that {before} has right. {verdict}: difference "
        f"{wording.format_number(gaps.mean())} ({wording.format_bounds(low, high)}), "
        f"{wording.format_p(p_value)}. 08 asks about all pairs at once, and corrects for that."
    )


def describe_agreement(truth: str, predicted: dict[str, str]) -> str:
    """Say which models (label to class) are right on one picture, or agree where truth is ""."""
    classes, correct = (
        {*predicted.values()},
        [k for k in predicted if predicted[k] == truth],
    )
    if not truth:
        agree = (
            f"agree on {min(classes)}"
            if len(classes) == 1
            else f"see {len(classes)} classes"
        )
        return f"Truth unknown; the models {agree}."
    if len(correct) in (0, len(predicted)):
        return "Every model is right." if correct else "No model is right."
    return (
        f"{wording.join_names(correct, most=9)} {'are' if correct[1:] else 'is'} right."
    )
