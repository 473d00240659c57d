"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.findings import find
from lib.data.names import PARTS, clean, match_files

# Columns whose capitals mean nothing.
KNOWN = ("file", "label", "labels", "part", "group")
NO_GROUP = ("na", "n/a", "nan", "none", "null", "-1")


def read_columns(
    path: Path, optional: Iterable[str] = ("part", "group")
) -> pd.DataFrame:
    """Read the columns file and label of a CSV file, as `read_labels`, and those of `optional` that it has."""
    rows = read_labels(path)
    return rows[rows.columns.intersection(["file", "label", *optional], sort=False)]


def read_labels(path: Path, needed: Iterable[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file of labels, divided by commas, semicolons or tabs: all columns, as text.

    Capitals in the names of the usual columns and rows without a file mean nothing; nor do groups
    called NA, nan, none, null or -1. Groups that differ in capitals, or as 1 and 1.0, are one.

    Returns:
        A row for each file, with the line of the CSV file as index.

    Raises:
        ValueError: It is no CSV file, or has not the columns `needed`.
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
        rows = rows.assign(group=_fold_groups(rows.group))
    return rows


def _fold_groups(groups):
    """Return equal names for groups that look equal; a number is one, also where it was a float."""
    folded = _map_each(groups, clean).str.casefold()
    folded = folded.str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return folded.mask(folded.isin(NO_GROUP), "")


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
    listed: pd.DataFrame,
    path: Path,
    folder: Path,
    rows: pd.DataFrame,
    classes: Iterable[str] | None = None,
    strict: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the files in `folder` the label, part and group of rows.

    Args:
        listed: Columns file, label, part and group.
        path: The CSV file that the rows were read from, for errors.
        rows: As `read_columns` returns them.
        classes: What a label may be, if not empty; None for anything.
        strict: Whether a row that names no file, or several, is an error; else it is a finding,
            missing_file or ambiguous.

    Returns:
        The files with what the rows say; the findings, of which test_part is one.

    Raises:
        ValueError: Two rows say different things of one file, a class or a part is not known, or no
            row names a file; the error names file and line.
    """
    matches = match_files(rows.file.unique(), listed.file, folder)
    files = rows.file.map(lambda name: matches.get(name, ""))
    lost = rows.file[files == ""]
    if strict or len(lost) == len(rows):
        _refuse(path, lost, f"file in {folder}, or fits several")
    rows = rows.assign(file=files.mask(files == "", rows.file))
    rows = _check_values(path, rows, classes).drop_duplicates()
    _refuse_second_rows(path, rows)
    listed = _update(listed, rows[~rows.file.isin(lost)])
    is_for_later = listed.part.isin(["test", "prediction"])
    problem = lost.isin(matches.keys()).map({True: "ambiguous", False: "missing_file"})
    findings = [find(lost, problem), find(listed.file[is_for_later], "test_part")]
    listed = listed.assign(part=listed.part.mask(is_for_later, ""))
    return listed, pd.concat(findings)


def _check_values(path, rows, classes):
    """Return rows with labels as they look, and parts as we call them."""
    labels = _map_each(rows.label, clean)
    if classes is not None:
        names = {clean(name): name for name in classes}
        kind = f"class of {', '.join(classes)}"
        labels = _look_up(path, labels, names | {"": ""}, kind)
    rows = rows.assign(label=labels)
    if "part" in rows:
        kind = "part: train, validation or test"
        parts = _look_up(path, rows.part.str.casefold(), PARTS | {"": ""}, kind)
        rows = rows.assign(part=parts)
    return rows


def _update(listed, rows):
    """Return the files with what the rows say; an empty part or group says nothing."""
    said = rows.set_index("file").reindex(listed.file).reset_index(drop=True)
    old = listed.reset_index(drop=True)
    new = {}
    for column in rows.columns.drop("file"):
        values = said[column]
        if column != "label":
            values = values.mask(values == "")
        new[column] = values.fillna(old[column])
    return old.assign(**new)


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
