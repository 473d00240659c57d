"""Tables of the evaluation: `comparison.csv`, and what a page shows, as texts."""

import numpy as np
import pandas as pd

from lib.evaluation.claims import describe_calibration
from lib.evaluation.wording import write_bounds, write_count, write_number, write_score

EXPERT = {
    "top3": "top-3",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "kappa": "kappa",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "ece": "ECE",
    "brier": "Brier",
    "nll": "NLL",
}


def compare_models(ws, answers, speed: dict[str, float]) -> pd.DataFrame:
    """Put the scores of each model beside what it cost: the rows of comparison.csv.

    `speed` is label to pictures a second. An interval has two columns, `_low` and `_high`.
    """
    table = pd.DataFrame(answers.scores).T
    by_class = ["support", "per_class", "precision", "f1", "per_class_interval"]
    table = table.drop(columns=by_class)
    for column in table.filter(like="_interval"):
        bounds = [pair or [np.nan, np.nan] for pair in table.pop(column)]
        name = column.removesuffix("_interval")
        table[[f"{name}_low", f"{name}_high"]] = bounds
    models = answers.models
    files = [ws.results / f"models/{name}.keras" for name in models.name]
    table["parameters"] = models.parameters_total
    table["file_megabytes"] = [file.stat().st_size / 1e6 for file in files]
    table["training_seconds"] = models.seconds
    table["pictures_per_second"] = pd.Series(speed)
    table["weights"], table["demo"] = models.weights, ws.is_demo
    return table.rename_axis("model").reset_index().infer_objects()


def show_models(answers) -> pd.DataFrame:
    """Show what is most asked of each model, the best first."""
    rows = {}
    for label, score in answers.scores.items():
        low, high = (100 * bound for bound in score["top1_interval"])
        rows[label] = {
            "top-1": write_number(score["top1"], 4),
            "right": write_count(score["top1"], score["n"]),
            "95 % interval": f"{low:.0f} to {high:.0f} %",
            "average per class": write_number(score["average_per_class"], 4),
        }
    best_first = sorted(rows, key=lambda label: -answers.scores[label]["top1"])
    return pd.DataFrame(rows).T.loc[best_first]


def show_classes(answers, most: int = 20) -> pd.DataFrame:
    """Show how many pictures of each class each model recognises, the weakest classes first."""
    listed = answers.list_classes().head(most)
    table = pd.DataFrame({"pictures": listed.pictures.to_numpy()}, index=listed["class"])
    for label in answers.labels:
        told = zip(listed[label], listed[f"{label} low"], listed[f"{label} high"])
        table[label] = [
            "no pictures" if np.isnan(share) else f"{share:.2f} ({low:.2f} to {high:.2f})"
            for share, low, high in told
        ]
    return table.rename_axis(None)


def show_calibration(answers) -> pd.DataFrame:
    """Show whether each model's probabilities can be believed, and what a temperature changes."""
    rows = {}
    for label, score in answers.scores.items():
        rows[label] = {
            "believed?": describe_calibration(score),
            "temperature": write_number(score["temperature"], 2),
            "ECE before": write_number(score["ece_before"]),
            "ECE after": write_number(score["ece_after"]),
        }
    return pd.DataFrame(rows).T


def show_expert_scores(answers) -> pd.DataFrame:
    """Show the scores that experts ask for, as scikit-learn has them, mostly without intervals."""
    scores = answers.scores.items()
    rows = {k: {EXPERT[name]: write_score(score, name) for name in EXPERT} for k, score in scores}
    return pd.DataFrame(rows)


def show_ways(ways: pd.DataFrame) -> pd.DataFrame:
    """Show the means of `comparisons.compare_ways` over trainings that differ in the seed alone."""
    table = ways[["runs"]].rename(columns={"runs": "trainings"})
    table["mean top-1"] = ways["mean"].map("{:.4f}".format)
    table["95 % interval"] = [
        write_bounds(low, high) if low == low else "too few"
        for low, high in zip(ways.low, ways.high)
    ]
    table["lowest to highest"] = [f"{a:.4f} to {b:.4f}" for a, b in zip(ways.lowest, ways.highest)]
    return table.rename_axis(None)


def show_cost(answers, comparison: pd.DataFrame) -> pd.DataFrame:
    """Show what each model cost: its size, its training, its speed."""
    costs = comparison.set_index("model").loc[answers.labels]
    table = pd.DataFrame(index=answers.labels)
    table["parameters"] = costs.parameters.map("{:,}".format)
    table["of them trained"] = answers.models.parameters_trainable.map("{:,}".format)
    table["file, MB"] = costs.file_megabytes.map("{:.1f}".format)
    table["training, s"] = costs.training_seconds.map("{:.1f}".format)
    table["pictures a second"] = costs.pictures_per_second.map("{:,.0f}".format)
    return table


def show_origin(answers) -> pd.DataFrame:
    """Show how each model was made: what it is, its weights, seed, hardware, settings, versions."""
    table = answers.models[["characteristics", "weights", "seed", "hardware"]].copy()
    for name in ("parameters", "versions"):
        texts = [", ".join(f"{k} {v}" for k, v in given.items()) for given in answers.models[name]]
        table[name] = texts
    return table.rename(columns={"parameters": "settings"})


def show_class_report(answers, label: str) -> pd.DataFrame:
    """Show precision, recall, F1 and support of each class, as scikit-learn's report does."""
    score = answers.scores[label]
    columns = {"precision": "precision", "recall": "per_class", "F1": "f1"}
    table = pd.DataFrame({head: score[name] for head, name in columns.items()}).astype(float)
    table = table.map("{:.3f}".format).replace("nan", "–")
    return table.assign(pictures=pd.Series(score["support"]))
