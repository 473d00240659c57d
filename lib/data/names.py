"""What names tell: masks, and the file that a name means."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

AMBIGUOUS = "ambiguous/"  # as no file can be called
# How a class or group is called that is none.
NOTHING = "na n/a nan none null".split()
# A mask shows where things are in the picture beside it: x_mask.png beside x.png.
MASK_WORD = "(?:masks?|seg|segmentation|labels?|groundtruth)"
MASK_NAME = (
    rf"(?i)(?<![^/]){MASK_WORD}[ ._-]+(?=[^/]*$)|[ ._-]+{MASK_WORD}(?:[ ._-]?\d+)?$"
)
MASK_FOLDER = rf"(?i)(?<![^/]){MASK_WORD}/"


def clean(name: str) -> str:
    """Return a name as it looks: composed letters (NFC), no format characters, single blanks."""
    if name.isascii():
        return " ".join(name.split())
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def find_alike(names: Iterable[str]) -> list[str]:
    """Return the names that differ from another one only in capitals, leading zeros or .0 at the end."""
    names = pd.Series(sorted(set(names)), dtype=str)
    plain = names.str.casefold().str.replace(r"^0+(?=\d)|(?<=\d)\.0$", "", regex=True)
    return names[plain.duplicated(keep=False)].tolist()


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
    files: Iterable[str], folders: Sequence[Path]
) -> Callable[[str], str | None]:
    """Return a function that finds the file that a name means: AMBIGUOUS where it fits several, None where none.

    A name is a path from one of the folders, from the folder above one, or from the root; else, without
    folders, the name of a file at any depth. Its ending may be missing, or in other capitals, but the
    file that is called exactly so goes first. Names compare as they look, see `clean`.

    Args:
        files: Relative to the first of `folders`.
    """
    exact = {}
    loose = {}
    for file in files:
        path = _clean_path(folders[0] / file)
        for name in (path, os.path.basename(path)):
            _add(exact, name, file)
            _add(loose, _loosen(name), file)
            _add(loose, _loosen(remove_ending(name)), file)
    parents = [folder.parent for folder in folders]
    places = [*folders, *parents]

    def find_meaning(name: str):
        paths = [_clean_path(place / name) for place in places]
        for names in (paths, [os.path.normpath(name)]):
            for meanings, write in ((exact, str), (loose, _loosen)):
                found = {meanings.get(write(each)) for each in names} - {None}
                if found:
                    return found.pop() if len(found) == 1 else AMBIGUOUS
        return None

    return find_meaning


def _add(meanings, name, file):
    """Let a name mean a file; one that means another file already is ambiguous."""
    known = meanings.setdefault(name, file)
    if known != file:
        meanings[name] = AMBIGUOUS


def _loosen(name):
    """Return a name with a small ending."""
    stem, ending = os.path.splitext(name)
    return stem + ending.lower()


def _clean_path(path):
    """Return a whole path as it looks."""
    return os.path.abspath(clean(str(path)).replace("\\", "/"))
