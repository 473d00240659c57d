"""One HTML page on which a person decides about doubtful pictures; it makes the file of corrections."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image

from lib.base.machine import count_cores
from lib.base.storage import atomic_write
from lib.base.work import show_progress
from lib.base.workspace import Workspace, read_table
from lib.data import pictures, sources
from lib.data.label_files import read_corrections
from lib.data.split import identify_set, read_split
from lib.evaluation.display import encode, open_template
from lib.evaluation.wording import format_things
from lib.models.record import Record

# 200 photographs and their neighbours are about 6 MB.
MAX_CASES = 200
LONG_SIDE = 320
QUALITY = 75
FINDINGS = {
    "label?": "label to check",
    "copy?": "possible copy",
    "outlier": "unlike its class",
}
SHOWN = ["suggested", "self_confidence", "probability", "finding", "reason"]


def list_cases(audit: pd.DataFrame, decided: Iterable[str] = ()) -> dict[str, str]:
    """List the pictures to check: those with a finding by rank, then as many of the ranking.

    Of a pair of possible copies one picture is a case. A picture that is decided is not shown,
    nor one that would be a copy of it.

    Args:
        audit: as `write_review` takes it, with the file as index.
        decided: files about which a person has decided.

    Returns:
        Each file to its neighbour, "" for none, `MAX_CASES` at most.
    """
    rows = audit[~audit.index.isin(decided)].sort_values("rank")
    is_copy_alone = rows.finding == "copy?"
    rows = rows[~(is_copy_alone & rows.neighbour.isin(decided))]
    beside = {}
    for row in rows[rows.finding != ""].itertuples():
        is_told = row.finding == "copy?" and beside.get(row.neighbour) == row.Index
        if not is_told:
            beside[row.Index] = row.neighbour
    following = rows.neighbour[rows.finding == ""][: len(beside)]
    beside.update(following)
    return dict(list(beside.items())[:MAX_CASES])


def write_review(ws: Workspace, audit: pd.DataFrame, record: Record) -> str:
    """Write review.html; return a line that says how large it is, and of how many labels.

    Pictures that the file `corrections` names have been decided: they are not shown, and their
    rows are carried along.

    Args:
        ws: the workspace.
        audit: the rows of label_audit.csv, with two more columns: probability, of the class that
            is suggested, and spread, as `audit.compare_with_classes` returns it.
        record: of the model whose network describes the pictures.
    """
    folder = sources.open_folder(ws, "train")
    checks = read_table(ws.results / "checks.csv").set_index("file")
    rows = read_split(ws)
    audit = audit.set_index("file").join(rows.set_index("file").part)
    audit = audit.join(checks.problem.rename("reason")).fillna({"reason": ""})
    files = audit.index.union(checks.index)
    earlier = read_corrections(ws.corrections, files, folder)
    decided = earlier.file[earlier.holds]
    content = _gather(audit, list_cases(audit, decided), folder)
    # Decisions that a browser keeps hold for the same contents and labels only.
    content["key"] = f"review {identify_set(rows)}"
    content["earlier"] = earlier[["file", "label", "digest"]].to_numpy().tolist()
    # The page lies in the results folder, so that it can show the files themselves.
    content["folder"] = Path(os.path.relpath(folder, ws.results)).as_posix()
    known = int(audit.index[audit.finding != ""].isin(decided).sum())
    counts = _count_findings(content["cases"])
    text = open_template("review.html.jinja").render(
        content=content, counts=counts, known=known, record=record, ws=ws
    )
    path = ws.file("review.html")
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    labels = format_things(counts["label to check"], "label")
    megabytes = path.stat().st_size / 1e6
    return f"{path}: {megabytes:.1f} MB, {labels} to check, {known:,} decided before"


def _count_findings(cases):
    counts = dict.fromkeys(FINDINGS.values(), 0)
    counts["next of the ranking"] = 0
    for case in cases:
        first = (case["finding"] or ["next of the ranking"])[0]
        counts[first] += 1
    return counts


def _gather(audit, beside, folder):
    # A case and the picture that it is about have one number.
    files = list(dict.fromkeys([*beside, *filter(None, beside.values())]))
    numbers = {file: number for number, file in enumerate(files)}
    cases = audit.loc[list(beside), SHOWN]
    cases["finding"] = cases.finding.map(_name_findings)
    cases["beside"] = [numbers.get(other, -1) for other in beside.values()]
    shown = audit.loc[files, ["label", "part", "digest"]]
    shown["data"] = _embed(folder, files)
    return {
        "cases": cases.to_dict("records"),
        "pictures": shown.reset_index().to_dict("records"),
        "classes": sorted(set(audit.label)),
    }


def _name_findings(finding):
    return [FINDINGS[word] for word in finding.split("; ") if word]


def _embed(folder, files):
    def shrink(file: str) -> str:
        try:
            picture = Image.fromarray(pictures.open_upright(folder / file, LONG_SIDE))
        except pictures.PictureError:
            return ""
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
        return f"data:image/webp;base64,{encode(picture, QUALITY)}"

    with ThreadPoolExecutor(count_cores()) as pool:
        shrunk = pool.map(shrink, files)
        return list(show_progress(shrunk, "pictures to check", len(files)))
