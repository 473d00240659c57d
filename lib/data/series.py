"""What names and folders tell of pictures that belong together: augmented copies, and series as films."""

import os

import pandas as pd

from lib.data.names import remove_ending
from lib.data.split import find_groups

# How programs name what they make of one picture: a_jpg.rf.0f3c….jpg (Roboflow),
# cat_original_a.jpg_0f3c….jpg (Augmentor), a_rot15.jpg and aug_a.jpg.
EXPORTED = (
    r"(?i)(?:_(?:jpe?g|png|bmp|gif|webp|tiff?))?\.rf\.[0-9a-z]{16,}$"
    r"|(?<![^/])[^/]*?_original_(?=[^/]*\.\w+_[0-9a-f-]{36}$)|\.\w+_[0-9a-f-]{36}$"
)
WORD = (
    "(?:aug|augmented|edited|[hv]?flip|flipped|flip[hv]|mirror|mirrored|rot|rotated?|crop|cropped"
    "|zoom|zoomed|shear|shift|noise|noisy|blur|blurred|bright|brightness|contrast)"
)
AUGMENTED = (
    rf"{EXPORTED}|(?:[ ._-]+(?:{WORD}\d*|(?:aug|augmented|rot|rotated?)[ ._-]\d{{1,3}}))+$"
    rf"|(?<![^/])(?:{WORD}\d*[ ._-]+)+(?=[^/ ._-][^/]*$)"
)
# Of a path without its ending, for each GROUP_BY: what stands before the number that may differ,
# the folder that may be called like the label, and what stands behind the number.
SERIES = {
    "none": "(?!)()()()",
    "folder": "^((?:.*/)?([^/]+)/)()[^/]*$",
    "name": r"^((?:.*/)?(?![\W_]*\d+[\W_]*$)[^/]*?)()\d+([^\d/]*)$",
}


def group_files(pictures: pd.DataFrame, group_by: str) -> pd.Series:
    """Tell which pictures belong together by their names, so that nothing connects two groups.

    Augmented copies and their originals always do. Besides, by `group_by`:
    none: nothing more;
    folder: the pictures of one folder, unless it is called like the label or is the outermost;
    name: those of one folder whose names differ in the last number alone. Names that consist of
        a number alone tell no series.

    Args:
        pictures: Columns file, as `walk` lists it, and label.

    Returns:
        The first file of each picture's group, "" where it belongs to no other.
    """
    originals = find_originals(pictures.file)
    contents = originals.where(originals != "", pictures.file)
    series = _name_series(pictures, group_by).fillna("")
    # Copies of one original are bound as equal contents are, series as given groups.
    groups = find_groups(pictures.assign(digest=contents, group=series))
    first = pictures.file.groupby(groups).transform("first")
    return first.where(first.duplicated(keep=False), "")


def find_originals(files: pd.Series) -> pd.Series:
    """Find augmented copies by their names: of each, and of its original, the original's path.

    They lie in one class folder, of one part or of both, and there are an original or two copies
    of it at least. The path has no ending; other files have "".
    """
    # Programs write copies into folders of their own, but within the class.
    stems = _look_inside(files).str.replace("(?<=/).*/", "", regex=True)
    plain = stems.str.replace(AUGMENTED, "", regex=True)
    originals = _divide(plain, stems, files)
    copied = originals[plain != stems]
    is_sure = originals.isin(copied) & originals.duplicated(keep=False)
    return originals.where(is_sure, "")


def _look_inside(files):
    """Return paths without endings, inside the folder of the part: others begin with ../."""
    outside = files[files.str.startswith("../")]
    folder = os.path.commonpath(list(outside) or [".."])
    return files.str.removeprefix(f"{folder}/").map(remove_ending)


def _divide(keys, names, files):
    """Return the keys of names; where a name stands twice, each folder has keys of its own.

    Files that were moved out of one folder have different names. So equal names are different
    pictures, and their folders tell whose copies or frames lie beside them.
    """
    unsure = keys[names.duplicated(keep=False)]
    of_folders = files.str.replace("[^/]*$", "", regex=True) + keys
    return keys.mask(keys.isin(unsure), of_folders)


def _name_series(pictures, group_by):
    """Return the name of the series that each picture may be of, or a missing value."""
    inside = _look_inside(pictures.file)
    originals = inside.str.replace(EXPORTED, "", regex=True)
    found = originals.str.extract(SERIES[group_by])
    names = _divide(found[0] + "#" + found[2], inside, pictures.file)
    return names.mask(found[1] == pictures.label)


def _find_series(pictures, group_by):
    """Return the series of the pictures that are surely of one, by a rule of three parts.

    A series has two pictures or more. It is numbered itself: some other one of its class differs
    in numbers alone, as clip0_frame and clip1_frame do, or video3 and video4. And most pictures
    of the class lie in such. So neither cat.1.jpg tells a series, whose one number is that of
    the picture, nor do breeds within a class.
    """
    names = _name_series(pictures, group_by)
    names = names.where(names.duplicated(keep=False))
    forms = names.str.replace(r"\d+", "", regex=True)
    is_numbered = names.groupby([pictures.label, forms]).transform("nunique") > 1
    share = is_numbered.groupby(pictures.label).transform("mean")
    return names[is_numbered & (share > 0.5)]


def describe_series(pictures: pd.DataFrame) -> str:
    """Count the series that names or folders tell and that lie in both parts, in one sentence.

    Args:
        pictures: Columns file, label and part.

    Returns:
        A note that names the parameter; "" where no series is divided.
    """
    for group_by in ("name", "folder"):
        names = _find_series(pictures, group_by)
        parts = pictures.part.groupby(names).nunique()
        count = (parts > 1).sum()
        if count:
            return (
                f"Note: by their {group_by}s, {len(names):,} pictures are {len(parts):,} series, as "
                f"{parts.idxmax()}, and {count:,} of these lie in both parts. If a series shows one "
                f'thing (a film, a patient), scores are too high: set GROUP_BY = "{group_by}" in 01.'
            )
    return ""
