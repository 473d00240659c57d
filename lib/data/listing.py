"""One walker: which files there are, which may be pictures of which class; the checks."""

import os
import stat
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS, sniff
from lib.data.split import check_parts

FEWEST_PER_CLASS = 5
FORMS = ", ".join(sorted(ENDINGS))
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
# What folders are named that are parts of a data set, not classes.
PART_NAMES = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing"},
}
REMEDIES = {
    "git_lfs_pointer": " (run: git lfs pull)",
    "needs_pillow_heif": " (run: pip install pillow-heif)",
    "duplicate_other_class": " (the same picture in several classes: correct the labels)",
}


def is_junk(name: str) -> bool:
    """Tell whether a file or folder was left by a program: hidden ones and a few more."""
    return name.startswith(".") or name in JUNK


def holds_pictures(folder: Path) -> bool:
    """Tell whether any file below a folder is named like a picture."""
    found = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in ENDINGS and not is_junk(name) for name in found)


def escape(name: str) -> str:
    """Write bytes that are no text, and the return that ends a line of CSV files, as codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def walk(folder: Path) -> pd.DataFrame:
    """List every file below a folder, at any depth; links are followed, once.

    Content decides what a picture is: of a file with an unusual ending the first bytes are read.

    Returns columns file (relative to `folder`, with /) and problem, sorted by file: "" where it may
    be a picture, else junk, odd_name, circular_link, unreadable, not_a_file or a word of `sniff`.
    Junk and folders that can't be entered stand there as one row.
    """
    rows = []

    def enter(place: Path, prefix: str, above: tuple):
        try:
            entries, state = list(os.scandir(place)), os.stat(place)
        except OSError:
            return rows.append((prefix.rstrip("/"), "unreadable"))
        identity = (state.st_dev, state.st_ino)
        if identity in above:
            return rows.append((prefix.rstrip("/"), "circular_link"))
        for entry in entries:
            name = prefix + entry.name
            if is_junk(entry.name):
                rows.append((name, "junk"))
            elif escape(entry.name) != entry.name:
                rows.append((escape(name), "odd_name"))
            elif os.path.isdir(entry):
                enter(place / entry.name, name + "/", (*above, identity))
            else:
                rows.append((name, _judge_file(place / entry.name)))

    enter(folder, "", ())
    return pd.DataFrame(sorted(rows), columns=["file", "problem"], dtype=str)


def _judge_file(path: Path) -> str:
    if path.suffix.lower() in ENDINGS:
        return ""  # Decoding will tell.
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not_a_file"
        with path.open("rb") as file:
            return sniff(file.read(64))
    except OSError:
        return "unreadable"


def label_by_folder(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Give the files of `walk` their class folder's name as label; add a row for an empty one."""
    names = [entry.name for entry in os.scandir(folder) if os.path.isdir(entry)]
    names = {name for name in names if not is_junk(name) and escape(name) == name}
    top = table.file.str.split("/").str[0]
    table["label"] = top.where(top.isin(names), "")
    is_outside = (table.label == "") & ~table.problem.isin(["junk", "odd_name"])
    table.loc[is_outside, "problem"] = "outside_class_folder"
    empty = names - set(table.label[table.problem != "junk"])
    notes = pd.DataFrame({"file": sorted(empty), "problem": "empty_class"}, dtype=str)
    return pd.concat([table, notes], ignore_index=True).fillna("")


def list_checks(listed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of checks.csv for what was corrected or can't be used: file, problem, action."""
    checks = listed.loc[listed.problem != "", ["file", "problem"]]
    is_kept = checks.problem == "similar_class_name"
    checks["action"] = is_kept.map({True: "kept", False: "left out"})
    moved = listed.reindex(columns=["file", "corrected"], fill_value="")
    moved = moved[moved.corrected != ""].rename(columns={"corrected": "action"})
    checks = pd.concat([checks, moved.assign(problem="corrected")])
    return checks.sort_values("file", kind="stable", ignore_index=True)


def leave_out(listed: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """Return `listed` with the problem of every file that `checks` leaves out."""
    problems = checks[checks.action == "left out"].set_index("file").problem
    return listed.assign(problem=listed.file.map(problems).fillna(listed.problem))


def check_classes(listed: pd.DataFrame, corrections: Path | None = None) -> None:
    """Check that there are two classes or more, each with at least five usable pictures.

    `listed` is as `list_pictures` and `leave_out` return it. A ValueError names every class that
    has too few, with its files and why they can't be used, and the file of corrections, if any.
    """
    classes = listed[(listed.label != "") & (listed.problem != "junk")]
    support = (classes.problem == "").groupby(classes.label).sum()
    lines, hint = [], f" Labels were corrected by {corrections}." if corrections else ""
    for name, count in support[support < FEWEST_PER_CLASS].items():
        reasons = classes.problem[(classes.label == name) & (classes.problem != "")].value_counts()
        words = [f"{n} {reason}{REMEDIES.get(reason, '')}" for reason, n in reasons.items()]
        lines.append(", ".join([f'"{name}" has {count} usable pictures', *words]))
    if lines:
        raise ValueError(
            f"Each class needs at least {FEWEST_PER_CLASS} pictures that can be used. "
            f"{'; '.join(lines)}. Every file stands in checks.csv. Add pictures, or move the "
            f"folder out of train.{hint}"
        )
    if len(support) < 2:
        found = f'one class only, "{support.index[0]}"' if len(support) else "no class folder"
        raise ValueError(
            f"train has {found}; a classifier needs two or more. Put one folder a class there, each "
            f"with its pictures ({FORMS}). (Is train the folder above the class folders?){hint}"
        )
    usable = classes[classes.problem == ""]
    if (usable.get("part", "") != "").any():
        check_parts(usable)
