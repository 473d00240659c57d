"""Copies of pictures in folders by a model's answers."""

import shutil
from pathlib import Path

import pandas as pd

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


def sort_pictures(
    folder: Path, files: pd.Series, table: pd.DataFrame, min_probability: float
) -> None:
    """Copy pictures that can be read into folders called as their answers, and count them.

    Strangers, and what is less probable, go to `TO_CHECK`; of files of one name all but the first get
    a number.

    Args:
        files: paths.
        table: their answers as text, columns label, probability, note and problem.
    """
    usable = table[table.problem == ""]
    is_unsure = usable.probability.astype(float) < min_probability
    names = usable.label.mask(is_unsure | (usable.note != ""), TO_CHECK)
    for file, name in zip(files[usable.index], names):
        copy = folder / name / Path(file).name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(file, _add_number(copy))
    counts = [f"{count:,} {name}" for name, count in names.value_counts().items()]
    print(f"copied into {folder}: {', '.join(counts)}")


def _add_number(path):
    """Return a path where nothing lies yet."""
    free = path
    number = 1
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}_{number}")
    return free
