"""What names, folders and dates tell of pictures that belong together: augmented copies, series as films."""

import os
import re

import pandas as pd

from lib.data.findings import leave_out
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
# Of a path without its ending, around the last number of the name, if something stands before that.
LAST_NUMBER = re.compile(
    r"(?P<before>(?:.*/)?(?![\W_]*\d+[^\d/]*$)[^/]*?)\d+(?P<behind>[^\d/]*)$"
)
# Of a path below the class: each folder, and each number in the name that a letter or more may follow,
# such as p3a, but no end of the name; not those within digests.
LEVEL = re.compile(r"[^/]+(?=/)|\d+(?=[\W_][^/]*$|[A-Za-z]{1,2}(?:[\W_][^/]*)?$)")
NUMBERED_FOLDER = re.compile(r"[^/\d]*\d[^/]*/")
SECONDS = 60  # between pictures of one series by time, where nothing else is chosen


def group_files(
    listed: pd.DataFrame, odd: pd.DataFrame, group_by: str = "none"
) -> pd.DataFrame:
    """Give files that belong together by their names one group; a given one goes first.

    Augmented copies and their originals always do. Besides, by `group_by`:
    none, time: nothing more; for dates see `name_bursts`;
    folder: those of one folder directly below the folder of the class, or below `train` where no
        folder is called like the label. A name with a number in it is one group in all classes;
    name: those of one folder whose names differ in the last number alone, if something stands
        before that.

    Args:
        listed: Columns file, as `walk` lists it, label and group.
        odd: The findings of the files that are no pictures.

    Returns:
        The files, each with the first file of its group as group, "" if it belongs to no other.
    """
    pictures = leave_out(listed, odd)
    contents = find_originals(pictures.file)
    series = ""
    if group_by in ("folder", "name"):
        series = _name_series(pictures)[group_by].fillna("")
    # Copies of one original are bound as equal contents are, series as given groups.
    groups = find_groups(pictures.assign(digest=contents, group=series))
    first = pictures.file.groupby(groups).transform("first")
    told = dict(zip(pictures.file, first.where(first.duplicated(keep=False))))
    given = listed.group.where(listed.group != "", listed.file.map(told))
    return listed.assign(group=given.fillna(""))


def name_bursts(pictures: pd.DataFrame, seconds: float = SECONDS) -> pd.Series:
    """Name the bursts: pictures of one folder, each taken within seconds of the one before.

    Args:
        pictures: Columns file and taken.

    Returns:
        The folder and the first date of each picture's burst; none of pictures without a date.
    """
    dated = pictures.dropna(subset="taken").sort_values("taken")
    folders = dated.file.map(os.path.dirname)
    gaps = dated.taken.groupby(folders).diff()
    goes_on = gaps <= pd.Timedelta(seconds=seconds)
    begins = dated.taken.mask(goes_on).groupby(folders).ffill()
    return folders + begins.dt.strftime("/%Y-%m-%d %H:%M:%S")


def find_originals(files: pd.Series) -> pd.Series:
    """Find augmented copies by their names: of each, and of its original, the original's path.

    They lie in one class folder, of one part or of both, and there are an original or two copies
    of it at least. That path has no ending; other files have their own, with it.
    """
    # Programs write copies into folders of their own, but within the class.
    stems = _look_inside(files).str.replace("(?<=/).*/", "", regex=True)
    plain = stems.str.replace(AUGMENTED, "", regex=True)
    originals = _divide(plain, stems, files.map(os.path.dirname))
    copied = originals[plain != stems]
    is_sure = originals.isin(copied) & originals.duplicated(keep=False)
    return originals.where(is_sure, files)


def _look_inside(files):
    """Return paths without endings, inside the folder of the part: others begin with ../."""
    outside = files[files.str.startswith("../")]
    folder = os.path.commonpath(list(outside) or [".."])
    return files.str.removeprefix(f"{folder}/").map(remove_ending)


def _divide(keys, names, folders):
    """Return the keys of names; where a name stands twice, each folder has keys of its own.

    Files that were moved out of one folder have different names. So equal names are different
    pictures, and their folders tell whose copies or frames lie beside them.
    """
    unsure = keys[names.duplicated(keep=False)]
    return keys.mask(keys.isin(unsure), folders + keys)


def _name_series(pictures):
    """Return what each picture's series may be called: columns as of `_list_names`."""
    inside = _look_inside(pictures.file)
    paths = inside.str.replace(EXPORTED, "", regex=True)
    names = list(map(_list_names, paths, pictures.label))
    parts = pictures.file.str.extract(r"^((?:\.\./)?)")[0]
    series = pd.DataFrame(names, pictures.index)
    return series.apply(_divide, args=(inside, parts))


def _list_names(path, label):
    """Return the names that a picture's series may have: by GROUP_BY, and up to each folder and number."""
    above, _, below = f"/{path}".rpartition(f"/{label}/")
    below = below.removeprefix("/")
    # A folder with a number in its name is the same in all classes.
    root = above if NUMBERED_FOLDER.match(below) else path.removesuffix(below)
    names = {"folder": None, "name": None}
    last = LAST_NUMBER.match(path)
    if last:
        names["name"] = last.expand(r"\g<before>#\g<behind>")
    for count, level in enumerate(LEVEL.finditer(below), start=1):
        names[f"level {count}"] = root + below[: level.end()]
    if "/" in below:
        names["folder"] = names["level 1"]
    return names


def _find_series(names, labels):
    """Return the series of the pictures that are surely of one, by a rule of three parts; or missing.

    A series has two pictures or more. It is numbered itself: some other one of its class differs
    in numbers alone, as clip0_frame and clip1_frame do, or video3 and video4. And most pictures
    of the class lie in such. So neither cat.1.jpg tells a series, whose one number is that of
    the picture, nor do breeds within a class.
    """
    names = names.where(names.duplicated(keep=False))
    forms = names.str.replace(r"\d+", "", regex=True)
    is_numbered = names.groupby([labels, forms]).transform("nunique") > 1
    share = is_numbered.groupby(labels).transform("mean")
    return names.where(is_numbered & (share > 0.5))


def describe_series(pictures: pd.DataFrame) -> str:
    """Count the series that names, folders and dates tell and that lie in both parts, in one note.

    Args:
        pictures: Columns file, label, part and taken.

    Returns:
        The note, which counts them by each level that tells others than those before it; "" where no
            series is divided.
    """
    told = {}
    names = _name_series(pictures).assign(time=name_bursts(pictures))
    for level in names:
        series = _find_series(names[level], pictures.label)
        parts = pictures.part.groupby(series).nunique()
        divided = (parts > 1).sum()
        if divided:
            said = f"by {level}: {divided:,} of {len(parts):,}, as {parts.idxmax()}"
            # What several levels tell is said once, by the parameter if there is one.
            told.setdefault((len(parts), divided), said)
    if not told:
        return ""
    return (
        f"Note: series lie in both parts: {'; '.join(told.values())}. If each shows one thing (a film, a "
        'patient), scores are too high: set GROUP_BY in 01 to "folder", "name" or "time", or tell others by '
        "the column group of train_labels."
    )
