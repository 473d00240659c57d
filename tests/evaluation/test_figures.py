"""Each figure at each size, with odd names: no text over another, none outside; and as SVG."""

import base64
import io
import re
import shutil
import warnings
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from lib import workspace
from lib.evaluation import calibration, figure_text, figures, galleries, metrics

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
pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def name_classes(classes, odd):
    if not odd:
        return [f"class number {k}" for k in range(classes)]
    return [f"{ODD[k % len(ODD)]}{k // len(ODD) or ''}" for k in range(classes)]


def make_probabilities(y_true):
    """Return probabilities that are right more often than not."""
    rng, logits = np.random.default_rng(0), np.eye(y_true.max() + 1)[y_true]
    logits = logits * rng.uniform(0, 4, (len(y_true), 1)) + rng.normal(size=logits.shape)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def make_models(class_names=("cat", "dog"), labels=("good", "bad")):
    """Return the answers of two models on four pictures, as `Answers` holds them."""
    models = SimpleNamespace(class_names=np.array(class_names), labels=list(labels))
    models.files, models.truth = [f"{k}.jpg" for k in range(4)], models.class_names[[0, 0, 0, 1]]
    models.y_pred = np.array([[0, 1, 0, 0], [1, 1, 1, 1]])
    models.confidence = np.array([[0.9, 0.5, 0.9, 0.8], [0.6, 0.7, 0.9, 0.9]], np.float32)
    models.right = models.y_pred == [0, 0, 0, 1]
    models.trained = models
    return models


def draw_figures(classes, odd):
    """Return a way to draw each figure, of that many classes; odd ones have unequal sizes, too."""
    rng, names = np.random.default_rng(0), name_classes(classes, odd)
    y_true = np.repeat(np.arange(classes), [190 if odd else 10] + [10] * (classes - 1))
    y_prob = make_probabilities(y_true)
    matrix = metrics.count_confusions(y_true, y_prob.argmax(axis=1), classes)
    score = metrics.evaluate(y_true, y_prob, names, np.arange(len(y_true)))
    bins = calibration.bin_confidences(y_true, y_prob, np.arange(len(y_true)))
    parts = np.where(rng.random(len(y_true)) < 0.8, "train", "validation")
    split = pd.DataFrame({"label": np.array(names)[y_true], "part": parts})
    history = pd.DataFrame({"epoch": [1, 2, 3]})
    history[["accuracy", "loss", "val_accuracy", "val_loss"]] = rng.random((3, 4))
    models = ["baseline_cnn", "augmented_cnn", "resnet50_transfer (untrained backbone)"]
    models = [f"{model}{'_and_its_long_name' * 3 * odd}" for model in models]
    runs = pd.DataFrame({"way": np.repeat(models, 5), "top1": rng.uniform(0.5, 0.9, 15)})
    ways = runs.groupby("way", sort=False).top1.agg(mean="mean", low="min", high="max")
    rows = {name: rng.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8) for name in names}
    below = {name: [[f"says {name} 0.98", f"{name}/000.jpg"]] * 3 for name in names}
    pictures = rows[names[0]]
    maps = {f"{name} (untrained backbone)": rng.random((3, 5, 5)) for name in names[:2]}
    answers = make_models(names, maps)
    shown = pd.DataFrame({"file": [f"{name}/a.jpg" for name in names[:2]], "truth": [names[0], ""]})
    shown[["cnn", "cnn probability", "verdict"]] = names[0], 0.5, "Truth unknown."
    drawn = {
        "accuracy_by_model": lambda: figures.accuracy_by_model(dict.fromkeys(names, score)),
        "class_balance": lambda: figures.class_balance(split),
        "confusion_matrices": lambda: figures.confusion_matrices(matrix, names, models[2]),
        "recall_by_class": lambda: figures.recall_by_class(dict.fromkeys(models, score)),
        "reliability": lambda: figures.reliability(dict.fromkeys([*models, "$b$"], bins)),
        "samples": lambda: galleries.picture_grid(rows, "Pictures of each class"),
    }
    if classes <= 23:
        drawn["mistakes"] = lambda: galleries.picture_grid(rows, "The surest mistakes", below)
    if classes == 2:  # These are the same for any number of classes.
        drawn["learning_curves"] = lambda: figures.learning_curves(dict.fromkeys(models, history))
        drawn["ways_of_training"] = lambda: figures.ways_of_training(runs, ways)
        drawn["evidence"] = lambda: galleries.evidence(answers, pictures, np.arange(3), maps)
        drawn["random_pictures"] = lambda: galleries.random_pictures(pictures[:2], shown, ["cnn"])
    return {f"{name}-{classes}-{'odd' * odd}": draw for name, draw in drawn.items()}


MATRIX = {
    name: draw
    for classes in (2, 10, 23, 134, 300)
    for odd in (False, True)
    for name, draw in draw_figures(classes, odd).items()
}


def check_texts(figure):
    """Check that no visible text of a drawn figure lies over another or outside."""
    figure.draw_without_rendering()
    figure.canvas.draw()
    hidden = set()
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not axis.axes.axison or not low <= tick.get_loc() <= high:
                hidden |= {tick.label1, tick.label2}
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
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
        check_turned([t for t in axes.get_xticklabels() if t in texts and t.get_rotation() % 90])


def check_turned(labels):
    """Check that slanted labels are further apart than they are high."""
    places = [label.get_transform().transform(label.get_position())[0] for label in labels]
    for label, apart in zip(labels, np.diff(places)):
        apart *= np.sin(np.radians(label.get_rotation()))
        label.set_rotation(0)
        assert label.get_window_extent().height <= apart + 2, label.get_text()


@pytest.mark.parametrize("name", MATRIX)
def test_figure_is_readable_with_a_label_and_a_key_and_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = MATRIX[name]()
        check_texts(figure)
    assert len(figure.get_label()) > 10
    coloured = any(axes.collections or axes.lines or axes.patches for axes in figure.axes)
    keys = figure.legends or [a for a in figure.axes if "share" in a.get_ylabel()]
    assert keys or not coloured


def test_every_figure_of_the_rooms_is_drawn_here():
    tested = {name.split("-")[0] for name in MATRIX}
    tested |= {"open_rows", "picture_grid", "confused", "suspects"}
    for room in (figures, galleries):
        own = [f for f in vars(room).values() if getattr(f, "__module__", "") == room.__name__]
        assert {f.__name__ for f in own if f.__name__[0] != "_"} <= tested


def test_shortened_names_stay_different():
    for inches in (0.8, 1.4, 2.5):
        names = name_classes(120, odd=True)
        short = [name.rstrip("\u2002") for name in figure_text.shorten_names(names, inches)]
        assert len(set(short)) == 120
        assert max(figure_text.measure(name, 9) for name in short) <= inches
    assert figure_text.shorten_names(["a", "b", "a"], 1) == ["a", "b", "a"]
    assert figure_text.shorten_names([ODD[2]], 2)[0].startswith("Echinoidea")
    assert figure_text.shorten_names([ODD[2]], 2)[0].endswith("urchins")


def test_letters_count_as_wide_as_a_browser_draws_them():
    # In em, of 72 points; DejaVu Sans has the first two.
    for letter, low, high in (("W", 0.98, 1), ("ل", 0.2, 0.8), ("中", 1, 1), ("\u0e49", 0, 0)):
        assert low <= figure_text.measure(letter, 72) <= high
    assert figure_text.measure("🐶", 72) > 1.2
    text = figure_text.shorten("中国", 3)
    plain = plt.figure().text(0, 0, text, fontsize=9)
    assert plain.get_window_extent().width / 100 >= figure_text.measure("中国", 9)


def test_what_no_xml_may_hold_is_left_out():
    assert figure_text.shorten("a\x00\x1b\ud800\uffff\n\tb", 1) == "a b"


def test_worst_classes_come_first_and_the_figure_says_how_many_are_left_out():
    score = {"n": 300, "per_class": {f"n{k}": 1 - k / 300 for k in range(300)}}
    score["per_class_interval"] = dict.fromkeys(score["per_class"], (0, 1))
    axes = figures.recall_by_class({"cnn": score}).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [*(f"n{k}" for k in range(299, 259, -1)), "and 260 more"]
    assert axes.containers[0].lines[0].get_ydata().tolist() == list(range(40))
    split = pd.DataFrame({"label": list("abbbcc"), "part": ["train", "validation"] * 3})
    axes = figures.class_balance(split).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("bca")
    assert [text.get_text() for text in axes.texts] == ["1 + 2", "1 + 1", "1 + 0"]
    assert axes.get_xlabel() == "pictures, 6 in all, 1 in the smallest class"


def test_confusion_matrices_of_ten_classes_show_all_their_numbers():
    y_true = np.repeat(np.arange(10), 6)
    matrix = metrics.count_confusions(y_true, make_probabilities(y_true).argmax(axis=1), 10)
    figure = figures.confusion_matrices(matrix, list("abcdefghij"), "cnn")
    counts, shares = ([float(text.get_text()) for text in axes.texts] for axes in figure.axes[:2])
    assert counts == matrix.ravel().tolist()
    assert shares == pytest.approx(matrix.ravel() / 6, abs=0.0051)
    for axes in figure.axes[:2]:
        assert [tick.get_text() for tick in axes.get_yticklabels()] == list("abcdefghij")
        assert axes.get_ylabel() == "true class" and axes.get_xlabel() == "predicted class"
    assert figure.get_suptitle() == "cnn: confusion matrix, n = 60"


def test_confusion_matrix_of_many_classes_has_no_names_and_says_so():
    figure = figures.confusion_matrices(np.eye(134, dtype=int), name_classes(134, False), "cnn")
    assert figure.axes[0].get_xlabel() == "predicted class, 134 by name"
    assert not any(axes.texts or axes.get_xticklabels() for axes in figure.axes[:2])


def test_points_are_drawn_at_the_numbers():
    y_true = np.arange(80) % 4
    bins = calibration.bin_confidences(y_true, make_probabilities(y_true), np.arange(80))
    points = figures.reliability({"cnn": bins}).axes[0].collections[-1]
    assert points.get_offsets().tolist() == bins[["confidence", "accuracy"]].to_numpy().tolist()
    score = {"n": 9, "per_class": {"a": 0.5, "b": None}}
    score["per_class_interval"] = {"a": (0.2, 0.8), "b": (0, 1)}
    (points,) = figures.recall_by_class({"cnn": score}).axes[0].containers
    assert points.lines[0].get_xdata()[0] == 0.5
    runs = pd.DataFrame({"way": list("aab"), "top1": [0.5, 0.7, 0.4]})
    ways = pd.DataFrame({"mean": [0.6, 0.4], "low": [0.5, None], "high": [0.8, None]}, list("ab"))
    axes = figures.ways_of_training(runs, ways).axes[0]
    dots, (mean, _, (interval,)) = axes.lines[0], axes.containers[0]
    assert dots.get_xdata().tolist() == [0.5, 0.7, 0.4]
    assert mean.get_xdata().tolist() == [0.6, 0.4]
    assert interval.get_segments()[0][:, 0] == pytest.approx([0.5, 0.8])
    assert figures.ways_of_training(runs[1:], ways) is None is figures.learning_curves({})


def test_models_stand_best_first_beside_the_baseline():
    top1 = {f"m{k:02}": k / 20 for k in range(2, 16)}
    scores = {k: {"top1": v, "top1_interval": (v - 0.1, v + 0.2)} for k, v in top1.items()}
    axes = figures.accuracy_by_model({k: v | {"baseline": 0.3} for k, v in scores.items()}).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"m{k:02}" for k in range(15, 3, -1)] and "12 of 14" in axes.get_xlabel()
    points, _, (bounds,) = axes.containers[0]
    assert list(points.get_xdata()) == pytest.approx(list(np.arange(15, 3, -1) / 20))
    assert bounds.get_segments()[0][:, 0] == pytest.approx([0.65, 0.95])
    (baseline,) = [line for line in axes.lines if "commonest" in line.get_label()]
    assert baseline.get_xdata() == [0.3, 0.3] and axes.yaxis_inverted()


@pytest.mark.parametrize("epochs", [1, 2, 15])
def test_curves_have_ticks_at_whole_epochs_and_a_loss_axis_a_model(epochs):
    one = pd.DataFrame({"epoch": range(1, epochs + 1)})
    one[["accuracy", "val_accuracy", "loss", "val_loss"]] = 0.5
    figure = figures.learning_curves({"a": one, "b": one.assign(loss=90.0)})
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == round(tick) for tick in ticks)
    assert figure.axes[1].get_ylim()[1] < 1 < 90 < figure.axes[3].get_ylim()[1]
    assert figure.axes[0].get_ylim() == (0, 1)


def test_reliability_of_unsure_models_fills_its_panel():
    bins = pd.DataFrame({"confidence": [0.01, 0.03], "accuracy": [0.01, 0.02], "pictures": 9})
    axes = figures.reliability({"cnn": bins.assign(low=0.0, high=0.3)}).axes[0]
    assert axes.get_xlim()[1] < 0.05 and axes.get_ylim()[1] < 0.05


def read_gallery(figure):
    headings = [axes.get_ylabel() for axes in figure.axes]
    return headings, [text.get_text().splitlines() for axes in figure.axes for text in axes.texts]


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


def test_galleries_show_trained_models_alone_and_are_none_without_mistakes():
    answers, pictures = make_models(), np.zeros((4, 120, 120, 3), np.uint8)
    answers.trained = trained = make_models()
    trained.labels = ["good"]
    assert read_gallery(galleries.mistakes(answers, pictures, 2))[0] == ["good"]
    trained.right[:] = True
    assert galleries.mistakes(answers, pictures, 2) is None
    empty = pd.DataFrame(columns=["true", "predicted", "pictures", "label_probability"])
    assert galleries.confused(answers, empty, pictures, 2) is None
    assert galleries.suspects(answers, empty, pictures, 2) is None
    assert galleries.picture_grid({}, "a") is None


def test_gallery_shows_names_as_they_are_and_leaves_empty_rows_out():
    pictures = {"$x$": np.zeros((1, 8, 8, 3), np.uint8), "none": np.zeros((0, 8, 8, 3), np.uint8)}
    captions = {"$x$": [["$y$", "0" * 40 + ".jpg"]], "none": []}
    figure = galleries.picture_grid(pictures, "a", captions)
    ((heading,), ((name, file),)) = read_gallery(figure)
    assert (heading, name) == ("$x$", "$y$")
    assert re.fullmatch("0{8,}…0{7,}.jpg", file)
    long = galleries.picture_grid({"W" * 200: pictures["$x$"]}, "a", {"W" * 200: [["W" * 200]]})
    assert long.get_figwidth() <= figure.get_figwidth() + 0.1


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    answers, pictures = make_models(), np.full((4, 40, 40, 3), (200, 40, 40), np.uint8)
    maps, chosen = np.zeros((1, 8, 8)), np.array([2])
    maps[0, :3, :3] = 1
    figure = galleries.evidence(answers, pictures, chosen, {"good": maps})
    assert read_gallery(figure)[0] == ["pictures", "good"], "a model without maps has no row"
    assert galleries.evidence(answers, pictures, chosen, {}) is None
    shown = figure.axes[1].images[0].get_array()
    lit, dark = shown[4, 4].astype(int), shown[36, 36]
    assert len(set(dark.tolist())) == 1 and lit[:2].min() > lit[2] + 50


SVG = "{http://www.w3.org/2000/svg}"
CHINESE = "哈士奇犬 中国的狗 两栖动物 蝴蝶 鲨鱼和鳐鱼 大熊猫 长颈鹿 河马 猫头鹰 蜻蜓和豆娘以及其他的昆虫".split()


def draw_matrix_of(names):
    matrix = np.arange(len(names) ** 2).reshape(len(names), -1)
    return figures.confusion_matrices(matrix, names, "cnn")


def draw_bars_of(names):
    parts = np.repeat(["train", "validation"], len(names))
    return figures.class_balance(pd.DataFrame({"label": names * 2, "part": parts}))


def save(figure, folder, name="drawn"):
    ws = workspace.Workspace(folder, folder, folder)
    figure_text.show(ws, figure, name)
    return (folder / f"figures/{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("draw", [draw_matrix_of, draw_bars_of])
def test_a_saved_figure_has_its_text_as_text_and_is_the_same_each_time(draw, tmp_path, capsys):
    names = [*CHINESE[:5], "$x_1$", '<g id="a">&amp;', "a\x0bb", "قطة", "W" * 200]
    text = save(draw(names), tmp_path)
    root = ElementTree.fromstring(text)
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert {*names[:7], "a b", "قطة"} <= set(texts) and "\u2002" not in text
    assert root.get("role") == "img" and root.get("aria-label") == root.find(f"{SVG}title").text
    assert len(root.get("aria-label")) > 20
    assert not re.search(r"<metadata|dc:date|20\d\d-\d\d", text) and len(text) < 100_000
    assert save(draw(names), tmp_path) == text
    assert not plt.get_fignums() and "Error" not in capsys.readouterr().err


def test_ids_of_two_figures_in_one_page_differ_and_styles_stay_within_them(tmp_path):
    first, second = (save(draw_bars_of(CHINESE[k:]), tmp_path, name) for k, name in enumerate("ab"))
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for text, known in zip((first, second), ids):
        assert {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)', text)} == known
    rules = re.findall(r"[^{}]+(?=\{[^{}]*\})", re.search("<style.*?>(.*)</style>", first)[1])
    assert len(rules) > 5 and all(rule.strip().startswith(".plot") for rule in rules)


def test_photographs_are_webp_and_matrices_png(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 30, 30, 3), dtype=np.uint8)
    photographs = np.stack([Image.fromarray(one).resize((300, 300)) for one in noise])
    text = save(galleries.picture_grid({"a": photographs}, "all"), tmp_path)
    (data,) = re.findall('data:image/webp;base64,([^"]+)', text)
    kept = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kept.format == "WEBP" and kept.width < 1000 and "image/png" not in text
    text = save(draw_matrix_of(CHINESE), tmp_path)
    assert "image/png" in text and "image/webp" not in text


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = driver.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield running
        running.close()


READ = """() => [...document.querySelectorAll("svg, text")].map(part => {
    const {left, top, right, bottom} = part.getBoundingClientRect();
    const turned = !/rotate\\(-?0 /.test(part.getAttribute("transform"));
    return [left, top, right, bottom, !turned && getComputedStyle(part).textAnchor == "end"]; })"""


@pytest.mark.parametrize("draw", [draw_matrix_of, draw_bars_of])
@pytest.mark.parametrize("names", [CHINESE, name_classes(10, odd=True)], ids=["Chinese", "odd"])
def test_a_browser_cuts_no_text_and_draws_no_name_over_another(draw, names, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1600, "height": 1200})
    page.set_content(save(draw(names), tmp_path))
    (left, top, right, bottom, *_), *texts = page.evaluate(READ)
    assert len(texts) > 20
    for box in texts:
        assert box[0] >= left and box[1] >= top and box[2] <= right and box[3] <= bottom, box
    boxes = sorted(box for box in texts if box[4])
    assert len(boxes) == (20 if draw == draw_matrix_of else 10)
    for k, box in enumerate(boxes):
        for other in boxes[k + 1 :]:
            shared = np.minimum(box[2:4], other[2:4]) - np.maximum(box[:2], other[:2])
            assert (shared <= 1).any(), (box, other)
    page.close()


def test_a_dark_page_has_a_dark_figure_with_its_numbers_as_they_were(browser, tmp_path):
    colours = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.set_content(save(draw_matrix_of(CHINESE), tmp_path))
        read = "part => [part.textContent, getComputedStyle(part).fill]"
        filled = page.evaluate(f"[...document.querySelectorAll('text, path')].map({read})")
        colours[scheme] = [filled[0][1], dict(filled[1:])]
        page.close()
    light, dark = colours["light"], colours["dark"]
    assert light[0] == "rgb(255, 255, 255)" and dark[0] == "rgb(20, 23, 27)"
    assert light[1]["蝴蝶"] == "rgb(34, 34, 34)" and dark[1]["蝴蝶"] == "rgb(228, 230, 233)"
    assert light[1]["99"] == dark[1]["99"] == "rgb(255, 255, 255)"
    assert light[1]["3"] == dark[1]["3"]
