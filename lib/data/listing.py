"""The one walker: which files there are, which may be pictures, and the class of their folder."""

import os
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS, sniff
from lib.data.table import tabulate

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
# What folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
    "prediction": ("pred", "predict", "prediction", "predictions"),
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
    return tabulate(sorted(_scan(folder, "", ())))


def _scan(folder: Path, prefix: str, above: tuple):
    """Yield each file of a folder, prefix before its name, with its problem."""
    place = os.path.realpath(folder)
    if place in above:
        yield prefix.rstrip("/"), "circular_link"
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield prefix.rstrip("/"), "unreadable"
        return
    for entry in entries:
        name, path = prefix + entry.name, Path(entry)
        if is_junk(entry.name):
            yield name, "junk"
        elif escape(entry.name) != entry.name:
            yield escape(name), "odd_name"
        elif os.path.isdir(entry):
            yield from _scan(path, name + "/", (*above, place))
        elif path.suffix.lower() in ENDINGS:
            yield name, ""  # Decoding will tell.
        else:
            yield name, _read_problem(path)


def _read_problem(path: Path) -> str:
    if not os.path.isfile(path):
        return "not_a_file"
    try:
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"


def label_by_folder(folder: Path) -> pd.DataFrame:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    Of a file in none of them no label and no problem is known; a class without files has a row.
    """
    table = walk(folder)
    folders = [entry.name for entry in os.scandir(folder) if os.path.isdir(entry)]
    names = {escape(name) for name in folders if not is_junk(name)}
    top = table.file.str.split("/").str[0]
    table["label"] = top.where(top.isin(names) & (table.problem != "junk"), "")
    is_outside = (table.label == "") & ~table.problem.isin(["junk", "odd_name"])
    table.loc[is_outside, ["problem", "action"]] = ""
    empty = tabulate((name, "empty_class") for name in sorted(names - {*table.label}))
    return pd.concat([table, empty], ignore_index=True)
