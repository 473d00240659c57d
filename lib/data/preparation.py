"""Preparation: what classes lack, which pictures look alike, and groups of new pictures."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.escapes import list_some
from lib.base.workspace import Workspace
from lib.data import copies, pixels
from lib.data.findings import list_checks
from lib.data.label_files import read_columns
from lib.data.series import name_bursts

MIN_PER_CLASS = 5
# Columns beside the probabilities of classes, in the tables of answers.
RESERVED = {"file", "label", "predicted"}
# What is wrong with classes; names stand behind it.
ONE_CLASS = """A classifier needs two classes or more: put one folder for each class into train, or name a \
CSV file, file,label, as train_labels. If train is the folder of one class, write the folder above it; if \
multi_labels tells all, run --only 11. This has fewer"""
UNDIVIDED = """A group (copies, look-alikes, a given one, one of GROUP_BY) is never divided: add other \
pictures, or change what has made the groups or parts. In one part alone are"""


def check_classes(
    ws: Workspace,
    listed: pd.DataFrame,
    pictures: pd.DataFrame,
    findings: pd.DataFrame,
) -> None:
    """Check that each class has five usable pictures or more, in both parts once there are parts.

    Args:
        listed: all files, with their label, "" for none.
        pictures: those of them that are used, with their part, "" as long as there are none.
        findings: why the others are not.

    Raises:
        ValueError: it names the classes. What is left out stands in failed_checks.csv then; a split that is
            there already stays, and so do its checks.
    """
    labelled = listed[listed.label != ""]
    classes = labelled.label.unique()
    counts = pictures.label.value_counts()
    support = counts.reindex(classes, fill_value=0)
    few = support.index[support < MIN_PER_CLASS]
    placed = pictures[pictures.part != ""]
    parts = placed.groupby("label").part.nunique()
    is_undivided = parts < 2
    reserved = RESERVED.intersection(classes)
    lacks = {
        "No class can be called so, as columns of tables are": reserved,
        f"Each class needs {MIN_PER_CLASS} usable pictures, and these have fewer": few,
        ONE_CLASS: [str(ws.train)] if len(classes) < 2 else [],
        UNDIVIDED: parts.index[is_undivided],
    }
    for lack, names in lacks.items():
        if len(names):
            ws.save_table(list_checks(findings), "failed_checks.csv")
            named = list_some(names)
            raise ValueError(
                f"{lack}: {named}. failed_checks.csv tells what is left out, and why."
            )


def find_bonds(ws: Workspace, pictures: pd.DataFrame, image_size: int) -> np.ndarray:
    """Return the pairs of digests of pictures that look alike, str (k, 2).

    Args:
        pictures: columns file and digest.
        image_size: the side of the pixels that are compared.
    """
    contents = pictures.drop_duplicates("digest", ignore_index=True)
    thumbnails = pixels.open_pixels(ws, contents, pixels.THUMBNAILS)
    detail = pixels.open_pixels(ws, contents, image_size)
    pairs = copies.find_near_duplicates(thumbnails, detail)
    digests = contents.digest.to_numpy()
    return digests[pairs[["a", "b"]]]


def form_groups(
    how: str | None, ws: Workspace, files: list[str], folders: list[Path]
) -> pd.DataFrame:
    """Return columns file and group, and taken, the date of Exif, if that makes groups.

    Args:
        how: the folder of each file is its group; or time, its burst, as 01 makes them; or that of a CSV
            file of columns file and group. A file without a group is its own.
        folders: what names of that file may be relative to, see `read_columns`.
    """
    asked = pd.DataFrame({"file": files})
    paths = asked.file.map(os.path.abspath)
    groups = paths
    if how == "folder":
        groups = paths.map(os.path.dirname)
    elif how == "time":
        dated, _ = pixels.decode_pictures(ws, Path.cwd(), asked, [])
        asked = asked.merge(dated[["file", "taken"]], how="left")
        groups = name_bursts(asked.assign(file=paths, label=""))
    elif how:
        given = read_columns(Path(how), ["group"], files, folders)
        groups = given.group.replace("", None).reset_index(drop=True)
    return asked.assign(group=groups).fillna({"group": paths})
