"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.listing import PARTS, clean
from lib.data.pictures import ENDINGS
from lib.data.table import NOT_FILES, note, tabulate

KNOWN = (
    "file",
    "label",
    "labels",
    "part",
    "group",
)  # columns whose capitals mean nothing
NO_GROUP = ("na", "n/a", "nan", "none", "null", "-1")
UNREAD = (
    "split",
    "fold",
    "subset",
    "patient",
    "patient_id",
)  # what others call part and group


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
        form = {
            "sep": separator,
            "header": None,
            "skip_blank_lines": False,
            "dtype": str,
        }
        cells = pd.read_csv(
            path, encoding="utf-8-sig", skipinitialspace=True, na_filter=False, **form
        )
    except ValueError as error:
        hint = "Write CSV in UTF-8, and names that hold a comma in double quotes."
        raise ValueError(f"{path}: {str(error).strip()}. {hint}") from error
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    names = [
        name.casefold() if name.casefold() in KNOWN else name for name in cells.iloc[0]
    ]
    if not {*needed} <= {*names} or any(
        names.count(name) > 1 for name in names if name
    ):
        raise ValueError(
            f"{path} needs columns {', '.join(needed)}, each once: {', '.join(names)}"
        )
    rows = cells.set_axis(names, axis=1).set_axis(cells.index + 1)[1:]
    rows = rows[rows.file != ""]
    if rows.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in rows:
        rows = rows.assign(
            group=rows.group.mask(rows.group.str.casefold().isin(NO_GROUP), "")
        )
    if unread := [name for name in names if name.casefold() in UNREAD]:
        print(
            f"{path.name}: {', '.join(unread)} are not read; columns part and group would be."
        )
    return rows


def read_corrections(
    path: Path | None, files: Iterable[str], folder: Path
) -> dict[str, str]:
    """Read the labels that a person has corrected; there are none where `path` is None.

    Returns:
        Each file to its label, "" for a file that is left out. A name that means one of `files`,
        which are relative to `folder`, is written as there.
    """
    if path is None:
        return {}
    given = read_labels(path)
    found = match_files(given.file, files, folder)
    names = given.file.map(found).fillna(given.file)
    return dict(zip(names, given.label))


def apply_labels(
    table: pd.DataFrame,
    path: Path,
    folder: Path,
    rows: pd.DataFrame,
    classes=None,
    strict=False,
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
    rows = rows[
        [name for name in ("file", "label", "part", "group") if name in rows]
    ].copy()
    matches = match_files(
        rows.file.unique(), table.file[~table.problem.isin(NOT_FILES)], folder
    )
    files = rows.file.map(lambda name: matches.get(name, ""))
    is_lost = files == ""
    if strict or is_lost.all():
        _refuse(path, rows.file[is_lost], f"file in {folder}, or fits several")
    rows["label"] = rows.label.map(clean)
    if classes is not None:
        names = {clean(name): name for name in ["", *classes]}
        rows["label"] = _look_up(
            path, rows.label, names, f"class of {', '.join(classes)}"
        )
    if "part" in rows:
        part = rows.part.str.casefold()
        rows["part"] = _look_up(
            path, part, PARTS | {"": ""}, "part: train, validation or test"
        )
    lost = {
        name: "ambiguous" if name in matches else "missing_file"
        for name in rows.file[is_lost]
    }
    rows["file"] = files.mask(is_lost, rows.file)
    rows = rows.drop_duplicates()
    if (twice := rows.file[rows.file.duplicated()]).size:
        lines = " and ".join(map(str, rows.index[rows.file == twice.iloc[0]][:2]))
        raise ValueError(
            f"{path} has two different rows of {twice.iloc[0]!r}: lines {lines}."
        )
    table = pd.concat([table, tabulate(lost.items())]).set_index("file")
    table.update(rows.set_index("file"))
    table = table.reset_index()
    is_for_later = table.part.isin(["test", "prediction"])
    note(table, is_for_later, "test_part")
    return table.assign(part=table.part.mask(is_for_later, ""))


def _look_up(
    path: Path, values: pd.Series, known: dict[str, str], kind: str
) -> pd.Series:
    _refuse(path, values[~values.isin(known.keys())], kind)
    return values.map(known)


def _refuse(path: Path, unknown: pd.Series, kind: str) -> None:
    if len(unknown):
        count = f"Such lines: {len(unknown):,}. Correct or delete them."
        line, name = unknown.index[0], unknown.iloc[0]
        raise ValueError(f"{path}, line {line}: {name!r} is no {kind}. {count}")


def match_files(
    names: Iterable[str], files: Iterable[str], folder: Path
) -> dict[str, str]:
    """Find the file that each name of a labels file means: "" where it fits several, else absent.

    A name is the path from `folder` or from the folder above it, or, without folders, the name of a
    file at any depth. It may lack the ending; letters compare in Unicode's composed form (NFC), as
    Macs write them differently. `files` are relative to `folder`.
    """
    by_path, by_name = {}, {}
    for file in files:
        path = _clean_path(file)
        above = os.path.normpath(f"{folder.name}/{path}")
        for known, whole in (
            (by_path, path),
            (by_path, above),
            (by_name, os.path.basename(path)),
        ):
            stem, ending = os.path.splitext(whole)
            for name in {whole, stem} if ending.lower() in ENDINGS else {whole}:
                known[name] = "" if known.get(name, file) != file else file
    paths = {name: _clean_path(name) for name in names}
    known = by_name | by_path
    return {name: known[path] for name, path in paths.items() if path in known}


def _clean_path(name: str) -> str:
    return os.path.normpath(clean(name).replace("\\", "/"))
