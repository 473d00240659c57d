"""Plots of what `metrics` and `answers` return, as matplotlib Figures."""

import unicodedata
import warnings

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Inches of a figure of the report: its letters can be read on a phone, too.
WIDTH = 5.6
MAX_LETTERS = 30  # of a name that is shown
MAX_ROWS = 40  # classes that have a row each
TRAINING = "#1f6fb4"
VALIDATION = "#e07b00"
COLOURS = [TRAINING, VALIDATION]
# Limits of an axis of shares, so that points at its ends are whole.
SHARES = (-0.02, 1.02)
# The browser writes Chinese letters wider than matplotlib believes: this space keeps their
# room, and is not saved.
SPACE = "\u2002"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "figure.constrained_layout.use": True,
}
sns.set_theme(style="whitegrid", palette="colorblind", rc=STYLE)
warnings.filterwarnings("ignore", "Glyph .* missing")


def shorten(name: object, max_letters: int = MAX_LETTERS) -> str:
    """Return a name as one line of at most that many letters, its middle "…"."""
    line = " ".join(str(name).split())
    # Letters that are not printable may be no XML.
    text = "".join(filter(str.isprintable, line))
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    # Chinese letters are twice as wide.
    room = max(max_letters // 2, max_letters - wide // 2)
    if len(text) > room:
        begin = text[: 2 * room // 3]
        end = text[1 - room // 3 :]
        text = f"{begin}…{end}"
    return text + SPACE * min(wide, room)


def add_legend(axes: plt.Axes) -> Figure:
    """Put the legend of some axes below their figure, in as many columns as fit, and return it."""
    figure = axes.figure
    handles, labels = axes.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = int(figure.get_figwidth() / (0.7 + 0.1 * longest))
    figure.legend(
        handles,
        labels,
        ncols=max(1, columns),
        loc="outside lower center",
        frameon=False,
    )
    return figure


def training_curves(histories: dict[str, pd.DataFrame]) -> Figure | None:
    """Draw accuracy and loss over the epochs, a row of two panels for each model.

    `histories` has the history of each model's label; None where it is empty.
    """
    if not histories:
        return None
    rows = len(histories)
    figure, grid = plt.subplots(
        rows, 2, squeeze=False, figsize=(WIDTH, 2.2 * rows + 0.4)
    )
    for panels, (label, history) in zip(grid, histories.items()):
        panels[0].set_title(shorten(label), loc="left")
        panels[0].set_ylim(SHARES)
        for axes, metric in zip(panels, ("accuracy", "loss")):
            both = history.set_index("epoch")[[metric, f"val_{metric}"]]
            both.columns = ["training", "validation"]
            both.plot(ax=axes, style=".-", color=COLOURS, legend=False)
            axes.set_ylabel(metric)
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    return add_legend(grid[0, 0])
