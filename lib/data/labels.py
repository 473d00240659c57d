"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
from pathlib import Path

import pandas as pd

from lib.base.escapes import list_some
from lib.base.workspace import Workspace
from lib.data.findings import find, leave_out
from lib.data.label_files import (
    apply_rows,
    read_corrections,
    read_labels,
    refuse_cells,
)
from lib.data.listing import NO_PICTURE, walk
from lib.data.names import COPY, clean, fold
from lib.data.series import group_files

# Accents and dashes.
MARKS = "[\u0300-\u036f _-]"


def label_by_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    Names are written as they look, see `names.clean`. A folder without pictures is no class, but a
    finding.
    """
    listed, odd = walk(folder)
    problem = listed.file.map(odd.set_index("file").problem)
    # A folder that can't be read is listed like a file, and is a class all the same.
    paths = listed.file.mask(problem == "unreadable", listed.file + "/")
    top = paths.str.extract("^([^/]+)/")[0].fillna("").map(clean)
    labels = top.mask(problem.isin(NO_PICTURE), "")
    empty = sorted(set(top).difference(labels))
    return listed.assign(label=labels), pd.concat([odd, find(empty, "empty_class")])


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
        ValueError: As `apply_rows`, or no row of the labels names a file, or corrections an unknown class.
    """
    listed, odd = _list_files(ws, train, validation)
    findings = [odd]
    if ws.train_labels:
        rows = read_labels(ws.train_labels)
        listed, told = apply_rows(listed, ws.train_labels, rows, train, required=True)
        findings.append(told)
    listed = group_files(listed, odd, group_by)
    if ws.corrections:
        listed, corrected = _correct_labels(listed, ws.corrections, train)
        findings.append(corrected)
    findings.append(find(listed.file[listed.label == ""], "no_label"))
    findings.append(_find_similar(listed.label))
    listed = listed.sort_values("file", ignore_index=True)
    return listed, pd.concat(findings, ignore_index=True)


def _list_files(ws, train, validation):
    """List the files of both folders, with the labels that folders tell, and what is odd of them."""
    listed, odd = walk(train) if ws.train_labels else label_by_folder(train)
    if not validation:
        return listed, odd
    further, further_odd = label_by_folder(validation)
    further = rebase(further.assign(part="validation"), validation, train)
    listed = pd.concat([listed.assign(part="train"), further], ignore_index=True)
    return listed, pd.concat([odd, rebase(further_odd, validation, train)])


def describe_inner_folders(pictures: pd.DataFrame) -> str:
    """Name folders that several class folders hold, in a note; return "" for fewer than two."""
    # Folders with a number are patients, say.
    inner = pictures.file.str.extract(r"^([^/]+)/([^/\d]+)/").dropna()
    names = inner.drop_duplicates()[1]
    shared = names[names.duplicated()]
    if shared.nunique() < 2:
        return ""
    return (
        f"Note: folders of the same names lie in several class folders: {list_some(shared)}. If they are parts, "
        "put the classes into them: train/cat. If they are the classes, point train at the folder above them "
        "that is for training, or name them in train_labels, and that folder in its column group or part."
    )


def rebase(rows: pd.DataFrame, folder: Path, base: Path) -> pd.DataFrame:
    """Return rows whose column file, relative to `folder`, is relative to `base`."""
    files = [os.path.relpath(folder / file, base) for file in rows.file]
    return rows.assign(file=files)


def _correct_labels(listed, path, folder):
    """Return the files in the classes that a corrections file names, and findings; no class leaves out."""
    given = read_corrections(path, listed.file, folder)
    rows = given[given.holds]
    classes = set(listed.label) - {""}
    unknown = rows.label[~rows.label.isin(["", *classes])]
    refuse_cells(path, unknown, f"class of {list_some(classes)}")
    after, lost = apply_rows(listed, path, rows, folder)
    changed = after[after.label != listed.label]
    moved = changed[changed.label != ""]
    found = [
        lost,
        find(given.file[~given.holds], "other_content", "kept"),
        find(changed.file[changed.label == ""], "left out by hand"),
        find(moved.file, "corrected", "taken as " + moved.label),
    ]
    return after, pd.concat(found)


def _find_similar(labels):
    """Find classes whose names look like another's: by case, accents, dashes, 1.0 for 1, or as a copy."""
    names = labels.drop_duplicates()
    plain = names.str.replace(COPY, "", regex=True).str.normalize("NFKD")
    plain = plain.str.replace(MARKS, "", regex=True)
    similar = names[fold(plain).duplicated(keep=False)]
    return find(similar, "similar_class_name", "kept")


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, a class or not, else the class folder a picture lies in, else
    "". Notes name files that can't be pictures, rows that mean no file, and folders that are no class.
    It is an error where there is no picture.
    """
    listed, odd = label_by_folder(folder)
    unusable = odd[odd.problem.isin(NO_PICTURE)]
    pictures = leave_out(listed, unusable)
    if pictures.empty:
        raise ValueError(f"{folder} holds no picture; name a folder of pictures.")
    strange = set(pictures.label).difference(class_names, [""])
    pictures = pictures.assign(label=pictures.label.replace(list(strange), ""))
    if labels:
        rows = read_labels(labels)[["file", "label"]]
        pictures, lost = apply_rows(pictures, labels, rows, folder)
    else:
        lost = find(sorted(strange) if class_names else [], "unknown_class")
    passed = pd.concat([unusable[unusable.problem != "junk"], lost])
    for problem, files in passed.groupby("problem").file:
        print(f"Note: {problem}, {len(files):,}: {list_some(files)}.")
    return pictures[["file", "label"]]
