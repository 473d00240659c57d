"""The paths file, drive_paths.json: read, with errors that say what is wrong and what to do."""

import json
import os
from pathlib import Path

from lib.base import storage
from lib.base.escapes import list_some
from lib.base.parameters import suggest

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
    if storage.is_on_drive(path) and not storage.DRIVE.exists():
        raise FileNotFoundError(
            f"{path} is on Google Drive, which is not mounted. {storage.MOUNT_AGAIN}"
        )
    parent = next(folder for folder in path.absolute().parents if folder.is_dir())
    beside = list_some(os.listdir(parent)) or "nothing"
    raise FileNotFoundError(
        f"{path} does not exist; {parent} holds: {beside}. {advice}"
    )
