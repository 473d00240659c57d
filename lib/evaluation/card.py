"""The card of a model: what it is for, how well it does, where it errs and where it comes from."""

from pathlib import Path

import numpy as np

from lib.data.split import read_split
from lib.evaluation.contests import doubt_contest
from lib.evaluation.display import open_template
from lib.evaluation.verdict import describe_calibration
from lib.storage import atomic_write

# Scores, and the names that the Hub has for some of them.
SCORES = {"top1": "top-1 accuracy", "average_per_class": "average recall per class"}
SCORES |= {
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "ece": "expected calibration error",
}
METRICS = {"top1": "accuracy", "average_per_class": "recall", "macro_f1": "f1"}


def write_card(ws, metadata: dict, score: dict, mistakes) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Args:
        ws: the workspace.
        metadata: the model's JSON, and its label.
        score: what `metrics.evaluate` returns of the model.
        mistakes: counts of the most frequent ones, their index label and predicted.
    """
    # A backbone may be a file: its folder is no one's business.
    backbone = Path(metadata["parameters"].get("backbone") or "").name
    origin = {"network": backbone, "weights": Path(metadata["weights"]).name}
    origin |= dict.fromkeys(("trained_on", "licence", "source"))
    known = metadata.get("backbone_origin") or {}
    origin |= {key: value for key, value in known.items() if value or key in origin}
    recall = np.array(list(score["per_class"].values()), float)
    text = open_template("card.md.jinja").render(
        metadata=metadata,
        score=score,
        mistakes=mistakes,
        backbone=backbone,
        trained=(read_split(ws).part == "train").sum(),
        scores=SCORES,
        metrics=METRICS,
        # The worst first; classes without pictures come last.
        order=recall.argsort(kind="stable"),
        calibration=describe_calibration(score),
        doubt=doubt_contest(metadata, score),
        origin={} if metadata["weights"] in ("from scratch", "untrained") else origin,
        file=repr(f"{metadata['name']}.keras"),
    )
    with atomic_write(ws.file("models", f"{metadata['name']}.md")) as part:
        part.write_text(text, encoding="utf-8")
