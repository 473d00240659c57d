"""Findings: what is noticed of files and classes, and what becomes of them; which pictures stay.

One row for each file and problem. Columns: file, relative to the folder of the pictures, with /, or a
class, or a name in a file of labels; problem, one word; action: "left out", "kept" or what else.
"""

from collections.abc import Iterable

import pandas as pd

LEFT_OUT = "left out"


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
    problems = checks.problem[checks.action == LEFT_OUT]
    counts = problems.value_counts().items()
    counted = ", ".join(f"{count:,} {problem}" for problem, count in counts)
    return f"Note: left out: {counted}. checks.csv names them." if counted else ""
