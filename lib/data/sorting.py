"""Copies of pictures in folders by a model's answers."""

import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.base.paths_file import (
    ABOUT_UNFINISHED,
    MARKER,
    find_unfinished,
    require_apart,
    require_free,
)
from lib.base.storage import explain_full_disk, require_room

TO_CHECK = "to_check"
TABLE = "predictions.csv"  # of the answers, beside the copies
OURS = (TO_CHECK, TABLE, MARKER)


def check_target(
    folder: Path, taken: Iterable[str | Path], class_names: list[str]
) -> None:
    """Check that a folder lies apart from others, and can have one for each class.

    Args:
        folder: the copies are made in the unfinished one beside it.
        taken: the pictures or their folders, and what else is written.

    Raises:
        ValueError: it doesn't, or can't.
    """
    folder = folder.resolve()
    others = [("the command", Path(each).resolve()) for each in taken]
    for ours in (folder, find_unfinished(folder)):
        require_apart("--sort-into", ours, others)
    for name in class_names:
        place = (folder / name).resolve()
        if name in OURS or place.parent != folder:
            raise ValueError(f"--sort-into: no folder can be called {name!r}.")


def reserve(folder: Path, files: Iterable[str], goes_on: bool) -> None:
    """Check, before the pictures are answered, that their copies have a folder and room.

    Args:
        goes_on: whether the folder may be there, whole, from the same command.

    Raises:
        OSError: there is too little room.
        ValueError: the folder, or the unfinished one beside it, holds files of others.
    """
    unfinished = find_unfinished(folder)
    require_free(unfinished)
    if not goes_on:
        require_free(folder)
    shutil.rmtree(unfinished, ignore_errors=True)
    size = sum(map(os.path.getsize, filter(os.path.isfile, files)))
    require_room(unfinished.parent, size, "the copies")


def sort_pictures(
    folder: Path,
    files: pd.Series,
    table: pd.DataFrame,
    min_probability: float,
    whole: Path,
) -> None:
    """Copy pictures that can be read into folders called as their answers, and count them.

    Strangers, and what is less probable, go to `TO_CHECK`; of files of one name all but the first get
    the number of their row. The folder gets its name when all is in it.

    Args:
        files: paths.
        table: their answers as text, columns label, probability, note and problem.
        whole: the CSV file of the answers, of which the folder gets a copy.
    """
    marker = folder / MARKER
    known = folder / TABLE
    # A kill may come between the name of this folder and that of the table.
    if known.exists() and filecmp.cmp(known, whole, shallow=False):
        marker.unlink(missing_ok=True)
        return
    require_free(folder)
    usable = table[table.problem == ""]
    is_sure = usable.probability.astype(float) >= min_probability
    names = usable.label.where(is_sure & (usable.note == ""), TO_CHECK)
    unfinished = find_unfinished(folder)
    with explain_full_disk(unfinished):
        unfinished.mkdir()
        (unfinished / MARKER).write_text(ABOUT_UNFINISHED)
        _copy_all(unfinished, files, names)
        shutil.copyfile(whole, unfinished / TABLE)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    marker.unlink()
    counts = [f"{count:,} {name}" for name, count in names.value_counts().items()]
    print(f"copied into {folder}: {', '.join(counts)}")


def _copy_all(folder, files, names):
    """Copy files into folders of a folder, called as `names` says of their rows."""
    for row, name in names.items():
        file = files[row]
        copy = folder / name / Path(file).name
        while copy.exists():
            copy = copy.with_stem(f"{copy.stem}_{row}")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(file, copy)
