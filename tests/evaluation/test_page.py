"""model.html in a real Chromium: it answers as the model does, offline, for everybody."""

import base64
import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from handed_over import ask_page, measure
from PIL import Image

from lib import workspace
from lib.data import pictures
from lib.evaluation import conformal, metrics, page
from lib.models import classify, litert, resemblance
from lib.models.temperature import apply_temperature

SIDE = 24
CLASSES = ["<img src=x onerror=alert(1)>", 'blue, "b"', "red"]
HOSTILE = "</script><b>&amp; $x$.png"
SCORE = metrics.evaluate(
    np.arange(24) % 3, np.eye(3)[np.arange(24) // 8], CLASSES, np.arange(24)
)


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A workspace with model.html of a model that looks at patches, its JSON, and the model."""
    root = tmp_path_factory.mktemp("handed")
    ws = workspace.Workspace(root / "train", root / "results", root / "scratch")
    try:
        page.fetch_runtime(ws.scratch / "downloads")
    except OSError as error:
        pytest.skip(f"the page can't be tried: {error}")
    keras.utils.set_random_seed(3)
    layers = [
        keras.layers.Rescaling(1 / 90, -1.4),
        keras.layers.Conv2D(8, 5, activation="relu"),
    ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers])
    metadata = {
        "name": "small",
        "class_names": CLASSES,
        "image_size": SIDE,
        "temperature": 1.7,
    }
    metadata |= {"weights": "untrained", "demo": True}
    metadata["answer_sets"] = {
        "coverage": 0.8,
        "limit": 0.3,
        "groups": 60,
        "grouped": False,
    }
    litert.export_litert(model, ws.file("models", "small.tflite"))
    said = write(ws, metadata)
    assert "needs no connection" in said, said
    return ws, metadata, model


def write(ws, metadata, lacks=""):
    return page.write_page(ws, metadata, SCORE, flattered=True, lacks=lacks)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Pictures of all kinds: large and small, turned by Exif, transparent, grey, of a hostile name."""
    folder, rng, files = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0), []

    def keep(name, size, mode="RGB", **options):
        coarse = rng.integers(0, 256, (5, 4, len(mode)), dtype=np.uint8).squeeze()
        picture = Image.fromarray(coarse, mode).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / name, **options)
        files.append(folder / name)

    sizes = [(61, 47), (24, 24), (25, 300), (300, 23), (9, 13), (1, 40), (640, 480)]
    for number, size in enumerate(sizes * 3):
        keep(f"{number}.png", size)
    turned = Image.Exif()
    for turned[0x0112] in range(1, 9):
        keep(f"turned{turned[0x0112]}.jpg", (90, 40), quality=95, exif=turned)
    keep("clear.png", (50, 70), "RGBA")
    keep("grey.jpg", (200, 100), "L", quality=95)
    keep("flat.webp", (64, 48), lossless=True)
    keep(HOSTILE.replace("/", ""), (30, 30))
    return files


@pytest.fixture
def opened(handed, browser):
    """The page, opened offline as it is from a double click, with what went wrong in it."""
    path = handed[0].results / "model.html"
    context = browser.new_context(offline=True, accept_downloads=True)
    tab, faults = context.new_page(), []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" else 0
    )
    tab.on("dialog", lambda dialog: faults.append(f"a name has run: {dialog.message}"))
    tab.on(
        "request",
        lambda asked: faults.append(asked.url) if asked.url.startswith("http") else 0,
    )
    # Pictures may be chosen before anything is ready.
    tab.goto(path.as_uri(), wait_until="commit")
    yield tab
    context.close()
    assert faults == []


def save_answers(tab):
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save these answers").click()
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def test_page_answers_as_predict_does_and_saves_a_table(handed, drawn, opened):
    _, metadata, model = handed
    asked = ask_page(opened, drawn)
    predicted = classify.classify(model, metadata, Path(), drawn)
    found = measure(asked, predicted)
    assert found["same answer"] == 1 and found["largest"] < 0.02, found
    assert predicted.label.nunique() == 3 and predicted.probability.std() > 0.03
    y_prob, _, _ = classify.predict_files(model, Path(), drawn)
    sets = conformal.build_prediction_sets(
        apply_temperature(y_prob, 1.7), metadata["answer_sets"]["limit"]
    )
    sizes, words = sets.sum(axis=1), {1: "just this one: ", 2: "one of these two: "}
    assert {*sizes} == {1, 2, 3}, "all kinds are asked for"
    saved = pd.DataFrame(save_answers(opened))
    assert [*saved.label] == [*predicted.label] and [*saved.file] == [
        path.name for path in drawn
    ]
    for text, size, said, held in zip(asked.set, sizes, saved["set"], sets):
        assert text.startswith(words.get(size, "can't tell: it may be any class"))
        assert {*json.loads(said)} == {*np.array(CLASSES)[held]}


def test_loader_of_the_page_is_that_of_the_project(opened, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "noise.png"
    opened.get_by_text("Ready for your pictures").wait_for()
    script = """async data => { const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        return [...square(await createImageBitmap(new Blob([bytes])))]; }"""
    for width, height in [(61, 47), (24, 100), (9, 13), (7, 300), (24, 24), (515, 300)]:
        pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
        pixels[::2, :, 3] = 255
        Image.fromarray(pixels).save(path)
        read = opened.evaluate(script, base64.b64encode(path.read_bytes()).decode())
        apart = abs(
            np.reshape(read, (SIDE, SIDE, 3)) - pictures.load(path, SIDE).astype(int)
        )
        # Pillow and the browser round differently where they lay a picture over white.
        assert apart.max() <= 2 and apart.mean() < 0.6, (width, height)


def test_pictures_can_be_dropped_in_folders_and_pasted(opened, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("c.png", "a/d.png", "a/b/e.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / name)
    (tmp_path / "a/notes.txt").write_text("no picture")
    carried = {"items": [], "files": [str(tmp_path / "c.png"), str(tmp_path / "a")]}
    carried |= {"dragOperationsMask": 1}
    opened.wait_for_load_state()  # What is dropped before is opened by the browser itself.
    hand = opened.context.new_cdp_session(opened)
    for kind in ("dragEnter", "dragOver", "drop"):
        hand.send(
            "Input.dispatchDragEvent", {"type": kind, "x": 9, "y": 9, "data": carried}
        )
    opened.get_by_text("3 of 3 answered.").wait_for()
    assert opened.locator("h3").all_inner_texts() == ["c.png", "e.png", "d.png"]
    paste = """() => { const clipboardData = new DataTransfer();
        clipboardData.items.add(new File(["no picture"], "pasted.png"));
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData})); }"""
    opened.evaluate(paste)
    opened.get_by_text("3 of 4 answered; 1 can't be.").wait_for()


def test_what_is_cut_off_gets_no_answer_where_a_browser_would_draw_it(opened, tmp_path):
    small, rng = tmp_path / "small.jpg", np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    noise.save(small)
    thumbnail = b"Exif\0\0" + small.read_bytes()  # which has an end of its own
    kinds = {"a.jpg": {}, "b.jpg": {"progressive": True}, "c.jpg": {"exif": thumbnail}}
    kinds |= dict.fromkeys(["d.png", "e.webp", "f.gif", "g.bmp"], {})
    whole, cut = [], []
    for name, options in kinds.items():
        noise.save(tmp_path / name, **options)
        data = (tmp_path / name).read_bytes()
        whole += [tmp_path / name, tmp_path / f"longer_{name}"]
        whole[-1].write_bytes(data + b"more of a camera;")
        for lost in (1, 400, len(data) // 2):
            cut.append(tmp_path / f"{lost}_{name}")
            cut[-1].write_bytes(data[:-lost])
    # Firefox and WebKit draw what is left.
    opened.evaluate(
        "() => { createImageBitmap = async () => new OffscreenCanvas(30, 30); }"
    )
    opened.evaluate("() => { OffscreenCanvas.prototype.close = () => {}; }")
    assert ask_page(opened, whole).label.isin(CLASSES).all()
    assert ask_page(opened, cut).label.str.startswith("the file is cut off").all()


def test_what_is_no_picture_and_what_is_huge_stop_nothing(opened, tmp_path, handed):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(2000))
    sizes = {
        "huge.jpg": (8000, 5000),
        "larger.png": (10000, 9000),
        "wide.png": (70000, 10),
    }
    for name, size in (sizes | {"small.png": (30, 30)}).items():
        Image.new("RGB", size, (30, 60, 200)).save(tmp_path / name)
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(2000))
    names = ["broken.jpg", *sizes, "small.png", "phone.heic"]
    asked = ask_page(opened, [tmp_path / name for name in names])
    assert "cut off" in asked.label[0] and "89 million" in asked.label[2]
    assert asked.label[3] == "it is too wide for this browser"
    assert asked.label[1] == asked.label[4] and asked.label[1] in CLASSES
    assert "save it as JPEG" in asked.label[5]
    assert opened.inner_text("#said") == "2 of 6 answered; 4 can't be."


def test_page_says_what_fails_and_goes_on_where_it_can(handed, browser, drawn):
    tab = browser.new_page()
    tab.goto((handed[0].results / "model.html").as_uri())
    tab.evaluate("() => { square = () => { throw new Error('no memory'); }; }")
    assert [*ask_page(tab, drawn[:2]).label] == ["no memory"] * 2
    assert tab.inner_text("#said") == "0 of 2 answered; 2 can't be."
    text = (handed[0].results / "model.html").read_text(encoding="utf-8")
    start = 'id="model" type="text/plain">'
    for here, there in [('"importmap"', '"unknown"'), (start, f"{start}AAAA")]:
        (handed[0].results / "damaged.html").write_text(
            text.replace(here, there), encoding="utf-8"
        )
        tab.goto((handed[0].results / "damaged.html").as_uri())
        tab.get_by_text("The classifier can't run here").wait_for()
        tab.set_input_files("#pictures", drawn[:1])
        assert "can't run here" in tab.inner_text("#said"), "that stays"


@pytest.mark.parametrize("width", [1280, 390])
def test_page_serves_everybody(opened, drawn, width):
    opened.set_viewport_size({"width": width, "height": 844})
    ask_page(opened, drawn[:3])
    text = opened.inner_text("body")
    assert "Demo." in text and "Untrained." in text and "a little flattered" in text
    assert (
        re.search(r"recognises \d+ of 24 pictures .* interval", text)
        and CLASSES[0] in text
    )
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert axe.run(opened).violations_count == 0, axe.run(opened).generate_report()
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.id") == "pictures"
    assert opened.locator("#pictures").bounding_box()["height"] >= 44, "a thumb's width"
    assert "END OF TERMS AND CONDITIONS" in opened.text_content("pre"), "of the licence"


def test_of_several_labels_those_above_their_thresholds_are_named(
    handed, drawn, opened, tmp_path
):
    ws, metadata, model = handed
    layers = [*model.layers[:-1], keras.layers.Dense(3, activation="sigmoid")]
    several = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers])
    y_prob, _, _ = classify.predict_files(several, Path(), drawn)
    limits = dict(zip(CLASSES, np.quantile(y_prob, 0.6, axis=0).tolist()))
    about = metadata | {"name": "several", "thresholds": limits}
    score = {"exact_match": 0.25, "n": 12, "exact_match_interval": [0.1, 0.5]}
    score |= {
        "mean_average_precision": 0.755,
        "baseline": {"mean_average_precision": 0.26},
    }
    other = replace(ws, results=tmp_path / "results")
    assert litert.try_export(several, other.file("models", "several.tflite")) == ""
    page.write_page(other, about, score, flattered=False)
    opened.goto((other.results / "model.html").as_uri())
    says = opened.inner_text("header")
    assert "3 of 12 pictures" in says and "0.76 (1 is best" in says
    asked, rows = ask_page(opened, drawn), save_answers(opened)
    for row, shown, probabilities in zip(rows, asked.label, y_prob):
        above = dict(zip(CLASSES, probabilities - [*limits.values()]))
        # At a threshold weights of half the size may say otherwise.
        sure, near = (
            {k for k in CLASSES if above[k] > least} for least in (0.02, -0.02)
        )
        said = {*row["label"].split("|")} - {""}
        assert sure <= said <= near and (said or shown == "none of its labels")
    assert {row["label"].count("|") for row in rows} >= {0, 1}


def test_strangers_are_marked_as_predict_marks_them(handed, drawn, opened, tmp_path):
    ws, metadata, model = handed
    pixels_in = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.GlobalAveragePooling2D()(
        model.layers[1](pixels_in / 90 - 1.4)
    )
    layers = [
        keras.Input(features.shape[1:]),
        keras.layers.Dense(3, activation="softmax"),
    ]
    net = keras.Model(pixels_in, keras.Sequential(layers)(features))
    _, found, _ = classify.predict_files(net, Path(), drawn, True)
    known = {"features": resemblance.normalize(found[::3]).astype(np.float16)}
    distances = resemblance.measure_distances(found, known["features"])
    # As if a hundred validation pictures were as far away as a middling one of these.
    known |= {"distances": np.full(200, np.median(distances)), "groups": np.arange(200)}
    other = replace(ws, results=tmp_path / "results")
    assert litert.try_export(net, other.file("models", "small.tflite")) == ""
    page.write_page(other, metadata, SCORE, flattered=False, known=known)
    opened.goto((other.results / "model.html").as_uri())
    ask_page(opened, drawn)
    notes, _ = conformal.mark_out_of_distribution(
        distances, known["distances"], known["groups"], coverage=0.95
    )
    mark = conformal.describe_mark(0.95)
    near = abs(distances - np.median(distances)) < 0.002
    marked = np.array([row["note"] for row in save_answers(opened)])
    assert (marked == notes)[~near].all() and {*marked[~near]} == {"", mark}
    assert mark in opened.inner_text("#answers") and near.sum() < len(near) / 3


def test_file_that_is_surely_worse_than_its_model_is_a_reason_for_no_page(capsys):
    truth, groups = ["a|b", "b", "", "c"] * 20, np.arange(80)
    assert page.compare_file("x.tflite", truth, truth, truth, groups) == ""
    assert "another answer to 0 of 80 pictures" in capsys.readouterr().out
    # No set is wholly right, before or after; but one label of two is lost.
    before, after = ["a|b|d", "b|d", "d", "c|d"] * 20, ["a|d", "d", "d", "c|d"] * 20
    reason = page.compare_file("x.tflite", truth, before, after, groups)
    assert "surely better or worse than its model (p < 0.001)" in reason
    # Of two groups nothing is sure.
    assert page.compare_file("x.tflite", truth, before, after, groups // 40) == ""


def test_what_can_not_be_made_is_a_line_and_leaves_no_page(
    handed, monkeypatch, tmp_path
):
    ws, metadata, _ = handed
    shutil.copytree(ws.results, tmp_path / "results")
    ws = replace(ws, results=tmp_path / "results")
    monkeypatch.setattr(page, "LARGEST", 1e6)
    assert re.search(r"can't be made: it would have \d MB", write(ws, metadata))
    assert not (ws.results / "model.html").exists()
    assert "can't be made: no converter" in write(ws, metadata, lacks="no converter")
    other = replace(ws, scratch=tmp_path / "scratch")
    package = other.scratch / f"downloads/litertjs-core-{page.VERSION}.tgz"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"something else")
    assert "was not the package that is known" in write(other, metadata)
    monkeypatch.setenv("PATH", "")
    assert "could not be fetched by npm" in write(other, metadata)
