"""Names, rows and ticks that can be read: in fonts that are there, short enough, not too many."""

import functools
import re
import unicodedata
from bisect import bisect
from collections import Counter

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font

# Up to this many classes, each has a row.
MOST_ROWS = 40
# Fonts of boxes, of colour bitmaps that can't be drawn, and of formulas, whose letters are others.
USELESS = re.compile("Last Resort|Blank|Color|STIX(Non|Size)|cm[a-z]+10")
# Before matplotlib 3.11, text that runs from right to left was drawn from left to right, unjoined.
RIGHT_TO_LEFT = set() if matplotlib.__version_info__ >= (3, 11) else {"R", "AL"}

sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
# A class named "$x$" is a name, not a formula. DejaVu Sans comes with matplotlib.
plt.rcParams |= {"text.parse_math": False, "font.family": ["DejaVu Sans"]}
plt.rcParams["figure.constrained_layout.use"] = True


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
    category, number = unicodedata.category(letter), f"{ord(letter):04X}"
    name = unicodedata.name(letter, number)
    if category in ("Cc", "Cf") or "VARIATION SELECTOR" in name:
        return ""
    if letter == " " or find_font(letter):
        return letter
    if simpler := "".join(filter(find_font, unicodedata.normalize("NFKD", letter))):
        return simpler
    if name.endswith(number):
        return f"[{number}]"
    return name.split()[-1].lower() if category[0] in "LM" else f"[{name.lower()}]"


def note_spelled(names) -> str:
    """Return a line of its own that says that letters of these names are spelled out, or ""."""
    letters = set("".join("".join(map(str, names)).split()))
    spelled = any(spell_letter(letter) not in ("", letter) for letter in letters)
    return "\nLetters that no font here has are spelled out; tables show them." if spelled else ""


def measure(text: str, size: float) -> float:
    """Return how wide the widest line is, in inches, at a font size in points."""
    renderer, font = RendererAgg(1, 1, 100), FontProperties(size=size)
    sizes = [renderer.get_text_width_height_descent(k, font, False) for k in text.split("\n")]
    return max(width for width, _, _ in sizes) / 100


def shorten(text, inches: float, size: float = 9, end: str = "") -> str:
    """Return spelled text and `end`, no wider than that, its middle "…"; `size` is in points."""
    text = spell(text)

    def cut(letters):
        tail = text[len(text) - letters // 2 :]
        # A mark that has lost its letter would stand on the dots.
        while tail and unicodedata.category(tail[0])[0] == "M":
            tail = tail[1:]
        return f"{text[: letters - letters // 2].rstrip()}…{tail.lstrip()}{end}"

    if measure(text + end, size) <= inches:
        return text + end
    return cut(bisect(range(1, len(text)), inches, key=lambda k: measure(cut(k), size)))


def shorten_names(names, inches: float) -> list[str]:
    """Shorten names so that no two different ones look the same: these get a number."""
    short = {name: shorten(name, inches) for name in names}
    counts = Counter(short.values())
    for number, name in enumerate(short, 1):
        if counts[short[name]] > 1:
            short[name] = shorten(name, inches, end=f" #{number}")
    return [short[name] for name in names]


def open_rows(names: list[str], inches: float) -> tuple[Figure, plt.Axes, dict[str, int]]:
    """Open axes with one row a class (name to its place); of many, the first and the last ones."""
    half, many = MOST_ROWS // 2, len(names) > MOST_ROWS
    shown = [*names[:half], None, *names[-half:]] if many else names
    figure, axes = plt.subplots(figsize=(10, inches * len(shown) + 1.8))
    rows = {name: place for place, name in enumerate(shown) if name is not None}
    if many:
        text = f"… {len(names) - 2 * half} classes between these are not shown"
        place = dict(transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        axes.text(0.02, half, text, style="italic", **place)
    axes.set_yticks(list(rows.values()), shorten_names(rows, 3), fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
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
    """Return one to five round places of a logarithmic axis that spans a factor of 2.6 or more."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high))
    for steps in ((1, 2, 3, 5), (1, 3), (1,)):
        ticks = np.outer(powers, steps).ravel()
        ticks = ticks[(ticks > low * 1.1) & (ticks < high / 1.1)]
        if len(ticks) <= 5:
            break
    return ticks[:: int(np.ceil(len(ticks) / 5))]
