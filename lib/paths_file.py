"""The paths file, drive_paths.json: read, with errors that say what is wrong and what to do."""

import json
import os
import re
from pathlib import Path

from lib import storage
from lib.escapes import list_some
from lib.parameters import suggest

REQUIRED = ("train", "results", "scratch")
OPTIONAL = (
    "train_labels",
    "corrections",
    "validation",
    "test",
    "test_labels",
    "multi_labels",
)
PLACES = REQUIRED + OPTIONAL
KEYS = PLACES + ("cluster",)
# Those of what is read, and never written.
READ = ("train",) + OPTIONAL
KAGGLE = "kaggle:"
# Of an archive: https, or http of this machine. What Google Drive shares is a page.
ADDRESS = re.compile(
    r"(https://(?!(drive|docs)\.google\.com)|http://(localhost|127\.0\.0\.1|\[::1\])[:/])\S+",
    re.IGNORECASE,
)
# My Drive, as Google names it in some languages, below any folder; or Drive, as people say it.
MY_DRIVE = "my ?drive|meine ablage|mon drive|mi unidad|meu drive|il mio drive"
ON_DRIVE = re.compile(
    rf"(?:on\s+)?(?P<top>(?:.*?[\\/])?(?:{MY_DRIVE})|(?:google\s*)?drive)(?:[\\/]+(?P<path>.*))?",
    re.IGNORECASE,
)
# What is a path elsewhere, or none.
DISK = "" if os.name == "nt" else r"|[a-z]:[\\/]"
NO_PATH = re.compile(r"\$|[\w+.-]{2,}:[\\/]|drive\.google\.com" + DISK, re.IGNORECASE)


def is_address(value: str | Path) -> bool:
    """Tell whether a value of `train` is the address of an archive, and no path."""
    return ADDRESS.fullmatch(str(value)) is not None


def find_path(text: str, folder: Path, name: str) -> Path:
    """Return the absolute path that a person means: here, or on Google Drive, which Colab mounts for it.

    Args:
        text: as it is typed.
        folder: what a relative path is relative to.
        name: the key, field or option that says so, for the error.

    Raises:
        OSError: Drive is not mounted.
        ValueError: it is no path of this machine.
    """
    text = text.strip()
    on_drive = ON_DRIVE.fullmatch(text)
    if on_drive:
        # A folder here goes first, unless it is where Colab mounts Drive.
        here = folder / Path(on_drive["top"]).expanduser()
        if here == storage.DRIVE.parent or not os.path.exists(here):
            return storage.open_drive() / (on_drive["path"] or "")
    elif NO_PATH.match(text):
        raise ValueError(
            f'{name} is "{text}", which is no path on this machine: write one. What lies on Google Drive is '
            'MyDrive/FOLDER, once that is mounted; "train" alone may be the https:// address of an archive.'
        )
    return (folder / Path(text).expanduser()).resolve()


def read_paths(path: Path) -> dict[str, str]:
    """Read a paths file; an error where it is missing, or a key is wrong, missing or unknown."""
    check_exists(
        path, "It should be a copy of drive_paths.example.json with your own folders."
    )
    paths = read_json(path)
    for key in (*paths, *REQUIRED):
        if key not in KEYS:
            raise ValueError(f'{path}: unknown key "{key}"{suggest(key, KEYS)}')
        value = paths.get(key)
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                f'{path}: "{key}" is missing, or no path of a folder or file in quotes.'
            )
    return paths


def read_json(path: Path) -> dict:
    """Read a JSON object; a ValueError where a file holds something else, or a key twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, object_pairs_hook=_refuse_twins)
        if not isinstance(content, dict):
            raise ValueError("it must hold one {…} object")
    except ValueError as error:
        raise ValueError(
            f"{path} is no valid JSON: {error}. Write / or \\\\ between folders, not \\. "
            "See drive_paths.example.json."
        )
    return content


def _refuse_twins(pairs):
    content = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f'the key "{key}" stands there twice')
        content[key] = value
    return content


def check_exists(path: Path, advice: str) -> None:
    """Raise a FileNotFoundError, which says what lies beside a path, unless it exists."""
    if path.exists():
        return
    parent = next(folder for folder in path.absolute().parents if folder.is_dir())
    beside = list_some(os.listdir(parent)) or "nothing"
    raise FileNotFoundError(
        f"{path} does not exist; {parent} holds: {beside}. {advice}"
    )
