"""The lessons as pages to hand out, as `make handouts` makes them."""

import subprocess
import sys

import nbformat
import pytest
from conftest import find_violations, make_workspace, plan_make, runs_foreign_script
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib.base.workspace import REPOSITORY

WIDE = (
    "<table><tr><th></th>" + "<td>a_long_name_of_a_column</td>" * 14 + "</tr></table>"
)
HARMFUL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
# As Keras colours the summary of a model.
COLOURED = "<pre><span style='color: #00af00'>(None, 10)</span></pre>"
BAR = "features: 100%|██████████| 960/960 [01:41<00:00]\n"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a lesson with a folded and an open cell, a bar, and a table as wide as 05's."""
    root = tmp_path_factory.mktemp("handouts")
    (root / "train").mkdir()
    ws = make_workspace(root)
    folded = new_code_cell("plumbing = 1")
    folded.metadata["jupyter"] = {"source_hidden": True}
    figure = "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' width='3000'>"
    folded.outputs = [new_output("display_data", {"text/html": figure})]
    opened = new_code_cell("lesson = 2  # why")
    opened.outputs = [
        new_output("stream", text=BAR + "ready\n"),
        new_output("display_data", {"text/html": WIDE}),
        new_output("display_data", {"text/html": HARMFUL + COLOURED}),
    ]
    links = "[this](02_lesson.ipynb) [03_next](03_next.ipynb) [how](README.md#how)"
    link = new_markdown_cell(f"{links} [web](https://example.org/a.ipynb)")
    title = new_markdown_cell("# 02 · A lesson")
    notebook = new_notebook(cells=[title, folded, opened, link])
    nbformat.write(notebook, ws.file("notebooks", "02_lesson.ipynb"))
    # What make would run, in the environment of this test.
    variables = [f"PATHS={ws.save_paths()}", f"BIN={sys.prefix}/bin"]
    command = "results=" + plan_make("handouts", *variables).partition("results=")[2]
    subprocess.run(command, shell=True, check=True, cwd=REPOSITORY)
    return ws.results / "handouts/02_lesson.html"


def test_folded_code_and_bars_are_left_out_and_all_else_is_kept(page):
    text = page.read_text(encoding="utf-8")
    assert "plumbing" not in text and "█" not in text
    for kept in ("data:image/gif", "lesson", "ready"):
        assert kept in text


def test_links_lead_to_lessons_that_ran_and_to_the_web_alone(tab):
    links = tab.locator("a:not(.anchor-link)").evaluate_all(
        "all => all.map(link => [link.innerText, link.getAttribute('href')])"
    )

    assert links == [["this", "02_lesson.html"], ["web", "https://example.org/a.ipynb"]]
    assert "03_next how" in tab.inner_text("main")


def test_no_script_runs_in_a_page(page, browser):
    assert not runs_foreign_script(browser, page)


@pytest.fixture
def tab(page, browser):
    """The page, opened."""
    tab = browser.new_page()
    tab.goto(page.as_uri())
    yield tab
    tab.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_accessible_and_as_wide_as_its_screen(tab, width):
    """On a phone a wide table is scrolled."""
    tab.set_viewport_size({"width": width, "height": 800})

    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert find_violations(tab) == ""


def test_no_table_is_wider_than_paper(tab):
    tab.set_viewport_size({"width": 640, "height": 800})
    tab.emulate_media(media="print")

    rights = "all => all.map(cell => cell.getBoundingClientRect().right)"
    assert max(tab.locator("td").evaluate_all(rights)) <= 640
