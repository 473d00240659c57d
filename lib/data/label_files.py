"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.listing import PARTS, clean, remove_ending
from lib.data.pictures import ENDINGS
from lib.data.table import NOT_FILES, note, tabulate

# Columns whose capitals mean nothing.
KNOWN = ("file", "label", "labels", "part", "group")
NO_GROUP = ("na", "n/a", "nan", "none", "null", "-1")


def read_columns(
    path: Path, optional: Iterable[str] = ("part", "group")
) -> pd.DataFrame:
    """Read the columns file and label of a CSV file, as `read_labels`, and those of `optional` that it has.

    A note names the columns that are not read.
    """
    cells = read_labels(path)
    columns = [name for name in ("file", "label", *optional) if name in cells]
    note_unread(path, cells, columns)
    return cells[columns]


def note_unread(path: Path, cells: pd.DataFrame, columns: Iterable[str]) -> None:
    """Print a note of the columns of a CSV file that are not read."""
    unread = [name for name in cells if name and name not in columns]
    if unread:
        print(
            f"Note: {path.name}: not read: {', '.join(unread)}; "
            f"read: {', '.join(columns)}."
        )


def read_labels(path: Path, needed: Iterable[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file of labels, divided by commas, semicolons or tabs: all columns, as text.

    Capitals in the names of the usual columns and rows without a file mean nothing; nor do groups
    called NA, nan, none, null or -1. Groups that look equal are one.

    Returns:
        A row for each file, with the line of the CSV file as index.

    Raises:
        ValueError: It is no CSV file, has not the columns `needed`, or names a group in two ways;
            the error names the line.
    """
    cells = _parse(path).fillna("").apply(lambda column: column.str.strip())
    names = [_fold_known(name) for name in cells.iloc[0]]
    is_twice = any(names.count(name) > 1 for name in names if name)
    if is_twice or not {*needed} <= {*names}:
        raise ValueError(
            f"{path} needs columns {', '.join(needed)}, each once: {', '.join(names)}"
        )
    rows = cells.set_axis(names, axis=1).set_axis(cells.index + 1)[1:]
    rows = rows[rows.file != ""]
    if rows.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in rows:
        groups = _map_each(rows.group, clean)
        rows = rows.assign(group=groups.mask(groups.str.casefold().isin(NO_GROUP), ""))
        _refuse_similar_groups(path, rows.group)
    return rows


def _parse(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            separator = max(",;\t", key=file.readline().count)
        return pd.read_csv(
            path,
            sep=separator,
            # Without a header a row that is longer than the first is an error, and not shifted.
            header=None,
            dtype=str,
            na_filter=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
            skip_blank_lines=False,
        )
    except ValueError as error:
        hint = "Write CSV in UTF-8, and names that hold a comma in double quotes."
        raise ValueError(f"{path}: {str(error).strip()}. {hint}") from error


def _fold_known(name: str) -> str:
    folded = name.casefold()
    return folded if folded in KNOWN else name


def _map_each(values: pd.Series, function) -> pd.Series:
    """Map values by a function that is called once for each different value."""
    return values.map({value: function(value) for value in values.unique()})


def _refuse_similar_groups(path: Path, groups: pd.Series) -> None:
    names = groups[groups != ""].drop_duplicates()
    looks = names.str.casefold().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    is_again = looks.duplicated()
    if is_again.any():
        pair = names[looks == looks[is_again].iloc[0]]
        first, second = pair.iloc[:2]
        raise ValueError(
            f"{path}, lines {pair.index[0]} and {pair.index[1]}: groups {first!r} and {second!r} "
            "differ in capitals, or as 1 and 1.0, alone. Are they one group? Write them alike, "
            "or more different."
        )


def apply_labels(
    table: pd.DataFrame,
    path: Path,
    folder: Path,
    rows: pd.DataFrame,
    classes: Iterable[str] | None = None,
    strict: bool = False,
) -> pd.DataFrame:
    """Return the table of the files in `folder` with the label, part and group that rows give them.

    What has the part test is left out.

    Args:
        path: The CSV file that the rows were read from, for errors.
        rows: As `read_columns` returns them.
        classes: What a label may be, if not empty; None for anything.
        strict: Whether a row that names no file, or several, is an error; else it gets a row,
            missing_file or ambiguous.

    Raises:
        ValueError: Two rows say different things of one file, a class or a part is not known, or no
            row names a file; the error names file and line.
    """
    is_file = ~table.problem.isin(NOT_FILES)
    matches = match_files(rows.file.unique(), table.file[is_file], folder)
    files = rows.file.map(lambda name: matches.get(name, ""))
    is_lost = files == ""
    if strict or is_lost.all():
        _refuse(path, rows.file[is_lost], f"file in {folder}, or fits several")
    rows = rows.assign(label=_map_each(rows.label, clean))
    if classes is not None:
        names = {clean(name): name for name in ["", *classes]}
        kind = f"class of {', '.join(classes)}"
        rows["label"] = _look_up(path, rows.label, names, kind)
    if "part" in rows:
        kind = "part: train, validation or test"
        rows["part"] = _look_up(path, rows.part.str.casefold(), PARTS | {"": ""}, kind)
    lost_rows = []
    for name in rows.file[is_lost].unique():
        lost_rows.append((name, "ambiguous" if name in matches else "missing_file"))
    rows["file"] = files.mask(is_lost, rows.file)
    rows = rows.drop_duplicates()
    _refuse_second_rows(path, rows)
    table = pd.concat([table, tabulate(lost_rows)])
    return _leave_out_test(_update(table, rows))


def _update(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table with what the rows say; an empty part or group says nothing."""
    rows = rows.set_index("file")
    for column in ("part", "group"):
        if column in rows:
            rows[column] = rows[column].mask(rows[column] == "")
    table = table.set_index("file")
    table.update(rows)
    return table.reset_index()


def _leave_out_test(table: pd.DataFrame) -> pd.DataFrame:
    is_for_later = table.part.isin(["test", "prediction"])
    note(table, is_for_later, "test_part")
    return table.assign(part=table.part.mask(is_for_later, ""))


def _refuse_second_rows(path: Path, rows: pd.DataFrame) -> None:
    twice = rows.file[rows.file.duplicated()]
    if len(twice):
        lines = rows.index[rows.file == twice.iloc[0]]
        raise ValueError(
            f"{path} has two different rows of {twice.iloc[0]!r}: "
            f"lines {lines[0]} and {lines[1]}."
        )


def _look_up(
    path: Path, values: pd.Series, known: dict[str, str], kind: str
) -> pd.Series:
    _refuse(path, values[~values.isin(known.keys())], kind)
    return values.map(known)


def _refuse(path: Path, unknown: pd.Series, kind: str) -> None:
    if len(unknown):
        line = unknown.index[0]
        raise ValueError(
            f"{path}, line {line}: {unknown.iloc[0]!r} is no {kind}. "
            f"Such lines: {len(unknown):,}. Correct or delete them."
        )


def match_files(
    names: Iterable[str], files: Iterable[str], folder: Path
) -> dict[str, str]:
    """Find the file that each name of a labels file means: "" where it fits several, else absent.

    A name is a whole path, the path from `folder` or from the folder above it, or, without folders,
    the name of a file at any depth. It may lack the ending, but the file that is called exactly so
    goes first, and one in `folder` before one elsewhere. Letters compare in Unicode's composed form
    (NFC), as Macs write them differently. `files` are relative to `folder`.
    """
    meanings = {}
    for file in files:
        for rank, name in _list_names(file, folder):
            known = meanings.setdefault(rank, {})
            known[name] = "" if known.get(name, file) != file else file
    found = {}
    for rank in sorted(meanings, reverse=True):
        found.update(meanings[rank])
    paths = {}
    for name in names:
        if os.path.isabs(name):
            paths[name] = _clean_path(os.path.relpath(name, folder))
        else:
            paths[name] = _clean_path(name)
    return {name: found[path] for name, path in paths.items() if path in found}


def _list_names(file: str, folder: Path) -> list[tuple[int, str]]:
    """List the names of a file, each with its rank: a lower one goes first."""
    path = _clean_path(file)
    above = os.path.normpath(f"{folder.name}/{path}")
    bare = os.path.basename(path)
    rank_of_bare = 4 if path.startswith("../") else 2
    names = [(0, path), (0, above), (rank_of_bare, bare)]
    if os.path.splitext(path)[1].lower() in ENDINGS:
        names += [(rank + 1, remove_ending(name)) for rank, name in names]
    return names


def _clean_path(name: str) -> str:
    return os.path.normpath(clean(name).replace("\\", "/"))


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
    names = [found.get(name, name) for name in given.file]
    return dict(zip(names, given.label))
