"""Files of labels, as people write them: read, matched with the files that are there, and applied."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.paths_file import check_exists, find_part
from lib.data.findings import LEFT_OUT, find
from lib.data.names import AMBIGUOUS, NOTHING, clean, match_files
from lib.data.pictures import hash_file

COLUMNS = "file label part group".split()
# Other words for our names of columns, of which the first that is there counts.
FILE_WORDS = "file filename file_name image path".split()
OTHER_WORDS = dict.fromkeys(FILE_WORDS, "file") | {"class": "label", "split": "part"}
# Columns whose capitals mean nothing.
USUAL = [*COLUMNS, *OTHER_WORDS, "labels", "digest", "parent"]
SEPARATORS = ",;\t"
# How files in UTF-16 begin.
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_labels(path: Path, needed: Sequence[str] = ("file", "label")) -> pd.DataFrame:
    """Read a CSV file, divided by commas, semicolons or tabs: all columns with a name, as text.

    Empty rows are left out; the index is the line of the CSV file. Cells are written as they look, see
    `names.clean`.
    Groups that differ in capitals are one, and those called NA, nan, none, null or -1 are none.

    Raises:
        ValueError: It is no CSV file, or its first line has not the columns `needed`.
    """
    try:
        rows = _name_columns(_read_cells(path), needed)
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}. The first line must be the header: {','.join(needed)}, each once; names with "
            "a separator stand in double quotes, and the file is CSV in UTF-8."
        ) from error
    is_written = rows.any(axis=1)
    return rows[is_written]


def _read_cells(path):
    """Return the cells of a CSV file in UTF-8, or in UTF-16 that begins so; the index is the line."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith(UTF_16) else "utf-8-sig"
    text = data.decode(encoding)
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    # Excel writes such a line above the header.
    skipped = int(first.startswith("sep="))
    cells = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        skiprows=skipped,
        # Without a header a row that is longer than the first is an error, and not shifted.
        header=None,
        dtype=str,
        na_filter=False,
        skipinitialspace=True,
        skip_blank_lines=False,
    )
    cells.index += skipped + 1
    return cells.map(clean)


def _name_columns(cells, needed):
    """Return cells below the first row, which is their header, under our names of columns."""
    names = cells.iloc[0]
    small = names.str.casefold()
    rows = cells[1:].set_axis(names.mask(small.isin(USUAL), small), axis=1)
    rows = rows.filter(regex=".")
    for word, name in OTHER_WORDS.items():
        if name not in rows:
            rows = rows.rename(columns={word: name})
    ours = {OTHER_WORDS.get(name, name) for name in needed}
    if rows.columns.has_duplicates or not ours.issubset(rows):
        raise ValueError(f"its columns are {', '.join(names)}")
    if "group" in rows:
        groups = rows.group.str.casefold()
        rows = rows.assign(group=groups.replace([*NOTHING, "-1"], ""))
    return rows


def read_rows(
    path: Path,
    files: Sequence[str],
    folders: Sequence[Path],
    needed: Sequence[str] = ("file", "label"),
) -> pd.DataFrame:
    """Read a CSV file of labels, and find the file that each row means; a note counts rows that mean none.

    Args:
        files: Those that are there, relative to the first of `folders`.
        folders: What names may be relative to, see `match_files`; the folder of the CSV file is, too.
        needed: The columns that it must have.

    Returns:
        Rows as of `read_labels`, with a column problem: missing_file where a row means none of the
        files, ambiguous where it fits several, other_content where its digest is not that of the file,
        else "". Then `file` is written as in `files`.

    Raises:
        ValueError: As `read_labels`; or no row means a file, and there are no digests, by which rows may be
            of other files.
    """
    rows = _match_rows(path, files, [*folders, path.parent], needed)
    lost = rows.file[rows.problem != ""]
    if len(lost):
        said = (
            f"{len(lost):,} of {len(rows):,} rows of {path} fit no file, or several: the first is "
            f"{lost.iloc[0]}, a file there is called {min(files)}."
        )
        if len(lost) == len(rows) and "digest" not in rows:
            raise ValueError(said)
        print(f"Note: {said}")
    if "digest" not in rows:
        return rows
    contents = rows.file.map(folders[0].joinpath).map(hash_file)
    is_other = (rows.digest != "") & (rows.digest != contents) & (rows.problem == "")
    return rows.assign(problem=rows.problem.mask(is_other, "other_content"))


def _match_rows(path, files, folders, needed):
    """Return rows as of `read_rows`; of several columns for names of files that which fits most counts."""
    rows = read_labels(path, needed)
    names = rows.filter(FILE_WORDS)
    meanings = names.map(match_files(files, folders))
    column = meanings[meanings != AMBIGUOUS].count().idxmax()
    if column != "file":
        print(f"Note: {path.name}: names of files are those of its column {column}.")
    meant = meanings[column]
    is_odd = [meant.isna(), meant == AMBIGUOUS]
    problem = np.select(is_odd, ["missing_file", "ambiguous"], "")
    file = meant.where(problem == "", names[column])
    return rows.drop(columns=names).assign(file=file, problem=problem)


def read_columns(
    path: Path, columns: list[str], files: Sequence[str], folders: Sequence[Path]
) -> pd.DataFrame:
    """Return what columns of a CSV file, which must have the first, say of each file, which is the index.

    A file that no row means is missing in each. Files and folders are those of `read_rows`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As `read_rows`; or two rows say different things of one file.
    """
    check_exists(path, f"Name a CSV file of columns file and {columns[0]}.")
    rows = read_rows(path, files, folders, ["file", columns[0]])
    said = _keep_known(path, rows, ["file", *columns])
    return said.set_index("file").reindex(files)


def _keep_known(path, rows, columns):
    """Return columns of the rows of `read_rows` that mean a file, each once; an error names one that disagrees."""
    is_known = rows.problem == ""
    known = rows[is_known].reindex(columns=columns, fill_value="")
    known = known.drop_duplicates()
    again = known.file[known.file.duplicated()]
    refuse_cells(path, again, "new file: an earlier line says something else of it")
    return known


def apply_rows(
    listed: pd.DataFrame, path: Path, rows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give files what rows of a file of labels say of them; an empty part or group says nothing.

    Args:
        listed: Columns file, label, part and group.
        path: The CSV file that the rows were read from, for errors.
        rows: As of `read_rows`.

    Returns:
        The files; where one of them is for validation, those without a part are for training, else all
            are without a part.
        The findings: of rows that mean no file, or one of other content, their problem; of files for a
            test, test_part.

    Raises:
        ValueError: Two rows say different things of one file, or a part is not known; the error names
            file and line.
    """
    known = _keep_known(path, rows, COLUMNS)
    parts = known.part.map(find_part)
    is_unknown = (parts == "") & (known.part != "")
    refuse_cells(path, known.part[is_unknown], "part: train, validation or test")
    is_later = parts.isin(["test", "prediction"])
    findings = [_find_lost(rows), find(known.file[is_later], "test_part")]
    said = known.assign(part=parts).set_index("file")
    # An empty label is one, too: it leaves the file out.
    said[["part", "group"]] = said[["part", "group"]].replace("", None)
    updated = listed.set_index("file")
    updated.update(said)
    given = updated.part.replace("", "train")
    has_parts = (given == "validation").any()
    updated["part"] = given if has_parts else ""
    return updated.reset_index(), pd.concat(findings)


def _find_lost(rows):
    """Return the findings of rows that mean no file; one of other content keeps its own label."""
    lost = rows[rows.problem != ""]
    action = np.where(lost.problem == "other_content", "kept", LEFT_OUT)
    return find(lost.file, lost.problem, action)


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
