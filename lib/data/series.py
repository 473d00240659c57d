"""What names, folders and dates tell of pictures that belong together: augmented copies, series as films."""

import os

import pandas as pd

from lib.data.names import remove_ending

# What stands before the name of a file in its path, and what divides its words.
NAME_BEGINS = "(?<![^/])"
SIGNS = "[ ._-]+"
# What programs add to the name of a picture. Roboflow: a_jpg.rf.0f3c0f3c0f3c0f3c.jpg
ROBOFLOW = r"(?:_(?:jpe?g|png|bmp|gif|webp|tiff?))?\.rf\.[0-9a-z]{16,}$"
# Augmentor: cat_original_a.jpg_6f1c2d3e-0000-4a5b-8c9d-0123456789ab.jpg
UUID = r"\.\w+_[0-9a-f-]{36}$"
AUGMENTOR = rf"{NAME_BEGINS}[^/]*?_original_(?=[^/]*{UUID})|{UUID}"
EXPORTED = f"(?i){ROBOFLOW}|{AUGMENTOR}"
# People: a_flip.jpg, a_rot15.jpg and a_aug_2.jpg, where the number needs a word that says little by itself.
NUMBERED = "aug|augmented|rot|rotated?"
WORD = (
    f"(?:{NUMBERED}|edited|[hv]?flip|flipped|flip[hv]|mirror|mirrored|crop|cropped"
    r"|zoom|zoomed|shear|shift|noise|noisy|blur|blurred|bright|brightness|contrast)\d*"
)
BEHIND = rf"(?:{SIGNS}(?:{WORD}|(?:{NUMBERED})[ ._-]\d{{1,3}}))+$"
# aug_a.jpg and rotated_flip_a.jpg
BEFORE = rf"{NAME_BEGINS}(?:{WORD}{SIGNS})+(?=[^/ ._-][^/]*$)"
AUGMENTED = f"{EXPORTED}|{BEHIND}|{BEFORE}"
# Of a path without its ending, around the last number of the name, if something stands before that: clip0_frame and
# b of clip0_frame12b.
HAS_MORE = r"(?![\W_]*\d+[^\d/]*$)"
LAST_NUMBER = rf"^(?P<before>(?:.*/)?{HAS_MORE}[^/]*?)\d+(?P<behind>[^\d/]*)$"
# Of a path without its ending, up to the first number of the name, if a sign or a letter or two stand
# behind: p3 of p3a, 10 of 10_left. So no digest is meant, nor what merely ends in a number.
SIGN_BEHIND = r"[\W_][^/]*$"
LETTERS_BEHIND = r"[A-Za-z]{1,2}(?:[\W_][^/]*)?$"
BEGINNING = rf"^((?:.*/)?[^/]*?\d+)(?={SIGN_BEHIND}|{LETTERS_BEHIND})"
SECONDS = 60  # between pictures of one series by time, where nothing else is chosen


def group_files(listed: pd.DataFrame, group_by: str = "none") -> pd.DataFrame:
    """Name the group of files that belong together by their names; a given one goes first.

    Groups are, by `group_by`:
    none, time: those that are given; for dates see `name_bursts`;
    folder: those of folders of one name directly below folders that are called like classes, or else
        directly below `train`;
    name: those of one folder whose names differ in the last number alone, if something stands
        before that.

    Args:
        listed: Columns file and problem, as `walk` lists them, label and group.

    Returns:
        The files, with their group, and the original of augmented copies and of itself, as `find_groups`
            takes them; "" for none.
    """
    pictures = listed.query("problem == ''")
    group = pictures.group
    if group_by in ("folder", "name"):
        series = _name_series(pictures)[group_by]
        group = group.where(group != "", series.where(series.duplicated(keep=False)))
    originals = _find_originals(pictures.file)
    return listed.assign(group=group, original=originals).fillna("")


def name_bursts(pictures: pd.DataFrame, seconds: float = SECONDS) -> pd.Series:
    """Name the bursts: pictures of one folder, each taken within seconds of the one before.

    Folders that are called alike below their classes are one, and so are all classes.

    Args:
        pictures: Columns file, label and taken.

    Returns:
        The folder and the first date of each picture's burst; none of pictures without a date.
    """
    folders = _leave_class_out(pictures).map(os.path.dirname)
    dated = pictures.assign(folder=folders).dropna(subset="taken").sort_values("taken")
    pauses = dated.groupby("folder").taken.diff()
    goes_on = pauses <= pd.Timedelta(seconds=seconds)
    begins = dated.taken.mask(goes_on).groupby(dated.folder).ffill()
    return begins.dt.strftime("%Y-%m-%d %H:%M:%S in ") + dated.folder


def _leave_class_out(pictures):
    """Return paths inside the folders of classes; whole ones where the first folder is no class."""
    inside = _look_inside(pictures.file)
    divided = inside.str.extract("([^/]*)/(.*)")
    return divided[1].where(divided[0].isin(pictures.label), inside)


def _find_originals(files):
    """Return the path of the original, without ending, of augmented copies and of itself; "" of other files.

    They lie in one class folder, of one part or of both.
    """
    # Programs write copies into folders of their own, but within the class.
    stems = _look_inside(files).str.replace("(?<=/).*/", "", regex=True)
    plain = stems.str.replace(AUGMENTED, "", regex=True)
    originals = _divide(plain, stems, files.map(os.path.dirname))
    copied = originals[plain != stems]
    return originals.where(originals.isin(copied), "")


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
    """Name the series of each picture by what its path tells, a column for each way; missing for none."""
    inside = _look_inside(pictures.file)
    paths = inside.str.replace(EXPORTED, "", regex=True)
    around = paths.str.extract(LAST_NUMBER)
    named = {
        "folder": _leave_class_out(pictures).str.extract("^([^/]+)/")[0],
        "name": around.before + "#" + around.behind,
        "beginning": paths.str.extract(BEGINNING)[0],
    }
    parts = pictures.file.str.extract(r"^((?:\.\./)?)")[0]
    return pd.DataFrame(named).apply(_divide, args=(inside, parts))


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
    """Count the series that lie in both parts, in a note that names the remedy.

    Of several ways to tell series, the note names the one that tells the fewest, since its series hold
    those of the others.

    Args:
        pictures: Columns file, label, part and taken.

    Returns:
        The note; "" where no series is divided.
    """
    names = _name_series(pictures).assign(time=name_bursts(pictures))
    divided = []
    for way in names:
        series = _find_series(names[way], pictures.label)
        parts = pictures.part.groupby(series).nunique()
        if parts.max() > 1:
            divided.append(parts)
    if not divided:
        return ""
    parts = min(divided, key=len)
    way = parts.index.name
    remedy = f'set GROUP_BY in 01 to "{way}"'
    if way == "beginning":
        remedy = "name each in the column group of train_labels"
    return (
        f"Note: series lie in both parts: by {way}: {(parts > 1).sum():,} of {len(parts):,}, as "
        f"{parts.idxmax()}. If each shows one thing (a film, a patient), scores are too high: {remedy}."
    )
