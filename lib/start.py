"""The form of 00_start_here: which folders its answers mean, as arguments of the chain."""

import json
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lib import storage, workspace
from lib.data import sources

ON_DRIVE = "image_classifiers"  # the folder of results in My Drive


def read_form(pictures: str, results: str, beyond: bool, options: str) -> list[str]:
    """Return the arguments of the chain that a form asks for; mount Drive where something lies there.

    Args:
        pictures: a folder or an archive, `kaggle:…`, a drive_paths.json, "upload", or "" for the demo.
            What isn't found here is looked for in My Drive.
        results: "here", "on Drive", or a folder.
        beyond: whether 05 to 07 run, too.
        options: further ones, as on the command line.

    A FileNotFoundError or ValueError where pictures or results can't be had.
    """
    folder, home = workspace.REPOSITORY / "results", workspace.REPOSITORY
    if results == "on Drive":
        folder = _open_drive() / ON_DRIVE
    elif results != "here":
        folder = Path(results).expanduser().resolve()
        home = folder.parent
    paths = find_pictures(pictures.strip())
    if paths != "demo" and not paths.endswith(".json"):
        paths = str(_write_paths(paths, folder, home / "scratch"))
    # Demo and paths files have a folder of their own.
    elsewhere = ["--results", str(folder)] if results != "here" else []
    return ["--paths", paths, *elsewhere, *["--beyond"] * beyond, *shlex.split(options)]


def find_pictures(pictures: str) -> str:
    """Return where pictures are: "demo", `kaggle:…`, or a path here or, where Drive is asked for, there."""
    if pictures == "upload":
        if "google.colab" not in sys.modules:
            raise ValueError('"upload" works in Colab; elsewhere give the path of a folder.')
        from google.colab import files

        pictures = next(iter(files.upload()), "")
    if not pictures or pictures.startswith(workspace.KAGGLE):
        return pictures or "demo"
    if not (path := Path(pictures).expanduser()).exists() and "google.colab" in sys.modules:
        path = _open_drive() / pictures
    return str(path.resolve())


def _open_drive() -> Path:
    storage.mount_drive()
    if not (drive := storage.DRIVE / "MyDrive").exists():
        raise FileNotFoundError('Google Drive is not mounted here: say "here", or name a folder.')
    return drive


def _write_paths(pictures: str, results: Path, scratch: Path) -> Path:
    """Write a paths file: `pictures` is train and, where it has a part for testing, test."""
    paths = {"train": pictures, "results": str(results), "scratch": str(scratch)}
    results.mkdir(parents=True, exist_ok=True)
    file = results / "drive_paths.json"
    file.write_text(json.dumps(paths), encoding="utf-8")
    ws = workspace.open(file)
    both = replace(ws, test=ws.train)
    with suppress(ValueError):
        if sources.open_folder(both, "test") != sources.open_folder(both, "train"):
            ws = both
    return ws.save_paths()
