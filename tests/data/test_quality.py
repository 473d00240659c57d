import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from lib.data import quality
from lib.data.demo import draw_picture
from lib.data.pictures import square

PICTURE = draw_picture("Aves", np.random.default_rng(1)).resize((320, 240))
BLACK = Image.new("RGB", (320, 240))
SHOWN_ON_BLACK = BLACK.copy()
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
        pixels = np.asarray(picture)
        facts = quality.gather_facts(square(pixels, quality.SIDE), picture.size)
        rows.append(
            {name: facts[name] for name in facts.dtype.names if name != "thumbnail"}
        )
    doubts = quality.find_doubts(pd.DataFrame(rows))
    return [kind for kind, doubt in doubts.items() if doubt.any()]


@pytest.mark.parametrize("kind", KINDS)
def test_doubtful_picture_gets_its_word_and_no_other(kind):
    assert list_doubts(KINDS[kind]) == [kind]


def test_ordinary_pictures_are_not_doubtful():
    drawn = [
        draw_picture("Fungi", np.random.default_rng(number)) for number in range(60)
    ]
    assert not list_doubts(*drawn, SHOWN_ON_BLACK)


def test_facts_are_those_of_the_picture_by_hand():
    square = np.zeros((160, 160, 3), np.uint8)
    square[:80] = 200
    facts = quality.gather_facts(square, (640, 480))
    assert (facts["width"], facts["height"]) == (640, 480)
    assert (facts["darkest"], facts["brightest"], facts["contrast"]) == (0, 200, 100)
    assert facts["thumbnail"][:8].min() == 200 and facts["thumbnail"][8:].max() == 0
    # Two rows of 160 differ from a neighbour by 200.
    assert facts["sharpness"] == pytest.approx(200 * np.sqrt(2 / 160) / 100, rel=1e-3)


def test_pictures_smaller_than_what_is_measured_are_not_called_blurred():
    assert not list_doubts(
        *(KINDS["blurred"].resize((side, side)) for side in (32, 64, 159))
    )


def test_rows_without_facts_are_not_doubtful():
    unknown = pd.DataFrame(
        {name: [0] for name in quality.FACTS.names if name != "thumbnail"}
    )
    assert not any(doubt.any() for doubt in quality.find_doubts(unknown).values())
