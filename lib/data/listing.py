"""The one walker: which files there are, which may be pictures, and the class of their folder."""

import os
import stat
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS, sniff
from lib.data.table import tabulate

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
# What folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing"},
    "prediction": {"pred", "predict", "prediction", "predictions"},
}


def is_junk(name: str) -> bool:
    """Tell whether a file or folder was left by a program: hidden ones and a few more."""
    return name.startswith(".") or name in JUNK


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder is named like a picture."""
    found = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in ENDINGS and not is_junk(name) for name in found)


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def walk(folder: Path) -> pd.DataFrame:
    """List every file below a folder, at any depth; links are followed, once.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns the table (see `lib.data.table`), sorted by file. A problem is junk, odd_name,
    circular_link, unreadable, not_a_file or a word of `sniff`; junk, and a folder that can't be
    entered, is one row.
    """
    rows = []

    def enter(place: Path, prefix: str, above: tuple):
        try:
            entries, state = list(os.scandir(place)), os.stat(place)
        except OSError:
            return rows.append((prefix.rstrip("/"), "unreadable"))
        identity = (state.st_dev, state.st_ino)
        if identity in above:
            return rows.append((prefix.rstrip("/"), "circular_link"))
        for entry in entries:
            name = prefix + entry.name
            if is_junk(entry.name):
                rows.append((name, "junk"))
            elif escape(entry.name) != entry.name:
                rows.append((escape(name), "odd_name"))
            elif os.path.isdir(entry):
                enter(place / entry.name, name + "/", (*above, identity))
            else:
                rows.append((name, _judge_file(place / entry.name)))

    enter(folder, "", ())
    return tabulate(sorted(rows))


def _judge_file(path: Path) -> str:
    if path.suffix.lower() in ENDINGS:
        return ""  # Decoding will tell.
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not_a_file"
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"


def label_by_folder(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Give the files of `walk` their class folder's name as label; add a row for an empty one."""
    names = [entry.name for entry in os.scandir(folder) if os.path.isdir(entry)]
    names = {name for name in names if not is_junk(name) and escape(name) == name}
    top = table.file.str.split("/").str[0]
    table["label"] = top.where(top.isin(names), "")
    is_outside = (table.label == "") & ~table.problem.isin(["junk", "odd_name"])
    table.loc[is_outside, ["problem", "action"]] = "outside_class_folder", "left out"
    empty = sorted(names - set(table.label[table.problem != "junk"]))
    return pd.concat([table, tabulate((name, "empty_class") for name in empty)], ignore_index=True)
