"""Copies of pictures in folders by a model's answers."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lib.base import paths_file

KIND = "--sort-into"
TO_CHECK = "to_check"


def check_target(folder: Path, places: list[str], class_names: list[str]) -> None:
    """Check that a folder is new, empty or ours, apart from the pictures, and can have one of each class.

    Raises:
        ValueError: it isn't, or can't. Nothing is written.
    """
    folder = folder.resolve()
    paths_file.check_ours(folder, KIND)
    for path in map(Path.resolve, map(Path, places)):
        if path.is_relative_to(folder) or folder.is_relative_to(path):
            raise ValueError(
                f"{KIND} {folder} and {path}: neither may lie in the other. Name another folder."
            )
    for name in class_names:
        if name == TO_CHECK or (folder / name).resolve().parent != folder:
            raise ValueError(f"{KIND}: no folder can be called as the class {name!r}.")


def copy_pictures(folder: Path, files: list[str], names: Iterable[str]) -> None:
    """Copy files into the folders with these names, in place of what an earlier run copied.

    Args:
        folder: as `check_target` has checked it.
        files: paths.
        names: of the folder for each; "" for none. Where files have one name, all but the first get a number.
    """
    paths_file.mark(folder, KIND)
    for earlier in folder.glob("*/"):
        # What `check_target` has passed over, as .git, is nobody's copy.
        if not paths_file.PASSED_OVER.fullmatch(earlier.name):
            shutil.rmtree(earlier)
    for file, name in zip(files, names):
        if name:
            copy = folder / name / Path(file).name
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(file, _add_number(copy))


def _add_number(path):
    """Return a path where nothing lies yet."""
    free = path
    number = 1
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}_{number}")
    return free
