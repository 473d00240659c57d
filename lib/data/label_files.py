"""Files of labels, as people write them: read, and their names matched with the files that are there."""

import csv
import io
import os
import re
import unicodedata
from functools import cache, partial
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS

NO_GROUP = {"na", "n/a", "<na>", "nan", "none", "null", "-1", "-1.0"}


def read_labels(path: Path, columns=("label",)) -> pd.DataFrame:
    """Read the columns file and label and, where it has them, some others of a CSV file.

    Commas, semicolons or tabs divide it; a first line such as `sep=;`, as spreadsheets write it,
    capitals in the names of columns, further columns and blank rows mean nothing; nor do groups
    called NA, nan, none, null or -1. Returns a row a file, with the line of the CSV file as index.
    Raises a ValueError, which names the line, where it is none.
    """
    lines = _read_lines(path)
    first = lines.pop(min(lines, default=0), [])
    names = [name.casefold() for name in first]
    wanted = [name for name in ("file", *columns) if name in names]
    if not {"file", "label"} <= {*wanted} or any(names.count(name) > 1 for name in wanted):
        raise ValueError(
            f"{path} needs the columns file and label, each once, named in its first row. There it "
            f"has: {', '.join(first)}."
        )
    for line, cells in lines.items():
        if any(cells[len(names) :]):
            raise ValueError(
                f"{path}, line {line} has {len(cells)} cells, the first row {len(names)}: write a "
                "name that holds a comma in double quotes."
            )
    rows = [(cells + [""] * len(names))[: len(names)] for cells in lines.values()]
    table = pd.DataFrame(rows, lines.keys(), names, dtype=str)[wanted]
    table = table[table.file != ""]
    if table.empty:
        raise ValueError(f"{path} names no file below its first row.")
    if "group" in table:
        table["group"] = table.group.where(~table.group.str.casefold().isin(NO_GROUP), "")
    return table


def _read_lines(path: Path) -> dict[int, list]:
    """Return the cells of each row that has any, by the line where it ends."""
    lines, count = {}, 0
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if skipped := text[:5].strip('"').lower().startswith("sep="):
            text = text[text.find("\n") + 1 :]
        separator = max(",;\t", key=text.lstrip().partition("\n")[0].count)
        form = {"delimiter": separator, "strict": True, "skipinitialspace": True}
        read = csv.reader(io.StringIO(text, newline=""), **form)
        for row in read:
            count = read.line_num + skipped
            if any(cells := [cell.strip() for cell in row]):
                lines[count] = cells
    except (ValueError, csv.Error) as error:
        place = f", behind line {count}" if count else ""
        raise ValueError(
            f"{path} is no CSV file in UTF-8, with commas, semicolons or tabs: {error}{place}."
        ) from error
    return lines


def match_files(names, files, folder: Path) -> dict[str, str]:
    """Find the file that each name of a labels file means; what fits none is absent.

    Where the folder that a name begins with exists, in `folder` or up to two above it, the file lies
    there or nowhere. Else one path must end in the other: a name may lack folders, where one file
    alone fits, or begin with others, where no name of an existing folder means that file. It may lack
    the ending; letters compare in Unicode's composed form (NFC), as Macs write them differently.

    Args:
        files: relative to `folder`.
    """
    whole, ends = {}, {}  # files by their path, and by every end of it; None where several have it
    for file in files:
        path = compose_name(file)
        for known in {path, _cut_ending(path)}:
            whole[known] = None if known in whole else file
            for end in _list_ends(re.sub(r"^(\.\./)+", "", known)):  # beside train: ../val/1.jpg
                ends[end] = None if end in ends else file
    exact = {compose_name(file): file for file in files} | {file: file for file in files}
    whole, ends = whole | exact, ends | whole | exact
    find_places = cache(partial(_find_places, folder, {os.path.dirname(path) for path in whole}))
    here, elsewhere = {}, {}
    for name in names:
        path = compose_name(name)
        inside, _, base = path.rpartition("/")
        places = find_places(inside)
        fitting = [whole.get(os.path.normpath(f"{place}/{base}")) for place in places]
        if not places:
            fitting = [whole.get(name), ends.get(path), *map(whole.get, _list_ends(path))]
        if file := next(filter(None, fitting), None):
            (elsewhere if inside and not places else here)[name] = file
    taken = {file for name, file in here.items() if "/" in compose_name(name)}
    return here | {name: file for name, file in elsewhere.items() if file not in taken}


def _find_places(folder: Path, folders: set, inside: str) -> list[str]:
    """Return the folders, relative to `folder`, that the one of a name may be, if it exists."""
    if not inside.strip("./"):
        return []
    above = [parent / inside for parent in (folder, *folder.parents[:2])]
    places = [os.path.relpath(place, folder) for place in above if os.path.isdir(place)]
    return [inside] * (inside in folders) + places


def _list_ends(path: str) -> list[str]:
    folders = path.split("/")
    return ["/".join(folders[start:]) for start in range(len(folders))]


def _cut_ending(path: str) -> str:
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in ENDINGS else path


def compose_name(name: str) -> str:
    """Write a path with /, without a leading ./, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")
