"""What 01 does, row by row: doubts, copies, groups, given parts, and errors before long work."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lib.data import copies, labels, pixels, quality, sources, split
from lib.data.drawing import draw_picture
from lib.data.split import read_split
from lib.data.table import check_classes, is_used, note, read_table, save_views


def prepare(ws, rule="together"):
    """Do the work of 01; return the split, by file, and checks.csv."""
    table = labels.list_pictures(ws, ws.train, sources.find_validation(ws))
    check_classes(table, ws)
    table = pixels.prepare(ws, ws.train, table, [48])
    for word, is_doubtful in quality.find_doubts(table).items():
        note(table, is_doubtful & is_used(table), word, "kept")
    copies.note_copies(table, rule)
    bonds = find_bonds(ws, table)
    split.set_groups(table, bonds if rule == "together" else [])
    used = is_used(table)
    if (table.part[used] != "").any():
        split.note_both_parts(table)
    else:
        table.loc[used, "part"] = split.split(table[used], 1)
    check_classes(table, ws)
    save_views(ws, table)
    checks = read_table(ws.results / "checks.csv")
    assert not checks.file.duplicated().any()
    return read_split(ws).set_index("file"), checks


def find_bonds(ws, table):
    """Note look-alikes in the table; return their digests, str (n, 2)."""
    contents = table[is_used(table)].drop_duplicates("digest", ignore_index=True)
    thumbnails = pixels.open_thumbnails(ws, contents)
    detail = pixels.open_pixels(ws, contents, 48)
    near = copies.find_near_duplicates(thumbnails, detail)
    near["file"] = contents.file[near.a].array
    near["other"] = contents.file[near.b].array
    copies.note_near_duplicates(table, near)
    return contents.digest.to_numpy()[near[["a", "b"]]]


def list_files(checks, problem):
    return set(checks.file[checks.problem == problem])


CLASSES = ("Aves", "Fungi")


def draw_creatures(folder, per_class=20, seed=0):
    for k, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            picture = draw_picture(name, np.random.default_rng([seed, k, number]))
            picture.save(folder / name / f"{number:02d}.jpg", quality=90)


def copy_smaller(source, target):
    with Image.open(source) as picture:
        picture.resize((200, 150)).save(target)


@pytest.fixture
def doubtful(ws, tmp_path):
    """A workspace with a damaged, a dark, a mirrored, a moved and an unwanted picture."""
    draw_creatures(ws.train)
    whole = (ws.train / "Aves/00.jpg").read_bytes()
    (ws.train / "Aves/cut.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    Image.new("RGB", (300, 200), (3, 2, 1)).save(ws.train / "Fungi/dark.jpg")
    with Image.open(ws.train / "Aves/02.jpg") as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.resize((200, 150)).save(ws.train / "Fungi/near$_2$.png")
    shutil.move(ws.train / "Aves/03.jpg", ws.train / "Fungi/wrong.jpg")
    corrections = tmp_path / "mine.csv"
    corrections.write_text("file;label\nFungi/wrong.jpg;Aves\nAves/05.jpg;\n")
    return replace(ws, corrections=corrections)


def test_damaged_doubtful_alike_and_corrected_pictures_are_listed(doubtful):
    table, checks = prepare(doubtful)
    assert sorted(checks.itertuples(index=False, name=None)) == [
        ("Aves/02.jpg", "near_duplicate_other_class", "kept"),
        ("Aves/05.jpg", "left out by hand", "left out"),
        ("Aves/cut.jpg", "corrupt", "left out"),
        ("Fungi/dark.jpg", "one_colour;very_dark", "kept"),
        ("Fungi/near$_2$.png", "near_duplicate_other_class", "kept"),
        ("Fungi/wrong.jpg", "corrected", "taken as Aves, not Fungi"),
    ]
    assert table.label["Fungi/wrong.jpg"] == "Aves"
    assert len(table) == 41


def test_pictures_stay_as_they_are(doubtful, read_all):
    before = read_all(doubtful.train)
    prepare(doubtful)
    assert read_all(doubtful.train) == before


@pytest.fixture
def copied(ws):
    """A workspace with an equal file, and eight smaller pictures, in the other class."""
    draw_creatures(ws.train)
    shutil.copy(ws.train / "Fungi/01.jpg", ws.train / "Aves/copy.jpg")
    for number in range(2, 18, 2):
        source = ws.train / f"Aves/{number:02d}.jpg"
        copy_smaller(source, ws.train / f"Fungi/near_{number:02d}.png")
    return ws


@pytest.mark.parametrize("rule", ["together", "drop"])
def test_copies_are_listed_with_their_partners(copied, rule):
    _, checks = prepare(copied, rule)
    alike = set()
    for number in range(2, 18, 2):
        alike |= {f"Aves/{number:02d}.jpg", f"Fungi/near_{number:02d}.png"}
    twins = {"Aves/copy.jpg", "Fungi/01.jpg"}
    assert list_files(checks, "duplicate_other_class") == twins
    assert list_files(checks, "near_duplicate_other_class") == alike


def test_copies_and_look_alikes_share_a_part(copied):
    part = prepare(copied)[0].part
    assert part["Aves/copy.jpg"] == part["Fungi/01.jpg"]
    for number in range(2, 18, 2):
        assert part[f"Aves/{number:02d}.jpg"] == part[f"Fungi/near_{number:02d}.png"]


def test_equal_files_of_two_classes_are_left_out_where_copies_are_dropped(copied):
    table, _ = prepare(copied, "drop")
    assert not {"Aves/copy.jpg", "Fungi/01.jpg"} & set(table.index)


def test_groups_of_a_labels_file_never_stand_on_both_sides(ws, tmp_path):
    draw_creatures(tmp_path / "drawn")
    rows = ["file,label,group"]
    for path in sorted((tmp_path / "drawn").rglob("*.jpg")):
        name = f"{path.parent.name}_{path.stem}"
        shutil.copy(path, ws.train / f"{name}.jpg")
        rows.append(f"{name},{path.parent.name},animal {int(path.stem) // 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    table, _ = prepare(replace(ws, train_labels=tmp_path / "labels.csv"))
    animals = table.index.str[-6:-4].astype(int) // 3
    assert len(table) == 40
    assert set(table.label) == set(CLASSES)
    assert table.group.dtype.kind == "i"
    for groups in (animals, table.group):
        assert (table.groupby(groups).part.nunique() == 1).all()


def test_validation_folder_beside_train_is_used_and_its_leaks_left_out(ws):
    validation = ws.train.parent / "val"
    draw_creatures(ws.train)
    draw_creatures(validation, per_class=6, seed=1)
    shutil.copy(validation / "Aves/01.jpg", ws.train / "Aves/leaked.jpg")
    copy_smaller(validation / "Aves/02.jpg", ws.train / "Aves/near.jpg")
    table, checks = prepare(ws)
    held = table[table.part == "validation"]
    leaks = {"Aves/leaked.jpg", "Aves/near.jpg"}
    assert len(held) == 12
    assert held.index.str.startswith("../val/").all()
    assert all((ws.train / file).is_file() for file in table.index)
    assert list_files(checks, "in_both_parts") == leaks


def test_class_that_cannot_be_used_stops_01_before_any_decoding_with_the_checks_written(
    ws,
):
    draw_creatures(ws.train, per_class=6)
    (ws.train / "Mollusca").mkdir()
    files = [f"Mollusca/{number}.txt" for number in range(7)]
    for file in files:
        (ws.train / file).write_text("no picture")
    with pytest.raises(ValueError, match='"Mollusca" has 0 .*, 7 not_a_picture'):
        prepare(ws)
    checks = read_table(ws.results / "checks.csv")
    assert set(checks.file) == set(files)
    assert not list(ws.scratch.glob("loader_*"))
