"""Which folder is meant: of folders, archives and data of Kaggle, and of what lies in them."""

import os
import re
from pathlib import Path

from lib.data.archives import download, unpack
from lib.data.demo import draw_dataset
from lib.data.listing import PARTS, holds_pictures, list_folders
from lib.data.pictures import ENDINGS
from lib.workspace import KAGGLE

COPY = re.compile(r"([ _-]*copy)?( ?\(\d+\))?$")  # as "train - Copy" and "train (1)"
FILLING = re.compile(r"[ -]*((data)?set|data|images)?[ -]*$")  # as "training_set"


def open_folder(ws, key: str) -> Path:
    """Return the local folder that a key of the paths means: train, validation or test.

    The demo's pictures are drawn, archives unpacked into scratch, Kaggle's data downloaded into
    kagglehub's cache, each once; inside, the part of that name is looked for. Raises a ValueError
    where there is none; else as `unpack` and `download`.
    """
    if ws.is_demo:
        draw_dataset(ws.train.parent)
    return _trace(getattr(ws, key), key, ws.scratch)[-1]


def find_validation(ws) -> Path | None:
    """Return the configured folder of validation pictures, else one beside train, if any.

    That counts only if the folders in it are the classes.
    """
    if ws.validation:
        return open_folder(ws, "validation")
    trail = _trace(ws.train, "train", ws.scratch)
    classes = {path.name for path in list_folders(trail[-1])}
    for path in trail:
        part, rest = _split_name(path.name)
        # In scratch lie the archives of other sets, too.
        is_part = part == "train" and path.parent != ws.scratch
        for other in list_folders(path.parent) if is_part else ():
            if _split_name(other.name) == ("validation", rest):
                folder = _trace(other, "validation", ws.scratch)[-1]
                names = {
                    path.name for path in filter(holds_pictures, list_folders(folder))
                }
                if names and (ws.train_labels or names <= classes):
                    return folder
                print(f"{other} has no folders of the classes and is not used.")
    return None


def require_pictures(ws) -> None:
    """Raise a ValueError where `train` holds no picture."""
    folder = open_folder(ws, "train")
    if not holds_pictures(folder):
        raise ValueError(
            f"{folder} holds no picture: put some there, or name another folder."
        )


def has_classes(ws) -> bool:
    """Tell whether labels, or two class folders or more in `train`, tell classes."""
    known = ws.is_demo or ws.train_labels is not None
    return known or sum(map(holds_pictures, list_folders(open_folder(ws, "train")))) > 1


def _trace(path: Path, key: str, scratch: Path) -> list[Path]:
    """Return the folders to go through; the last is the folder that is meant."""
    if str(path).startswith(KAGGLE):
        path = download(str(path).removeprefix(KAGGLE))
    trail = [path]
    if path.is_file():
        trail.append(unpack(path, scratch))
    while path := _find_step(trail[-1], key):
        trail.append(path)
    return trail


def _find_step(folder: Path, key: str) -> Path | None:
    """Return where to look next: the part asked for, or an only folder of folders; None at the end."""
    has_pictures = any(
        Path(name).suffix.lower() in ENDINGS for name in os.listdir(folder)
    )
    if key == "test" and has_pictures:
        return None
    folders = [path for path in list_folders(folder) if holds_pictures(path)]
    names = [_split_name(path.name) for path in folders]
    are_parts = all(part for part, _ in names)
    # Beside others, a part is called train and not train_station.
    parts = [part for part, rest in names if part and (are_parts or not rest)]
    # Named after one part alone they may be classes, say of trains, unless they hold folders.
    if len({*parts}) > 1 or (folders and are_parts and any(map(list_folders, folders))):
        if are_parts and parts.count(key) == 1:
            return folders[parts.index(key)]
        raise ValueError(
            f"{folder} holds the parts of a data set, not classes: "
            f'{", ".join(path.name for path in folders)}. Point "{key}" in drive_paths.json at a '
            "folder of class folders."
        )
    if len(folders) == 1 and list_folders(folders[0]) and not has_pictures:
        return folders[0]
    return None


def _split_name(name: str) -> tuple[str | None, list[str]]:
    """Return the part that a folder is named after, and the other words: train and 224 of train_224."""
    words = re.findall(r"\d+|[^\d._]+", COPY.sub("", name.lower()))
    words = [
        word for word in (FILLING.sub("", word).strip(" -") for word in words) if word
    ]
    part = next((word for word in words if word in PARTS), None)
    return PARTS.get(part), [word for word in words if word != part]
