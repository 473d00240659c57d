"""What names tell: parts of a data set, masks, and the file that a name means."""

import functools
import os
import re
import unicodedata
from collections import ChainMap
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

# How folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": ("train", "training", "trainval"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "tests", "testing"),
    "prediction": ("pred", "predict", "prediction", "predictions"),
}
PARTS = {word: part for part, words in PART_NAMES.items() for word in words}
PART = re.compile(rf"[ ._-]*(?<![^\W\d_])({'|'.join(PARTS)})(?![^\W\d_])[ ._-]*")
# How systems name copies: "train - Copy", "train (1)", "train copy 2".
COPY = re.compile(r"([ _-]+copy( \d+)?| ?\(\d+\))+$", re.IGNORECASE)
# A mask shows where things are in the picture beside it: x_mask.png beside x.png.
MASK_WORD = "(?:masks?|seg|segmentation|labels?|groundtruth)"
MASK_NAME = re.compile(
    rf"(?<![^/]){MASK_WORD}[ ._-]+(?=[^/]*$)|[ ._-]+{MASK_WORD}(?:[ ._-]?\d+)?$",
    re.IGNORECASE,
)
MASK_FOLDER = re.compile(rf"(?<![^/]){MASK_WORD}/", re.IGNORECASE)


# Pictures are many, but labels and groups are few.
@functools.lru_cache(10_000)
def clean(name: str) -> str:
    """Return a name as it looks: composed letters (NFC), no format characters, single blanks."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def fold(names: pd.Series) -> pd.Series:
    """Return equal names for similar ones: capitals mean nothing, and 1.0 is 1."""
    folded = names.map(clean).str.casefold()
    return folded.str.replace(r"^(\d+)\.0$", r"\1", regex=True)


def split_part_name(name: str) -> tuple[str | None, str]:
    """Return the part that a folder is named after, and the rest of its name.

    Of train_224 these are train and 224, of "Test (1)" test and ""; birds names no part.
    """
    name = COPY.sub("", name).lower()
    words = PART.findall(name)
    if not words:
        return None, name
    return PARTS[words[0]], PART.sub("", name)


def describe_classes(class_names: Iterable[str]) -> str:
    """Return a note about classes that are called like parts of a data set or copies, else ""."""
    odd = [name for name in class_names if name.lower() in PARTS or COPY.search(name)]
    if not odd:
        return ""
    return (
        f"Note: classes that are called like parts of a data set or like copies: {', '.join(odd)}. "
        "If they are no classes of their own, move these folders away."
    )


def remove_ending(file: str) -> str:
    """Return the path of a file without its ending."""
    return os.path.splitext(file)[0]


def is_mask(files: pd.Series) -> pd.Series:
    """Tell which files are masks: named like one, and the picture is there, too."""
    stems = files.map(remove_ending)
    known = set(stems)
    has_none = stems.map(_list_pictures).map(known.isdisjoint)
    return ~has_none.astype(bool)


def _list_pictures(stem):
    """List the paths, without ending, that the picture of a mask may have; none if it is no mask."""
    plain = MASK_NAME.sub("", stem, count=1)
    pictures = {plain}
    for file in {plain, stem}:
        # Pictures may lie beside the folder of their masks, or in one beside it.
        for folder in ("", "images/"):
            pictures.add(MASK_FOLDER.sub(folder, file))
    return pictures - {stem}


def match_files(
    names: Iterable[str], files: Iterable[str], folder: Path
) -> dict[str, str]:
    """Find the file that each name of a labels file means: "" where it fits several, else absent.

    A name is the path from `folder` or from the folder above it, or, without folders, the name of a
    file at any depth. It may lack the ending, but the file that is called exactly so goes first.
    Letters compare in Unicode's composed form (NFC), as Macs write them differently. `files` are
    relative to `folder`.
    """
    files = list(files)
    paths = [_clean_path(file) for file in files]
    above = [os.path.normpath(f"{folder.name}/{path}") for path in paths]
    by_path = _index(paths + above, files + files)
    by_name = _index(map(os.path.basename, paths), files)
    kinds = []
    for known in (by_path, by_name):
        without = _index(map(remove_ending, known), known.values())
        kinds += [known, without]
    meanings = ChainMap(*kinds)
    cleaned = {name: _clean_path(name) for name in names}
    return {name: meanings[path] for name, path in cleaned.items() if path in meanings}


def _index(names, files):
    """Return the file of each name, "" where several have it."""
    index = {}
    for name, file in zip(names, files):
        is_shared = index.get(name, file) != file
        index[name] = "" if is_shared else file
    return index


def _clean_path(name):
    return os.path.normpath(clean(name).replace("\\", "/"))
