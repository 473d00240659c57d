"""The table of pictures: a row a file, from the first look to the split, and what becomes of it.

Columns: file, relative to the folder of the pictures, with /; label, part (train or validation) and
group (what must not be divided), "" as long as nobody told them; digest and the facts of `quality`,
"" and 0 where decoding told nothing; problem, words on what was found, of what is left out one word,
the first reason; action: "left out", "kept" or what else became of it, "" where nothing is to be said.
"""

import pandas as pd

from lib.data.pictures import ENDINGS
from lib.data.quality import FACTS

COLUMNS = ["file", "label", "part", "group", "problem", "action"]  # before decoding
MEASURED = [name for name in FACTS.names if name != "thumbnail"]
NOT_FILES = ("empty_class", "missing_file", "ambiguous", "similar_class_name")  # rows about others
FEWEST_PER_CLASS = 5
FORMS = ", ".join(sorted(ENDINGS))
REMEDIES = {
    "git_lfs_pointer": " (run: git lfs pull)",
    "odd_name": " (give it a name of letters)",
    "ambiguous": " (write the path from train)",
    "needs_pillow_heif": " (run: pip install pillow-heif)",
    "duplicate_other_class": " (the same picture in several classes: correct the labels)",
    "not_a_picture": " (if that is no class but tells the labels: write file,label into a CSV file that "
    "train_labels names)",
}


def tabulate(rows) -> pd.DataFrame:
    """Make a table of pairs of a file and its problem; what has one is left out."""
    table = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    table["action"] = table.problem.where(table.problem == "", "left out")
    return table.reindex(columns=COLUMNS, fill_value="")


def note(table: pd.DataFrame, where, problem, action="left out") -> None:
    """Write into the table what was found of some rows, bool (n,), and what becomes of them.

    What is left out keeps its first reason; of what is used, words and actions are joined by
    semicolons.

    Args:
        problem: one word, or a Series of one a row.
        action: "left out", "kept" or more, or a Series of such.
    """
    found = pd.DataFrame({"problem": problem, "action": action}, table.index)
    found = found[where & (table.action != "left out")]
    old, stays = table.loc[found.index], found.action != "left out"
    words = (old.problem + ";" + found.problem).str.removeprefix(";")
    actions = (old.action + "; " + found.action).str.replace("^; |^kept; |; kept$", "", regex=True)
    table.loc[found.index, "problem"] = words.where(stays, found.problem)
    table.loc[found.index, "action"] = actions.where(stays, "left out")


def find_used(table: pd.DataFrame) -> pd.Series:
    """Tell which rows are pictures that are used: they have a label, and are not left out."""
    return (table.label != "") & (table.action != "left out")


def add_facts(table: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Return the table with what decoding told, as `pixels.prepare` returns it; note the problems."""
    table = table.merge(facts.rename(columns={"problem": "damage"}), "left", "file")
    table = table.fillna({"digest": "", "damage": ""} | dict.fromkeys(MEASURED, 0))
    note(table, table.damage != "", table.damage)
    return table.drop(columns="damage").astype({name: FACTS[name] for name in MEASURED})


def list_checks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the view checks.csv: file, problem, action of all that is worth a word."""
    return table.loc[table.problem != "", ["file", "problem", "action"]]


def save_views(ws, table: pd.DataFrame) -> None:
    """Write what is known of the contents, what became of all files, and the split, which is last."""
    contents = table.loc[table.digest != "", ["file", "digest", *MEASURED, "problem", "group"]]
    ws.save_table(contents, "pictures.csv")
    ws.save_table(list_checks(table), "checks.csv")
    ws.save_table(table.loc[find_used(table), ["file", "label", "part"]], "split.csv")


def check_classes(table: pd.DataFrame, ws) -> None:
    """Check that each class has five usable pictures or more, in both parts once there are parts.

    Else checks.csv is written, and a ValueError names every class that has too few, with its files
    and why they can't be used, and the file of corrections, if any.
    """
    classes = table[table.label != ""].groupby("label")
    # A few rows whose files are missing make no class.
    classes = [one for one in classes if len(one[1]) >= FEWEST_PER_CLASS or _has_files(one[1])]
    few = [_explain(*one) for one in classes if find_used(one[1]).sum() < FEWEST_PER_CLASS]
    names = [name for name, _ in classes]
    parted = table[find_used(table) & (table.part != "")].groupby("label")
    alone = parted.group.agg(["nunique", "size"])[parted.part.nunique() < 2]
    if few:
        message = (
            f"Each class needs at least {FEWEST_PER_CLASS} pictures that can be used. {'; '.join(few)}. "
            "Add pictures, or move the folder out of train."
        )
    elif len(names) < 2:
        found = f'one class only, "{names[0]}"' if names else "no class folder"
        message = (
            f"train has {found}; a classifier needs two or more. Put one folder a class, each with its "
            f"pictures ({FORMS}), into {ws.train}, point train at such a folder, or name a CSV file, "
            "file,label, in train_labels."
        )
    elif len(alone):
        counts = [f"{name} ({n:,} pictures, {k:,} groups)" for name, k, n in alone.itertuples()]
        counts = counts if (table.group != "").any() else alone.index
        message = (
            f"These classes stand in one part alone: {', '.join(counts[:20])}. Where parts were given, "
            "correct them. A group (copies, look-alikes as the frames of one film, one given group) is "
            'never divided: add other pictures, or take DUPLICATES = "drop".'
        )
    else:
        return
    ws.save_table(list_checks(table), "checks.csv")
    hint = f" Labels were corrected by {ws.corrections}." if ws.corrections else ""
    raise ValueError(f"{message} Every file stands in checks.csv.{hint}")


def _has_files(rows: pd.DataFrame) -> bool:
    return not rows.problem.isin(["missing_file", "ambiguous"]).all()


def _explain(name: str, rows: pd.DataFrame) -> str:
    used = find_used(rows)
    reasons = rows.problem[~used].value_counts()
    words = [f", {n} {reason}{REMEDIES.get(reason, '')}" for reason, n in reasons.items()]
    return f'"{name}" has {used.sum()} usable pictures{"".join(words)}'
