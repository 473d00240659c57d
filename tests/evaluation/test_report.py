"""08 and 10 on hostile names and untrained models, and the report that a real browser shows of it."""

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import papermill
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix
from test_answers import SCRATCH, gather

from lib import runner, workspace
from lib.data import pixels, split
from lib.data.table import read_table
from lib.evaluation import mistakes, report
from lib.evaluation.wording import format_count
from lib.models import checkpoint, saved
from lib.models.temperature import apply_temperature

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = [HOSTILE, "$x_1$ **b**"]
FILE = 'a,"b\n$\\frac.png'


def save_model(ws, name, weights):
    layers = [
        keras.Input((16, 16, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(3, 1, use_bias=False),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers, name=name)
    same = np.eye(3).reshape(1, 1, 3, 3)
    model.set_weights([same, np.array(weights), np.zeros(2)])
    epoch = [[1, 0.5, 0.7, 0.5, 0.7, 0.0]]
    history = pd.DataFrame(epoch, columns=checkpoint.HISTORY_COLUMNS)
    metadata = {
        "name": name,
        "seconds": 0.0,
        "notebook": name,
        "image_size": 16,
        "seed": 0,
        "parameters": {"file": HOSTILE},
        "characteristics": HOSTILE,
        "purpose": "a test",
        "weights": SCRATCH,
    }
    pictures = np.zeros((1, 16, 16, 3))
    saved.save(
        model,
        ws,
        metadata,
        pictures=pictures,
        y_prob=model.predict_on_batch(pictures),
        history=history,
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory, draw_classes, prepare_set):
    """A workspace of two classes, one always recognised by one model only, and 08 run on it."""
    root = tmp_path_factory.mktemp("report")
    draw_classes(root / "train", 15, ["red", "007"], (16, 16))
    for name, drawn in zip(CLASSES, ["red", "007"]):
        folder = (root / "train" / drawn).rename(root / "train" / name)
        (folder / "014.png").rename(folder / FILE)
    ws = workspace.Workspace(root / "train", root / "results", root / "scratch")
    listed = prepare_set(ws, [16])[["file", "label"]]
    # The file with the hostile name is a validation picture, so galleries show it.
    is_validation = listed.file.str.contains("a,|/00[0-4].png")
    part = np.where(is_validation, "validation", "train")
    ws.save_table(listed.assign(part=part), "split.csv")
    # Classes are in the order of names: "$…" before "<…".
    save_model(ws, "wrong", [[9, -9], [0, 0], [-9, 9]])
    save_model(ws, "one_class", [[-9, 9], [-9, 9], [-9, 9]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIVE_PATHS", str(ws.save_paths()))
        for name in ("08_evaluation", "10_hand_over"):
            papermill.execute_notebook(
                runner.NOTEBOOKS / f"{name}.ipynb",
                ws.file("notebooks", f"{name}.ipynb"),
                kernel_name="python3",
                progress_bar=False,
            )
    return ws


def test_everything_judged_stands_in_the_results_folder(judged):
    content = json.loads((judged.results / "metrics.json").read_text(encoding="utf-8"))
    assert content["wrong"]["top1"] == 0
    assert content["one_class"]["top1"] == 0.5
    comparison = read_table(judged.results / "comparison.csv")
    texts = ["model", "majority_class", "weights", "demo"]
    numbers = comparison.drop(columns=texts).astype(float)
    assert np.isfinite(numbers).all(axis=None)
    assert numbers.pictures_per_second.min() > 0
    suspects = read_table(judged.results / "suspects.csv")
    assert suspects.label.tolist() == 6 * [CLASSES[1]]
    for name in ("reliability.svg", "mistakes.html", "suspects.html"):
        assert (judged.results / f"figures/{name}").stat().st_size > 3000
    assert all("temperature" in saved.read_metadata(judged, name) for name in content)


def test_one_model_is_handed_over_with_a_card_whose_code_gives_its_predictions(
    judged, monkeypatch
):
    monkeypatch.chdir(judged.results / "models")
    (path,) = Path().glob("*.md")
    assert path.stem == "one_class", "the best"
    card = path.read_text("utf-8")
    table = read_table("../predictions/one_class.csv")
    validation = split.read_split(judged).query("part == 'validation'")
    pictures = pixels.open_pixels(judged, validation, 16)[np.arange(len(table))]
    space = {"keras": keras, "json": json, "Path": Path, "pictures": pictures}
    exec(re.search("```python\n(.*?)```", card, re.S)[1], space)
    assert space["labels"] == list(table.predicted)
    scaled = space["scaled"] / space["scaled"].sum(axis=1, keepdims=True)
    metadata = saved.read_metadata(judged, "one_class")
    y_prob = table[CLASSES[::-1]].to_numpy(float)
    expected = apply_temperature(y_prob, metadata["temperature"])
    assert np.allclose(scaled, expected, atol=1e-4)
    assert "answer_sets" in metadata
    page = Path("../model.html").read_text(encoding="utf-8")
    assert "a little flattered" in card
    assert "a little flattered" in page


def test_report_answers_first_and_carries_names_only_as_text(judged):
    text = (judged.results / "report.html").read_text(encoding="utf-8")
    assert text.count("2 image classifiers for 2 classes, from 30 pictures<") == 2
    headings = re.findall(r"<h2[^>]*>([^<]*)", text)
    assert headings[:3] == ["Verdict", "What you can do next", "The models"]
    assert text.index('class="plot"') < text.index("What you can do next")
    assert "surely beat always answering" in text
    assert len(text) < 2e6
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    content = report.read_page(judged)
    assert report.write_report(judged, content).read_text(encoding="utf-8") == text


def describe(ws, predictions):
    """Return what the page says of predictions, with facts and costs that don't matter."""
    for fact in report.FACTS:
        if fact not in predictions.models:
            predictions.models[fact] = 1
    comparison = pd.DataFrame({"model": predictions.labels})
    comparison = comparison.assign(file_megabytes=1.0, pictures_per_second=1.0)
    return report.describe_evaluation(ws, predictions, comparison, {})


def test_a_matrix_has_every_answer_of_forty_classes(prepared):
    rng = np.random.default_rng(0)
    y_true = np.arange(4000) % 40
    said = np.where(rng.random(4000) < 0.7, y_true, rng.integers(0, 40, 4000))
    names = [f"n{k:02}" for k in range(40)]
    y_prob = [np.eye(40)[said]]
    predictions = gather([("cnn", SCRATCH)], y_true, y_prob, class_names=names)
    page = describe(prepared, predictions)
    assert np.array_equal(page["matrices"]["cnn"], confusion_matrix(y_true, said))
    shown = report.show_part(page, "matrix", label="cnn", number=1).data
    counts = re.findall(r"<td[^>]*>(?:<a[^>]*>)?(\d+)", shown)
    assert sum(map(int, counts)) == 4000


def test_the_model_that_the_box_names_stands_first_and_orders_the_classes(prepared):
    y_true = np.arange(90) % 3
    good = np.eye(3)[y_true]
    good[y_true == 2] = [0.6, 0.3, 0.1]
    bad = np.tile([0.1, 0.2, 0.7], (90, 1))
    predictions = gather([("bad", SCRATCH), ("good", SCRATCH)], y_true, [bad, good])
    page = describe(prepared, predictions)
    assert page["best_first"] == ["good", "bad"]
    assert page["worst_first"] == ["c", "a", "b"]
    text = report.show_part(page, "classes").data
    assert text.index(">c<") < text.index(">a<")


@pytest.mark.parametrize(("right", "needed"), [(10, 390), (20, 0)])
def test_a_wide_interval_asks_for_pictures_first(prepared, right, needed):
    y_true = np.arange(20) % 2
    said = np.where(np.arange(20) < right, y_true, 1 - y_true)
    y_prob = [np.eye(2)[said]]
    predictions = gather([("cnn", SCRATCH)], y_true, y_prob, class_names="ab")
    page = describe(prepared, predictions)
    # Wilson's interval of a half: n + z² = z² / (4 · 0.05²), so n = 380.3.
    assert page["more_pictures"] == needed
    steps = report.show_part(page, "steps").data
    first = steps.index("<li>")
    assert ("± 5 points" in steps[first : first + 150]) == bool(needed)


def test_commands_name_the_paths_file_and_files_are_links_on_the_page_alone(
    prepared, monkeypatch
):
    monkeypatch.setenv("DRIVE_PATHS", "/my data/drive_paths.json")
    y_true = np.array([0, 0, 1, 1])
    wrong = np.eye(2)[1 - y_true]
    predictions = gather([("cnn", SCRATCH)], y_true, [wrong], class_names="ab")
    page = describe(prepared, predictions)
    steps = report.show_part(page, "steps").data
    command = "python -m lib.chain --paths &#39;/my data/drive_paths.json&#39; --beyond"
    assert f"<code>{command}</code>" in steps
    assert "<a" not in steps
    linked = report.show_part(page, "steps", linked=True).data
    assert '<a href="suspects.csv">' in linked


def test_a_report_of_an_earlier_version_says_what_to_run_again(ws):
    ws.save_json({"n": 1}, "report.json")
    with pytest.raises(ValueError, match="run 08_evaluation again"):
        report.read_page(ws)


def test_every_kind_of_mistake_has_pictures_until_there_are_enough(monkeypatch):
    y_true = np.array([0, 0, 0, 1, 1])
    wrong = np.eye(2)[1 - y_true] * np.array([0.8, 0.9, 0.7, 0.6, 0.6])[:, np.newaxis]
    rows = [("cnn", SCRATCH), ("net", SCRATCH)]
    answers = gather(rows, y_true, [wrong, wrong], class_names="ab")
    monkeypatch.setattr(mistakes, "MAX_OF_KIND", 2)
    first, second = mistakes.find_mistakes(answers, answers.labels)["cnn"]
    surest = [(k, answers.files[k]) for k in (1, 0)]
    assert first == {"true": 0, "predicted": 1, "pictures": 3, "shown": surest}
    assert len(second["shown"]) == 2
    monkeypatch.setattr(mistakes, "MAX_PICTURES", 3)
    for kinds in mistakes.find_mistakes(answers, answers.labels).values():
        # The same may be shown again.
        assert [len(kind["shown"]) for kind in kinds] == [2, 0]


def read_tables(text):
    """Return the tables of a page by their names: heads and rows of texts."""
    tables, kind = {}, r'aria-label="Table: (.*?)">\s*<table.*?>(.*?)</table>'
    for name, table in re.findall(kind, text, re.S):
        rows = re.findall("<tr>(.*?)</tr>", table, re.S)
        cells = [re.findall("<t[hd].*?>(.*?)</t[hd]>", row, re.S) for row in rows]
        tables[name] = [[re.sub("<.*?>", "", cell) for cell in row] for row in cells]
    return tables


def read_numbers(rows):
    """Return the numbers of rows, float, without those in their first cell."""
    return [[float(cell.replace("−", "-")) for cell in row[1:]] for row in rows]


def test_numbers_of_the_tables_are_those_of_the_files(judged):
    tables = read_tables((judged.results / "report.html").read_text(encoding="utf-8"))
    scores = json.loads((judged.results / "metrics.json").read_text(encoding="utf-8"))
    for label, top1, right, interval, average in tables["the models"][1:]:
        score = scores[label]
        low, high = score["top1_interval"]
        assert top1 == f"{score['top1']:.3f}"
        assert right == format_count(score["top1"], score["n"])
        assert interval == f"{low:.3f} to {high:.3f}"
        assert average == f"{score['average_per_class']:.3f}"
    keys = "average_per_class top3 macro_f1 weighted_f1 kappa roc_auc pr_auc ece"
    names = keys.split() + ["brier", "nll"]
    rows = tables["further scores"][1:]
    for row, numbers in zip(rows, read_numbers(rows)):
        expected = [scores[row[0]][key] for key in names]
        assert numbers == pytest.approx(expected, abs=6e-4)
    matrix = tables["confusion matrix of one_class"][1:]
    assert [row[1:] for row in matrix] == [["", "6"], ["", "6"]]
    ((_, other, difference, *_, established),) = tables["pairs of models"][1:]
    assert (other, difference, established) == ("wrong", "0.500", "yes")


@pytest.mark.parametrize("name", ["wrong", "one_class"])
def test_classification_report_has_the_numbers_of_metrics_json(judged, name):
    tables = read_tables((judged.results / "report.html").read_text(encoding="utf-8"))
    scores = json.loads((judged.results / "metrics.json").read_text(encoding="utf-8"))
    rows = tables[f"classification report of {name}"][1:]
    assert len(rows) == len(CLASSES)
    for row, numbers in zip(rows, read_numbers(rows)):
        label = html.unescape(row[0])
        keys = ("precision", "per_class", "f1", "support")
        expected = [scores[name][key][label] for key in keys]
        assert numbers == pytest.approx(expected, abs=6e-4)


def test_what_other_notebooks_found_is_counted_where_it_is_about_this_split(
    ws, prepared
):
    y_true = np.array([0, 0, 1, 1])
    rows = [("cnn", SCRATCH), ("cnn@43", SCRATCH)]
    right = np.eye(2)[y_true] * 0.8 + 0.1
    wrong = np.eye(2)[1 - y_true]
    answers = gather(rows, y_true, [right, wrong], None, "ab")
    nothing = {
        "demo": False,
        "chain": "python -m lib.chain",
        "suspects": 0,
        "doubtful": 0,
        "contest": False,
        "need": "",
        "runs": 2,
    }
    assert report.find_facts(prepared, answers) == nothing
    files = list(split.read_split(prepared).file[:2])
    audit = pd.DataFrame({"file": [*files, "of another set.png"]})
    audit["finding"] = ["label?; copy?", "", "label?"]
    prepared.save_table(audit, "label_audit.csv")
    prepared.save_table(audit, "contest.csv")
    found = report.find_facts(prepared, answers.select([False, True]))
    assert found == nothing | {"suspects": 4, "doubtful": 1, "contest": True, "runs": 1}
    untrained = gather([*rows, ("net", "untrained")], y_true, [wrong] * 3, None, "ab")
    assert report.find_facts(prepared, untrained)["doubtful"] == 0, "by random features"
    (prepared.results / "decided.csv").write_text(f"file,label\n{files[0]},\n")
    known = replace(prepared, corrections=prepared.results / "decided.csv")
    assert report.find_facts(known, answers)["doubtful"] == 0, "a person has decided"


@pytest.mark.parametrize(("of_set", "is_told"), [("0081", True), ("another", False)])
def test_a_rising_learning_curve_of_this_set_is_told(
    prepared, monkeypatch, of_set, is_told
):
    # A digest may have digits alone; it is no number for that.
    monkeypatch.setattr(report, "identify_set", lambda ws: "0081")
    needed = pd.DataFrame({"share": [0.5, 1.0], "pictures": [2, 4], "set": of_set})
    needed["difference"] = [-0.2, np.nan]
    needed["difference_low"] = [-0.3, np.nan]
    needed["difference_high"] = [-0.1, np.nan]
    needed["p_holm"] = [0.001, np.nan]
    prepared.save_table(needed, "pictures_needed.csv")
    y_true = np.array([0, 0, 1, 1])
    predictions = gather([("cnn", SCRATCH)], y_true, [np.eye(2)[y_true]], None, "ab")
    assert bool(report.find_facts(prepared, predictions)["need"]) == is_told


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_report_in_a_real_browser(judged, browser, width, height):
    page = browser.new_page(viewport={"width": width, "height": height})
    faults, requests = [], []
    for event in ("console", "pageerror", "dialog"):
        page.on(event, lambda found: faults.append(str(found)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((judged.results / "report.html").as_uri(), wait_until="load")
    assert faults == [url for url in requests[1:] if not url.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    overflow = """[...document.querySelectorAll("table, img, td div")].filter(part => {
        const box = part.closest(".scroll") || document.body;
        return part.getBoundingClientRect().right > innerWidth
            && getComputedStyle(box).overflowX != "auto"; }).length"""
    assert page.evaluate(overflow) == 0
    links = page.eval_on_selector_all("nav a", "all => all.map(a => a.hash)")
    assert len(links) >= 7 and all(page.locator(link).count() == 1 for link in links)
    fits = "e => e.scrollWidth <= e.clientWidth"
    assert page.eval_on_selector("#models ~ .scroll", fits), (
        "the scores are seen without scrolling"
    )
    if width == 1280:
        bottom = "document.querySelector('.answer').getBoundingClientRect().bottom"
        assert page.evaluate(bottom) <= height, "all answers are on the first screen"
        assert page.evaluate(bottom.replace(".answer", ".chosen")) <= height, (
            "so is what it is"
        )
    assert page.locator(".gallery").first.bounding_box()["y"] > height
    assert page.get_attribute(".chosen a", "href") == "models/one_class.keras"
    link = page.locator(".answer a[href='model.html']")
    assert link.bounding_box()["y"] < height, "a click leads to the model"
    words = page.inner_text("body").split("model.html")[0].split()
    assert len(words) < 60
    assert page.locator("th:has-text('average per class')").first.is_visible()
    widths = page.eval_on_selector_all(
        ".plot", "all => all.map(one => one.getBoundingClientRect().width)"
    )
    assert max(widths) < width
    page.locator(".matrix a").first.click()
    shown = page.locator(".kind:visible li")
    assert shown.count() == 6, "the pictures of a cell"
    image = "e => getComputedStyle(e).backgroundImage"
    assert all(
        shown.locator("i").nth(k).evaluate(image).startswith('url("data')
        for k in range(6)
    )
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe.run(page).violations_count == 0, axe.run(page).generate_report()
    shot = Image.open(io.BytesIO(page.locator(".plot").first.screenshot())).convert("L")
    assert np.median(np.asarray(shot)) < 60, "a figure is as dark as its page"
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    ends = "[...document.querySelectorAll('table, img')].map(p => p.getBoundingClientRect().right)"
    assert max(page.evaluate(ends)) <= 718, "a printed page can't be scrolled"
    page.close()
