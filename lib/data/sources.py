"""Which folder is meant: of folders, archives and data of Kaggle, and of what lies in them."""

import os
from pathlib import Path

from lib.data import archives, demo
from lib.data.listing import (
    TEXT_ENDINGS,
    holds_pictures,
    is_junk,
    list_files_below,
    list_folders,
    may_be_picture,
)
from lib.data.names import clean, split_part_name
from lib.workspace import KAGGLE, Workspace


def open_folder(ws: Workspace, key: str) -> Path:
    """Return the local folder that a key of the paths means: train, validation or test.

    The demo's pictures are unpacked into their folder, archives into scratch, Kaggle's data
    downloaded into kagglehub's cache, each once; inside, the part of that name is looked for.

    Raises:
        ValueError: There is no such part, or no picture but archives; else as `unpack`.
        ConnectionError: As `download`.
    """
    if ws.is_demo:
        demo.unpack_pictures(ws.train.parent)
    folder = _trace(getattr(ws, key), key, ws.scratch)[-1]
    _refuse_archives(folder, key)
    return folder


def find_validation(ws: Workspace) -> Path | None:
    """Return the configured folder of validation pictures, else one beside train, if any.

    That counts only if the folders in it are the classes.

    Raises:
        ValueError: There are two such folders, or one of train, validation and test lies in another.
    """
    trail = _trace(ws.train, "train", ws.scratch)
    if ws.validation:
        validation = open_folder(ws, "validation")
    else:
        validation = _find_validation_beside(ws, trail)
    opened = {"train": trail[-1], "validation": validation}
    if ws.test:
        opened["test"] = open_folder(ws, "test")
    _require_apart(opened)
    return validation


def _find_validation_beside(ws, trail):
    found = []
    for folder in _list_validation_beside(trail, ws.scratch):
        opened = _trace(folder, "validation", ws.scratch)[-1]
        if _has_classes_of(opened, trail[-1], has_labels=bool(ws.train_labels)):
            found.append(opened)
        else:
            print(
                f"Note: {folder} has no folders of the classes alone and is not used."
            )
    if len(found) > 1:
        raise ValueError(
            f"{found[0]} and {found[1]} may both be the validation part: name one as "
            '"validation" in drive_paths.json, or move the other away.'
        )
    return found[0] if found else None


def _require_apart(opened):
    """Raise a ValueError where a folder, by its key, is another one or lies in it."""
    for key, folder in opened.items():
        for other_key, other in opened.items():
            is_pair = key != other_key and folder is not None and other is not None
            if is_pair and folder.is_relative_to(other):
                raise ValueError(
                    f'"{key}" in drive_paths.json means {folder}, and "{other_key}" {other}: pictures '
                    "that were learned from test nothing. Name another folder, or leave one out."
                )


def _list_validation_beside(trail, scratch):
    """List the folders beside those of the trail that are called like them, but validation."""
    beside = []
    for path in trail:
        part, rest = split_part_name(path.name)
        # In scratch lie the archives of other sets, too.
        if part == "train" and path.parent != scratch:
            for other in list_folders(path.parent):
                if split_part_name(other.name) == ("validation", rest):
                    beside.append(other)
    return beside


def _has_classes_of(folder, train, has_labels):
    folders = list(filter(holds_pictures, list_folders(folder)))
    if has_labels or not folders:
        return bool(folders)
    classes = _clean_folder_names(list_folders(train))
    return _clean_folder_names(folders).issubset(classes)


def _clean_folder_names(folders):
    return {clean(folder.name) for folder in folders}


def require_pictures(ws: Workspace) -> None:
    """Raise a ValueError where `train` holds no picture."""
    folder = open_folder(ws, "train")
    if not holds_pictures(folder):
        raise ValueError(
            f"{folder} holds no picture: put some there, or name another folder."
        )


def has_classes(ws: Workspace) -> bool:
    """Tell whether labels, or two class folders or more in `train`, tell classes."""
    if ws.is_demo or ws.train_labels is not None:
        return True
    folders = list_folders(open_folder(ws, "train"))
    return sum(map(holds_pictures, folders)) > 1


def _trace(path, key, scratch):
    """Return the folders to go through; the last is the folder that is meant."""
    if str(path).startswith(KAGGLE):
        path = archives.download(str(path).removeprefix(KAGGLE))
    trail = [path]
    if path.is_file():
        trail.append(archives.unpack(path, scratch))
    step = _find_step(trail[-1], key)
    while step is not None:
        trail.append(step)
        step = _find_step(step, key)
    return trail


def _find_step(folder, key):
    """Return where to look next: the part asked for, or an only folder of folders; None at the end."""
    has_pictures = any(map(may_be_picture, _list_files(folder)))
    if key == "test" and has_pictures:
        return None
    folders = [path for path in list_folders(folder) if holds_pictures(path)]
    if _are_parts(folders):
        return _choose_part(folder, folders, key)
    if len(folders) == 1 and list_folders(folders[0]) and not has_pictures:
        _refuse_unread_folders(folder, folders[0], key)
        return folders[0]
    return None


def _list_files(folder):
    for entry in os.scandir(folder):
        if entry.is_file() and not is_junk(entry.name):
            yield Path(entry)


def _are_parts(folders):
    """Tell whether folders are the parts of a data set, and not classes."""
    parts = set()
    bare_parts = set()
    for path in folders:
        part, rest = split_part_name(path.name)
        parts.add(part)
        if not rest:
            bare_parts.add(part)
    if None in parts:
        # Beside others, a part is called train and not train_station.
        return len(bare_parts - {None}) > 1
    # Named after one part alone they may be classes, say of trains, unless they hold folders.
    return len(parts) > 1 or any(map(list_folders, folders))


def _choose_part(folder, folders, key):
    parts = [split_part_name(path.name)[0] for path in folders]
    if None not in parts and parts.count(key) == 1:
        return folders[parts.index(key)]
    names = [path.name for path in folders]
    raise ValueError(
        f"{folder} holds the parts of a data set, not classes: {', '.join(names)}. "
        f'Point "{key}" in drive_paths.json at a folder of class folders.'
    )


def _refuse_unread_folders(folder, only, key):
    """Raise a ValueError where folders beside the only one with pictures hold more than texts."""
    for other in list_folders(folder):
        endings = {path.suffix.lower() for path in list_files_below(other)}
        holds_texts = bool(endings) and endings.issubset(TEXT_ENDINGS)
        if other != only and not holds_texts:
            raise ValueError(
                f"{folder} holds {only.name}, which has folders of pictures, and {other.name}, which "
                f'has no picture. Point "{key}" in drive_paths.json at {only}, if its folders are the '
                f"classes; else fill or remove {other.name}."
            )


def _refuse_archives(folder, key):
    """Raise a ValueError where a folder holds archives, and no picture."""
    if holds_pictures(folder):
        return
    names = []
    for path in _list_files(folder):
        if path.suffix.lower() in archives.ENDINGS:
            names.append(path.name)
    if names:
        raise ValueError(
            f"{folder} holds no picture, but {', '.join(sorted(names)[:5])}: point "
            f'"{key}" in drive_paths.json at the archive itself.'
        )
