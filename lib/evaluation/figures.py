"""Plots, as matplotlib Figures, and the rules that all of them follow."""

import warnings

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Inches of a figure of the report: its letters can be read on a phone, too.
WIDTH = 5.6
COLOURS = ["#1f6fb4", "#e07b00"]  # of training and validation
# Limits of an axis of shares, so that points at its ends are whole.
SHARES = (-0.02, 1.02)
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "figure.constrained_layout.use": True,
}
sns.set_theme(style="whitegrid", palette="colorblind", rc=STYLE)
warnings.filterwarnings("ignore", "Glyph .* missing")


def shorten(name: object, max_letters: int = 30) -> str:
    """Return the first letters of a name, as one line."""
    return " ".join(str(name).split())[:max_letters]


def add_legend(axes: plt.Axes) -> Figure:
    """Put the legend of some axes below their figure, in two columns, and return it."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles, labels, ncols=2, loc="outside lower center", frameon=False
    )
    return axes.figure


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
