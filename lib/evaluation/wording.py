"""How names and numbers are written, so that they say what they are."""

import numpy as np

from lib.evaluation.intervals import share_interval


def format_p(p_value: float) -> str:
    """Format a p-value, rounded down, so that 0.0498 isn't 0.05; a missing one is "–"."""
    if np.isnan(p_value):
        return "–"
    if p_value < 0.001:
        return "< 0.001"
    return f"{np.floor(1000 * p_value) / 1000:.3f}"


def format_number(value: float, digits: int = 3, sign: str = "-") -> str:
    """Format a number with a true minus sign, NaN as a dash; `sign` "+" writes a plus, too."""
    if np.isnan(value):
        return "–"
    # What lies in the middle is rounded away from 0, however it was computed.
    return f"{value * (1 + 1e-12):{sign}z.{digits}f}".replace("-", "−")


def format_percent(share: float) -> str:
    """Format a share in per cent: "89 %".

    Below 1 and above 99 it has one decimal; only 0 is written as 0, and only 1 as 100. No
    line divides it.
    """
    return f"{_format_share(share)}\N{NO-BREAK SPACE}%"


def format_bounds(low: float, high: float) -> str:
    """Format an interval of shares in per cent, which stands behind one: "80 to 94"."""
    text = f"{_format_share(low)} to {_format_share(high)}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _format_share(share):
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}"


def format_things(count: int, thing: str) -> str:
    """Format a count: "1 picture", "2 pictures", "3 classes"."""
    ending = ""
    if count != 1:
        ending = "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def format_count(share: float, n: int) -> str:
    """Format a share as what was counted: "71 of 80"."""
    return f"{round(share * n):,} of {n:,}"


def format_known(count: int) -> str:
    """Format how many pictures equal or look like known ones, or belong to the group of one that does."""
    things = format_things(count, "picture")
    return f"{things} in groups with training or validation pictures"


def format_right(is_right: np.ndarray, groups: np.ndarray, known: int = 0) -> str:
    """Format how many pictures are right, bool (n,), with the interval of `share_interval`.

    "90 % right (80 to 95), 54 of 60"; and, where known groups were asked about, too, that these don't count.
    """
    share = np.mean(is_right)
    bounds = format_bounds(*share_interval(is_right, groups))
    right = format_count(share, len(is_right))
    said = f"{format_percent(share)} right ({bounds}), {right}"
    if known:
        said += f"; not scored: {format_known(known)}"
    return said
