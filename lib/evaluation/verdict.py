"""What the answer box says, as values; it claims no more than the tests behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.base.workspace import Workspace, read_table
from lib.evaluation.comparisons import MIN_RUNS, compare_runs
from lib.evaluation.intervals import LEVEL
from lib.evaluation.label_tests import find_weak_classes, measure_association
from lib.evaluation.metrics import Score
from lib.evaluation.predictions import Predictions
from lib.models.record import Record

MAX_WEAKEST = 3  # classes that are named
REPEATED = ("scratch", "transfer")  # kinds of models that SEEDS trains again


@dataclass(frozen=True)
class Doubt:
    """A network that was surely better in the contest of 05 than it is here."""

    candidate: str
    accuracy: float  # in the contest
    top1: float  # here


@dataclass(frozen=True)
class Verdict:
    """The best configuration, how the others compare with it, and how good its first training is."""

    name: str  # of the configuration
    label: str  # of the first training
    model: str  # of the file of the first training
    score: Score  # of the first training
    configuration: dict[str, float]  # its row of `Predictions.configurations`
    # The highest p of its trainings, times the number of configurations: that its answers know the labels, and that
    # they are right more often than the files' facts. The latter is None where size, light and
    # sharpness tell no more than the commonest class.
    p_labels: float
    p_files: float | None
    without_looking: float  # the share that these facts recognise, as 01 has found
    # It knows the labels, and is above always answering the commonest class.
    beats_commonest: bool
    is_useful: bool  # and surely above what the files tell
    # The other configurations, and what each is beside the best: worse or better, where that is
    # established, else unsure.
    others: dict[str, str]
    to_repeat: list[str]  # networks of too few trainings that are not surely worse
    # Class, pictures recognised, pictures, of those that are surely weaker than the others.
    weakest: list[tuple[str, int, int]]

    def list_others(self, word: str) -> list[str]:
        """List the other configurations that are worse, better or unsure."""
        return [name for name, said in self.others.items() if said == word]


def find_verdict(predictions: Predictions, without_looking: pd.Series) -> Verdict:
    """Find the best configuration, and how the others compare with it.

    It has the highest mean; those come first that are useful, and that no other surely beats,
    and that were compared with others. `without_looking` is that of `read_without_looking`.
    """
    files = without_looking[predictions.files].to_numpy()
    tests = _test_configurations(predictions, files)
    best = _choose(predictions, tests.index[tests.is_useful])
    others = _describe_others(predictions, best)
    first = predictions.first_runs
    labels = dict(zip(first.runs.configuration, first.labels))
    score = predictions.scores[labels[best]]
    judged = tests.loc[best]
    return Verdict(
        name=best,
        label=score.label,
        model=predictions.models[score.label].name,
        score=score,
        configuration=predictions.configurations.loc[best].to_dict(),
        p_labels=float(judged.p_labels),
        p_files=None if np.isnan(judged.p_files) else float(judged.p_files),
        without_looking=float(files.mean()),
        beats_commonest=bool(judged.beats_commonest),
        is_useful=bool(judged.is_useful),
        others=others,
        to_repeat=_list_unrepeated(predictions, labels, others),
        weakest=_list_weakest(predictions, score),
    )


def _test_configurations(predictions, files):
    """Return p_labels, p_files, beats_commonest and is_useful of each configuration."""
    table = predictions.configurations
    baseline = np.bincount(predictions.y_true).max() / len(predictions.y_true)
    p_files = np.nan
    if files.mean() > baseline:
        groups = predictions.groups
        p_files = [_beat(files, correct, groups) for correct in predictions.correct]
    p_labels = measure_association(
        predictions.y_true, predictions.y_pred, predictions.groups
    )
    tests = pd.DataFrame({"p_labels": p_labels, "p_files": p_files})
    highest = tests.groupby(predictions.runs.configuration).max()
    tests = (len(table) * highest).clip(upper=1).loc[table.index]
    knows_labels = tests.p_labels < LEVEL
    tests["beats_commonest"] = knows_labels & (table["mean"] > baseline)
    tests["is_useful"] = tests.beats_commonest & ~(tests.p_files >= LEVEL)
    return tests


def _beat(files, correct, groups):
    """Return the p of a training that is right more often than the files' facts; else 1."""
    differences = correct.astype(float) - files
    if differences.mean() <= 0:
        return 1.0
    _, _, p_value = compare_runs(differences[np.newaxis], groups)
    return p_value


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


def _describe_others(predictions, best):
    others = dict.fromkeys(predictions.configurations.index.drop(best), "unsure")
    for pair in predictions.pairs:
        if pair.established and pair.model == best:
            others[pair.other] = "worse"
        if pair.established and pair.other == best:
            others[pair.model] = "better"
    return others


def _list_unrepeated(predictions, labels, others):
    unrepeated = []
    for name, runs in predictions.configurations.runs.items():
        is_worse = others.get(name) == "worse"
        is_repeated = predictions.models[labels[name]].kind in REPEATED
        if runs < MIN_RUNS and is_repeated and not is_worse:
            unrepeated.append(name)
    return unrepeated


def _list_weakest(predictions, score):
    """Return the classes that surely have a lower recall than all others together, the worst first."""
    correct = predictions.correct[predictions.labels.index(score.label)]
    weak = find_weak_classes(predictions.y_true, correct, predictions.groups)
    rows = []
    for name in predictions.class_names[weak][:MAX_WEAKEST].tolist():
        n = score.support[name]
        rows.append((name, round(n * score.per_class[name]), n))
    return rows


def doubt_contest(
    contest: Sequence[dict], record: Record, score: Score
) -> Doubt | None:
    """Tell whether the network of a model of 05 was surely better in the contest than it is here.

    None where there is nothing to doubt, and of random weights, which have seen no pictures before.

    Args:
        contest: of `record.Found`.
        record: of the model.
        score: of the model.
    """
    if record.kind != "linear" or record.is_untrained:
        return None
    for row in contest:
        name = row["candidate"]
        if name == record.network and row["low"] > score.top1_interval[1]:
            return Doubt(name, row["accuracy"], score.top1)
    return None


def read_without_looking(ws: Workspace) -> pd.Series:
    """Read which validation pictures size, light and sharpness of the files recognise, by file."""
    path = ws.existing("without_looking_answers.csv", made_by="01_data_prep")
    answers = read_table(path).set_index("file")
    return answers.predicted == answers.label
