"""Several labels for each picture: the CSV file that tells them, in one of two forms."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.base.workspace import Workspace
from lib.data.label_files import read_rows, refuse_cells
from lib.data.labels import list_pictures, rebase
from lib.data.listing import holds_pictures

# Columns that are no labels.
NO_LABELS = "file problem part group is_valid is_train is_test fold set".split()
YES = "1 1.0 true".split()
NO = "0 0.0 false".split()


def read_label_sets(
    path: Path, files: Sequence[str], folders: Sequence[Path]
) -> pd.DataFrame:
    """Read which labels each file has: rows of `read_rows`, with a column label.

    The file has a column `labels`, divided by | or ;, or one of 0 and 1 for each label. In `label` each
    of them ends in |, and | alone means none.

    Raises:
        ValueError: The file has another form; the error names file and line.
    """
    rows = read_rows(path, files, folders, ["file"])
    if "labels" in rows:
        cells = rows.labels
        is_odd = cells.str.contains(r"^\[|,")
        refuse_cells(path, cells[is_odd], "label: write several as cat|dog")
        labels = cells.str.replace(" ?[|;] ?", "|", regex=True)
        has_label = labels.str.get_dummies("|")
    else:
        others = rows.columns.difference(NO_LABELS)
        cells = rows[others].map(str.casefold)
        for name, column in cells.items():
            refuse_cells(path, column[~column.isin(YES + NO)], f"0 or 1 of {name}")
        has_label = cells.isin(YES)
    sets = has_label.dot(has_label.columns + "|")
    return rows.assign(label=sets.replace("", "|"))


def list_label_sets(ws: Workspace, train: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List pictures, as `labels.list_pictures`, with their labels, as of `read_label_sets`.

    They lie in the folder beside the CSV file that is called like it, else in `train`, the folder of
    the training pictures. Files are relative to `train`.
    """
    beside = ws.multi_labels.with_suffix("")
    folder = beside if holds_pictures(beside) else train
    told = replace(ws, train_labels=ws.multi_labels, corrections=None)
    listed, odd = list_pictures(told, folder, read=read_label_sets)
    return rebase(listed, folder, train), rebase(odd, folder, train)
