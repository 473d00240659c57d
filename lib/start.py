"""The form of 00_start_here: which folders its answers mean, as arguments of the chain."""

import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lib import chain
from lib.base import storage, workspace
from lib.base.paths_file import ON_WEB, check_exists, check_places, find_path
from lib.base.workspace import ON_DRIVE, REPOSITORY, Workspace
from lib.data import sources

# What RUN means, as options of the chain.
RUNS = {"quick": "--only 1 5 8 9", "all lessons": "", "all and beyond": "--beyond"}
# 3,670 photographs in five classes, of TensorFlow's tutorials; LICENSE.txt in it says Creative Commons
# By-Attribution 2.0, and names the photographers.
FLOWERS = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
NAMED = {"": "demo", "demo": "demo", "flowers": FLOWERS}


class FormError(ValueError):
    """What is wrong with a field of the form, or that the run has stopped: shown as one sentence."""

    # IPython shows this in place of a traceback.
    def _render_traceback_(self):
        return [str(self)]


def prepare_run(
    pictures: str, results: str, run: str, options: str
) -> tuple[list[str], Workspace]:
    """Prepare the run that a form asks for; return the arguments of the chain, and the workspace of it.

    Google Drive is mounted where something lies there, and pictures are uploaded, downloaded and unpacked. Results
    and scratch are claimed, and a paths file is written there.

    Args:
        pictures: a folder or an archive, its address, `kaggle:…`, a drive_paths.json, "upload",
            "flowers" or "demo".
        results: "here", "on Drive", or a folder.
        run: a key of RUNS.
        options: further ones, as on the command line; a --only among them goes before `run`.

    Raises:
        FormError: one of them can't be used.
    """
    try:
        arguments = _prepare_arguments(pictures, results, run, options)
        asked = chain.parse_arguments(arguments)
        return arguments, workspace.read(asked.paths, asked.results)
    except (OSError, ValueError) as error:
        raise FormError(str(error)) from error


def _prepare_arguments(pictures, results, run, options):
    """Return the arguments of the chain; fetch pictures that are no demo, and write their paths file."""
    further = shlex.split(options)
    # Alone: behind --only of a run any word would be a notebook.
    chain.parse_arguments(further)
    paths = find_pictures(pictures)
    arguments = []
    # Those of flowers and of the demo lie beside one's own.
    whose = f"_{pictures or 'demo'}" if pictures in NAMED else ""
    folder = REPOSITORY / f"results{whose}"
    if results.lower() != "here":
        folder = find_path(results, "RESULTS")
        if folder == storage.DRIVE:
            folder /= f"{ON_DRIVE}{whose}"
        arguments = ["--results", str(folder)]
    if paths != "demo" and not str(paths).endswith(".json"):
        paths = _write_paths(paths, folder)
    # Of two --only the last counts.
    arguments += RUNS[run].split() + further
    return ["--paths", str(paths), *arguments]


def run_form(arguments: list[str]) -> None:
    """Run the chain.

    Raises:
        FormError: it has stopped.
    """
    if chain.main(arguments, unmount=False):
        raise FormError(
            "It stopped: the lines above say why. Correct the form, then run all cells again: what is "
            "finished is not done twice."
        )


def find_pictures(pictures: str) -> Path | str:
    """Return where pictures are: "demo", an address, `kaggle:…`, or a path here or on Google Drive.

    Raises:
        OSError, ValueError: they are nowhere.
    """
    if pictures in NAMED:
        return NAMED[pictures]
    if pictures == "upload":
        return _upload()
    if ON_WEB.fullmatch(pictures):
        return pictures
    path = find_path(pictures, "PICTURES")
    check_exists(path, "Write a path, demo, flowers, upload, or kaggle:datasets/….")
    return path


def _upload():
    """Ask for one file, as Colab does; return its path."""
    if "google.colab" not in sys.modules:
        raise ValueError('"upload" works in Colab; elsewhere write a path.')
    from google.colab import files

    uploaded = list(files.upload())
    if len(uploaded) != 1:
        raise ValueError("Choose one file; a data set goes into one ZIP file.")
    return Path(uploaded[0]).resolve()


def _write_paths(train, results):
    """Write a paths file: these pictures are train and, where they have a part for testing, test."""
    places = {"train": train, "results": results, "scratch": REPOSITORY / "scratch"}
    check_places(places)
    ws = Workspace(**places)
    ws.claim()
    folder = sources.fetch_folder(ws, "train")
    both = replace(ws, test=train)
    # Where it isn't clear which part is for testing, none is.
    with suppress(ValueError):
        if sources.fetch_folder(both, "test") != folder:
            ws = both
    return ws.save_paths()
