"""The page of doubtful pictures, clicked through in a real browser, and the file that it gives."""

import codecs
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import find_violations, make_workspace, open_page, runs_foreign_script
from PIL import Image

from lib.base.workspace import read_table
from lib.data import labels
from lib.data.findings import find
from lib.data.pictures import hash_content
from lib.data.split import read_split
from lib.evaluation import review
from lib.models.record import Record

KEYS = {
    "keep": "KeyK",
    "take": "KeyS",
    "leave": "KeyL",
    "previous": "ArrowLeft",
    "next": "ArrowRight",
    "find": "KeyO",
}
HOSTILE = ["<img src=x onerror=alert(1)>", "$x_1$ **b**", "a<", "__proto__"]
FILES = [
    'a,"b\n$\\frac.png',
    "script><img src=x onerror=alert(2)>.png",
    "'; alert(3) --.png",
]
NETWORK = Record(HOSTILE[0], [], 8, weights="untrained")
FINDINGS = {
    0: "label?",
    4: "label?; outlier",
    8: "label?",
    12: "label?",
    16: "copy?",
    20: "outlier",
}


def draw_set(folder, classes, files):
    """Draw files for each class, for training and for validation, and write what 01 writes of them."""
    ws = make_workspace(folder, validation=folder / "validation")
    parts = [ws.train, ws.validation]
    for grey, place in enumerate(itertools.product(parts, classes, files)):
        path = Path(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (200, 90, grey)).save(path, "PNG")
    table, _ = labels.list_pictures(ws, *parts)
    ws.save_table(table[["file", "label", "part"]], "split.csv")
    digests = [hash_content((ws.train / file).read_bytes()) for file in table.file]
    ws.save_table(table.assign(digest=digests, group=0, taken=""), "pictures.csv")
    ws.save_table(find([], ""), "checks.csv")
    return ws


def write_page(ws, findings, **columns):
    """Write the page of a set, in which each class is taken for the next; findings are by position."""
    audit = read_split(ws)[["file", "label", "part", "digest"]]
    names = sorted(set(audit.label))
    following = dict(zip(names, names[1:] + names[:1]))
    last_of_class = audit.groupby("label").file.last()
    suggested = audit.label.map(following)
    finding = pd.Series(findings, dtype=object)
    facts = {
        "suggested": suggested,
        "neighbour": suggested.map(last_of_class),
        "own": audit.label.map(last_of_class),
        "finding": finding.reindex(audit.index, fill_value=""),
        "rank": audit.index,
        "self_confidence": 0.0001,
        "probability": 0.9,
        "reason": "blurred",
    }
    audit = audit.assign(**facts | columns)
    review.write_review(ws, audit, NETWORK, is_quick=True)
    return audit[audit.finding != ""].reset_index(drop=True)


def read_text(ws):
    return (ws.results / "review.html").read_text(encoding="utf-8")


def list_cases(ws):
    """Return the files of the cases of a page."""
    (content,) = re.findall('id="data">(.*?)</script>', read_text(ws))
    return [case["file"] for case in json.loads(content)["cases"]]


def open_review(browser, ws, **options):
    """Open the page of a set, which shows pictures of its training part from their files."""
    return open_page(browser, ws.results / "review.html", ws.train.as_uri(), **options)


def download(page, path):
    with page.expect_download() as caught:
        page.click("#download")
    assert caught.value.suggested_filename == "corrections.csv"
    caught.value.save_as(path)
    assert path.read_bytes().startswith(codecs.BOM_UTF8), "so that spreadsheets know it"
    table = read_table(path)
    assert table.file.is_unique
    return dict(zip(table.file, table.label))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A set of four classes with hostile names, 24 pictures, of which twelve are cases."""
    ws = draw_set(tmp_path_factory.mktemp("review"), HOSTILE, FILES)
    return ws, write_page(ws, FINDINGS)


@pytest.fixture
def cases(hostile):
    """The rows of the findings."""
    return hostile[1]


@pytest.fixture
def opened(hostile, browser):
    """The page of the hostile set."""
    with open_review(browser, hostile[0]) as page:
        yield page


@pytest.fixture
def drawn(tmp_path):
    """A hostile set of its own, whose page is still to be written."""
    return draw_set(tmp_path, HOSTILE, FILES)


@pytest.mark.parametrize("how", ["click", "key"])
def test_every_action_is_a_click_or_a_key_and_a_row_that_01_takes(
    hostile, opened, how, tmp_path
):
    ws, cases = hostile

    steps = [("keep", 2, 1), ("take", 3, 2), ("leave", 4, 3), ("previous", 3, 3)]
    steps += [("keep", 4, 3), ("next", 5, 3), ("find", 5, 3)]
    for name, number, decided in steps:
        if how == "click":
            opened.click(f"#{name}")
        else:
            opened.keyboard.press(KEYS[name])
        assert opened.inner_text("#case").startswith(f"Case {number}: ")
        assert opened.inner_text("#count") == f"{decided} of 12 decided"
    opened.keyboard.type("__proto__")
    opened.keyboard.press("Enter")
    rows = download(opened, tmp_path / "mine.csv")

    expected = [cases.label[0], cases.suggested[1], cases.label[2], "__proto__"]
    assert rows == dict(zip(cases.file[[0, 1, 2, 4]], expected))
    corrected = replace(ws, corrections=tmp_path / "mine.csv")
    listed, _ = labels.list_pictures(corrected, ws.train, ws.validation)
    assert listed.set_index("file").label[list(rows)].tolist() == expected


def test_letters_in_the_field_are_no_keys_and_name_no_class_that_is_not_there(opened):
    opened.click("#find")
    opened.keyboard.type("SL")
    opened.keyboard.press("Enter")

    assert opened.is_visible("#unknown")
    assert opened.inner_text("#count") == "0 of 12 decided"


def test_a_decision_can_be_withdrawn(opened):
    opened.click("#keep")
    assert opened.is_disabled("#withdraw"), "nothing is decided of the second case"
    opened.click("#previous")
    opened.keyboard.press("KeyW")

    assert "undecided" in opened.inner_text("#last")
    assert opened.inner_text("#case").startswith("Case 1:")
    opened.reload()
    assert opened.inner_text("#count") == "0 of 12 decided"


def test_focus_goes_from_a_button_that_is_disabled_to_one_that_decides_nothing(opened):
    opened.click("#keep")
    opened.click("#previous")
    opened.focus("#withdraw")

    opened.keyboard.press("Enter")

    assert opened.is_disabled("#withdraw")
    assert opened.evaluate("() => document.activeElement.id") == "next"


def test_a_name_that_may_mean_a_left_out_picture_decides_about_none(tmp_path):
    ws = draw_set(tmp_path, ["a", "b"], ["1.png"])
    rows = read_split(ws)[["file", "label", "part"]]
    is_used = rows.file == "a/1.png"
    ws.save_table(rows[is_used], "split.csv")
    ws.save_table(find(rows.file[~is_used], "duplicate"), "checks.csv")
    (tmp_path / "one.csv").write_text("file,label,digest\n1.png,b,\n")

    write_page(replace(ws, corrections=tmp_path / "one.csv"), {0: "label?"})

    assert list_cases(ws) == ["a/1.png"]


def test_what_was_decided_of_a_content_is_not_asked_again_and_no_row_is_lost(
    drawn, browser, tmp_path
):
    cases = write_page(drawn, FINDINGS)
    with open_review(browser, drawn) as page:
        page.keyboard.press("KeyK")
        page.keyboard.press("KeyK")
        rows = download(page, tmp_path / "one.csv")
    (drawn.train / cases.file[0]).write_bytes(b"another picture")

    write_page(replace(drawn, corrections=tmp_path / "one.csv"), FINDINGS)

    first, second, *_ = list_cases(drawn)
    assert first == cases.file[0], "its content is another one"
    assert second == cases.file[2]
    with open_review(browser, drawn) as page:
        page.keyboard.press("ArrowRight")
        page.keyboard.press("KeyL")
        assert download(page, tmp_path / "next.csv") == rows | {second: ""}
    digests = read_table(tmp_path / "next.csv").digest
    assert digests.tolist() == cases.digest[:3].tolist()


def test_decisions_survive_a_reload_and_hold_for_the_same_set_alone(
    drawn, browser, tmp_path
):
    write_page(drawn, FINDINGS)
    with open_review(browser, drawn) as page:
        for key in ("KeyK", "KeyL", "KeyS"):
            page.keyboard.press(key)
        page.reload()
        page.get_by_text("3 of 12 decided").wait_for()
        assert page.inner_text("#case").startswith("Case 4:")
        # The same set with other findings: what was decided stays so.
        write_page(drawn, {0: "label?", 20: "outlier"}, rank=np.roll(range(24), 4))
        page.reload()
        page.get_by_text("2 of 4 decided").wait_for()
        assert len(download(page, tmp_path / "mine.csv")) == 3
        table = read_split(drawn)[["file", "label", "part"]]
        drawn.save_table(table.assign(label=np.roll(table.label, 6)), "split.csv")
        write_page(drawn, FINDINGS)
        page.reload()
        page.get_by_text("0 of 12 decided").wait_for()


def test_page_serves_where_a_browser_keeps_nothing_and_keys_bear_other_letters(
    hostile, browser, tmp_path
):
    ws, cases = hostile
    press = (
        "code => document.dispatchEvent(new KeyboardEvent('keydown', {key: 'κ', code}))"
    )
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException(); }})"
    with open_review(browser, ws, script=refuse) as page:
        assert page.is_visible("#unkept")
        page.evaluate(press, "KeyK")
        rows = download(page, tmp_path / "mine.csv")
    assert rows == {cases.file[0]: cases.label[0]}


def test_two_tabs_lose_nothing_of_each_other(opened, tmp_path):
    with opened.context.new_page() as other:
        other.goto(opened.url)
        opened.keyboard.press("KeyL")
        # The other one has been told, and shows it.
        other.get_by_text("1 of 12 decided").wait_for()
        other.click("#next")
        other.keyboard.press("KeyL")
        opened.get_by_text("2 of 12 decided").wait_for()

    assert len(download(opened, tmp_path / "mine.csv")) == 2


def test_keys_are_those_whose_letters_are_named(opened):
    # On a French keyboard the key of Z lies where W does elsewhere.
    press = "new KeyboardEvent('keydown', {key: 'z', code: 'KeyW'})"
    opened.keyboard.press("KeyK")
    opened.keyboard.press("ArrowLeft")

    opened.evaluate(f"() => document.dispatchEvent({press})")

    assert opened.is_visible("#zoom")
    assert opened.inner_text("#count") == "1 of 12 decided"


def test_only_the_script_of_the_page_may_run(hostile, browser, tmp_path):
    assert not runs_foreign_script(browser, hostile[0].results / "review.html")


@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_accessible_and_fits(opened, width):
    opened.set_viewport_size({"width": width, "height": 844})
    opened.click("summary")
    opened.click("#find")
    opened.keyboard.type("a")

    assert find_violations(opened) == ""
    assert opened.evaluate("document.documentElement.scrollWidth") == width


def test_names_are_shown_as_text(opened, cases):
    opened.click("summary")

    widths = "all => all.map(one => one.naturalWidth)"
    found = opened.locator("img").evaluate_all(widths)
    assert set(found) == {40}, "a name has become a picture"
    shown = " ".join(opened.inner_text("main").split())
    for name in cases.file:
        assert " ".join(name.split()) in shown


def test_pictures_of_a_class_are_decided_at_once_in_the_grid(opened, tmp_path):
    """Keys, clicks and a drag select; each decision is undone in one step."""
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.keyboard.press("KeyG")
    tiles = opened.locator("#tiles [role=option]")
    names = "all => all.map(one => one.title)"
    files = tiles.evaluate_all(names)
    opened.keyboard.press("Space")
    opened.keyboard.press("Shift+ArrowRight")
    opened.keyboard.press("KeyS")
    assert opened.inner_text("#count") == "2 of 12 decided"
    opened.keyboard.press("Control+z")
    assert opened.locator("[aria-selected=true]").evaluate_all(names) == files[:2]
    assert opened.inner_text("#count") == "0 of 12 decided"
    opened.keyboard.press("KeyL")

    opened.keyboard.press("KeyN")
    others = tiles.evaluate_all(names)
    tiles.first.click()
    tiles.last.click(modifiers=["Shift"])
    opened.keyboard.press("Escape")
    box = tiles.first.bounding_box()
    opened.mouse.move(box["x"] + 5, box["y"] + 5)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 1.5 * box["width"], box["y"] + 9, steps=3)
    opened.mouse.up()
    opened.click("#find")
    opened.keyboard.type("__proto__")
    opened.keyboard.press("Enter")

    assert find_violations(opened) == ""
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    expected = dict.fromkeys(files[:2], "") | dict.fromkeys(others[:2], "__proto__")
    assert download(opened, tmp_path / "mine.csv") == expected


def measure_zoom(page, width):
    """Return the place of the picture in the window, once one of that width is shown."""
    has_width = "width => document.querySelector('#zoom img').naturalWidth == width"
    page.wait_for_function(has_width, arg=width)
    return page.locator("#zoom img").bounding_box()


def test_a_picture_fits_the_window_and_a_click_shows_each_of_its_pixels(
    browser, tmp_path
):
    ws = draw_set(tmp_path, HOSTILE[1:3], FILES)
    large, lost = read_split(ws).file[:2]
    Image.new("RGB", (2000, 3000)).save(ws.train / large, "PNG")
    write_page(ws, {0: "label?", 1: "label?"})
    (ws.train / lost).write_bytes(b"no picture any more")
    with open_review(browser, ws) as page:
        window = {"x": 0, "y": 0, **page.viewport_size}
        page.click("#picture img")
        assert measure_zoom(page, 2000) == window
        page.click("#zoom img", position={"x": 10, "y": window["height"] - 10})
        shown = measure_zoom(page, 2000)
        assert (shown["width"], shown["height"]) == (2000, 3000)
        assert shown["y"] < -1500, "of the place that was clicked"
        page.keyboard.press("KeyZ")
        page.keyboard.press("KeyK")
        page.keyboard.press("KeyZ")
        # It is shown as the page has it, and no smaller than there.
        assert measure_zoom(page, 40) == window


@pytest.fixture
def audit():
    """Five findings, of which d and e are a pair, and five pictures without one; j has rank 1."""
    columns = {"rank": range(10, 0, -1), "neighbour": "a", "finding": ""}
    table = pd.DataFrame(columns, list("abcdefghij"))
    found = ["outlier", "label?", "copy?", "copy?", "label?; outlier"]
    table.loc["b":"f", "finding"] = found
    # A doubtful label is a case, whatever is known of its neighbour.
    table.loc["c":"e", "neighbour"] = ["d", "e", "d"]
    return table


def test_cases_are_findings_by_rank_each_pair_once_then_as_many_of_the_ranking(audit):
    assert review.list_cases(audit, []) == ["f", "e", "c", "b", "j", "i", "h", "g"]


def test_decided_pictures_and_their_copies_are_no_cases(audit):
    assert review.list_cases(audit, ["d", "f"]) == ["c", "b", "j", "i"]


def test_page_says_what_it_has_of_a_case(tmp_path, browser):
    ws = draw_set(tmp_path, ["a", "b"], ["0.png"])
    (ws.train / read_split(ws).file[0]).write_bytes(b"damaged")
    write_page(ws, {0: "label?", 1: "outlier"}, neighbour="", own="")

    with open_review(browser, ws) as page:
        assert "can't be read" in page.inner_text("#picture")
        assert "nothing to compare" in page.inner_text("#facts")
        assert not page.is_visible("#beside, #own")
        page.keyboard.press("KeyK")
        assert "blurred" in page.inner_text("#facts")


def test_page_of_no_cases_says_so(drawn):
    write_page(drawn, {})

    assert "Nothing is left" in read_text(drawn)
