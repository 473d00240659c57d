"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.names import PARTS, clean, match_files
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
    rows = read_labels(path)
    columns = rows.columns.intersection(["file", "label", *optional], sort=False)
    note_unread(path, rows, columns)
    return rows[columns]


def note_unread(path: Path, rows: pd.DataFrame, columns: Iterable[str]) -> None:
    """Print a note of the columns of a CSV file that are not read."""
    unread = [name for name in rows if name and name not in columns]
    if unread:
        names = ", ".join(unread)
        known = ", ".join(columns)
        print(f"Note: {path.name}: not read: {names}; read: {known}.")


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
    cells = _parse(path).fillna("")
    cells = cells.apply(lambda column: column.str.strip())
    names = cells.iloc[0].map(_fold_known)
    _check_columns(path, names, needed)
    rows = cells[1:]
    rows.columns = list(names)
    rows.index = rows.index + 1
    rows = rows[rows.file != ""]
    if rows.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in rows:
        groups = _map_each(rows.group, clean)
        says_nothing = groups.str.casefold().isin(NO_GROUP)
        groups = groups.mask(says_nothing, "")
        _refuse_similar_groups(path, groups)
        rows = rows.assign(group=groups)
    return rows


def _check_columns(path, names, needed):
    given = names[names != ""]
    if given.duplicated().any() or not set(needed).issubset(given):
        wanted = ", ".join(needed)
        found = ", ".join(names)
        raise ValueError(f"{path} needs columns {wanted}, each once: {found}")


def _parse(path):
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


def _fold_known(name):
    folded = name.casefold()
    return folded if folded in KNOWN else name


def _map_each(values, function):
    """Map values by a function that is called once for each different value."""
    return values.map({value: function(value) for value in values.unique()})


def _refuse_similar_groups(path, groups):
    names = groups[groups != ""].drop_duplicates()
    looks = names.str.casefold()
    looks = looks.str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    again = looks[looks.duplicated()]
    if again.empty:
        return
    similar = names[looks == again.iloc[0]]
    first, second = similar.index[:2]
    raise ValueError(
        f"{path}, lines {first} and {second}: groups {similar[first]!r} and {similar[second]!r} "
        "differ in capitals, or as 1 and 1.0, alone. Are they one group? Write them alike, "
        "or more different."
    )


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
    known = table.file[is_file]
    matches = match_files(rows.file.unique(), known, folder)
    files = rows.file.map(lambda name: matches.get(name, ""))
    lost = rows.file[files == ""]
    if strict or len(lost) == len(rows):
        _refuse(path, lost, f"file in {folder}, or fits several")
    rows = rows.assign(file=files.mask(files == "", rows.file))
    rows = _check_values(path, rows, classes).drop_duplicates()
    _refuse_second_rows(path, rows)
    problems = []
    for name in lost.unique():
        problem = "ambiguous" if name in matches else "missing_file"
        problems.append((name, problem))
    table = pd.concat([table, tabulate(problems)])
    return _leave_out_test(_update(table, rows))


def _check_values(path, rows, classes):
    """Return rows with labels as they look, and parts as we call them."""
    rows["label"] = _map_each(rows.label, clean)
    if classes is not None:
        names = {clean(name): name for name in classes}
        names[""] = ""
        kind = f"class of {', '.join(classes)}"
        rows["label"] = _look_up(path, rows.label, names, kind)
    if "part" in rows:
        parts = rows.part.str.casefold()
        kind = "part: train, validation or test"
        rows["part"] = _look_up(path, parts, PARTS | {"": ""}, kind)
    return rows


def _update(table, rows):
    """Return the table with what the rows say; an empty part or group says nothing."""
    rows = rows.set_index("file")
    for column in ("part", "group"):
        if column in rows:
            rows[column] = rows[column].mask(rows[column] == "")
    table = table.set_index("file")
    table.update(rows)
    return table.reset_index()


def _leave_out_test(table):
    is_for_later = table.part.isin(["test", "prediction"])
    note(table, is_for_later, "test_part")
    return table.assign(part=table.part.mask(is_for_later, ""))


def _refuse_second_rows(path, rows):
    again = rows.file[rows.file.duplicated()]
    if again.empty:
        return
    file = again.iloc[0]
    first, second = rows.index[rows.file == file][:2]
    raise ValueError(
        f"{path} has two different rows of {file!r}: lines {first} and {second}."
    )


def _look_up(path, values, known, kind):
    unknown = values[~values.isin(known.keys())]
    _refuse(path, unknown, kind)
    return values.map(known)


def _refuse(path, unknown, kind):
    if unknown.empty:
        return
    line = unknown.index[0]
    value = unknown.iloc[0]
    raise ValueError(
        f"{path}, line {line}: {value!r} is no {kind}. Such lines: {len(unknown):,}. "
        "Correct or delete them."
    )
