"""One HTML page on which a person decides about doubtful pictures; it makes the file of corrections."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image

from lib.data import pictures, sources
from lib.data.label_files import read_corrections
from lib.data.split import identify_set, read_split
from lib.data.table import read_table
from lib.evaluation.display import encode, open_template
from lib.evaluation.wording import format_things
from lib.machine import count_cores
from lib.storage import atomic_write
from lib.work import show_progress

# 200 photographs and their neighbours are about 6 MB.
MAX_CASES, LONG_SIDE, QUALITY = 200, 320, 75
WORDS = {
    "label?": "label to check",
    "copy?": "possible copy",
    "outlier": "unlike its class",
}
SHOWN = ["suggested", "self_confidence", "probability", "finding", "reason"]


def list_cases(audit: pd.DataFrame, decided=()) -> dict[str, str]:
    """List the pictures to check, each once: findings, then as many again, the next of the ranking.

    Doubtful labels come first, the least probable before, then pairs that may be copies, those of
    both parts before, then outliers, the most unlike before. Of a pair the training picture is the
    case. What is `decided` is not shown, nor what would be a copy of it.

    `audit` is as `write_review` takes it, with part, and file as index. Returns file to its neighbour,
    "" for none, `MAX_CASES` at most.
    """
    rows = audit[~audit.index.isin([*decided])].sort_values("rank")
    doubtful, copies, strange = (
        rows[rows.finding.str.contains(w, regex=False)] for w in WORDS
    )
    beside = doubtful.neighbour.to_dict()
    copies = copies[~copies.neighbour.isin([*decided])]
    alike = copies.part.to_numpy() == audit.part.reindex(copies.neighbour).to_numpy()
    for file, other in (
        copies.assign(alike=alike).sort_values(["alike", "part"]).neighbour.items()
    ):
        if beside.get(other) != file:
            beside.setdefault(file, other)
    for file, other in strange.sort_values("spread", ascending=False).neighbour.items():
        beside.setdefault(file, other)
    following = rows.neighbour[rows.finding == ""]
    beside |= following[: len(beside)].to_dict()
    return dict([*beside.items()][:MAX_CASES])


def write_review(ws, audit: pd.DataFrame, metadata: dict) -> str:
    """Write review.html; return a line that says how large it is, and of how many cases.

    What the file `corrections` names has been decided: it is not shown, and its rows are carried along.

    Args:
        audit: the rows of label_audit.csv, with two more columns: probability, of the class that is
            suggested, and spread, as `audit.compare_with_classes` returns it.
        metadata: label and weights of the network that describes the pictures.
    """
    folder = sources.open_folder(ws, "train")
    checks = (
        read_table(ws.results / "checks.csv").set_index("file").problem.rename("reason")
    )
    audit = (
        audit.set_index("file").join(read_split(ws).set_index("file").part).join(checks)
    )
    audit = audit.fillna({"reason": ""})
    files = {*audit.index, *checks.index}
    earlier = read_corrections(ws.corrections, files, folder)
    content = _gather(audit, list_cases(audit, earlier), folder)
    # Decisions that a browser keeps hold for the same contents and labels only.
    content |= {"key": f"review {identify_set(ws)}", "earlier": [*earlier.items()]}
    # The page lies in the results folder, so that it can show the files themselves.
    content["folder"] = Path(os.path.relpath(folder, ws.results)).as_posix()
    known = int(audit.index[audit.finding != ""].isin([*earlier]).sum())
    page = {"content": content, "known": known, "metadata": metadata, "ws": ws}
    with atomic_write(path := ws.file("review.html")) as part:
        part.write_text(
            open_template("review.html.jinja").render(page), encoding="utf-8"
        )
    count = format_things(len(content["cases"]), "case")
    return (
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {count}, {known:,} decided before"
    )


def _gather(audit: pd.DataFrame, beside: dict[str, str], folder: Path) -> dict:
    """Gather what the script needs; a case and the picture that it is about have one number."""
    files = [*dict.fromkeys([*beside, *filter(None, beside.values())])]
    cases, shown = audit.loc[[*beside], SHOWN], audit.loc[files, ["label", "part"]]
    cases["finding"] = [
        [WORDS[k] for k in found.split("; ") if k] for found in cases.finding
    ]
    cases["beside"] = [files.index(other) if other else -1 for other in beside.values()]
    shown["data"] = _embed(folder, files)
    return {
        "cases": cases.to_dict("records"),
        "pictures": shown.reset_index().to_dict("records"),
        "classes": sorted({*audit.label}),
    }


def _embed(folder: Path, files: list[str]) -> list[str]:
    def shrink(file):
        try:
            picture = Image.fromarray(pictures.open_upright(folder / file, LONG_SIDE))
        except pictures.PictureError:
            return ""
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
        return f"data:image/webp;base64,{encode(picture, QUALITY)}"

    with ThreadPoolExecutor(count_cores()) as pool:
        return [
            *show_progress(pool.map(shrink, files), "pictures to check", len(files))
        ]
