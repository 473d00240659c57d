"""What names tell: masks, and the file that a name means."""

import functools
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

# A mask shows where things are in the picture beside it: x_mask.png beside x.png.
MASK_WORD = "(?:masks?|seg|segmentation|labels?|groundtruth)"
MASK_NAME = (
    rf"(?i)(?<![^/]){MASK_WORD}[ ._-]+(?=[^/]*$)|[ ._-]+{MASK_WORD}(?:[ ._-]?\d+)?$"
)
MASK_FOLDER = rf"(?i)(?<![^/]){MASK_WORD}/"


# Pictures are many, but labels and groups are few.
@functools.lru_cache(10_000)
def clean(name: str) -> str:
    """Return a name as it looks: composed letters (NFC), no format characters, single blanks."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def remove_ending(file: str) -> str:
    """Return the path of a file without its ending."""
    return os.path.splitext(file)[0]


def is_mask(files: pd.Series) -> pd.Series:
    """Tell which files are masks: named like one, and the picture is there, too."""
    stems = files.map(remove_ending)
    plain = stems.str.replace(MASK_NAME, "", n=1, regex=True)
    found = pd.Series(False, files.index)
    # Pictures may lie in the folder of their masks, around it, or in one beside it.
    for folder in (r"\g<0>", "", "images/"):
        pictures = plain.str.replace(MASK_FOLDER, folder, regex=True)
        found |= pictures.isin(stems) & (pictures != stems)
    return found


def match_files(
    names: Iterable[str], files: Sequence[str], folder: Path
) -> dict[str, str | None]:
    """Find the file that each name of a labels file means: "" where it fits several, None where none.

    A name is the path from `folder` or from the folder above it, or, without folders, the name of a
    file at any depth. It may lack the ending, but the file that is called exactly so goes first.
    Letters compare in Unicode's composed form (NFC), as Macs write them differently. `files` are
    relative to `folder`.
    """
    paths = list(map(_clean_path, files))
    above = [os.path.normpath(f"{folder.name}/{path}") for path in paths]
    bare = list(map(os.path.basename, paths))
    meanings = {}
    # What comes later goes first.
    for known in (bare, above, paths):
        meanings |= _index(map(remove_ending, known), files)
        meanings |= _index(known, files)
    return {name: meanings.get(_clean_path(name)) for name in names}


def _index(names, files):
    """Return the file of each name, "" where several have it."""
    index = {}
    for name, file in zip(names, files):
        index[name] = "" if name in index else file
    return index


def _clean_path(name):
    """Return a path as it looks, divided by single slashes."""
    return os.path.normpath(clean(name).replace("\\", "/"))
