"""What the answer box says, as values; it claims no more than the tests behind it."""

from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.base.workspace import Workspace, read_table
from lib.evaluation import intervals, model_selection
from lib.evaluation.answers import Predictions
from lib.evaluation.intervals import LEVEL, MIN_RUNS
from lib.evaluation.label_tests import beats_baseline, find_weaker, measure_association

MAX_WEAKEST = 3  # classes that are named
MIN_PICTURES = 20  # that tell something about calibration
REPEATED = ("network", "transfer")  # kinds of models that SEEDS trains again
# A wider interval says little; so many pictures are proposed that it has this margin.
MAX_WIDTH = 0.2
MARGIN = 0.05
# Of a score: what the box writes.
NUMBERS = ["n", "effective_n", "top1", "baseline", "majority_class", "temperature"]
NUMBERS += ["judged_n", "judged_top1", "judged_confidence"]
KINDS = ["better", "worse", "same", "unsure", "few", "apart"]


def describe_answer(
    predictions: Predictions, without_looking: float | None = None
) -> dict:
    """Describe the best model by values that JSON can hold, for the answer box.

    Args are those of `find_answer`.

    Returns:
        What `find_answer` returns; `NUMBERS` of its score; classes, how many there are;
        calibration, of `judge_calibration`; limit, of `find_bottleneck`; and pictures_needed,
        of `count_pictures_needed`.
    """
    answer = find_answer(predictions, without_looking)
    score = predictions.first_runs.scores[answer["label"]]
    answer |= {name: score[name] for name in NUMBERS}
    answer["classes"] = len(score["support"])
    answer["calibration"] = judge_calibration(score)
    answer["limit"] = find_bottleneck(score, answer["configuration"])
    answer["pictures_needed"] = count_pictures_needed(score["top1"])
    return answer


def find_answer(predictions: Predictions, without_looking: float | None = None) -> dict:
    """Find the best configuration, and how the others compare with it.

    The best configuration has the highest mean; those come first that are useful, and that
    no other surely beats, and that were compared with others. Useful is what surely knows the labels in each training, and gets
    as many right as always answering the commonest class.

    Args:
        predictions: those of all models.
        without_looking: the share that size, light and sharpness of the files recognise. Where
            it is more than that of the commonest class, what is useful surely beats it, too.

    Returns:
        name and label: the best, and its first training; model: the name of that one's file;
        is_useful; beats_commonest, whether it is so but for without_looking; count: how many
        were compared; configuration: its row of `Predictions.configurations`; to_repeat: networks
        of too few trainings, without those that are surely worse; doubts of
        `model_selection.doubt_contest`; weakest of `list_weakest`;
        and the other configurations: better (than they are the best is), worse, same, unsure
        (too few pictures), few (of two to four trainings in common), apart (not compared).
    """
    table = predictions.configurations
    first = predictions.first_runs
    labels = dict(zip(first.runs.configuration, first.labels))
    known = _find_known(predictions)
    useful = _beat_files(predictions, known, without_looking)
    best = _choose(predictions, useful)
    label = labels[best]
    scores = first.scores
    doubts = []
    for name in first.labels:
        doubts.append(model_selection.doubt_contest(first.models[name], scores[name]))
    kinds = _place_others(best, predictions)
    to_repeat = []
    for name in table.index[table.runs < MIN_RUNS]:
        kind = first.models[labels[name]].kind
        if kind in REPEATED and kinds[name] != "better":
            to_repeat.append(name)
    answer = {
        "label": label,
        "name": best,
        "model": first.models[label].name,
        "is_useful": best in useful,
        "beats_commonest": best in known,
        "without_looking": without_looking,
        "count": len(table),
        "configuration": table.loc[best].to_dict(),
        "doubts": [doubt for doubt in doubts if doubt],
        "to_repeat": to_repeat,
        "weakest": list_weakest(first.select(np.array(first.labels) == label)),
    }
    for kind in KINDS:
        answer[kind] = [name for name in table.index if kinds[name] == kind]
    return answer


def _find_known(predictions):
    # The configurations whose trainings all know the labels.
    table = predictions.configurations
    p_values = measure_association(
        predictions.y_true, predictions.y_pred, predictions.groups, len(table)
    )
    highest = pd.Series(p_values).groupby(predictions.runs.configuration).max()
    is_known = highest[table.index] < LEVEL / len(table)
    return table.index[is_known & (table["mean"] >= _find_baseline(predictions))]


def _find_baseline(predictions):
    return np.bincount(predictions.y_true).max() / len(predictions.y_true)


def _beat_files(predictions, names, without_looking):
    if without_looking is None or without_looking <= _find_baseline(predictions):
        return names
    table = predictions.configurations
    n = intervals.effective_sample_size(predictions.groups)
    test = partial(beats_baseline, n=n, baseline=without_looking, count=len(table))
    return names[table.lowest[names].map(test).astype(bool)]


def _choose(predictions, useful):
    # What no pair compares comes after what is.
    pairs = predictions.pairs
    beaten = set(pairs.other[pairs.established])
    compared = {*pairs.model, *pairs.other}
    return min(
        predictions.configurations.index,
        key=lambda name: (name not in useful, name in beaten, name not in compared),
    )


def select_pairs(predictions: Predictions, name: str) -> pd.DataFrame:
    """Return the rows of `Predictions.pairs` that have one configuration."""
    pairs = predictions.pairs
    return pairs[(pairs.model == name) | (pairs.other == name)]


def _place_others(best, predictions):
    means = predictions.configurations["mean"]
    kinds = dict.fromkeys(means.index, "apart")
    for pair in select_pairs(predictions, best).itertuples():
        is_ahead = pair.model == best
        other = pair.other if is_ahead else pair.model
        if pair.established:
            kinds[other] = "better" if is_ahead else "worse"
        elif means[other] == means[best]:
            kinds[other] = "same"
        elif np.isnan(pair.p_holm):
            kinds[other] = "few"
        else:
            kinds[other] = "unsure"
    kinds[best] = "best"
    return kinds


def list_weakest(predictions: Predictions) -> list[tuple[str, int, int]]:
    """List the classes that one model recognises worst: `find_weaker`.

    Returns:
        Class, pictures recognised, pictures; of three classes at most.
    """
    y_true = predictions.y_true
    correct = predictions.correct[0]
    is_weaker = find_weaker(y_true, correct, predictions.groups)
    table = pd.Series(correct).groupby(y_true).agg(["mean", "sum", "size"])
    worst = table[is_weaker].sort_values("mean", kind="stable")
    rows = []
    for number, row in worst.head(MAX_WEAKEST).iterrows():
        name = str(predictions.class_names[number])
        rows.append((name, int(row["sum"]), int(row["size"])))
    return rows


def judge_calibration(score: dict) -> str:
    """Tell whether the scaled probabilities can be believed: `metrics.judge_confidence`.

    Args:
        score: of `Predictions.scores`; the level is divided by the number of models compared.

    Returns:
        "too sure", "too modest", "neither too sure nor too modest", or "too few" of fewer
        than `MIN_PICTURES` pictures.
    """
    if score["judged_n"] < MIN_PICTURES:
        return "too few"
    p_value = 2 * norm.sf(abs(score["judged_z"]))
    if p_value >= LEVEL / score["compared"]:
        return "neither too sure nor too modest"
    return "too sure" if score["judged_z"] < 0 else "too modest"


def find_bottleneck(score: dict, configuration: dict) -> str:
    """Find what keeps the accuracy from being known well, where its interval is wide.

    Args:
        score, configuration: the model's, of `Predictions.scores` and `configurations`.

    Returns:
        "seeds", where the pictures alone would do; "groups", where as many pictures would
        do of which none belong together; "pictures"; or "", where it is known well.
    """
    if configuration["high"] - configuration["low"] <= MAX_WIDTH:
        return ""
    if np.ptp(score["top1_interval"]) <= MAX_WIDTH:
        return "seeds"
    if np.ptp(intervals.wilson_interval(score["top1"], score["n"])) <= MAX_WIDTH:
        return "groups"
    return "pictures"


def count_pictures_needed(top1: float) -> int:
    """Count the different pictures of which Wilson's interval is known to ± 5 points."""
    needed = 10  # in steps of ten: it is a rough number
    while np.ptp(intervals.wilson_interval(top1, needed)) > 2 * MARGIN:
        needed += 10
    return needed


def read_without_looking(ws: Workspace) -> float | None:
    """Read which share of validation pictures size, light and sharpness of the files recognise.

    None where 01 was run by an earlier version.
    """
    path = ws.results / "without_looking.csv"
    if not path.exists():
        return None
    table = read_table(path).set_index("measured")
    return float(table.accuracy["all"])
