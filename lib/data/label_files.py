"""Files of labels, as people write them: read, matched with the files that are there, and applied."""

import csv
import difflib
import io
import os
import unicodedata
from functools import cache
from pathlib import Path

import pandas as pd

from lib.data.listing import PART_NAMES
from lib.data.pictures import ENDINGS
from lib.data.table import NOT_FILES, tabulate

KNOWN = ("file", "label", "labels", "part", "group")  # columns whose capitals mean nothing
NO_GROUP = ("na", "n/a", "<na>", "nan", "none", "null", "-1", "-1.0")


def read_labels(path: Path, columns=("label",), choose=None) -> pd.DataFrame:
    """Read the columns file and label and, where it has them, some others of a CSV file.

    Commas, semicolons or tabs divide it; capitals in the names of columns, further columns and blank
    rows mean nothing; nor do groups called NA, nan, none, null or -1. Of another form `choose` picks
    the columns by their names. Returns a row a file, with the line of the CSV file as index.
    Raises a ValueError, which names the line, where it is none.
    """
    rows, line = {}, 0
    try:
        text = path.read_bytes().decode("utf-8-sig")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        form = {"delimiter": separator, "strict": True, "skipinitialspace": True, "restval": ""}
        reader = csv.DictReader(io.StringIO(text, newline=""), **form)
        names = [name.strip() for name in reader.fieldnames or ()]
        names = [name.casefold() if name.casefold() in KNOWN else name for name in names]
        reader.fieldnames = names
        wanted = choose(names) if choose else [n for n in ("file", *columns) if n in names]
        has_all = choose or {"file", "label"} <= {*wanted}
        if not has_all or any(names.count(name) > 1 for name in wanted):
            raise ValueError(f"it needs columns file and label, each once: {', '.join(names)}")
        line = 1
        for row in reader:
            if any(row.get(None, ())):
                raise ValueError(f"line {reader.line_num} has more cells than the first row")
            line = reader.line_num
            rows[line] = {name: row[name].strip() for name in wanted}
    except (ValueError, csv.Error) as error:
        place = f", behind line {line}" if line else ""
        raise ValueError(
            f"{path}{place}: {error}. Write CSV in UTF-8, with commas, semicolons or tabs, and names "
            "that hold one in double quotes."
        ) from error
    table = pd.DataFrame(list(rows.values()), list(rows), wanted, dtype=str)
    table = table[table.file != ""]
    if table.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in table:
        table["group"] = table.group.mask(table.group.str.casefold().isin(NO_GROUP), "")
    return table


def apply_labels(
    table, path: Path, folder: Path, columns=("label",), classes=None, strict=False, rows=None
) -> pd.DataFrame:
    """Return the table of the files in `folder` with what a CSV file (see `read_labels`) says of them.

    Args:
        columns: which to take: label, part, group.
        classes: what a label may be, if not empty; None for anything.
        strict: whether a row that names no file is an error; else it gets a row, `missing_file`.
        rows: what was read of the file, where another reader did it.

    Raises a ValueError, which names file, line and the nearest names: two rows say different things
    of one file, a class or a part is not known, or no row names a file.
    """
    rows = read_labels(path, columns) if rows is None else rows
    files = table.file[~table.problem.isin(NOT_FILES)]
    found = match_files(rows.file.unique(), files, folder)
    lost = rows.file[~rows.file.isin(found.keys())]
    if strict or len(lost) == len(rows):
        _refuse(path, lost, f"file in {folder}", files)
    if classes is not None:
        known = {_compose_path(name): name for name in ["", *classes]}
        rows["label"] = _spell(path, rows.label.map(_compose_path), "class", known)
    if "part" in rows:
        known = {name: part for part in ("train", "validation") for name in PART_NAMES[part]}
        rows["part"] = _spell(path, rows.part.str.casefold(), "part", known)
    rows["file"] = rows.file.map(found).fillna(rows.file)
    rows = rows.drop_duplicates()
    if (twice := rows.file[rows.file.duplicated()]).size:
        lines = " and ".join(map(str, rows.index[rows.file == twice.iloc[0]][:2]))
        raise ValueError(f"{path} has two different rows of {twice.iloc[0]!r}: lines {lines}.")
    missing = tabulate((name, "missing_file") for name in lost.unique())
    table = pd.concat([table, missing]).set_index("file")
    table.update(rows.set_index("file"))
    return table.reset_index()


def _spell(path: Path, values: pd.Series, kind: str, known: dict[str, str]) -> pd.Series:
    found = values.map(known)
    _refuse(path, values[found.isna()], kind, sorted({*known.values()} - {""}))
    return found


def _refuse(path: Path, unknown: pd.Series, kind: str, known) -> None:
    lines = []
    for line, name in unknown.head(3).items():
        # To compare a name with those of a million files takes a minute.
        near = difflib.get_close_matches(name, list(known)[:50_000], 3, 0)
        lines.append(f"line {line}: {name!r} is no {kind}; the nearest: {', '.join(near)}.")
    if lines:
        count = f"Such lines: {len(unknown):,}. Correct or delete them."
        raise ValueError(f"{path}, {' '.join(lines)} {count}")


def match_files(names, files, folder: Path) -> dict[str, str]:
    """Find the file that each name of a labels file means; what fits none is absent.

    Where the folder that a name begins with exists, in `folder` or up to two above it, the file lies
    there or nowhere. Else one path must end in the other: a name may lack folders, where one file
    alone fits, or begin with others, where no name of an existing folder means that file. It may lack
    the ending; letters compare in Unicode's composed form (NFC), as Macs write them differently.
    Files are relative to `folder`.
    """
    whole, ends = {}, {}  # files by their path, and by every end of it; None where several have it
    paths = {_compose_path(file): file for file in files}
    for path, file in paths.items():
        stem, ending = os.path.splitext(path)
        for known in [path, stem] if ending.lower() in ENDINGS else [path]:
            whole[known] = None if known in whole else file
            for end in _list_ends(known):
                ends[end] = None if end in ends else file
    whole |= paths | {file: file for file in files}
    ends |= whole
    folders = {os.path.dirname(path) for path in paths}

    @cache
    def find_places(inside):
        above = [parent / inside for parent in (folder, *folder.parents[:2])]
        places = [os.path.relpath(place, folder) for place in above if os.path.isdir(place)]
        return [inside] * (inside in folders) + places

    here, elsewhere = {}, {}
    for name in names:
        path = _compose_path(name)
        inside, _, base = path.rpartition("/")
        places = find_places(inside) if inside else []
        fitting = [whole.get(os.path.normpath(f"{place}/{base}")) for place in places]
        if not places:
            fitting = [whole.get(name), ends.get(path), *map(whole.get, _list_ends(path))]
        if file := next(filter(None, fitting), None):
            (elsewhere if inside and not places else here)[name] = file
    # A name that gives an existing folder goes before one that merely ends alike.
    taken = {file for name, file in here.items() if "/" in _compose_path(name)}
    return here | {name: file for name, file in elsewhere.items() if file not in taken}


def _list_ends(path: str) -> list[str]:
    folders = path.split("/")
    return ["/".join(folders[start:]) for start in range(len(folders))]


def compose(name: str) -> str:
    """Return a name without space around it, its letters in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name.strip())


def _compose_path(name: str) -> str:
    return compose(name).replace("\\", "/").removeprefix("./")
