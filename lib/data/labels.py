"""Labels, parts and groups as people have them: what CSV files make of the table of pictures."""

import difflib
import os
import unicodedata
from pathlib import Path

import pandas as pd

from lib.data.label_files import compose_name, match_files, read_labels
from lib.data.listing import PART_NAMES, label_by_folder, walk
from lib.data.table import NOT_FILES, find_used, note, tabulate

UNLABELLED = ("no_label", "outside_class_folder")  # with a label it is a picture of a class


def list_pictures(ws, train: Path, validation: Path | None = None) -> pd.DataFrame:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        ws: names the CSV files: train_labels (file, label, if you like part and group), which goes
            before the names of folders, and corrections (file, label), which goes before both.
        train: folder whose sub-folders are the classes, unless there are labels.
        validation: folder of class folders that is the validation part.

    Returns the table of pictures, sorted by file. Raises a ValueError as `apply_labels`.
    """
    table = walk(train)
    if ws.train_labels is None:
        table = label_by_folder(table, train)
    else:
        table = apply_labels(table, ws.train_labels, train, ("label", "part", "group"))
        note(table, table.label == "", "no_label")
    if validation is not None and (table.part != "").any():
        print(f"{ws.train_labels.name} gives the parts; {validation} is not used.")
    elif validation is not None:
        further = label_by_folder(walk(validation), validation)
        further["file"] = os.path.relpath(validation, train) + "/" + further.file
        table = pd.concat([table.assign(part="train"), further.assign(part="validation")])
    table = correct_labels(table.reset_index(drop=True), ws.corrections, train)
    names = table.label[find_used(table)].drop_duplicates()
    similar = names[names.map(_fold).duplicated(keep=False)]
    notes = tabulate((name, "similar_class_name") for name in similar).assign(action="kept")
    return pd.concat([table, notes]).sort_values("file", ignore_index=True)


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def apply_labels(
    table: pd.DataFrame, path: Path, folder: Path, columns=("label",), classes=None, strict=False
) -> pd.DataFrame:
    """Return the table with what a CSV file says of its pictures.

    Args:
        table: of the files in `folder`.
        path: CSV file, see `read_labels`.
        columns: which to take: label, part, group.
        classes: what a label may be, if not empty; None for anything.
        strict: whether a row that names no file is an error; else it gets a row, `missing_file`.

    Raises a ValueError, which names file, line and the nearest names: two rows say different things
    of one file, a class or a part is not known, or no row names a file.
    """
    rows = read_labels(path, columns)
    files = table.file[~table.problem.isin(NOT_FILES)]
    rows["found"] = rows.file.map(match_files(rows.file.unique(), files, folder))
    lost, columns = rows.found.isna(), [column for column in columns if column in rows]
    if strict:
        _refuse_unknown(path, rows.file[lost], "file", files)
    elif lost.all():
        _refuse_unknown(path, rows.file, f"picture in {folder}", files)
    if classes is not None:
        known = {compose_name(name): name for name in ["", *classes]}
        rows["label"] = _spell(path, rows.label.map(compose_name), "class", known)
    if "part" in rows:
        known = {name: part for part in ("train", "validation") for name in PART_NAMES[part]}
        rows["part"] = _spell(path, rows.part.str.casefold(), "part", known)
    rows["found"] = rows.found.fillna(rows.file)
    rows = rows.drop_duplicates(["found", *columns])
    if (twice := rows.found[rows.found.duplicated()]).size:
        lines = " and ".join(map(str, rows.index[rows.found == twice.iloc[0]][:2]))
        raise ValueError(f"{path} has two different rows of {twice.iloc[0]!r}: lines {lines}.")
    missing = tabulate((name, "missing_file") for name in rows.file[lost[rows.index]])
    table = pd.concat([table, missing], ignore_index=True)
    given = rows.set_index("found")[columns].reindex(table.file)
    table[columns] = table[columns].where(given.isna().to_numpy(), given.to_numpy())
    return table


def _spell(path: Path, values: pd.Series, kind: str, known: dict[str, str]) -> pd.Series:
    found = values.map(known)
    _refuse_unknown(path, values[found.isna()], kind, sorted({*known.values()} - {""}))
    return found


def _refuse_unknown(path: Path, unknown: pd.Series, kind: str, known) -> None:
    lines = []
    for line, name in unknown.head(3).items():
        folder, base = os.path.split(name)
        # To compare a name with those of a million files takes a minute.
        near = [one for one in known if one.startswith(f"{folder}/") or one.endswith(f"/{base}")]
        near = ", ".join(difflib.get_close_matches(name, (near or list(known))[:50_000], 3, 0))
        lines.append(f"line {line}: {name!r} is no {kind}; the nearest: {near}.")
    if lines:
        further = f" Such lines: {len(unknown):,}." if len(unknown) > 3 else ""
        raise ValueError(f"{path}, {' '.join(lines)}{further} Correct or delete them.")


def correct_labels(table: pd.DataFrame, path: Path | None, folder: Path) -> pd.DataFrame:
    """Move pictures to the classes that a corrections file names; leave out where it names none."""
    if path is None:
        return table
    named = table.label[(table.label != "") & (table.problem != "junk")].unique()
    given = apply_labels(table, path, folder, classes=named, strict=True).label
    removed = (given == "") & (table.label != "") & find_used(table)
    moved = (given != "") & (given != table.label)
    moved &= find_used(table) | table.problem.isin(UNLABELLED)
    before = (", not " + table.label).where(table.label != "", "")
    table.loc[moved, "label"] = given
    table.loc[moved, "problem"] = "corrected"
    table.loc[moved, "action"] = "taken as " + given + before
    if (table.part != "").any():
        table.loc[moved & (table.part == ""), "part"] = "train"
    note(table, removed, "left out by hand")
    emptied = sorted({*named} - {*table.label[table.problem != "junk"]})
    return pd.concat([table, tabulate((name, "empty_class") for name in emptied)])
