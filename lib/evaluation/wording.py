"""How names and numbers are written, so that they say what they are."""

import re
from pathlib import Path

import jinja2

from lib.evaluation.intervals import LEVEL


def write_p(p_value: float) -> str:
    """Write a p-value with as many digits as show on which side of the level it is."""
    if p_value < 1e-4:
        return "p < 0.0001"
    texts = (f"{p_value:.{digits}g}" for digits in range(2, 18))
    return "p = " + next(t for t in texts if (float(t) < LEVEL) == (p_value < LEVEL))


def write_number(value: float, digits: int = 3, sign: str = "-") -> str:
    """Write a number with a true minus sign; `sign` "+" writes a plus too."""
    return f"{value:{sign}z.{digits}f}".replace("-", "−")


def write_bounds(low: float, high: float) -> str:
    """Write an interval with as many digits as show on which side of 0 its bounds are."""
    for digits in range(3, 17):
        zeros = [float(f"{bound:.{digits}f}") == 0 for bound in (low, high)]
        if zeros == [low == 0, high == 0]:
            return f"{write_number(low, digits)} to {write_number(high, digits)}"
    return f"{low:.2g} to {high:.2g}".replace("-", "−")


def write_percent(*shares: float) -> str:
    """Write a share in per cent, or the range of two: "89 %", "87 to 94 %", which no line divides.

    It has as many digits as tell the two from each other, and a share from 0 and from 1.
    """
    for digits in range(9):
        texts = [f"{100 * share:.{digits}f}" for share in shares]
        honest = all((float(k) in (0, 100)) == (v in (0, 1)) for k, v in zip(texts, shares))
        if honest and len({*texts}) == len({*shares}):
            break
    return f"{' to '.join(dict.fromkeys(texts))} %".replace(" ", "\N{NO-BREAK SPACE}")


def write_things(count: int, thing: str) -> str:
    """Write how many there are: "1 picture", "2 pictures", "3 classes"."""
    ending = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def write_score(score: dict, name: str) -> str:
    """Write a score of `metrics.evaluate`, with its interval where it has one."""
    if score[name] is None:
        return "not defined"
    text, bounds = write_number(score[name], 4), score.get(f"{name}_interval")
    return f"{text} ({write_number(bounds[0])} to {write_number(bounds[1])})" if bounds else text


def write_count(share: float, n: int) -> str:
    """Write a share as what was counted: "71 of 80"."""
    return f"{round(share * n):,} of {n:,}"


def join_names(names, most: int = 3) -> str:
    """Join names to "a, b and c"; say how many there are beyond `most`."""
    names = list(names)
    if names[most:]:
        names[most:] = [f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else "".join(names)


def escape_text(text) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    special = r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(special, lambda found: f"&#{ord(found[0])};", " ".join(str(text).split()))


def open_template(name: str) -> jinja2.Template:
    """Open a file of `templates`; names are made harmless for HTML, or for Markdown by `| text`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"text": escape_text, "number": write_number}
    functions = (write_score, write_count, write_percent, write_things)
    environment.globals |= {function.__name__: function for function in functions}
    return environment.get_template(name)
