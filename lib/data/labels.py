"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
from pathlib import Path

import pandas as pd

from lib.data.label_files import apply_labels, read_columns
from lib.data.listing import escape, list_folders, walk
from lib.data.names import PARTS, clean, fold, split_part_name
from lib.data.series import find_originals
from lib.data.table import FORMS, is_used, note, tabulate
from lib.workspace import Workspace

# Pictures that can't be read here, which nobody may take for answered.
UNREADABLE = ("needs_pillow_heif", "unsupported", "git_lfs_pointer")
MAX_NAMED = 10  # files that a note names


def label_by_folder(folder: Path) -> pd.DataFrame:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    Of a file in none of them no label and no problem is known; a class without files has a row.
    """
    table = walk(folder)
    classes = [escape(path.name) for path in list_folders(folder)]
    top = table.file.str.split("/").str[0]
    is_inside = top.isin(classes) & (table.problem != "junk")
    table["label"] = top.where(is_inside, "")
    is_outside = ~is_inside & ~table.problem.isin(["junk", "odd_name"])
    table.loc[is_outside, ["problem", "action"]] = ""
    empty = sorted(set(classes).difference(table.label))
    rows = tabulate([(name, "empty_class") for name in empty])
    return pd.concat([table, rows], ignore_index=True)


def list_pictures(
    ws: Workspace, train: Path, validation: Path | None = None
) -> pd.DataFrame:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        ws: Names the CSV files: train_labels (file, label, if you like part and group), which goes
            before the names of folders, and corrections (file, label), which goes before both.
        train: Folder whose sub-folders are the classes, unless there are labels.
        validation: Folder of class folders that is the validation part, unless the labels tell parts.

    Returns the table of pictures, sorted by file. Raises a ValueError as `apply_labels`, or where
    class folders are divided into parts.
    """
    if ws.train_labels is None:
        table = label_by_folder(train)
        _refuse_parts_below_classes(table, train)
        _say_branches(table, train)
        group_augmented(table, train)
        table = _add_validation(table, train, validation)
    else:
        table = _apply_train_labels(ws.train_labels, train, validation)
    table["label"] = _unify(table.label)
    if ws.corrections_note:
        print(ws.corrections_note)
    if ws.corrections is not None:
        table = _correct_labels(table, ws.corrections, train)
    reason = "no_label" if ws.train_labels else "outside_class_folder"
    note(table, table.label == "", reason)
    # Parts of which none is for validation are none: a fifth is taken.
    has_parts = (table.part == "validation").any()
    table["part"] = table.part.replace("", "train") if has_parts else ""
    return _note_similar(table).sort_values("file", ignore_index=True)


def _apply_train_labels(path, train, validation):
    rows = read_columns(path)
    parts = rows.get("part", pd.Series(dtype=str)).str.casefold()
    gives_parts = (parts.map(PARTS) == "validation").any()
    if validation is not None and gives_parts:
        print(f"Note: {path.name} gives the parts; {validation} is not used.")
        validation = None
    table = walk(train)
    group_augmented(table, train)
    table = _add_validation(table, train, validation)
    return apply_labels(table, path, train, rows)


def _refuse_parts_below_classes(table, folder):
    """Raise a ValueError where two class folders hold folders named after parts of a data set."""
    classes = set()
    parts = set()
    for path in _list_class_folders(table):
        label, *inside = path.split("/")
        for name in inside:
            part, rest = split_part_name(name)
            if part and all(map(str.isdigit, rest)):
                classes.add(label)
                parts.add(name)
    if len(classes) > 1:
        raise ValueError(
            f"{folder}: the classes {_name_some(classes)} are divided into {_name_some(parts)}. "
            "Put the classes into the parts, train/cat instead of cat/train, or name the files of "
            "each part, file,label,part, in a CSV file that train_labels names."
        )


def _list_class_folders(table):
    """List the folders, of any depth, in which pictures with a label lie."""
    is_picture = (table.label != "") & (table.problem == "")
    files = table.file[is_picture]
    folders = files.str.rsplit("/", n=1).str[0]
    return folders.drop_duplicates()


def _name_some(names):
    return ", ".join(sorted(names)[:5])


def _say_branches(table, folder):
    """Say where class folders hold the same folders: they may be folds or sizes, not classes."""
    folders = _list_class_folders(table)
    pairs = folders.str.extract("^([^/]+)/([^/]+)").dropna()
    pairs = pairs.drop_duplicates()
    shared = pairs[pairs[1].duplicated(keep=False)]
    counts = shared[0].value_counts()
    branches = counts.index[counts > 1]
    if len(branches) > 1:
        print(
            f"Note: {_name_some(branches)} hold folders of the same names: "
            f"{_name_some(shared[1].unique())}. If these are the classes, point train at the one of "
            f"the former in {folder} that is for training."
        )


def _add_validation(table, train, validation):
    """Return the table of the training folder with the files of the validation folder."""
    if validation is None:
        return table
    further = label_by_folder(validation).assign(part="validation")
    _refuse_parts_below_classes(further, validation)
    group_augmented(further, validation)
    further["file"] = os.path.relpath(validation, train) + "/" + further.file
    return pd.concat([table, further], ignore_index=True)


def group_augmented(table: pd.DataFrame, folder: Path) -> None:
    """Give augmented copies and their originals, which their names tell, one group."""
    files = table.file[table.problem == ""]
    originals = find_originals(files)
    originals = originals[originals != ""]
    if originals.empty:
        return
    table.loc[originals.index, "group"] = f"copies of {folder}/" + originals
    example = files[originals.index[0]]
    print(
        f"Note: {folder}: {len(originals):,} pictures are augmented copies by their names, or the "
        f"originals, say {example}. They form {originals.nunique():,} groups, which are not divided."
    )


def _unify(labels):
    """Return the labels; of those that look equal, all are written as the first."""
    first = {}
    for label in labels.unique():
        first.setdefault(clean(label), label)
    return labels.map({label: first[clean(label)] for label in labels.unique()})


def _correct_labels(table, path, folder):
    """Move pictures to the classes that a corrections file names; leave out where it names none."""
    before = table.label
    classes = sorted(before[before != ""].unique())
    rows = read_columns(path, optional=())
    table = apply_labels(table, path, folder, rows, classes=classes, strict=True)
    is_other = table.label != before
    is_none = table.label == ""
    note(table, is_other & is_none, "left out by hand")
    earlier = ", not " + before
    earlier = earlier.where(before != "", "")
    action = "taken as " + table.label + earlier
    note(table, is_other, "corrected", action)
    table["label"] = table.label.mask(is_none, before)
    return table


def _note_similar(table):
    """Add a row for each class whose name looks like another: by case, accents, dashes or 1 and 1.0."""
    names = table.label[is_used(table)].drop_duplicates()
    is_similar = fold(names).duplicated(keep=False)
    similar = sorted(names[is_similar])
    if similar:
        print(f"Note: classes that look alike: {', '.join(similar)}.")
    rows = tabulate([(name, "similar_class_name") for name in similar])
    rows["action"] = "kept"
    return pd.concat([table, rows])


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, else the class folder a picture lies in, else "". A note
    names files that can't be pictures. It is an error where there is no folder or no picture.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name a folder of pictures.")
    table = walk(folder)
    table["label"] = _find_class_folders(table.file, class_names)
    if labels:
        rows = read_columns(labels, optional=())
        table = apply_labels(table, labels, folder, rows, classes=class_names)
    is_picture = table.problem.isin(["", *UNREADABLE])
    if not is_picture.any():
        raise ValueError(f"{folder} holds no picture ({FORMS}).")
    _say_passed_over(table[~is_picture])
    pictures = table.loc[is_picture, ["file", "label"]]
    return pictures.reset_index(drop=True)


def _say_passed_over(table):
    others = table[table.problem != "junk"]
    for problem, files in others.groupby("problem").file:
        names = ", ".join(files[:MAX_NAMED])
        if len(files) > MAX_NAMED:
            names += f" and {len(files) - MAX_NAMED:,} more"
        print(f"Note: passed over, {problem}: {names}")


def _find_class_folders(files, class_names):
    """Return the class that the first folder of each file is called like, or ""."""
    folders = files.str.extract("^([^/]+)/")[0].dropna()
    names = {clean(name): name for name in class_names}
    labels = folders.map(clean).map(names.get)
    strange = folders[labels.isna()].drop_duplicates()
    looks = fold(pd.Series(class_names, dtype=str))
    similar = dict(zip(looks, class_names))
    for folder, look in zip(strange, fold(strange)):
        if look in similar:
            print(
                f"Note: pictures in {folder} have no label: the class is called {similar[look]}."
            )
    return labels.reindex(files.index).fillna("")
