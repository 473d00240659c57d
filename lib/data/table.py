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
NOT_FILES = ("empty_class", "missing_file", "similar_class_name")  # rows about something else
FEWEST_PER_CLASS = 5
FORMS = ", ".join(sorted(ENDINGS))
REMEDIES = {
    "git_lfs_pointer": " (run: git lfs pull)",
    "needs_pillow_heif": " (run: pip install pillow-heif)",
    "duplicate_other_class": " (the same picture in several classes: correct the labels)",
    "not_a_picture": " (if that is no class but tells the labels: write file,label into a CSV file that "
    "train_labels names)",
}


def tabulate(rows) -> pd.DataFrame:
    """Make a table of pairs of a file and its problem; what has one is left out."""
    table = pd.DataFrame(rows, columns=["file", "problem"], dtype=str)
    table["action"] = table.problem.map(lambda problem: "left out" if problem else "").astype(str)
    return table.reindex(columns=COLUMNS, fill_value="")


def note(table: pd.DataFrame, where: pd.Series, problem, action: str = "left out") -> None:
    """Write into the table what was found of some pictures, and what becomes of them.

    What is left out keeps its first reason; of what is used, words and actions are joined by
    semicolons.

    Args:
        where: bool (n,), the rows.
        problem: one word, or a Series of one a row.
        action: "left out", "kept" or more.
    """
    rows = table.index[where & (table.action != "left out")]
    old, word = table.loc[rows], problem[rows] if isinstance(problem, pd.Series) else problem
    if action != "left out":
        word = (old.problem + ";" + word).str.removeprefix(";")
        action = (old.action + "; " + action).str.replace("^; |^kept; |; kept$", "", regex=True)
    table.loc[rows, "problem"], table.loc[rows, "action"] = word, action


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
    if message := _explain_few(table, ws.train) or _explain_parts(table):
        ws.save_table(list_checks(table), "checks.csv")
        hint = f" Labels were corrected by {ws.corrections}." if ws.corrections else ""
        raise ValueError(f"{message} Every file stands in checks.csv.{hint}")


def _explain_few(table: pd.DataFrame, train) -> str:
    classes, lines = table[(table.label != "") & (table.problem != "junk")], []
    used = find_used(classes)
    support = used.groupby(classes.label).sum()
    for name, count in support[support < FEWEST_PER_CLASS].items():
        reasons = classes.problem[~used & (classes.label == name)].value_counts()
        words = [f", {n} {reason}{REMEDIES.get(reason, '')}" for reason, n in reasons.items()]
        lines.append(f'"{name}" has {count} usable pictures{"".join(words)}')
    if lines:
        return (
            f"Each class needs at least {FEWEST_PER_CLASS} pictures that can be used. "
            f"{'; '.join(lines)}. Add pictures, or move the folder out of train."
        )
    if len(support) > 1:
        return ""
    found = f'one class only, "{support.index[0]}"' if len(support) else "no class folder"
    return (
        f"train has {found}; a classifier needs two or more. It is {train}: put one folder a class "
        f"there, each with its pictures ({FORMS}), point train at such a folder, or name a CSV file, "
        "file,label, in train_labels."
    )


def _explain_parts(table: pd.DataFrame) -> str:
    parts = table[find_used(table) & (table.part != "")].groupby("label").part.nunique()
    if not (undivided := parts.index[parts < 2]).size:
        return ""
    return (
        f"These classes stand in one part alone: {', '.join(undivided[:20])}. Where parts were given, "
        "correct them. Else their files are copies, look-alikes or one group of too few pictures to be "
        'divided: add pictures, or take DUPLICATES = "drop".'
    )
