"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
import re
from pathlib import Path

import pandas as pd

from lib.base.escapes import list_some
from lib.base.workspace import Workspace
from lib.data.findings import LEFT_OUT, find, leave_out
from lib.data.label_files import (
    check_rows,
    match_rows,
    read_corrections,
    read_labels,
    refuse_cells,
    update_files,
)
from lib.data.listing import NO_PICTURE, escape, list_folders, walk
from lib.data.names import clean, fold, split_part_name
from lib.data.series import group_files

# Pictures that can't be read here, which nobody may take for answered.
UNREADABLE = (
    "needs_pillow_heif",
    "unsupported",
    "git_lfs_pointer",
    "unreadable",
    "odd_name",
)
# Accents and dashes.
MARKS = "[\u0300-\u036f _-]"


def label_by_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    A folder without pictures is no class, but a finding.

    Raises:
        ValueError: The classes are divided into parts.
    """
    listed, odd = walk(folder)
    top = listed.file.str.extract("^([^/]+)/")[0]
    is_none = listed.file.isin(odd.file[odd.problem.isin(NO_PICTURE)])
    listed = listed.assign(label=top.mask(is_none).fillna(""))
    _refuse_parts(leave_out(listed, odd), folder)
    names = {escape(path.name) for path in list_folders(folder)}
    empty = sorted(names.difference(listed.label))
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
        validation: Folder of class folders that is the validation part.
        group_by: What names tell of groups, see `series.group_files`.

    Returns:
        The files, sorted: columns file, label, part and group, "" for what is unknown.
        The findings.

    Raises:
        ValueError: As `check_rows`, no row of the labels names a file, or class folders are divided into
            parts.
    """
    listed, odd = walk(train) if ws.train_labels else label_by_folder(train)
    listed, odd = _add_validation(listed, odd, train, validation)
    findings = [odd]
    if ws.train_labels:
        listed, told = _apply_labels(listed, ws.train_labels, train)
        findings.append(told)
    listed = group_by_names(listed, odd, group_by)
    # Of labels that look equal, all are written as the first.
    equal = listed.label.groupby(listed.label.map(clean))
    listed = listed.assign(label=equal.transform("first"))
    if ws.corrections:
        listed, corrected = _correct_labels(listed, ws.corrections, train)
        findings.append(corrected)
    findings.append(find(listed.file[listed.label == ""], "no_label"))
    listed = listed.sort_values("file", ignore_index=True)
    used = leave_out(listed, pd.concat(findings))
    findings.append(_find_similar(used.label))
    return listed, pd.concat(findings, ignore_index=True)


def _apply_labels(listed, path, train):
    """Return the files with what the rows of train_labels say, and findings."""
    rows, lost = match_rows(read_labels(path), listed.file, train)
    if rows.empty:
        refuse_cells(path, lost.file, f"file in {train}, or fits several")
    listed, later = update_files(listed, check_rows(path, rows))
    return listed, pd.concat([lost, later])


def _list_inner_folders(pictures):
    """List the names of folders below the classes of train, at any depth: columns label and name."""
    inner = pictures.file.str.extract(
        r"^(?P<label>(?!\.\./)[^/]+)/(?P<name>.+)/"
    ).dropna()
    inner = inner.assign(name=inner.name.str.split("/")).explode("name")
    return inner.drop_duplicates()


def _refuse_parts(pictures, folder):
    """Raise a ValueError where the folders of two classes or more hold parts of a data set."""
    inner = _list_inner_folders(pictures)
    divided = inner[inner.name.map(_is_part).astype(bool)]
    if divided.label.nunique() > 1:
        raise ValueError(
            f"{folder}: the classes {list_some(divided.label)} are divided into {list_some(divided.name)}. "
            "Put the classes into the parts, train/cat instead of cat/train, or name the files of "
            "each part, file,label,part, in a CSV file that train_labels names."
        )


def describe_inner_folders(pictures: pd.DataFrame) -> str:
    """Name class folders that hold folders of the same names, in a note; return "" for none."""
    inner = _list_inner_folders(pictures)
    # Folders with a number are patients, say.
    shared = inner[inner.name.duplicated(keep=False) & ~inner.name.str.contains(r"\d")]
    branches = shared.label[shared.label.duplicated()]
    if branches.nunique() < 2:
        return ""
    return (
        f"Note: {list_some(branches)} hold folders of the same names: {list_some(shared.name)}. If these are "
        "the classes, point train at the one of the former that is for training, or name them in "
        "train_labels, and the former in its column group."
    )


def _is_part(name):
    """Tell whether a folder is called like a part: train, or with a share or size, train80."""
    part, rest = split_part_name(name)
    return part is not None and not re.search("[^\\W\\d_]", rest)


def _add_validation(listed, odd, train, validation):
    """Return the files of the training folder, and their findings, with those of the validation folder."""
    if validation is None:
        return listed, odd
    further, further_odd = label_by_folder(validation)
    further = rebase(further.assign(part="validation"), validation, train)
    listed = pd.concat([listed.assign(part="train"), further], ignore_index=True)
    return listed, pd.concat([odd, rebase(further_odd, validation, train)])


def rebase(rows: pd.DataFrame, folder: Path, base: Path) -> pd.DataFrame:
    """Return rows whose column file, relative to `folder`, is relative to `base`."""
    prefix = os.path.relpath(folder, base)
    files = [os.path.normpath(f"{prefix}/{file}") for file in rows.file]
    return rows.assign(file=files)


def group_by_names(
    listed: pd.DataFrame, odd: pd.DataFrame, group_by: str = "none"
) -> pd.DataFrame:
    """Give files that belong together by their names, see `series`, one group; a given one goes first."""
    pictures = leave_out(listed, odd)
    groups = dict(zip(pictures.file, group_files(pictures, group_by)))
    told = listed.file.map(groups).fillna("")
    return listed.assign(group=listed.group.where(listed.group != "", told))


def _correct_labels(listed, path, folder):
    """Return the files in the classes that a corrections file names, and findings; no class leaves out."""
    classes = sorted(set(listed.label) - {""})
    given = read_corrections(path, listed.file, folder)
    others = find(given.file[~given.holds], "other_content", "kept")
    rows, lost = match_rows(given[given.holds], listed.file, folder)
    several = lost.file[lost.problem == "ambiguous"]
    refuse_cells(path, several, f"one file in {folder}: it fits several")
    after, _ = update_files(listed, check_rows(path, rows, classes))
    changed = after[after.label != listed.label]
    earlier = listed.label[changed.index]
    action = "taken as " + changed.label + (", not " + earlier).where(earlier != "", "")
    is_none = changed.label == ""
    problem = is_none.map({True: "left out by hand", False: "corrected"})
    corrected = find(changed.file, problem, action.mask(is_none, LEFT_OUT))
    emptied = sorted(set(classes).difference(after.label))
    return after, pd.concat([corrected, lost, others, find(emptied, "empty_class")])


def _find_similar(labels):
    """Find classes whose names look like another's: by case, accents, dashes or 1 and 1.0."""
    names = labels.drop_duplicates()
    plain = names.str.normalize("NFKD").str.replace(MARKS, "", regex=True)
    similar = sorted(names[fold(plain).duplicated(keep=False)])
    return find(similar, "similar_class_name", "kept")


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, a class or not, else the class folder a picture lies in, else
    "". A note names files that can't be pictures. It is an error where there is no picture.
    """
    listed, odd = walk(folder)
    unusable = odd[~odd.problem.isin(UNREADABLE)]
    pictures = leave_out(listed, unusable)
    if pictures.empty:
        raise ValueError(f"{folder} holds no picture; name a folder of pictures.")
    names = {clean(name): name for name in class_names}
    folders = pictures.file.str.extract("^([^/]+)/")[0].dropna().map(clean)
    strange = set(folders).difference(names)
    pictures = pictures.assign(label=folders.map(names.get)).fillna("")
    if labels:
        rows = read_labels(labels)[["file", "label"]]
        rows, lost = match_rows(rows, pictures.file, folder)
        pictures, _ = update_files(pictures, check_rows(labels, rows))
        unusable = pd.concat([unusable, lost])
    elif names and strange:
        print(
            f"Note: no class is called {list_some(strange)}: pictures there have no label."
        )
    for problem, files in unusable[unusable.problem != "junk"].groupby("problem").file:
        print(f"Note: passed over, {len(files):,} {problem}: {list_some(files)}")
    own = [names.get(clean(label), label) for label in pictures.label]
    return pictures[["file"]].assign(label=own)
