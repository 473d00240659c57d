"""The table of pictures: a row a file, from the first look to the split, and what becomes of it.

Columns: file, relative to the folder of the pictures, with /; label, part (train or validation) and
group (what must not be divided), "" as long as they are unknown; digest and the facts of `quality`, ""
and 0 where nothing was decoded; problem: words, of what is left out one word, the first reason; action:
"left out", "kept" or what else became of it, "" where there is no problem.
"""

from pathlib import Path

import pandas as pd

from lib.data.pictures import ENDINGS
from lib.data.quality import FACTS

COLUMNS = ["file", "label", "part", "group", "problem", "action"]  # before decoding
MEASURED = [name for name in FACTS.names if name != "thumbnail"]
NOT_FILES = (
    "empty_class",
    "missing_file",
    "ambiguous",
    "similar_class_name",
)  # rows about others
MIN_PER_CLASS = 5
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


def tabulate(rows) -> pd.DataFrame:
    """Make a table of pairs of a file and its problem; what has one is left out."""
    table = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    table["action"] = table.problem.where(table.problem == "", "left out")
    return table.reindex(columns=COLUMNS, fill_value="")


def note(table: pd.DataFrame, where, problem, action="left out") -> None:
    """Write into the table a problem of some rows, bool (n,), and what becomes of them.

    What is left out keeps its first reason; of what is used, problems and actions are joined by
    semicolons.

    Args:
        problem: one word, or a Series of one a row.
        action: "left out", "kept" or more, or a Series of such.
    """
    rows = table.index[where & (table.action != "left out")]
    problem, action = (pd.Series(one, table.index)[rows] for one in (problem, action))
    old, stays = table.loc[rows], action != "left out"
    problems = (old.problem + ";" + problem).where(stays & (old.problem != ""), problem)
    actions = (old.action + "; " + action).where(action != "kept", old.action)
    actions = actions.where(stays & ~old.action.isin(["", "kept"]), action)
    table.loc[rows, "problem"], table.loc[rows, "action"] = problems, actions


def is_used(table: pd.DataFrame) -> pd.Series:
    """Tell which rows are pictures that are used: they have a label, and are not left out."""
    return (table.label != "") & (table.action != "left out")


def list_checks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the view checks.csv: file, problem, action of all that is worth a word."""
    return table.loc[table.problem != "", ["file", "problem", "action"]]


def save_views(ws, table: pd.DataFrame) -> None:
    """Write what is known of the contents, what became of all files, and the split, which is last."""
    contents = table.loc[
        table.digest != "", ["file", "digest", *MEASURED, "problem", "group"]
    ]
    ws.save_table(contents, "pictures.csv")
    ws.save_table(list_checks(table), "checks.csv")
    ws.save_table(table.loc[is_used(table), ["file", "label", "part"]], "split.csv")


def check_classes(table: pd.DataFrame, ws) -> None:
    """Check that each class has five usable pictures or more, in both parts once there are parts.

    Else checks.csv is written, and a ValueError names every class that has too few, with its files
    and why they can't be used, and the file of corrections, if any.
    """
    if lack := _find_lack(table, ws.train):
        ws.save_table(list_checks(table), "checks.csv")
        hint = f" Labels were corrected by {ws.corrections}." if ws.corrections else ""
        raise ValueError(f"{lack} Every file stands in checks.csv.{hint}")


def _find_lack(table: pd.DataFrame, train) -> str | None:
    is_missing = table.problem.isin(["missing_file", "ambiguous"])
    table = table.assign(used=is_used(table), missing=is_missing)[table.label != ""]
    classes = table.groupby("label").agg(
        {"file": "size", "used": "sum", "missing": "sum"}
    )
    # A few rows whose files are missing make no class.
    classes = classes[
        (classes.file >= MIN_PER_CLASS) | (classes.missing < classes.file)
    ]
    if few := list(classes.index[classes.used < MIN_PER_CLASS]):
        each = [_describe_class(name, table[table.label == name]) for name in few]
        return (
            f"Each class needs at least {MIN_PER_CLASS} pictures that can be used. {'; '.join(each)}. "
            "Add pictures, or move the folder out of train."
        )
    if len(classes) < 2:
        count = (
            f'one class only, "{classes.index[0]}"'
            if len(classes)
            else "no class folder"
        )
        return (
            f"train has {count}; a classifier needs two or more. Put one folder a class, each with its "
            f"pictures ({FORMS}), into {train}, point train at such a folder, or name a CSV file, "
            "file,label, in train_labels."
        )
    parted = table[table.used & (table.part != "")].groupby("label")
    alone = parted.group.agg(["nunique", "size"])[parted.part.nunique() < 2]
    if len(alone):
        each = [
            f"{name} ({n:,} pictures, {k:,} groups)"
            for name, k, n in alone.itertuples()
        ]
        each = each if (table.group != "").any() else list(alone.index)
        return (
            f"These classes stand in one part alone: {', '.join(each[:20])}. Where parts were given, "
            "correct them. A group (copies, look-alikes as the frames of one film, one given group) is "
            'never divided: add other pictures, or take DUPLICATES = "drop".'
        )
    return None


def _describe_class(name: str, rows: pd.DataFrame) -> str:
    reasons = rows.problem[~rows.used].value_counts()
    words = [
        f", {n} {reason}{REMEDIES.get(reason, '')}" for reason, n in reasons.items()
    ]
    return f'"{name}" has {rows.used.sum()} usable pictures{"".join(words)}'
