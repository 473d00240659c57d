"""Names, rows and ticks that can be read: in fonts that are there, short enough, not too many."""

import functools
import itertools
import re
import string
import unicodedata

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.ticker import LogLocator

# Up to this many classes, each has a row.
MOST_ROWS = 40
# Fonts of boxes, of colour bitmaps that can't be drawn, and of formulas, whose letters are others.
USELESS = re.compile("Last Resort|Blank|Color|STIX(Non|Size)|cm[a-z]+10")
# Before matplotlib 3.11, text that runs from right to left was drawn from left to right, unjoined.
RIGHT_TO_LEFT = set() if matplotlib.__version_info__ >= (3, 11) else {"R", "AL"}

sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
# A class named "$x$" is a name, not a formula. DejaVu Sans comes with matplotlib.
plt.rcParams.update({"text.parse_math": False, "font.family": ["DejaVu Sans"]})


@functools.cache
def list_letters(path: str) -> frozenset[int]:
    """Return the code points that a font file has a glyph for."""
    return frozenset(get_font(path).get_charmap())


@functools.cache
def find_font(letter: str) -> str:
    """Return the family of a font that has this letter, or ""; axes made from then on use it."""
    if unicodedata.bidirectional(letter) in RIGHT_TO_LEFT:
        return ""
    fonts = [e for e in fontManager.ttflist if e.weight == 400 and e.style == "normal"]
    for font in sorted(fonts, key=lambda e: (e.name != "DejaVu Sans", "Sans" not in e.name)):
        if not USELESS.search(font.name) and ord(letter) in list_letters(font.fname):
            if font.name not in plt.rcParams["font.family"]:
                plt.rcParams["font.family"] += [font.name]
            return font.name
    return ""


def spell(text) -> str:
    """Return one line of text in which every letter that no font has is spelled out.

    A letter becomes the last word of its Unicode name, its sound in most scripts; an ideograph its
    number; another sign its name in brackets. Signs without a width are left out.
    """
    return "".join(map(spell_letter, " ".join(str(text).split())))


def spell_letter(letter: str) -> str:
    """Return a letter as it is or, where no font has it, in letters that DejaVu Sans has."""
    category = unicodedata.category(letter)
    if category in ("Cc", "Cf") or "VARIATION SELECTOR" in unicodedata.name(letter, ""):
        return ""
    if letter == " " or find_font(letter):
        return letter
    simpler = "".join(filter(find_font, unicodedata.normalize("NFKD", letter)))
    if simpler:
        return simpler
    number = f"{ord(letter):04X}"
    name = unicodedata.name(letter, number)
    if name.endswith(number):
        return f"[{number}]"
    return name.split()[-1].lower() if category[0] in "LM" else f"[{name.lower()}]"


def measure(text: str, size: float) -> float:
    """Return how wide the widest line is, in inches, at a font size in points."""
    renderer, font = RendererAgg(1, 1, 100), FontProperties(size=size)
    lines = text.splitlines()
    return max(renderer.get_text_width_height_descent(line, font, False)[0] for line in lines) / 100


def shorten(text, inches: float, size: float = 9, end: str = "") -> str:
    """Return spelled text no wider than that: its middle becomes "…", `end` stands behind it.

    Args:
        text: a name, or anything.
        inches: the room for it.
        size: of the font, in points.
        end: what makes a shortened name unique.
    """
    text = spell(text)
    width = measure(text + end, size) if text else 0
    if width <= inches and not end:
        return text
    letters, short = int(len(text) * min(1, 1.1 * inches / width)), text
    while letters and (short == text or measure(short, size) > inches):
        tail = text[len(text) - letters // 2 :]
        # A mark that has lost its letter would stand on the dots.
        while tail and unicodedata.category(tail[0])[0] == "M":
            tail = tail[1:]
        short = f"{text[: letters - letters // 2].rstrip()}…{tail.lstrip()}{end}"
        letters -= 1
    return short


def shorten_names(names, inches: float, size: float = 9) -> list[str]:
    """Shorten names so that no two different ones look the same: these get a number."""
    unique = list(dict.fromkeys(names))
    short = pd.Series([shorten(name, inches, size) for name in unique], index=unique)
    for number, twin in enumerate(short.duplicated(keep=False), 1):
        if twin:
            short.iloc[number - 1] = shorten(unique[number - 1], inches, size, f" #{number}")
    return short[list(names)].tolist()


def note_spelled(names) -> str:
    """Return a line of its own that says that letters of these names are spelled out, or ""."""
    letters = set("".join(map(str, names))) - set(string.whitespace)
    spelled = any(spell_letter(letter) not in ("", letter) for letter in letters)
    return "\nLetters that no font here has are spelled out; tables show them." if spelled else ""


def open_rows(names: list[str], inches: float) -> tuple[Figure, plt.Axes, dict[str, int]]:
    """Open axes with one row a class; of many classes the first and the last ones."""
    half, rows = MOST_ROWS // 2, dict(zip(names, itertools.count()))
    hidden = len(names) - 2 * half
    if hidden > 0:
        rows = dict(zip(names[:half], range(half)))
        rows |= dict(zip(names[-half:], range(half + 1, 2 * half + 1)))
    height, labels = max(rows.values()) + 1, shorten_names(list(rows), 2.5)
    figure, axes = plt.subplots(figsize=(10, inches * height + 1.8), layout="constrained")
    if hidden > 0:
        text = f"… {hidden} classes between these are not shown"
        place = dict(transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        axes.text(0.02, half, text, style="italic", **place)
    axes.set_yticks(list(rows.values()), labels, fontsize=9)
    axes.set_ylim(height - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure, axes, rows


def add_legend(figure: Figure, axes: plt.Axes) -> None:
    """Write the legend of axes below the figure, in as many columns as there is room for."""
    handles, labels = axes.get_legend_handles_labels()
    labels = [shorten(label, 4, 11) for label in labels]
    widest = max(measure(label, 11) for label in labels) + 0.7
    options = dict(ncols=max(1, int(figure.get_figwidth() / widest)), fontsize=11, frameon=False)
    figure.legend(handles, labels, loc="outside lower center", **options)


def choose_ticks(low: float, high: float) -> np.ndarray:
    """Return at most five round places of a logarithmic axis."""
    for subs in ((1, 2, 5), (1, 3), (1,)):
        ticks = LogLocator(subs=subs, numticks=99).tick_values(low, high)
        ticks = ticks[(ticks > low * 1.1) & (ticks < high / 1.1)]
        if len(ticks) <= 5:
            break
    if not len(ticks):
        # Between two round places, the middle, rounded.
        ticks = np.array([float(f"{np.sqrt(low * high):.1g}")])
    return ticks[:: -(-len(ticks) // 5)]
