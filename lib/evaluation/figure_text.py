"""Figures as SVG files with their text as text: names that fit, colours for light and dark pages."""

import base64
import io
import math
import re
import unicodedata
import warnings
from bisect import bisect
from html import escape

import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import SVG, display
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path
from PIL import Image

from lib.storage import whole_file

INK, GRID, PAPER, RIGHT, WRONG = "#222222", "#d5d9de", "#ffffff", "#1a7f37", "#b42318"
# What these are on a dark page.
DARK = {INK: "#e4e6e9", GRID: "#3c434c", PAPER: "#14171b", RIGHT: "#4cc26f", WRONG: "#ff8a7e"}
STYLE = ".plot {max-width: 100%; height: auto} @media (prefers-color-scheme: dark) {"
for light, dark in DARK.items():
    # Numbers on the dark cells of a matrix are as white as paper, and stay so.
    filled = "path" if light == PAPER else "text"
    STYLE += f'.plot {filled}[style*="fill: {light}"] {{fill: {dark} !important}} '
    STYLE += f'.plot [style*="stroke: {light}"] {{stroke: {dark} !important}} '
STYLE += "}"
SPACER = "\u2002"  # Invisible, half an em wide: the room of letters that matplotlib can't measure.

LOOK = dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], INK)
LOOK |= dict.fromkeys(["grid.color", "axes.edgecolor"], GRID)
LOOK |= {
    # DejaVu Sans comes with matplotlib; a browser that lacks it finds Verdana, which is as wide.
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "text.parse_math": False,  # A class named "$x$" is a name, not a formula.
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}
sns.set_theme(style="whitegrid", palette="colorblind", rc=LOOK)
warnings.filterwarnings("ignore", "Glyph .* missing")  # The browser has it.
LETTERS = frozenset(map(chr, get_font(findfont("DejaVu Sans")).get_charmap()))
UNKNOWN = 0.6  # How wide, in em, matplotlib takes other letters to be.
if "font.enable_last_resort" in plt.rcParams:  # since matplotlib 3.11
    plt.rcParams["font.enable_last_resort"], UNKNOWN = False, 0


def show(ws, figure: Figure | None, name: str) -> None:
    """Save a figure as `figures/<name>.svg` of the results, display it, and close it.

    Its label becomes its title for screen readers. None removes the file of an earlier run.
    """
    path = ws.file("figures", f"{name}.svg")
    if figure is None:
        return path.unlink(missing_ok=True)
    file, label = io.StringIO(), figure.get_label().replace(SPACER, "")
    figure.draw_without_rendering()  # The layout of square axes is right the second time only.
    # Ids are hashes with this salt: several figures may stand in one page.
    with plt.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", dpi=100, metadata={"Date": None, "Title": label})
    plt.close(figure)
    text = _finish(file.getvalue(), label)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
    display(SVG(text))


def _finish(text: str, label: str) -> str:
    text = re.sub(r">\s+<", "><", text[text.index("<svg") :].replace(SPACER, ""))
    text = re.sub(r'(<image [^>]*href=")(data:[^"]+)', _shrink_photograph, text)
    # In one page with others: ids of groups would stand there twice, and a style holds for all.
    text = re.sub(r'<metadata>.*</metadata>|(?<=<g) id="[^"]*"', "", text, flags=re.DOTALL)
    text = re.sub(r"(?<=<style).*(?=</style>)", f">{STYLE}", text, flags=re.DOTALL)
    style = "stroke-linejoin: round; stroke-linecap: butt"
    root = f'<svg class="plot" role="img" aria-label="{escape(label)}" style="{style}"'
    return text.replace("<svg", root, 1)


def _shrink_photograph(found: re.Match) -> str:
    data, file = base64.b64decode(found[2].split(",")[1]), io.BytesIO()
    image = Image.open(io.BytesIO(data))
    if image.getcolors(256):
        return found[0]  # A drawing of few colours is sharp, and small as it is.
    image.save(file, "WEBP", quality=80)
    return f"{found[1]}data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def measure(text: str, size: float) -> float:
    """Return how wide a line is in a browser, in inches, at a font size in points."""
    known, font = "".join(k for k in text if k in LETTERS), FontProperties(size=size)
    points, _, _ = text_to_path.get_text_width_height_descent(known, font, False)
    return (points + size * sum(_estimate_width(k) for k in text if k not in LETTERS)) / 72


def _estimate_width(letter: str) -> float:
    # Of a letter that DejaVu Sans lacks, in em: a mark above another, an emoji, any other.
    category = unicodedata.category(letter)
    return 0 if category in ("Mn", "Me", "Cf") else 1.3 if category == "So" else 1


def shorten(text, inches: float, size: float = 9, end: str = "") -> str:
    """Return text as one line no wider than that, its middle "…", then `end`; size in points.

    Spacers follow where a layout would leave too little room; `show` removes them.
    """
    text = " ".join(str(text).split())
    # What is not printable but for joiners has no width, and may be no XML.
    text = "".join(letter for letter in text if letter.isprintable() or letter in "\u200c\u200d")

    def cut(letters):
        head, tail = text[: letters - letters // 2], text[len(text) - letters // 2 :]
        return f"{head.rstrip()}…{tail.lstrip()}{end}"

    short = text + end
    if measure(short, size) > inches:
        short = cut(bisect(range(1, len(text)), inches, key=lambda k: measure(cut(k), size)))
    lacking = sum(_estimate_width(k) - UNKNOWN for k in short if k not in LETTERS)
    return short + SPACER * math.ceil(2 * max(0, lacking))


def shorten_names(names, inches: float) -> list[str]:
    """Shorten names; different ones that would look the same get a number."""
    short = {name: shorten(name, inches) for name in names}
    looks = list(short.values())
    for number, name in enumerate(short, 1):
        if looks.count(short[name]) > 1:
            short[name] = shorten(name, inches, end=f" #{number}")
    return [short[name] for name in names]


def add_legend(figure: Figure, axes: plt.Axes) -> None:
    """Write the legend of axes below the figure, in as many columns as there is room for."""
    handles, labels = axes.get_legend_handles_labels()
    labels = [shorten(label, 4, 11) for label in labels]
    columns = figure.get_figwidth() // (max(measure(label, 11) for label in labels) + 0.7)
    options = dict(ncols=max(1, int(columns)), fontsize=11, frameon=False)
    figure.legend(handles, labels, loc="outside lower center", **options)
