"""Lists of pictures with their labels, of folders and of CSV files: those to learn from, and new ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib.base.escapes import list_some
from lib.base.paths_file import check_exists
from lib.base.workspace import Workspace
from lib.data.findings import find
from lib.data.label_files import apply_rows, read_columns, read_rows
from lib.data.listing import NO_PICTURE, leave_others_out, walk
from lib.data.names import NOTHING, find_alike
from lib.data.series import group_files

# Labels that look like none, or like several; those of `multi_labels` end in |.
NO_CLASS = rf"(?i){'|'.join(NOTHING)}|\?|.*[|;].*[^|]"


def list_pictures(
    ws: Workspace,
    train: Path,
    validation: Path | None = None,
    group_by: str = "none",
    read: Callable = read_rows,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        ws: Names the CSV files: train_labels (file, label, if you like part and group), which goes
            before the names of folders, and corrections (file, label), which goes before both.
        train: Folder whose sub-folders are the classes, unless there are labels. One without pictures
            is no class, but a finding.
        validation: Folder of class folders that is the validation part.
        group_by: What names tell of groups, see `series.group_files`.
        read: What reads train_labels, as `read_rows` does.

    Returns:
        The files, sorted: columns file, label, part and group, "" for what is unknown.
        The findings.

    Raises:
        ValueError: As `read_labels` and `apply_rows`.
    """
    listed, odd = _list_files(ws, train, validation)
    files = leave_others_out(listed).file
    findings = [odd]
    if ws.train_labels:
        rows = read(ws.train_labels, files, [train])
        listed, told = apply_rows(listed, ws.train_labels, rows)
        findings.append(told)
    _note_names(listed)
    listed = group_files(listed, group_by).drop(columns="problem")
    if ws.corrections:
        listed, corrected = _correct_labels(listed, ws.corrections, files, train)
        findings.append(corrected)
    findings.append(find(listed.query("label == ''").file, "no_label"))
    listed = listed.sort_values("file", ignore_index=True)
    return listed, pd.concat(findings, ignore_index=True)


def _list_files(ws, train, validation):
    """List the files of both folders, with the labels that folders tell, and find what is odd of them."""
    listed = walk(train)
    if ws.train_labels:
        listed = listed.assign(label="")
    if validation:
        further = walk(validation).assign(part="validation")
        further = rebase(further, validation, train)
        listed = pd.concat([listed.assign(part="train"), further], ignore_index=True)
    is_other = listed.problem.isin(NO_PICTURE)
    labels = listed.label.mask(is_other, "")
    empty = set(listed.label).difference(labels)
    odd = listed.query("problem != ''")
    findings = [find(odd.file, odd.problem), find(sorted(empty), "empty_class")]
    return listed.assign(label=labels), pd.concat(findings)


def rebase(rows: pd.DataFrame, folder: Path, base: Path) -> pd.DataFrame:
    """Return rows whose column file, relative to `folder`, is relative to `base`."""
    files = [os.path.relpath(folder / file, base) for file in rows.file]
    return rows.assign(file=files)


def _correct_labels(listed, path, files, folder):
    """Return the files in the classes that a corrections file names, and findings; no class leaves out."""
    rows = read_rows(path, files, [folder])
    after, lost = apply_rows(listed, path, rows)
    changed = after[after.label != listed.label]
    removed = changed.query("label == ''")
    moved = changed.query("label != ''")
    unknown = set(moved.label).difference(listed.label)
    if unknown:
        print(
            f"Note: only {path.name} gives these classes: {list_some(unknown)}. Where you have renamed a "
            "class, rename it there, too."
        )
    found = [
        lost,
        find(removed.file, "left out by hand"),
        find(moved.file, "corrected", "taken as " + moved.label),
    ]
    return after, pd.concat(found)


def _note_names(listed):
    """Note classes and groups whose names may be slips; nothing is merged."""
    alike = find_alike(listed.label) + find_alike(listed.group)
    if alike:
        print(
            "Note: classes or groups differ only in capitals, zeros or .0, and stay apart: "
            f"{list_some(alike)}."
        )
    odd = listed.label[listed.label.str.fullmatch(NO_CLASS)]
    if len(odd):
        print(
            "Note: each of these is taken for one class, though a picture of none has an empty cell, and "
            f"several stand in multi_labels: {list_some(odd)}."
        )


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
    odd = walk(folder)
    pictures = leave_others_out(odd)[["file", "label", "group"]]
    if pictures.empty:
        raise ValueError(f"{folder} holds no picture; name a folder of pictures.")
    is_strange = ~pictures.label.isin([*class_names, ""])
    strange = pictures.label[is_strange]
    pictures["label"] = pictures.label.mask(is_strange, "")
    if labels:
        told = read_columns(labels, ["label", "group"], pictures.file, [folder])
        pictures.update(told.reset_index(drop=True))
    elif class_names:
        odd = pd.concat([odd, find(strange, "unknown_class")])
    noted = odd[~odd.problem.isin(["", "junk"])]
    for problem, files in noted.groupby("problem").file:
        print(f"Note: {problem}, {files.nunique():,}: {list_some(files)}.")
    return pictures


def list_files(places: list[str]) -> list[str]:
    """Return pictures, and those in folders, each once.

    Raises:
        OSError: a place does not exist, or can't be entered.
    """
    files = {}
    for place in places:
        path = Path(place)
        check_exists(path, "Name pictures, or folders of them.")
        inside = [path]
        if path.is_dir():
            inside = map(path.joinpath, list_new_pictures(path, []).file)
        for file in inside:
            files[os.path.abspath(file)] = str(file)
    return list(files.values())
