"""The demo set: what is unpacked, which faults are planted in it, and that its script draws the same."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import draw_demo
import numpy as np
import pytest
from conftest import execute_lesson, read_all
from PIL import Image

from lib.base.workspace import read_table
from lib.data import archives

MAX_DIFFERENCE = 2  # grey levels, on average: JPEGs of another version of Pillow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the demo set, as it is unpacked."""
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    archives.unpack_demo(folder)
    return folder


@pytest.fixture(scope="module")
def planted(whole):
    """The planted.csv of the whole set."""
    return read_table(whole / "planted.csv")


def measure_difference(picture, other):
    """Return the mean difference of two pictures in grey levels."""
    return np.abs(np.subtract(picture, other, dtype=float)).mean()


def test_pictures_of_the_demo_are_what_its_script_draws(whole, planted, tmp_path):
    draw_demo.draw_train(tmp_path, per_class=1)
    draw_demo.draw_scenes(tmp_path, count=1)
    wrong = planted.index[planted.fault == "wrong label"][0]
    draw_demo.plant(tmp_path, wrong)

    plain = "train/Aves/aves_000.jpg"
    for file in (plain, f"train/{planted.file[wrong]}", "scenes/000.jpg"):
        drawn = Image.open(tmp_path / file)
        assert measure_difference(drawn, Image.open(whole / file)) < MAX_DIFFERENCE


def test_demo_is_unpacked_whole_or_not_at_all(tmp_path, monkeypatch, whole):
    folder = tmp_path / "pictures"
    cut = tmp_path / "cut.zip"
    content = bytearray(archives.DEMO.read_bytes())
    content[len(content) // 2] ^= 1
    cut.write_bytes(content)

    with monkeypatch.context() as patched:
        patched.setattr(archives, "DEMO", cut)
        with pytest.raises(zipfile.BadZipFile):
            archives.unpack_demo(folder)

    assert not folder.exists()
    archives.unpack_demo(folder)
    assert read_all(folder) == read_all(whole)


def test_of_several_that_want_the_demo_at_once_one_unpacks_it(tmp_path):
    folder = tmp_path / "pictures"

    def unpack(number):
        archives.unpack_demo(folder)
        return folder.stat().st_ino

    with ThreadPoolExecutor(4) as pool:
        unpacked = set(pool.map(unpack, range(4)))

    assert len(unpacked) == 1


def test_damage_darkness_and_copies_are_found_where_they_are_planted_alone(
    ws, whole, planted
):
    ws = replace(ws, train=whole / "train")

    execute_lesson("01_data_prep", ws, IMAGE_SIZES=[224])

    files = planted.groupby("fault").file.agg(list)
    expected = {
        "truncated": files["truncated"],
        "duplicate_other_class": files["twins in two classes"],
        "near_duplicate": ["Aves/aves_000.jpg", *files["mirrored copy"]],
        "very_dark": files["nearly black"],
    }
    found = read_table(ws.results / "checks.csv")
    assert found.groupby("problem").file.agg(list).to_dict() == expected
