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


@pytest.mark.parametrize("kind", KINDS)
def test_doubtful_picture_gets_its_word_and_no_other(kind, tmp_path):
    KINDS[kind].save(tmp_path / "x.png")
    table = pixels.prepare(tmp_path, ["x.png"], [8], tmp_path / "scratch")
    assert list(quality.list_doubtful(table).problem) == [kind]


def test_ordinary_pictures_are_not_doubtful(tmp_path):
    for number in range(60):
        picture = draw_picture("Fungi", np.random.default_rng(number))
        picture.save(tmp_path / f"{number:02d}.png")
    SHOWN_ON_BLACK.save(tmp_path / "on black.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    table = pixels.prepare(tmp_path, names, [8], tmp_path / "scratch")
    assert not len(quality.list_doubtful(table))


def test_facts_are_those_of_the_picture_by_hand():
    square = np.zeros((160, 160, 3), np.uint8)
    square[:80] = 200
    facts = quality.gather_facts(square, (640, 480))
    assert (facts["width"], facts["height"]) == (640, 480)
    assert (facts["darkest"], facts["brightest"], facts["contrast"]) == (0, 200, 100)
    assert facts["thumbnail"][:8].min() == 200 and facts["thumbnail"][8:].max() == 0
    # Two rows of 160 differ from a neighbour by 200.
    assert facts["sharpness"] == pytest.approx(200 * np.sqrt(2 / 160) / 100, rel=1e-3)
    rows = quality.list_doubtful(
        pd.DataFrame({"file": ["x"]} | {n: [facts[n]] for n in facts.dtype.names[:-1]})
    )
    assert list(rows.columns) == ["file", "problem", "action"] and not len(rows)
