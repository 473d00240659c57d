"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
from pathlib import Path

import pandas as pd

from lib.data.label_files import apply_labels, read_labels
from lib.data.listing import PARTS, clean, escape, list_folders, walk
from lib.data.table import FORMS, is_used, note, tabulate

# Pictures that can't be read here, which nobody may take for answered.
UNREADABLE = ("needs_pillow_heif", "unsupported", "git_lfs_pointer")


def label_by_folder(folder: Path) -> pd.DataFrame:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    Of a file in none of them no label and no problem is known; a class without files has a row.
    """
    table = walk(folder)
    names = {escape(path.name) for path in list_folders(folder)}
    top = table.file.str.split("/").str[0]
    table["label"] = top.where(top.isin(names) & (table.problem != "junk"), "")
    is_outside = (table.label == "") & ~table.problem.isin(["junk", "odd_name"])
    table.loc[is_outside, ["problem", "action"]] = ""
    empty = tabulate((name, "empty_class") for name in sorted(names - {*table.label}))
    return pd.concat([table, empty], ignore_index=True)


def check_branches(table: pd.DataFrame, folder: Path) -> None:
    """Say where class folders hold the same folders: they may be parts, folds or sizes, not classes.

    A ValueError where the folders in every class are parts of a data set.
    """
    labelled = table[table.label != ""]
    pairs = labelled.file.str.extract("^([^/]+)/([^/]+)/").dropna().drop_duplicates()
    inside, names = pairs.groupby(0)[1].agg(set), sorted({*pairs[1]})
    is_divided = len(inside) == labelled.label.nunique() and inside.str.len().min() > 1
    if is_divided and {*PARTS}.issuperset(map(str.lower, names)):
        raise ValueError(
            f"{folder}: each class is divided into {', '.join(names)}. Put the classes into the parts, "
            "train/cat instead of cat/train, or name the files of each part, file,label,part, in a CSV "
            "file that train_labels names."
        )
    shared = sorted({*pairs[1][pairs[1].duplicated()]})
    branches = [
        name
        for name, folders in inside.items()
        if len(folders.intersection(shared)) > 1
    ]
    if len(branches) > 1:
        print(
            f"{', '.join(branches[:5])} hold folders of the same names: {', '.join(shared[:5])}. If "
            f"these are the classes, point train at one of the former, say {folder / branches[0]}."
        )


def list_pictures(ws, train: Path, validation: Path | None = None) -> pd.DataFrame:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        ws: names the CSV files: train_labels (file, label, if you like part and group), which goes
            before the names of folders, and corrections (file, label), which goes before both.
        train: folder whose sub-folders are the classes, unless there are labels.
        validation: folder of class folders that is the validation part.

    Returns the table of pictures, sorted by file. Raises a ValueError as `apply_labels`.
    """
    if ws.train_labels is None:
        table = label_by_folder(train)
        check_branches(table, train)
    else:
        table = apply_labels(
            walk(train), ws.train_labels, train, read_labels(ws.train_labels)
        )
    if validation is not None and (table.part == "validation").any():
        print(f"{ws.train_labels.name} gives the parts; {validation} is not used.")
    elif validation is not None:
        further = label_by_folder(validation).assign(part="validation")
        further["file"] = os.path.relpath(validation, train) + "/" + further.file
        table = pd.concat([table, further], ignore_index=True)
    if ws.corrections is not None:
        table = _correct_labels(table, ws.corrections, train)
    note(
        table,
        table.label == "",
        "no_label" if ws.train_labels else "outside_class_folder",
    )
    # Parts of which none is for validation are none: a fifth is taken.
    has_parts = (table.part == "validation").any()
    table["part"] = table.part.replace("", "train") if has_parts else ""
    return _note_similar(table).sort_values("file", ignore_index=True)


def _correct_labels(table: pd.DataFrame, path: Path, folder: Path) -> pd.DataFrame:
    """Move pictures to the classes that a corrections file names; leave out where it names none."""
    before, rows = table.label, read_labels(path)[["file", "label"]]
    table = apply_labels(
        table, path, folder, rows, sorted({*before} - {""}), strict=True
    )
    is_other, is_none = table.label != before, table.label == ""
    note(table, is_other & is_none, "left out by hand")
    earlier = (", not " + before).where(before != "", "")
    note(table, is_other, "corrected", "taken as " + table.label + earlier)
    return table.assign(label=table.label.mask(is_none, before))


def _note_similar(table: pd.DataFrame) -> pd.DataFrame:
    """Add a row for each class whose name looks like another: by case, accents, dashes or 1 and 1.0."""
    names = table.label[is_used(table)].drop_duplicates()
    folded = names.map(clean).str.casefold().str.normalize("NFKD")
    folded = folded.str.replace("[\u0300-\u036f _-]", "", regex=True)
    numbers = pd.to_numeric(folded, errors="coerce")
    similar = names[folded.where(numbers.isna(), numbers).duplicated(keep=False)]
    notes = tabulate((name, "similar_class_name") for name in similar).assign(
        action="kept"
    )
    return pd.concat([table, notes])


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, else the class folder a picture lies in, else "". What
    can't be a picture is named and passed over. It is an error where there is no folder or no
    picture, or the labels file can't be used.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name a folder of pictures.")
    table = walk(folder)
    top = table.file.str.split("/").str[0]
    table["label"] = top.where(top.isin(class_names), "")
    if labels is not None:
        rows = read_labels(labels)[["file", "label"]]
        table = apply_labels(table, labels, folder, rows, class_names)
    is_picture = table.problem.isin(["", *UNREADABLE])
    if not is_picture.any():
        raise ValueError(f"{folder} holds no picture ({FORMS}).")
    for problem, files in table[~is_picture].groupby("problem").file:
        if problem != "junk":
            more = f" and {len(files) - 10:,} more" if len(files) > 10 else ""
            print(f"passed over, {problem}: {', '.join(files[:10])}{more}")
    return table.loc[is_picture, ["file", "label"]].reset_index(drop=True)
