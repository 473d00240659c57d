"""Figures at each size and with odd names, as SVG; galleries as tables that fit any width."""

import base64
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


def draw_all(names):
    """Return every figure of that many models, by its name."""
    means = pd.DataFrame({"mean": 0.5, "low": 0.3, "high": 0.8}, names)
    return {
        "curves": figures.training_curves(dict.fromkeys(names[:2], HISTORY)),
        "accuracy": figures.accuracy_by_model(means, 0.1),
    }


def keep(drawn, folder, name="drawn"):
    display.show(workspace.Workspace(folder, folder, folder), drawn, name)
    (path,) = (folder / "figures").glob(f"{name}.*")
    return path.read_text(encoding="utf-8")


def read(labels):
    return [label.get_text() for label in labels]


def read_names(axes):
    return read(axes.get_yticklabels())


# Figures have 40 rows at most.
@pytest.mark.parametrize("classes", [2, 25, 134])
def test_figures_of_any_number_of_odd_names_are_svg_with_text_and_no_warning(
    classes, tmp_path
):
    names = [f"{ODD[k % len(ODD)]}{k // len(ODD) or ''}" for k in range(classes)]

    for name, figure in draw_all(names).items():
        # It can be read on a phone.
        assert figure.get_figwidth() == figures.WIDTH
        text = keep(figure, tmp_path, name)
        parts = ElementTree.fromstring(text).iter(f"{SVG}text")
        texts = ["".join(part.itertext()) for part in parts]
        assert len(texts) > 5, name
        assert max(map(len, texts)) < 80, name
        assert not re.search(r"dc:date|\u2002", text)
        assert len(text) < 200_000

    # The names of the last figure.
    assert any("$x_1$ and $\\frac" in text for text in texts)
    assert not plt.get_fignums()


def test_a_figure_is_the_same_file_each_time(tmp_path):
    first = keep(figures.training_curves({"a": HISTORY}), tmp_path)
    again = keep(figures.training_curves({"a": HISTORY}), tmp_path)

    assert again == first


def test_what_was_kept_by_a_name_before_is_removed(tmp_path):
    keep(figures.training_curves({"a": HISTORY}), tmp_path)

    assert keep("<table></table>", tmp_path) == "<table></table>"


def test_rules_of_galleries_are_added_where_one_is_shown_alone(tmp_path):
    text = keep("<table></table>", tmp_path)

    shown = display.show_kept(tmp_path / "figures/drawn.html", "drawn").data

    assert "<style>" not in text
    assert shown.startswith("<style>")
    assert shown.endswith(f"</style>{text}")


def test_no_browser_has_to_guess_the_encoding_of_what_is_kept(tmp_path):
    text = keep("<p>蝴蝶</p>", tmp_path)

    assert text == "<p>&#34676;&#34678;</p>"


def test_gap_says_how_far_training_is_from_validation_and_claims_no_trend():
    said = display.show_part("gap", HISTORY, label="<cnn>").data.strip()

    assert "&lt;cnn&gt;" in said
    assert "0.450 above" in said
    assert said.endswith("epoch 2 (1.250) and ends at 1.750.")


def test_training_curves_are_those_of_the_history():
    accuracy, loss, *_ = figures.training_curves({"cnn": HISTORY, "net": HISTORY}).axes

    shown = [line.get_ydata().tolist() for line in accuracy.lines + loss.lines]
    columns = ["accuracy", "val_accuracy", "loss", "val_loss"]
    assert shown == HISTORY[columns].T.to_numpy().tolist()
    # A line at 1 is seen, not hidden by the frame.
    assert accuracy.get_ylim()[1] > 1


def test_accuracies_stand_best_first_with_interval_and_single_trainings():
    means = pd.DataFrame(
        {"mean": [0.4, 0.6], "low": 0.3, "high": [0.5, 0.8]}, ["a", "b"]
    )
    runs = pd.DataFrame({"configuration": list("aabb"), "top1": [0.3, 0.5, 0.55, 0.65]})

    (axes,) = figures.accuracy_by_model(means, 0.2, runs, 0.35).axes

    assert read_names(axes) == ["b", "a"]
    mean, _, (interval,) = axes.containers[0]
    assert mean.get_xdata().tolist() == [0.6, 0.4]
    assert interval.get_segments()[0][:, 0] == pytest.approx([0.3, 0.8])
    _, dots, baseline, without_looking = axes.lines
    assert dots.get_xydata().tolist() == [[0.3, 1], [0.5, 1], [0.55, 0], [0.65, 0]]
    assert baseline.get_xdata() == [0.2, 0.2]
    assert without_looking.get_xdata() == [0.35, 0.35]


def test_forty_names_have_a_row_and_the_others_are_counted():
    axes, shown = figures.open_name_axes([f"n{k}" for k in range(300)], 0.3)

    names = read_names(axes)
    assert len(shown) == 40
    assert names[39:] == ["n39", "and 260 more"]


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
    lines = [["W" * 200, "蝴蝶 <i>"]]
    rows = {"<b>$x$": PICTURES[:1], "none": PICTURES[:0]}

    text = galleries.picture_grid(rows, "a", {"<b>$x$": lines})

    assert read_gallery(text) == (["<b>$x$"], lines)


def test_a_long_name_of_a_file_loses_its_middle_and_is_told_whole_in_its_title():
    file = f"Aves/{'0123456789' * 4}.jpg"

    text = galleries.picture_grid({"": PICTURES[:1]}, "a", {"": [["cat", file]]})

    assert read_gallery(text)[1] == [["cat", "Aves/012345678…90123456789.jpg"]]
    assert f'title="{file}"' in text


def test_forty_rows_of_a_gallery_are_shown_and_the_others_counted():
    rows = dict.fromkeys(range(50), PICTURES[:1])

    text = galleries.picture_grid(rows, "all")

    assert text.count("<img") == 40
    assert "40 of 50" in text


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
