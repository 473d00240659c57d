"""The answers of all models to the same validation pictures, gathered once, and their mistakes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import compress

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from lib.base.paths_file import read_json
from lib.base.workspace import Workspace
from lib.evaluation.comparisons import Pair, compare_configurations
from lib.evaluation.intervals import share_interval
from lib.evaluation.metrics import Score, evaluate
from lib.evaluation.parents import order_classes
from lib.models.record import Record
from lib.models.temperature import apply_temperature

SURE = (0.8, 0.9, 0.95)  # probabilities from which answers are counted


@dataclass(eq=False)
class Predictions:
    """What every model says of every validation picture.

    Attributes:
        class_names: text (classes,).
        files, truth: text (n,), the pictures and their classes.
        y_true, groups: int (n,), indices of the classes, and groups as in `intervals`.
        models, labels: the record of each model, by its label; the labels.
        y_prob: float32 (n, classes) of each model, in their order.
        y_pred: int (models, n), the most probable classes.
        correct: bool (models, n).
        answers: text (n,), the names of the most probable classes, by the label of the model.
        confidence: float32 (models, n), the probability of the answer.

    Raises:
        ValueError: a probability is no number; the first class would be the answer.
    """

    class_names: Sequence[str]
    files: Sequence[str]
    y_true: np.ndarray
    groups: np.ndarray
    models: dict[str, Record]
    y_prob: list[np.ndarray]

    def __post_init__(self):
        self.class_names = np.asarray(self.class_names)
        self.files = np.asarray(self.files)
        self.labels = list(self.models)
        for label, answers in zip(self.labels, self.y_prob):
            if not np.isfinite(answers).all():
                raise ValueError(
                    f"{label} answers by what is no number: its weights may be damaged, so train it again."
                )
        self.truth = self.class_names[self.y_true]
        self.y_pred = np.array([answers.argmax(axis=1) for answers in self.y_prob])
        self.correct = self.y_pred == self.y_true
        self.answers = dict(zip(self.labels, self.class_names[self.y_pred]))
        self.confidence = np.array([answers.max(axis=1) for answers in self.y_prob])

    @property
    def by_parent(self) -> list[str]:
        """The classes, those of one parent beside one another."""
        record = self.models[self.labels[0]]
        return order_classes(record.class_names, record.parents)

    def list_mistakes(self, label: str) -> np.ndarray:
        """Return the positions of the pictures that a model gets wrong, the surest answers first."""
        model = self.labels.index(label)
        order = np.argsort(-self.confidence[model], kind="stable")
        return order[~self.correct[model, order]]

    def sort_mistakes(self, label: str) -> dict[tuple[str, str], list[str]]:
        """Sort a model's mistakes: a class and what it is taken for, to files.

        The most frequent kind comes first, and of each the files that the model was surest of.
        """
        wrong = self.list_mistakes(label)
        files = pd.Series(self.files[wrong])
        said = self.answers[label][wrong]
        kinds = files.groupby([self.truth[wrong], said]).agg(list)
        counts = kinds.str.len().sort_values(ascending=False, kind="stable")
        return kinds[counts.index].to_dict()

    def count_answers(self, label: str) -> pd.DataFrame:
        """Count a model's answers, the confusion matrix: a row for each class, a column for each answer."""
        counts = pd.crosstab(self.truth, self.answers[label])
        order = self.by_parent
        return counts.reindex(index=order, columns=order, fill_value=0)

    @cached_property
    def first_runs(self) -> "Predictions":
        """Those of the first run of each configuration."""
        is_first = ~self.runs.configuration.duplicated()
        models = dict(compress(self.models.items(), is_first))
        y_prob = list(compress(self.y_prob, is_first))
        return replace(self, models=models, y_prob=y_prob)

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The score of each model."""
        compared = self.runs.configuration.nunique()
        scores = {}
        for (label, record), y_prob in zip(self.models.items(), self.y_prob):
            scores[label] = evaluate(self.y_true, y_prob, self.groups, record, compared)
        return scores

    @cached_property
    def runs(self) -> pd.DataFrame:
        """All trainings: configuration, as a label, seed and top1.

        The seed is missing of a linear model of 05, which none decides.
        """
        records = self.models.values()
        configurations = [record.configuration + record.suffix for record in records]
        seeds = pd.array([record.seed for record in records], "Int64")
        rows = pd.DataFrame({"configuration": configurations, "seed": seeds})
        return rows.assign(top1=self.correct.mean(axis=1))

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """The configurations, the best first: runs, the mean of their top-1, low and high."""
        top1 = self.runs.groupby("configuration", sort=False).top1
        table = top1.agg(runs="size", mean="mean")
        for name, runs in top1:
            correct = self.correct[runs.index].mean(axis=0)
            table.loc[name, ["low", "high"]] = share_interval(correct, self.groups)
        return table.sort_values("mean", ascending=False, kind="stable")

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every pair of configurations: `comparisons.compare_configurations`."""
        correct = {name: {} for name in self.configurations.index}
        for run, is_right in zip(self.runs.itertuples(), self.correct):
            seed = None if pd.isna(run.seed) else run.seed
            correct[run.configuration][seed] = is_right
        return compare_configurations(correct, self.groups)

    def list_classes(self) -> pd.DataFrame:
        """List the classes, those that first runs recognise worst on average first.

        Returns:
            class, pictures, and of each model its label, which is recall, then "low" and
            "high" behind it, its 95 % interval, "precision" and "f1".
        """
        columns = {"class": self.class_names, "pictures": np.bincount(self.y_true)}
        labels = self.first_runs.labels
        for label in labels:
            score = self.scores[label]
            bounds = np.transpose(list(score.per_class_interval.values()))
            columns |= {
                label: score.per_class.values(),
                f"{label} low": bounds[0],
                f"{label} high": bounds[1],
                f"{label} precision": score.precision.values(),
                f"{label} f1": score.f1.values(),
            }
        table = pd.DataFrame(columns)
        order = table[labels].mean(axis=1).argsort(kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def count_sure(self, label: str) -> list[tuple[float, int, int]]:
        """Count the answers of a model that are given from some probabilities on, and those that are right.

        Probabilities are scaled by the temperature of its score, as they are handed over.
        """
        k = self.labels.index(label)
        temperature = self.scores[label].calibration.temperature
        scaled = apply_temperature(self.y_prob[k], temperature)
        confidence = scaled.max(axis=1)
        rows = []
        for limit in SURE:
            is_right = self.correct[k, confidence >= limit]
            right = int(is_right.sum())
            rows.append((limit, len(is_right), right))
        return rows

    def list_suspects(self) -> pd.DataFrame:
        """List the pictures that no first run recognises, the label least probable first.

        One model alone has none: they would be its mistakes.

        Returns:
            By index of the picture: file, label, each answer, and label_probability.
        """
        first = self.first_runs
        facts = {"file": self.files, "label": self.truth}
        table = pd.DataFrame(facts | first.answers)
        every = np.arange(len(table))
        of_truth = [y_prob[every, self.y_true] for y_prob in first.y_prob]
        table["label_probability"] = np.mean(of_truth, axis=0)
        is_recognised = first.correct.any(axis=0)
        is_missed = ~is_recognised & (len(first.labels) > 1)
        return table[is_missed].sort_values("label_probability", kind="stable")


def save_scores(ws: Workspace, predictions: Predictions) -> None:
    """Write every answer and score, and tables of them, in place of those of an earlier run.

    The answers of models that are left out go, too.
    """
    for path in ws.results.glob("models/*.json"):
        (ws.results / f"predictions/{path.stem}.csv").unlink(missing_ok=True)
    scores = {}
    for (label, record), y_prob in zip(predictions.models.items(), predictions.y_prob):
        scores[record.name] = asdict(predictions.scores[label])
        facts = {
            "file": predictions.files,
            "label": predictions.truth,
            "predicted": predictions.answers[label],
        }
        of_classes = pd.DataFrame(y_prob, columns=predictions.class_names)
        table = pd.DataFrame(facts).join(of_classes)
        ws.save_table(table, f"predictions/{record.name}.csv")
    ws.save_json(scores, "metrics.json")
    pairs = pd.DataFrame(predictions.pairs, columns=list(Pair.__annotations__))
    ws.save_table(pairs, "pairs.csv")
    ws.save_table(predictions.list_classes(), "per_class.csv")
    ws.save_table(predictions.list_suspects(), "suspects.csv")


def read_scores(ws: Workspace) -> dict[str, Score]:
    """Read metrics.json: the score of each model, by the name of its file."""
    path = ws.existing("metrics.json", made_by="08_evaluation")
    return TypeAdapter(dict[str, Score]).validate_python(read_json(path))
