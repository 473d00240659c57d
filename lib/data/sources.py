"""Where pictures come from: folders, archives and Kaggle, and which folder in them is meant."""

import os
import re
from pathlib import Path

from lib.data.archives import ARCHIVE, unpack
from lib.data.demo import draw_dataset
from lib.data.listing import PART_NAMES, holds_pictures, list_folders
from lib.data.pictures import ENDINGS
from lib.workspace import KAGGLE

COPY = re.compile(r"([ _-]*copy)?( ?\(\d+\))?$")  # as "train - Copy" and "train (1)"
FILLING = "set|data|images"
# A word between digits, dots and underscores names a part: train_224 is train, and 224.
PARTS = "|".join(f"(?P<{part}>{'|'.join(names)})" for part, names in PART_NAMES.items())
PART = re.compile(rf"(?<![^\d._])[ -]*(?:{PARTS})[ -]*(?:{FILLING})?[ -]*(?![^\d._])")


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
                names = {path.name for path in filter(holds_pictures, list_folders(folder))}
                if names and (ws.train_labels or names <= classes):
                    return folder
                print(f"{other} has no folders of the classes and is not used.")
    return None


def require_pictures(ws) -> None:
    """Raise a ValueError where `train` holds no picture."""
    folder = open_folder(ws, "train")
    if not holds_pictures(folder):
        raise ValueError(f"{folder} holds no picture: put some there, or name another folder.")


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
    has_pictures = any(Path(name).suffix.lower() in ENDINGS for name in os.listdir(folder))
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


def _split_name(name: str) -> tuple[str | None, str]:
    """Return the part that a folder is named after, and what else its name says."""
    name = COPY.sub("", ARCHIVE.sub("", name).lower())
    part = PART.search(name)
    rest = re.sub(rf"[\W_]|{FILLING}", "", PART.sub("", name, 1))
    return part and part.lastgroup, rest


def download(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle, and return its place.

    What follows the name is a folder in the data. A ValueError names a wrong form or a missing
    folder; a ConnectionError says what Kaggle answers, and what to do.
    """
    form = re.fullmatch("(competitions/[^/]+|datasets/[^/]+/[^/]+)/?(.*)", name.strip("/"))
    if not form:
        raise ValueError(f"{name}: not kaggle:competitions/NAME or kaggle:datasets/OWNER/NAME.")
    page, inside = form.groups()
    kind, handle = page.split("/", 1)
    try:
        import kagglehub

        path = Path(getattr(kagglehub, f"{kind.removesuffix('s')}_download")(handle), inside)
    except ImportError as error:
        raise ConnectionError(f"kaggle:{name} needs kagglehub: pip install kagglehub") from error
    except Exception as error:
        raise ConnectionError(
            f"https://www.kaggle.com/{page} gives no data: {error}. Join there and accept the rules, "
            "store an API token of your settings there as KAGGLE_API_TOKEN in Colab's secrets or "
            "the environment, and run this again."
        )
    if not path.exists():
        raise ValueError(f"kaggle:{name} was downloaded, but there is no {path}.")
    return path
