"""The card of a model: what it is for, how well it does, where it errs and where it comes from."""

import pandas as pd

from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.data.split import read_split
from lib.evaluation.display import open_template
from lib.evaluation.limits import describe_sets
from lib.evaluation.metrics import Score
from lib.evaluation.verdict import doubt_contest, read_without_looking
from lib.models.record import Record, read_found


def write_card(
    ws: Workspace,
    record: Record,
    score: Score,
    mistakes: pd.Series,
    is_flattered: bool,
    tested: str = "",
) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Args:
        record: of the model.
        score: of the model.
        mistakes: counts of the most frequent ones, their index label and predicted.
        is_flattered: whether the pictures of the score chose the model.
        tested: how many test pictures it has right, where 08 asked it about them.
    """
    contest = read_found(ws, record.split_hash).contest
    is_train = read_split(ws).part == "train"
    text = open_template("card.md.jinja").render(
        record=record,
        demo=ws.is_demo,
        is_flattered=is_flattered,
        score=score,
        mistakes=mistakes,
        tested=tested,
        trained=is_train.sum(),
        sets=describe_sets(record.answer_sets),
        doubt=doubt_contest(contest, record, score),
        without_looking=read_without_looking(ws),
        file=repr(f"{record.name}.keras"),
    )
    with atomic_write(ws.file("models", f"{record.name}.md")) as part:
        part.write_text(text, encoding="utf-8")
