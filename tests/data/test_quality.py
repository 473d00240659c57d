import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from lib.data import quality
from lib.data.drawing import draw_picture
from lib.data.pictures import square
from lib.data.table import MEASURED

PICTURE = draw_picture("Aves", np.random.default_rng(1)).resize((320, 240))
SHOWN_ON_BLACK = Image.new("RGB", (320, 240))
SHOWN_ON_BLACK.paste(PICTURE.resize((80, 60)), (120, 90))
KINDS = {
    "tiny": PICTURE.resize((40, 30)),
    "sliver": PICTURE.resize((900, 200)),
    "one_colour": Image.new("RGB", (320, 240), (120, 90, 60)),
    "very_dark": PICTURE.point(lambda level: level // 8),
    "very_bright": PICTURE.point(lambda level: 255 - level // 8),
    "blurred": PICTURE.filter(ImageFilter.GaussianBlur(9)),
}


def list_doubts(*shown):
    """Return the words of doubt that any of some pictures gets."""
    rows = []
    for picture in shown:
        pixels = square(np.asarray(picture), quality.SIDE)
        rows.append(quality.gather_facts(pixels, picture.size))
    table = pd.DataFrame(np.stack(rows)[MEASURED])
    doubts = quality.find_doubts(table)
    return [word for word, doubt in doubts.items() if doubt.any()]


@pytest.mark.parametrize("word", KINDS)
def test_doubtful_picture_gets_its_word_and_no_other(word):
    assert list_doubts(KINDS[word]) == [word]


def test_ordinary_pictures_are_not_doubtful():
    drawn = []
    for number in range(60):
        drawn.append(draw_picture("Fungi", np.random.default_rng(number)))
    assert list_doubts(*drawn, SHOWN_ON_BLACK) == []


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


LIMITS = {
    "tiny": (PICTURE.resize((40, 31)), PICTURE.resize((40, 32))),
    "sliver": (PICTURE.resize((803, 200)), PICTURE.resize((800, 200))),
    "one_colour": (paint_stripes(100, 107), paint_stripes(100, 108)),
    "very_dark": (paint_stripes(0, 47), paint_stripes(0, 48)),
    "very_bright": (paint_stripes(209, 255), paint_stripes(208, 255)),
    "blurred": (paint_waves(3.1), paint_waves(3.0)),
}


@pytest.mark.parametrize("word", LIMITS)
def test_each_limit_lies_between_two_pictures(word):
    beyond, within = LIMITS[word]
    assert list_doubts(beyond) == [word]
    assert list_doubts(within) == []


def test_facts_are_those_of_the_picture_by_hand():
    square = np.zeros((160, 160, 3), np.uint8)
    square[:80] = 200
    facts = quality.gather_facts(square, (640, 480))
    assert (facts["width"], facts["height"]) == (640, 480)
    assert (facts["darkest"], facts["brightest"], facts["contrast"]) == (0, 200, 100)
    assert facts["thumbnail"][:8].min() == 200
    assert facts["thumbnail"][8:].max() == 0
    # Two rows of 160 differ from a neighbour by 200.
    assert facts["sharpness"] == pytest.approx(200 * np.sqrt(2 / 160) / 100, rel=1e-3)


def test_pictures_smaller_than_what_is_measured_are_not_called_blurred():
    for side in (32, 64, 159):
        assert list_doubts(KINDS["blurred"].resize((side, side))) == []


def test_rows_without_facts_are_not_doubtful():
    unknown = pd.DataFrame(0, index=[0], columns=MEASURED)
    for doubt in quality.find_doubts(unknown).values():
        assert not doubt.any()
