"""Figures at each size and with odd names, as SVG; galleries as tables that fit any width."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix
from test_answers import SCRATCH, gather

from lib import workspace
from lib.evaluation import display, figures, galleries, metrics

ODD = [
    "a",
    "$x_1$ and $\\frac",
    "W" * 200,
    "แมวสีส้ม",
    "中国的狗和猫" * 10,
    "قطة كبيرة جدا",
]
ODD += ["🐶 dogs", '<g id="a">&amp;', "__init__", "강아지", "two\nlines\tand a tab\x0b"]
NO_WARNING = "error::UserWarning", "error::RuntimeWarning", "ignore:Glyph .* missing"
pytestmark = pytest.mark.filterwarnings(*NO_WARNING)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make_answers(names, n):
    rng, y_true = np.random.default_rng(0), np.arange(n) % len(names)
    logits = 3 * np.eye(len(names))[y_true] + rng.normal(size=(n, len(names)))
    return y_true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def draw_all(names):
    """Yield every figure of that many classes, by its name."""
    y_true, y_prob = make_answers(names, 3 * len(names))
    score = metrics.evaluate(y_true, y_prob, names, np.arange(len(y_true)))
    matrix = confusion_matrix(y_true, y_prob.argmax(axis=1), labels=range(len(names)))
    parts = np.where(np.arange(len(y_true)) % 3 < 2, "train", "validation")
    history = pd.DataFrame({"epoch": [1, 2, 3]})
    history[["accuracy", "loss", "val_accuracy", "val_loss"]] = np.eye(4)[:3]
    means = pd.DataFrame({"mean": 0.5, "low": 0.3, "high": 0.8}, pd.Index(names))
    yield "accuracy", figures.accuracy_by_model(means, 0.1)
    split = pd.DataFrame({"label": np.array(names)[y_true], "part": parts})
    yield "balance", figures.class_balance(split)
    yield "curves", figures.training_curves(dict.fromkeys(names[:2], history))
    yield "matrix", figures.confusion_matrices(matrix, names, names[2 % len(names)])
    yield "recall", figures.recall_by_class(dict.fromkeys(ODD[:2], score))
    bins = metrics.reliability_table(y_true, y_prob, np.arange(len(y_true)))
    yield "reliability", figures.reliability(dict.fromkeys(ODD[:4], bins))


def keep(drawn, folder, name="drawn"):
    display.show(workspace.Workspace(folder, folder, folder), drawn, name)
    (path,) = (folder / "figures").glob(f"{name}.*")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("classes", [2, 10, 134, 300])
def test_figures_of_any_number_of_odd_names_are_svg_with_text_and_no_warning(
    classes, tmp_path
):
    names = [f"{ODD[k % len(ODD)]}{k // len(ODD) or ''}" for k in range(classes)]
    for name, figure in draw_all(names):
        text = keep(figure, tmp_path, name)
        texts = [
            "".join(k.itertext())
            for k in ElementTree.fromstring(text).iter(f"{SVG}text")
        ]
        assert len(texts) > 5 and max(map(len, texts)) < 80, name
        assert not re.search(r"dc:date|\u2002", text) and len(text) < 200_000
    assert "$x_1$ and $\\frac" in "".join(texts) and not plt.get_fignums()


def test_a_figure_is_the_same_file_each_time_and_none_removes_it(tmp_path):
    first, again = (
        figures.confusion_matrices(np.eye(3, dtype=int), ODD[:3], "a") for _ in "ab"
    )
    assert keep(first, tmp_path) == keep(again, tmp_path)
    display.show(workspace.Workspace(tmp_path, tmp_path, tmp_path), None, "drawn")
    assert not [*(tmp_path / "figures").iterdir()]


def test_names_are_cut_in_their_middle_and_chinese_ones_sooner():
    assert figures.shorten("a\x00\x1b\ud800\uffff\n\tb") == "a b"
    assert figures.shorten("Echinoidea " * 9) == "Echinoidea Echinoide…chinoidea"
    assert (
        len(figures.shorten("W" * 200)) == 30 and figures.shorten("W" * 30) == "W" * 30
    )
    short = figures.shorten("中国" * 20)
    assert len(short.rstrip("\u2002")) == 15 < len(short), "with room for wider letters"


def test_gap_says_how_far_training_is_from_validation_and_claims_no_trend():
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [2.0, 1.25, 1.75]})
    history = history.assign(accuracy=0.9, val_accuracy=0.45)
    said = figures.describe_gap(history)
    assert "training is 0.450 above validation" in said
    assert said.endswith("was lowest after epoch 2 (1.250) and ends at 1.750.")


def test_training_curves_have_titles_axes_and_both_lines():
    history = pd.DataFrame({"epoch": [1, 2, 3], "accuracy": [0.2, 0.4, 0.6]})
    history["val_accuracy"] = [0.1, 0.3, 0.5]
    history["loss"] = [3, 2, 1]
    history["val_loss"] = [4, 3, 2]
    figure = figures.training_curves({"cnn": history, "net": history})
    accuracy, loss, below, _ = figure.axes
    assert accuracy.get_title(loc="left") == "cnn"
    assert below.get_title(loc="left") == "net"
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch"] * 4
    assert [axes.get_ylabel() for axes in (accuracy, loss)] == ["accuracy", "loss"]
    assert accuracy.get_ylim() == (0, 1)
    shown = [line.get_ydata().tolist() for line in accuracy.lines + loss.lines]
    assert shown == [[0.2, 0.4, 0.6], [0.1, 0.3, 0.5], [3, 2, 1], [4, 3, 2]]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "training",
        "validation",
    ]


def test_figures_of_the_report_can_be_read_on_a_phone(tmp_path):
    names = [f"class {k}" for k in range(50)]
    for name, figure in draw_all(names):
        if name != "balance":
            assert figure.get_figwidth() <= 5.6, name


def test_calibration_panels_are_equal_and_the_axis_of_accuracy_says_so():
    y_true, y_prob = make_answers("abcd", 80)
    table = metrics.reliability_table(y_true, y_prob, np.arange(80))
    panels = figures.reliability({"a": table, "b": table[-1:], "c": table}).axes
    assert {(axes.get_xlim(), axes.get_ylim()) for axes in panels} == {
        (figures.SHARES, figures.SHARES)
    }
    means = pd.DataFrame({"mean": [0.5], "low": [0.4], "high": [0.6]}, ["a"])
    axes = figures.accuracy_by_model(means, 0.2).axes[0]
    assert axes.get_xlabel() == "top-1 accuracy"
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed.get_color() == figures.VALIDATION


def read_names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_worst_classes_come_first_and_the_figure_says_how_many_are_left_out():
    score = {"n": 300, "per_class": {f"n{k}": 1 - k / 300 for k in range(300)}}
    score["per_class_interval"] = dict.fromkeys(score["per_class"], (0, 1))
    axes = figures.recall_by_class({"cnn": score}).axes[0]
    assert read_names(axes) == [*(f"n{k}" for k in range(299, 259, -1)), "and 260 more"]
    split = pd.DataFrame({"label": list("abbbcc"), "part": ["train", "validation"] * 3})
    axes = figures.class_balance(split).axes[0]
    assert read_names(axes) == list("bca")
    assert [text.get_text() for text in axes.texts] == ["1 + 2", "1 + 1", "1 + 0"]


def test_confusion_matrices_show_all_their_numbers_while_they_can_be_read():
    matrix = np.array([[5, 1, 0], [2, 4, 0], [0, 3, 3]])
    axes, normalized, *_ = figures.confusion_matrices(matrix, list("abc"), "cnn").axes
    assert [int(text.get_text()) for text in axes.texts] == matrix.ravel().tolist()
    shares = [float(text.get_text()) for text in normalized.texts]
    assert shares == pytest.approx(matrix.ravel() / 6, abs=0.0051)
    assert read_names(axes) == list("abc") and axes.get_ylabel() == "true class"
    many = figures.confusion_matrices(
        np.eye(134, dtype=int), [*map(str, range(134))], "cnn"
    )
    assert not any(axes.texts or axes.get_xticklabels() for axes in many.axes[:2])


def test_points_are_drawn_at_the_numbers_best_first():
    y_true, y_prob = make_answers("abcd", 80)
    bins = metrics.reliability_table(y_true, y_prob, np.arange(80))
    points = figures.reliability({"cnn": bins}).axes[0].collections[-1]
    assert (
        points.get_offsets().tolist()
        == bins[["confidence", "accuracy"]].to_numpy().tolist()
    )
    means = pd.DataFrame(
        {"mean": [0.4, 0.6], "low": [0.3, 0.5], "high": [0.5, 0.8]}, list("ab")
    )
    runs = pd.DataFrame({"configuration": list("aabb"), "top1": [0.3, 0.5, 0.55, 0.65]})
    axes = figures.accuracy_by_model(means, 0.2, runs).axes[0]
    assert read_names(axes) == ["b", "a"]
    mean, _, (interval,) = axes.containers[0]
    assert mean.get_xdata().tolist() == [0.6, 0.4] and axes.yaxis_inverted()
    assert interval.get_segments()[0][:, 0] == pytest.approx([0.5, 0.8])
    (dots,) = (line for line in axes.lines if line.get_label() == "one training")
    assert [*dots.get_xydata()[:, 0]] == [*runs.top1] and [*dots.get_ydata()] == [
        1,
        1,
        0,
        0,
    ]


PICTURES = np.zeros((4, 120, 120, 3), np.uint8)


def ask(good=(0.1, 0.6, 0.1, 0.2), weights=SCRATCH):
    """Return the answers of two models to three cats and a dog, given how probable they call a dog."""
    dog, rows = (
        np.array([good, (0.6, 0.7, 0.9, 0.9)]),
        [("good", SCRATCH), ("bad", weights)],
    )
    y_prob = np.stack([1 - dog, dog], axis=2)
    return gather(rows, [0, 0, 0, 1], y_prob, class_names=["cat", "dog"])


def read_gallery(text):
    """Return the headings of a gallery, and the lines below each picture."""
    whole = re.sub("(<img[^>]*|<wbr)>", r"\1/>", text[text.index("<table") :])
    table = ElementTree.fromstring(whole)
    cells = [
        ["".join(line.itertext()) for line in cell.iter("div")]
        for cell in table.iter("td")
    ]
    return ["".join(heading.itertext()) for heading in table.iter("th")], cells


def test_galleries_say_which_model_said_what():
    headings, texts = read_gallery(galleries.mistakes(ask(), PICTURES, 2))
    assert headings == ["good", "bad"]
    assert texts[0] == ["says cat 0.80", "label dog", "3.png"]
    assert [of[2] for of in texts] == ["3.png", "1.png", "2.png", "1.png"], (
        "the surest first"
    )
    text = galleries.suspects(ask(), ask().list_suspects(), PICTURES, 3)
    assert read_gallery(text) == (
        [],
        [["label cat 0.35", "good: dog", "bad: dog", "1.png"]],
    )


def test_galleries_are_none_without_mistakes():
    sure = np.eye(2)[[0, 0, 0, 1]]
    right = gather(
        [("good", SCRATCH)], [0, 0, 0, 1], [sure], class_names=["cat", "dog"]
    )
    assert galleries.mistakes(right, PICTURES, 2) is None
    assert galleries.suspects(right, right.list_suspects(), PICTURES, 2) is None


def test_names_are_shown_as_they_are_rows_without_pictures_and_beyond_forty_are_not():
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    rows, lines = {"<b>$x$": pictures, "none": pictures[:0]}, [["蝴蝶 <i>", "W" * 200]]
    text = galleries.picture_grid(rows, "a", {"<b>$x$": lines, "none": []})
    assert (
        read_gallery(text) == (["<b>$x$"], [["蝴蝶 <i>", "W" * 200]]) and text.isascii()
    )
    many = galleries.picture_grid({f"n{k}": pictures for k in range(50)}, "all")
    assert many.count("<img") == 40 and "(the first 40 of 50 rows)" in many
    assert (
        galleries.picture_grid({}, "a") is None and figures.training_curves({}) is None
    )


def test_pictures_without_captions_are_shown_too():
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    text = galleries.picture_grid({"a": pictures, "b": pictures}, "", {"a": [["one"]]})
    assert read_gallery(text)[1] == [["one"], [], [], [], [], []]


def test_coarse_maps_get_a_line_and_no_pictures():
    maps = {"good": np.ones((1, 3, 3)), "bad": np.ones((1, 6, 6))}
    text = galleries.evidence(ask(), PICTURES, np.array([2]), maps)
    assert read_gallery(text.split("<p>")[0])[0] == ["pictures", "bad"]
    line = re.findall("<p>(.*?)</p>", text)
    assert len(line) == 1 and line[0].startswith("good: its maps have 3 ")
    alone = galleries.evidence(ask(), PICTURES, np.array([2]), {"good": maps["good"]})
    assert "<img" not in alone
    assert galleries.evidence(ask(), PICTURES, np.array([2]), {}) is None


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    answers, pictures = ask(), np.full((4, 40, 40, 3), (200, 40, 40), np.uint8)
    maps, chosen = np.zeros((1, 8, 8)), np.array([2])
    maps[0, :3, :3] = 1
    text = galleries.evidence(answers, pictures, chosen, {"good": maps})
    assert read_gallery(text)[0] == ["pictures", "good"], (
        "a model without maps has no row"
    )
    data = base64.b64decode(re.findall('base64,([^"]+)', text)[1])
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    lit, dark = shown[4, 4], shown[36, 36]
    assert np.ptp(dark) <= 8 and lit[:2].min() > lit[2] + 50


def test_new_pictures_have_a_mark_where_the_truth_is_known():
    table = pd.DataFrame({"file": ["a.jpg", "b.jpg"], "truth": ["cat", ""]})
    table = table.assign(
        good="cat", bad="dog", **{"good probability": 0.9, "bad probability": 0.7}
    )
    text = galleries.random_pictures(
        [np.zeros((9, 5, 3), np.uint8)] * 2, table, ["good", "bad"]
    )
    assert read_gallery(text)[1] == [
        ["a.jpg", "cat", "✓ good: cat 0.90", "✗ bad: dog 0.70"],
        ["b.jpg", "truth unknown", "good: cat 0.90", "bad: dog 0.70"],
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_picture_and_no_caption_of_a_gallery_is_cut(browser, width):
    rows = {name: np.zeros((6, 30, 40, 3), np.uint8) for name in ODD}
    text = galleries.picture_grid(
        rows, "all", {name: [[name, name]] * 6 for name in ODD}
    )
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(text)
    ends = "[...document.querySelectorAll('img, th, td div')].map(p => p.getBoundingClientRect())"
    boxes = page.evaluate(f"{ends}.map(b => [b.left, b.right])")
    assert len(boxes) == len(ODD) * (6 + 13) and all(
        0 <= a and b <= width for a, b in boxes
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width
