"""The card of a model: what it is for, how well it does, where it errs and where it comes from."""

from pathlib import Path

import pandas as pd

from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.data.split import read_split
from lib.evaluation.conformal import describe_sets
from lib.evaluation.display import open_template
from lib.evaluation.metrics import Score
from lib.evaluation.model_selection import doubt_contest
from lib.evaluation.verdict import read_without_looking
from lib.models.record import Record


def write_card(
    ws: Workspace,
    record: Record,
    score: Score,
    mistakes: pd.Series,
    is_flattered: bool,
) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Lines `license…` that a person wrote into the head of an earlier card are kept.

    Args:
        ws: the workspace.
        record: of the model.
        score: of the model.
        mistakes: counts of the most frequent ones, their index label and predicted.
        is_flattered: whether the pictures of the score chose the model.
    """
    path = ws.file("models", f"{record.name}.md")
    text = open_template("card.md.jinja").render(
        record=record,
        is_flattered=is_flattered,
        score=score,
        mistakes=mistakes,
        trained=(read_split(ws).part == "train").sum(),
        sets=describe_sets(record.answer_sets),
        doubt=doubt_contest(record, score),
        without_looking=read_without_looking(ws),
        weights=Path(record.weights).name,
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
