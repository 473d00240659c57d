"""The workspace: where pictures, results and scratch of one run lie."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.base import storage
from lib.base.escapes import escape_text
from lib.base.paths_file import (
    ABOUT,
    CORRECTIONS,
    MARKER,
    OURS,
    check_exists,
    check_places,
    find_path,
    read_places,
)
from lib.base.storage import atomic_write

REPOSITORY = Path(__file__).resolve().parents[2]
ON_DRIVE = "image_classifiers"
MINE = "drive_paths.json"
Place = Path | str | None  # an address of the web is text


@dataclass(frozen=True)
class Workspace:
    """The folders of one run, all absolute; train, validation and test may lie in an archive."""

    # The folder of class folders; an archive that holds one, or its address; or kaggle:….
    train: Place
    # What is kept: models, histories, predictions, tables, figures, report.
    results: Path
    # What can be made again: stores of pixels and features.
    scratch: Path
    # CSV file: file,label and, if you like, part and group.
    train_labels: Place = None
    # CSV file of file,label, which goes before all other labels.
    corrections: Place = None
    # As train: class folders to validate on.
    validation: Place = None
    # As train: new pictures, in class folders or not.
    test: Place = None
    # CSV file of file,label for the new pictures.
    test_labels: Place = None
    # CSV file of pictures with several labels.
    multi_labels: Place = None
    # CSV file class,parent.
    parents: Place = None
    # Address of a Dask scheduler, or local:N.
    cluster: str | None = None
    # Of names in archives that are not UTF-8, as Python calls it.
    encoding: str | None = None

    @property
    def is_demo(self) -> bool:
        """Whether the pictures are the drawn ones."""
        return self.train == REPOSITORY / "demo/pictures/train"

    @property
    def data_note(self) -> str:
        """Return one line of Markdown that says which pictures a result comes from."""
        if self.is_demo:
            return "**Demo result**: made from drawn pictures; it says nothing about photographs."
        return f"Pictures: {escape_text(self.train)}"

    def file(self, *parts: str) -> Path:
        """Return the path of a results file; its folder is made when missing."""
        path = self.results.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def existing(self, name: str, made_by: str) -> Path:
        """Return the path of a results file; where it is missing, an error names who writes it."""
        path = self.results / name
        if path.exists():
            return path
        raise FileNotFoundError(
            f"{path} is missing. In Colab, where each notebook has a machine of its own, mount Google Drive, "
            f"or open 00_start_here. The notebook {made_by} writes it: run that first."
        )

    def save_table(self, table: pd.DataFrame, name: str) -> None:
        """Write a table, without its index, as the CSV file `name` of the results."""
        write_table(table, self.file(name))

    def save_json(self, content: dict | list, name: str) -> None:
        """Write `content` as the JSON file `name` of the results."""
        with atomic_write(self.file(name)) as part:
            part.write_text(
                json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8"
            )

    def save_paths(self) -> Path:
        """Write these paths as run_paths.json of the results."""
        # The next run looks for these corrections there, too, and may find none.
        left_out = (None, self.results / CORRECTIONS)
        paths = {
            key: str(place)
            for key, place in vars(self).items()
            if place not in left_out
        }
        self.save_json(paths, "run_paths.json")
        return self.results / "run_paths.json"

    def claim(self) -> None:
        """Mark results and scratch as ours, before anything else is written there."""
        for folder in (self.results, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / MARKER) as part:
                part.write_text(ABOUT, encoding="utf-8")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, without its index, as a CSV file that `read_table` reads."""
    with atomic_write(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text; a class named "NA" or "007" stays what it is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def open(paths_file: str | Path | None = None) -> Workspace:  # noqa: A001 - reads as workspace.open
    """Open the workspace of a paths file, or that of the demo when there is none, and mark it as ours.

    The argument and errors are those of `read`.
    """
    ws = read(paths_file)
    ws.claim()
    return ws


def read(
    paths_file: str | Path | None = None, results: str | Place = None
) -> Workspace:
    """Read and check what a paths file, or the demo when there is none, says; write nothing.

    Args:
        paths_file: a drive_paths.json, or "demo"; None takes the environment variable DRIVE_PATHS,
            then drive_paths.json in the repository, then (in Colab) the one at the top of My Drive,
            then the demo, whose results go to Google Drive where that is mounted.
        results: the folder of the results, in place of that of the file.

    Raises:
        FileNotFoundError, ValueError: something is wrong with the file or a key of it.
    """
    named = paths_file or os.environ.get("DRIVE_PATHS") or _find_usual_file()
    file = Path(__file__).with_name("demo_paths.json")
    if named not in (None, "demo"):
        file = find_path(named, "--paths")
    places = read_places(file)
    # In Colab each notebook has a machine of its own, and they share Drive alone.
    if named is None and storage.DRIVE.exists():
        places["results"] = storage.DRIVE / f"{ON_DRIVE}_demo"
    if results:
        places["results"] = find_path(results, "--results")
    corrections = places["results"] / CORRECTIONS
    if corrections.exists():
        places.setdefault("corrections", corrections)
    check_places(places)
    ws = Workspace(**places)
    # The demo's pictures are unpacked when they are first opened.
    if not ws.is_demo:
        for key, place in places.items():
            if isinstance(place, Path) and key not in OURS:
                advice = f'It is "{key}" in {file}; what lies on Google Drive is MyDrive/FOLDER.'
                check_exists(place, advice)
    return ws


def _find_usual_file():
    """Return the first paths file at a usual place, or None."""
    if "google.colab" in sys.modules:
        try:
            storage.open_drive()
        except FileNotFoundError as error:
            print(f"Note: {error} Until then: the demo, on this machine alone.")
    for folder in (REPOSITORY, storage.DRIVE):
        if (folder / MINE).exists():
            return folder / MINE
    return None
