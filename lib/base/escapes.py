"""Names as text: no Markdown, no HTML."""

import re
from collections.abc import Iterable

# What Markdown and HTML would take for their own; an underscore within a word is none.
SPECIAL = re.compile(r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])")
MAX_NAMED = 10  # files or folders that a line names


def escape_text(text: str) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    line = " ".join(str(text).split())
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", line)


def list_some(names: Iterable[str]) -> str:
    """Return the first names, sorted, each once, and how many more there are."""
    different = sorted(set(names))
    shown = ", ".join(different[:MAX_NAMED])
    more = len(different) - MAX_NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown
