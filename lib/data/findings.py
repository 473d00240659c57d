"""Findings: what is noticed of files and classes, and what becomes of them; which pictures stay.

One row for each file and problem. Columns: file, relative to the folder of the pictures, with /, or a
class, or a name in a file of labels; problem, one word; action: "left out", "kept" or what else.
"""

from collections.abc import Iterable
from os import environ
from pathlib import Path

import pandas as pd

from lib.base.escapes import list_some
from lib.base.paths_file import read_json
from lib.base.workspace import Workspace, read_table
from lib.data.quality import FACTS

LEFT_OUT = "left out"
MEASURED = [name for name in FACTS.names if name != "thumbnail"]
MIN_PER_CLASS = 5
# Of the results: the folder of the pictures that the split is of.
PREPARED = "prepared_from.json"
# Of the smaller of two sets. Collections of different people have single pictures in common.
MIN_SHARED = 0.1
# Columns beside the probabilities of classes, in the tables of answers.
RESERVED = ("file", "label", "predicted")


def find(
    files: Iterable[str], problem: str | pd.Series, action: str | pd.Series = LEFT_OUT
) -> pd.DataFrame:
    """Return findings of files that have one problem and action, or each its own in the same order."""
    return pd.DataFrame(
        {"file": files, "problem": problem, "action": action}, dtype=str
    )


def leave_out(pictures: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    """Return the pictures, by their column file, that no finding leaves out; the index is anew."""
    files = findings.file[findings.action == LEFT_OUT]
    stays = ~pictures.file.isin(files)
    return pictures[stays].reset_index(drop=True)


def list_checks(findings: pd.DataFrame) -> pd.DataFrame:
    """Return checks.csv: one row for each file of the findings, sorted by file.

    A file that is left out has its first reason; the problems of one that is used are joined by semicolons,
    and so are its actions, without "kept".
    """
    reasons = findings[findings.action == LEFT_OUT].drop_duplicates("file")
    rows = pd.concat([reasons, leave_out(findings, findings)])
    joined = {"problem": ";".join, "action": _join_actions}
    return rows.groupby("file", as_index=False).agg(joined)


def _join_actions(actions):
    """Join actions to one text; kept goes without saying, unless it is all there is to say."""
    return "; ".join(action for action in actions if action != "kept") or "kept"


def count_left_out(findings: pd.DataFrame) -> str:
    """Count why files were left out, in a note; return "" where none was."""
    checks = list_checks(findings)
    counts = checks.problem[checks.action == LEFT_OUT].value_counts()
    if counts.empty:
        return ""
    counted = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return f"Note: left out: {counted}. checks.csv names them."


def save_views(
    ws: Workspace, decoded: pd.DataFrame, pictures: pd.DataFrame, findings: pd.DataFrame
) -> None:
    """Write what is known of the contents, what became of all files, and the split, which is last.

    Args:
        decoded: as `pixels.decode_pictures` returns it.
        pictures: those of them that are used, with their groups and parts.
        findings: of all steps.
    """
    contents = decoded.loc[decoded.digest != "", ["file", "digest", *MEASURED]]
    contents = contents.merge(pictures[["file", "group"]].astype(str), how="left")
    ws.save_table(contents, "pictures.csv")
    ws.save_json({"train": str(ws.train)}, PREPARED)
    ws.save_table(list_checks(findings), "checks.csv")
    ws.save_table(pictures[["file", "label", "part"]], "split.csv")


def check_earlier(ws: Workspace, decoded: pd.DataFrame) -> None:
    """Check that an earlier split of these results has some of the pictures, wherever they lay then.

    TRAIN_ANEW=1 in the environment allows others.

    Args:
        decoded: column digest.

    Raises:
        ValueError: it has hardly any, so its models would be lost; the error names both folders.
    """
    path = ws.results / PREPARED
    if environ.get("TRAIN_ANEW") or not path.exists():
        return
    known = read_table(ws.results / "pictures.csv")
    shared = known.digest.isin(decoded.digest).sum()
    if shared < MIN_SHARED * min(len(known), len(decoded)):
        earlier = read_json(path)["train"]
        raise ValueError(
            f"{ws.results} has results of {earlier}, and {ws.train} has {shared} of those pictures: name "
            "other results, or give the chain --anew."
        )


def check_folder(ws: Workspace) -> None:
    """Raise a ValueError where these results were prepared from another folder, which is still there."""
    path = ws.results / PREPARED
    if not path.exists():
        return
    earlier = read_json(path)["train"]
    if earlier != str(ws.train) and Path(earlier).exists():
        raise ValueError(
            f'{ws.results} has results of {earlier}, and "train" is {ws.train}: run 01_data_prep first, or '
            "name other results."
        )


def check_classes(
    ws: Workspace,
    listed: pd.DataFrame,
    pictures: pd.DataFrame,
    findings: pd.DataFrame,
    group_by: str = "none",
) -> None:
    """Check that each class has five usable pictures or more, in both parts once there are parts.

    Args:
        listed: all files, with their label, "" for none.
        pictures: those of them that are used, with their part, "" as long as there are none.
        findings: why the others are not.
        group_by: what has made groups, besides copies.

    Raises:
        ValueError: it names the classes. Then checks.csv is written.
    """
    classes = sorted(set(listed.label) - {""})
    support = pictures.label.value_counts().reindex(classes, fill_value=0)
    few = support.index[support < MIN_PER_CLASS]
    parts = pictures[pictures.part != ""].groupby("label").part.nunique()
    undivided = parts.index[parts < 2]
    if set(RESERVED).intersection(classes):
        lack = (
            f"Classes can't be called {list_some(RESERVED)}, as columns of tables are."
        )
    elif len(few):
        lack = f"Each class needs {MIN_PER_CLASS} pictures or more that can be used, and these have fewer: {list_some(few)}."
    elif len(classes) < 2:
        lack = (
            f"A classifier needs two classes or more, and {ws.train} has {len(classes)}: put one folder "
            "for each class there, or name a CSV file, file,label, as train_labels. If that is the folder "
            'of one class, write the folder above it as "train"; if multi_labels tells all, run --only 11.'
        )
    elif len(undivided):
        lack = (
            f"In one part alone are: {list_some(undivided)}. A group (copies, look-alikes, a given one) is "
            "never divided: add other pictures or, where parts were given, correct them."
        )
        if group_by != "none":
            lack += f' GROUP_BY = "{group_by}" has made groups, too: choose another.'
    else:
        return
    ws.save_table(list_checks(findings), "checks.csv")
    raise ValueError(f"{lack} checks.csv tells what is left out, and why.")
