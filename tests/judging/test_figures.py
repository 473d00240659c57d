import io
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib.judging import figures, metrics


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make_answers(classes):
    rng = np.random.default_rng(0)
    return rng.integers(0, classes, 6 * classes), rng.dirichlet(np.ones(classes), 6 * classes)


def draw_all(classes):
    """Draw each figure of the room from the results of that many classes."""
    rng, names = np.random.default_rng(0), [f"$class number {k}" for k in range(classes)]
    y_true, y_prob = make_answers(classes)
    matrix = metrics.count_confusions(y_true, y_prob.argmax(axis=1), classes)
    pictures = rng.integers(0, 256, (classes, 4, 4, 3), dtype=np.uint8)
    parts = np.where(np.arange(6 * classes) % 5, "train", "validation")
    split = pd.DataFrame({"label": np.tile(names, 6), "part": parts})
    sizes = pd.DataFrame({"width": rng.integers(9, 99, 40), "height": rng.integers(9, 99, 40)})
    history = pd.DataFrame({"epoch": [1, 2, 3]})
    history[["accuracy", "loss", "val_accuracy", "val_loss"]] = rng.random((3, 4))
    score = metrics.evaluate(y_true, y_prob, names)
    bins = metrics.bin_confidences(y_true, y_prob)
    costs = pd.DataFrame({"top1": 0.5, "top1_low": 0.4, "top1_high": 0.6}, index=["cnn", "$b$"])
    costs = costs.assign(**{"parameters": [9, 1e7], "pictures/s": [200, 200]})
    below = {name: [["says $x$", "a very long and winding file name.jpg"]] for name in names}
    evidence = {"cnn": rng.random((classes, 2, 2)), "other": rng.random((classes, 5, 5))}
    captions = [[("a.jpg: truth unknown", "black"), ("cnn: frog, 0.50", "green")]] * 2
    return {
        "class_balance": lambda: figures.class_balance(split),
        "picture_grid": lambda: figures.picture_grid(
            dict(zip(names, pictures[:, None])), "all", below
        ),
        "reliability": lambda: figures.reliability(
            dict.fromkeys(["cnn", "$b$ (c)", "d", "e"], bins)
        ),
        "accuracy_against_cost": lambda: figures.accuracy_against_cost(costs),
        "picture_sizes": lambda: figures.picture_sizes(sizes),
        "learning_curves": lambda: figures.learning_curves({"cnn": history, "other": history[:1]}),
        "confusion_matrices": lambda: figures.confusion_matrices(matrix, names, "cnn"),
        "recall_by_class": lambda: figures.recall_by_class(dict.fromkeys("abc", score)),
        "evidence_grid": lambda: figures.evidence_grid(pictures, evidence, "where", None),
        "random_pictures": lambda: figures.random_pictures(pictures[:2], captions),
    }


@pytest.mark.parametrize("classes", [2, 200])
@pytest.mark.parametrize("name", draw_all(2))
def test_figure_is_drawn_without_a_warning(name, classes):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        figure = draw_all(classes)[name]()
        assert isinstance(figure, Figure)
        figure.savefig(io.BytesIO(), format="png", dpi=50)


def test_every_figure_of_the_room_is_drawn_here():
    made = {
        n for n, f in vars(figures).items() if getattr(f, "__module__", "") == "lib.judging.figures"
    }
    assert {name for name in made if name[0] != "_"} - {"overlay_evidence"} == set(draw_all(2))


def test_confusion_matrices_of_ten_classes_show_all_their_numbers():
    y_true, y_prob = make_answers(10)
    matrix = metrics.count_confusions(y_true, y_prob.argmax(axis=1), 10)
    figure = figures.confusion_matrices(matrix, list("abcdefghij"), "cnn")
    counts, shares = ([text.get_text() for text in axes.texts] for axes in figure.axes[:2])
    assert [int(text) for text in counts] == matrix.ravel().tolist()
    expected = matrix / matrix.sum(axis=1, keepdims=True)
    assert [float(text) for text in shares] == pytest.approx(expected.ravel(), abs=0.0051)
    for axes in figure.axes[:2]:
        assert [tick.get_text() for tick in axes.get_yticklabels()] == list("abcdefghij")
        assert axes.get_ylabel() == "true class" and axes.get_xlabel() == "predicted class"
    assert "cnn" in figure.get_suptitle() and "60" in figure.get_suptitle()


def test_recall_bars_and_balance_bars_have_the_lengths_of_the_numbers():
    y_true, y_prob = make_answers(4)
    score = metrics.evaluate(y_true, y_prob, list("abcd"))
    bars = figures.recall_by_class({"cnn": score}).axes[0].containers
    widths = [bar.get_width() for container in bars for bar in getattr(container, "patches", [])]
    assert widths == pytest.approx(list(score["per_class"].values()))
    split = pd.DataFrame({"label": list("aaab"), "part": ["train", "validation", "train", "train"]})
    split.loc[4] = "b", "validation"
    widths = [bar.get_width() for bar in figures.class_balance(split).axes[0].patches]
    assert widths == [2, 1, 1, 1]


def test_axis_names_at_most_sixty_of_many_classes():
    y_true, y_prob = make_answers(200)
    matrix = metrics.count_confusions(y_true, y_prob.argmax(axis=1), 200)
    axes = figures.confusion_matrices(matrix, [f"n{k}" for k in range(200)], "cnn").axes[0]
    ticks = {
        round(x - 0.5): text.get_text()
        for x, text in zip(axes.get_yticks(), axes.get_yticklabels())
    }
    assert 30 <= len(ticks) <= 60 and all(name == f"n{k}" for k, name in ticks.items())
    assert not axes.texts


def test_gallery_shows_names_as_they_are_and_shortens_long_ones():
    pictures = {"$x$": np.zeros((1, 8, 8, 3), np.uint8), "none": np.zeros((0, 8, 8, 3), np.uint8)}
    figure = figures.picture_grid(
        pictures, "all", {"$x$": [["$y$", "0" * 40 + ".jpg"]], "none": []}
    )
    figure.canvas.draw()
    (text,) = figure.axes[0].texts
    assert text.get_text() == "$y$\n" + "0" * 10 + "…" + "0" * 10 + ".jpg"
    assert figure.axes[0].get_yticklabels()[0].get_text() == "$x$"


def test_reliability_and_cost_are_drawn_at_the_numbers():
    y_true, y_prob = make_answers(4)
    bins = metrics.bin_confidences(y_true, y_prob)
    (points,) = [
        found
        for found in figures.reliability({"cnn": bins}).axes[0].collections
        if len(found.get_offsets()) == len(bins)
    ]
    assert points.get_offsets().tolist() == bins[["confidence", "accuracy"]].to_numpy().tolist()
    costs = pd.DataFrame({"top1": [0.5], "top1_low": [0.4], "top1_high": [0.6], "MB": [9]})
    (line,) = figures.accuracy_against_cost(costs.assign(s=1.0)).axes[0].lines
    assert line.get_xydata().tolist() == [[9, 0.4], [9, 0.5], [9, 0.6]]


def test_names_with_dollars_are_no_formulas():
    pictures = np.zeros((1, 4, 4, 3), np.uint8)
    captions = [[("$a$_$b_{$: frog", "black")]] * 2
    for figure in (
        figures.picture_grid({"$x^{$ and $": pictures}, "all"),
        figures.random_pictures([pictures[0]] * 2, captions),
    ):
        figure.savefig(io.BytesIO(), format="png", dpi=50)


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    pictures = np.full((1, 40, 40, 3), (200, 40, 40), np.uint8)
    evidence = np.zeros((1, 8, 8))
    evidence[0, :3, :3] = 1
    mosaic = (
        figures.evidence_grid(pictures, {"cnn": evidence}, "where", None)
        .axes[0]
        .images[0]
        .get_array()
    )
    lit, dark = mosaic[43 + 4, 4].astype(int), mosaic[43 + 36, 36]
    assert len(set(dark.tolist())) == 1 and lit[:2].min() > lit[2] + 50
