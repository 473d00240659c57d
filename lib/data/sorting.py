"""Copies of pictures in folders by a model's answers."""

import shutil
from collections.abc import Iterable
from pathlib import Path

TO_CHECK = "to_check"


def check_target(folder: Path, places: list[str], class_names: list[str]) -> None:
    """Check that a folder is new or empty, apart from the pictures, and can have one of each class.

    Raises:
        ValueError: it isn't, or can't. Nothing is written.
    """
    folder = folder.resolve()
    read = {Path(place).resolve() for place in places}
    if any(folder.glob("*")) or read.intersection([folder, *folder.parents]):
        raise ValueError(
            f"--sort-into {folder} is not new or empty, or lies in a folder of the pictures: name another."
        )
    for name in class_names:
        if name == TO_CHECK or (folder / name).resolve().parent != folder:
            raise ValueError(
                f"--sort-into: no folder can be called as the class {name!r}."
            )


def copy_pictures(folder: Path, files: Iterable[str], names: Iterable[str]) -> None:
    """Copy files into the folders with these names, one for each; of files of one name all but the first get a number."""
    for file, name in zip(files, names):
        copy = folder / name / Path(file).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, _add_number(copy))


def _add_number(path):
    """Return a path where nothing lies yet."""
    free = path
    number = 1
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}_{number}")
    return free
