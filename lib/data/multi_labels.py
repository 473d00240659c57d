"""Several labels for each picture: the CSV file that tells them, in any of three forms."""

from pathlib import Path

import pandas as pd

from lib.base.workspace import Workspace
from lib.data.findings import find
from lib.data.label_files import apply_labels, read_labels, refuse_cells
from lib.data.labels import group_by_names, rebase
from lib.data.listing import holds_pictures, walk
from lib.data.names import clean
from lib.data.split import split

BESIDES = ("file", "part", "group")
# Columns of 0 and 1 that are no labels.
PART_COLUMNS = ("is_valid", "is_train", "is_test", "fold", "split", "set")
YES = ("1", "1.0", "true")
NO = ("0", "0.0", "false")


def read_label_sets(path: Path) -> pd.DataFrame:
    """Read which labels each file has: rows of `read_labels`, with a column label.

    `labels`, divided by | or ;, in one row for each file or several; or one column of 0 and 1 for
    each label. In `label` each of them ends in |, and | alone means none.

    Raises:
        ValueError: The file has another form; the error names file and line.
    """
    rows = read_labels(path, ["file"])
    lists = rows.columns.intersection(["label", "labels"])
    # A column without a name is pandas' index, or a comma too many.
    passed_over = [*BESIDES, *lists, *PART_COLUMNS, ""]
    others = rows.columns.difference(passed_over, sort=False)
    cells = rows[others].map(str.casefold)
    is_told = cells.isin(YES + NO)
    if len(lists) == 1 and not is_told.all().any():
        sets = _read_lists(path, rows.file, rows[lists[0]])
    elif len(others) and lists.empty:
        for name in others:
            refuse_cells(path, rows.loc[~is_told[name], name], f"0 or 1 of {name}")
        names = others.map(clean)
        sets = [names[has] for has in cells.isin(YES).to_numpy()]
    else:
        raise ValueError(
            f"{path} needs columns file and labels (cat|dog), or file and one of 0 and 1 for each label, "
            f"and not both: {', '.join(rows)}"
        )
    return rows.assign(label=list(map(_join, sets)))


def _join(names):
    different = sorted(set(names) - {""})
    return "|".join(different) + "|"


def _read_lists(path, files, cells):
    sets = cells.map(clean).str.split(" ?[|;] ?")
    names = sets.explode()
    is_list = names.str.contains(r"^\[|,")
    refuse_cells(
        path, names[is_list], "label: write several as cat|dog, without commas"
    )
    together = sets.groupby(files).sum()
    return list(files.map(together))


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
    listed, told = apply_labels(listed, ws.multi_labels, folder, rows, strict=True)
    listed = group_by_names(listed, odd)
    odd = pd.concat([odd, told, find(listed.file[listed.label == ""], "no_label")])
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
