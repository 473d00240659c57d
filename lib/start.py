"""The form of 00_start_here: which folders its answers mean, as arguments of the chain."""

import os
import re
import shlex
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lib import chain
from lib.base import storage, workspace
from lib.base.paths_file import read_paths
from lib.base.workspace import Workspace
from lib.data import sources
from lib.data.label_files import read_labels

# What RUN means, as options of the chain.
RUNS = {"quick": "--only 1 5 8 9", "all lessons": "", "all and beyond": "--beyond"}
# The keys of a paths file that a form writes.
KEYS = {"train", "test", "results", "scratch"}
BLANKS = " \t\n\"'"  # and quotes, which mean nothing around an answer
# As people write Google Drive, and what lies there.
DRIVE_WORDS = re.compile(r"(on\s+)?((my|google)\s*)?drive", re.IGNORECASE)
MY_DRIVE = re.compile(r"/?(?:content/)?(?:drive/)?My ?Drive(?:/(.*))?", re.IGNORECASE)
KAGGLE_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?kaggle\.com/(datasets/[\w.-]+/[\w.-]+|(?:competitions|c)/[\w.-]+).*"
)


class FormError(ValueError):
    """What is wrong with a field of the form, or that the run has stopped: shown as one sentence."""

    # IPython shows this in place of a traceback.
    def _render_traceback_(self):
        return [str(self)]


@contextmanager
def _say_in_one_sentence():
    try:
        yield
    except (OSError, ValueError) as error:
        raise FormError(storage.explain_error(error)) from error


@_say_in_one_sentence()
def read_form(pictures: str, results: str, run: str, options: str) -> list[str]:
    """Return the arguments of the chain that a form asks for; mount Drive where something lies there.

    Args:
        pictures: a folder or an archive, `kaggle:…`, a drive_paths.json, "upload", or "" for the demo.
            What isn't found here is looked for in My Drive.
        results: "here", "on Drive" (or "Drive", "Google Drive"), or a folder.
        run: a key of RUNS.
        options: further ones, as on the command line; a --only among them goes before `run`.

    Raises:
        FormError: one of them can't be used; nothing is written then.
    """
    try:
        further = shlex.split(options)
        # Alone: behind --only of a run any word would be a notebook.
        chain.parse_arguments(further)
    except (ValueError, SystemExit) as error:
        raise FormError(f"OPTIONS: {options!r} are no options of the chain.") from error
    here = workspace.REPOSITORY / "results"
    folder = _find_results(results, here)
    if storage.is_on_drive(folder):
        _open_drive()
    paths = find_pictures(pictures)
    if paths != "demo" and not paths.endswith(".json"):
        paths = str(_write_paths(Path(paths), folder))
    arguments = ["--paths", paths]
    if folder != here:
        arguments += ["--results", str(folder)]
    # Of two --only the last counts.
    return arguments + RUNS[run].split() + further


@_say_in_one_sentence()
def open_workspace(arguments: list[str]) -> Workspace:
    """Open the workspace in which the chain works with these arguments.

    Raises:
        FormError: something is wrong with the paths file or a key of it.
    """
    options = chain.parse_arguments(arguments)
    return workspace.read(options.paths, options.results)


def run_form(arguments: list[str]) -> None:
    """Run the chain; where notebooks fail and the others run all the same, say so.

    Raises:
        FormError: it has stopped.
    """
    status = chain.main(arguments, unmount=False)
    if status == chain.SOME_FAILED:
        print("Note: some notebooks failed: the lines above say which.")
    elif status:
        raise FormError(
            "It stopped: the lines above say why. Correct the form, then run all cells again: what is "
            "finished is not done twice."
        )


@_say_in_one_sentence()
def find_pictures(pictures: str) -> str:
    """Return where pictures are: "demo", `kaggle:…`, or a path here or, where Drive is asked for, there.

    Raises:
        FormError: they are nowhere, or on the web.
    """
    pictures = pictures.strip(BLANKS)
    if pictures.lower() in ("", "demo"):
        return "demo"
    if pictures.lower() == "upload":
        return str(_upload().resolve())
    page = KAGGLE_PAGE.fullmatch(pictures)
    if page:
        return workspace.KAGGLE + re.sub("^c/", "competitions/", page[1])
    if pictures.startswith(workspace.KAGGLE):
        return pictures
    path = _expand(pictures)
    # Path.exists would raise where the mount of Drive has died.
    if not os.path.exists(path) and "google.colab" in sys.modules:
        path = _open_drive() / path
    if not path.exists():
        raise FormError(
            f"{path} does not exist: write the path of a folder or file, or upload. What lies on the web "
            'is downloaded first; for data of Kaggle write "kaggle:datasets/OWNER/NAME".'
        )
    return str(path.resolve())


@_say_in_one_sentence()
def take_corrections(ws: Workspace, file: str) -> Path:
    """Copy the file that review.html has made to corrections.csv of the results, for the next run.

    Args:
        file: a path here or in My Drive, or "upload" in Colab.

    Raises:
        FormError: the file is missing, is no CSV file of file,label, or lacks earlier corrections; or
            the key corrections names another file, so this one would not be read.
    """
    path = Path(find_pictures(file))
    target = ws.results / "corrections.csv"
    if ws.corrections not in (None, target):
        raise FormError(
            f'"corrections" is {ws.corrections}, and no other file is read: put the rows of {path} there.'
        )
    files = set(read_labels(path).file)
    earlier = set(read_labels(target).file) if target.exists() else set()
    lost = sorted(earlier - files)
    if lost:
        raise FormError(
            f"{target} corrects {lost[0]}, which {path} lacks (such files: {len(lost):,}): put the rows "
            "of both into one file."
        )
    with storage.atomic_write(target) as part:
        shutil.copyfile(path, part)
    return target


def _expand(text):
    """Return a path; what is written as in My Drive lies there, unless such a folder is here."""
    path = Path(text).expanduser()
    on_drive = MY_DRIVE.fullmatch(text)
    if on_drive and not os.path.exists(path):
        return storage.DRIVE / (on_drive[1] or "")
    return path


def _find_results(results, here):
    results = results.strip(BLANKS)
    if not results:
        raise FormError("RESULTS is empty: write here, on Drive, or a folder.")
    if results.lower() == "here":
        return here
    if DRIVE_WORDS.fullmatch(results):
        return storage.DRIVE / "image_classifiers"
    return _expand(results).resolve()


def _upload():
    if "google.colab" not in sys.modules:
        raise FormError('"upload" works in Colab; elsewhere write a path.')
    from google.colab import files

    uploaded = list(files.upload())
    if len(uploaded) != 1:
        raise FormError(
            f"{len(uploaded)} files were uploaded: choose one file; a data set goes into one ZIP file."
        )
    path = Path(uploaded[0])
    # Colab numbers a name that is taken.
    earlier = path.with_stem(re.sub(r"(?<=\S) \(\d+\)$", "", path.stem))
    return path.replace(earlier) if earlier.is_file() else path


def _open_drive():
    storage.mount_drive()
    if not storage.DRIVE.exists():
        raise FormError('Google Drive is not mounted: say "here", or name a folder.')
    return storage.DRIVE


def _write_paths(pictures, results):
    """Write a paths file: `pictures` is train and, where it has a part for testing, test."""
    file = results / "run_paths.json"
    ws = Workspace(pictures, results, workspace.REPOSITORY / "scratch")
    workspace.check_places(ws)
    earlier = read_paths(file) if file.exists() else {}
    is_other = (
        earlier.get("train") != str(pictures) and (results / "split.csv").exists()
    )
    if earlier and (is_other or not earlier.keys() <= KEYS):
        raise FormError(
            f"RESULTS: {results} has results of {earlier['train']} ({', '.join(earlier)}): to go on with "
            f"them write {file} as your pictures; else name another folder."
        )
    ws.claim()
    both = replace(ws, test=pictures)
    # The chain says what is wrong with the pictures.
    with suppress(OSError, ValueError):
        if sources.open_folder(both, "test") != sources.open_folder(both, "train"):
            ws = both
    return ws.save_paths()
