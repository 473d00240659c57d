"""New pictures, to try models on: of a folder, or as people name them."""

import os
from pathlib import Path

import pandas as pd

from lib.data.downloads import fetch
from lib.data.labels import apply_labels
from lib.data.listing import walk
from lib.data.table import FORMS

SHOWN = 10  # names of files that are passed over


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
    if not (table.problem == "").any():
        raise ValueError(f"{folder} holds no picture ({FORMS}).")
    if labels is not None:
        table = apply_labels(table, labels, folder, classes=class_names)
    passed = table[~table.problem.isin(["", "junk"])]
    for problem, files in passed.file.groupby(passed.problem):
        more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
        print(f"passed over, {problem}: {', '.join(files[:SHOWN])}{more}")
    return table.loc[table.problem == "", ["file", "label"]].reset_index(drop=True)


def list_named_pictures(names: list[str], class_names: list[str], scratch: Path) -> pd.DataFrame:
    """List pictures by their names: files, folders of them, and addresses of the web.

    Returns columns file (as named), path (where it lies), label (of class folders, else ""), problem
    ("" where it may be read, else missing_file, no_picture in a folder, or not_downloaded), and
    in_folder: whether a folder was named.
    """
    rows = []
    for name in names:
        path, problem, inside = Path(name).absolute(), "", None
        try:
            if "://" in name:
                path = fetch(name, scratch / "downloads")
            elif os.path.isdir(path):
                inside = list_new_pictures(path, class_names)
            elif not os.path.exists(path):
                problem = "missing_file"
        except ValueError as error:
            problem = getattr(error, "problem", "no_picture")
        if inside is None:
            rows.append((name, path, "", problem, False))
            continue
        for file, label in zip(inside.file, inside.label):
            rows.append((str(Path(name, file)), path / file, label, "", True))
    return pd.DataFrame(rows, columns=["file", "path", "label", "problem", "in_folder"])
