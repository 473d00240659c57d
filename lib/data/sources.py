"""Which folder is meant: of folders, archives and data of Kaggle, and of what lies in them."""

import itertools
import os
from pathlib import Path

from lib.base.escapes import list_some
from lib.base.paths_file import KAGGLE
from lib.base.workspace import Workspace
from lib.data import archives, demo, downloads
from lib.data.listing import holds_pictures, list_folders, may_be_picture
from lib.data.names import clean, split_part_name


def open_folder(ws: Workspace, key: str) -> Path:
    """Return the local folder that a key of the paths means: train, validation or test.

    The demo's pictures are unpacked into their folder, archives into scratch; those behind an address
    are downloaded there, Kaggle's data into kagglehub's cache: each once. Inside, the part of that name
    is looked for.

    Raises:
        ValueError: It isn't clear which folder is meant, or it holds no picture; else as `unpack`,
            `fetch_archive` and `fetch_from_kaggle`.
    """
    if ws.is_demo:
        demo.unpack_pictures(ws.train.parent)
    folder = _trace(ws, key)[-1]
    if holds_pictures(folder):
        return folder
    names = list_some(os.listdir(folder))
    raise ValueError(
        f"{folder} holds no picture; in it are: {names}. Put pictures there, or name another "
        f'folder, or an archive itself, as "{key}" in drive_paths.json.'
    )


def find_validation(ws: Workspace) -> Path | None:
    """Return the configured folder of validation pictures, else one beside train, if any.

    That counts only if the folders in it are folders of train, too.

    Raises:
        ValueError: There are two such folders, or one of train, validation and test lies in another.
    """
    trail = _trace(ws, "train")
    opened = {"train": trail[-1]}
    for key in ("validation", "test"):
        if getattr(ws, key):
            opened[key] = open_folder(ws, key)
    if not ws.validation:
        opened["validation"] = _find_validation_beside(trail)
    for key, other in itertools.permutations(filter(opened.get, opened), 2):
        folder = opened[key].resolve()
        if folder.is_relative_to(opened[other].resolve()):
            raise ValueError(
                f'"{key}" in drive_paths.json means {folder}, which is or lies in "{other}": pictures that '
                "were learned from test nothing. Name another folder, or leave one out."
            )
    return opened["validation"]


def _find_validation_beside(trail):
    """Return the first folder of the classes beside one of the trail, or None; a note tells of others."""
    classes = _clean_names(list_folders(trail[-1]))
    for train in trail:
        # Beside train, or train_224, it is called val, or val_224.
        name = ("validation", split_part_name(train.name)[1])
        beside = list_folders(train.parent)
        named = [path for path in beside if split_part_name(path.name) == name]
        folder = _find_part(named, "validation")
        if folder:
            opened = _list_steps(folder, "validation")[-1]
            names = _clean_names(filter(holds_pictures, list_folders(opened)))
            if names and names.issubset(classes):
                return opened
            print(f"Note: {folder} has other folders than {trail[-1]}: it isn't used.")
    return None


def _clean_names(folders):
    """Return the names of folders, equal where they look alike."""
    return {clean(path.name).casefold() for path in folders}


def _trace(ws, key):
    """Return the folders to go through, after download and unpacking; the last is what a key means."""
    place = getattr(ws, key)
    if str(place).startswith(KAGGLE):
        place = downloads.fetch_from_kaggle(place.removeprefix(KAGGLE))
    elif isinstance(place, str):
        place = downloads.fetch_archive(place, ws.scratch)
    elif place.is_file():
        place = archives.unpack(place, ws.scratch)
    return _list_steps(place, key)


def _list_steps(folder, key):
    """Return a folder, and those in it that lead to the classes or new pictures, the last of which holds them."""
    steps = [folder]
    while step := _find_step(steps[-1], key):
        steps.append(step)
    return steps


def _find_step(folder, key):
    """Return the folder to look into next, None where the classes or new pictures lie here.

    What holds pictures here, and what is next where the key is train:

    - oak, elm: None, as these are the classes.
    - train, val; train_224, val_224: the part that is called train.
    - leaves, which holds folders; beside it none but folders without pictures, as annotations: leaves.
    """
    folders = list(filter(holds_pictures, list_folders(folder)))
    part = _find_part(folders, key)
    if part or len(folders) != 1 or not list_folders(folders[0]):
        return part
    if any(map(may_be_picture, folder.iterdir())):
        return None
    return folders[0]


def _find_part(folders, key):
    """Return the part of a data set that a key asks for, None where the folders are classes.

    Where all folders are named after parts, it is the one that alone is named after it.
    """
    rows = [(*split_part_name(path.name), path) for path in folders]
    meant = [path for part, _, path in rows if part == key]
    if len(meant) == 1 and all(part for part, _, _ in rows):
        return meant[0]
    signs = []
    for part, rest, path in rows:
        if part:
            # Two are named after parts, and alike: train, test, extra; train, train - Copy.
            signs.append(f"/{rest}")
        # A part holds what is called as a folder beside it or in another part: train_224/oak, train_512/oak;
        # oak, elm, valid/oak; but not train/2019, bus/2019.
        signs += _clean_names(list_folders(path) if part else [path])
    if len(set(signs)) < len(signs):
        _refuse([*meant, folders[0].with_name("NAME")][0], key)
    return None


def _refuse(example, key):
    """Raise a ValueError that lists what lies beside a folder, and how to write that this one is meant."""
    names = list_some(path.name for path in list_folders(example.parent))
    raise ValueError(
        f"{example.parent} holds {names}, and which of them is meant is not clear. Write "
        f'"{key}": "{example.as_posix()}" into drive_paths.json, or another folder of classes. If these are '
        "the classes, move or rename those that hold no picture or are called like a part of a data set."
    )
