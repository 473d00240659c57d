import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import run_cells
from drawing import draw_picture
from PIL import Image, ImageFilter

from lib.data import pictures, quality
from lib.data.pictures import square

PICTURE = draw_picture("Aves", np.random.default_rng(1)).resize((320, 240))


def measure(*shown, frames=1, dim=False):
    """Return the facts of some pictures, each of a file of so many frames."""
    rows = []
    for picture in shown:
        pixels = square(np.asarray(picture), quality.SIDE)
        decoded = pictures.Decoded(
            pixels, *picture.size, frames, np.datetime64("NaT"), dim
        )
        rows.append(quality.gather_facts(pixels, decoded))
    return pd.DataFrame(np.stack(rows)[quality.MEASURED])


def list_doubts(*shown, **facts):
    """Return the words of doubt that any of some pictures gets."""
    known = run_cells(
        "01_data_prep", ["doubt-rules"], {"whole": measure(*shown, **facts)}
    )
    doubts = known["doubts"]
    return [word for word, doubt in doubts.items() if doubt.any()]


def test_ordinary_pictures_are_not_doubtful():
    shown_on_black = Image.new("RGB", (320, 240))
    shown_on_black.paste(PICTURE.resize((80, 60)), (120, 90))
    ordinary = [shown_on_black]
    for seed in range(30):
        ordinary.append(draw_picture("Fungi", np.random.default_rng(seed)))

    assert list_doubts(*ordinary) == []


def resize(width, height):
    return PICTURE.resize((width, height))


def paint_stripes(dark, bright):
    """Paint stripes of two grey levels, each on half of the picture, and sharp."""
    levels = np.full((240, 320), dark, np.uint8)
    levels[:, np.arange(320) // 20 % 2 == 1] = bright
    return Image.fromarray(levels).convert("RGB")


def paint_waves(spread):
    """Paint noise that is so smooth: the larger, the less its Laplacian."""
    noise = np.random.default_rng(0).normal(0, 1, (160, 160))
    smooth = cv2.GaussianBlur(noise, (0, 0), spread)
    levels = 128 + 40 * smooth / smooth.std()
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")


# For each word a picture just beyond its limit, and one that just keeps it.
LIMITS = {
    "tiny": (resize(40, 31), resize(40, 32)),
    "sliver": (resize(801, 200), resize(800, 200)),
    # Levels on either half: the contrast is half of their difference.
    "one_colour": (paint_stripes(100, 107), paint_stripes(100, 108)),
    "very_dark": (paint_stripes(0, 47), paint_stripes(0, 48)),
    "very_bright": (paint_stripes(209, 255), paint_stripes(208, 255)),
    "blurred": (paint_waves(3.04), paint_waves(3.01)),
}


@pytest.mark.parametrize("word", LIMITS)
def test_each_limit_lies_between_two_pictures(word):
    beyond, within = LIMITS[word]
    assert list_doubts(beyond) == [word]
    assert list_doubts(within) == []


def test_pictures_smaller_than_what_is_measured_are_not_called_blurred():
    blurred = PICTURE.filter(ImageFilter.GaussianBlur(9))
    assert list_doubts(blurred) == ["blurred"]
    for side in (32, 159):
        assert list_doubts(blurred.resize((side, side))) == []


def test_file_of_several_frames_is_named():
    assert list_doubts(PICTURE, frames=3) == ["more_frames"]


def test_pictures_that_may_have_12_bits_are_named_and_counted_in_a_note(capsys):
    assert list_doubts(PICTURE, dim=True) == ["white_of_12_bits"]
    both = pd.concat([measure(PICTURE, PICTURE, dim=True), measure(PICTURE)])
    cells = ["doubt-rules", "doubt-notes"]

    run_cells("01_data_prep", cells, {"whole": both})
    assert "Note: 2 of 3 pictures have 16 bits" in capsys.readouterr().out
    run_cells("01_data_prep", cells, {"whole": measure(PICTURE)})
    assert not capsys.readouterr().out
