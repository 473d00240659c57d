"""Names as text: no Markdown, no HTML, no formula of a spreadsheet."""

import re
from collections.abc import Iterable

import pandas as pd

# What Markdown and HTML would take for their own; an underscore within a word is none.
SPECIAL = re.compile(r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])")
# What a spreadsheet would compute, behind apostrophes, too; a number is none.
FORMULA = r"'*(?![+-]?[\d.]+\Z)[=+\-@]"
MAX_NAMED = 10  # files or folders that a line names


def escape_text(text: str) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    line = " ".join(str(text).split())
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", line)


def list_some(names: Iterable[str]) -> str:
    """Return the first names, sorted, each once."""
    return ", ".join(sorted(set(names))[:MAX_NAMED])


def guard_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts a spreadsheet shows: before a formula stands an apostrophe.

    Names of columns are texts, too. `read_cell` takes the apostrophe away.
    """
    texts = table.select_dtypes(exclude="number").map(_guard)
    return table.assign(**texts).rename(columns=_guard)


def _guard(cell):
    """Return a cell, a formula behind an apostrophe."""
    is_formula = isinstance(cell, str) and re.match(FORMULA, cell)
    return f"'{cell}" if is_formula else cell


def read_cell(cell: str) -> str:
    """Return the text that `guard_cells` has made a cell of."""
    return cell[1:] if re.match(f"'{FORMULA}", cell) else cell
