"""notebooks/crops.md: its code, as it stands there, on a JSON file written by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.base.workspace import REPOSITORY, Workspace
from lib.data import labels

PAGE = REPOSITORY / "notebooks/crops.md"
NAN = float("nan")


def detect(*bbox, conf=0.9, category="1"):
    return {"category": category, "conf": conf, "bbox": list(bbox)}


FOUND = {
    # Red on the left, blue on the right; turned by Exif.
    "fox/1.jpg": [
        detect(0, 0, 0.5, 1),
        detect(0.5, 0, 0.5, 1),
        detect(0, 0, 1, 1, conf=0.1),
        detect(0, 0, 1, 1, category="2"),
    ],
    "fox\\2.jpg": [
        detect(-0.5, -0.5, 1, 1),
        detect(0.2, 0.2, 0, 0.5),
        detect(1.5, 0.2, 0.5, 0.5),
        detect(0, 0, NAN, 1),
    ],
    "fox/empty.jpg": None,
    "fox/gone.jpg": [detect(0, 0, 1, 1), detect(0, 0, 0.5, 1)],
}


@pytest.fixture
def cut(tmp_path, monkeypatch, capsys):
    """The folder in which the page's code has run, and what it printed."""
    stored = Image.new("RGB", (40, 80), (255, 0, 0))
    stored.paste((0, 0, 255), (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise, so that the top comes to the right
    folder = tmp_path / "pictures/fox"
    folder.mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        stored.save(folder / name, exif=exif, quality=95)
    images = [{"file": file, "detections": boxes} for file, boxes in FOUND.items()]
    (tmp_path / "detections.json").write_text(json.dumps({"images": images}))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    exec(compile(code, PAGE, "exec"), {})
    return tmp_path, capsys.readouterr().out


def test_crops_are_what_the_boxes_hold_of_the_upright_picture(cut):
    folder, _ = cut
    means = []
    for path in sorted(folder.glob("crops/*")):
        with Image.open(path) as crop:
            means.append([crop.size, np.asarray(crop).mean(axis=(0, 1)).round(-1)])

    sizes, colours = zip(*means)
    assert sizes == ((40, 40), (40, 40), (40, 20))
    assert np.array_equal(colours, [[250, 0, 0], [0, 0, 250], [250, 0, 0]])


def test_bad_boxes_and_pictures_are_left_out_and_named(cut):
    _, printed = cut
    assert "3 crops of 2 pictures" in printed
    assert printed.count("fox/2.jpg, box") == 3
    assert printed.count("fox/gone.jpg: unreadable") == 2


def test_crops_of_one_picture_are_one_group_of_its_class(cut):
    folder, _ = cut
    ws = Workspace(folder / "crops", folder, folder, train_labels=folder / "crops.csv")

    listed, odd = labels.list_pictures(ws, ws.train)

    assert odd.empty
    assert set(listed.label) == {"fox"}
    assert list(pd.factorize(listed.group)[0]) == [0, 0, 1]
