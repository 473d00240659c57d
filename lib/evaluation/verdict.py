"""What the answer box says: which model, how good it is, what to believe, what next."""

import numpy as np
import pandas as pd

from lib.evaluation.intervals import LEVEL, wilson_interval

# Classes that are named as the weakest.
WEAKEST = 3


def find_answer(answers) -> dict:
    """Find what the answer box says in parts.html.jinja.

    Only models with trained weights are compared, where there are any. Where models were trained
    with several seeds, the way of training with the highest mean is the best, and it is compared with
    the other ways.

    Args:
        answers: the `Answers` of all models.

    Returns best: the labels with the highest top-1 accuracy, one or several alike, of those that
    surely beat always answering the commonest class, if `is_useful`: if any does; count: how many were
    compared; better, unsure: those that the first of them is better than, or can't be told from; way:
    mean, low, high, runs of its way of training, or None; weakest: as `list_weakest`.
    """
    trained, (ways, differences) = answers.trained, answers.ways
    scores = trained.scores
    useful = [label for label in scores if beats_baseline(scores[label], len(scores))]
    candidates = useful or list(scores)
    way_of = dict(zip(trained.labels, trained.runs.way))
    several = ways.runs.max() > 1
    value = {k: ways["mean"][way_of[k]] if several else scores[k]["top1"] for k in candidates}
    best = [label for label in candidates if value[label] == max(value.values())]
    found = {"best": best, "is_useful": bool(useful), "count": len(scores), "way": None}
    others = set(way_of.values()) - {way_of[best[0]]}
    if several:
        ahead = differences[(differences.way == way_of[best[0]]) & (differences.low > 0)]
        found["better"] = [name for name in ahead.other if name in others]
        way = ways.loc[way_of[best[0]], ["runs", "mean", "low", "high"]]
        found["way"] = way.astype(object).where(way.notna(), None).to_dict()
    else:
        ahead = trained.pairs[(trained.pairs.model == best[0]) & (trained.pairs.p_holm < LEVEL)]
        found["better"] = list(ahead.other)
    found["unsure"] = sorted(others - set(found["better"]))
    return found | {"weakest": list_weakest(scores[best[0]])}


def beats_baseline(score: dict, count: int) -> bool:
    """Tell whether one of `count` models surely beats always answering the commonest class.

    The best of them was chosen for its score, so the level is divided by their number (Bonferroni).
    """
    n, groups = score["n_independent"], score["groups"]
    freedom = groups - 1 if groups < score["n"] else np.inf
    low, _ = wilson_interval(score["top1"] * n, n, freedom, LEVEL / count) if n else (0, 1)
    return low > score["baseline"]


def list_weakest(score: dict) -> list[tuple[str, int, int]]:
    """List the classes that are recognised worst, never those without a mistake.

    Returns (class, pictures recognised, pictures), `WEAKEST` at most.
    """
    recall = pd.Series(score["per_class"], dtype=float).dropna().sort_values(kind="stable")
    support, worst = score["support"], recall[recall < 1].head(WEAKEST)
    return [(name, round(share * support[name]), support[name]) for name, share in worst.items()]
