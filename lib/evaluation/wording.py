"""How names and numbers are written, so that they say what they are."""

import re

from lib.evaluation.intervals import LEVEL


def write_p(p_value: float) -> str:
    """Write a p-value with as many digits as show on which side of the level it is."""
    if p_value < 1e-4:
        return "p < 0.0001"
    texts = (f"{p_value:.{digits}g}" for digits in range(2, 18))
    return "p = " + next(t for t in texts if (float(t) < LEVEL) == (p_value < LEVEL))


def write_bounds(low: float, high: float) -> str:
    """Write an interval with as many digits as show on which side of 0 its bounds are."""
    for digits in range(3, 17):
        texts = [f"{bound:z.{digits}f}" for bound in (low, high)]
        if [float(text) == 0 for text in texts] == [low == 0, high == 0]:
            return "–".join(texts)
    return f"{low:.2g}–{high:.2g}"


def write_score(score: dict, name: str) -> str:
    """Write a score of `metrics.evaluate` with its interval, or why it has none."""
    if score[name] is None:
        return "no pictures"
    why = "too few pictures for an interval"
    if score[f"{name}_interval"] is not None:
        why = "–".join(f"{bound:z.3f}" for bound in score[f"{name}_interval"])
    return f"{score[name]:.4f} ({why})"


def join_names(names) -> str:
    """Join names to "a, b and c"; say how many there are beyond three."""
    names = list(names)
    if names[3:]:
        names[3:] = [f"{len(names) - 3} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else "".join(names)


def escape_text(text) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    special = r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(special, lambda found: f"&#{ord(found[0])};", " ".join(str(text).split()))
