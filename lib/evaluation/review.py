"""One HTML page on which a person decides about doubtful pictures; it makes the file of corrections."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from lib.base.machine import count_cores
from lib.base.work import show_progress
from lib.base.workspace import Workspace, read_table
from lib.data import sources
from lib.data.label_files import read_rows
from lib.data.pictures import PictureError
from lib.data.split import identify_set
from lib.evaluation.display import embed_picture, save_page
from lib.evaluation.wording import format_things
from lib.models.record import Record

# 200 photographs and their neighbours are about 6 MB.
MAX_CASES = 200
LONG_SIDE = 320


def list_cases(audit: pd.DataFrame, decided: Collection[str]) -> list[str]:
    """List the pictures to check: those with a finding by rank, then as many of the ranking.

    One picture of a pair of possible copies is a case. A picture that is decided is not shown,
    and neither is one that would be a copy of it.

    Args:
        audit: as `write_review` takes it, with the file as index.
        decided: files about which a person has decided.

    Returns:
        Their files, `MAX_CASES` at most.
    """
    rows = audit[~audit.index.isin(decided)].sort_values("rank")
    is_found = rows.finding != ""
    beside = {}
    for row in rows[is_found].itertuples():
        is_told = row.neighbour in decided or beside.get(row.neighbour) == row.Index
        if row.finding != "copy?" or not is_told:
            beside[row.Index] = row.neighbour
    following = rows.index[~is_found][: len(beside)]
    return [*beside, *following][:MAX_CASES]


def write_review(
    ws: Workspace, audit: pd.DataFrame, record: Record, is_quick: bool
) -> pd.DataFrame:
    """Write review.html, and print how large it is; return the rows of the pictures to check.

    Pictures about which `corrections` has decided are not shown, and their rows are carried along.

    Args:
        audit: the rows of label_audit.csv, with four more columns: part; probability, of the
            class that is suggested; own, the nearest picture of the same label; and reason, what
            01 knows of the picture. The last two may be "".
        record: of the model whose network describes the pictures.
        is_quick: whether 05 alone has trained models, so that the page names the quick way.
    """
    folder = sources.fetch_folder(ws, "train")
    rows = audit.set_index("file")
    # A name may mean a file that was left out.
    files = rows.index.union(read_table(ws.results / "checks.csv").file)
    earlier = pd.DataFrame(columns=["file", "label", "digest", "problem"])
    if ws.corrections:
        given = read_rows(ws.corrections, files, [folder])
        earlier = given.reindex(columns=earlier.columns, fill_value="")
    decided = set(earlier.file[earlier.problem == ""])
    cases = rows.loc[list_cases(rows, decided)].reset_index()
    size = save_page(
        ws,
        "review.html",
        cases=cases.to_dict("records"),
        pictures=_gather_pictures(rows, cases, folder),
        classes=sorted(set(audit.label)),
        earlier=earlier[["file", "label", "digest"]].to_numpy().tolist(),
        # Decisions that a browser keeps hold for the same contents and labels only.
        key=f"review {identify_set(audit)}",
        folder=folder,
        record=record,
        is_quick=is_quick,
    )
    count = format_things(len(cases), "picture")
    print(f"{size}, {count} to check, {len(earlier)} corrected before")
    return cases


def _gather_pictures(audit, cases, folder):
    """Return the pictures of cases and their neighbours: file to what the page shows of it."""
    files = pd.concat([cases.file, cases.neighbour, cases.own])
    names = files[files != ""].unique()
    shown = audit.loc[names, ["label", "part", "digest"]]
    return shown.assign(data=_embed(folder, names)).to_dict("index")


def _embed(folder, files):
    def shrink(file: str) -> str:
        try:
            return embed_picture(folder / file, LONG_SIDE)
        except PictureError:
            return ""

    with ThreadPoolExecutor(count_cores()) as pool:
        shrunk = pool.map(shrink, files)
        return list(show_progress(shrunk, "pictures to check", len(files)))
