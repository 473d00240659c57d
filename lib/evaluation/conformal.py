"""Answer sets: which classes to name so that the truth is among them as often as asked.

Split conformal sets (Vovk et al. 2005; Lei et al. 2018): a class belongs to a set if it is at least as
probable as the true class was to all but a few of the calibrating pictures. The score, one minus the
probability of a class, gives the smallest sets on average (Sadinle, Lei and Wasserman 2019); adaptive
sets (Romano, Sesia and Candès 2020) serve hard classes better and are larger. The probabilities are the
model's own: scaled ones were fitted on the pictures that calibrate, which would spoil the promise.
Nothing is drawn at random, so that a picture always gets the same set; ties only add classes.
"""

import json
import math

import numpy as np

from lib.evaluation import intervals

# Scores that are kept at most, and their digits.
MOST, DIGITS = 1000, 4


def keep_scores(y_true, y_prob, groups=None) -> dict:
    """Keep how probable the truth was to a model, from which sets of any coverage follow.

    Args: of the calibrating pictures.
        y_true: int (n,), positions of the classes.
        y_prob: float (n, classes), the model's own probabilities.
        groups: as in `intervals`; each counts as one picture (Lee, Barber and Willett 2023).

    Returns:
        pictures: how many there are; scores: probabilities of the true class, the highest first, of
        which the k-th of m is reached by k/m of the pictures. They are rounded down, and 1,000 at
        most: both can only add classes.
    """
    of_truth = y_prob[np.arange(len(y_true)), y_true].astype(float)
    if groups is None:
        groups = np.arange(len(y_true))
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-of_truth, kind="stable")
    reached, kept = np.cumsum(1 / sizes[places[order]]), min(len(order), MOST)
    levels = np.arange(1, kept + 1) * len(sizes) / kept
    chosen = of_truth[order][np.searchsorted(reached, levels - 1e-9)]
    digits = DIGITS - 1 - np.floor(np.log10(np.maximum(chosen, np.finfo(np.float32).tiny)))
    return {"pictures": len(sizes), "scores": (np.floor(chosen * 10**digits) / 10**digits).tolist()}


def check_scores(metadata: dict, file) -> dict:
    """Return what `keep_scores` kept in a model's JSON.

    Raises:
        ValueError: 08 has not judged the model, or the key is damaged; `file` is named.
    """
    kept = metadata.get("answer_sets")
    if kept is None:
        raise ValueError(f'{file} has no "answer_sets": run 08_evaluation, which calibrates them.')
    try:
        scores, pictures = np.array(kept["scores"], float), kept["pictures"]
        fits = isinstance(pictures, int) and pictures > 0 and len(scores) <= MOST
        fits = fits and 0 <= scores[-1] <= scores[0] <= 1 and (np.diff(scores) <= 0).all()
    except (IndexError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f'{file}: "answer_sets" is damaged: run 08_evaluation again.')
    return kept


def find_threshold(kept: dict, coverage: float) -> float:
    """Return how probable a class has to be; 0, so that all classes are, for too few pictures.

    Of n pictures the ceil((n + 1) coverage)-th must reach it (Lei et al. 2018), so that n has to be
    coverage / (1 - coverage) at least.
    """
    pictures, scores = kept["pictures"], kept["scores"]
    place = math.ceil(coverage * (pictures + 1) / pictures * len(scores) - 1e-9)
    return scores[max(place, 1) - 1] if place <= len(scores) else 0.0


def build_sets(y_prob, kept: dict, coverage: float) -> np.ndarray:
    """Say which classes belong to the set of each picture: bool (n, classes).

    A set always holds the most probable class: none is empty, which can only add to the coverage.
    """
    # In float64, whatever the probabilities are in.
    sets = y_prob >= np.float64(find_threshold(kept, coverage))
    sets[np.arange(len(sets)), y_prob.argmax(axis=1)] = True
    return sets


def write_sets(y_prob, class_names, kept: dict, coverage: float) -> dict[str, list]:
    """Write the sets as columns of a table.

    Returns:
        set: JSON lists of class names, the most probable first; set_size: their lengths.
    """
    sets, order = build_sets(y_prob, kept, coverage), np.argsort(-y_prob, axis=1, kind="stable")
    named = [[str(class_names[k]) for k in row if held[k]] for row, held in zip(order, sets)]
    written = [json.dumps(names, ensure_ascii=False) for names in named]
    return {"set": written, "set_size": [len(names) for names in named]}


def measure_sets(y_true, sets, groups=None) -> dict:
    """Measure sets, bool (n, classes), of pictures that did not calibrate them.

    Returns:
        n; coverage: the share of sets that hold the truth; size: how many classes they hold on
        average; `_interval` of both, None for a size of too few pictures or hardly any spread. All
        but n are None where there are no pictures.
    """
    if not len(y_true):
        return {"n": 0} | dict.fromkeys(("coverage", "coverage_interval", "size", "size_interval"))
    sizes, held = sets.sum(axis=1), sets[np.arange(len(y_true)), y_true]
    scores = {"n": len(y_true), "coverage": float(held.mean())}
    scores["coverage_interval"] = intervals.find_share_interval(held, groups)
    scores |= {"size": float(sizes.mean()), "size_interval": None}
    count = len(y_true) if groups is None else len(np.unique(groups))
    unusual = len(sizes) - np.bincount(sizes).max()
    if count >= intervals.FEWEST and unusual >= intervals.FEWEST_MISTAKES:
        scores["size_interval"] = intervals.find_mean_interval(sizes, groups, y_true)
    return scores


def describe_sets(kept: dict, coverage: float) -> str:
    """Say what sets made from `keep_scores` promise, or that too few pictures allow none."""
    pictures, needed = kept["pictures"], math.ceil(coverage / (1 - coverage) - 1e-9)
    if pictures < needed:
        return (
            f"{pictures:,} pictures are too few to calibrate sets at {coverage:g}, which needs "
            f"{needed:,}: every set holds all classes."
        )
    return (
        f"Sets are made to hold the truth in {coverage:g} of cases on average, for pictures like those of "
        f"the validation part; {pictures:,} independent ones of them calibrated the sets."
    )
