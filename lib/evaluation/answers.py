"""The answers of all models to the same validation pictures, gathered once."""

from functools import cached_property

import numpy as np
import pandas as pd

from lib.evaluation import calibration, comparisons, conformal, metrics
from lib.evaluation.intervals import drop_lonely


class Answers:
    """What every model says of every validation picture, and what follows from it.

    The dicts below have one entry a model, by its label. Runs of further seeds, whose names end in
    "@" and the seed, count in `ways` and in `list_runs`; all else is about first runs.

    Attributes:
        class_names: list of text (classes,).
        files, truth: text (n,), the pictures and their classes; y_true: int (n,), the positions.
        groups: int (n,), equal for pictures that belong together, or None.
        about: the model's JSON. y_prob: float (n, classes). predicted: text (n,). right: bool (n,).
        confidence: float (n,), the probability of the answer. scores: as `metrics.evaluate`.
        kept: as `conformal.keep_scores`, of the half of the pictures that calibrates sets.
    """

    def __init__(self, class_names, files, y_true, groups=None):
        self.class_names, self.files, self.y_true = list(class_names), np.asarray(files), y_true
        self.truth, self.groups = np.array(self.class_names)[y_true], drop_lonely(groups)
        self.metadata, self.y_prob, self.predicted = {}, {}, {}
        self.right, self.confidence, self.scores, self.kept = {}, {}, {}, {}
        self.calibrating, self.judging = calibration.split_halves(y_true, self.groups)
        # A single group is either half, and can't judge what it calibrated.
        self.judging = self.judging & ~self.calibrating

    def add(self, metadata: dict, y_prob: np.ndarray) -> None:
        """Add the answers of one model: its JSON, and float (n, classes), rows sum to 1."""
        label, y_pred = metadata["label"], y_prob.argmax(axis=1)
        self.metadata[label], self.y_prob[label] = metadata, y_prob
        self.predicted[label] = np.array(self.class_names)[y_pred]
        self.right[label], self.confidence[label] = y_pred == self.y_true, y_prob.max(axis=1)
        score = metrics.evaluate(self.y_true, y_prob, self.class_names, self.groups)
        if "calibrated_on" in metadata:
            # It was calibrated within the training part: what validates it must not change it.
            score |= {"temperature": 1.0, "nll_after": score["nll_before"]}
            score |= {"ece_after": score["ece_before"]}
        self.scores[label] = score
        members = None if self.groups is None else self.groups[self.calibrating]
        half = self.y_true[self.calibrating], y_prob[self.calibrating]
        self.kept[label] = conformal.keep_scores(*half, members)

    @property
    def labels(self) -> list[str]:
        """The first run of each way of training, in the order in which they were added."""
        first = {}
        for label, metadata in self.metadata.items():
            if metadata["way"] not in first or metadata["name"] == metadata["way"]:
                first[metadata["way"]] = label
        return list(first.values())

    @property
    def trained(self) -> list[str]:
        """Those of `labels` whose backbone is trained; all, where none is."""
        trained = [k for k in self.labels if self.metadata[k]["weights"] != "untrained"]
        return trained or self.labels

    @property
    def first_scores(self) -> dict[str, dict]:
        """`scores` of `labels` alone."""
        return {label: self.scores[label] for label in self.labels}

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of first runs, as `comparisons.compare_pairs` returns it."""
        right = {label: self.right[label] for label in self.labels}
        return comparisons.compare_pairs(right, self.y_true, self.groups)

    @property
    def bins(self) -> dict[str, pd.DataFrame]:
        """The probabilities of each first run in bins, as `calibration.bin_confidences` has them."""
        told = {label: (self.y_true, self.y_prob[label], self.groups) for label in self.labels}
        return {label: calibration.bin_confidences(*arrays) for label, arrays in told.items()}

    @cached_property
    def ways(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The ways of training, over all their runs, as `comparisons.compare_ways` has them."""
        right = {}
        for label, metadata in self.metadata.items():
            seeds = right.setdefault(self._name_way(metadata), {})
            seeds[metadata["seed"]] = self.right[label]
        return comparisons.compare_ways(right, self.groups)

    def _name_way(self, metadata: dict) -> str:
        # An untrained backbone is named so here too.
        return metadata["label"].replace(metadata["name"], metadata["way"], 1)

    def judge_sets(self, label: str, coverage: float, chosen=True) -> dict:
        """Judge a model's sets, as `conformal.measure_sets` does, on the half that didn't calibrate.

        `chosen`, bool (n,), are pictures to judge alone.
        """
        judged = self.judging & chosen
        sets = conformal.build_sets(self.y_prob[label][judged], self.kept[label], coverage)
        members = None if self.groups is None else self.groups[judged]
        return conformal.measure_sets(self.y_true[judged], sets, members)

    def list_sets(self, coverage: float) -> pd.DataFrame:
        """List how sets serve each class, those whose truth they hold least often first.

        Columns class, model, pictures (of the judged half), coverage with low and high, its 95 %
        interval, and size, the mean over these pictures. Classes without such pictures are left out.
        """
        rows = []
        for position in np.unique(self.y_true[self.judging]):
            for label in self.labels:
                score = self.judge_sets(label, coverage, self.y_true == position)
                told = score["n"], score["coverage"], *score["coverage_interval"], score["size"]
                rows.append((self.class_names[position], label, *told))
        columns = ["class", "model", "pictures", "coverage", "low", "high", "size"]
        table = pd.DataFrame(rows, columns=columns)
        order = table.groupby("class").coverage.transform("mean").argsort(kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def sum_matrices(self, labels) -> np.ndarray:
        """Return the confusion matrix of these models together: int (classes, classes)."""
        answers = np.concatenate([self.y_prob[label].argmax(axis=1) for label in labels])
        truth = np.tile(self.y_true, len(labels))
        return metrics.count_confusions(truth, answers, len(self.class_names))

    def list_runs(self) -> pd.DataFrame:
        """List all runs: columns way, seed, top1."""
        rows = [
            (self._name_way(metadata), metadata["seed"], self.scores[label]["top1"])
            for label, metadata in self.metadata.items()
        ]
        return pd.DataFrame(rows, columns=["way", "seed", "top1"])

    def list_classes(self) -> pd.DataFrame:
        """List the classes, those that are recognised worst on average first.

        Columns class, pictures, and of each first run its label, then "low" and "high" behind it:
        recall with its 95 % interval.
        """
        table = pd.DataFrame({"class": self.class_names})
        table["pictures"] = np.bincount(self.y_true, minlength=len(table))
        for label, score in self.first_scores.items():
            table[label] = np.array(list(score["per_class"].values()), float)
            table[[f"{label} low", f"{label} high"]] = list(score["per_class_interval"].values())
        order = table[self.labels].mean(axis=1).argsort(kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def list_suspects(self) -> pd.DataFrame:
        """List the pictures that no trained model recognises, the label least probable first.

        Index: position of the picture. Columns file, label, each trained model's answer, and
        label_probability, the mean over these models.
        """
        said = {label: self.predicted[label] for label in self.trained}
        table = pd.DataFrame({"file": self.files, "label": self.truth} | said)
        of_truth = [self.y_prob[k][np.arange(len(self.y_true)), self.y_true] for k in self.trained]
        table["label_probability"] = np.mean(of_truth, axis=0)
        missed = ~np.any([self.right[label] for label in self.trained], axis=0)
        return table[missed].sort_values("label_probability", kind="stable")
