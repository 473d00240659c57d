"""Each figure at each size, with odd names: no text over another, none outside, no box for a letter."""

import io
import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from lib.evaluation import calibration, figure_text, figures, galleries, intervals, metrics

ODD = [
    "a",
    "$x_1$ and $\\frac",
    "Echinoidea, commonly called sea urchins, including sand dollars and heart urchins",
    "Echinoidea, commonly called sea cookies, including sand dollars and heart urchins",
    "W" * 200,
    "แมวสีส้ม ตัวใหญ่มาก",
    "中国的狗和猫" * 10,
    "قطة كبيرة جدا",
    "🐶 dogs 🧑‍🦰",
    "__init__",
    "강아지",
    "two\nlines\tand a tab",
]
SIZES = (2, 10, 23, 134, 300)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def name_classes(classes, odd):
    if not odd:
        return [f"class number {k}" for k in range(classes)]
    return [f"{ODD[k % len(ODD)]}{k // len(ODD) or ''}" for k in range(classes)]


def make_answers(classes, counts):
    """Return labels, that often, and probabilities that are right more often than not."""
    rng = np.random.default_rng(0)
    y_true = np.repeat(np.arange(classes), counts)
    logits = rng.normal(size=(len(y_true), classes))
    logits[np.arange(len(y_true)), y_true] += rng.uniform(0, 4, len(y_true))
    return y_true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def draw_plots(classes, odd=False, unequal=False):
    """Return each plot of the room, still to be drawn, of that many classes.

    Args:
        classes: how many.
        odd: long names and many scripts, instead of ordinary names.
        unequal: the first class has 190 pictures, and the others 10.
    """
    rng, names = np.random.default_rng(0), name_classes(classes, odd)
    counts = np.array([190 if unequal and k == 0 else 10 for k in range(classes)])
    y_true, y_prob = make_answers(classes, counts)
    matrix = metrics.count_confusions(y_true, y_prob.argmax(axis=1), classes)
    right = np.diag(matrix)
    score = {
        "n": len(y_true),
        "per_class": dict(zip(names, right / counts)),
        "per_class_interval": {
            name: intervals.wilson_interval(k, n) for name, k, n in zip(names, right, counts)
        },
    }
    bins = calibration.bin_confidences(y_true, y_prob)
    parts = np.where(rng.random(len(y_true)) < 0.8, "train", "validation")
    split = pd.DataFrame({"label": np.array(names)[y_true], "part": parts})
    sizes = rng.integers(300, 500, (40, 2))
    if unequal:
        sizes[0] = 12_000, 60
    history = pd.DataFrame({"epoch": [1, 2, 3]})
    history[["accuracy", "loss", "val_accuracy", "val_loss"]] = rng.random((3, 4))
    models = ["baseline_cnn", "augmented_cnn", "resnet50_transfer (untrained backbone)"]
    models = [f"{model}{'_and_its_long_name' * 3 * odd}" for model in models]
    costs = pd.DataFrame({"top1": 0.5, "top1_low": 0.4, "top1_high": 0.6}, index=models)
    costs["parameters"] = (
        [2e3, 11_850_058, 3e9] if unequal else [11_850_058, 23_680_714, 23_851_274]
    )
    costs["training, s"], costs["pictures/s"] = [0.1, 12.3, 90_000], [200, 201.0, 202]
    runs = pd.DataFrame(
        [(way, seed) for way in models for seed in range(5)], columns=["way", "seed"]
    )
    runs["top1"] = rng.uniform(0.5, 0.9, len(runs))
    ways = runs.groupby("way", sort=False).top1.agg(["mean", "min", "max"])
    ways = ways.set_axis(["mean", "low", "high"], axis=1)
    return {
        "class_balance": lambda: figures.class_balance(split),
        "picture_sizes": lambda: figures.picture_sizes(
            pd.DataFrame(sizes, columns=["width", "height"])
        ),
        "learning_curves": lambda: figures.learning_curves(dict.fromkeys(models, history)),
        "confusion_matrices": lambda: figures.confusion_matrices(matrix, names, models[2]),
        "recall_by_class": lambda: figures.recall_by_class(dict.fromkeys(models, score)),
        "reliability": lambda: figures.reliability(dict.fromkeys([*models, "$b$"], bins)),
        "accuracy_against_cost": lambda: figures.accuracy_against_cost(costs),
        "ways_of_training": lambda: figures.ways_of_training(runs, ways),
    }


def draw_galleries(classes, odd=False):
    """Return each gallery, still to be drawn, of that many classes."""
    rng, names = np.random.default_rng(0), name_classes(classes, odd)
    rows = {name: rng.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8) for name in names}
    below = {
        name: [[f"says {name} 0.98", f"label {name}", f"{name}/000.jpg"]] * 3 for name in names
    }
    pictures = next(iter(rows.values()))
    maps = {f"{name} (untrained backbone)": rng.random((3, 5, 5)) for name in names[:4]}
    lines = [[(f"{name}/a.jpg: {name}", "black"), ("cnn: frog, 0.50", "green")] for name in names]
    return {
        "samples": lambda: galleries.picture_grid(rows, "Pictures of each class"),
        "mistakes": lambda: galleries.picture_grid(rows, "The most confident mistakes", below),
        "evidence_grid": lambda: galleries.evidence_grid(pictures, maps, "where", None),
        "random_pictures": lambda: galleries.random_pictures(
            [pictures[0]] * len(lines[:9]), lines[:9]
        ),
    }


def check_texts(figure):
    """Check that no visible text of a drawn figure lies over another, over bars, or outside."""
    figure.canvas.draw()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    hidden = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not axes.axison or not _is_in_view(axis, tick)
    }
    texts = [text for text in texts if text not in hidden]
    boxes = np.array([text.get_window_extent().extents for text in texts])
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = (low < -2).any(axis=1) | (high > figure.bbox.size + 2).any(axis=1)
    assert not outside.any(), [text.get_text()[:60] for text, out in zip(texts, outside) if out]
    # A hair of 2 pixels is no overlap.
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    turned = np.array([text.get_rotation() % 90 != 0 for text in texts])
    over = np.triu((shared > 2).all(axis=2) & ~(turned[:, None] & turned), 1)
    assert not over.any(), [
        (texts[a].get_text()[:60], texts[b].get_text()[:60]) for a, b in np.argwhere(over)
    ]
    for axes in figure.axes:
        check_turned([t for t in axes.get_xticklabels() if t in texts])
        for label in set(axes.get_yticklabels()) & set(texts):
            assert (
                label.get_window_extent().x1 <= axes.bbox.x0
                or label.get_window_extent().x0 >= axes.bbox.x1
            )


def _is_in_view(axis, tick):
    low, high = sorted(axis.get_view_interval())
    return low - 1e-9 <= tick.get_loc() <= high + 1e-9


def check_turned(labels):
    """Check that slanted labels are further apart than they are high."""
    labels = [label for label in labels if label.get_rotation() % 90]
    for label, following in zip(labels, labels[1:]):
        (x, _), (next_x, _) = (
            each.get_transform().transform(each.get_position()) for each in (label, following)
        )
        apart = (next_x - x) * np.sin(np.radians(label.get_rotation()))
        label.set_rotation(0)
        assert label.get_window_extent().height <= apart + 2, label.get_text()


def draw_matrix():
    """Return a way to draw each figure, size, kind of names and of counts that matters to it."""
    matrix = {}
    for classes in SIZES:
        for odd in (False, True):
            drawn = draw_plots(classes, odd, unequal=odd) | draw_galleries(classes, odd)
            if classes > 2:
                drawn = {name: draw for name, draw in drawn.items() if name in BY_CLASS}
            if classes > 23:
                drawn.pop("mistakes")
            matrix |= {f"{name}-{classes}-{'odd' * odd}": draw for name, draw in drawn.items()}
    return matrix


BY_CLASS = "class_balance confusion_matrices recall_by_class reliability samples mistakes".split()
MATRIX = draw_matrix()


@pytest.mark.parametrize("name", MATRIX)
def test_figure_is_readable_and_drawn_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        figure = MATRIX[name]()
        assert isinstance(figure, Figure)
        check_texts(figure)


def list_functions(module):
    made = {n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__}
    return {name for name in made if name[0] != "_"}


def test_every_figure_of_the_rooms_is_drawn_here():
    drawn = {name.split("-")[0] for name in MATRIX}
    assert list_functions(figures) <= drawn
    others = {"picture_grid", "overlay_evidence", "mistakes", "confused", "suspects"}
    assert list_functions(galleries) - others <= drawn


def test_shortened_names_stay_different_and_say_what_was_spelled():
    for inches in (0.8, 1.4, 2.5):
        names = name_classes(120, odd=True)
        short = figure_text.shorten_names(names, inches)
        assert len(set(short)) == 120
        assert max(figure_text.measure(name, 9) for name in short) <= inches
    assert figure_text.shorten_names(["a", "b", "a"], 1) == ["a", "b", "a"]
    assert figure_text.shorten_names([ODD[2]], 2)[0].startswith("Echinoidea")
    assert figure_text.shorten_names([ODD[2]], 2)[0].endswith("urchins")


def test_letters_without_a_font_are_spelled_out_and_the_figure_says_so(monkeypatch):
    monkeypatch.setattr(figure_text, "find_font", lambda letter: letter.isascii())
    spelled = [
        figure_text.spell(name) for name in ("강아지", "中国", "🐶!", "Ａé", "two\nlines", "ก")
    ]
    assert spelled == ["gangaji", "[4E2D][56FD]", "[dog face]!", "Ae", "two lines", "kai"]
    assert "spelled" in figure_text.note_spelled(["dog", "中"])
    assert figure_text.note_spelled(["dog", "two\nlines"]) == ""
    split = pd.DataFrame({"label": ["中", "中"], "part": ["train", "validation"]})
    axes = figures.class_balance(split).axes[0]
    assert axes.get_yticklabels()[0].get_text() == "[4E2D]" and "spelled" in axes.get_xlabel()


def test_a_font_that_draws_boxes_is_no_font():
    assert figure_text.find_font("a") == figure_text.find_font("д") == "DejaVu Sans"
    # Nobody has drawn this private letter; the font of last resort has a box for it.
    assert figure_text.find_font("\ue123") == ""


def test_worst_classes_come_first_and_the_figure_says_how_many_are_left_out():
    score = {"n": 300, "per_class": {f"n{k}": 1 - k / 300 for k in range(300)}}
    score["per_class_interval"] = dict.fromkeys(score["per_class"], (0, 1))
    axes = figures.recall_by_class({"cnn": score}).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"n{k}" for k in [*range(299, 279, -1), *range(19, -1, -1)]]
    assert [text.get_text() for text in axes.texts] == ["… 260 classes between these are not shown"]
    split = pd.DataFrame({"label": list("abbbcc"), "part": ["train", "validation"] * 3})
    axes = figures.class_balance(split).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("bca")
    assert [text.get_text() for text in axes.texts] == ["1 + 2", "1 + 1", "1 + 0"]


def test_confusion_matrices_of_ten_classes_show_all_their_numbers():
    y_true, y_prob = make_answers(10, 6)
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


def test_confusion_matrix_of_many_classes_points_to_the_list_of_mistakes():
    figure = figures.confusion_matrices(np.eye(134, dtype=int), name_classes(134, False), "cnn")
    assert "134 classes" in figure.get_supxlabel() and "list" in figure.get_supxlabel()
    assert not any(axes.texts or axes.get_xticklabels() for axes in figure.axes[:2])


def test_points_are_drawn_at_the_numbers():
    y_true, y_prob = make_answers(4, 20)
    bins = calibration.bin_confidences(y_true, y_prob)
    points = figures.reliability({"cnn": bins}).axes[0].collections[-1]
    assert points.get_offsets().tolist() == bins[["confidence", "accuracy"]].to_numpy().tolist()
    costs = pd.DataFrame({"top1": [0.5], "top1_low": [0.4], "top1_high": [0.6], "MB": [9]})
    (line,) = figures.accuracy_against_cost(costs.assign(s=1.0)).axes[0].lines
    assert line.get_xydata().tolist() == [[9, 0.4], [9, 0.5], [9, 0.6]]
    score = {"n": 9, "per_class": {"a": 0.5, "b": None}}
    score["per_class_interval"] = {"a": (0.2, 0.8), "b": (0, 1)}
    (points,) = figures.recall_by_class({"cnn": score}).axes[0].containers
    assert points.lines[0].get_xdata()[0] == 0.5
    runs = pd.DataFrame({"way": list("aab"), "top1": [0.5, 0.7, 0.4]})
    ways = pd.DataFrame(
        {"mean": [0.6, 0.4], "low": [0.5, np.nan], "high": [0.8, np.nan]}, list("ab")
    )
    dots, interval, mean = figures.ways_of_training(runs, ways).axes[0].lines[:3]
    assert dots.get_xdata().tolist() == [0.5, 0.7, 0.4] and mean.get_xdata().tolist() == [0.6]
    assert interval.get_xdata().tolist() == [0.5, 0.8]


def test_reliability_of_unsure_models_fills_its_panel():
    bins = pd.DataFrame({"confidence": [0.01, 0.03], "accuracy": [0.01, 0.02], "pictures": 9})
    axes = figures.reliability({"cnn": bins.assign(low=0.0, high=0.3)}).axes[0]
    assert axes.get_xlim()[1] < 0.05 and axes.get_ylim()[1] < 0.05


def make_models():
    """Return the answers of two models on four pictures, as `Answers` holds them."""
    predicted = {"good": np.array(["cat", "dog", "cat", "cat"]), "bad": np.array(["dog"] * 4)}
    truth = np.array(["cat", "cat", "cat", "dog"])
    return SimpleNamespace(
        trained=list(predicted),
        files=np.array(["0.jpg", "1.jpg", "2.jpg", "3.jpg"]),
        truth=truth,
        predicted=predicted,
        right={label: said == truth for label, said in predicted.items()},
        confidence={"good": np.array([0.9, 0.5, 0.9, 0.8]), "bad": np.array([0.6, 0.7, 0.9, 0.9])},
    )


def read_gallery(figure):
    headings = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    return headings, [text.get_text().splitlines() for text in figure.axes[0].texts]


def test_galleries_say_which_model_said_what():
    answers, pictures = make_models(), np.zeros((4, 120, 120, 3), np.uint8)
    headings, texts = read_gallery(galleries.mistakes(answers, pictures, 2))
    assert headings == ["good", "bad"]
    assert texts == [
        ["says cat 0.80", "label dog", "3.jpg"],
        ["says dog 0.50", "label cat", "1.jpg"],
        ["says dog 0.90", "label cat", "2.jpg"],
        ["says dog 0.70", "label cat", "1.jpg"],
    ]
    pairs = pd.DataFrame({"true": ["cat"], "predicted": ["dog"], "pictures": [4]})
    headings, texts = read_gallery(galleries.confused(answers, pairs, pictures, 2))
    assert headings == ["cat\n→ dog\n4 times"]
    assert texts == [["by 2 of 2 models", "1.jpg"], ["by 1 of 2 models", "0.jpg"]]
    table = pd.DataFrame({"label_probability": [0.1]}, index=[1])
    headings, texts = read_gallery(galleries.suspects(answers, table, pictures, 3))
    assert headings == ["least probable"]
    assert texts == [["label cat 0.10", "good: dog", "bad: dog", "1.jpg"]]


def test_galleries_leave_untrained_models_out_and_are_none_without_mistakes():
    answers, pictures = make_models(), np.zeros((4, 120, 120, 3), np.uint8)
    answers.trained = ["good"]
    assert read_gallery(galleries.mistakes(answers, pictures, 2))[0] == ["good"]
    answers.right["good"][:] = True
    assert galleries.mistakes(answers, pictures, 2) is None
    empty = pd.DataFrame(columns=["true", "predicted", "pictures", "label_probability"])
    assert galleries.confused(answers, empty, pictures, 2) is None
    assert galleries.suspects(answers, empty, pictures, 2) is None


def test_gallery_shows_names_as_they_are_and_leaves_empty_rows_out():
    pictures = {"$x$": np.zeros((1, 8, 8, 3), np.uint8), "none": np.zeros((0, 8, 8, 3), np.uint8)}
    captions = {"$x$": [["$y$", "0" * 40 + ".jpg"]], "none": []}
    ((heading,), ((name, file),)) = read_gallery(galleries.picture_grid(pictures, "", captions))
    assert (heading, name) == ("$x$", "$y$")
    assert re.fullmatch("0{8,}…0{8,}.jpg", file)


def test_names_with_dollars_are_no_formulas():
    pictures = np.zeros((1, 4, 4, 3), np.uint8)
    captions = [[("$a$_$b_{$: frog", "black")]] * 2
    for figure in (
        galleries.picture_grid({"$x^{$ and $": pictures}, "all"),
        galleries.random_pictures([pictures[0]] * 2, captions),
    ):
        figure.savefig(io.BytesIO(), format="png", dpi=50)


@pytest.mark.parametrize("room", ["figures", "galleries"])
def test_each_room_alone_shows_names_as_they_are(room):
    code = f"from lib.evaluation import {room}\nimport matplotlib\nprint(matplotlib.rcParams)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "text.parse_math: False" in told.stdout and "font.family: ['DejaVu Sans']" in told.stdout


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    pictures = np.full((1, 40, 40, 3), (200, 40, 40), np.uint8)
    evidence = np.zeros((1, 8, 8))
    evidence[0, :3, :3] = 1
    figure = galleries.evidence_grid(pictures, {"cnn": evidence}, "where", None)
    shown = figure.axes[0].images[1].get_array()
    lit, dark = shown[4, 4].astype(int), shown[36, 36]
    assert len(set(dark.tolist())) == 1 and lit[:2].min() > lit[2] + 50


@pytest.mark.parametrize(("low", "high"), [(1.9, 5.5), (2.05, 5.2), (180, 530), (1, 1e9)])
def test_a_logarithmic_axis_has_one_to_five_ticks(low, high):
    ticks = figure_text.choose_ticks(low, high)
    assert 1 <= len(ticks) <= 5 and all(low < tick < high for tick in ticks)


@pytest.mark.parametrize("factor", [1.7, 10, 1e5])
def test_logarithmic_axis_anywhere_has_one_to_five_round_ticks(factor):
    for middle in np.logspace(-3, 9, 2000):
        ticks = figure_text.choose_ticks(middle / factor, middle * factor)
        assert 1 <= len(ticks) <= 5
        assert {f"{tick:.0e}"[0] for tick in ticks} <= set("1235")
