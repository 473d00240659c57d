"""The page of doubtful pictures, clicked through in a real browser, and the file that it gives."""

import json
import re
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import workspace
from lib.data import labels
from lib.data.label_files import read_labels
from lib.data.split import read_split
from lib.evaluation import review

KEYS = {"keep": "KeyK", "take": "KeyS", "leave": "KeyL"}
KEYS |= {"previous": "ArrowLeft", "next": "ArrowRight", "withdraw": "KeyW"}
HOSTILE = ["<img src=x onerror=alert(1)>", "$x_1$ **b**", "a<", "__proto__"]
FILES = [
    'a,"b\n$\\frac.png',
    "script><img src=x onerror=alert(2)>.png",
    "'; alert(3) --.png",
]
NETWORK = {"label": HOSTILE[0], "weights": "untrained"}
FINDINGS = dict.fromkeys((0, 8, 12), "label?") | {
    4: "label?; outlier",
    16: "copy?",
    20: "outlier",
}


def draw_set(folder, classes, files):
    """Draw files for each class, for training and for validation, and write what 01 writes of them."""
    parts = [folder / name for name in ("train", "validation")]
    ws = workspace.Workspace(
        parts[0], folder / "results", folder / "scratch", validation=parts[1]
    )
    for path in (
        part / label / file for part in parts for label in classes for file in files
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (200, 90, 160)).save(path, "PNG")
    table = labels.list_pictures(ws, *parts)
    ws.save_table(table[["file", "label", "part"]], "split.csv")
    ws.save_table(table[["file"]].assign(digest=table.file, group=0), "pictures.csv")
    ws.save_table(
        table[["file"]][:1].assign(problem="blurred", action="kept"), "checks.csv"
    )
    return ws


def write_page(ws, findings, **columns):
    """Write the page of a set, in which each class is taken for the next; findings are by position."""
    table, names = read_split(ws), sorted({*read_split(ws).label})
    audit = table[["file", "label"]].assign(
        self_confidence=0.0001, probability=0.9, spread=1.0
    )
    audit["suggested"] = audit.label.map(dict(zip(names, names[1:] + names[:1])))
    audit["neighbour"] = audit.suggested.map(
        table.drop_duplicates("label").set_index("label").file
    )
    audit["finding"] = [findings.get(k, "") for k in range(len(audit))]
    audit = audit.assign(**{"rank": range(len(audit))} | columns)
    review.write_review(ws, audit, NETWORK)
    return audit[audit.finding != ""].reset_index(drop=True)


def read_content(ws):
    text = (ws.results / "review.html").read_text(encoding="utf-8")
    found = re.search('id="data">(.*?)</script>', text)
    return text, json.loads(found[1]) if found else {}


@contextmanager
def open_page(browser, ws, script="", **options):
    """Open the page; faults, dialogs and requests make the test fail at the end."""
    context = browser.new_context(**options)
    page, found = context.new_page(), []
    page.add_init_script(script)
    for event in ("console", "pageerror", "dialog", "request"):
        page.on(event, lambda thing: found.append(getattr(thing, "url", str(thing))))
    address = (ws.results / "review.html").as_uri()
    page.goto(address)
    yield page
    allowed = ("data:", "blob:", ws.train.as_uri())
    assert [k for k in found if k != address and not k.startswith(allowed)] == []
    context.close()


def download(page, path):
    with page.expect_download() as caught:
        page.click("#download")
    assert caught.value.suggested_filename == "corrections.csv"
    caught.value.save_as(path)
    table = read_labels(path)
    assert table.file.is_unique
    return dict(zip(table.file, table.label))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A set of four classes with hostile names, 24 pictures, of which twelve are cases."""
    ws = draw_set(tmp_path_factory.mktemp("review"), HOSTILE, FILES)
    return ws, write_page(ws, FINDINGS)


@pytest.mark.parametrize("how", ["click", "key"])
def test_every_action_is_a_click_or_a_key_and_a_row_that_01_takes(
    hostile, browser, how, tmp_path
):
    ws, cases = hostile

    def act(name, number, decided):
        page.click(f"#{name}") if how == "click" else page.keyboard.press(KEYS[name])
        assert page.inner_text("#case").startswith(f"Case {number} of 12: ")
        assert page.inner_text("#count") == f"{decided} of 12 decided"

    with open_page(browser, ws) as page:
        act("keep", 2, 1)
        act("take", 3, 2)
        page.click("#find") if how == "click" else page.keyboard.press("KeyO")
        page.keyboard.type("SL")  # in the field these are letters
        page.keyboard.press("Enter")
        assert page.is_visible("#unknown")
        page.fill("#find", "__proto__")
        page.keyboard.press("Enter")
        act("leave", 5, 4)
        assert page.inner_text("#case").endswith("possible copy")
        act("previous", 4, 4)
        act("keep", 5, 4)  # decided again
        act("next", 6, 4)
        page.uncheck("#keys")
        page.keyboard.press("KeyL")
        assert page.inner_text("#count") == "4 of 12 decided"
        rows = download(page, tmp_path / "mine.csv")
    expected = [cases.label[0], cases.suggested[1], "__proto__", cases.label[3]]
    assert rows == dict(zip(cases.file, expected))
    corrected = replace(ws, corrections=tmp_path / "mine.csv")
    listed = labels.list_pictures(corrected, ws.train, ws.validation).set_index("file")
    assert [*listed.label[[*rows]]] == expected


def test_a_decision_can_be_withdrawn(hostile, browser, tmp_path):
    ws, cases = hostile
    with open_page(browser, ws) as page:
        page.click("#keep")
        assert page.is_disabled("#withdraw"), "nothing is decided of the second case"
        page.click("#leave")
        page.click("#previous")
        page.click("#previous")
        page.click("#withdraw")
        assert page.inner_text("#count") == "1 of 12 decided"
        assert "undecided" in page.inner_text("#last")
        assert page.inner_text("#case").startswith("Case 1 of 12")
        page.reload()
        assert list(download(page, tmp_path / "mine.csv")) == [cases.file[1]]


def test_title_counts_labels_and_page_says_where_the_file_goes(hostile):
    text, content = read_content(hostile[0])
    assert "<h1>4 labels to check</h1>" in text and len(content["cases"]) == 12
    assert "<code>corrections.csv</code> into the results folder" in text


def test_keys_are_hidden_where_there_is_no_keyboard(hostile, browser):
    touch = {"has_touch": True, "is_mobile": True}
    size = {"width": 390, "height": 844}
    with open_page(browser, hostile[0], viewport=size, **touch) as page:
        assert page.locator("kbd:visible").count() == 0
        assert not page.is_visible("#keys")


def test_what_was_decided_is_not_asked_again_and_goes_into_the_next_file(
    browser, tmp_path
):
    ws = draw_set(tmp_path, HOSTILE, FILES)
    first = write_page(ws, FINDINGS)
    decided = {first.file[0]: "", first.file[1]: first.suggested[1]}
    pd.DataFrame(decided.items(), columns=["file", "label"]).to_csv(
        tmp_path / "one.csv"
    )
    write_page(replace(ws, corrections=tmp_path / "one.csv"), FINDINGS)
    content = read_content(ws)[1]
    cases = [one["file"] for one in content["pictures"][: len(content["cases"])]]
    assert not {*cases} & {*decided}
    with open_page(browser, ws) as page:
        assert download(page, tmp_path / "same.csv") == decided
        page.keyboard.press("KeyL")
        assert download(page, tmp_path / "two.csv") == decided | {cases[0]: ""}


def test_decisions_survive_a_reload_and_hold_for_the_same_set_alone(browser, tmp_path):
    ws = draw_set(tmp_path, HOSTILE, FILES)
    write_page(ws, FINDINGS)
    with open_page(browser, ws) as page:
        for key in ("KeyK", "KeyL", "KeyS"):
            page.keyboard.press(key)
        page.reload()
        page.get_by_text("3 of 12 decided").wait_for()
        assert page.inner_text("#case").startswith("Case 4")
        # The same set with other findings: what was decided stays so.
        write_page(ws, {0: "label?", 20: "outlier"}, rank=np.roll(range(24), 4))
        page.reload()
        page.get_by_text("2 of 4 decided").wait_for()
        assert len(download(page, tmp_path / "mine.csv")) == 3
        table = read_split(ws)
        ws.save_table(table.assign(label=np.roll(table.label, 6)), "split.csv")
        write_page(ws, FINDINGS)
        page.reload()
        page.get_by_text("0 of 12 decided").wait_for()


def test_page_serves_where_a_browser_keeps_nothing_and_keys_bear_other_letters(
    hostile, browser, tmp_path
):
    press = (
        "code => document.dispatchEvent(new KeyboardEvent('keydown', {key: 'κ', code}))"
    )
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException(); }})"
    with open_page(browser, hostile[0], refuse) as page:
        assert page.is_visible("#unkept")
        page.evaluate(press, "KeyK")
        assert download(page, tmp_path / "mine.csv") == {
            hostile[1].file[0]: hostile[1].label[0]
        }


@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_accessible_fits_and_shows_names_as_text(hostile, browser, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with open_page(
        browser, hostile[0], viewport={"width": width, "height": 844}
    ) as page:
        bottom = "document.querySelector('#leave').getBoundingClientRect().bottom"
        assert page.evaluate(bottom) <= 844, "nobody scrolls to decide"
        page.click("summary")
        page.keyboard.press("KeyO")
        page.keyboard.type("a")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert axe.run(page).violations_count == 0, axe.run(page).generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") == width
        widths = page.eval_on_selector_all(
            "img", "all => all.map(one => one.naturalWidth)"
        )
        assert {*widths} == {40}, "a name has become a picture"
        shown = " ".join(page.inner_text("main").split())
        assert all(" ".join(name.split()) in shown for name in hostile[1].file)


def test_a_row_of_like_cases_is_decided_at_once(hostile, browser, tmp_path):
    ws, cases = hostile
    with open_page(browser, ws) as page:
        # Of the same class, and so of the same suggestion.
        alike = [
            file
            for file, label in zip(cases.file, cases.label)
            if label == cases.label[0]
        ]
        row = page.locator("#alike img")
        shown = row.evaluate_all("all => all.map(one => one.alt)")
        assert len(shown) >= 1 and {*shown} <= {*read_split(ws).file}
        page.keyboard.press("KeyA")
        page.keyboard.press("KeyS")
        assert not page.is_checked("#every"), "the next case is another decision"
        rows = download(page, tmp_path / "mine.csv")
    assert [*rows] == [alike[0], *shown] and {*rows.values()} == {cases.suggested[0]}


def test_a_picture_is_shown_at_its_own_size_from_its_file_or_as_it_is_kept(
    browser, tmp_path
):
    ws = draw_set(tmp_path, HOSTILE[1:3], FILES)
    large, lost = read_split(ws).file[:2]
    Image.new("RGB", (900, 1000)).save(ws.train / large, "PNG")
    write_page(ws, {0: "label?", 1: "label?"})
    (ws.train / lost).write_bytes(b"no picture any more")
    size = """image => new Promise(done => setTimeout(done, 500))
        .then(() => [image.naturalWidth, image.offsetWidth])"""
    with open_page(browser, ws) as page:
        page.click("#picture img")
        assert page.locator("#zoom img").evaluate(size) == [900, 900]
        page.keyboard.press("KeyK")
        assert page.inner_text("#count").startswith("0 of"), "no key decides behind it"
        page.keyboard.press("KeyZ")
        assert not page.is_visible("#zoom")
        page.keyboard.press("KeyK")
        page.keyboard.press("KeyZ")
        assert page.locator("#zoom img").evaluate(size) == [40, 40]


@pytest.fixture
def audit():
    """Five findings, of which d and e are a pair, and five pictures without one; j has rank 1."""
    files = list("abcdefghij")
    table = pd.DataFrame(index=files)
    table["rank"] = range(10, 0, -1)
    table["neighbour"] = "a"
    table["finding"] = ""
    table.loc["b", "finding"] = "outlier"
    table.loc["c", "finding"] = "label?"
    table.loc["d", ["finding", "neighbour"]] = ["copy?", "e"]
    table.loc["e", ["finding", "neighbour"]] = ["copy?", "d"]
    table.loc["f", "finding"] = "label?; outlier"
    return table


def test_cases_are_findings_by_rank_each_pair_once_then_as_many_of_the_ranking(audit):
    cases = review.list_cases(audit)
    assert list(cases) == ["f", "e", "c", "b", "j", "i", "h", "g"]
    assert cases["e"] == "d"
    assert review.list_cases(audit.assign(finding="")) == {}


def test_decided_pictures_and_their_copies_are_no_cases(audit):
    assert list(review.list_cases(audit, {"d": "", "f": "x"})) == ["c", "b", "j", "i"]


def test_page_of_many_cases_of_none_and_of_a_lost_picture(
    browser, tmp_path, monkeypatch
):
    ws = draw_set(tmp_path, ["a", "b"], [f"{k}.png" for k in range(8)])
    monkeypatch.setattr(review, "MAX_CASES", 5)
    (ws.train / "a/0.png").write_bytes(b"damaged")
    (ws.train / "a/1.png").unlink()
    write_page(ws, dict.fromkeys(range(32), "label?"), rank=np.roll(range(32), 16))
    content = read_content(ws)[1]
    assert len(content["cases"]) == 5
    assert [one["file"] for one in content["pictures"] if not one["data"]] == [
        "a/0.png",
        "a/1.png",
    ]
    first = np.roll(range(32), 16)
    write_page(ws, {16: "label?", 0: "outlier"}, neighbour="", rank=first)
    with open_page(browser, ws) as page:
        assert "can't be read any more" in page.inner_text("#picture")
        assert "nothing to compare it with" in page.inner_text("#facts")
        page.keyboard.press("KeyK")
        assert "blurred" in page.inner_text("#facts")
    write_page(ws, {})
    assert "Nothing is left to check" in read_content(ws)[0]
