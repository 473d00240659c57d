"""Names are shown, and read back, as they are."""

import csv
import html
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from conftest import run_cells

from lib.base import workspace
from lib.base.escapes import escape_text, list_some


def test_escaped_names_are_shown_as_they_are_by_markdown_and_html():
    name = "<img src=x onerror=alert(1)> **b** `c` [d](e) $f$ _g_ h_i a\nb & \\"

    text = escape_text(name)

    assert not set(text) & set("<>*`[]$\\\n=")
    assert "h_i" in text
    assert html.unescape(text) == name.replace("\n", " ")


def test_names_are_written_as_they_are_and_read_back(ws):
    names = ["=1+1", "'x", "007", "-1.5", "", "NA", 'a,"b\n']
    table = pd.DataFrame({"file": names, "=label": names})

    ws.save_table(table, "names.csv")

    path = ws.results / "names.csv"
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "=label"]
    assert [row[0] for row in rows] == names
    pd.testing.assert_frame_equal(workspace.read_table(path), table, check_dtype=False)


def test_a_table_without_rows_is_written_and_read(ws):
    ws.save_table(pd.DataFrame(columns=["file", "=x"]), "none.csv")

    assert list(workspace.read_table(ws.results / "none.csv")) == ["file", "=x"]


def test_folder_of_the_pictures_is_text_in_a_lesson(ws, tmp_path):
    train = tmp_path / "a`<img src=x onerror=alert(1)>"
    ws = replace(ws, train=train)

    assert not set(ws.data_note) & set("<>`")
    assert html.unescape(ws.data_note).endswith(str(train))


def test_lists_that_are_cut_say_how_many_more_there_are():
    names = [f"{number:04}" for number in range(1200)]

    assert list_some(names[:10]) == ", ".join(names[:10])
    assert list_some(names) == ", ".join(names[:10]) + " and 1,190 more"


HOSTILE = "nets/a<img src=x onerror=alert(1)>.keras"
UNTRAINED = SimpleNamespace(spec=HOSTILE, weights="untrained")
PRETRAINED = SimpleNamespace(spec=HOSTILE, weights=HOSTILE)
START = SimpleNamespace(name="a", weights=HOSTILE, is_untrained=False)


@pytest.mark.parametrize(
    ("notebook", "cell", "names"),
    [
        ("04_resnet50_transfer", "04-09-notice", {"network": PRETRAINED}),
        ("04_resnet50_transfer", "04-09-notice", {"network": UNTRAINED}),
        ("06_fine_tuning", "06-09-notice", {"start": START}),
    ],
)
def test_names_of_files_are_text_in_what_lessons_show(notebook, cell, names):
    imports = {"Markdown": str, "escape_text": escape_text}

    known = run_cells(
        notebook, [cell], imports | {"name": "a", "BACKBONE": HOSTILE} | names
    )

    assert "<" not in known["notice"]
    assert HOSTILE in html.unescape(known["notice"])
