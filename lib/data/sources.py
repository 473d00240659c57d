"""Which folder is meant: of folders, archives and data of Kaggle, and of what lies in them."""

import itertools
import os
from pathlib import Path

from lib.base.escapes import list_some
from lib.base.workspace import KAGGLE, Workspace
from lib.data import archives, demo
from lib.data.listing import (
    holds_pictures,
    list_files_below,
    list_folders,
    list_picture_folders,
    may_be_picture,
)
from lib.data.names import clean, split_part_name


def open_folder(ws: Workspace, key: str) -> Path:
    """Return the local folder that a key of the paths means: train, validation or test.

    The demo's pictures are unpacked into their folder, archives into scratch, Kaggle's data
    downloaded into kagglehub's cache, each once; inside, the part of that name is looked for.

    Raises:
        ValueError: It isn't clear which folder is meant, or it holds no picture; else as `unpack`.
        ConnectionError: As `download`.
    """
    if ws.is_demo:
        demo.unpack_pictures(ws.train.parent)
    folder = _trace(ws, key)[-1]
    if holds_pictures(folder):
        return folder
    names = list_some(os.listdir(folder))
    raise ValueError(
        f"{folder} holds no picture; in it are: {names or 'no files'}. Put pictures there, or name another "
        f'folder, or an archive itself, as "{key}" in drive_paths.json.'
    )


def has_classes(ws: Workspace) -> bool:
    """Tell whether labels, or two class folders or more in `train`, tell classes."""
    if ws.is_demo or ws.train_labels:
        return True
    return len(list_picture_folders(open_folder(ws, "train"))) > 1


def find_validation(ws: Workspace) -> Path | None:
    """Return the configured folder of validation pictures, else one beside train, if any.

    That counts only if the folders in it are the classes.

    Raises:
        ValueError: There are two such folders, or one of train, validation and test lies in another.
    """
    trail = _trace(ws, "train")
    if ws.validation:
        validation = open_folder(ws, "validation")
    else:
        validation = _find_validation_beside(trail, has_labels=ws.train_labels)
    opened = {"train": trail[-1], "validation": validation}
    if ws.test:
        opened["test"] = open_folder(ws, "test")
    _require_apart(opened)
    return validation


def _find_validation_beside(trail, has_labels):
    """Return the first folder of the classes beside one of the trail, or None; a note tells of others."""
    classes = _clean_names(list_folders(trail[-1]))
    for folder in filter(None, map(_find_sibling, trail)):
        opened = _list_steps(folder, "validation")[-1]
        names = _clean_names(list_picture_folders(opened))
        if names and (has_labels or names.issubset(classes)):
            return opened
        print(f"Note: {folder} has no folders of the classes alone and is not used.")
    return None


def _find_sibling(train):
    """Return the folder beside train, or train_224, that is called val, or val_224."""
    part, rest = split_part_name(train.name)
    if part != "train":
        return None
    beside = []
    for path in list_folders(train.parent):
        if split_part_name(path.name) == ("validation", rest):
            beside.append(path)
    return _find_part(beside, "validation")


def _clean_names(folders):
    return {clean(path.name).casefold() for path in folders}


def _require_apart(opened):
    """Raise a ValueError where a folder, by its key, is another one or lies in it, also by a link."""
    real = {key: folder.resolve() for key, folder in opened.items() if folder}
    for key, other in itertools.permutations(real, 2):
        if real[key].is_relative_to(real[other]):
            raise ValueError(
                f'"{key}" in drive_paths.json means {real[key]}, and "{other}" {real[other]}: pictures '
                "that were learned from test nothing. Name another folder, or leave one out."
            )


def _trace(ws, key):
    """Return the folders to go through, after download and unpacking; the last is what a key means."""
    path = getattr(ws, key)
    if str(path).startswith(KAGGLE):
        path = archives.download(str(path).removeprefix(KAGGLE))
    if path.is_file():
        path = archives.unpack(path, ws.scratch)
    return _list_steps(path, key)


def _list_steps(folder, key):
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
    - leaves, which holds folders, beside an empty folder: an error.
    """
    folders = list_picture_folders(folder)
    part = _find_part(folders, key)
    if part or len(folders) != 1 or not list_folders(folders[0]):
        return part
    if any(map(may_be_picture, folder.iterdir())):
        return None
    for other in list_folders(folder):
        if not any(list_files_below(other)):
            _refuse(folders[0], key)
    return folders[0]


def _find_part(folders, key):
    """Return the part of a data set that a key asks for, None where the folders are classes.

    Folders that are all named after parts hold it, where one alone is named after it: as the others
    are (train_224, val_224), or by a part's bare name (train, test1).
    """
    names = [split_part_name(path.name) for path in folders]
    parts = [part for part, _ in names]
    rests = {rest for _, rest in names}
    is_clear = len(rests) == 1 or (key, "") in names
    if None not in parts and parts.count(key) == 1 and is_clear:
        return folders[parts.index(key)]
    if _may_be_parts(folders):
        example = folders[0].with_name("NAME")
        if key in parts:
            example = folders[parts.index(key)]
        _refuse(example, key)
    return None


def _may_be_parts(folders):
    """Tell whether folders may be parts of a data set.

    - train, test, extra; train, train - Copy: two are named after parts, and alike.
    - oak, elm, and valid that holds a folder oak: a part lies among the classes.
    - train_224, val; train_224, train_512 that hold folders: all are named after parts.
    - Not so train, bus, car, and bullet_train, steam_train that hold no folders.
    """
    parts = set()
    rests = []
    inner = []
    for path in folders:
        part, rest = split_part_name(path.name)
        parts.add(part)
        if part:
            rests.append(rest)
            inner.extend(list_folders(path))
    if len(set(rests)) < len(rests):
        return True
    if None in parts:
        return not _clean_names(inner).isdisjoint(_clean_names(folders))
    return len(parts) > 1 or bool(inner)


def _refuse(example, key):
    """Raise a ValueError that lists what lies beside a folder, and how to write that this one is meant."""
    names = list_some(path.name for path in list_folders(example.parent))
    raise ValueError(
        f"{example.parent} holds {names}, and which of them is meant is not clear. Write "
        f'"{key}": "{example.as_posix()}" into drive_paths.json, or another folder of classes. If these are '
        "the classes, move or rename those that hold no picture or are called like a part of a data set."
    )
