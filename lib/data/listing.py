"""The one walker: which files there are, and which may be pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.data.findings import find
from lib.data.names import is_mask
from lib.data.pictures import ENDINGS, sniff

JUNK = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
# Files that accompany pictures and are none, whatever they hold.
TEXT_ENDINGS = (".xml", ".json", ".txt", ".csv", ".md")


def is_junk(name: str) -> bool:
    """Tell whether a file or folder was left by a program: hidden ones and a few more."""
    return name.startswith(".") or name in JUNK


def list_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, junk left out, sorted."""
    folders = []
    for entry in os.scandir(folder):
        if os.path.isdir(entry) and not is_junk(entry.name):
            folders.append(Path(entry))
    return sorted(folders)


def list_files_below(folder: Path) -> Iterator[Path]:
    """Yield every file at any depth of a folder, junk left out."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if not is_junk(name):
                yield Path(parent, name)


def may_be_picture(path: Path) -> bool:
    """Tell whether a file may be a picture: by its ending, or else by its first bytes."""
    ending = path.suffix.lower()
    if ending in ENDINGS or ending in (".heic", ".heif"):
        return True
    if ending in TEXT_ENDINGS:
        return False
    return _read_problem(path) in ("", "needs_pillow_heif")


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder may be a picture."""
    return any(map(may_be_picture, list_files_below(folder)))


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def walk(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List every file below a folder, at any depth; links are followed, once.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns:
        The files, sorted: columns file, and label, part and group, all "".
        The findings of those that are no pictures: junk, odd_name, circular_link, unreadable,
            not_a_file, mask or a word of `sniff`. Junk, and a folder that can't be entered, is one file.
    """
    rows = sorted(_scan(folder, "", ()))
    scanned = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    is_plain = scanned.problem == ""
    files = scanned.file[is_plain]
    odd = scanned[~is_plain]
    findings = [
        find(odd.file, odd.problem),
        find(files[is_mask(files)], "mask"),
    ]
    listed = scanned[["file"]].assign(label="", part="", group="")
    return listed, pd.concat(findings, ignore_index=True)


def _scan(folder, prefix, above):
    """Yield each file of a folder, prefix before its name, with its problem."""
    real = os.path.realpath(folder)
    if real in above:
        yield prefix.rstrip("/"), "circular_link"
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield prefix.rstrip("/"), "unreadable"
        return
    for entry in entries:
        name = prefix + entry.name
        path = Path(entry)
        if is_junk(entry.name):
            yield name, "junk"
        elif escape(entry.name) != entry.name:
            yield escape(name), "odd_name"
        elif os.path.isdir(entry):
            yield from _scan(path, prefix=f"{name}/", above=(*above, real))
        elif path.suffix.lower() in ENDINGS:
            yield name, ""  # Decoding will tell.
        else:
            yield name, _read_problem(path)


def _read_problem(path):
    if not os.path.isfile(path):
        return "not_a_file"
    try:
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"
