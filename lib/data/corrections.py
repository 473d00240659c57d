"""Corrections: what a person's file of other labels makes of the list of pictures."""

import difflib
import os
import re
from pathlib import Path

import pandas as pd

from lib.data.labels import compose_name, match_files, read_labels, refuse_contradictions

NOTES = ("empty_class", "missing_file", "similar_class_name")  # of these there is no file
USABLE = ("", "no_label", "outside_class_folder")  # with a label it is a picture of a class


def correct_labels(listed: pd.DataFrame, path: Path | None) -> pd.DataFrame:
    """Move pictures to the classes that a corrections file names; leave out where it names none.

    Args:
        listed: as `list_pictures` returns it.
        path: CSV file with the columns file and label; None changes nothing.

    Returns `listed` with the column corrected ("" or how), the problem `left out by hand`, and a row
    `empty_class` for a class that lost all. Raises a ValueError, which names the lines, where a row
    names no file or no class, or two rows give one file two labels.
    """
    listed = listed.assign(corrected="")
    if path is None:
        return listed
    rows, classes = read_labels(path, ["file", "label"]), _list_classes(listed)
    files = listed.file[~listed.problem.isin(NOTES)]
    rows["found"] = rows.file.map(_find_files(rows.file, files, classes))
    _check_known(path, rows.file[rows.found.isna()], "file", files)
    rows["given"] = rows.label.map(compose_name).map(classes | {"": ""})
    _check_known(path, rows.label[rows.given.isna()], "class", classes)
    rows = rows.drop_duplicates(["found", "given"])
    refuse_contradictions(path, rows, "found")
    given = listed.file.map(rows.set_index("found").given).fillna(listed.label)
    listed.loc[(given == "") & (listed.problem == ""), "problem"] = "left out by hand"
    moved = (given != "") & (given != listed.label) & listed.problem.isin(USABLE)
    was = (", not " + listed.label[moved]).where(listed.label[moved] != "", "")
    listed.loc[moved, "corrected"] = "taken as " + given[moved] + was
    listed.loc[moved, "label"], listed.loc[moved, "problem"] = given[moved], ""
    if (listed.part != "").any():
        listed.loc[moved & (listed.part == ""), "part"] = "train"
    emptied = sorted(set(classes.values()) - set(_list_classes(listed).values()))
    notes = pd.DataFrame({"file": emptied, "problem": "empty_class"}, dtype=str)
    return pd.concat([listed, notes]).fillna("").sort_values("file", ignore_index=True)


def _list_classes(listed: pd.DataFrame) -> dict[str, str]:
    names = listed.label[(listed.label != "") & (listed.problem != "junk")].unique()
    return {compose_name(name): name for name in names}


def _find_files(names, files, classes) -> dict[str, str]:
    # Validation files lie beside train: ../val/cat/1.jpg.
    known = {re.sub(r"^(\.\./)+", "", file): file for file in files}
    found = {}
    for name, file in match_files(names, known).items():
        folders = (set(compose_name(path).split("/")[:-1]) for path in (name, known[file]))
        mine, other = (one & {"..", *classes} for one in folders)
        # Of a picture that is gone, the namesake in another class or part is another picture.
        if mine <= other or not other and ".." not in mine:
            found[name] = known[file]
    return found


def _check_known(path: Path, unknown: pd.Series, kind: str, known) -> None:
    lines = []
    for line, name in unknown.head(3).items():
        folder, base = os.path.split(name)
        # To compare a name with those of a million files takes a minute.
        near = [one for one in known if one.startswith(f"{folder}/") or one.endswith(f"/{base}")]
        near = ", ".join(difflib.get_close_matches(name, near or known, 3, 0))
        lines.append(f"line {line}: {name!r} is no {kind}; the nearest: {near}.")
    if lines:
        further = f" So are {len(unknown) - 3} further lines." if len(unknown) > 3 else ""
        raise ValueError(f"{path}, {' '.join(lines)}{further} Correct or delete them.")
