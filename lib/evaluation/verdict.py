"""What the answer box says: which model, how good it is, what to believe, what next."""

import numpy as np
import pandas as pd

from lib.evaluation.comparisons import bound_mean
from lib.evaluation.intervals import LEVEL, find_lowest_share

# Classes that are named as the weakest.
WEAKEST = 3


def find_answer(answers) -> dict:
    """Find what the answer box says in parts.html.jinja.

    Only models with trained weights are compared, where there are any. Where models were trained
    with several seeds, the way of training with the highest mean is the best, and it is compared with
    the other ways over the seeds that both have.

    Args:
        answers: the `Answers` of all models.

    Returns trained: whether any model is; label: the first training of the best; name: what it is
    called; is_useful: whether it surely beats always answering the commonest class; count: how many
    were compared; same, better, unsure, apart: the others that score the same, that it is better
    than, that it can't be told from, and that share no two seeds with it; way: runs, mean, low, high
    of its several trainings, or None; weakest and weakest_more: as `list_weakest`.
    """
    trained, (ways, differences) = answers.trained, answers.ways
    scores, several = trained.scores, ways.runs.max() > 1
    names = dict(zip(trained.labels, trained.runs.way if several else trained.labels))
    value = {k: ways["mean"][names[k]] if several else scores[k]["top1"] for k in scores}
    useful = [k for k in scores if _is_useful(answers, k, names[k], scores, several)]
    label = max(useful or scores, key=value.get)
    way = ways.loc[names[label], ["runs", "mean", "low", "high"]] if several else None
    if way is not None:
        way = way.astype(object).where(way.notna(), None).to_dict() if way.runs > 1 else None
    return {
        "trained": bool((trained.models.weights != "untrained").any()),
        "label": label,
        "name": names[label],
        "is_useful": label in useful,
        "count": len(scores),
        "way": way,
        **_compare_others(trained.pairs, differences if several else None, names, value, label),
        **list_weakest(scores[label]),
    }


def _compare_others(pairs, differences, names: dict, value: dict, label: str) -> dict:
    others = [names[k] for k in sorted(value, key=lambda k: -value[k]) if k != label]
    same = [names[k] for k in value if value[k] == value[label] and k != label]
    if differences is None:
        ahead = pairs[pairs.model == label]
        better, compared = {*ahead.other[ahead.p_holm < LEVEL]}, {*others}
    else:
        ahead, behind = (differences[differences[k] == names[label]] for k in ("way", "other"))
        better, compared = {*ahead.other[ahead.low > 0]}, {*ahead.other, *behind.way}
    rest = [name for name in others if name not in {*better, *same}]
    return {
        "same": same,
        "better": [name for name in others if name in better],
        "unsure": [name for name in rest if name in compared],
        "apart": [name for name in rest if name not in compared],
    }


def _is_useful(answers, label: str, name: str, scores: dict, several: bool) -> bool:
    score, runs = scores[label], pd.DataFrame(answers.right_by_way.get(name, {})).astype(float)
    low = bound_mean(runs, answers.groups, LEVEL / len(scores), 0)[1] if several else np.nan
    # Of one training, or where all pictures are alike, there is no such interval.
    return beats_baseline(score, len(scores)) if np.isnan(low) else low > score["baseline"]


def beats_baseline(score: dict, count: int) -> bool:
    """Tell whether one of `count` models surely beats always answering the commonest class.

    The best of them was chosen for its score, so the level is divided by their number (Bonferroni).
    """
    told = score["top1"], score["n"], score["n_independent"], score["groups"]
    return find_lowest_share(*told, LEVEL / count) > score["baseline"]


def list_weakest(score: dict) -> dict:
    """List the classes that are recognised worst, below the average and never without a mistake.

    Returns weakest: (class, pictures recognised, pictures), `WEAKEST` at most; weakest_more: how many
    further classes are recognised as badly as the last of them.
    """
    recall = pd.Series(score["per_class"], dtype=float).dropna().sort_values(kind="stable")
    worst = recall[(recall < 1) & (recall <= recall.mean() + 1e-9)]
    listed, support = worst.head(WEAKEST), score["support"]
    rows = [(name, round(share * support[name]), support[name]) for name, share in listed.items()]
    more = int((worst[WEAKEST:] == listed.max()).sum()) if len(listed) else 0
    return {"weakest": rows, "weakest_more": more}
