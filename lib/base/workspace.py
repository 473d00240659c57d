"""The workspace: where pictures, results and scratch of one run lie."""

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from lib.base import folders, storage
from lib.base.escapes import escape_text, guard_cells, read_cell
from lib.base.paths_file import PLACES, READ, check_exists, read_paths
from lib.base.storage import atomic_write

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_PATHS = Path(__file__).with_name("demo_paths.json")
KAGGLE = "kaggle:"
DEMO_ON_DRIVE = "image_classifiers_demo/results"
# What is a path elsewhere, or none.
NO_PATH = re.compile(r"\$|.*://" + ("" if os.name == "nt" else r"|[A-Za-z]:[\\/]"))
SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # Dask's own name for it
MINE = "drive_paths.json"


@dataclass(frozen=True)
class Workspace:
    """The folders of one run, all absolute; train, validation and test may lie in an archive."""

    # The folder of class folders; or an archive, or kaggle:…, that holds one.
    train: Path
    # What is kept: models, histories, predictions, tables, figures, report.
    results: Path
    # What can be made again: stores of pixels and features.
    scratch: Path
    # CSV file: file,label and, if you like, part and group.
    train_labels: Path | None = None
    # CSV file of file,label, which goes before all other labels.
    corrections: Path | None = None
    # As train: class folders to validate on.
    validation: Path | None = None
    # As train: new pictures, in class folders or not.
    test: Path | None = None
    # CSV file of file,label for the new pictures.
    test_labels: Path | None = None
    # CSV file of pictures with several labels.
    multi_labels: Path | None = None
    # Address of a Dask scheduler, or local:N.
    cluster: str | None = None
    # The file that says all this.
    paths_file: Path | None = field(default=None, compare=False)

    @property
    def is_demo(self) -> bool:
        """Whether the pictures are the drawn ones."""
        return self.train == (REPOSITORY / "demo/pictures/train").resolve()

    @property
    def data_note(self) -> str:
        """Return one line of Markdown that says which pictures a result comes from."""
        if self.is_demo:
            return "**Demo result**: made from drawn pictures; it says nothing about photographs."
        return f"Pictures: {escape_text(self.train)}"

    @property
    def corrections_note(self) -> str:
        """Return a line about the corrections.csv of the results, "" where there is none."""
        usual = self.results / "corrections.csv"
        if not usual.exists():
            return ""
        if self.corrections == usual:
            return f"Note: labels are corrected by {usual}."
        return f'Note: {usual} is not read, since "corrections" is {self.corrections}.'

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
            f"{name} is not in {self.results}. In Colab, where each notebook has a machine of its own, mount "
            f"Google Drive, or open 00_start_here. The notebook {made_by} writes it: run that first."
        )

    def save_table(self, table: pd.DataFrame, name: str) -> None:
        """Write a table, without its index, as the CSV file `name` of the results."""
        write_table(table, self.file(name))

    def save_json(self, content: dict | list, name: str) -> None:
        """Write `content` as the JSON file `name` of the results."""
        text = json.dumps(content, indent=2, ensure_ascii=False)
        with atomic_write(self.file(name)) as part:
            part.write_text(text, encoding="utf-8")

    def save_paths(self) -> Path:
        """Write these paths, without the cluster, as run_paths.json of the results."""
        paths = {}
        for key in PLACES:
            value = getattr(self, key)
            # The next run looks for corrections there, too, and may find none.
            if value and value != self.results / "corrections.csv":
                paths[key] = str(value)
        self.save_json(paths, "run_paths.json")
        return self.results / "run_paths.json"

    def claim(self) -> None:
        """Mark results and scratch as ours, before anything else is written there."""
        folders.mark(self.results, "results")
        folders.mark(self.scratch, "scratch")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, without its index, as a CSV file that `read_table` reads."""
    with atomic_write(path) as part:
        guard_cells(table).to_csv(part, index=False, lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text; a class named "NA", "007" or "=x" stays what it is."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.map(read_cell).rename(columns=read_cell)


def open(  # noqa: A001 - reads as workspace.open
    paths_file: str | Path | None = None, results: Path | None = None
) -> Workspace:
    """Open the workspace of a paths file, or that of the demo when there is none, and mark it as ours.

    Args and errors are those of `read`.
    """
    ws = read(paths_file, results)
    ws.claim()
    return ws


def read(
    paths_file: str | Path | None = None, results: Path | None = None
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
    named = paths_file or os.environ.get("DRIVE_PATHS")
    if not named:
        try:
            storage.mount_drive()
        except OSError as error:
            print(f"Note: {error} Until then: the demo, on this machine alone.")
    found = _find_paths_file(named).resolve()
    paths = read_paths(found)
    cluster = os.environ.get(SCHEDULER, paths.pop("cluster", None))
    places = {key: _resolve(key, paths[key], found) for key in paths}
    if found == DEMO_PATHS and not named and storage.DRIVE.exists():
        places["results"] = storage.DRIVE / DEMO_ON_DRIVE
    if results is not None:
        places["results"] = results.resolve()
    usual = places["results"] / "corrections.csv"
    if usual.exists():
        places.setdefault("corrections", usual)
    ws = Workspace(**places, cluster=cluster, paths_file=found)
    check_places(ws)
    # The demo's pictures are unpacked when they are first opened.
    if not ws.is_demo:
        for key in READ:
            path = getattr(ws, key)
            if path and not str(path).startswith(KAGGLE):
                check_exists(path, f'It is "{key}": correct it in {found}.')
    return ws


def _find_paths_file(named):
    if str(named) == "demo":
        return DEMO_PATHS
    if named:
        # A kernel runs in the folder of its notebook.
        files = [Path(named), REPOSITORY / named]
    else:
        files = [REPOSITORY / MINE, storage.DRIVE / MINE, DEMO_PATHS]
    return next(filter(Path.exists, files), files[0])


def _resolve(key, value, file):
    value = value.strip()
    # What lies on Kaggle has no local path before it is downloaded.
    if value.startswith(KAGGLE):
        return Path(value)
    if NO_PATH.match(value):
        raise ValueError(
            f'{file}: "{key}" is "{value}", which is no path on this machine: write one.'
        )
    return (file.parent / Path(value).expanduser()).resolve()


def check_places(ws: Workspace) -> None:
    """Raise a ValueError where results or scratch are not ours, or lie where they must not."""
    folders.check_apart(asdict(ws), REPOSITORY)
    for kind in folders.KINDS:
        folder = getattr(ws, kind)
        # Those of the demo may be older than markers.
        is_of_demo = folder.is_relative_to(REPOSITORY / "demo")
        is_demo_on_drive = folder == storage.DRIVE / DEMO_ON_DRIVE
        if not (is_of_demo or is_demo_on_drive):
            folders.check_ours(folder, kind, opened=ws.paths_file)
