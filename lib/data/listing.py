"""The one walker: which files there are, and which may be pictures."""

import os
import re
from pathlib import Path

import pandas as pd

from lib.data.names import clean, is_mask
from lib.data.pictures import ENDINGS, sniff

# What programs leave behind.
JUNK = re.compile(
    r"\..*|__MACOSX|@eaDir|#recycle|\$RECYCLE\.BIN|System Volume Information|thumbnails|Thumbs\.db|desktop\.ini"
)
# What `_find_problem` says of a folder that is entered.
FOLDER = "folder"
# How a file ends that has the name of another one in its archive.
TWICE = ".name_twice"
# Problems of files that make no folder a class.
NO_PICTURE = "junk mask not_a_picture not_a_file empty name_twice".split()
NOTHING = [*NO_PICTURE, FOLDER, "circular_link", "unreadable"]


def list_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted, without junk and links that lead back to it."""
    return [path for path in sorted(folder.iterdir()) if _find_problem(path) == FOLDER]


def may_be_picture(path: Path) -> bool:
    """Tell whether a file may be a picture, also one that nothing here reads: by its ending or first bytes."""
    return _find_problem(path) not in NOTHING


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder may be a picture; the first one ends the search."""
    return any(problem not in NOTHING for _, problem in _scan(folder))


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def walk(folder: Path) -> pd.DataFrame:
    """List every file below a folder, at any depth; links are followed, unless they lead back.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns:
        The files, sorted, by columns
        file: the path from the folder,
        problem: "", or why it is no picture: junk, odd_name, name_twice, circular_link, unreadable, not_a_file, mask
            or a word of `sniff`; junk, and a folder that can't be entered, is one file,
        label: the folder in `folder` that holds it, written as it looks, see `names.clean`; or "",
        part and group: "".
    """
    rows = sorted(_scan(folder))
    listed = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    pictures = listed.query("problem == ''")
    masks = pictures[is_mask(pictures.file)]
    listed.loc[masks.index, "problem"] = "mask"
    top = listed.file.str.extract("^([^/]+)/")[0].fillna("")
    return listed.assign(label=top.map(clean), part="", group="")


def leave_others_out(listed: pd.DataFrame) -> pd.DataFrame:
    """Return those of the files that `walk` lists that may be pictures; the index is anew."""
    is_other = listed.problem.isin(NO_PICTURE)
    return listed[~is_other].reset_index(drop=True)


def _scan(folder, prefix=""):
    """Yield each file below a folder, prefix before its name, and why it is no picture, "" where it may be one."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        yield prefix, "unreadable"
        return
    for path in paths:
        name = escape(prefix + path.name)
        problem = _find_problem(path)
        if problem == FOLDER:
            yield from _scan(path, prefix=f"{name}/")
        else:
            yield name, problem


def _find_problem(path):
    """Return why a file is no picture, or FOLDER; "" where it may be one, as its ending or first bytes say."""
    if JUNK.fullmatch(path.name):
        return "junk"
    if escape(path.name) != path.name:
        return "odd_name"
    if path.suffix == TWICE:
        return TWICE[1:]
    if os.path.isdir(path):
        return "circular_link" if _leads_back(path) else FOLDER
    if path.suffix.lower() in ENDINGS:
        return ""
    if not os.path.isfile(path):
        return "not_a_file"
    try:
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"


def _leads_back(folder):
    """Tell whether a folder is a link to one that holds it: through it the walk would come here again."""
    return folder.is_symlink() and any(
        path.resolve().is_relative_to(folder.resolve()) for path in folder.parents
    )
