"""One HTML page that answers in thirty seconds, and the file of its answer, for 00 and 10."""

from pathlib import Path

import pandas as pd
from sklearn.metrics import confusion_matrix

from lib.base.paths_file import read_json
from lib.base.storage import atomic_write
from lib.base.workspace import MINE, Workspace, read_table
from lib.data import sources
from lib.data.label_files import read_corrections
from lib.data.series import describe_series
from lib.data.split import find_set, identify_set, read_split
from lib.evaluation import verdict
from lib.evaluation.answers import Predictions
from lib.evaluation.display import embed, is_stale, open_template
from lib.evaluation.mistakes import find_mistakes
from lib.evaluation.model_selection import summarize_curve

THRESHOLDS = (0.5, 0.8, 0.95)
# Of held-out answers and labels; below it the labels that 07 doubts are no next step.
MIN_AGREEMENT = 0.5
COSTS = ["file_megabytes", "pictures_per_second"]


def gather_report(
    ws: Workspace,
    predictions: Predictions,
    comparison: pd.DataFrame,
    histories: dict[str, pd.DataFrame],
) -> dict:
    """Gather what report.html shows.

    Args:
        ws: the workspace.
        predictions: those of all models.
        comparison: as `Predictions.compare` returns it.
        histories: label to the history of its training, of models with more than one epoch.

    Returns:
        answer, the content of answer.json; best_first, the labels, that of the answer before
        all others; and what the macros of parts.html.jinja read.
    """
    first = predictions.first_runs
    scores = first.scores
    without_looking = verdict.read_without_looking(ws)
    answer = verdict.describe_answer(predictions, without_looking)
    answer |= find_facts(ws, predictions)
    named = answer["label"]
    answer["set"] = first.models[named].split_hash
    best_first = sorted(
        first.labels, key=lambda label: (label != named, -scores[label]["top1"])
    )
    recall = pd.Series(scores[named]["per_class"], dtype=float)
    rows = read_split(ws)
    return {
        "answer": answer,
        "best_first": best_first,
        "worst_first": recall.sort_values(kind="stable").index.tolist(),
        "scores": scores,
        "calibration": pd.Series(scores).map(verdict.judge_calibration),
        "pairs": verdict.select_pairs(predictions, answer["name"]),
        "configurations": predictions.configurations,
        "histories": histories,
        "class_names": first.class_names.tolist(),
        "mistakes": find_mistakes(first, best_first),
        "matrices": _count_answers(first),
        "sure": predictions.selective_accuracy(named, THRESHOLDS),
        "models": first.models,
        "costs": comparison.set_index("model")[COSTS].to_dict("index"),
        "pictures": len(rows),
        # An earlier model.html speaks of other classes, until 10 replaces it.
        "is_stale": is_stale(ws, "model.html"),
        "without_looking": without_looking,
    }


def _count_answers(predictions):
    numbers = range(len(predictions.class_names))
    matrices = {}
    for label, y_pred in zip(predictions.labels, predictions.y_pred):
        matrices[label] = confusion_matrix(predictions.y_true, y_pred, labels=numbers)
    return matrices


def find_facts(ws: Workspace, predictions: Predictions) -> dict:
    """Find what the next steps depend on, of these answers and of what other notebooks have found."""
    rows = read_split(ws)
    # A page may be passed on, so no command names a folder.
    command = "make demo" if ws.is_demo else f"make run PATHS={MINE}"
    is_audited = (ws.results / "label_audit.csv").exists()
    return {
        "demo": ws.is_demo,
        "beyond": f"{command} BEYOND=1 ARGUMENTS=--as-before",
        "seeds": f"{command} ARGUMENTS='--seeds 5 --as-before'",
        "audit": "" if is_audited else f"{command} ARGUMENTS='--only 7 8 --as-before'",
        "hand_over": f"{command} ARGUMENTS='--only 10 --as-before'",
        "is_quick": {record.kind for record in predictions.models.values()}
        == {"linear"},
        "suspects": len(predictions.first_runs.list_suspects()),
        "doubtful": _count_doubtful(ws, predictions, rows),
        "corrected": _count_corrected(ws, predictions),
        "contest": (ws.results / "contest.csv").exists(),
        "rise": _find_rise(ws, rows),
        "runs": int(predictions.configurations.runs.max()),
        "series": describe_series(rows),
    }


def _count_doubtful(ws, predictions, rows):
    path = ws.results / "label_audit.csv"
    weights = {record.weights for record in predictions.models.values()}
    # Doubts of random features are no one's next step.
    if not path.exists() or weights - {"from scratch"} == {"untrained"}:
        return 0
    audit = read_table(path)
    # A classifier that is wrong more often than right is no judge of labels.
    if (audit.suggested == audit.label).mean() < MIN_AGREEMENT:
        return 0
    # An audit of an earlier split, or of other contents, says nothing of this one.
    current = audit.merge(rows[audit.columns.intersection(["file", "digest"])])
    others = len(audit) - len(current)
    if others:
        print(
            f"Note: label_audit.csv: passed over, {others:,} of other contents: run 07 again."
        )
    if ws.corrections:
        folder = sources.open_folder(ws, "train")
        given = read_corrections(ws.corrections, current.file, folder)
        current = current[~current.file.isin(given.file[given.holds])]
    return int(current.finding.str.contains("label?", regex=False).sum())


def _count_corrected(ws, predictions):
    checks = read_table(ws.results / "checks.csv")
    is_corrected = checks.problem.str.contains("corrected", regex=False)
    return int(checks.file[is_corrected].isin(predictions.files).sum())


def _find_rise(ws, rows):
    path = ws.results / "pictures_needed.csv"
    if not path.exists():
        return {}
    # The digest of a set may look like a number.
    table = pd.read_csv(path, dtype={"set": str})
    curve = summarize_curve(table)
    is_of_this_set = (table.set == identify_set(rows)).all()
    return curve if is_of_this_set and curve.get("is_rising") else {}


def read_answer(ws: Workspace) -> dict:
    """Read answer.json: which model is the best, and what `gather_report` says of it.

    Raises:
        FileNotFoundError, ValueError: it is missing, or of another set.
    """
    path = ws.existing("answer.json", made_by="08_evaluation")
    answer = read_json(path)
    if answer.get("set") != find_set(ws):
        raise ValueError(f"{path} is of an earlier split: run 08_evaluation again.")
    return answer


def write_report(ws: Workspace, content: dict) -> Path:
    """Write report.html and answer.json; figures are those of `figures/`.

    Args:
        ws: the workspace.
        content: of `gather_report`.
    """
    ws.save_json(content["answer"], "answer.json")

    def figure(file: str, label: str = "") -> str:
        path = ws.results / "figures" / file
        return embed(path, label) if path.exists() else ""

    template = open_template("report.html.jinja")
    path = ws.file("report.html")
    with atomic_write(path) as part:
        part.write_text(
            template.render(report=content, figure=figure), encoding="utf-8"
        )
    return path
