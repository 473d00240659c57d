"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

import codecs
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.base.escapes import read_cell
from lib.data.findings import find
from lib.data.names import PARTS, clean, fold, match_files
from lib.data.pictures import PictureError, hash_content, read_file

# Our names of columns, and the words for each, of which the first that is there counts.
HEADERS = {
    "file": ("file", "filename", "file_name", "image", "path"),
    "label": ("label", "class"),
    "labels": ("labels",),
    "part": ("part", "split"),
    "group": ("group",),
    "digest": ("digest",),
}
COLUMNS = ("file", "label", "part", "group")
NO_GROUP = ("na", "n/a", "nan", "none", "null", "-1")


def read_labels(path: Path, needed: Iterable[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file of labels, divided by commas, semicolons or tabs: all columns, as text.

    The usual columns have our names, see HEADERS. Capitals there mean nothing, nor do rows without a
    file and groups
    called NA, nan, none, null or -1. Groups that differ in capitals, or as 1 and 1.0, are one.

    Returns:
        A row for each file, with the line of the CSV file as index.

    Raises:
        ValueError: It is no CSV file, or has not the columns `needed`.
    """
    cells = _parse(path).fillna("").map(str.strip).map(read_cell)
    cells.index += 1
    names = _name_columns(cells.iloc[0])
    given = names[names != ""]
    if given.duplicated().any() or not set(needed).issubset(given):
        wanted = ", ".join(needed)
        found = ", ".join(names)
        raise ValueError(f"{path} needs columns {wanted}, each once: {found}")
    rows = cells[1:].rename(columns=names)
    rows = rows[rows.file != ""]
    if "group" in rows:
        groups = fold(rows.group)
        rows = rows.assign(group=groups.mask(groups.isin(NO_GROUP), ""))
    return rows


def _name_columns(header):
    """Return the header with our names for the columns that mean the same."""
    folded = header.str.casefold()
    names = header
    for name, words in HEADERS.items():
        known = [word for word in words if word in set(folded)]
        names = names.mask(folded.isin(known[:1]), name)
    return names


def _parse(path):
    """Return the cells of a CSV file without a header; their index counts its lines from 0."""
    text = _read_text(path)
    first = text.partition("\n")[0]
    # So spreadsheets are told what divides the cells.
    is_told = first.lower().startswith("sep=")
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=max(",;\t", key=first.count),
            skiprows=int(is_told),
            # Without a header a row that is longer than the first is an error, and not shifted.
            header=None,
            dtype=str,
            na_filter=False,
            skipinitialspace=True,
            skip_blank_lines=False,
        )
    except ValueError as error:
        hint = "Write names that hold a comma in double quotes."
        raise ValueError(f"{path}: {str(error).strip()}. {hint}") from error
    return cells.set_axis(cells.index + is_told)


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        is_wide = error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "UTF-16" if is_wide else "Windows' cp1252"
        raise ValueError(
            f"{path} is not in UTF-8, but, as it seems, in {encoding}. Save it as UTF-8: in a spreadsheet "
            'as "CSV UTF-8", in an editor with the encoding UTF-8.'
        ) from error


def read_corrections(
    path: Path | None, files: Iterable[str], folder: Path
) -> pd.DataFrame:
    """Read the labels that a person has corrected; there are none where `path` is None.

    Returns:
        Columns file, label ("" for a file that is left out), digest ("" where none is given), and
        holds, bool: whether the file has the content of that digest, or none is given. A name that
        means one of `files`, which are relative to `folder`, is written as there.
    """
    if path is None:
        return pd.DataFrame(columns=["file", "label", "digest", "holds"])
    given = read_labels(path)
    found = match_files(given.file, files, folder)
    rows = given.reindex(columns=["file", "label", "digest"], fill_value="")
    rows["file"] = [found.get(name) or name for name in rows.file]
    rows["holds"] = [_holds(folder / row.file, row.digest) for row in rows.itertuples()]
    return rows.astype({"holds": bool})


def _holds(path, digest):
    """Tell whether a file has the content of a digest; without one, or unreadable, it counts as such."""
    try:
        return digest == "" or hash_content(read_file(path)) == digest
    except PictureError:
        return True


def match_rows(
    rows: pd.DataFrame, files: pd.Series, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match rows of a file of labels with files, which are relative to `folder`.

    Returns:
        The rows that mean a file, with this file; the findings of the others, missing_file, or ambiguous
            where several fit. Both have the lines of the CSV file as index.
    """
    meant = rows.file.map(match_files(rows.file, files, folder))
    is_lost = meant.fillna("") == ""
    problem = meant[is_lost].map({"": "ambiguous"}).fillna("missing_file")
    return rows.assign(file=meant)[~is_lost], find(rows.file[is_lost], problem)


def check_rows(
    path: Path, rows: pd.DataFrame, classes: Iterable[str] | None = None
) -> pd.DataFrame:
    """Check what matched rows of a file of labels say.

    Args:
        path: The CSV file that the rows were read from, for errors.
        rows: As of `match_rows`; other columns than file, label, part and group count for nothing.
        classes: What a label may be, if not empty; None for anything.

    Returns:
        A row for each file, with labels as they look, and parts as we call them.

    Raises:
        ValueError: Two rows say different things of one file, or a class or a part is not known; the
            error names file and line.
    """
    labels = rows.label.map(clean)
    if classes is not None:
        names = {clean(name): name for name in classes}
        labels = _look_up(path, labels, names, f"class of {', '.join(classes)}")
    rows = rows[rows.columns.intersection(COLUMNS)].assign(label=labels)
    if "part" in rows:
        kind = "part: train, validation or test"
        parts = _look_up(path, rows.part.str.casefold(), PARTS, kind)
        rows = rows.assign(part=parts)
    rows = rows.drop_duplicates()
    kind = "new file: an earlier line says something else of it"
    refuse_cells(path, rows.file[rows.file.duplicated()], kind)
    return rows


def update_files(
    listed: pd.DataFrame, rows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give files what checked rows say of them; an empty part or group says nothing.

    Args:
        listed: Columns file, label, part and group.

    Returns:
        The files; where one of them is for validation, those without a part are for training, else all
            are without a part. The findings of those for a test, test_part.
    """
    said = rows.set_index("file")
    says_nothing = (said == "") & (said.columns != "label")
    updated = listed.set_index("file")
    updated.update(said.mask(says_nothing))
    listed = updated.reset_index()
    later = listed.file[listed.part.isin(["test", "prediction"])]
    has_parts = (listed.part == "validation").any()
    parts = listed.part.replace("", "train") if has_parts else ""
    return listed.assign(part=parts), find(later, "test_part")


def _look_up(path, values, known, kind):
    meanings = known | {"": ""}
    refuse_cells(path, values[~values.isin(meanings)], kind)
    return values.map(meanings)


def refuse_cells(path: Path, cells: pd.Series, kind: str) -> None:
    """Raise a ValueError that names file, line and value, unless there is no such cell.

    Args:
        cells: Those of a file of labels, as of `read_labels`, that can't be used.
        kind: What they are not.
    """
    if len(cells):
        raise ValueError(
            f"{path}, line {cells.index[0]}: {cells.iloc[0]!r} is no {kind}. Such lines: {len(cells):,}. "
            "Correct or delete them."
        )
