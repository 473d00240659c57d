"""Several labels for each picture: the CSV file that tells them, in one of two forms."""

from pathlib import Path

import pandas as pd

from lib.base.workspace import Workspace
from lib.data.findings import find
from lib.data.label_files import (
    check_rows,
    match_rows,
    read_labels,
    refuse_cells,
    update_files,
)
from lib.data.labels import group_by_names, rebase
from lib.data.listing import holds_pictures, walk
from lib.data.names import clean
from lib.data.split import split

# Columns that are no labels; one without a name is pandas' index, or a comma too many.
NO_LABELS = [
    "file",
    "part",
    "group",
    "is_valid",
    "is_train",
    "is_test",
    "fold",
    "set",
    "",
]
YES = ("1", "1.0", "true")
NO = ("0", "0.0", "false")


def read_label_sets(path: Path) -> pd.DataFrame:
    """Read which labels each file has: rows of `read_labels`, with a column label.

    The file has a column `labels`, divided by | or ;, or one of 0 and 1 for each label. In `label` each
    of them ends in |, and | alone means none.

    Raises:
        ValueError: The file has another form; the error names file and line.
    """
    rows = read_labels(path, ["file"])
    if "labels" in rows:
        is_odd = rows.labels.str.contains(r"^\[|,")
        kind = "label: write several as cat|dog, without commas"
        refuse_cells(path, rows.labels[is_odd], kind)
        sets = rows.labels.map(clean).str.split(" ?[|;] ?")
        return rows.assign(label=sets.map(_join))
    names = rows.columns.difference(NO_LABELS, sort=False)
    cells = rows[names].map(str.casefold)
    for name in names:
        is_odd = ~cells[name].isin(YES + NO)
        refuse_cells(path, rows.loc[is_odd, name], f"0 or 1 of {name}")
    has_label = cells.isin(YES).to_numpy()
    cleaned = names.map(clean)
    return rows.assign(label=[_join(cleaned[has]) for has in has_label])


def _join(names):
    different = sorted(set(names) - {""})
    return "|".join(different) + "|"


def list_label_sets(ws: Workspace, train: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List pictures, as `labels.list_pictures`, with their labels, as of `read_label_sets`.

    They lie in the folder beside the CSV file that is called like it, else in `train`, the folder of
    the training pictures. Files are relative to `train`. A note says which files of the paths say nothing here.
    """
    folder = ws.multi_labels.with_suffix("")
    if train.is_relative_to(folder) or not holds_pictures(folder):
        folder = train
    for key in ("train_labels", "corrections", "validation"):
        if getattr(ws, key):
            print(f'Note: "{key}" is not read here: {ws.multi_labels.name} tells all.')
    listed, odd = walk(folder)
    rows = read_label_sets(ws.multi_labels)
    rows, lost = match_rows(rows, listed.file, folder)
    refuse_cells(ws.multi_labels, lost.file, f"file in {folder}, or fits several")
    listed, later = update_files(listed, check_rows(ws.multi_labels, rows))
    listed = group_by_names(listed, odd)
    odd = pd.concat([odd, later, find(listed.file[listed.label == ""], "no_label")])
    return rebase(listed, folder, train), rebase(odd, folder, train)


def split_label_sets(
    pictures: pd.DataFrame, y_true: pd.DataFrame, seed: int
) -> pd.Series:
    """Divide pictures of several labels 80/20 as `split`, each as if it had its rarest label alone.

    Args:
        pictures: Columns digest and group.
        y_true: bool (n, labels), in the same order.

    Returns:
        The part of each picture, `train` or `validation`.
    """
    rarest_first = y_true.sum().sort_values(kind="stable").index
    rarest = y_true[rarest_first].idxmax(axis=1)
    label = rarest.where(y_true.any(axis=1), "")
    labelled = pictures.assign(label=label.to_numpy())
    return split(labelled, seed)
