"""model.html in a real Chromium: it answers as the model does, offline, for everybody."""

import codecs
import contextlib
import html
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import (
    add_head,
    build_classifier,
    find_browser,
    find_violations,
    make_workspace,
    open_page,
    runs_foreign_script,
)
from handed_over import ask_model, ask_page, give, measure, read_answers
from PIL import Image

from lib import predict
from lib.base.workspace import REPOSITORY, read_table
from lib.data.label_files import read_labels
from lib.evaluation import metrics, model_page
from lib.evaluation.wording import format_percent
from lib.models import classify, litert, resemblance, saved
from lib.models.record import Record, SetLimit, StrangerLimit, update_record
from lib.models.temperature import apply_temperature

SIDE = 24
CLASSES = ["<img src=x onerror=alert(1)>", 'blue, "b"', "red"]
HOSTILE = "</script><b>&amp; $x$.png"
EVERY = np.arange(24)
RECORD = Record(
    name="small",
    class_names=CLASSES,
    image_size=SIDE,
    temperature=1.7,
    weights="untrained",
    network="net",
    backbone_origin={"licence": "Own <b>", "asks": "a copy of it", "source": "page"},
    answer_sets=SetLimit(0.8, limit=0.3, groups=60),
)
SCORE = metrics.evaluate(EVERY % 3, np.eye(3)[EVERY // 8], EVERY, RECORD)
PHONE = {"width": 390, "height": 844}
CAMERA = "Use the camera"


def build_model(activation="softmax"):
    """Build a model that looks at patches."""
    keras.utils.set_random_seed(3)
    return build_classifier(
        keras.layers.Rescaling(1 / 90, -1.4),
        keras.layers.Conv2D(8, 5, activation="relu"),
        keras.layers.Flatten(),
        shape=(SIDE, SIDE, 3),
        activation=activation,
    )


def write_page(ws, **options):
    return model_page.write_page(ws, RECORD, SCORE, flattered=True, **options)


@pytest.fixture(scope="module")
def handed(tmp_path_factory, drawn):
    """A workspace with model.html of a model that looks at patches, and the model."""
    drawn_ones = REPOSITORY / "demo/pictures/train"
    ws = make_workspace(tmp_path_factory.mktemp("handed"))
    ws = replace(ws, train=drawn_ones)
    try:
        model_page.fetch_runtime(ws.scratch / "downloads")
    except OSError as error:
        pytest.skip(f"the page can't be tried: {error}")
    model = build_model()
    litert.try_export(model, ws.file("models", "small.tflite"))
    write_page(ws, examples=[drawn[6], drawn[-1]])
    return ws, model


@pytest.fixture
def other(handed, tmp_path):
    """A workspace without results, which has the runtime."""
    return replace(handed[0], results=tmp_path / "results")


def draw(path, size, mode="RGB", **options):
    """Draw a picture of soft patches, always the same for a path's name."""
    rng = np.random.default_rng([*path.name.encode()])
    coarse = rng.integers(0, 256, (5, 4, len(mode)), dtype=np.uint8).squeeze()
    picture = Image.fromarray(coarse, mode).resize(size, Image.Resampling.BICUBIC)
    picture.save(path, **options)
    return path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Pictures of all kinds: large and small, turned by Exif, transparent, grey, of a hostile name."""
    folder = tmp_path_factory.mktemp("drawn")
    sizes = [(61, 47), (24, 24), (25, 300), (300, 23), (9, 13), (1, 40), (640, 480)]
    files = []
    for number, size in enumerate(sizes * 3):
        files.append(draw(folder / f"picture{number:02d}.png", size))
    exif = Image.Exif()
    for turn in range(1, 9):
        exif[0x0112] = turn
        path = folder / f"turned{turn}.jpg"
        files.append(draw(path, (90, 40), quality=95, exif=exif))
    kinds = {"clear.png": "RGBA", "grey.webp": "L", HOSTILE.replace("/", ""): "RGB"}
    for name, mode in kinds.items():
        files.append(draw(folder / name, (64, 48), mode, lossless=True))
    return files


def wait_for_ready(tab):
    tab.get_by_text("Ready for your pictures.").wait_for()


@pytest.fixture
def opening(handed, browser):
    """The page, opened offline, before it is ready."""
    with open_page(
        browser, handed[0].results / "model.html", wait_until="commit"
    ) as tab:
        yield tab


@pytest.fixture
def opened(opening):
    """The page, opened offline."""
    wait_for_ready(opening)
    return opening


def run(tab, script):
    tab.evaluate(f"() => {{ {script} }}")


def save_answers(tab):
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save these answers").click()
    path = Path(download.value.path())
    assert path.read_bytes().startswith(codecs.BOM_UTF8), "so that spreadsheets know it"
    return read_labels(path, ["file"]).reset_index(drop=True)


def test_page_answers_as_the_model_does_though_asked_before_it_is_ready(
    handed, drawn, opening
):
    predicted = ask_model(handed[1], RECORD, drawn)

    found = measure(ask_page(opening, drawn), predicted)

    assert found["same answer"] == 1
    assert found["largest"] < 0.02
    assert predicted.label.nunique() == 3
    assert predicted.probability.std() > 0.03


def build_transfer(convolution):
    """Build a model of a backbone and a head, as those that tell strangers."""
    keras.utils.set_random_seed(3)
    images = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.GlobalAveragePooling2D()(convolution(images / 90 - 1.4))
    return add_head(images, features)


@contextlib.contextmanager
def hand_over(browser, ws, model, record, score=SCORE, **options):
    """Write the page of a model, and open it."""
    path = ws.file("models", f"{record.name}.tflite")
    assert litert.try_export(model, path) == ""
    model_page.write_page(ws, record, score, flattered=False, **options)
    with open_page(browser, ws.results / "model.html") as tab:
        wait_for_ready(tab)
        yield tab


def save_model(ws, model, known, farthest):
    """Save a model with what tells strangers, as predict takes it; return its path and record."""
    path = ws.file("models", "small.keras")
    model.save(path)
    file_hash = saved.hash_model(path, CLASSES)
    np.savez(path.with_suffix(".npz"), model=file_hash, features=known)
    # The first class stands alone.
    parents = {CLASSES[1]: "constructor", "constructor": "<b>", CLASSES[2]: "<b>"}
    facts = {"file_hash": file_hash, "temperature": 0.2, "parents": parents}
    facts["strangers"] = StrangerLimit("far", farthest, 200)
    return path, update_record(ws, RECORD, **facts)


def test_saved_table_is_that_of_predict_and_strangers_are_counted_first(
    drawn, browser, handed, other, tmp_path
):
    model = build_transfer(handed[1].layers[1])
    _, found, _ = classify.predict_files(model, Path(), drawn)
    known = resemblance.normalize(found[::3]).astype(np.float16)
    distances = resemblance.measure_distances(found, known)
    path, record = save_model(other, model, known, float(np.median(distances)))
    asked = [path, *drawn, "--csv", tmp_path / "a.csv"]
    predict.predict_pictures([str(one) for one in asked])
    expected = read_table(tmp_path / "a.csv")

    with hand_over(browser, other, model, record, known=known) as tab:
        shown = ask_page(tab, drawn)
        counts = tab.locator("#counts button").all_inner_texts()
        headlines = tab.locator(".warning").all_inner_texts()
        # A chip shows its answers alone.
        tab.locator("#counts button").first.click()
        assert tab.locator("#counts [aria-pressed=true]").count() == 1
        shown_alone = tab.locator("#older > li:visible, #latest:visible").count()
        table = save_answers(tab)

    assert list(table) == [*expected, "problem"]
    words = ["label", "index", "set", "set_size", "parent", "note"]
    # At a limit weights of half the size may say otherwise.
    assert (table[words] == expected[words]).all(axis=1).mean() > 0.8
    numbers = ["probability", "distance"]
    apart = table[numbers].astype(float) - expected[numbers].astype(float)
    assert abs(apart).max(axis=None) < 0.02
    marked = (table.note != "").sum()
    assert counts[0] == f"strangers {marked}"
    assert shown_alone == marked
    assert headlines == ["Unlike the pictures it knows"] * marked
    # No set, of a promise for pictures that it knows, stands beside a stranger.
    assert list(shown.note) == list(table.note)
    assert list(shown.set == "") == list(table.note != "")
    # Behind a set stands the lowest parent that holds it all.
    assert {"", "<b>", "constructor"} == set(table.parent)
    is_glossed = [text.endswith(f" ({p})") for text, p in zip(shown.set, table.parent)]
    assert is_glossed == list(table.parent != "")


def drop(tab, paths):
    """Drop files and folders on the page, as a hand does."""
    tab.wait_for_load_state()  # What is dropped before is opened by the browser itself.
    session = tab.context.new_cdp_session(tab)
    carried = {
        "items": [],
        "files": [str(path) for path in paths],
        "dragOperationsMask": 1,
    }
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": 9, "y": 9, "data": carried}
        session.send("Input.dispatchDragEvent", event)


@pytest.fixture
def folder(tmp_path):
    """A folder of two pictures, one of them in a folder, and a text."""
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    for name in ("b/second.png", "a.png"):
        draw(folder / name, (30, 20))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_pictures_of_dropped_folders_keep_their_relative_path(opened, folder, drawn):
    drop(opened, [drawn[0], folder])
    opened.get_by_text("3 of 3 answered.").wait_for()

    expected = [drawn[0].name, "folder/a.png", "folder/b/second.png"]
    assert save_answers(opened).file.tolist() == expected


def test_what_is_no_file_is_said_and_hides_no_file(opened):
    drop_link = """const dataTransfer = new DataTransfer();
        dataTransfer.items.add("https://example.org/cat", "text/uri-list");
        document.dispatchEvent(new DragEvent("drop", {dataTransfer}));"""
    name = '"text/uri-list");'
    add_file = 'dataTransfer.items.add(new File(["no picture"], "dropped.png"));'

    run(opened, drop_link)
    opened.get_by_text("Nothing here is a picture.").wait_for()
    run(opened, drop_link.replace(name, name + add_file))
    opened.get_by_text("0 of 1 answered").wait_for()


@pytest.fixture
def lying(tmp_path):
    """Pictures that are to be turned upright, of each kind that can say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for ending in ("jpg", "png", "webp", "avif"):  # The last one takes it out.
        path = tmp_path / f"lying.{ending}"
        files.append(draw(path, (90, 40), exif=exif, quality=95))
    return files


def test_pictures_are_turned_as_the_model_turns_them_or_refused(handed, lying, opened):
    predicted = ask_model(handed[1], RECORD, lying)

    asked = ask_page(opened, lying)

    # Chromium turns all of these but WebP.
    assert asked.label[2].startswith("it lies on its side")
    found = measure(asked.drop(2), predicted.drop(2))
    assert found["same answer"] == 1
    assert found["largest"] < 0.02


def decode_anything(tab):
    """Make a browser draw whatever it is given."""
    run(tab, "createImageBitmap = async () => new OffscreenCanvas(30, 20);")
    run(tab, "OffscreenCanvas.prototype.close = () => {};")


def test_browser_that_turns_jpegs_alone_is_asked_about_them_alone(lying, opened):
    decode_anything(opened)

    labels = ask_page(opened, lying).label

    assert labels[0] in CLASSES
    assert labels[1:].str.contains("JPEG").all()


def test_upright_pictures_with_exif_are_answered_and_those_turned_by_xmp_are_not(
    opened, tmp_path
):
    exif = Image.Exif()
    exif[0x0112] = 1
    files = []
    for ending in ("jpg", "png", "avif", "webp"):
        files.append(draw(tmp_path / f"upright.{ending}", (60, 40), exif=exif))
    xmp = b'<x tiff:Orientation="6"/>'
    files.append(draw(tmp_path / "xmp.jpg", (60, 40), xmp=xmp))

    *upright, turned = ask_page(opened, files).label

    assert set(upright) <= set(CLASSES)
    assert turned.startswith("it lies on its side")


def test_pictures_can_be_pasted(opened):
    paste = """const clipboardData = new DataTransfer();
        clipboardData.items.add(new File(["no picture"], "pasted.png"));
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData}));"""

    run(opened, paste)

    opened.get_by_text("0 of 1 answered").wait_for()


def test_cut_files_get_no_answer_where_a_browser_would_draw_them(opened, tmp_path):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    noise.save(tmp_path / "small.jpg")
    # A thumbnail has an end of its own.
    thumbnail = b"Exif\0\0" + (tmp_path / "small.jpg").read_bytes()
    whole = [
        tmp_path / f"whole.{ending}" for ending in ("jpg", "png", "webp", "gif", "bmp")
    ]
    cut = []
    for path in whole:
        noise.save(path, exif=thumbnail)
        data = path.read_bytes()
        path.write_bytes(data + b"more of a camera;")
        cut.append(path.with_stem("cut"))
        cut[-1].write_bytes(data[:-1])
    # Firefox and WebKit draw what is left.
    decode_anything(opened)

    assert ask_page(opened, whole).label.isin(CLASSES).all()
    assert ask_page(opened, cut).label.str.contains("cut off").all()


def test_too_many_pixels_are_told_before_a_picture_is_decoded(opened, tmp_path):
    run(opened, "createImageBitmap = () => { throw new Error('decoded'); };")
    small = draw(tmp_path / "small.png", (40, 30))
    Image.new("1", (10000, 9000)).save(tmp_path / "huge.png")
    Image.new("1", (14000, 13000)).save(tmp_path / "huge.jpg")

    paths = [tmp_path / "huge.png", tmp_path / "huge.jpg", small]
    png, jpeg, decoded = ask_page(opened, paths).label

    assert "89 million" in png
    assert jpeg.startswith("it has more than 179 million")
    assert "can't read" in decoded


def test_odd_files_stop_nothing(opened, tmp_path):
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(2000))
    sizes = {"large.jpg": (12000, 9000), "wide.png": (70000, 10), "small.tif": (30, 30)}
    for name, size in sizes.items():
        Image.new("RGB", size, (30, 60, 200)).save(tmp_path / name)

    names = ["phone.heic", "small.tif", "wide.png", "large.jpg"]
    heic, tiff, wide, large = ask_page(opened, [tmp_path / one for one in names]).label
    saved_ones = save_answers(opened).problem

    assert heic == "HEIC, which this browser can't read: save it as JPEG"
    assert tiff == "TIFF, which this browser can't read: save it as JPEG"
    assert "too wide" in wide
    assert large in CLASSES
    assert opened.inner_text("#said").startswith("1 of 4 answered")
    assert list(saved_ones) == [heic, tiff, wide, ""]


def test_page_says_where_its_runtime_cannot_run(handed, browser, drawn):
    tab = browser.new_page()
    tab.add_init_script("delete globalThis.WebAssembly;")
    tab.goto((handed[0].results / "model.html").as_uri())
    tab.get_by_text("can't run here").first.wait_for()

    tab.set_input_files("#pictures", drawn[:1])

    assert "can't run here" in tab.inner_text("#said")
    tab.close()


def test_only_the_scripts_of_the_page_may_run(handed, browser):
    assert not runs_foreign_script(browser, handed[0].results / "model.html")


@pytest.mark.parametrize("width", [1280, 390])
def test_page_serves_everybody(opened, drawn, width):
    opened.set_viewport_size({"width": width, "height": 844})
    ask_page(opened, drawn[:3])
    open_all = "for (const one of document.querySelectorAll('details')) one.open = true"
    run(opened, open_all)

    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert find_violations(opened) == ""


def test_page_says_what_it_is_and_how_far_to_trust_it(handed):
    page = (handed[0].results / "model.html").read_text(encoding="utf-8")

    text = html.unescape(re.sub("<[^>]*>", "", page)).replace("\xa0", " ")
    said = ["Demo.", "Untrained.", *CLASSES, "flattered"]
    # Eight classes of three in turn: a third is recognised.
    said += ["small: 33 % right of 24 pictures", "8 of 24 pictures"]
    said += ["net, under this licence: Own <b>; a copy of it (page)"]
    for words in [*said, "TERMS AND CONDITIONS"]:
        assert words in text


def test_of_several_labels_those_above_their_thresholds_are_named(
    drawn, browser, other
):
    model = build_model(activation="sigmoid")
    y_prob, _, _ = classify.predict_files(model, Path(), drawn)
    limits = np.quantile(y_prob, 0.6, axis=0)
    record = replace(RECORD, thresholds=dict(zip(CLASSES, limits.tolist())))
    score = {
        "exact_match": 0.25,
        "exact_match_interval": [0.1, 0.5],
        "n": 12,
        "mean_average_precision": 0.755,
        "baseline": {"mean_average_precision": 0.26},
    }

    with hand_over(browser, other, model, record, score) as tab:
        assert "3 of 12 pictures" in tab.text_content("main")
        shown = ask_page(tab, drawn).label
        table = save_answers(tab)

    assert list(table) == ["file", "labels", "problem"]
    # As lib.predict names them; at a threshold weights of half the size may say otherwise.
    names = ["|".join(np.array(CLASSES)[has]) for has in y_prob >= limits]
    assert (table.labels == names).mean() > 0.8
    assert {"", "|".join(CLASSES)} <= set(table.labels)
    assert list(shown == "none of its labels") == list(table.labels == "")


def test_shares_are_written_as_lib_writes_them(opened):
    shares = [0, 1, 0.0004, 0.0099, 0.01, 0.5123, 0.99, 0.9904, 0.9999]
    # Each is in the middle between two, of whole numbers or of tenths.
    shares += [0.125, 0.375, 0.625, 0.0025, 0.0075, 0.9975, 0.0035]
    shares += np.random.default_rng(0).random(1000).round(3).tolist()

    shown = opened.evaluate("shares => shares.map(writePercent)", shares)

    assert shown == [format_percent(share) for share in shares]


def try_example(tab):
    tab.get_by_role("group", name="Examples").get_by_role("button").first.click()
    tab.get_by_text("1 of 1 answered.").wait_for()


def test_answers_that_are_not_saved_are_not_lost_unasked(handed, browser):
    tab = browser.new_page()
    tab.goto((handed[0].results / "model.html").as_uri())
    asked = []

    def leave(dialog):
        asked.append(dialog.type)
        dialog.accept()

    tab.on("dialog", leave)
    try_example(tab)
    save_answers(tab)
    tab.reload()
    assert asked == []
    try_example(tab)
    tab.reload()
    assert asked == ["beforeunload"]
    tab.close()


IS_DRAWN = """places => places.every(
    place => place.getContext("2d").getImageData(0, 0, place.width, place.height).data.some(Boolean)
)"""


def list_files(tab):
    return [file for file, *_ in read_answers(tab)]


def test_last_two_hundred_answers_are_in_view_and_older_ones_a_page_back(opened, drawn):
    files = (drawn * 8)[:250]
    names = [path.name for path in files]
    for start in (0, 125):
        give(opened, files[start : start + 125])

    assert list_files(opened) == names[50:]
    newer = opened.get_by_role("button", name="Newer")
    opened.get_by_role("button", name="Older", exact=True).press("Enter")
    assert opened.inner_text("#range") == "201 to 250 of 250"
    # The latest stays in view, as the card.
    assert list_files(opened) == [*names[:50], names[-1]]
    # What comes moves nothing on an older page.
    give(opened, drawn[:1])
    assert list_files(opened) == [*names[:50], drawn[0].name]
    assert opened.inner_text("#range") == "202 to 251 of 251"
    newer.press("Enter")
    newer.press("Enter")
    assert list_files(opened) == [*names[51:], drawn[0].name]
    assert opened.locator("#older canvas").evaluate_all(IS_DRAWN)
    assert save_answers(opened).file.tolist() == [*names, drawn[0].name]


def test_pressed_name_holds_for_answers_that_come_later_and_keeps_the_focus(
    opened, drawn
):
    labels = list(ask_page(opened, drawn).label)
    # The rarest name overtakes the others.
    name = min(labels, key=labels.count)
    chip = opened.get_by_role("button").filter(has_text=name)
    chip.press("Enter")
    more = [drawn[labels.index(name)]] * len(drawn)
    more.append(drawn[[one != name for one in labels].index(True)])

    give(opened, more)

    count = labels.count(name) + len(drawn)
    assert chip.inner_text() == f"{name} {count}"
    assert chip.get_attribute("aria-pressed") == "true"
    assert opened.evaluate("document.activeElement.innerText") == chip.inner_text()
    first = opened.locator("#counts button").first
    assert first.inner_text() == chip.inner_text()
    shown = [label for _, _, label, _ in read_answers(opened)]
    assert shown == [name] * count
    chip.press("Enter")
    assert len(read_answers(opened)) == len(drawn) + len(more)


def film(path, picture, frames=30):
    """Write a film of one grey picture, as Chromium's fake camera takes it."""
    # The camera's bytes are of the narrow range; half as many tell that nothing is coloured.
    luma = 16 + np.asarray(picture) * (219 / 255)
    grey = luma.round().astype(np.uint8).tobytes()
    frame = b"FRAME\n" + grey + bytes([128]) * (len(grey) // 2)
    head = f"YUV4MPEG2 W{picture.width} H{picture.height} F30:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(head.encode() + frame * frames)


@pytest.fixture
def filmed(handed, browser, tmp_path):
    """The page on a phone whose cameras see one picture, and that picture."""
    path = draw(tmp_path / "seen.png", (640, 480), "L")
    film(tmp_path / "seen.y4m", Image.open(path))
    arguments = [
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={tmp_path / 'seen.y4m'}",
    ]
    camera = browser.browser_type.launch(executable_path=find_browser(), args=arguments)
    page_file = handed[0].results / "model.html"
    with open_page(camera, page_file, viewport=PHONE) as tab:
        tab.get_by_role("button", name=CAMERA).click()
        tab.locator("#seen li").nth(2).wait_for()
        yield tab, path
    camera.close()


def test_camera_answers_as_the_model_does(filmed, handed):
    tab, path = filmed
    y_prob, _, _ = classify.predict_files(handed[1], Path(), [path])
    expected = apply_temperature(y_prob, RECORD.temperature)[0]
    order = expected.argsort()[::-1]

    # All frames are the same, so the first has the answer of any half second.
    assert tab.inner_text("#seen .class bdi") == CLASSES[order[0]]
    names = tab.locator("#seen .bars bdi").all_inner_texts()
    assert names == list(np.array(CLASSES)[order])
    percents = tab.locator("#seen .bars .percent").all_inner_texts()
    shown = [float(text[:-1]) for text in percents]
    assert shown == pytest.approx(100 * expected[order], abs=5)


def test_camera_can_be_turned_and_stopped_and_keeps_nothing(filmed):
    tab, _ = filmed
    tab.get_by_role("button", name="Front or back").click()
    tab.locator("#seen li").nth(2).wait_for()

    assert "No frame leaves" in tab.inner_text("#live")
    focused = "() => document.activeElement.id"
    assert tab.evaluate(focused) == "other"
    assert find_violations(tab) == ""
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    track = tab.evaluate_handle(
        "document.getElementById('video').srcObject.getTracks()[0]"
    )
    tab.get_by_role("button", name="Stop the camera").click()
    assert tab.evaluate(focused) == "camera"
    assert track.evaluate("track => track.readyState") == "ended"
    assert not tab.locator("#live").is_visible()
    assert read_answers(tab) == []


def test_refused_camera_is_a_sentence_and_pictures_are_answered(opened, drawn):
    opened.get_by_role("button", name=CAMERA).click()

    opened.get_by_text("choose pictures.").wait_for()
    assert not opened.locator("#live").is_visible()
    assert ask_page(opened, drawn[:1]).label.isin(CLASSES).all()


def test_file_that_answers_otherwise_than_its_model_is_refused(capsys):
    y_prob = np.tile([[0.6, 0.3, 0.1]], (80, 1))
    swapped = y_prob.copy()
    swapped[:4] = [0.3, 0.6, 0.1]
    assert model_page.compare_file("x.tflite", y_prob, swapped) == ""
    assert "4 of 80" in capsys.readouterr().out

    shifted = y_prob + [-0.03, 0.02, 0.01]
    assert model_page.compare_file("x.tflite", y_prob, shifted).startswith("x.tflite")
    assert "0.030 on average" in capsys.readouterr().out
    nothing = np.full_like(y_prob, np.nan)
    assert model_page.compare_file("x.tflite", y_prob, nothing).startswith("x.tflite")


def test_model_without_a_litert_file_has_no_page_and_the_reason_is_told(other):
    assert write_page(other, lacks="no converter").endswith(": no converter")
    assert not (other.results / "model.html").exists()


def test_runtime_that_cannot_be_trusted_or_fetched_is_a_line(
    other, monkeypatch, tmp_path
):
    ws = replace(other, scratch=tmp_path / "scratch")
    package = ws.scratch / f"downloads/litertjs-core-{model_page.VERSION}.tgz"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"something else")
    monkeypatch.setenv("PATH", "")

    assert "run again" in write_page(ws)
    # It was removed, so now it is fetched.
    assert "npm" in write_page(ws)
