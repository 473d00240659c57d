"""Notebook 01 from end to end: copies, groups, given parts, and errors before long work."""

import io
import os
import shutil
from dataclasses import replace

import nbformat
import numpy as np
import pytest
from PIL import Image

from lib import chain, runner, workspace
from lib.data.demo import draw_picture
from lib.data.split import read_split
from lib.machine import count_cores
from lib.storage import BEING_READ, read_table

SMALL = {"IMAGE_SIZES": [48], "SAMPLES": 2, "SEED": 1}


def prepare(ws, monkeypatch, **parameters):
    """Run notebook 01; return what failed, or ""."""
    monkeypatch.setenv("DRIVE_PATHS", str(ws.save_paths()))
    try:
        runner.run_notebook(ws, "01_data_prep", SMALL | parameters)
    except RuntimeError as error:
        return str(error)
    return ""


def draw_creatures(folder, per_class=20, seed=0, classes=("Aves", "Fungi")):
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng([seed, classes.index(name), number])
            draw_picture(name, rng).save(folder / name / f"{number:02d}.jpg", quality=90)


def read_output(ws):
    notebook = nbformat.read(ws.results / "notebooks/01_data_prep.ipynb", as_version=4)
    return "\n".join(str(cell.get("outputs", "")) for cell in notebook.cells)


@pytest.mark.parametrize("rule", ["together", "drop"])
def test_copies_are_listed_with_their_partners_and_look_alikes_share_a_part(ws, monkeypatch, rule):
    draw_creatures(ws.train)
    shutil.copy(ws.train / "Fungi/01.jpg", ws.train / "Aves/copy.jpg")
    numbers = range(2, 18, 2)
    for number in numbers:
        with Image.open(ws.train / f"Aves/{number:02d}.jpg") as picture:
            changed = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if number % 4 else picture
            changed.resize((200, 150)).save(ws.train / f"Fungi/near$_{number}$.png")
    assert not prepare(ws, monkeypatch, DUPLICATES=rule)
    near = read_table(ws.results / "near_duplicates.csv")
    assert set(zip(near.file, near.other)) == {
        (f"Aves/{n:02d}.jpg", f"Fungi/near$_{n}$.png") for n in numbers
    }
    assert dict(zip(near.other, near.mirrored)) == {
        f"Fungi/near$_{n}$.png": str(n % 4 > 0) for n in numbers
    }
    assert near.distance.astype(float).is_monotonic_increasing
    checks = read_table(ws.results / "checks.csv")
    assert not checks.file.duplicated().any()
    checks = checks.groupby("problem").file.apply(set)
    assert checks["duplicate_other_class"] == {"Aves/copy.jpg", "Fungi/01.jpg"}
    assert checks["near_duplicate_other_class"] == {*near.file, *near.other}
    part = read_split(ws).set_index("file").part
    assert ("Aves/copy.jpg" in part) == (rule == "together")
    if rule == "together":
        assert part["Aves/copy.jpg"] == part["Fungi/01.jpg"]
        assert list(part[near.file]) == list(part[near.other])
    assert (ws.results / "figures/near_duplicates.html").exists()


def test_groups_of_a_labels_file_never_stand_on_both_sides(ws, tmp_path, monkeypatch):
    draw_creatures(tmp_path / "drawn")
    for path in (tmp_path / "drawn").rglob("*.jpg"):
        shutil.copy(path, ws.train / f"{path.parent.name}_{path.name}")
    rows = [f"{p.stem},{p.name[:4]},animal {int(p.stem[-2:]) // 3}" for p in ws.train.iterdir()]
    (tmp_path / "labels.csv").write_text("file,label,group\n" + "\n".join(rows))
    ws = replace(ws, train_labels=tmp_path / "labels.csv")
    assert not prepare(ws, monkeypatch)
    table = read_split(ws)
    assert set(table.label) == {"Aves", "Fung"} and len(table) == 40
    animals = table.file.str[-6:-4].astype(int) // 3
    assert (table.groupby(animals).part.nunique() == 1).all()


def test_validation_folder_beside_train_is_used_and_said(ws, monkeypatch):
    draw_creatures(ws.train)
    draw_creatures(ws.train.parent / "val", per_class=6, seed=1)
    shutil.copy(ws.train.parent / "val/Aves/01.jpg", ws.train / "Aves/leaked.jpg")
    with Image.open(ws.train.parent / "val/Aves/02.jpg") as picture:
        picture.resize((200, 150)).save(ws.train / "Aves/near.jpg")
    assert not prepare(ws, monkeypatch)
    table = read_split(ws)
    held = table[table.part == "validation"]
    assert len(held) == 12 and held.file.str.startswith("../val/").all()
    assert all((ws.train / file).is_file() for file in table.file)
    checks = read_table(ws.results / "checks.csv")
    left = checks[checks.action == "left out"].set_index("file").problem
    assert dict(left) == dict.fromkeys(["Aves/leaked.jpg", "Aves/near.jpg"], "in_both_parts")
    assert not checks.file.duplicated().any()
    assert "left out of train, their group is validated on: 2" in read_output(ws)
    assert f"validation: {ws.train.parent / 'val'}" in read_output(ws)


def test_class_that_cannot_be_used_stops_01_before_any_decoding_with_the_checks_written(
    ws, monkeypatch
):
    draw_creatures(ws.train, per_class=6)
    (ws.train / "Mollusca").mkdir()
    for number in range(7):
        (ws.train / f"Mollusca/{number}.txt").write_text("no picture")
    failure = prepare(ws, monkeypatch)
    assert '"Mollusca" has 0 usable pictures, 7 not_a_picture' in failure
    checks = read_table(ws.results / "checks.csv")
    assert set(checks.file) == {f"Mollusca/{number}.txt" for number in range(7)}
    assert not list(ws.scratch.glob("loader_*"))


def test_damaged_and_doubtful_pictures_are_listed_and_shown(ws, monkeypatch):
    draw_creatures(ws.train)
    whole = (ws.train / "Aves/00.jpg").read_bytes()
    (ws.train / "Aves/cut.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), (3, 2, 1)).save(buffer, "jpeg")
    (ws.train / "Fungi/dark.jpg").write_bytes(buffer.getvalue())
    assert not prepare(ws, monkeypatch)
    checks = read_table(ws.results / "checks.csv")
    found = {(row.file, row.problem, row.action) for row in checks.itertuples()}
    assert found == {
        ("Aves/cut.jpg", "corrupt", "left out"),
        ("Fungi/dark.jpg", "one_colour;very_dark", "kept"),
    }
    assert (ws.results / "figures/doubtful.html").exists()


DEADLY = """
import os

def decode_jpeg(data, **options):
    if b"deadly" in data:
        os.abort()
    raise ValueError("Pillow is to read it")
"""


def test_dead_kernel_is_told_with_the_pictures_that_were_being_read(ws, monkeypatch, tmp_path):
    draw_creatures(ws.train, per_class=6)
    with (ws.train / "Fungi/03.jpg").open("ab") as file:
        file.write(b"deadly")
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/simplejpeg.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    failure = prepare(ws, monkeypatch)
    assert "01_data_prep: its kernel died while it read " in failure and "memory" not in failure
    assert str(ws.train / "Fungi/03.jpg") in failure
    assert failure.count(".jpg") <= count_cores(), "what was read before is not blamed"
    assert BEING_READ not in os.environ and not list(ws.scratch.glob("being_read_*"))


def test_scratch_that_cannot_be_written_is_named(ws, draw_classes, capsys):
    draw_classes(ws.train, 5)
    ws.scratch.write_text("a file in the place of the folder")
    assert chain.main(["--paths", str(ws.save_paths()), "--only", "01"]) == 1
    assert f"{ws.scratch} can't be written" in capsys.readouterr().err
    assert workspace.open(ws.results / "drive_paths.json") == ws
