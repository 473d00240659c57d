"""The one walker: which files there are, which may be pictures, and the class of their folder."""

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS, sniff
from lib.data.table import note, tabulate

JUNK = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
# What folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": ("train", "training", "trainval"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "tests", "testing"),
    "prediction": ("pred", "predict", "prediction", "predictions"),
}
PARTS = {word: part for part, words in PART_NAMES.items() for word in words}
# What the file beside a picture, x_mask.png beside x.png, shows is where things are in it.
MASK = re.compile(r"[_-](mask|seg|segmentation|label)(_\d+)?$", re.IGNORECASE)


def is_junk(name: str) -> bool:
    """Tell whether a file or folder was left by a program: hidden ones and a few more."""
    return name.startswith(".") or name in JUNK


def list_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, junk left out, sorted."""
    inside = (entry for entry in os.scandir(folder) if not is_junk(entry.name))
    return sorted(Path(entry) for entry in inside if os.path.isdir(entry))


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder may be a picture, by its ending; one may have none."""
    paths = (
        Path(name)
        for *_, names in os.walk(folder)
        for name in names
        if not is_junk(name)
    )
    return any(
        path.suffix.lower() in {*ENDINGS, ".heic", ".heif", ""} for path in paths
    )


def clean(name: str) -> str:
    """Return a name as it looks: composed letters (NFC), no format characters, single blanks."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def walk(folder: Path) -> pd.DataFrame:
    """List every file below a folder, at any depth; links are followed, once.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns the table (see `lib.data.table`), sorted by file. A problem is junk, odd_name,
    circular_link, unreadable, not_a_file, mask or a word of `sniff`; junk, and a folder that can't be
    entered, is one row.
    """
    table = tabulate(sorted(_scan(folder, "", ())))
    stems = table.file.where(table.problem == "", "").map(
        lambda name: os.path.splitext(name)[0]
    )
    pictured = stems.str.replace(MASK, "", regex=True)
    note(table, (pictured != stems) & pictured.isin(stems), "mask")
    return table


def _scan(folder: Path, prefix: str, above: tuple) -> Iterator[tuple[str, str]]:
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
