"""A network drawn as boxes: its layers from the picture to the answer, and which of them learn."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from lib.evaluation.figures import shorten

# What a layer is: its colour.
KINDS = {"learns": "#a8cdec", "frozen": "#d4d4d4", "nothing to learn": "#ffffff"}


def draw_network(layers) -> Figure:
    """Draw layers as boxes below one another, the first on top.

    `layers` has of each: name, shape of what it hands on (without the batch), how many parameters it
    has, and whether they learn.
    """
    figure, axes = plt.subplots(figsize=(6.5, 0.62 * len(layers) + 0.7))

    def write_row(place, texts, **options):
        for x, text, side in zip(
            (0.03, 0.64, 0.97), texts, ("left", "center", "right")
        ):
            axes.text(x, place, text, ha=side, va="center", **options)

    kinds = [
        ("learns" if new else "frozen") if size else "nothing to learn"
        for *_, size, new in layers
    ]
    write_row(-0.25, ("layer", "hands on", "parameters"), fontsize=10, color="dimgrey")
    for place, ((name, shape, size, _), kind) in enumerate(zip(layers, kinds)):
        style = dict(boxstyle="round,pad=0.01", facecolor=KINDS[kind], edgecolor="grey")
        axes.add_patch(FancyBboxPatch((0, place), 1, 0.6, **style))
        sides = " × ".join(f"{side:,}" for side in shape)
        write_row(
            place + 0.3,
            (shorten(name), sides, f"{size:,}" if size else ""),
            fontsize=11,
        )
        if place:
            options = dict(arrowstyle="->", color="black")
            axes.annotate("", (0.5, place), (0.5, place - 0.4), arrowprops=options)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(layers), -0.6))
    axes.set_axis_off()
    handles = [
        Patch(facecolor=KINDS[k], edgecolor="grey", label=k)
        for k in KINDS
        if k in kinds
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure
