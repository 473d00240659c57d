"""The card of a model: what it is for, how well it does, where it errs and where it comes from."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.data.split import read_split
from lib.evaluation.conformal import describe_sets
from lib.evaluation.display import open_template
from lib.evaluation.model_selection import doubt_contest
from lib.evaluation.verdict import judge_calibration, read_without_looking
from lib.models.record import Record

# Scores, and the names that the Hub has for some of them.
SCORES = {
    "top1": "top-1 accuracy",
    "average_per_class": "average recall per class",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
}
METRICS = {"top1": "accuracy", "average_per_class": "recall", "macro_f1": "f1"}


def write_card(
    ws: Workspace,
    record: Record,
    score: dict,
    mistakes: pd.Series,
    is_flattered: bool,
) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Lines `license…` that a person wrote into the head of an earlier card are kept.

    Args:
        ws: the workspace.
        record: of the model.
        score: of the model, as metrics.json has it.
        mistakes: counts of the most frequent ones, their index label and predicted.
        is_flattered: whether the pictures of the score chose the model.
    """
    path = ws.file("models", f"{record.name}.md")
    recall = np.array(list(score["per_class"].values()), float)
    text = open_template("card.md.jinja").render(
        record=record,
        is_flattered=is_flattered,
        score=score,
        mistakes=mistakes,
        trained=(read_split(ws).part == "train").sum(),
        scores=SCORES,
        metrics=METRICS,
        # The worst first; classes without pictures come last.
        order=recall.argsort(kind="stable"),
        calibration=judge_calibration(score),
        sets=describe_sets(record.answer_sets),
        doubt=doubt_contest(record, score),
        without_looking=read_without_looking(ws),
        origin=_list_origin(record),
        file=repr(f"{record.name}.keras"),
        licence=_read_licence(path),
    )
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def _read_licence(path):
    """Return the lines about licences that a person wrote into the head of an earlier card."""
    if not path.exists():
        return []
    _, head, _ = path.read_text(encoding="utf-8").split("---\n", 2)
    return [line for line in head.splitlines() if line.startswith("license")]


def _list_origin(record):
    """Return what is known of the first weights; None for what should be looked up."""
    if record.weights in ("from scratch", "untrained"):
        return {}
    origin = {
        "network": record.network,
        "weights": Path(record.weights).name,
        "trained_on": None,
        "licence": None,
        "source": None,
    }
    for key, value in record.backbone_origin.items():
        if value or key in origin:
            origin[key] = value
    return origin
