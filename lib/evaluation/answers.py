"""The answers of all models to the same validation pictures, gathered once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress

import numpy as np
import pandas as pd

from lib.base.workspace import Workspace
from lib.evaluation import group_answers, intervals, metrics
from lib.models.record import Record, remove_predictions, update_record
from lib.models.temperature import apply_temperature

# Scores of classes, which have a table of their own, and of the comparison as a whole.
NOT_COMPARED = "compared support per_class per_class_interval precision f1".split()


@dataclass(eq=False)
class Predictions:
    """What every model says of every validation picture.

    Attributes:
        class_names: text (classes,).
        files, truth: text (n,), the pictures and their classes.
        y_true, groups: int (n,), indices of the classes, and what belongs together, as in
            `intervals`.
        models, labels: the record of each model, by its label; the labels.
        y_prob: float32 (models, n, classes).
        y_pred: int (models, n), the most probable classes.
        correct: bool (models, n).
        confidence: float32 (models, n), the probability of the answer.
    """

    class_names: Sequence[str]
    files: Sequence[str]
    y_true: np.ndarray
    groups: np.ndarray
    models: dict[str, Record]
    y_prob: np.ndarray

    def __post_init__(self):
        self.class_names = np.asarray(self.class_names)
        self.files = np.asarray(self.files)
        self.y_true = np.asarray(self.y_true)
        self.y_prob = np.asarray(self.y_prob, np.float32)
        self.labels = list(self.models)
        self.truth = self.class_names[self.y_true]
        self.y_pred = self.y_prob.argmax(axis=2)
        self.correct = self.y_pred == self.y_true
        self.confidence = self.y_prob.max(axis=2)

    def select(self, is_chosen: np.ndarray) -> "Predictions":
        """Return the predictions of some models alone, bool (models,)."""
        models = dict(compress(self.models.items(), is_chosen))
        y_prob = self.y_prob[np.asarray(is_chosen)]
        return replace(self, models=models, y_prob=y_prob)

    def list_mistakes(self, label: str) -> np.ndarray:
        """Return the positions of the pictures that a model gets wrong, the surest answers first."""
        model = self.labels.index(label)
        order = np.argsort(-self.confidence[model], kind="stable")
        return order[~self.correct[model, order]]

    @cached_property
    def first_runs(self) -> "Predictions":
        """Those of the first run of each configuration."""
        return self.select(~self.runs.configuration.duplicated())

    @cached_property
    def scores(self) -> dict[str, dict]:
        """The scores of each model: `metrics.evaluate`, `group_answers.score_groups`.

        compared is the number of configurations.
        """
        scores = {}
        for label, y_prob in zip(self.labels, self.y_prob):
            score = metrics.evaluate(
                self.y_true,
                y_prob,
                self.class_names.tolist(),
                self.groups,
                is_calibrated=bool(self.models[label].calibrated_on),
            )
            scaled = apply_temperature(y_prob, score["temperature"])
            score |= group_answers.score_groups(self.y_true, scaled, self.groups)
            score["compared"] = len(self.first_runs.labels)
            scores[label] = score
        return scores

    def selective_accuracy(
        self, label: str, thresholds: Sequence[float]
    ) -> pd.DataFrame:
        """Count what a model answers from each probability on, scaled by its temperature.

        Returns:
            A row per threshold: answered and correct, counts; share, of all pictures;
            accuracy, NaN where nothing is answered, low and high, its 95 % interval.
        """
        index = self.labels.index(label)
        temperature = self.scores[label]["temperature"]
        scaled = apply_temperature(self.y_prob[index], temperature)
        rows = []
        for threshold in thresholds:
            is_sure = scaled.max(axis=1) >= threshold
            correct = self.correct[index, is_sure]
            accuracy = pd.Series(correct).mean()
            n = intervals.effective_sample_size(self.groups[is_sure], correct)
            low, high = intervals.wilson_interval(accuracy, n)
            counts = [threshold, len(correct), correct.sum(), is_sure.mean()]
            rows.append([*counts, accuracy, low, high])
        columns = "threshold answered correct share accuracy low high".split()
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """All trainings: configuration, as a label, seed and top1.

        The seed is missing of a linear model of 05, which none decides.
        """
        records = self.models.values()
        configurations = [record.configuration + record.suffix for record in records]
        rows = pd.DataFrame({"configuration": configurations})
        seeds = [record.seed for record in records]
        rows["seed"] = pd.array(seeds, "Int64")
        rows["top1"] = self.correct.mean(axis=1)
        return rows

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """The configurations, the best first: runs, mean, lowest and highest top-1, low, high, n."""
        top1 = self.runs.groupby("configuration", sort=False).top1
        table = top1.agg(runs="size", mean="mean", lowest="min", highest="max")
        for name, runs in top1:
            correct = self.correct[runs.index].mean(axis=0)
            n = intervals.effective_sample_size(self.groups, correct)
            bounds = intervals.mean_interval(runs.to_numpy(), n)
            table.loc[name, ["low", "high"]] = bounds
        table["n"] = len(self.groups)
        return table.sort_values("mean", ascending=False, kind="stable")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of configurations: `intervals.compare_configurations`."""
        correct = {name: {} for name in self.configurations.index}
        for run, is_right in zip(self.runs.itertuples(), self.correct):
            seed = None if pd.isna(run.seed) else run.seed
            correct[run.configuration][seed] = is_right
        return intervals.compare_configurations(correct, self.groups)

    def list_classes(self) -> pd.DataFrame:
        """List the classes, those that are recognised worst on average first.

        Returns:
            class, pictures, and of each model its label, which is recall, then "low" and
            "high" behind it, its 95 % interval, and "precision" and "f1".
        """
        table = pd.DataFrame({"class": self.class_names})
        table["pictures"] = np.bincount(self.y_true, minlength=len(table))
        for label, score in self.scores.items():
            bounds = list(score["per_class_interval"].values())
            table[label] = list(score["per_class"].values())
            table[[f"{label} low", f"{label} high"]] = bounds
            table[f"{label} precision"] = list(score["precision"].values())
            table[f"{label} f1"] = list(score["f1"].values())
        order = table[self.labels].mean(axis=1).argsort(kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def compare(self, ws: Workspace, speed: dict[str, float]) -> pd.DataFrame:
        """Put the scores of each model beside what it cost, `speed` in pictures per second."""
        table = pd.DataFrame(self.scores).T.drop(columns=NOT_COMPARED)
        for column in table.filter(like="_interval"):
            name = column.removesuffix("_interval")
            table[[f"{name}_low", f"{name}_high"]] = list(table.pop(column))
        records = self.models.values()
        files = [ws.results / f"models/{record.name}.keras" for record in records]
        table["parameters"] = [record.parameters_total for record in records]
        table["file_megabytes"] = [file.stat().st_size / 1e6 for file in files]
        table["training_seconds"] = [record.seconds for record in records]
        table["pictures_per_second"] = pd.Series(speed)
        table["weights"] = [record.weights for record in records]
        table["demo"] = ws.is_demo
        return table.rename_axis("model").reset_index().infer_objects()

    def list_suspects(self) -> pd.DataFrame:
        """List the pictures that none of these models recognises, the label least probable first.

        One model alone has none: they would be its mistakes.

        Returns:
            By index of the picture: file, label, each answer, and label_probability.
        """
        table = pd.DataFrame({"file": self.files, "label": self.truth})
        for label, y_pred in zip(self.labels, self.y_pred):
            table[label] = self.class_names[y_pred]
        of_truth = self.y_prob[:, np.arange(len(self.y_true)), self.y_true]
        table["label_probability"] = of_truth.mean(axis=0)
        is_missed = ~self.correct.any(axis=0) & (len(self.labels) > 1)
        return table[is_missed].sort_values("label_probability", kind="stable")


def save_scores(
    ws: Workspace, predictions: Predictions, speed: dict[str, float]
) -> pd.DataFrame:
    """Write every answer, score and comparison, in place of those of an earlier run.

    Args:
        ws: the workspace.
        predictions: those of all models.
        speed: label to pictures per second.

    Returns:
        The rows of comparison.csv.

    Raises:
        ValueError: a table of answers has other columns than were written.
    """
    _remove_answers(ws)
    content = {}
    comparison = predictions.compare(ws, speed)
    for index, (label, score) in enumerate(predictions.scores.items()):
        record = predictions.models[label]
        content[record.name] = {"label": label, "weights": record.weights} | score
        update_record(ws, record, temperature=score["temperature"])
        table = _list_answers(predictions, index)
        ws.save_table(table, f"predictions/{record.name}.csv")
    ws.save_json(content, "metrics.json")
    ws.save_table(comparison, "comparison.csv")
    ws.save_table(predictions.pairs, "pairs.csv")
    ws.save_table(predictions.first_runs.list_classes(), "per_class.csv")
    ws.save_table(predictions.first_runs.list_suspects(), "suspects.csv")
    return comparison


def _remove_answers(ws):
    """Remove the answers of an earlier run, of models that are left out, too."""
    for path in ws.results.glob("models/*.json"):
        if not remove_predictions(ws, path.stem):
            raise ValueError(
                f"predictions/{path.stem}.csv has other columns than 08 wrote: move it out of {ws.results}."
            )


def _list_answers(predictions, index):
    names = predictions.class_names
    table = pd.DataFrame({"file": predictions.files, "label": predictions.truth})
    table["predicted"] = names[predictions.y_pred[index]]
    y_prob = pd.DataFrame(predictions.y_prob[index], columns=names)
    return pd.concat([table, y_prob], axis=1)
