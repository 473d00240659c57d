"""The table of pictures: one row for each file, from the first look to the split, and what becomes of it.

Columns: file, relative to the folder of the pictures, with /; label, part (train or validation) and
group (what must not be divided), "" as long as they are unknown; digest and the facts of `quality`, ""
and 0 where nothing was decoded; problem: words, of what is left out one word, the first reason; action:
"left out", "kept" or what else became of it, "" where there is no problem.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS
from lib.data.quality import FACTS
from lib.workspace import Workspace

COLUMNS = ["file", "label", "part", "group", "problem", "action"]  # before decoding
MEASURED = [name for name in FACTS.names if name != "thumbnail"]
# Words of rows that are no files.
NOT_FILES = ("empty_class", "missing_file", "ambiguous", "similar_class_name")
MIN_PER_CLASS = 5
# Columns beside the probabilities of classes, in the tables of answers.
RESERVED = ("file", "label", "predicted")
FORMS = ", ".join(sorted(ENDINGS))
REMEDIES = {
    "git_lfs_pointer": " (run: git lfs pull)",
    "needs_pillow_heif": " (run: pip install pillow-heif)",
    "not_a_picture": " (if that is no class but tells the labels: write file,label into a CSV file that "
    "train_labels names)",
}


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text; a class named "NA" or "007" stays what it is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def tabulate(rows: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Make a table of pairs of a file and its problem; what has one is left out."""
    table = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    table["action"] = table.problem.where(table.problem == "", "left out")
    return table.reindex(columns=COLUMNS, fill_value="")


def note(
    table: pd.DataFrame,
    where: pd.Series,
    problem: str | pd.Series,
    action: str | pd.Series = "left out",
) -> None:
    """Write into the table a problem of some rows, bool (n,), and what becomes of them.

    What is left out keeps its first reason; of what is used, problems and actions are joined by
    semicolons.

    Args:
        problem: One word, or one for each row of the table.
        action: "left out", "kept" or more, or one for each row.
    """
    index = table.index[where & (table.action != "left out")]
    old_problem = table.problem[index]
    old_action = table.action[index]
    problem = pd.Series(problem, table.index)[index]
    action = pd.Series(action, table.index)[index]
    stays = action != "left out"
    has_problem = stays & (old_problem != "")
    problems = problem.mask(has_problem, old_problem + ";" + problem)
    has_action = stays & ~old_action.isin(["", "kept"])
    both = old_action.where(action == "kept", old_action + "; " + action)
    table.loc[index, "problem"] = problems
    table.loc[index, "action"] = action.mask(has_action, both)


def is_used(table: pd.DataFrame) -> pd.Series:
    """Tell which rows are pictures that are used: they have a label, and are not left out."""
    return (table.label != "") & (table.action != "left out")


def list_checks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the view checks.csv: file, problem, action of all that is worth a word."""
    return table.loc[table.problem != "", ["file", "problem", "action"]]


def save_views(ws: Workspace, table: pd.DataFrame) -> None:
    """Write what is known of the contents, what became of all files, and the split, which is last."""
    decoded = table[table.digest != ""]
    used = table[is_used(table)]
    columns = ["file", "digest", *MEASURED, "problem", "group"]
    ws.save_table(decoded[columns], "pictures.csv")
    ws.save_table(list_checks(table), "checks.csv")
    ws.save_table(used[["file", "label", "part"]], "split.csv")


def check_classes(table: pd.DataFrame, ws: Workspace) -> None:
    """Check that each class has five usable pictures or more, in both parts once there are parts.

    Raises:
        ValueError: It names every class that has too few, with its files and why they can't be used,
            and the file of corrections, if any. Then checks.csv is written.
    """
    rows = table[table.label != ""].copy()
    rows["used"] = is_used(rows)
    rows["missing"] = rows.problem.isin(["missing_file", "ambiguous"])
    classes = _count_files(rows)
    lack = (
        _find_reserved(classes)
        or _find_small(classes, rows)
        or _find_too_few_classes(classes, ws.train)
        or _find_undivided(rows)
    )
    if lack is None:
        return
    similar = table.file[table.problem == "similar_class_name"]
    if len(similar):
        lack += f" These look alike: {', '.join(similar)}. Is one of them misspelt?"
    if ws.corrections:
        lack += f" Labels were corrected by {ws.corrections}."
    ws.save_table(list_checks(table), "checks.csv")
    raise ValueError(f"{lack} Every file stands in checks.csv.")


def _count_files(rows):
    """Count the files of each class, those that are used, and those that are missing."""
    sums = {"file": "size", "used": "sum", "missing": "sum"}
    classes = rows.groupby("label").agg(sums)
    # A few rows whose files are missing make no class.
    has_file = classes.missing < classes.file
    return classes[has_file | (classes.file >= MIN_PER_CLASS)]


def _find_reserved(classes):
    for name in RESERVED:
        if name in classes.index:
            return (
                f'A class is called "{name}", as a column of the tables of answers: '
                "give it another name."
            )
    return None


def _find_small(classes, rows):
    described = []
    for name in classes.index[classes.used < MIN_PER_CLASS]:
        described.append(_describe_class(name, rows[rows.label == name]))
    if not described:
        return None
    return (
        f"Each class needs at least {MIN_PER_CLASS} pictures that can be used. "
        f"{'; '.join(described)}. Add pictures, or move the folder out of train."
    )


def _describe_class(name, rows):
    words = f'"{name}" has {rows.used.sum()} usable pictures'
    reasons = rows.problem[~rows.used].value_counts()
    for reason, count in reasons.items():
        remedy = REMEDIES.get(reason, "")
        words += f", {count} {reason}{remedy}"
    return words


def _find_too_few_classes(classes, train):
    if len(classes) > 1:
        return None
    count = "no class folder"
    if len(classes) == 1:
        count = f'one class only, "{classes.index[0]}"'
    return (
        f"train has {count}; a classifier needs two or more. Put one folder for each class, with its "
        f"pictures ({FORMS}), into {train}, point train at such a folder, or name a CSV file, "
        "file,label, in train_labels."
    )


def _find_undivided(rows):
    has_part = rows.used & (rows.part != "")
    parted = rows[has_part].groupby("label")
    is_alone = parted.part.nunique() < 2
    counts = parted.group.agg(["nunique", "size"])[is_alone]
    if counts.empty:
        return None
    has_groups = (rows.group != "").any()
    names = []
    for name, groups, pictures in counts.itertuples():
        if has_groups:
            name += f" ({pictures:,} pictures, {groups:,} groups)"
        names.append(name)
    return (
        f"These classes stand in one part alone: {', '.join(names[:20])}. Where parts were given, "
        "correct them. A group (copies, augmented or not, look-alikes as the frames of one film, one "
        'given group) is never divided: add other pictures, or take DUPLICATES = "drop".'
    )
