"""How names and numbers are written, so that they say what they are."""

import re

import numpy as np


def format_p(p_value: float) -> str:
    """Write a p-value, rounded down, so that 0.0498 isn't 0.05: "p = 0.049"."""
    return (
        f"p = {np.floor(1000 * p_value) / 1000:.3f}"
        if p_value >= 0.001
        else "p < 0.001"
    )


def format_number(value: float, digits: int = 3, sign: str = "-") -> str:
    """Write a number with a true minus sign; `sign` "+" writes a plus too."""
    return f"{value:{sign}z.{digits}f}".replace("-", "−")


def format_bounds(low: float, high: float) -> str:
    """Write an interval, rounded away from 0, so that it shows on which side of 0 its bounds are."""
    low, high = np.copysign(
        np.ceil(np.abs([low, high]) * 1000 - 1e-6) / 1000, [low, high]
    )
    return f"{format_number(low)} to {format_number(high)}"


def format_percent(*shares: float) -> str:
    """Write a share in per cent, or the range of two: "89 %", "87 to over 99 %", which no line divides.

    Only 0 is written as 0, and only 1 as 100.
    """
    texts = [f"{100 * share:.0f}" for share in shares]
    for place, share in enumerate(shares):
        if texts[place] in ("0", "100") and 0 < share < 1:
            texts[place] = "under 1" if share < 0.5 else "over 99"
    return f"{' to '.join(dict.fromkeys(texts))} %".replace(" ", "\N{NO-BREAK SPACE}")


def format_things(count: int, thing: str) -> str:
    """Write how many there are: "1 picture", "2 pictures", "3 classes"."""
    ending = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def format_score(score: dict, name: str) -> str:
    """Write a score of `metrics.evaluate`, with its interval where it has one."""
    text, bounds = format_number(score[name], 4), score.get(f"{name}_interval")
    return (
        f"{text} ({format_number(bounds[0])} to {format_number(bounds[1])})"
        if bounds
        else text
    )


def format_count(share: float, n: int) -> str:
    """Write a share as what was counted: "71 of 80"."""
    return f"{round(share * n):,} of {n:,}"


def join_names(names, most: int = 3) -> str:
    """Join names to "a, b and c"; say how many there are beyond `most`."""
    names = list(names)
    if names[most:]:
        names[most:] = [f"{len(names) - most} more"]
    return (
        " and ".join([", ".join(names[:-1]), names[-1]])
        if names[1:]
        else "".join(names)
    )


def escape_text(text) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    special = r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(
        special, lambda found: f"&#{ord(found[0])};", " ".join(str(text).split())
    )
