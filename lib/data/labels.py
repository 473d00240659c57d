"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
from pathlib import Path

import pandas as pd

from lib.base.escapes import list_some
from lib.base.paths_file import check_exists
from lib.base.workspace import Workspace
from lib.data.findings import find
from lib.data.label_files import apply_rows, read_columns, read_corrections, read_rows
from lib.data.listing import NO_PICTURE, leave_others_out, walk
from lib.data.names import NOTHING, clean, find_alike
from lib.data.series import group_files


def label_by_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List a folder of classes as `walk` does, each file with the name of its class as label.

    Names are written as they look, see `names.clean`. A folder without pictures is no class, but a
    finding.
    """
    listed, odd = walk(folder)
    problem = listed.file.map(odd.set_index("file").problem)
    top = listed.file.str.extract("^([^/]+)/")[0].fillna("").map(clean)
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
        ValueError: As `read_labels` and `apply_rows`.
    """
    listed, odd = _list_files(ws, train, validation)
    files = leave_others_out(listed, odd).file
    findings = [odd]
    if ws.train_labels:
        rows = read_rows(ws.train_labels, files, [train])
        listed, told = apply_rows(listed, ws.train_labels, rows)
        findings.append(told)
    _note_names(listed)
    listed = group_files(listed, odd, group_by)
    if ws.corrections:
        listed, corrected = _correct_labels(listed, ws.corrections, files, train)
        findings.append(corrected)
    findings.append(find(listed.file[listed.label == ""], "no_label"))
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


def rebase(rows: pd.DataFrame, folder: Path, base: Path) -> pd.DataFrame:
    """Return rows whose column file, relative to `folder`, is relative to `base`."""
    files = [os.path.relpath(folder / file, base) for file in rows.file]
    return rows.assign(file=files)


def _correct_labels(listed, path, files, folder):
    """Return the files in the classes that a corrections file names, and findings; no class leaves out."""
    given = read_corrections(path, files, folder)
    after, lost = apply_rows(listed, path, given)
    changed = after[after.label != listed.label]
    moved = changed[changed.label != ""]
    unknown = set(moved.label).difference(listed.label)
    if unknown:
        print(
            f"Note: only {path.name} gives these classes: {list_some(unknown)}. Where you have renamed a "
            "class, rename it there, too."
        )
    found = [
        lost,
        find(changed.file[changed.label == ""], "left out by hand"),
        find(moved.file, "corrected", "taken as " + moved.label),
    ]
    return after, pd.concat(found)


def _note_names(listed):
    """Note classes and groups whose names may be slips; nothing is merged."""
    names = listed.label
    alike = find_alike(names) + find_alike(listed.group)
    none = names[names.str.casefold().isin([*NOTHING, "?"])]
    several = names[names.str.contains("[|;]")]
    notes = {
        "classes or groups differ only in capitals, zeros or .0, and stay apart": alike,
        "these are taken for classes, though a picture of none has an empty cell": none,
        "these are taken for one class each; several stand in multi_labels": several,
    }
    for said, noted in notes.items():
        if len(noted):
            print(f"Note: {said}: {list_some(noted)}.")


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`), label and group.

    The label is that of the labels file, a class or not, else the class folder a picture lies in, else
    "". The group is that of the labels file, else "". Notes name files that can't be pictures, and
    folders that are no class.

    Raises:
        ValueError: There is no picture; or as `read_columns`.
    """
    listed, odd = label_by_folder(folder)
    pictures = leave_others_out(listed, odd)[["file", "label", "group"]]
    odd = odd[odd.problem.isin(NO_PICTURE)]
    if pictures.empty:
        raise ValueError(f"{folder} holds no picture; name a folder of pictures.")
    strange = set(pictures.label).difference(class_names, [""])
    pictures["label"] = pictures.label.replace(list(strange), "")
    if labels:
        told = read_columns(labels, ["label", "group"], pictures.file, [folder])
        pictures.update(told.reset_index(drop=True))
    elif class_names:
        odd = pd.concat([odd, find(sorted(strange), "unknown_class")])
    for problem, files in odd[odd.problem != "junk"].groupby("problem").file:
        print(f"Note: {problem}, {len(files):,}: {list_some(files)}.")
    return pictures


def list_files(places: list[str]) -> list[str]:
    """Return pictures, and those in folders, each once.

    Raises:
        OSError: a place does not exist, or can't be entered.
    """
    files = {}
    for place in places:
        check_exists(Path(place), "Name pictures, or folders of them.")
        inside = [place]
        if os.path.isdir(place):
            names = list_new_pictures(Path(place), []).file
            inside = [os.path.join(place, name) for name in names]
        files |= {os.path.abspath(file): file for file in inside}
    return list(files.values())


def list_groups(how: str, files: list[str], folders: list[Path]) -> pd.Series:
    """Return the group of each file: its folder for "folder", else as a CSV file of columns file and group says.

    A file without a group is its own. Files and folders are those of `read_rows`.
    """
    own = pd.Series(files, files).map(os.path.abspath)
    if how == "folder":
        return own.map(os.path.dirname)
    given = read_columns(Path(how), ["group"], files, folders).group
    return given.mask(given == "").fillna(own)
