"""The paths file, drive_paths.json: what a person means by a path, and which folders are ours to write."""

import codecs
import json
import os
import re
from pathlib import Path

from lib.base import storage
from lib.base.escapes import list_some
from lib.base.parameters import suggest

KEYS = """train results scratch train_labels corrections validation test test_labels multi_labels
parents cluster encoding""".split()
# These are no paths.
WORDS = ("cluster", "encoding")
MARKER = "about_this_folder.txt"
# What is written.
OURS = ("results", "scratch")
REQUIRED = ("train", *OURS)
ABOUT = """Results or scratch of the image classifier notebooks; scratch may be deleted at any time.

The notebooks write, replace and delete files here. Keep nothing of your own in this folder: copy
what you want to change or to keep to another one. (Only corrections.csv, which review.html makes,
may lie among the results.) This file says that the folder is ours: leave it here.
"""
ABOUT_UNFINISHED = "Unfinished work of lib.predict, which will delete this folder.\n"
# What systems and people may leave in any folder, and what a killed run of ours has left.
PASSED_OVER = re.compile(
    r"\..*|.*\.lock|desktop\.ini|Thumbs\.db|Icon\r|lost\+found|corrections\.csv|drive_paths\.json|"
    r"unfinished_\w{16}\.\w+"
)
# The one file of the user's that may lie among the results.
CORRECTIONS = "corrections.csv"
KAGGLE = "kaggle:"
# Data of Kaggle, or an archive: by https, or http of this machine. What Google Drive shares is a page.
ON_WEB = re.compile(
    r"kaggle:\S+|(?i:https://(?!(drive|docs)\.google\.com)|http://(localhost|127\.0\.0\.1|\[::1\])[:/])\S+"
)
ON_DRIVE = re.compile(r"(?i)(?:my ?|on |google )drive(?![^/])/*(.*)")
# What is a path elsewhere, or none.
NO_PATH = re.compile(r"(?i)\$|[\w+.-]+:|drive\.google\.com")
# The words by which folders are named after parts of a data set.
PART = re.compile(
    r"(?i)(?<![^\W\d_])(?:(?P<train>train|training|trainval)"
    r"|(?P<validation>validation|valid|val|dev|eval)|(?P<test>test|tests|testing)"
    r"|(?P<prediction>pred|predict|prediction|predictions))(?![^\W\d_])"
)


def find_part(name: str) -> str:
    """Return the part of a data set that one of the words of a name says: train for seg_train_224, "" for none."""
    part = PART.search(name)
    return part.lastgroup if part else ""


def find_path(text: str | Path, name: str, folder: Path = Path()) -> Path:
    """Return the absolute path that a person means: here, or on Google Drive, which Colab mounts for it.

    Args:
        text: as it is typed; MyDrive/x, or "on Drive/x", lies on Drive.
        name: the key, field or option that says so, for the error.
        folder: what a relative path is relative to.

    Raises:
        OSError: Drive is not mounted.
        ValueError: it is no path of this machine.
    """
    text = str(text).strip()
    place = Path(text).expanduser()
    on_drive = ON_DRIVE.fullmatch(text)
    if on_drive:
        place = storage.DRIVE / on_drive[1]
    elif NO_PATH.match(text) and not place.is_absolute():
        raise ValueError(
            f'{name} is "{text}", which is no path on this machine: write one. What lies on Google Drive '
            'is MyDrive/FOLDER, once mounted; "train" alone may be the https:// address of an archive.'
        )
    place = (folder / place).resolve()
    if storage.is_on_drive(place):
        storage.open_drive()
    return place


def read_places(file: Path) -> dict[str, Path | str]:
    """Read a paths file: what each key means; an error where one is wrong, missing or unknown.

    Text stays what has no path on this machine: the cluster, an encoding, and data on the web to learn from.
    """
    check_exists(
        file, "It should be a copy of drive_paths.example.json with your own folders."
    )
    try:
        paths = dict.fromkeys(REQUIRED) | read_json(file)
    except ValueError as error:
        raise ValueError(
            f"{error}. Write / or \\\\ between folders, not \\. See drive_paths.example.json."
        ) from error
    places = {}
    for key, value in paths.items():
        if key not in KEYS:
            raise ValueError(f'{file}: unknown key "{key}"{suggest(key, KEYS)}')
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f'{file}: "{key}" is missing, or no path in quotes.')
        places[key] = value
        if key == "encoding":
            _check_encoding(value, file)
        # What train has on the web may have parts to test and to validate on, too.
        is_web = ON_WEB.fullmatch(value) and value == paths["train"]
        if key not in WORDS and not is_web:
            places[key] = find_path(value, f'{file}: "{key}"', file.parent)
    return places


def _check_encoding(name, file):
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ValueError(f'{file}: "encoding": {error}: write one such as cp932.')


def read_json(path: Path) -> dict:
    """Read a JSON object; a ValueError where a file holds something else."""
    try:
        content = json.loads(path.read_bytes())
        return dict(content.items())
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no JSON object: {error}") from error


def check_exists(path: Path, advice: str) -> None:
    """Raise a FileNotFoundError, which says what lies beside a path, unless it exists."""
    if path.exists():
        return
    parent = next(folder for folder in path.parents if folder.is_dir())
    raise FileNotFoundError(
        f"{path} does not exist; {parent} holds: {list_some(os.listdir(parent))}. {advice}"
    )


def check_places(places: dict[str, Path | str]) -> None:
    """Check that results and scratch are ours to write, and lie in nothing that is read, or the reverse.

    Args:
        places: by the keys of the paths file; of paths, all are absolute.

    Raises:
        ValueError: they aren't, or do. Nothing is written.
    """
    named = _list_folders(places)
    for kind in OURS:
        folder = places[kind]
        others = [each for each in named if each[0] not in (kind, "corrections")]
        require_apart(kind, folder, others)
        names = [path.name for path in folder.glob("*")]
        foreign = [name for name in names if not PASSED_OVER.fullmatch(name)]
        if foreign and MARKER not in foreign:
            raise ValueError(
                f"{folder} is no folder of these notebooks, and holds {list_some(foreign)}: name a new one. (A "
                f"folder of theirs is known by its file {MARKER}, which may be empty.)"
            )


def require_apart(name: str, folder: Path, others: list[tuple[str, Path]]) -> None:
    """Raise a ValueError where a folder lies in another place, or the reverse.

    Args:
        name: what names the folder, for the error.
        others: what names each place, and the place, all absolute.
    """
    for other_name, other in others:
        if folder.is_relative_to(other) or other.is_relative_to(folder):
            raise ValueError(
                f'"{name}" is "{folder}" and "{other_name}" is "{other}": neither may lie in the other. Name '
                "another folder."
            )


def find_unfinished(place: Path) -> Path:
    """Return the folder beside a file or folder in which that is made; it bears a marker."""
    return place.with_name(f"{place.name}_unfinished")


def require_free(folder: Path) -> None:
    """Raise a ValueError unless a folder is new, empty, or was left by a stopped command."""
    marker = folder / MARKER
    is_left = marker.exists() and marker.read_text().startswith(ABOUT_UNFINISHED)
    if folder.exists() and any(folder.iterdir()) and not is_left:
        raise ValueError(f"{folder} is not new or empty: name another one.")


def _list_folders(places):
    """List all places, and the folders that may be read with them, each behind its key."""
    named = [(key, Path(place)) for key, place in places.items()]
    train = Path(places["train"])
    # A class may be a link. Archives hold no folders, nor does what isn't here.
    named += [("train", path.resolve()) for path in train.glob("*/")]
    for path in train.parent.glob("*/"):
        if find_part(path.name) == "validation":
            named.append(("validation", path.resolve()))
    return named
