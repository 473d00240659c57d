"""Figures at each size and with odd names, as SVG; galleries as tables that fit any width."""

import base64
import html
import io
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.base import workspace
from lib.evaluation import display, figures, galleries

ODD = [
    "a",
    "$x_1$ and $\\frac",
    "W" * 200,
    "แมวสีส้ม",
    "中国的狗和猫" * 10,
    "قطة كبيرة جدا",
    "🐶 dogs",
    '<g id="a">&amp;',
    "__init__",
    "강아지",
    "two\nlines\tand a tab\x0b",
]
NO_WARNING = "error::UserWarning", "error::RuntimeWarning", "ignore:Glyph .* missing"
pytestmark = pytest.mark.filterwarnings(*NO_WARNING)
SVG = "{http://www.w3.org/2000/svg}"
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "accuracy": [0.2, 0.4, 0.9],
        "val_accuracy": [0.1, 0.3, 0.45],
        "loss": [3.0, 2.0, 1.0],
        "val_loss": [2.0, 1.25, 1.75],
    }
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def keep(drawn, folder, name="drawn"):
    display.show(workspace.Workspace(folder, folder, folder), drawn, name)
    (path,) = (folder / "figures").glob(f"{name}.*")
    return path.read_text(encoding="utf-8")


def test_figures_of_odd_names_are_svg_with_text_and_no_warning(tmp_path):
    text = keep(figures.training_curves(dict.fromkeys(ODD, HISTORY)), tmp_path)

    parts = ElementTree.fromstring(text).iter(f"{SVG}text")
    texts = ["".join(part.itertext()) for part in parts]
    assert max(map(len, texts)) < 80
    assert any("$x_1$ and $\\frac" in text for text in texts)


def test_a_figure_is_the_same_file_each_time(tmp_path):
    first = keep(figures.training_curves({"a": HISTORY}), tmp_path)
    again = keep(figures.training_curves({"a": HISTORY}), tmp_path)

    assert again == first


def test_what_was_kept_by_a_name_before_is_removed(tmp_path):
    keep(figures.training_curves({"a": HISTORY}), tmp_path)

    assert keep("<table></table>", tmp_path) == "<table></table>"


def test_no_browser_has_to_guess_the_encoding_of_what_is_kept(tmp_path):
    text = keep("<p>蝴蝶</p>", tmp_path)

    assert text == "<p>&#34676;&#34678;</p>"


def test_gap_says_how_far_training_is_from_validation_and_claims_no_trend():
    said = display.show_part("gap", HISTORY, label="<cnn>").data.strip()

    assert "&lt;cnn&gt;" in said
    assert "0.450 above" in said
    assert said.endswith("epoch 2 (1.250) and ends at 1.750.")


def read_chart(means, runs):
    """Return the texts of a chart, line by line, and the places of its marks, row by row."""
    marks = {"baseline": 0.2, "files": 0.35}
    drawn = display.show_part("accuracy", means, runs=runs, **marks).data
    assert "<b>" not in drawn
    rows = re.findall("<div>(.*?)</div>", drawn, re.S)
    marks = []
    for row in rows:
        kinds = re.findall(r'<i class="(\w+)" style="left: ([\d.]+)%', row)
        marks.append([(kind, round(float(place))) for kind, place in kinds])
    lines = html.unescape(re.sub("<[^>]*>", "", drawn)).split("\n")
    return [line.strip().replace("\xa0", " ") for line in lines], marks


def test_accuracies_stand_best_first_with_numbers_interval_and_single_trainings():
    means = {"mean": [0.4, 0.6], "low": 0.3, "high": [0.5, 0.8], "runs": [1, 2]}
    runs = pd.DataFrame({"configuration": list("abb"), "top1": [0.4, 0.55, 0.65]})

    table = pd.DataFrame(means, ["a", "<b>"])
    runs = runs.replace("b", "<b>")
    lines, marks = read_chart(table, runs)

    lines_of_row = [("commonest", 20), ("files", 35), ("interval", 30)]
    assert marks == [
        [*lines_of_row, ("one", 55), ("one", 65), ("mean", 60)],
        [*lines_of_row, ("one", 40), ("mean", 40)],
    ]
    assert {"<b> (2 trainings)", "60 % (30 to 80)"} < set(lines)
    legend = lines[-3]
    assert "always the commonest class: 20 %" in legend
    assert "size, light and sharpness of the files alone: 35 %" in legend


def test_forty_names_have_a_row_and_the_others_are_counted():
    means = pd.DataFrame({"mean": 0.5, "low": 0.3, "high": 0.8}, range(300))

    lines, marks = read_chart(means, means)

    assert len(marks) == 40
    assert any(line.startswith("and 260 more; ") for line in lines)


PICTURES = np.zeros((4, 120, 120, 3), np.uint8)


def read_gallery(text):
    """Return the headings of a gallery, and the lines below each picture."""
    whole = re.sub("(<img[^>]*|<wbr)>", r"\1/>", text[text.index("<table") :])
    table = ElementTree.fromstring(whole)
    headings = ["".join(heading.itertext()) for heading in table.iter("th")]
    cells = []
    for cell in table.iter("td"):
        cells.append(["".join(line.itertext()) for line in cell.iter("div")])
    return headings, cells


def test_names_are_shown_as_they_are_and_rows_without_pictures_are_not():
    """That of a file has two parts, which stay on one line."""
    file = f"Aves/{'0123456789' * 4}.jpg"
    lines = [["W" * 200, "蝴蝶 <i>", file]]
    rows = {"<b>$x$": PICTURES[:1], "none": PICTURES[:0]}

    text = galleries.picture_grid(rows, "a", {"<b>$x$": lines})

    assert read_gallery(text) == (["<b>$x$"], lines)
    assert f'title="{file}"' in text
    assert "<span>23456789.jpg</span>" in text


def test_maps_that_are_too_coarse_are_not_shown():
    maps = {"good": np.ones((1, 5, 6)), "bad": np.ones((1, 6, 6))}

    text = galleries.show_heatmaps(PICTURES[:1], maps, {})

    headings, _ = read_gallery(text)
    assert headings == ["pictures", "bad"]
    del maps["bad"]
    assert galleries.show_heatmaps(PICTURES[:1], maps, {}) is None


def test_evidence_lights_its_place_and_leaves_the_rest_grey():
    pictures = np.full((1, 40, 40, 3), (200, 40, 40), np.uint8)
    maps = np.zeros((1, 8, 8))
    maps[0, :3, :3] = 1

    text = galleries.show_heatmaps(pictures, {"good": maps}, {})

    _, overlay = re.findall('base64,([^"]+)', text)
    file = io.BytesIO(base64.b64decode(overlay))
    shown = np.asarray(Image.open(file)).astype(int)
    assert np.ptp(shown[36, 36]) <= 8
    red, green, blue = shown[4, 4]
    assert min(red, green) > blue + 50
