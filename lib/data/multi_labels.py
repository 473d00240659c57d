"""Several labels for each picture: the CSV file that tells them, in any of three forms."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.findings import find
from lib.data.label_files import apply_labels, read_labels
from lib.data.labels import group_by_names
from lib.data.listing import holds_pictures, walk
from lib.data.names import clean
from lib.data.split import split
from lib.workspace import Workspace

BESIDES = ("file", "part", "group")
# Columns of 0 and 1 that are no labels.
PART_COLUMNS = ("is_valid", "is_train", "is_test", "fold", "split", "set")
YES = ("1", "1.0", "true")
NO = ("0", "0.0", "false")


def read_label_sets(path: Path) -> pd.DataFrame:
    """Read which labels each file has: rows of `read_labels`, of file, label and, if given, part and group.

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
    cells = rows[others].apply(lambda column: column.str.casefold())
    is_told = cells.isin(YES + NO)
    if len(lists) == 1 and not is_told.all().any():
        sets = _read_lists(path, rows.file, rows[lists[0]])
    elif len(others) and lists.empty:
        _refuse_other_cells(path, rows[others], is_told)
        names = np.array([clean(name) for name in others])
        sets = [names[has] for has in cells.isin(YES).to_numpy()]
    else:
        raise ValueError(
            f"{path} needs columns file and labels (cat|dog), or file and one of 0 and 1 for each label, "
            f"and not both: {', '.join(rows)}"
        )
    rows["label"] = list(map(_join, sets))
    return rows[rows.columns.intersection(["label", *BESIDES])]


def _join(names):
    different = sorted(set(names))
    return "|".join(different) + "|"


def _refuse_other_cells(path, cells, is_told):
    for name in cells:
        untold = cells.loc[~is_told[name], name]
        for line, value in untold.head(1).items():
            raise ValueError(
                f"{path}, line {line}: {name} is {value!r}, neither 0 nor 1."
            )


def _read_lists(path, files, cells):
    sets = cells.str.split("[|;]").map(_clean_names)
    names = sets.explode().dropna()
    lists = names[names.str.contains(r"^\[|,")]
    for line, name in lists.head(1).items():
        raise ValueError(
            f"{path}, line {line}: {name!r}: write several labels as cat|dog, none with a comma."
        )
    together = sets.groupby(files).sum()
    return list(files.map(together))


def _clean_names(names):
    cleaned = map(clean, names)
    return [name for name in cleaned if name]


def list_label_sets(ws: Workspace, train: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List pictures, as `labels.list_pictures`, with their labels, as of `read_label_sets`.


    They lie in the folder beside the CSV file that is called like it, else in `train`, the folder of
    the training pictures. Files are relative to `train`. Where some are for validation, the part of
    others is train. A note says which files of the paths say nothing here.
    """
    folder = ws.multi_labels.with_suffix("")
    is_usable = folder.is_dir() and not train.is_relative_to(folder)
    if not is_usable or not holds_pictures(folder):
        folder = train
    for key in ("train_labels", "corrections", "validation"):
        if getattr(ws, key):
            print(f'Note: "{key}" is not read here: {ws.multi_labels.name} tells all.')
    listed, odd = walk(folder)
    rows = read_label_sets(ws.multi_labels)
    listed, told = apply_labels(listed, ws.multi_labels, folder, rows, strict=True)
    listed = group_by_names(listed, odd)
    odd = pd.concat([odd, told, find(listed.file[listed.label == ""], "no_label")])
    if (listed.part == "validation").any():
        listed = listed.assign(part=listed.part.replace("", "train"))
    prefix = os.path.relpath(folder, train)
    both = []
    for rows in (listed, odd):
        files = [os.path.normpath(f"{prefix}/{file}") for file in rows.file]
        both.append(rows.assign(file=files))
    return tuple(both)


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
