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
    read = [Path(place).resolve() for place in places]
    if any(folder.glob("*")) or any(map(folder.is_relative_to, read)):
        raise ValueError(
            f"--sort-into {folder} is not new or empty, or lies in a folder of the pictures: name another."
        )
    for name in class_names:
        place = (folder / name).resolve()
        if name == TO_CHECK or place.parent != folder:
            raise ValueError(f"--sort-into: no folder can be called {name!r}.")


def sort_pictures(
    folder: Path, files: pd.Series, table: pd.DataFrame, min_probability: float
) -> None:
    """Copy pictures that can be read into folders called as their answers, and count them.

    Strangers, and what is less probable, go to `TO_CHECK`; of files of one name all but the first get
    the number of their row.

    Args:
        files: paths.
        table: their answers as text, columns label, probability, note and problem.
    """
    usable = table[table.problem == ""]
    is_sure = usable.probability.astype(float) >= min_probability
    names = usable.label.where(is_sure & (usable.note == ""), TO_CHECK)
    for row, name in names.items():
        file = files[row]
        copy = folder / name / Path(file).name
        while copy.exists():
            copy = copy.with_stem(f"{copy.stem}_{row}")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(file, copy)
    counts = [f"{count:,} {name}" for name, count in names.value_counts().items()]
    print(f"copied into {folder}: {', '.join(counts)}")
