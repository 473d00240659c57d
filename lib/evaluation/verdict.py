"""What the answer box says: which model, how good it is, what to believe, what next."""

import pandas as pd

from lib.evaluation.claims import describe_calibration
from lib.evaluation.intervals import LEVEL, wilson_interval

# Classes that are named as the weakest.
WEAKEST = 3


def find_answer(scores: dict[str, dict], pairs: pd.DataFrame) -> dict:
    """Find what the answer box says in parts.html.jinja.

    Args:
        scores: label to `metrics.evaluate`, of the first run of each model.
        pairs: as `comparisons.compare_pairs` returns it.

    Returns best: the labels with the highest top-1 accuracy, one or several alike; is_useful: whether
    they surely beat always answering the commonest class; better, worse, unsure: the labels of the
    others that the first of them is better or worse than, or can't be told from; calibration: whether
    its probabilities can be believed; weakest: as `list_weakest`.
    """
    top = max(score["top1"] for score in scores.values())
    best = [label for label, score in scores.items() if score["top1"] == top]
    ahead, behind = pairs[pairs.model == best[0]], pairs[pairs.other == best[0]]
    told = pd.concat([ahead.p_holm.set_axis(ahead.other), behind.p_holm.set_axis(behind.model)])
    return {
        "best": best,
        "is_useful": beats_baseline(scores[best[0]], len(scores)),
        "better": list(ahead.other[ahead.p_holm < LEVEL]),
        "worse": list(behind.model[behind.p_holm < LEVEL]),
        "unsure": list(told.index[told >= LEVEL]),
        "calibration": describe_calibration(scores[best[0]]),
        "weakest": list_weakest(scores[best[0]]),
    }


def beats_baseline(score: dict, count: int) -> bool:
    """Tell whether the best of `count` models surely beats always answering the commonest class.

    It was chosen for its score, so the level is divided by their number (Bonferroni).
    """
    n = score["n_independent"]
    low, _ = wilson_interval(score["top1"] * n, n, level=LEVEL / count)
    return low > score["baseline"]


def list_weakest(score: dict) -> list[tuple[str, int, int]]:
    """List the classes that are recognised worst, never those without a mistake.

    Returns (class, pictures recognised, pictures), `WEAKEST` at most.
    """
    recall = pd.Series(score["per_class"], dtype=float).dropna().sort_values(kind="stable")
    support, worst = score["support"], recall[recall < 1].head(WEAKEST)
    return [(name, round(share * support[name]), support[name]) for name, share in worst.items()]
