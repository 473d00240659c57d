"""One HTML page that answers in thirty seconds, and the file of its answer, for 00 and 10."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from lib.base.paths_file import read_json
from lib.base.storage import atomic_write
from lib.base.workspace import Workspace, read_table
from lib.data import sources
from lib.data.label_files import read_corrections
from lib.data.series import describe_series
from lib.data.split import find_set, identify_set, read_split
from lib.evaluation.answers import Predictions, restore
from lib.evaluation.display import find_page_model, save_page, show_part
from lib.evaluation.mistakes import Confusion, Kind, find_confused, find_mistakes
from lib.evaluation.model_selection import summarize_curve
from lib.evaluation.verdict import Verdict, find_answer, read_without_looking

# Of held-out answers and labels; below it the labels that 07 doubts are no next step.
MIN_AGREEMENT = 0.5


@dataclass(frozen=True)
class Answer(Verdict):
    """What the answer box and the next steps say, which is the content of answer.json."""

    demo: bool
    is_audited: bool  # whether 07 has run
    is_quick: bool  # whether only models of 05 are compared
    # Counts of pictures: that no model recognises, whose label 07 doubts, that a person corrected.
    suspects: int
    doubtful: int
    corrected: int
    contest: bool  # whether 05 has compared networks on this set
    curve: dict  # `model_selection.summarize_curve` of this set
    runs: int  # trainings of a configuration, at most
    series: str  # `series.describe_series`
    set: str  # `split.identify_set`
    copies: int = 0  # pictures that 07 takes for copies of one of the other part
    is_balanced: bool = False  # whether the best was trained with class weights
    tested: str = ""  # how many test pictures it has right: `wording.format_right`


@dataclass(frozen=True)
class Report:
    """What report.html shows: what the macros of parts.html.jinja read."""

    answer: Answer
    predictions: Predictions
    # Labels of first trainings, that of the answer before all others.
    best_first: list[str]
    # Of the model of the answer.
    mistakes: list[Kind]
    confused: Confusion | None
    costs: pd.DataFrame  # comparison.csv by the label of the model
    pictures: int  # of both parts
    page: str  # the model of model.html: `display.find_page_model`
    name: str  # of the folder or archive of the pictures
    date: date


def gather_report(
    ws: Workspace,
    predictions: Predictions,
    comparison: pd.DataFrame,
) -> Report:
    """Gather what report.html shows.

    Args:
        ws: the workspace.
        predictions: those of all models.
        comparison: that of comparison.csv, columns model and file_megabytes.
    """
    answer = describe_answer(ws, predictions)
    first = predictions.first_runs
    best_first = sorted(
        first.labels,
        key=lambda label: (label != answer.label, -predictions.scores[label].top1),
    )
    mistakes = find_mistakes(first, answer.label)
    # An address may have a key behind its question mark, and a page may be passed on.
    address, _, _ = str(ws.train).partition("?")
    train = Path(address)
    return Report(
        answer=answer,
        predictions=predictions,
        best_first=best_first,
        mistakes=mistakes,
        confused=find_confused(mistakes),
        costs=comparison.set_index("model"),
        pictures=len(read_split(ws)),
        page=find_page_model(ws),
        name=train.parent.name if train.name == "train" else train.name,
        date=date.today(),
    )


def describe_answer(ws: Workspace, predictions: Predictions) -> Answer:
    """Describe the best model, and what to do next, by values that JSON can hold."""
    rows = read_split(ws)
    verdict = find_answer(predictions, read_without_looking(ws))
    record = predictions.models[verdict.label]
    set_hash = identify_set(rows)
    audit = _read_audit(ws, rows)
    return Answer(
        **vars(verdict),
        demo=ws.is_demo,
        is_audited=(ws.results / "label_audit.csv").exists(),
        is_quick={one.kind for one in predictions.models.values()} == {"linear"},
        suspects=len(predictions.list_suspects()),
        doubtful=_count_doubtful(predictions, audit),
        corrected=_count_corrected(ws, predictions),
        contest=not _read_of_set(ws, "contest.csv", set_hash).empty,
        curve=summarize_curve(_read_of_set(ws, "pictures_needed.csv", set_hash)),
        runs=int(predictions.configurations.runs.max()),
        series=describe_series(rows),
        set=record.split_hash,
        copies=_count_copies(audit),
        is_balanced=record.is_balanced,
    )


def _read_audit(ws, rows):
    """Return the findings of 07 about pictures of this split that no person has decided."""
    path = ws.results / "label_audit.csv"
    if not path.exists():
        return pd.DataFrame(
            columns=["file", "label", "suggested", "neighbour", "finding", "part"]
        )
    audit = read_table(path)
    # An audit of an earlier split, or of other contents, says nothing of this one.
    current = audit.merge(rows[["file", "digest", "part"]])
    others = len(audit) - len(current)
    if others:
        print(
            f"Note: label_audit.csv: passed over, {others:,} of other contents: run 07 again."
        )
    if ws.corrections:
        folder = sources.open_folder(ws, "train")
        given = read_corrections(ws.corrections, current.file, folder)
        current = current[~current.file.isin(given.file[given.holds])]
    return current


def _count_doubtful(predictions, audit):
    weights = {record.weights for record in predictions.models.values()}
    # A classifier that is wrong more often than right is no judge of labels, nor are random features.
    is_judge = (audit.suggested == audit.label).mean() >= MIN_AGREEMENT
    if not is_judge or weights - {"from scratch"} == {"untrained"}:
        return 0
    return int(audit.finding.str.contains("label?", regex=False).sum())


def _count_copies(audit):
    copies = audit[audit.finding.str.contains("copy?", regex=False)]
    pairs = copies.merge(audit, left_on="neighbour", right_on="file")
    return int((pairs.part_x != pairs.part_y).sum())


def _count_corrected(ws, predictions):
    checks = read_table(ws.results / "checks.csv")
    is_corrected = checks.problem.str.contains("corrected", regex=False)
    return int(checks.file[is_corrected].isin(predictions.files).sum())


def _read_of_set(ws, name, set_hash):
    """Return a table of 05; an empty one where it is missing, or of another set."""
    path = ws.results / name
    if path.exists():
        # The digest of a set may look like a number.
        table = pd.read_csv(path, dtype={"set": str})
        if "set" in table and (table.set == set_hash).all():
            return table
    return pd.DataFrame()


def read_answer(ws: Workspace) -> Answer:
    """Read answer.json: which model is the best, and what `describe_answer` says of it.

    Raises:
        FileNotFoundError, ValueError: it is missing, or of another set.
    """
    path = ws.existing("answer.json", made_by="08_evaluation")
    answer = restore(Answer, read_json(path), path)
    if answer.set != find_set(ws):
        raise ValueError(f"{path} is of an earlier split: run 08_evaluation again.")
    return answer


def write_report(ws: Workspace, report: Report) -> Path:
    """Write report.html and answer.json; figures are those of `figures/`."""
    ws.save_json(vars(report.answer), "answer.json")
    save_page(ws, "report.html", report=report)
    return ws.results / "report.html"


def link_page(ws: Workspace) -> None:
    """Say in report.html which model model.html is of, once that page is made or removed."""
    path = ws.existing("report.html", made_by="08_evaluation")
    said = show_part("page", read_answer(ws).model, page_model=find_page_model(ws)).data
    text = path.read_text(encoding="utf-8")
    marked = "<!-- page -->.*<!-- page -->"
    with atomic_write(path) as part:
        part.write_text(re.sub(marked, lambda _: said.strip(), text), encoding="utf-8")
