"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
import re
from pathlib import Path

import pandas as pd

from lib.data.findings import find, leave_out
from lib.data.label_files import apply_labels, read_columns
from lib.data.listing import escape, list_folders, walk
from lib.data.names import PARTS, clean, describe_classes, fold, split_part_name
from lib.data.pictures import ENDINGS
from lib.data.series import find_originals, group_files
from lib.workspace import Workspace

# Pictures that can't be read here, which nobody may take for answered.
UNREADABLE = ("needs_pillow_heif", "unsupported", "git_lfs_pointer", "unreadable")
MAX_NAMED = 10  # files that a note names
FORMS = ", ".join(sorted(ENDINGS))


def label_by_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    A class without files is a finding.
    """
    listed, odd = walk(folder)
    classes = [escape(path.name) for path in list_folders(folder)]
    top = listed.file.str.split("/").str[0]
    is_junk = listed.file.isin(odd.file[odd.problem == "junk"])
    listed = listed.assign(label=top.where(top.isin(classes) & ~is_junk, ""))
    empty = sorted(set(classes).difference(listed.label))
    return listed, pd.concat([odd, find(empty, "empty_class")])


def list_pictures(
    ws: Workspace,
    train: Path,
    validation: Path | None = None,
    group_by: str = "none",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        ws: Names the CSV files: train_labels (file, label, if you like part and group), which goes
            before the names of folders, and corrections (file, label), which goes before both.
        train: Folder whose sub-folders are the classes, unless there are labels.
        validation: Folder of class folders that is the validation part, unless the labels tell parts.
        group_by: What names tell of groups, see `series.group_files`; none, folder or name.

    Returns:
        The files, sorted: columns file, label, part and group, "" for what is unknown.
        The findings.

    Raises:
        ValueError: As `apply_labels`, or class folders are divided into parts.
    """
    if ws.train_labels is None:
        listed, odd = label_by_folder(train)
        _check_inner_folders(listed, odd, train)
        listed, odd = _add_validation(listed, odd, train, validation)
        reason = "outside_class_folder"
    else:
        listed, odd = _apply_train_labels(ws.train_labels, train, validation)
        reason = "no_label"
    listed = listed.assign(label=_unify(listed.label))
    listed = group_by_names(listed, odd, group_by)
    if ws.corrections_note:
        print(ws.corrections_note)
    corrected = []
    if ws.corrections is not None:
        listed, corrected = _correct_labels(listed, ws.corrections, train)
    unlabelled = find(listed.file[listed.label == ""], reason)
    findings = pd.concat([odd, *corrected, unlabelled])
    # Parts of which none is for validation are none: a fifth is taken.
    has_parts = (listed.part == "validation").any()
    parts = listed.part.replace("", "train") if has_parts else ""
    listed = listed.assign(part=parts).sort_values("file", ignore_index=True)
    similar = _find_similar(leave_out(listed, findings).label)
    return listed, pd.concat([findings, similar], ignore_index=True)


def _apply_train_labels(path, train, validation):
    rows = read_columns(path)
    parts = rows.get("part", pd.Series(dtype=str)).str.casefold()
    gives_parts = (parts.map(PARTS) == "validation").any()
    if validation is not None and gives_parts:
        print(f"Note: {path.name} gives the parts; {validation} is not used.")
        validation = None
    listed, odd = walk(train)
    listed, odd = _add_validation(listed, odd, train, validation)
    listed, findings = apply_labels(listed, path, train, rows)
    return listed, pd.concat([odd, findings])


def _check_inner_folders(listed, odd, folder):
    """Check what folders the class folders hold: parts of a data set are an error, equal ones a note."""
    pictures = leave_out(listed, odd)
    inner = pictures.file.str.extract("^(?P<label>[^/]+)/(?P<name>.+)/").dropna()
    inner = inner.assign(name=inner.name.str.split("/")).explode("name")
    inner = inner.drop_duplicates()
    divided = inner[inner.name.map(_is_part).astype(bool)]
    if divided.label.nunique() > 1:
        raise ValueError(
            f"{folder}: the classes {_name_some(divided.label)} are divided into {_name_some(divided.name)}. "
            "Put the classes into the parts, train/cat instead of cat/train, or name the files of "
            "each part, file,label,part, in a CSV file that train_labels names."
        )
    shared = inner[inner.name.duplicated(keep=False)]
    counts = shared.label.value_counts()
    branches = counts.index[counts > 1]
    if len(branches) > 1:
        print(
            f"Note: {_name_some(branches)} hold folders of the same names: {_name_some(shared.name)}. If "
            f"these are the classes, point train at the one of the former in {folder} that is for training."
        )


def _is_part(name):
    """Tell whether a folder is called like a part: train, or with a share or size, train80."""
    part, rest = split_part_name(name)
    return part is not None and not re.search("[^\\W\\d_]", rest)


def _name_some(names):
    return ", ".join(sorted(set(names))[:5])


def _add_validation(listed, odd, train, validation):
    """Return the files of the training folder, and their findings, with those of the validation folder."""
    if validation is None:
        return listed, odd
    further, further_odd = label_by_folder(validation)
    _check_inner_folders(further, further_odd, validation)
    further = further.assign(part="validation")
    prefix = os.path.relpath(validation, train) + "/"
    both = []
    for rows, more in ((listed, further), (odd, further_odd)):
        both.append(pd.concat([rows, more.assign(file=prefix + more.file)]))
    return both


def group_by_names(
    listed: pd.DataFrame, odd: pd.DataFrame, group_by: str = "none"
) -> pd.DataFrame:
    """Give files that belong together by their names, see `series`, one group; a given one goes first."""
    pictures = leave_out(listed, odd)
    copies = pictures.file[find_originals(pictures.file) != ""]
    if len(copies):
        print(
            f"Note: {len(copies):,} pictures are augmented copies by their names, or the originals, say "
            f"{copies.iloc[0]}. Copies of one picture form a group, which is not divided."
        )
    groups = dict(zip(pictures.file, group_files(pictures, group_by)))
    told = listed.file.map(groups).fillna("")
    return listed.assign(group=listed.group.where(listed.group != "", told))


def _unify(labels):
    """Return the labels; of those that look equal, all are written as the first."""
    first = {}
    for label in labels.unique():
        first.setdefault(clean(label), label)
    return labels.map({label: first[clean(label)] for label in labels.unique()})


def _correct_labels(listed, path, folder):
    """Move files to the classes that a corrections file names; leave out where it names none.

    Returns:
        The files; a list of findings.
    """
    classes = sorted(listed.label[listed.label != ""].unique())
    rows = read_columns(path, optional=())
    before = listed.reset_index(drop=True)
    after, _ = apply_labels(before, path, folder, rows, classes=classes, strict=True)
    emptied = set(classes).difference(after.label)
    if emptied:
        print(f"Note: {path.name} leaves no picture in {', '.join(sorted(emptied))}.")
    changed = after[after.label != before.label]
    earlier = before.label[changed.index]
    action = "taken as " + changed.label + (", not " + earlier).where(earlier != "", "")
    is_none = changed.label == ""
    by_hand = find(changed.file[is_none], "left out by hand")
    moved = find(changed.file[~is_none], "corrected", action[~is_none])
    return after, [by_hand, moved]


def _find_similar(labels):
    """Find classes whose names look like another's: by case, accents, dashes or 1 and 1.0."""
    names = labels.drop_duplicates()
    said = describe_classes(names)
    if said:
        print(said)
    similar = sorted(names[fold(names).duplicated(keep=False)])
    if similar:
        print(f"Note: classes that look alike: {', '.join(similar)}.")
    return find(similar, "similar_class_name", "kept")


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, else the class folder a picture lies in, else "". A note
    names files that can't be pictures. It is an error where there is no folder or no picture.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name a folder of pictures.")
    listed, odd = walk(folder)
    unusable = odd[~odd.problem.isin(UNREADABLE)]
    pictures = leave_out(listed, unusable)
    if pictures.empty:
        raise ValueError(f"{folder} holds no picture ({FORMS}).")
    names = {clean(name): name for name in class_names}
    folders = pictures.file.str.extract("^([^/]+)/")[0].map(clean, na_action="ignore")
    strange = folders.dropna()[~folders.isin(names)].unique()
    pictures = pictures.assign(label=[names.get(folder, "") for folder in folders])
    if labels:
        rows = read_columns(labels, optional=())
        pictures, told = apply_labels(
            pictures, labels, folder, rows, classes=class_names
        )
        unusable = pd.concat([unusable, told])
    elif names and len(strange):
        shown = ", ".join(strange[:MAX_NAMED])
        print(f"Note: no class is called {shown}: pictures there have no label.")
    for problem, files in unusable[unusable.problem != "junk"].groupby("problem").file:
        shown = ", ".join(files[:MAX_NAMED])
        print(f"Note: passed over, {len(files):,} {problem}: {shown}")
    return pictures[["file", "label"]]
