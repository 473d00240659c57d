"""What the answer box says, as values; it claims no more than the tests behind it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.base.workspace import Workspace, read_table
from lib.evaluation import intervals
from lib.evaluation.intervals import LEVEL, MIN_RUNS
from lib.evaluation.label_tests import beats_baseline, find_weaker, measure_association
from lib.evaluation.predictions import Predictions

MAX_WEAKEST = 3  # classes that are named
REPEATED = ("network", "transfer")  # kinds of models that SEEDS trains again
# Of a score: what the box writes.
NUMBERS = "n effective_n top1 baseline majority_class temperature calibration".split()
NUMBERS += ["judged_n", "judged_top1", "judged_confidence"]
KINDS = ["better", "worse", "same", "unsure", "few", "apart"]


@dataclass(frozen=True)
class Verdict:
    """The best configuration, how the others compare with it, and how good its first training is.

    Useful is what surely knows the labels in each training, gets as many right as always
    answering the commonest class, and surely more than size, light and sharpness of the files
    tell, where that is more.
    """

    label: str  # of the first training
    name: str  # of the configuration
    model: str  # of the file of the first training
    is_useful: bool
    beats_commonest: bool  # whether it is useful but for what the files tell
    without_looking: (
        float | None
    )  # the share that the files tell: `read_without_looking`
    count: int  # configurations that are compared
    configuration: dict[str, float]  # its row of `Predictions.configurations`
    to_repeat: list[str]  # networks of too few trainings that are not surely worse
    # Class, pictures recognised, pictures, of those that are surely weaker than the others.
    weakest: list[tuple[str, int, int]]
    # The other configurations.
    better: list[str]  # than they are the best is
    worse: list[str]
    same: list[str]
    unsure: list[str]  # too few pictures
    few: list[str]  # two to four trainings in common
    apart: list[str]  # not compared
    # As in `metrics.Score`.
    n: int
    effective_n: float
    top1: float
    baseline: float
    majority_class: str
    temperature: float
    judged_n: int
    judged_top1: float
    judged_confidence: float
    classes: int  # how many there are
    calibration: str


def find_answer(
    predictions: Predictions, without_looking: float | None = None
) -> Verdict:
    """Find the best configuration, and how the others compare with it.

    It has the highest mean; those come first that are useful, and that no other surely beats,
    and that were compared with others.

    Args:
        predictions: those of all models.
        without_looking: the share that size, light and sharpness of the files recognise.
    """
    table = predictions.configurations
    known, useful = _find_useful(predictions, without_looking)
    best = _choose(predictions, useful)
    others = _place_others(best, predictions)
    first = predictions.first_runs
    labels = dict(zip(first.runs.configuration, first.labels))
    scores = predictions.scores
    score = scores[labels[best]]
    return Verdict(
        label=score.label,
        name=best,
        model=predictions.models[score.label].name,
        is_useful=best in useful,
        beats_commonest=best in known,
        without_looking=without_looking,
        count=len(table),
        configuration=table.loc[best].to_dict(),
        to_repeat=_list_unrepeated(predictions, labels, others["better"]),
        weakest=_list_weakest(predictions, score),
        **others,
        **{name: getattr(score, name) for name in NUMBERS},
        classes=len(score.support),
    )


def _find_useful(predictions, without_looking):
    """Return the configurations whose trainings all know the labels, and those of them that beat the files."""
    table = predictions.configurations
    p_values = measure_association(
        predictions.y_true, predictions.y_pred, predictions.groups, len(table)
    )
    highest = pd.Series(p_values).groupby(predictions.runs.configuration).max()
    is_known = highest[table.index] < LEVEL / len(table)
    baseline = np.bincount(predictions.y_true).max() / len(predictions.y_true)
    known = table.index[is_known & (table["mean"] >= baseline)]
    if without_looking is None or without_looking <= baseline:
        return known, known
    n = intervals.effective_sample_size(predictions.groups)
    useful = []
    for name in known:
        if beats_baseline(table.lowest[name], n, without_looking, len(table)):
            useful.append(name)
    return known, useful


def _choose(predictions, useful):
    # What no pair compares comes after what is.
    beaten = set()
    compared = set()
    for pair in predictions.pairs:
        compared.update([pair.model, pair.other])
        if pair.established:
            beaten.add(pair.other)
    return min(
        predictions.configurations.index,
        key=lambda name: (name not in useful, name in beaten, name not in compared),
    )


def _place_others(best, predictions):
    pairs = {(pair.model, pair.other): pair for pair in predictions.pairs}
    placed = {kind: [] for kind in KINDS}
    for name in predictions.configurations.index.drop(best):
        ahead = pairs.get((best, name))
        pair = ahead or pairs.get((name, best))
        if pair is None:
            kind = "apart"
        elif pair.established:
            kind = "better" if ahead else "worse"
        elif pair.difference == 0:
            kind = "same"
        else:
            kind = "few" if np.isnan(pair.p_holm) else "unsure"
        placed[kind].append(name)
    return placed


def _list_unrepeated(predictions, labels, surely_worse):
    runs = predictions.configurations.runs
    unrepeated = []
    for name in runs.index[runs < MIN_RUNS]:
        kind = predictions.models[labels[name]].kind
        if kind in REPEATED and name not in surely_worse:
            unrepeated.append(name)
    return unrepeated


def _list_weakest(predictions, score):
    """Return the classes that surely have a lower recall than all others together, the worst first."""
    correct = predictions.correct[predictions.labels.index(score.label)]
    weaker = find_weaker(predictions.y_true, correct, predictions.groups)
    rows = []
    for name in predictions.class_names[weaker[:MAX_WEAKEST]]:
        n = score.support[name]
        rows.append((name, round(n * score.per_class[name]), n))
    return rows


def read_without_looking(ws: Workspace) -> float | None:
    """Read which share of validation pictures size, light and sharpness of the files recognise.

    None where 01 was run by an earlier version.
    """
    path = ws.results / "without_looking.csv"
    if not path.exists():
        return None
    # The first row is of all together.
    return float(read_table(path).accuracy[0])
