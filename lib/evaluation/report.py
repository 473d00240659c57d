"""One HTML page that answers in thirty seconds: from what was found and from figures, by a template."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML
from sklearn.metrics import confusion_matrix

from lib import commands
from lib.data import sources
from lib.data.label_files import read_corrections
from lib.data.series import describe_series
from lib.data.split import identify_set, read_split
from lib.evaluation import figures, model_selection, verdict
from lib.evaluation.answers import Predictions
from lib.evaluation.display import embed, open_template
from lib.evaluation.intervals import wilson_interval
from lib.evaluation.mistakes import find_mistakes
from lib.storage import atomic_write
from lib.workspace import Workspace, read_table

MAX_TABULATED = 40  # classes of a confusion matrix that is a table, and not a figure
THRESHOLDS = (0.5, 0.8, 0.95)
# A wider interval says little; so many pictures are proposed that it has this margin.
MAX_WIDTH = 0.2
MARGIN = 0.05
# Of held-out answers and labels; below it the labels that 07 doubts are no next step.
MIN_AGREEMENT = 0.5
# Facts of a model that the page tells: of its record, and of comparison.csv.
FACTS = [
    "name",
    "characteristics",
    "network",
    "weights",
    "seed",
    "hardware",
    "parameters_total",
    "parameters_trainable",
    "seconds",
    "parameters",
    "versions",
]
COSTS = ["file_megabytes", "pictures_per_second"]


def describe_evaluation(
    ws: Workspace,
    predictions: Predictions,
    comparison: pd.DataFrame,
    histories: dict[str, pd.DataFrame],
) -> dict:
    """Gather what the page says of the models, as plain values that JSON can hold.

    Args:
        ws: the workspace.
        predictions: those of all models.
        comparison: as `Predictions.compare` returns it.
        histories: label to the history of its training, of models with more than one epoch.
    """
    first = predictions.first
    scores = first.scores
    answer = verdict.find_answer(predictions)
    named = answer["label"]
    # The model that the box names stands first everywhere.
    best_first = sorted(
        first.labels, key=lambda label: (label != named, -scores[label]["top1"])
    )
    costs = comparison.set_index("model")[COSTS].to_dict("index")
    facts = {}
    for label, record in first.models.items():
        of_record = {name: getattr(record, name) for name in FACTS}
        facts[label] = of_record | costs[label]
    page = _describe_models(predictions, best_first, answer, histories)
    pictures = read_split(ws)
    page["pictures_in_all"] = len(pictures)
    page["series"] = describe_series(pictures)
    page["set"] = identify_set(pictures)
    page["found"] = find_facts(ws, predictions)
    page["models"] = facts
    return page


def _describe_models(predictions, best_first, answer, histories):
    first = predictions.first
    scores = first.scores
    named = answer["label"]
    pairs = verdict.tabulate_pairs(predictions.pairs, answer["name"])
    return {
        "n": len(predictions.files),
        "handed_over": "",
        "limit": find_bottleneck(scores[named], answer["configuration"]),
        "pictures_needed": count_pictures_needed(scores[named]["top1"]),
        "best_first": best_first,
        "worst_first": _sort_classes(scores[named]),
        "answer": answer,
        "scores": scores,
        "believed": {
            label: verdict.describe_calibration(score)
            for label, score in scores.items()
        },
        "pairs": pairs.to_dict("split"),
        "configurations": _to_rows(predictions.configurations.reset_index()),
        "curves": {
            label: figures.describe_gap(histories[label])
            for label in best_first
            if label in histories
        },
        "class_names": first.class_names.tolist(),
        "mistakes": find_mistakes(first, best_first),
        "matrices": _count_answers(first),
        "sure": _to_rows(predictions.selective_accuracy(named, THRESHOLDS)),
    }


def _to_rows(table):
    return json.loads(table.to_json(orient="records"))


def _sort_classes(score):
    recall = pd.Series(score["per_class"], dtype=float)
    return recall.sort_values(kind="stable").index.tolist()


def _count_answers(predictions):
    numbers = range(len(predictions.class_names))
    if len(numbers) > MAX_TABULATED:
        return {}
    matrices = {}
    for label, y_pred in zip(predictions.labels, predictions.y_pred):
        matrix = confusion_matrix(predictions.y_true, y_pred, labels=numbers)
        matrices[label] = matrix.tolist()
    return matrices


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
    if np.ptp(wilson_interval(score["top1"], score["n"])) <= MAX_WIDTH:
        return "groups"
    return "pictures"


def count_pictures_needed(top1: float) -> int:
    """Count the different pictures of which Wilson's interval is known to ± 5 points."""
    needed = 10  # in steps of ten: it is a rough number
    while np.ptp(wilson_interval(top1, needed)) > 2 * MARGIN:
        needed += 10
    return needed


def find_facts(ws: Workspace, predictions: Predictions) -> dict:
    """Find what the next steps depend on, of these answers and of what other notebooks have found."""
    return {
        "demo": ws.is_demo,
        "beyond": commands.describe_command(ws, "--beyond"),
        "seeds": commands.describe_command(ws, "--seeds 5"),
        "suspects": len(predictions.first.list_suspects()),
        "doubtful": _count_doubtful(ws, predictions),
        "corrected": _count_corrected(ws, predictions),
        "contest": (ws.results / "contest.csv").exists(),
        "need": _describe_need(ws),
        "runs": int(predictions.configurations.runs.max()),
    }


def _count_doubtful(ws, predictions):
    path = ws.results / "label_audit.csv"
    weights = {record.weights for record in predictions.models.values()}
    # Doubts of random features are no one's next step.
    if not path.exists() or weights - {"from scratch"} == {"untrained"}:
        return 0
    audit = read_table(path)
    # A classifier that is wrong more often than right is no judge of labels.
    if (audit.suggested == audit.label).mean() < MIN_AGREEMENT:
        return 0
    decided = {}
    if ws.corrections:
        folder = sources.open_folder(ws, "train")
        decided = read_corrections(ws.corrections, audit.file, folder)
    # An audit of an earlier split says nothing of this one.
    is_open = audit.file.isin(read_split(ws).file) & ~audit.file.isin(list(decided))
    return int(audit.finding[is_open].str.contains("label?", regex=False).sum())


def _count_corrected(ws, predictions):
    checks = read_table(ws.results / "checks.csv")
    is_corrected = checks.problem.str.contains("corrected", regex=False)
    return int(checks.file[is_corrected].isin(predictions.files).sum())


def _describe_need(ws):
    path = ws.results / "pictures_needed.csv"
    if not path.exists():
        return ""
    # The digest of a set may look like a number.
    table = pd.read_csv(path, dtype={"set": str})
    is_of_another_set = (table.set != identify_set(read_split(ws))).any()
    if is_of_another_set or not model_selection.is_rising(table):
        return ""
    return model_selection.describe_learning_curve(table)


def show_part(page: dict, name: str, **options) -> HTML:
    """Show a part of the page, by the name of its macro in parts.html.jinja, and its options."""
    macro = getattr(open_template("parts.html.jinja").module, name)
    return HTML(macro(page, **options))


def read_page(ws: Workspace) -> dict:
    """Read the content of report.html; a ValueError says where it is of an earlier version."""
    path = ws.existing("report.json", made_by="08_evaluation")
    page = json.loads(path.read_text(encoding="utf-8"))
    if "series" not in page:
        raise ValueError(f"{path} is of an earlier version: run 08_evaluation again.")
    return page


def write_report(ws: Workspace, page: dict) -> Path:
    """Write report.html, and report.json, its content; figures are those of `figures/`."""
    ws.save_json(page, "report.json")

    def figure(name: str, label: str = "") -> str:
        for ending in ("svg", "html"):
            path = ws.results / f"figures/{name}.{ending}"
            if path.exists():
                return embed(path, label)
        return ""

    text = open_template("report.html.jinja").render(page=page, figure=figure)
    path = ws.file("report.html")
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def link_model_page(ws: Workspace, name: str) -> Path:
    """Write report.html again, with a link to model.html, which holds the model `name`."""
    page = read_page(ws)
    for label, model in page["models"].items():
        if model["name"] == name:
            page["handed_over"] = label
    return write_report(ws, page)
