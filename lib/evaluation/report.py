"""One HTML page that answers in thirty seconds, and the file of its answer, for 00, 09 and 10."""

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from lib.base.paths_file import read_json
from lib.base.workspace import Workspace, read_table
from lib.data import pixels, sources
from lib.data.series import describe_series
from lib.data.split import identify_set, read_split
from lib.evaluation.display import save_page
from lib.evaluation.predictions import Predictions
from lib.evaluation.verdict import (
    Doubt,
    Verdict,
    doubt_contest,
    find_verdict,
    read_without_looking,
)
from lib.models.record import Found, read_found


@dataclass(frozen=True)
class Answer(Verdict):
    """What the answer box and the next steps say, which is the content of answer.json."""

    demo: bool
    is_quick: bool  # whether only models of 05 are compared
    # Counts of pictures: that no model recognises, whose label a person corrected.
    suspects: int
    corrected: int
    found: Found  # by 05 and 07, of this set, whose hash it has
    doubt: Doubt | None
    series: str  # `series.describe_series`
    is_balanced: bool  # whether the best was trained with class weights
    tested: str = ""  # how many test pictures it has right: `wording.format_right`


@dataclass(frozen=True)
class Report:
    """What report.html shows: what the macros of parts.html.jinja read."""

    answer: Answer
    predictions: Predictions
    # Labels of first trainings, that of the answer before all others.
    best_first: list[str]
    # Of the model of the answer.
    matrix: pd.DataFrame
    mistakes: dict[tuple[str, str], list[str]]
    costs: pd.DataFrame  # comparison.csv by the label of the model
    pictures: int  # of both parts
    name: str  # of the folder or archive of the pictures
    date: date


def gather_report(
    ws: Workspace,
    predictions: Predictions,
    comparison: pd.DataFrame,
) -> Report:
    """Gather what report.html shows.

    Args:
        predictions: those of all models.
        comparison: that of comparison.csv, columns model and file_megabytes.
    """
    answer = describe_answer(ws, predictions)
    first = predictions.first_runs
    best_first = sorted(
        first.labels,
        key=lambda label: (label != answer.label, -predictions.scores[label].top1),
    )
    # An address may have a key behind its question mark, and a page may be passed on.
    address, _, _ = str(ws.train).partition("?")
    train = Path(address)
    return Report(
        answer=answer,
        predictions=predictions,
        best_first=best_first,
        matrix=first.count_answers(answer.label),
        mistakes=first.sort_mistakes(answer.label),
        costs=comparison.set_index("model"),
        pictures=len(read_split(ws)),
        name=train.parent.name if train.name == "train" else train.name,
        date=date.today(),
    )


def describe_answer(ws: Workspace, predictions: Predictions) -> Answer:
    """Describe the best model, and what to do next, by values that JSON can hold."""
    rows = read_split(ws)
    verdict = find_verdict(predictions, read_without_looking(ws))
    found = read_found(ws, identify_set(rows))
    record = predictions.models[verdict.label]
    checks = read_table(ws.results / "checks.csv")
    is_corrected = checks.problem.str.contains("corrected", regex=False)
    return Answer(
        **vars(verdict),
        demo=ws.is_demo,
        is_quick={one.kind for one in predictions.models.values()} == {"linear"},
        suspects=len(predictions.list_suspects()),
        corrected=int(checks.file[is_corrected].isin(predictions.files).sum()),
        found=found,
        doubt=doubt_contest(found.contest, record, verdict.score),
        series=describe_series(rows),
        is_balanced=record.is_balanced,
    )


def read_answer(ws: Workspace) -> Answer:
    """Read answer.json: which model is the best, and what `describe_answer` says of it.

    Raises:
        FileNotFoundError, ValueError: it is missing, or of another set.
    """
    path = ws.existing("answer.json", made_by="08_evaluation")
    answer = TypeAdapter(Answer).validate_python(read_json(path))
    if answer.found.set != identify_set(read_split(ws)):
        raise ValueError(f"{path} is of an earlier split: run 08_evaluation again.")
    return answer


def write_report(ws: Workspace, report: Report) -> Path:
    """Write report.html and answer.json; figures are those of `figures/`.

    A model.html of another model goes, since the report links it.
    """
    answer = report.answer
    ws.save_json(asdict(answer), "answer.json")
    _remove_other_page(ws, report.predictions.models[answer.label])
    folder = sources.fetch_folder(ws, "train")
    rows = read_split(ws).set_index("file", drop=False)

    def find_shown(file):
        return pixels.locate(folder, rows.loc[[file]])[0]

    save_page(ws, "report.html", report=report, find_shown=find_shown)
    return ws.results / "report.html"


def _remove_other_page(ws, record):
    page = ws.results / "model.html"
    mark = f'<meta name="model" content="{record.file_hash}">'
    if page.exists() and mark not in page.read_text(encoding="utf-8"):
        page.unlink()
        print(
            f"Note: {page} was of another model: 10_hand_over makes that of this one."
        )
