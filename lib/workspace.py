"""The workspace: where pictures, results and scratch of one run lie."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lib import storage
from lib.parameters import suggest
from lib.storage import atomic_write, is_on_drive

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO_PATHS = Path(__file__).with_name("demo_paths.json")
KAGGLE = "kaggle:"
REQUIRED = ("train", "results", "scratch")
OPTIONAL = (
    "train_labels",
    "corrections",
    "validation",
    "test",
    "test_labels",
    "multi_labels",
)
SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # Dask's own name for it
IN_COLAB = (
    " In Colab each notebook has a machine of its own: mount Google Drive, or open 00_start_here, which "
    "runs all in one."
)


@dataclass(frozen=True)
class Workspace:
    """The folders of one run, all absolute; train, validation and test may lie in an archive."""

    train: Path  # folder of class folders; or an archive, or kaggle:…, that holds one
    results: (
        Path  # what is kept: models, histories, predictions, tables, figures, report
    )
    scratch: Path  # what can be made again: stores of pixels and features
    train_labels: Path | None = (
        None  # CSV file: file,label and, if you like, part and group
    )
    corrections: Path | None = (
        None  # CSV file of file,label: goes before all other labels
    )
    validation: Path | None = None  # as train: class folders to validate on
    test: Path | None = None  # as train: new pictures, in class folders or not
    test_labels: Path | None = None  # CSV file of file,label for the new pictures
    multi_labels: Path | None = None  # CSV file of pictures with several labels
    cluster: str | None = None  # address of a Dask scheduler, or local:N

    @property
    def is_demo(self) -> bool:
        """Whether the pictures are the drawn ones."""
        return self.train == (REPOSITORY / "demo/pictures/train").resolve()

    @property
    def data_note(self) -> str:
        """Return one line of Markdown that says which pictures a result comes from."""
        if self.is_demo:
            return "**Demo result**: made from drawn pictures; it says nothing about photographs."
        return f"Pictures: `{self.train}`"

    def file(self, *parts: str) -> Path:
        """Return the path of a results file; its folder is made when missing."""
        path = self.results.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def existing(self, name: str, made_by: str) -> Path:
        """Return the path of a results file; where it is missing, an error names who writes it."""
        if (path := self.results / name).exists():
            return path
        says = f"{name} is not in {self.results}. The notebook {made_by} writes it: run that first."
        in_colab = "google.colab" in sys.modules and not is_on_drive(path)
        raise FileNotFoundError(says + IN_COLAB * in_colab)

    def save_table(self, table, name: str) -> None:
        """Write a DataFrame, without its index, as the CSV file `name` of the results."""
        with atomic_write(self.file(name)) as part:
            table.to_csv(part, index=False, lineterminator="\n")

    def save_json(self, content, name: str) -> None:
        """Write `content` as the JSON file `name` of the results."""
        with atomic_write(self.file(name)) as part:
            part.write_text(
                json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8"
            )

    def save_paths(self) -> Path:
        """Write these paths, without the cluster, as drive_paths.json of the results."""
        paths = {k: str(v) for k, v in asdict(self).items() if v and k != "cluster"}
        self.save_json(paths, "drive_paths.json")
        return self.results / "drive_paths.json"


def open(paths_file: str | Path | None = None) -> Workspace:  # noqa: A001 - reads as workspace.open
    """Open the workspace of a paths file, or that of the demo when there is none.

    Args:
        paths_file: a drive_paths.json, or "demo"; None takes the environment variable DRIVE_PATHS,
            then drive_paths.json in the repository, then (in Colab) the one at the top of My Drive,
            then the demo, whose results go to Google Drive where that is mounted.
    A FileNotFoundError or ValueError says what is wrong with the file or a key of it.
    """
    named, drive = (
        paths_file or os.environ.get("DRIVE_PATHS"),
        storage.DRIVE / "MyDrive",
    )
    if not named:
        storage.mount_drive()
    usual = (REPOSITORY / "drive_paths.json", drive / "drive_paths.json", DEMO_PATHS)
    found = Path(named) if named else next(path for path in usual if path.exists())
    found = DEMO_PATHS if str(named) == "demo" else found
    paths, base = _read_paths(found), found.resolve().parent
    given = paths.pop("cluster", None)
    cluster = os.environ.get(SCHEDULER) or given
    folders = {k: (base / Path(v).expanduser()).resolve() for k, v in paths.items()}
    # What lies on Kaggle has no local path before it is downloaded.
    folders |= {k: Path(v) for k, v in paths.items() if v.startswith(KAGGLE)}
    if found == DEMO_PATHS and not named and drive.exists():
        folders["results"] = drive / "image_classifiers_demo/results"
    ws = Workspace(**folders, cluster=cluster)
    check_apart(ws)
    for key in ("train", *OPTIONAL):
        path = getattr(ws, key)
        # The demo's pictures are drawn when they are first opened.
        if path and not ws.is_demo and not str(path).startswith(KAGGLE):
            _check_exists(path, f'It is "{key}": correct it in {found}.')
    return ws


def _read_paths(path: Path) -> dict[str, str]:
    _check_exists(
        path, "It should be a copy of drive_paths.example.json with your own folders."
    )
    try:
        text = path.read_text(encoding="utf-8-sig")
        paths = json.loads(text)
        if not isinstance(paths, dict):
            raise ValueError("it must hold one {…} object")
    except ValueError as error:
        hint = (
            " Write / or \\\\ between folders, not \\."
            if "escape" in str(error)
            else ""
        )
        raise ValueError(
            f"{path} is no valid JSON: {error}.{hint} See drive_paths.example.json."
        )
    known = (*REQUIRED, *OPTIONAL, "cluster")
    for key, value in paths.items():
        if key not in known:
            raise ValueError(f'{path}: unknown key "{key}"{suggest(key, known)}')
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                f'{path}: "{key}" must be the path of a folder or file, in quotes.'
            )
    for key in {*REQUIRED} - {*paths}:
        raise ValueError(
            f'{path}: the key "{key}" is missing. Keys needed: {REQUIRED}.'
        )
    return paths


def _check_exists(path: Path, advice: str) -> None:
    if path.exists():
        return
    if is_on_drive(path) and not (storage.DRIVE / "MyDrive").exists():
        raise FileNotFoundError(
            f"{path} is on Google Drive, which is not mounted. Run in a cell of the notebook: "
            f'from google.colab import drive; drive.mount("{storage.DRIVE}")'
        )
    parent = next(folder for folder in path.absolute().parents if folder.is_dir())
    beside = (
        ", ".join(sorted(entry.name for entry in parent.iterdir())[:12]) or "nothing"
    )
    raise FileNotFoundError(
        f"{path} does not exist; {parent} holds: {beside}. {advice}"
    )


def check_apart(ws: Workspace) -> None:
    """Raise a ValueError where results or scratch lie in train, validation or test, or one in another."""
    for key in ("train", "validation", "test"):
        for written in ("results", "scratch", "validation"):
            pictures, folder = getattr(ws, key), getattr(ws, written)
            if (
                key != written
                and pictures
                and folder
                and folder.is_relative_to(pictures)
            ):
                raise ValueError(
                    f'"{written}" is "{folder}", inside "{key}": give another folder.'
                )
