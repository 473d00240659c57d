"""What `make lessons` keeps of the outputs of a lesson."""

import base64
import io

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from write_lessons import (
    Pen,
    clean_text,
    convert_outputs,
    find_contradictions,
    hash_code,
)

from lib.base.workspace import REPOSITORY

RED = """<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60"
height="40" fill="red"/></svg>"""


@pytest.fixture
def pen(browser):
    return Pen(browser.new_page())


def encode(text):
    return base64.b64encode(text.encode()).decode()


def open_picture(data):
    return Image.open(io.BytesIO(base64.b64decode(data)))


FIGURE = f'<img class="plot" src="data:image/svg+xml;base64,{encode(RED)}">'
CHART = '<div class="chart" style="background: red; height: 99px"></div>'


@pytest.mark.parametrize("html", [FIGURE, CHART])
def test_figure_becomes_one_picture(pen, html):
    shown = new_output("display_data", {"text/html": html, "text/plain": "<HTML>"})

    (output,) = convert_outputs([shown], pen)

    (data,) = output.data.values()
    picture = open_picture(data)
    assert picture.format == "PNG"
    reds = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert reds[0] > 200 > max(reds[1:])


OF_ONE_RUN = """features: 100%|██████████| 960/960 [01:41<00:00]
02_baseline_cnn        … took 0:01:14
Note: baseline_cnn is taken from files of 2026-01-31.
Python 3.11.7, keras 3.15.1
no GPU, 2 CPU cores
Note: https://example.org can't be read.
"""


def test_lines_of_one_run_or_machine_are_left_out():
    printed = f"right: 59 of 77\n{OF_ONE_RUN}train: {REPOSITORY}/demo/train\n"

    assert clean_text(printed) == "right: 59 of 77\ntrain: demo/train\n"


def test_of_the_line_of_an_epoch_all_stays_but_its_seconds():
    line = "10/10 - 3s - 316ms/step - accuracy: 0.46 - loss: 1.73\n"

    assert clean_text(line) == "10/10 - accuracy: 0.46 - loss: 1.73\n"


def compare_with_outputs(text):
    """Return what contradicts a step that prints 0.907 and 12,345, and shows a table with 58."""
    printed = new_output("stream", text="accuracy 0.907 of 12,345\n")
    table = new_output("display_data", {"text/html": "<td>58</td><td>0.31</td>"})
    cells = [
        new_markdown_cell("# A lesson"),
        new_markdown_cell(f"## Step 1: Ask\n\n{text}"),
        new_code_cell("ask()", outputs=[printed, table]),
        new_markdown_cell("## Exercises\n\nOn the demo 4 of 5 are right."),
    ]
    return find_contradictions(new_notebook(cells=cells))


@pytest.mark.parametrize(
    "text",
    [
        "On the demo 0.91 of 12,345 are right, and 58 in 02, step 7, by ResNet50.",
        "On the demo 31 % are right. Of photographs it was 0.4.",
        "<details><summary>On the demo</summary>\n\nIt is 0.9.\n\n</details>",
    ],
)
def test_numbers_of_the_demo_that_its_step_puts_out_pass(text):
    assert compare_with_outputs(text) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is a lot. On the demo 0.92 of 12,345 are right.", "0.92"),
        ("On the demo 59 are right.", "59"),
        (
            "<details><summary>On the demo</summary>\n\nAbout 0.86.\n\n</details>",
            "0.86",
        ),
    ],
)
def test_a_number_of_the_demo_that_its_step_does_not_put_out_is_named(text, number):
    (found,) = compare_with_outputs(text)

    assert f": {number} in: " in found


def test_hash_changes_with_the_code_and_not_with_the_address_of_the_project():
    def hash_cells(*sources):
        return hash_code(new_notebook(cells=[new_code_cell(s) for s in sources]))

    assert hash_cells("REPOSITORY = 1", "x = 1") == hash_cells(
        "REPOSITORY = 2", "x = 1"
    )
    assert hash_cells("REPOSITORY = 1", "x = 1") != hash_cells(
        "REPOSITORY = 1", "x = 2"
    )
