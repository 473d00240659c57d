"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.listing import PART_NAMES, clean
from lib.data.pictures import ENDINGS
from lib.data.table import NOT_FILES, note, tabulate

KNOWN = ("file", "label", "labels", "part", "group")  # columns whose capitals mean nothing
NO_GROUP = ("na", "n/a", "<na>", "nan", "none", "null", "-1", "-1.0")
UNREAD = ("split", "fold", "subset", "patient", "patient_id")  # what others call part and group


def read_labels(path: Path, needed: Iterable[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file of labels, divided by commas, semicolons or tabs: all columns, as text.

    Capitals in the names of the usual columns and rows without a file mean nothing; nor do groups
    called NA, nan, none, null or -1. Returns a row a file, with the line of the CSV file as index.
    Raises a ValueError, which names the line, where it is none, or `needed` columns are not there.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            separator = max(",;\t", key=file.readline().count)
        # Without a header a row that is longer than the first is an error, and not shifted.
        form = {"sep": separator, "header": None, "skip_blank_lines": False}
        form |= {"dtype": str, "keep_default_na": False, "skipinitialspace": True}
        cells = pd.read_csv(path, encoding="utf-8-sig", **form).fillna("")
    except pd.errors.EmptyDataError:
        cells = pd.DataFrame([[""]])
    except ValueError as error:
        hint = "Write CSV in UTF-8, and names that hold a comma in double quotes."
        raise ValueError(f"{path}: {str(error).strip()}. {hint}") from error
    names = [name.strip() for name in cells.iloc[0]]
    names = [name.casefold() if name.casefold() in KNOWN else name for name in names]
    if not {*needed} <= {*names} or any(names.count(name) > 1 for name in names if name):
        raise ValueError(f"{path} needs columns {', '.join(needed)}, each once: {', '.join(names)}")
    rows = cells[1:].set_axis(names, axis=1).set_axis(cells.index[1:] + 1)
    rows = rows[rows.file.str.strip() != ""].apply(lambda column: column.str.strip())
    if rows.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in rows:
        rows["group"] = rows.group.mask(rows.group.str.casefold().isin(NO_GROUP), "")
    if unread := [name for name in names if name.casefold() in UNREAD]:
        print(f"{path.name}: {', '.join(unread)} are not read; columns part and group would be.")
    return rows


def apply_labels(
    table: pd.DataFrame, path: Path, folder: Path, rows: pd.DataFrame, classes=None, strict=False
) -> pd.DataFrame:
    """Return the table of the files in `folder` with the label, part and group that rows give them.

    Args:
        path: the CSV file that the rows were read from, for errors.
        rows: as `read_labels` returns them.
        classes: what a label may be, if not empty; None for anything.
        strict: whether a row that names no file, or several, is an error; else it gets a row,
            missing_file or ambiguous.

    Raises a ValueError, which names file and line: two rows say different things of one file, a class
    or a part is not known, or no row names a file. What has the part test is left out.
    """
    rows = rows[[name for name in ("file", "label", "part", "group") if name in rows]].copy()
    found = match_files(rows.file.unique(), table.file[~table.problem.isin(NOT_FILES)], folder)
    files = rows.file.map(found).replace("", np.nan)
    lost = rows.file[files.isna()]
    if strict or len(lost) == len(rows):
        _refuse(path, lost, f"file in {folder}, or fits several")
    rows["label"] = rows.label.map(clean)
    if classes is not None:
        known = {clean(name): name for name in ["", *classes]}
        rows["label"] = _look_up(path, rows.label, known, f"class of {', '.join(classes)}")
    if "part" in rows:
        known = {name: part for part, names in PART_NAMES.items() for name in names} | {"": ""}
        known_as = "part: train, validation or test"
        rows["part"] = _look_up(path, rows.part.str.casefold(), known, known_as)
    rows = rows.assign(file=files.fillna(rows.file)).drop_duplicates()
    if (twice := rows.file[rows.file.duplicated()]).size:
        lines = " and ".join(map(str, rows.index[rows.file == twice.iloc[0]][:2]))
        raise ValueError(f"{path} has two different rows of {twice.iloc[0]!r}: lines {lines}.")
    words = {name: "ambiguous" if name in found else "missing_file" for name in lost.unique()}
    table = pd.concat([table, tabulate(words.items())]).set_index("file")
    table.update(rows.set_index("file"))
    table = table.reset_index()
    is_kept_back = table.part.isin(["test", "prediction"])
    note(table, is_kept_back, "test_part")
    return table.assign(part=table.part.mask(is_kept_back, ""))


def _look_up(path: Path, values: pd.Series, known: dict[str, str], kind: str) -> pd.Series:
    _refuse(path, values[~values.isin(known.keys())], kind)
    return values.map(known)


def _refuse(path: Path, unknown: pd.Series, kind: str) -> None:
    if len(unknown):
        count = f"Such lines: {len(unknown):,}. Correct or delete them."
        line, name = unknown.index[0], unknown.iloc[0]
        raise ValueError(f"{path}, line {line}: {name!r} is no {kind}. {count}")


def match_files(names: Iterable[str], files: Iterable[str], folder: Path) -> dict[str, str]:
    """Find the file that each name of a labels file means: "" where it fits several, else absent.

    A name is the path from `folder` or from the folder above it, or, without folders, the name of a
    file at any depth. It may lack the ending; letters compare in Unicode's composed form (NFC), as
    Macs write them differently. `files` are relative to `folder`.
    """
    exact, paths, bare = {}, {}, {}
    for file in files:
        path = _clean_path(file)
        above = os.path.normpath(f"{folder.name}/{path}")
        exact[path] = file
        for known, whole in ((paths, path), (paths, above), (bare, os.path.basename(path))):
            stem, ending = os.path.splitext(whole)
            for name in [whole, stem] if ending.lower() in ENDINGS else [whole]:
                known[name] = "" if known.get(name, file) != file else file
    found = {}
    for name in names:
        path = _clean_path(name)
        for known in (exact, paths, bare):
            if path in known:
                found[name] = known[path]
                break
    return found


def _clean_path(name: str) -> str:
    return os.path.normpath(clean(name).replace("\\", "/"))
