"""Files of labels, as people write them: read, matched with the pictures that are there, and applied."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from lib.base.escapes import read_cell
from lib.base.paths_file import find_part
from lib.data.findings import find
from lib.data.names import clean, match_files
from lib.data.pictures import PictureError, hash_content, read_file

# Our names of columns, and the words for each, of which the first that is there counts.
HEADERS = {
    "file": "file filename file_name image path",
    "label": "label class",
    "labels": "labels",
    "part": "part split",
    "group": "group",
    "digest": "digest",
}
COLUMNS = ["file", "label", "part", "group"]
NO_GROUP = "na n/a nan none null -1".split()


def read_labels(path: Path, needed: Sequence[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file of labels, divided by commas, semicolons or tabs: all columns with a name, as text.

    The usual columns have our names, see HEADERS. Capitals there mean nothing, nor do rows without the
    first that is `needed` and groups called NA, nan, none, null or -1. Groups that differ in capitals,
    or as 1 and 1.0, are one. Other cells than names of files are written as they look, see `names.clean`.

    Returns:
        A row for each file, with the line of the CSV file as index.

    Raises:
        ValueError: It is no CSV file, or has not the columns `needed`.
    """
    cells = _parse(path).map(str.strip).map(read_cell)
    names = cells.iloc[0].map(clean)
    words = names.str.casefold()
    for name, meant in HEADERS.items():
        for word in meant.split():
            is_meant = words == word
            if is_meant.any():
                names[is_meant] = name
                break
    given = names[names != ""]
    if given.duplicated().any() or not set(needed).issubset(given):
        words = [HEADERS.get(name, name).replace(" ", " or ") for name in needed]
        raise ValueError(
            f"{path} needs columns {', '.join(words)}, each once: {', '.join(names)}"
        )
    rows = cells[1:][given.index].rename(columns=given)
    rows = rows[rows[needed[0]] != ""]
    rows = rows.map(clean).assign(**rows.filter(["file"]))
    if "group" in rows:
        groups = rows.group.str.casefold()
        groups = groups.str.replace(r"^(\d+)\.0$", r"\1", regex=True)
        rows = rows.assign(group=groups.mask(groups.isin(NO_GROUP), ""))
    return rows


def _parse(path):
    """Return the cells of a CSV file, its header among them; the index counts its lines from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        cells = pd.read_csv(
            path,
            sep=max(",;\t", key=first.count),
            encoding="utf-8-sig",
            # Without a header a row that is longer than the first is an error, and not shifted.
            header=None,
            dtype=str,
            na_filter=False,
            skipinitialspace=True,
            skip_blank_lines=False,
        )
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}. Save it as CSV in UTF-8, with names that hold a comma in double quotes."
        ) from error
    return cells.set_axis(cells.index + 1)


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
    rows["file"] = [found[name] or name for name in rows.file]
    rows["holds"] = [_holds(folder / row.file, row.digest) for row in rows.itertuples()]
    return rows.astype({"holds": bool})


def _holds(path, digest):
    """Tell whether a file has the content of a digest; without one, or unreadable, it counts as such."""
    try:
        return digest == "" or hash_content(read_file(path)) == digest
    except PictureError:
        return True


def apply_rows(
    listed: pd.DataFrame,
    path: Path,
    rows: pd.DataFrame,
    folder: Path,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give files what rows of a file of labels say of them; an empty part or group says nothing.

    Args:
        listed: Columns file, relative to `folder`, label, part and group.
        path: The CSV file that the rows were read from, for errors.
        rows: As of `read_labels`.

    Returns:
        The files; where one of them is for validation, those without a part are for training, else all
            are without a part.
        The findings: of rows that mean no file, missing_file, or ambiguous where several fit; of files
            for a test, test_part.

    Raises:
        ValueError: Two rows say different things of one file, or a part is not known; the error names
            file and line.
    """
    matched, lost = _match_rows(rows, listed.file, folder)
    said = _check_rows(path, matched)
    later = said.index[said.part.isin(["test", "prediction"])]
    return _update(listed, said), pd.concat([lost, find(later, "test_part")])


def _match_rows(rows, files, folder):
    """Return the rows that mean one of the files, which is named as there, and findings of the others."""
    meant = rows.file.map(match_files(rows.file, files, folder))
    is_lost = ~meant.isin(files)
    problem = meant[is_lost].replace("", "ambiguous").fillna("missing_file")
    lost = find(rows.file[is_lost], problem)
    return rows.assign(file=meant)[~is_lost], lost


def _check_rows(path, rows):
    """Return what rows say of each file, with parts as we call them; refuse what contradicts itself."""
    said = rows.reindex(columns=COLUMNS, fill_value="").drop_duplicates()
    again = said.file[said.file.duplicated()]
    refuse_cells(path, again, "new file: an earlier line says something else of it")
    parts = said.part.map(find_part)
    unknown = said.part[(parts == "") & (said.part != "")]
    refuse_cells(path, unknown, "part: train, validation or test")
    return said.assign(part=parts).set_index("file")


def _update(listed, said):
    """Return the files with what is said of them; an empty part or group says nothing."""
    is_silent = (said == "") & (said.columns != "label")
    updated = listed.set_index("file")
    updated.update(said.mask(is_silent))
    has_parts = (updated.part == "validation").any()
    updated["part"] = updated.part.replace("", "train") if has_parts else ""
    return updated.reset_index()


def refuse_cells(path: Path, cells: pd.Series, kind: str) -> None:
    """Raise a ValueError that names file, line and value, unless there is no such cell.

    Args:
        cells: Those of a file of labels, as of `read_labels`, that can't be used.
        kind: What they are not.
    """
    if len(cells):
        raise ValueError(
            f"{path}, line {cells.index[0]}: {cells.iloc[0]!r} is no {kind}. Correct or delete it."
        )
