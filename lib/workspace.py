"""Where things lie: drive_paths.json, the demo fallback, the names of result files."""

import difflib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lib import storage
from lib.parameters import check_cluster
from lib.storage import is_on_drive, whole_file

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO = REPOSITORY / "demo"
KAGGLE = "kaggle:"
REQUIRED = ("train", "results", "scratch")
OPTIONAL = ("train_labels", "corrections", "validation", "test", "test_labels")
SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # Dask's own name for it


@dataclass(frozen=True)
class Workspace:
    """The folders of one run, all absolute; train, validation and test may lie in an archive."""

    train: Path  # folder of class folders; or an archive, or kaggle:…, that holds one
    results: Path  # what is kept: models, histories, predictions, tables, figures, report
    scratch: Path  # what can be made again: pixel arrays and cached features
    train_labels: Path | None = None  # CSV file: file,label and, if you like, part and group
    corrections: Path | None = None  # CSV file of file,label: goes before all other labels
    validation: Path | None = None  # as train: class folders to validate on
    test: Path | None = None  # as train: new pictures, in class folders or not
    test_labels: Path | None = None  # CSV file of file,label for the new pictures
    cluster: str | None = None  # address of a Dask scheduler, or local:N

    @property
    def is_demo(self) -> bool:
        """Tell whether the pictures are the drawn ones."""
        return self.train == DEMO / "pictures" / "train"

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
        path = self.results / name
        if not path.exists():
            raise FileNotFoundError(
                f"{name} is not in {self.results}. The notebook {made_by} writes it: run that first."
            )
        return path

    def save_table(self, table, name: str) -> None:
        """Write a DataFrame, without its index, as the CSV file `name` of the results."""
        with whole_file(self.file(name)) as part:
            table.to_csv(part, index=False, lineterminator="\n")

    def save_json(self, content, name: str) -> None:
        """Write `content` as the JSON file `name` of the results."""
        with whole_file(self.file(name)) as part:
            part.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")

    def save_figure(self, figure, name: str) -> None:
        """Write a matplotlib figure as `figures/<name>.png` of the results."""
        with whole_file(self.file("figures", f"{name}.png")) as part:
            figure.savefig(part, dpi=110, bbox_inches="tight", facecolor="white")

    def save_paths(self) -> Path:
        """Write these paths into the results folder, as a drive_paths.json that opens them again.

        Where the work was done changes no result, and is not among them.
        """
        paths = {k: str(v) for k, v in asdict(replace(self, cluster=None)).items() if v is not None}
        self.save_json(paths, "drive_paths.json")
        return self.results / "drive_paths.json"


def open(paths_file: str | Path | None = None) -> Workspace:  # noqa: A001 - reads as workspace.open
    """Open the workspace of a paths file, or that of the demo when there is none.

    Args:
        paths_file: a drive_paths.json, or "demo"; None takes the environment variable DRIVE_PATHS,
            then drive_paths.json in the repository, then (in Colab) the one at the top of My Drive.

    Raises:
        FileNotFoundError: the file, or a folder that it names, does not exist.
        ValueError: the file is not valid JSON, or a key is missing, unknown or no text; or there is
            no cluster of that form.
    """
    named = paths_file or os.environ.get("DRIVE_PATHS")
    if not named:
        storage.mount_drive()
    usual = (REPOSITORY / "drive_paths.json", storage.DRIVE / "MyDrive" / "drive_paths.json")
    found = Path(named) if named else next((path for path in usual if path.exists()), None)
    if found is None or str(named) == "demo":
        pictures = DEMO / "pictures"
        new = {"test": pictures / "test", "test_labels": pictures / "test_labels.csv"}
        new["cluster"] = _find_cluster(None, found)
        return Workspace(pictures / "train", DEMO / "results", DEMO / "scratch", **new)
    paths, base = _read_paths(found), found.resolve().parent
    cluster = _find_cluster(paths.pop("cluster", None), found)
    folders = {k: (base / Path(v).expanduser()).resolve() for k, v in paths.items()}
    # What lies on Kaggle has no local path before it is downloaded.
    kaggle = {k: Path(v) for k, v in paths.items() if v.startswith(KAGGLE)}
    ws = Workspace(**folders | kaggle, cluster=cluster)
    check_apart(ws)
    _check_folders(ws, found)
    return ws


def _read_paths(path: Path) -> dict[str, str]:
    if not path.exists():
        _check_mount(path)
        raise FileNotFoundError(
            f"{path} does not exist. It should be a copy of drive_paths.example.json "
            "with your own folders."
        )
    try:
        paths = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_refuse_twins)
    except ValueError as error:
        hint = " Write / or \\\\ between folders, not \\." if "escape" in str(error) else ""
        raise ValueError(
            f"{path} is not valid JSON: {error}.{hint} Compare drive_paths.example.json."
        )
    if not isinstance(paths, dict):
        raise ValueError(f"{path} must hold one {{…}} object, as drive_paths.example.json does.")
    known = (*REQUIRED, *OPTIONAL, "cluster")
    for key, value in paths.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else f". Keys are: {', '.join(known)}."
            raise ValueError(f'{path}: unknown key "{key}"{hint}')
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f'{path}: "{key}" must be the path of a folder or file, in quotes.')
    for key in REQUIRED:
        if key not in paths:
            raise ValueError(f'{path}: the key "{key}" is missing. Keys needed: {REQUIRED}.')
    return paths


def _find_cluster(given: str | None, path: Path | None) -> str | None:
    named = check_cluster(os.environ.get(SCHEDULER), SCHEDULER)
    return named or check_cluster(given, f'{path}: "cluster"')


def _refuse_twins(pairs: list[tuple]) -> dict:
    keys = [key for key, _ in pairs]
    twins = [key for key in keys if keys.count(key) > 1]
    if twins:
        raise ValueError(f'the key "{twins[0]}" stands there twice')
    return dict(pairs)


def _check_mount(path: Path) -> None:
    if is_on_drive(path) and not (storage.DRIVE / "MyDrive").exists():
        raise FileNotFoundError(
            f"{path} is on Google Drive, which is not mounted. Run in a cell of the notebook: "
            f'from google.colab import drive; drive.mount("{storage.DRIVE}")'
        )


def _check_folders(ws: Workspace, found: Path) -> None:
    for key in ("train", *OPTIONAL):
        path = getattr(ws, key)
        # The demo pictures are drawn by the first notebook, after the workspace was opened.
        if path is None or ws.is_demo or path.exists() or str(path).startswith(KAGGLE):
            continue
        _check_mount(path)
        parent = next(folder for folder in path.parents if folder.is_dir())
        beside = ", ".join(sorted(entry.name for entry in parent.iterdir())[:12]) or "nothing"
        raise FileNotFoundError(
            f'{found.name}: "{key}" is "{path}", which does not exist; {parent} holds: {beside}. '
            f"Correct the path in {found}."
        )


def check_apart(ws: Workspace) -> None:
    """Raise a ValueError where results or scratch lie in train, validation or test."""
    if ws.validation and ws.validation.is_relative_to(ws.train):
        raise ValueError(
            f'"validation" is "{ws.validation}", inside "train": take it out of there.'
        )
    for written in ("results", "scratch"):
        for key in ("train", "validation", "test"):
            pictures, folder = getattr(ws, key), getattr(ws, written)
            if pictures and folder.is_relative_to(pictures):
                raise ValueError(
                    f'"{written}" is "{folder}", inside "{key}". Nothing is ever written among the '
                    "pictures: give another folder."
                )
