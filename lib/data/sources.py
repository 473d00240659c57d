"""Which folder is meant: of folders, archives and data of Kaggle, and of what lies in them."""

import os
from pathlib import Path

from lib.base.escapes import list_some
from lib.base.paths_file import KAGGLE, find_part, require_apart
from lib.base.workspace import Workspace
from lib.data import archives
from lib.data.listing import holds_pictures, list_folders, may_be_picture
from lib.data.names import clean


def fetch_folder(ws: Workspace, key: str) -> Path:
    """Fetch what a key of the paths means: train, validation or test; return its local folder.

    The demo's pictures are unpacked into their folder, archives into scratch; those behind an address
    are downloaded there, Kaggle's data into kagglehub's cache: each once. Inside, the part of that name
    is looked for.

    Raises:
        OSError: It holds no picture; else as `unpack`, `fetch_archive` and `fetch_from_kaggle`.
        ValueError: It isn't clear which folder is meant, or those of test and train lie in one another.
    """
    folder = _trace(ws, key)[-1]
    if key == "train" and ws.test and Path(ws.test).is_dir():
        test = _trace(ws, "test")[-1]
        # A class may be a link.
        learned = [
            ("train", each.resolve()) for each in [folder, *list_folders(folder)]
        ]
        require_apart("test", test.resolve(), learned)
    if holds_pictures(folder):
        return folder
    names = list_some(os.listdir(folder))
    raise OSError(
        f"{folder} holds no picture; in it are: {names}. Put pictures there, or name another "
        f'folder, or an archive itself, as "{key}" in drive_paths.json.'
    )


def find_validation(ws: Workspace) -> Path | None:
    """Return the configured folder of validation pictures, else one beside train, if any.

    A note names classes that are called like parts of a data set.

    Raises:
        ValueError: There are two such folders.
    """
    trail = _trace(ws, "train")
    train = trail[-1]
    classes = _list_classes(train)
    called = list_some(filter(find_part, classes))
    if called:
        print(
            f"Note: in {train} these are classes: {called}. Parts of a data set have only parts beside them."
        )
    if ws.validation:
        return fetch_folder(ws, "validation")
    beside = []
    for step in trail:
        if find_part(step.name) == "train":
            beside += list_folders(step.parent)
    if "validation" not in [find_part(path.name) for path in beside]:
        return None
    folder = _list_steps(_choose_part(beside, "validation"), "validation")[-1]
    names = _list_classes(folder)
    if names and names <= classes:
        return folder
    print(f"Note: {folder} has other folders than {train}: it isn't used.")
    return None


def _list_classes(folder):
    """Return the names of the folders with pictures, equal where they look alike."""
    return {clean(path.name) for path in list_folders(folder) if holds_pictures(path)}


def _trace(ws, key):
    """Return the folders to go through, after download and unpacking; the last is what a key means."""
    place = getattr(ws, key)
    if ws.is_demo:
        archives.unpack_demo(ws.train.parent)
    elif str(place).startswith(KAGGLE):
        place = archives.fetch_from_kaggle(place.removeprefix(KAGGLE))
    elif isinstance(place, str):
        place = archives.fetch_archive(place, ws.scratch, ws.encoding)
    elif place.is_file():
        place = archives.unpack(place, ws.scratch, ws.encoding)
    return _list_steps(place, key)


def _list_steps(folder, key):
    """Return a folder, and those in it that lead to the classes or new pictures, the last of which holds them."""
    steps = [folder]
    while step := _find_step(steps[-1], key):
        steps.append(step)
    return steps


def _find_step(folder, key):
    """Return the folder to look into next, None where the classes or new pictures lie here.

    That is the part that a key asks for, where all folders that hold pictures are parts, else a single
    folder that holds folders, if no picture lies beside it.
    """
    folders = list(filter(holds_pictures, list_folders(folder)))
    if folders and all(find_part(path.name) for path in folders):
        return _choose_part(folders, key)
    is_alone = len(folders) == 1 and not any(map(may_be_picture, folder.iterdir()))
    return folders[0] if is_alone and list_folders(folders[0]) else None


def _choose_part(folders, key):
    """Return the one part of a data set among folders that a key asks for; none or several are an error."""
    named = [path for path in folders if find_part(path.name) == key]
    if len(named) == 1:
        return named[0]
    parent = folders[0].parent
    names = list_some(path.name for path in folders)
    raise ValueError(
        f"{parent} holds {names}, and which of them is meant is not clear. Write "
        f'"{key}": "{parent.as_posix()}/NAME" into drive_paths.json. If these are classes, rename those that '
        "are called like a part of a data set."
    )
