"""The form of 00_start_here: which folders its answers mean, as arguments of the chain."""

import json
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lib import chain, storage, workspace
from lib.data import sources


def read_form(pictures: str, results: str, beyond: bool, options: str) -> list[str]:
    """Return the arguments of the chain that a form asks for; mount Drive where something lies there.

    Args:
        pictures: a folder or an archive, `kaggle:…`, a drive_paths.json, "upload", or "" for the demo.
            What isn't found here is looked for in My Drive.
        results: "here", "on Drive", or a folder.
        beyond: whether 05 to 07 run, too.
        options: further ones, as on the command line.

    A FileNotFoundError or ValueError where one of them can't be used; nothing is written then.
    """
    try:
        further = shlex.split(options)
        chain.parse_arguments(further)
    except (ValueError, SystemExit) as error:
        raise ValueError(f"OPTIONS: {options!r} are no options of the chain.") from error
    results, here = results.strip().strip("\"'"), workspace.REPOSITORY / "results"
    usual = {"here": here, "on drive": storage.DRIVE / "MyDrive/image_classifiers"}
    folder = usual.get(results.lower(), Path(results).expanduser().resolve())
    if storage.is_on_drive(folder):
        _open_drive()
    paths = find_pictures(pictures)
    if paths != "demo" and not paths.endswith(".json"):
        paths = str(_write_paths(Path(paths), folder))
    # Demo and paths files have a folder of their own.
    elsewhere = [] if folder == here else ["--results", str(folder)]
    return ["--paths", paths, *elsewhere, *["--beyond"] * beyond, *further]


def find_pictures(pictures: str) -> str:
    """Return where pictures are: "demo", `kaggle:…`, or a path here or, where Drive is asked for, there.

    A FileNotFoundError or ValueError where they are nowhere.
    """
    pictures = pictures.strip().strip("\"'")
    if pictures.lower() == "upload":
        pictures = _upload()
    if pictures.lower() in ("", "demo"):
        return "demo"
    if pictures.startswith(workspace.KAGGLE):
        return pictures
    path = Path(pictures).expanduser()
    if not path.exists() and "google.colab" in sys.modules and "://" not in pictures:
        path = _open_drive() / pictures
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: write the path of a folder or file.")
    return str(path.resolve())


def _upload() -> str:
    if "google.colab" not in sys.modules:
        raise ValueError('"upload" works in Colab; elsewhere write a path.')
    from google.colab import files

    uploaded = list(files.upload())
    if len(uploaded) != 1:
        raise ValueError(f"{len(uploaded)} files were uploaded: choose one, for a set a ZIP file.")
    return uploaded[0]


def _open_drive() -> Path:
    storage.mount_drive()
    if not (storage.DRIVE / "MyDrive").exists():
        raise FileNotFoundError('Google Drive is not mounted here: say "here", or name a folder.')
    return storage.DRIVE / "MyDrive"


def _write_paths(pictures: Path, results: Path) -> Path:
    """Write a paths file: `pictures` is train and, where it has a part for testing, test."""
    if results.is_relative_to(pictures):
        raise ValueError(f"RESULTS: {results} lies inside PICTURES: name another folder.")
    file = results / "drive_paths.json"
    has_results = (results / "split.csv").exists() or (results / "models").exists()
    if has_results and file.exists():
        earlier = json.loads(file.read_text(encoding="utf-8"))["train"]
        if earlier != str(pictures):
            raise ValueError(f"RESULTS: {results} has results of {earlier}: name another folder.")
    ws = workspace.Workspace(pictures, results, workspace.REPOSITORY / "scratch")
    try:
        sources.require_pictures(ws)
    except ValueError as error:
        raise ValueError(f"PICTURES: {error}") from error
    both = replace(ws, test=pictures)
    with suppress(ValueError):
        if sources.open_folder(both, "test") != sources.open_folder(both, "train"):
            ws = both
    return ws.save_paths()
