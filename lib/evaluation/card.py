"""The card of a model: what it is for, how well it does, where it errs and where it comes from."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.split import read_split
from lib.evaluation.display import open_template
from lib.evaluation.model_selection import doubt_contest
from lib.evaluation.verdict import judge_calibration
from lib.storage import atomic_write
from lib.workspace import Workspace

# Scores, and the names that the Hub has for some of them.
SCORES = {
    "top1": "top-1 accuracy",
    "average_per_class": "average recall per class",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
}
METRICS = {"top1": "accuracy", "average_per_class": "recall", "macro_f1": "f1"}


def write_card(ws: Workspace, metadata: dict, score: dict, mistakes: pd.Series) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Args:
        ws: the workspace.
        metadata: the model's JSON, and its label.
        score: of the model, as metrics.json has it.
        mistakes: counts of the most frequent ones, their index label and predicted.
    """
    recall = np.array(list(score["per_class"].values()), float)
    text = open_template("card.md.jinja").render(
        metadata=metadata,
        score=score,
        mistakes=mistakes,
        backbone=_name_backbone(metadata),
        trained=(read_split(ws).part == "train").sum(),
        scores=SCORES,
        metrics=METRICS,
        # The worst first; classes without pictures come last.
        order=recall.argsort(kind="stable"),
        calibration=judge_calibration(score),
        doubt=doubt_contest(metadata, score),
        origin=_list_origin(metadata),
        file=repr(f"{metadata['name']}.keras"),
    )
    with atomic_write(ws.file("models", f"{metadata['name']}.md")) as part:
        part.write_text(text, encoding="utf-8")


def _name_backbone(metadata):
    # It may be a file, whose folder is no one's business.
    return Path(metadata["parameters"].get("backbone") or "").name


def _list_origin(metadata):
    """Return what is known of the first weights; None for what should be looked up."""
    if metadata["weights"] in ("from scratch", "untrained"):
        return {}
    known = metadata.get("backbone_origin") or {}
    origin = {
        "network": _name_backbone(metadata),
        "weights": Path(metadata["weights"]).name,
        "trained_on": None,
        "licence": None,
        "source": None,
    }
    for key, value in known.items():
        if value or key in origin:
            origin[key] = value
    return origin
