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
from scipy.special import softmax
from sklearn.metrics import confusion_matrix
from test_answers import SCRATCH, gather

from lib import workspace
from lib.evaluation import display, figures, galleries, metrics, mistakes

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
    y_true = np.arange(n) % len(names)
    noise = np.random.default_rng(0).normal(size=(n, len(names)))
    return y_true, softmax(3 * np.eye(len(names))[y_true] + noise, axis=1)


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
    yield "matrix", mistakes.confusion_matrices(matrix, names, names[2 % len(names)])
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
        # Those of the report can be read on a phone.
        assert figure.get_figwidth() <= 5.6 or name == "balance" or classes <= 20
        text = keep(figure, tmp_path, name)
        parts = ElementTree.fromstring(text).iter(f"{SVG}text")
        texts = ["".join(part.itertext()) for part in parts]
        assert len(texts) > 5, name
        assert max(map(len, texts)) < 80, name
        assert not re.search(r"dc:date|\u2002", text)
        assert len(text) < 200_000
    assert "$x_1$ and $\\frac" in "".join(texts)
    assert not plt.get_fignums()


def test_a_figure_is_the_same_file_each_time_and_none_removes_it(tmp_path):
    matrix = np.eye(3, dtype=int)
    first = keep(mistakes.confusion_matrices(matrix, ODD[:3], "a"), tmp_path)
    assert keep(mistakes.confusion_matrices(matrix, ODD[:3], "a"), tmp_path) == first
    display.show(workspace.Workspace(tmp_path, tmp_path, tmp_path), None, "drawn")
    assert not [*(tmp_path / "figures").iterdir()]


def test_names_are_cut_in_their_middle_and_chinese_ones_sooner():
    assert figures.shorten("a\x00\x1b\ud800\uffff\n\tb") == "a b"
    assert figures.shorten("Echinoidea " * 9) == "Echinoidea Echinoide…chinoidea"
    assert figures.shorten("W" * 30) == "W" * 30
    assert len(figures.shorten("W" * 200)) == 30
    short = figures.shorten("中国" * 20)
    assert len(short.rstrip(figures.SPACE)) == 15
    assert len(short) > 15, "with room for wider letters"


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
    assert accuracy.get_xlabel() == "epoch"
    assert accuracy.get_ylabel() == "accuracy"
    assert loss.get_ylabel() == "loss"
    assert accuracy.get_ylim() == (0, 1)
    shown = [line.get_ydata().tolist() for line in accuracy.lines + loss.lines]
    assert shown == [[0.2, 0.4, 0.6], [0.1, 0.3, 0.5], [3, 2, 1], [4, 3, 2]]
    assert read(figure.legends[0].texts) == ["training", "validation"]


def test_calibration_panels_are_equal_and_the_axis_of_accuracy_says_so():
    y_true, y_prob = make_answers("abcd", 80)
    table = metrics.reliability_table(y_true, y_prob, np.arange(80))
    for axes in figures.reliability({"a": table, "b": table[-1:], "c": table}).axes:
        assert axes.get_xlim() == axes.get_ylim() == figures.SHARES
    means = pd.DataFrame({"mean": [0.5], "low": [0.4], "high": [0.6]}, ["a"])
    axes = figures.accuracy_by_model(means, 0.2).axes[0]
    assert axes.get_xlabel() == "top-1 accuracy"
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed.get_color() == figures.VALIDATION


def read(labels):
    return [label.get_text() for label in labels]


def read_names(axes):
    return read(axes.get_yticklabels())


def test_worst_classes_come_first_and_the_figure_says_how_many_are_left_out():
    score = {"n": 300, "per_class": {f"n{k}": 1 - k / 300 for k in range(300)}}
    score["per_class_interval"] = dict.fromkeys(score["per_class"], (0, 1))
    axes = figures.recall_by_class({"cnn": score}).axes[0]
    first, *others = read_names(axes)
    assert first == "n299"
    assert others[38:] == ["n260", "and 260 more"]
    split = pd.DataFrame({"label": list("abbbcc"), "part": ["train", "validation"] * 3})
    axes = figures.class_balance(split).axes[0]
    assert read_names(axes) == list("bca")
    assert read(axes.texts) == ["1 + 2", "1 + 1", "1 + 0"]


def test_confusion_matrices_show_all_their_numbers_while_they_can_be_read():
    matrix = np.array([[5, 1, 0], [2, 4, 0], [0, 3, 3]])
    axes, normalized, *_ = mistakes.confusion_matrices(matrix, list("abc"), "cnn").axes
    assert read(axes.texts) == [str(count) for count in matrix.ravel()]
    assert read(normalized.texts) == [f"{count / 6:.2f}" for count in matrix.ravel()]
    assert read_names(axes) == list("abc")
    assert axes.get_ylabel() == "true class"
    many = mistakes.confusion_matrices(np.eye(134, dtype=int), "x" * 134, "cnn").axes[0]
    assert not many.texts
    assert not many.get_xticklabels()


def test_points_of_calibration_are_drawn_at_the_numbers():
    y_true, y_prob = make_answers("abcd", 80)
    bins = metrics.reliability_table(y_true, y_prob, np.arange(80))
    points = figures.reliability({"cnn": bins}).axes[0].collections[-1]
    expected = bins[["confidence", "accuracy"]].to_numpy()
    assert np.array_equal(points.get_offsets(), expected)


def test_accuracies_stand_best_first_with_interval_and_single_trainings():
    means = pd.DataFrame({"mean": [0.4, 0.6], "low": [0.3, 0.5]}, list("ab"))
    means["high"] = [0.5, 0.8]
    runs = pd.DataFrame({"configuration": list("aabb"), "top1": [0.3, 0.5, 0.55, 0.65]})
    axes = figures.accuracy_by_model(means, 0.2, runs).axes[0]
    assert read_names(axes) == ["b", "a"]
    mean, _, (interval,) = axes.containers[0]
    assert mean.get_xdata().tolist() == [0.6, 0.4]
    assert axes.yaxis_inverted()
    assert interval.get_segments()[0][:, 0] == pytest.approx([0.5, 0.8])
    (dots,) = (line for line in axes.lines if line.get_label() == "one training")
    assert dots.get_xdata().tolist() == runs.top1.tolist()
    assert dots.get_ydata().tolist() == [1, 1, 0, 0]


PICTURES = np.zeros((4, 120, 120, 3), np.uint8)


CATS = [0, 0, 0, 1]


def ask():
    """Return the answers of two models to three cats and a dog."""
    dog = np.array([(0.1, 0.6, 0.1, 0.2), (0.6, 0.7, 0.9, 0.9)])
    y_prob = np.stack([1 - dog, dog], axis=2)
    rows = [("good", SCRATCH), ("bad", SCRATCH)]
    return gather(rows, CATS, y_prob, class_names=["cat", "dog"])


def read_gallery(text):
    """Return the headings of a gallery, and the lines below each picture."""
    whole = re.sub("(<img[^>]*|<wbr)>", r"\1/>", text[text.index("<table") :])
    table = ElementTree.fromstring(whole)
    headings = ["".join(heading.itertext()) for heading in table.iter("th")]
    cells = []
    for cell in table.iter("td"):
        cells.append(["".join(line.itertext()) for line in cell.iter("div")])
    return headings, cells


def test_galleries_say_which_model_said_what():
    headings, texts = read_gallery(galleries.mistakes(ask(), PICTURES, 2))
    assert headings == ["good", "bad"]
    assert texts[0] == ["says cat 0.80", "label dog", "3.png"]
    surest_first = ["3.png", "1.png", "2.png", "1.png"]
    assert [lines[2] for lines in texts] == surest_first
    text = galleries.suspects(ask(), ask().list_suspects(), PICTURES, 3)
    (lines,) = read_gallery(text)[1]
    assert lines == ["label cat 0.35", "good: dog", "bad: dog", "1.png"]


def test_galleries_are_none_without_mistakes():
    sure = np.eye(2)[CATS]
    right = gather([("good", SCRATCH)], CATS, [sure], class_names="cd")
    assert galleries.mistakes(right, PICTURES, 2) is None
    assert galleries.suspects(right, right.list_suspects(), PICTURES, 2) is None


def test_names_are_shown_as_they_are_rows_without_pictures_and_beyond_forty_are_not():
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    lines = [["蝴蝶 <i>", "W" * 200]]
    rows = {"<b>$x$": pictures, "none": pictures[:0]}
    text = galleries.picture_grid(rows, "a", {"<b>$x$": lines})
    assert text.isascii()
    assert read_gallery(text) == (["<b>$x$"], lines)
    many = galleries.picture_grid(dict.fromkeys(range(50), pictures), "all")
    assert many.count("<img") == 40
    assert "(the first 40 of 50 rows)" in many
    assert galleries.picture_grid({}, "a") is None
    assert figures.training_curves({}) is None


def test_pictures_without_captions_are_shown_too():
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    text = galleries.picture_grid({"a": pictures, "b": pictures}, "", {"a": [["one"]]})
    assert read_gallery(text)[1] == [["one"], [], [], [], [], []]


def test_coarse_maps_get_a_line_and_no_pictures():
    maps = {"good": np.ones((1, 3, 3)), "bad": np.ones((1, 6, 6))}
    text = galleries.evidence(ask(), PICTURES, np.array([2]), maps)
    assert read_gallery(text.split("<p>")[0])[0] == ["pictures", "bad"]
    (line,) = re.findall("<p>(.*?)</p>", text)
    assert line.startswith("good: its maps have 3 ")
    alone = galleries.evidence(ask(), PICTURES, np.array([2]), {"good": maps["good"]})
    assert "<img" not in alone
    assert galleries.evidence(ask(), PICTURES, np.array([2]), {}) is None


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    pictures = np.full((4, 40, 40, 3), (200, 40, 40), np.uint8)
    maps = np.zeros((1, 8, 8))
    maps[0, :3, :3] = 1
    text = galleries.evidence(ask(), pictures, np.array([2]), {"good": maps})
    assert read_gallery(text)[0] == ["pictures", "good"]
    data = base64.b64decode(re.findall('base64,([^"]+)', text)[1])
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.ptp(shown[36, 36]) <= 8
    red, green, blue = shown[4, 4]
    assert min(red, green) > blue + 50


def test_new_pictures_have_a_mark_where_the_truth_is_known():
    table = pd.DataFrame({"file": ["a.jpg", "b.jpg"], "truth": ["cat", ""]})
    table[["good", "good probability"]] = ["cat", 0.9]
    table[["bad", "bad probability"]] = ["dog", 0.7]
    text = galleries.random_pictures(PICTURES[:2], table, ["good", "bad"])
    assert read_gallery(text)[1] == [
        ["a.jpg", "cat", "✓ good: cat 0.90", "✗ bad: dog 0.70"],
        ["b.jpg", "truth unknown", "good: cat 0.90", "bad: dog 0.70"],
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_picture_and_no_caption_of_a_gallery_is_cut(browser, width):
    rows = dict.fromkeys(ODD, np.zeros((6, 30, 40, 3), np.uint8))
    captions = {name: [[name, name]] * 6 for name in ODD}
    text = galleries.picture_grid(rows, "all", captions)
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(text)
    ends = "[...document.querySelectorAll('img, th, td div')].map(p => p.getBoundingClientRect())"
    boxes = page.evaluate(f"{ends}.map(b => [b.left, b.right])")
    assert len(boxes) == len(ODD) * (6 + 13)
    left, right = np.transpose(boxes)
    assert left.min() >= 0
    assert right.max() <= width
    assert page.evaluate("document.documentElement.scrollWidth") == width
