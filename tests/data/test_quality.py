import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from lib.data import pixels, quality
from lib.data.demo import draw_picture

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


def list_doubts(table):
    return [kind for kind, doubt in quality.find_doubts(table).items() if doubt.any()]


@pytest.mark.parametrize("kind", KINDS)
def test_doubtful_picture_gets_its_word_and_no_other(kind, tmp_path):
    KINDS[kind].save(tmp_path / "x.png")
    table = pixels.prepare(tmp_path, ["x.png"], [8], tmp_path / "scratch")
    assert list_doubts(table) == [kind]


def test_ordinary_pictures_are_not_doubtful(tmp_path):
    for number in range(60):
        picture = draw_picture("Fungi", np.random.default_rng(number))
        picture.save(tmp_path / f"{number:02d}.png")
    SHOWN_ON_BLACK.save(tmp_path / "on black.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    table = pixels.prepare(tmp_path, names, [8], tmp_path / "scratch")
    assert not list_doubts(table)


def test_facts_are_those_of_the_picture_by_hand():
    square = np.zeros((160, 160, 3), np.uint8)
    square[:80] = 200
    facts = quality.gather_facts(square, (640, 480))
    assert (facts["width"], facts["height"]) == (640, 480)
    assert (facts["darkest"], facts["brightest"], facts["contrast"]) == (0, 200, 100)
    assert facts["thumbnail"][:8].min() == 200 and facts["thumbnail"][8:].max() == 0
    # Two rows of 160 differ from a neighbour by 200.
    assert facts["sharpness"] == pytest.approx(200 * np.sqrt(2 / 160) / 100, rel=1e-3)


def test_pictures_smaller_than_what_is_measured_are_not_called_blurred(tmp_path):
    for side in (32, 64, 159):
        KINDS["blurred"].resize((side, side)).save(tmp_path / f"{side}.png")
    names = [path.name for path in tmp_path.iterdir()]
    assert not list_doubts(pixels.prepare(tmp_path, names, [8], tmp_path / "scratch"))


def test_rows_without_facts_are_not_doubtful():
    unknown = {name: [0] for name in quality.FACTS.names if name != "thumbnail"}
    assert not list_doubts(pd.DataFrame(unknown))
