"""The answers of all models to the same validation pictures, gathered once."""

from functools import cached_property

import numpy as np
import pandas as pd

from lib.evaluation import intervals, metrics
from lib.models.temperature import apply_temperature


class Predictions:
    """What every model says of every validation picture.

    Attributes:
        class_names: text (classes,). files, truth: text (n,), the pictures and their classes.
        y_true, groups: int (n,), positions of the classes, and what belongs together, as in
            `intervals`.
        models: what `saved.list_models` returns, a row a model, by its label. labels: list of text.
        y_prob: float32 (models, n, classes). y_pred: int (models, n), the most probable classes.
        correct: bool (models, n). confidence: float32 (models, n), the probability of the answer.
    """

    def __init__(
        self, class_names, files, y_true, groups, models: pd.DataFrame, y_prob
    ):
        self.class_names, self.files = np.asarray(class_names), np.asarray(files)
        self.y_true, self.groups = np.asarray(y_true), np.asarray(groups)
        self.models, self.labels = models, list(models.index)
        self.y_prob = np.asarray(y_prob, np.float32)
        self.y_pred, self.confidence = (
            self.y_prob.argmax(axis=2),
            self.y_prob.max(axis=2),
        )
        self.correct, self.truth = (
            self.y_pred == self.y_true,
            self.class_names[self.y_true],
        )

    def select(self, chosen) -> "Predictions":
        """Return the answers of some models alone; `chosen` is bool (models,)."""
        rows = self.class_names, self.files, self.y_true, self.groups
        return Predictions(*rows, self.models[chosen], self.y_prob[np.asarray(chosen)])

    @cached_property
    def first(self) -> "Predictions":
        """The first run of each way of training."""
        return self.select(~self.models.configuration.duplicated())

    @cached_property
    def trained(self) -> "Predictions":
        """Those of `first` whose backbone is trained; all, where none is."""
        trained = self.first.models.weights != "untrained"
        return self.first.select(trained) if trained.any() else self.first

    @cached_property
    def scores(self) -> dict[str, dict]:
        """The scores of each model, as `metrics.evaluate` returns them; compared: with how many."""
        scores = {}
        for label, y_prob in zip(self.labels, self.y_prob):
            score = metrics.evaluate(
                self.y_true, y_prob, self.class_names.tolist(), self.groups
            )
            if pd.notna(self.models.get("calibrated_on", pd.Series()).get(label)):
                # It was calibrated within the training part: what validates it must not change it.
                score |= {"temperature": 1.0, "nll_after": score["nll_before"]}
                score |= {"ece_after": score["ece_before"]}
            scaled = apply_temperature(y_prob, score["temperature"])
            score |= metrics.score_groups(self.y_true, scaled, self.groups)
            scores[label] = score | {"compared": len(self.trained.labels)}
        return scores

    def selective_accuracy(self, label: str, thresholds) -> pd.DataFrame:
        """Count what a model answers from each probability on, scaled by its temperature.

        Returns a row a threshold: threshold; answered and correct, counts; share, of all pictures;
        accuracy, NaN where nothing is answered, low and high, its 95 % interval.
        """
        place, temperature = self.labels.index(label), self.scores[label]["temperature"]
        sureness, rows = (
            apply_temperature(self.y_prob[place], temperature).max(axis=1),
            [],
        )
        for threshold in thresholds:
            sure = sureness >= threshold
            correct, n = (
                self.correct[place, sure],
                intervals.effective_sample_size(self.groups[sure]),
            )
            accuracy = correct.mean() if len(correct) else np.nan
            bounds = intervals.wilson_interval(accuracy, n)
            rows.append(
                (threshold, len(correct), correct.sum(), sure.mean(), accuracy, *bounds)
            )
        columns = "threshold answered correct share accuracy low high".split()
        return pd.DataFrame(rows, columns=columns)

    @property
    def bins(self) -> dict[str, pd.DataFrame]:
        """The probabilities of each model in bins, as `metrics.reliability_table` has them."""
        rows = zip(self.labels, self.y_prob)
        return {
            k: metrics.reliability_table(self.y_true, p, self.groups) for k, p in rows
        }

    @cached_property
    def runs(self) -> pd.DataFrame:
        """All trainings: columns configuration (an untrained backbone is named so), seed and top1.

        The seed is missing of a linear model of 05, which none decides.
        """
        rows = self.models[["name", "configuration", "seed"]].copy()
        labels = zip(self.labels, rows.name, rows.configuration)
        rows["configuration"] = [
            label.replace(name, way, 1) for label, name, way in labels
        ]
        rows["seed"] = rows.seed.astype("Int64").mask(rows.name.str.endswith("_linear"))
        rows["top1"] = self.correct.mean(axis=1)
        return rows[["configuration", "seed", "top1"]].reset_index(drop=True)

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """The ways of training, the best first: runs, mean, lowest and highest top-1, low and high, n."""
        n, top1 = (
            intervals.effective_sample_size(self.groups),
            self.runs.groupby("configuration", sort=False).top1,
        )
        table = top1.agg(runs="size", mean="mean", lowest="min", highest="max")
        table[["low", "high"]] = [
            intervals.mean_interval(of.to_numpy(), n) for _, of in top1
        ]
        table["n"] = len(self.groups)
        return table.sort_values("mean", ascending=False, kind="stable")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of ways of training, as `intervals.compare_configurations` returns it."""
        correct = {way: {} for way in self.configurations.index}
        for row, flags in zip(self.runs.itertuples(), self.correct):
            correct[row.configuration][None if pd.isna(row.seed) else row.seed] = flags
        return intervals.compare_configurations(correct, self.groups)

    def list_classes(self) -> pd.DataFrame:
        """List the classes, those that are recognised worst on average first.

        Columns class, pictures, and of each model its label, which is recall, then "low" and "high"
        behind it, its 95 % interval, and "precision" and "f1".
        """
        table = pd.DataFrame({"class": self.class_names})
        table["pictures"] = np.bincount(self.y_true, minlength=len(table))
        for label, score in self.scores.items():
            table[label] = list(score["per_class"].values())
            table[[f"{label} low", f"{label} high"]] = list(
                score["per_class_interval"].values()
            )
            for name in ("precision", "f1"):
                table[f"{label} {name}"] = list(score[name].values())
        order = table[self.labels].mean(axis=1).argsort(kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def compare(self, ws, speed: dict[str, float]) -> pd.DataFrame:
        """Put the scores of each model beside what it cost: the rows of comparison.csv.

        `speed` is label to pictures a second. An interval has two columns, `_low` and `_high`.
        """
        left_out = [
            "compared",
            "support",
            "per_class",
            "precision",
            "f1",
            "per_class_interval",
        ]
        table = pd.DataFrame(self.scores).T.drop(columns=left_out)
        for column in table.filter(like="_interval"):
            name = column.removesuffix("_interval")
            table[[f"{name}_low", f"{name}_high"]] = list(table.pop(column))
        files = [ws.results / f"models/{name}.keras" for name in self.models.name]
        table["parameters"] = self.models.parameters_total
        table["file_megabytes"] = [file.stat().st_size / 1e6 for file in files]
        table["training_seconds"] = self.models.seconds
        table["pictures_per_second"] = pd.Series(speed)
        table["weights"], table["demo"] = self.models.weights, ws.is_demo
        return table.rename_axis("model").reset_index().infer_objects()

    def list_suspects(self) -> pd.DataFrame:
        """List the pictures that none of these models recognises, the label least probable first.

        Index: position of the picture. Columns file, label, each model's answer, and
        label_probability, the mean over the models.
        """
        answers = dict(zip(self.labels, self.class_names[self.y_pred]))
        table = pd.DataFrame({"file": self.files, "label": self.truth} | answers)
        of_truth = self.y_prob[:, np.arange(len(self.y_true)), self.y_true]
        table["label_probability"] = of_truth.mean(axis=0)
        missed = ~self.correct.any(axis=0)
        return table[missed].sort_values("label_probability", kind="stable")


def save_scores(ws, answers, speed: dict[str, float], record) -> pd.DataFrame:
    """Write every answer, score and comparison, and remove what an earlier run left of other models.

    `speed` is label to pictures a second; `record(ws, name, found)` adds a temperature to the JSON of a
    model. Returns the rows of comparison.csv.
    """
    content, first, comparison = {}, answers.first, answers.compare(ws, speed)
    for place, (label, score) in enumerate(answers.scores.items()):
        name, weights = answers.models.loc[label, ["name", "weights"]]
        content[name] = {"label": label, "weights": weights} | score
        record(ws, name, {"temperature": score["temperature"]})
        rows = pd.DataFrame({"file": answers.files, "label": answers.truth})
        rows["predicted"] = answers.class_names[answers.y_pred[place]]
        y_prob = pd.DataFrame(answers.y_prob[place], columns=answers.class_names)
        ws.save_table(pd.concat([rows, y_prob], axis=1), f"predictions/{name}.csv")
    ws.save_json(content, "metrics.json")
    tables = {
        "comparison": comparison,
        "pairs": answers.pairs,
        "per_class": first.list_classes(),
    }
    for name, table in (tables | {"suspects": answers.trained.list_suspects()}).items():
        ws.save_table(table, f"{name}.csv")
    for path in (
        *ws.results.glob("predictions/*.csv"),
        *ws.results.glob("figures/confusion_*"),
    ):
        if path.suffix != ".csv" or path.stem not in content:
            path.unlink()
    return comparison
