"""Where pictures come from: folders, archives and Kaggle, and which folder in them is meant."""

import os
import re
from pathlib import Path

from lib.data.archives import ARCHIVE, unpack
from lib.data.demo import draw_dataset
from lib.data.downloads import download
from lib.data.listing import PART_NAMES, holds_pictures, is_junk, walk
from lib.data.pictures import ENDINGS
from lib.workspace import KAGGLE

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
    """Return the configured folder of validation pictures, else one beside train, if any."""
    if ws.validation:
        return open_folder(ws, "validation")
    for path in _trace(ws.train, "train", ws.scratch):
        part, rest = _split_name(path)
        # In scratch lie the archives of other sets, too.
        is_part = part == "train" and path.parent != ws.scratch
        for other in _list(path.parent) if is_part else ():
            if _split_name(other) == ("validation", rest):
                folder = _trace(other, "validation", ws.scratch)[-1]
                if any(map(holds_pictures, _list(folder))):
                    return folder
                print(f"{other} has no class folders and is not used.")
    return None


def has_classes(ws) -> bool:
    """Tell whether labels, or two class folders or more in `train`, tell classes."""
    known = ws.is_demo or ws.train_labels is not None
    return known or sum(map(holds_pictures, _list(open_folder(ws, "train")))) > 1


def _trace(path: Path, key: str, scratch: Path) -> list[Path]:
    """Return the folders and archives to go through; the last is the folder that is meant."""
    if str(path).startswith(KAGGLE):
        path = download(str(path).removeprefix(KAGGLE))
    trail = [path]
    while path := unpack(path, scratch) if path.is_file() else _find_step(path, key):
        trail.append(path)
    return trail


def _find_step(folder: Path, key: str) -> Path | None:
    """Return where to look next: the part asked for, an only archive or folder; None at the end."""
    inside = _list(folder)
    folders = [path for path in inside if path.is_dir() and holds_pictures(path)]
    # Of train.zip and train/ the folder stays: it was unpacked already.
    unpacked = [path.name for path in folders]
    archives = [
        path for path in inside if path.is_file() and ARCHIVE.sub("", path.name) not in unpacked
    ]
    if key == "test" and any(Path(n).suffix.lower() in ENDINGS for n in os.listdir(folder)):
        return None
    if not folders and not archives:
        folders = [path for path in inside if _list(path)]
    others = [path for path in folders if not _split_name(path)[0]]
    found = folders if others else archives + folders
    if part := _find_part(folder, found, key):
        return part
    # A folder without folders is a class, also when it is the only one; so is one beside others whose
    # pictures have no ending, lie behind a link or can't be read here.
    beside = [path for path in inside if path.is_dir() and path not in found]
    may_be = ("", "needs_pillow_heif", "git_lfs_pointer", "unreadable")
    if len(found) != 1 or any(walk(path).problem.isin(may_be).any() for path in beside):
        return None
    return found[0] if found[0].is_file() or _list(found[0]) else None


def _find_part(folder: Path, found: list[Path], key: str) -> Path | None:
    """Return the one of some paths that is the part asked for; None where they are no parts."""
    names = [_split_name(path) for path in found]
    are_parts = all(part for part, _ in names)
    # Beside others, a part is called train and not train_station.
    parts = [part for part, rest in names if part and (are_parts or not rest)]
    # Named after one part alone they may be classes, say of trains, unless they hold folders.
    if len(set(parts)) < 2 and not (are_parts and any(p.is_file() or _list(p) for p in found)):
        return None
    if are_parts and parts.count(key) == 1:
        return found[parts.index(key)]
    raise ValueError(
        f"{folder} holds the parts of a data set, not classes: "
        f'{", ".join(sorted(path.name for path in found))}. Point "{key}" in drive_paths.json at a '
        "folder of class folders."
    )


def _list(folder: Path) -> list[Path]:
    inside = [entry for entry in os.scandir(folder) if not is_junk(entry.name)]
    return sorted(Path(e) for e in inside if os.path.isdir(e) or ARCHIVE.search(e.name))


def _split_name(path: Path) -> tuple[str | None, str]:
    """Return the part that a folder or archive is named after, and what else its name says."""
    name = ARCHIVE.sub("", path.name).lower()
    part = PART.search(name)
    rest = re.sub(rf"[\W_]|{FILLING}", "", PART.sub("", name, 1))
    return part and part.lastgroup, rest
