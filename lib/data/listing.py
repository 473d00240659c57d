"""The one walker: which files there are, which may be pictures, and what their names tell."""

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS, sniff
from lib.data.table import note, tabulate

JUNK = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
# Files that accompany pictures and are none, whatever they hold.
TEXT_ENDINGS = (".xml", ".json", ".txt", ".csv", ".md")
# How folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": ("train", "training", "trainval"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "tests", "testing"),
    "prediction": ("pred", "predict", "prediction", "predictions"),
}
PARTS = {word: part for part, words in PART_NAMES.items() for word in words}
COPY = re.compile(r"([ _-]*copy)?( ?\(\d+\))?$")  # as "train - Copy" and "train (1)"
FILLING = re.compile(r"[ -]*((data)?set|data|images)?[ -]*$")  # as "training_set"
# A mask shows where things are in the picture beside it: x_mask.png beside x.png.
MASK_WORD = "(?:masks?|seg|segmentation|labels?|gt|groundtruth)"
MASK_NAME = re.compile(
    rf"^{MASK_WORD}[ ._-]+|[ ._-]+{MASK_WORD}(?:[ ._-]?\d+)?$", re.IGNORECASE
)
MASK_FOLDER = re.compile(rf"(?<![^/]){MASK_WORD}(?=/)", re.IGNORECASE)
PICTURE_FOLDERS = ("images", "image", "imgs", "img")
# How programs name what they make of one picture: a_jpg.rf.0f3c….jpg, a_rot15.jpg.
ROBOFLOW = r"(?:_(?:jpe?g|png|bmp|webp|tiff?))?\.rf\.[0-9a-z]{16,}"
CHANGE = (
    r"[ ._-]+(?:(?:aug|augmented|[hv]?flip|flipped|flip[hv]|mirror|mirrored|rot|rotated?"
    r"|crop|cropped|zoom|zoomed|shear|shift|noise|noisy|blur|blurred|bright|brightness"
    r"|contrast)\d*|(?:aug|augmented|rot|rotated?)[ ._-]\d{1,3})"
)
AUGMENTED = re.compile(rf"(?:{ROBOFLOW}|(?:{CHANGE})+)$", re.IGNORECASE)


def is_junk(name: str) -> bool:
    """Tell whether a file or folder was left by a program: hidden ones and a few more."""
    return name.startswith(".") or name in JUNK


def list_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, junk left out, sorted."""
    inside = (entry for entry in os.scandir(folder) if not is_junk(entry.name))
    return sorted(Path(entry) for entry in inside if os.path.isdir(entry))


def list_files_below(folder: Path) -> Iterator[Path]:
    """Yield every file at any depth of a folder, junk left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            if not is_junk(name):
                yield Path(place, name)


def may_be_picture(path: Path) -> bool:
    """Tell whether a file may be a picture: by its ending, or else by its first bytes."""
    ending = path.suffix.lower()
    if ending in {*ENDINGS, ".heic", ".heif"}:
        return True
    if ending in TEXT_ENDINGS:
        return False
    return _read_problem(path) in ("", "needs_pillow_heif")


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder may be a picture."""
    return any(map(may_be_picture, list_files_below(folder)))


def clean(name: str) -> str:
    """Return a name as it looks: composed letters (NFC), no format characters, single blanks."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def fold(names: pd.Series) -> pd.Series:
    """Return equal values for similar names: case, accents, dashes, and 1 and 1.0 mean nothing."""
    folded = names.map(clean).str.casefold().str.normalize("NFKD")
    folded = folded.str.replace("[\u0300-\u036f _-]", "", regex=True)
    numbers = pd.to_numeric(folded, errors="coerce")
    return folded.where(numbers.isna(), numbers)


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def split_part_name(name: str) -> tuple[str | None, list[str]]:
    """Return the part that a folder is named after, and its other words.

    Of train_224 these are train and ["224"]; birds names no part.
    """
    words = []
    for word in re.findall(r"\d+|[^\d._]+", COPY.sub("", name.lower())):
        word = FILLING.sub("", word).strip(" -")
        if word:
            words.append(word)
    for word in words:
        if word in PARTS:
            return PARTS[word], [other for other in words if other != word]
    return None, words


def walk(folder: Path) -> pd.DataFrame:
    """List every file below a folder, at any depth; links are followed, once.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns:
        The table (see `lib.data.table`), sorted by file. A problem is junk, odd_name,
        circular_link, unreadable, not_a_file, mask or a word of `sniff`; junk, and a folder that
        can't be entered, is one row.
    """
    table = tabulate(sorted(_scan(folder, "", ())))
    is_picture = table.problem == ""
    stems = table.file[is_picture].map(remove_ending)
    masks = _find_masks(stems)
    note(table, table.index.isin(masks), "mask")
    return table


def remove_ending(file: str) -> str:
    """Return the path of a file without its ending."""
    return os.path.splitext(file)[0]


def _find_masks(stems: pd.Series) -> list[int]:
    """Return the index of masks: what is named like one, where the picture is there, too."""
    known = {*stems}
    names = stems.str.rsplit("/", n=1).str[-1]
    is_named = names.str.contains(MASK_NAME) | stems.str.contains(MASK_FOLDER)
    masks = []
    for row, stem in stems[is_named].items():
        if not known.isdisjoint(_list_pictures_of_mask(stem)):
            masks.append(row)
    return masks


def _list_pictures_of_mask(stem: str) -> list[str]:
    """List the paths, without ending, that the picture of a mask may have."""
    folder, name = os.path.split(stem)
    plain = os.path.join(folder, MASK_NAME.sub("", name, count=1))
    partners = [plain] if plain != stem else []
    for file in (plain, stem):
        for pictures in PICTURE_FOLDERS:
            partners.append(MASK_FOLDER.sub(pictures, file))
        # Below a class, pictures may lie beside the folder of their masks.
        partners.append(re.sub(f"/{MASK_FOLDER.pattern}/", "/", file, flags=re.I))
    return [file for file in partners if file != stem]


def find_originals(files: pd.Series) -> pd.Series:
    """Find augmented copies by their names: of each, and of its original, the original's path.

    They lie in one class folder, and there are an original or two copies of it at least. The path
    has no ending; other files have "".
    """
    stems = files.map(remove_ending)
    is_copy = stems.str.contains(AUGMENTED)
    originals = stems.str.replace(AUGMENTED, "", regex=True)
    # Programs write copies into folders of their own, but within the class.
    keys = originals.str.replace("(?<=/).*/", "", regex=True)
    is_wanted = keys.isin(keys[is_copy]) & keys.duplicated(keep=False)
    return keys.where(is_wanted, "")


def _scan(folder: Path, prefix: str, above: tuple) -> Iterator[tuple[str, str]]:
    """Yield each file of a folder, prefix before its name, with its problem."""
    place = os.path.realpath(folder)
    if place in above:
        yield prefix.rstrip("/"), "circular_link"
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield prefix.rstrip("/"), "unreadable"
        return
    for entry in entries:
        name = prefix + entry.name
        path = Path(entry)
        if is_junk(entry.name):
            yield name, "junk"
        elif escape(entry.name) != entry.name:
            yield escape(name), "odd_name"
        elif os.path.isdir(entry):
            yield from _scan(path, name + "/", (*above, place))
        elif path.suffix.lower() in ENDINGS:
            yield name, ""  # Decoding will tell.
        else:
            yield name, _read_problem(path)


def _read_problem(path: Path) -> str:
    if not os.path.isfile(path):
        return "not_a_file"
    try:
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"
