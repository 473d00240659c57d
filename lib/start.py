"""The form of 00_start_here: which folders its answers mean, as arguments of the chain."""

import json
import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lib import chain, storage, workspace
from lib.data import sources

LEFT = {
    ".lock",
    "drive_paths.json",
}  # all that a results folder has before a notebook has run


class FormError(ValueError):
    """What is wrong with a field of the form, or that the run has stopped: shown as one sentence."""

    def _render_traceback_(
        self,
    ) -> list[str]:  # IPython shows this in place of a traceback.
        return [str(self)]


def read_form(pictures: str, results: str, beyond: bool, options: str) -> list[str]:
    """Return the arguments of the chain that a form asks for; mount Drive where something lies there.

    Args:
        pictures: a folder or an archive, `kaggle:…`, a drive_paths.json, "upload", or "" for the demo.
            What isn't found here is looked for in My Drive.
        results: "here", "on Drive", or a folder.
        beyond: whether 05 to 07 run, too.
        options: further ones, as on the command line.

    A FormError where one of them can't be used; nothing is written then.
    """
    try:
        further = shlex.split(options)
        chain.parse_arguments(further)
    except (ValueError, SystemExit) as error:
        raise FormError(f"OPTIONS: {options!r} are no options of the chain.") from error
    results, here = results.strip().strip("\"'"), workspace.REPOSITORY / "results"
    usual = {"here": here, "on drive": storage.DRIVE / "MyDrive/image_classifiers"}
    folder = usual.get(results.lower(), Path(results).expanduser().resolve())
    if storage.is_on_drive(folder):
        _open_drive()
    paths = find_pictures(pictures)
    has_folder = paths == "demo" or paths.endswith(".json")
    if not has_folder:
        paths = str(_write_paths(Path(paths), folder))
    elsewhere = [] if has_folder and folder == here else ["--results", str(folder)]
    return ["--paths", paths, *elsewhere, *["--beyond"] * beyond, *further]


def run_form(arguments: list[str]) -> None:
    """Run the chain; where it stops, raise a FormError, and remove a folder that is still empty."""
    if not chain.main(arguments, unmount=False):
        return
    _, paths, *rest = arguments
    folder = Path(paths).parent
    if (
        rest[:2] == ["--results", str(folder)]
        and {path.name for path in folder.iterdir()} <= LEFT
    ):
        shutil.rmtree(folder)
    raise FormError(
        "It stopped: the lines above say why. Correct the form, then run all cells again: what is "
        "finished is not done twice."
    )


def find_pictures(pictures: str) -> str:
    """Return where pictures are: "demo", `kaggle:…`, or a path here or, where Drive is asked for, there.

    A FormError where they are nowhere.
    """
    pictures = pictures.strip().strip("\"'")
    if pictures.lower() == "upload":
        if "google.colab" not in sys.modules:
            raise FormError('"upload" works in Colab; elsewhere write a path.')
        from google.colab import files

        uploaded = list(files.upload())
        if len(uploaded) != 1:
            raise FormError(
                f"{len(uploaded)} files were uploaded: choose one, for a set a ZIP file."
            )
        (pictures,) = uploaded
    if pictures.lower() in ("", "demo"):
        return "demo"
    if pictures.startswith(workspace.KAGGLE):
        return pictures
    path = Path(pictures).expanduser()
    if not path.exists() and "google.colab" in sys.modules and "://" not in pictures:
        path = _open_drive() / pictures
    if not path.exists():
        raise FormError(f"{path} does not exist: write the path of a folder or file.")
    return str(path.resolve())


def _open_drive() -> Path:
    storage.mount_drive()
    if not (storage.DRIVE / "MyDrive").exists():
        raise FormError(
            'Google Drive is not mounted here: say "here", or name a folder.'
        )
    return storage.DRIVE / "MyDrive"


def _write_paths(pictures: Path, results: Path) -> Path:
    """Write a paths file: `pictures` is train and, where it has a part for testing, test."""
    file = results / "drive_paths.json"
    if (results / "split.csv").exists() and file.exists():
        earlier = json.loads(file.read_text(encoding="utf-8"))["train"]
        if earlier != str(pictures):
            raise FormError(
                f"RESULTS: {results} has results of {earlier}: name another folder."
            )
    ws = workspace.Workspace(pictures, results, workspace.REPOSITORY / "scratch")
    both = replace(ws, test=pictures)
    with suppress(
        OSError, ValueError
    ):  # The chain says what is wrong with the pictures.
        if sources.open_folder(both, "test") != sources.open_folder(both, "train"):
            ws = both
    return ws.save_paths()
