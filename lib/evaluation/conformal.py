"""Conformal p-values: how strange something is, beside pictures that taught the model nothing.

Answer sets hold every class that is not too strange (Vovk et al. 2005), and a picture that is strange
itself is marked (Bates et al. 2023).
"""

import json

import numpy as np
import pandas as pd

from lib.evaluation import calibration, intervals

# A picture whose p-value is below the first is given the second.
RARE, NOTE = 0.01, "unlike anything trained on"


def calibrate(strangeness, groups) -> dict:
    """Keep how strange calibrating pictures are, float32 (n,), in groups, int (n,), that count once.

    Returns pictures: how many groups there are; grouped: whether any has several pictures; scores: up
    to 1,000 levels, ascending; k of m have k/m of the groups at or below them, so that no p-value is
    smaller than it would be from all n (of groups: Lee, Barber and Willett 2023).
    """
    _, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order, kept = np.argsort(strangeness), min(len(members), 1000)
    reached, levels = np.cumsum(1 / sizes[members[order]]), np.arange(1, kept + 1) / kept
    scores = strangeness[order][np.searchsorted(reached / reached[-1], levels - 1e-9)]
    # The shortest decimals that are the same float32 again.
    scores = [float(str(score)) for score in scores]
    return {"pictures": len(sizes), "grouped": len(sizes) < len(members), "scores": scores}


def find_p_values(kept: dict, strangeness) -> np.ndarray:
    """Return (1 + groups as strange or stranger) / (1 + groups) of each value, float32; NaN of NaN."""
    scores = np.array(kept["scores"], np.float32)
    below = np.searchsorted(scores, strangeness) / len(scores)
    p_values = (1 + kept["pictures"] * (1 - below)) / (1 + kept["pictures"])
    return np.where(np.isnan(strangeness), np.nan, p_values)


def check_sets(metadata: dict, file) -> dict:
    """Return what `calibrate` kept in a model's JSON, `file`; a ValueError where there is nothing."""
    if not metadata.get("answer_sets"):
        remedy = "run 10_hand_over with MODEL naming this model"
        raise ValueError(f'{file}: "answer_sets" is missing: {remedy}.')
    return metadata["answer_sets"]


def build_sets(y_prob, kept: dict, coverage: float) -> np.ndarray:
    """Say which classes each set holds, bool (n, classes); the most probable one always.

    A class is as strange as it is improbable, which gives the smallest sets (Sadinle, Lei and Wasserman
    2019). `y_prob`, float32, is the model's own: a temperature was fitted on what calibrates.
    """
    sets = find_p_values(kept, -y_prob) > 1 - coverage + 1e-9
    sets[np.arange(len(sets)), y_prob.argmax(axis=1)] = True
    return sets


def find_threshold(kept: dict, coverage: float) -> float | None:
    """Return the least probability of a class in a set; None where `describe_sets` says too few."""
    if 1 / (1 + kept["pictures"]) > 1 - coverage + 1e-9:
        return None
    scores = np.array(kept["scores"], np.float32)
    return float(-scores[find_p_values(kept, scores) > 1 - coverage + 1e-9].max())


def write_sets(y_prob, class_names, kept: dict, coverage: float) -> dict[str, list]:
    """Write sets as columns: set, JSON lists, the most probable class first; and set_size."""
    sets, order = build_sets(y_prob, kept, coverage), np.argsort(-y_prob, axis=1, kind="stable")
    named = [[str(class_names[k]) for k in row if held[k]] for row, held in zip(order, sets)]
    written = [json.dumps(names, ensure_ascii=False) for names in named]
    return {"set": written, "set_size": [len(names) for names in named]}


def judge_sets(y_true, y_prob, groups, class_names, coverage) -> tuple[dict, dict, pd.DataFrame]:
    """Calibrate sets on one half of the pictures and measure them on the other.

    Returns what `calibrate` keeps; what `measure_sets` finds; and that of each class, the worst first.
    """
    fitted, judged = calibration.split_halves(y_true, groups)
    kept = calibrate(-y_prob[fitted, y_true[fitted]], groups[fitted])
    # A single group is both halves, and can't judge what it calibrated.
    truth, members, y_prob = (values[judged & ~fitted] for values in (y_true, groups, y_prob))
    sets, rows = build_sets(y_prob, kept, coverage), []
    for k in np.unique(truth):
        score = measure_sets(*(values[truth == k] for values in (truth, sets, members)))
        rows.append({"class": class_names[k]} | score)
    by_class = pd.DataFrame(rows, columns="class pictures coverage low high size".split())
    by_class = by_class.sort_values("coverage", kind="stable", ignore_index=True)
    return kept, measure_sets(truth, sets, members), by_class


def measure_sets(y_true, sets, groups) -> dict:
    """Measure sets, bool (n, classes), of pictures that did not calibrate them.

    Returns pictures: n; coverage: the share that holds the truth, each group counting the same, with
    low and high, its Wilson interval; by_picture: that share of all; size: classes in a set on average.
    """
    table = pd.DataFrame({"held": sets[np.arange(len(sets)), y_true], "size": sets.sum(axis=1)})
    shares, (held, size) = table.held.groupby(groups).mean(), table.mean()
    low, high = intervals.wilson_interval(shares.sum(), len(shares))
    score = {"pictures": len(sets), "coverage": shares.mean(), "low": low, "high": high}
    return score | {"by_picture": held, "size": size}


def describe_sets(kept: dict, coverage: float) -> str:
    """Say what sets promise, or that too few pictures allow none."""
    count, whose = _count(kept), "groups of pictures" if kept["grouped"] else "pictures"
    if find_threshold(kept, coverage) is None:
        return f"{count} are too few for sets of {coverage:g}: each holds all classes."
    promise = f"Sets hold the truth in {coverage:g} of {whose}, on average"
    return f"{promise}, if they are like the {count} that calibrated them."


def _count(kept: dict) -> str:
    if kept["grouped"]:
        return f"{kept['pictures']:,} groups of validation pictures, each counted once,"
    return f"{kept['pictures']:,} validation pictures"


def describe_judgement(score: dict) -> str:
    """Say what `measure_sets` found, or that nothing could be measured."""
    if not score["pictures"]:
        return "One group of pictures calibrates sets and leaves none to judge them."
    bounds = f"{score['low']:.3f} to {score['high']:.3f}"
    if score["by_picture"] != score["coverage"]:
        bounds += f"; {score['by_picture']:.3f} where groups count by their pictures"
    held = f"Of the other half, {score['coverage']:.3f} ({bounds}) hold the truth"
    return f"{held}, with {score['size']:.1f} classes on average."


def write_marks(distances, kept: dict) -> dict[str, list]:
    """Write columns: resemblance_p, p-values of distances, float32 (n,); note, `NOTE` or ""."""
    p_values = find_p_values(kept, distances)
    notes = np.where(p_values < RARE, NOTE, "").tolist()
    return {"resemblance_p": p_values.round(6).tolist(), "note": notes}


def describe_marks(kept: dict) -> str:
    """Say what a mark means, or that too few pictures allow none."""
    if 1 / (1 + kept["pictures"]) >= RARE:
        return f"{_count(kept)} are too few to mark what is {NOTE}."
    text = f'"{NOTE}" marks what lies farther from the training pictures than nearly all'
    return f"{text} {_count(kept)} do: of such pictures {100 * RARE:g} % at most, on average."
