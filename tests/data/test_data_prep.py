"""What 01 does, row by row: doubts, copies, groups, given parts, and errors before long work."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lib.data import copies, labels, pixels, quality, sources, split
from lib.data.demo import draw_picture
from lib.data.split import read_split
from lib.data.table import check_classes, is_used, note, read_table, save_views


def prepare(ws, rule="together"):
    """Do the work of 01; return the split, by file, and the files of each word of checks.csv."""
    table = labels.list_pictures(ws, ws.train, sources.find_validation(ws))
    check_classes(table, ws)
    table = pixels.prepare(ws, ws.train, table, [48])
    for word, is_doubtful in quality.find_doubts(table).items():
        note(table, is_doubtful & is_used(table), word, "kept")
    copies.note_copies(table, rule)
    contents = table[is_used(table)].drop_duplicates("digest", ignore_index=True)
    alike = copies.find_near_duplicates(
        pixels.open_thumbnails(ws, contents), pixels.open_pixels(ws, contents, 48)
    )
    near = alike.assign(
        file=contents.file[alike.a].array, other=contents.file[alike.b].array
    )
    copies.note_near_duplicates(table, near)
    split.set_groups(
        table, contents.digest.to_numpy()[alike[["a", "b"]]] if rule != "drop" else []
    )
    used = is_used(table)
    if (table.part[used] != "").any():
        split.note_both_parts(table)
    else:
        table.loc[used, "part"] = split.split(table[used], 1)
    check_classes(table, ws)
    save_views(ws, table)
    checks = read_table(ws.results / "checks.csv")
    assert not checks.file.duplicated().any()
    return read_split(ws).set_index("file"), checks.groupby("problem").file.apply(set)


def draw_creatures(folder, per_class=20, seed=0, classes=("Aves", "Fungi")):
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng([seed, classes.index(name), number])
            draw_picture(name, rng).save(
                folder / name / f"{number:02d}.jpg", quality=90
            )


def test_damaged_doubtful_alike_and_corrected_pictures_are_listed(
    ws, tmp_path, read_all
):
    draw_creatures(ws.train)
    whole = (ws.train / "Aves/00.jpg").read_bytes()
    (ws.train / "Aves/cut.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), (3, 2, 1)).save(buffer, "jpeg")
    (ws.train / "Fungi/dark.jpg").write_bytes(buffer.getvalue())
    with Image.open(ws.train / "Aves/02.jpg") as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mirrored.resize((200, 150)).save(ws.train / "Fungi/near$_2$.png")
    shutil.move(ws.train / "Aves/03.jpg", ws.train / "Fungi/wrong.jpg")
    (tmp_path / "mine.csv").write_text(
        "file;label\nFungi/wrong.jpg;Aves\nAves/05.jpg;\n"
    )
    ws, pictures = replace(ws, corrections=tmp_path / "mine.csv"), read_all(ws.train)
    table, _ = prepare(ws)
    checks = read_table(ws.results / "checks.csv")
    near = "near_duplicate_other_class"
    assert {(row.file, row.problem, row.action) for row in checks.itertuples()} == {
        ("Aves/02.jpg", near, "kept"),
        ("Aves/05.jpg", "left out by hand", "left out"),
        ("Aves/cut.jpg", "corrupt", "left out"),
        ("Fungi/dark.jpg", "one_colour;very_dark", "kept"),
        ("Fungi/near$_2$.png", near, "kept"),
        ("Fungi/wrong.jpg", "corrected", "taken as Aves, not Fungi"),
    }
    assert table.label["Fungi/wrong.jpg"] == "Aves" and len(table) == 41
    assert read_all(ws.train) == pictures


@pytest.mark.parametrize("rule", ["together", "drop"])
def test_copies_are_listed_with_their_partners_and_look_alikes_share_a_part(ws, rule):
    draw_creatures(ws.train)
    shutil.copy(ws.train / "Fungi/01.jpg", ws.train / "Aves/copy.jpg")
    pairs = {f"Aves/{n:02d}.jpg": f"Fungi/near_{n}.png" for n in range(2, 18, 2)}
    for file, other in pairs.items():
        with Image.open(ws.train / file) as picture:
            picture.resize((200, 150)).save(ws.train / other)
    table, words = prepare(ws, rule)
    assert words["duplicate_other_class"] == {"Aves/copy.jpg", "Fungi/01.jpg"}
    assert words["near_duplicate_other_class"] == {*pairs, *pairs.values()}
    assert ("Aves/copy.jpg" in table.index) == (rule == "together")
    if rule == "together":
        assert table.part["Aves/copy.jpg"] == table.part["Fungi/01.jpg"]
        assert list(table.part[[*pairs]]) == list(table.part[[*pairs.values()]])


def test_groups_of_a_labels_file_never_stand_on_both_sides(ws, tmp_path):
    draw_creatures(tmp_path / "drawn")
    for path in (tmp_path / "drawn").rglob("*.jpg"):
        shutil.copy(path, ws.train / f"{path.parent.name}_{path.name}")
    rows = [
        f"{p.stem},{p.name[:4]},animal {int(p.stem[-2:]) // 3}"
        for p in ws.train.iterdir()
    ]
    (tmp_path / "labels.csv").write_text("file,label,group\n" + "\n".join(rows))
    table, _ = prepare(replace(ws, train_labels=tmp_path / "labels.csv"))
    assert set(table.label) == {"Aves", "Fung"} and len(table) == 40
    animals = table.index.str[-6:-4].astype(int) // 3
    assert (table.groupby(animals).part.nunique() == 1).all()
    assert (
        table.groupby("group").part.nunique() == 1
    ).all() and table.group.dtype.kind == "i"


def test_validation_folder_beside_train_is_used_and_its_leaks_left_out(ws):
    draw_creatures(ws.train)
    draw_creatures(ws.train.parent / "val", per_class=6, seed=1)
    shutil.copy(ws.train.parent / "val/Aves/01.jpg", ws.train / "Aves/leaked.jpg")
    with Image.open(ws.train.parent / "val/Aves/02.jpg") as picture:
        picture.resize((200, 150)).save(ws.train / "Aves/near.jpg")
    table, words = prepare(ws)
    held = table[table.part == "validation"]
    assert len(held) == 12 and held.index.str.startswith("../val/").all()
    assert all((ws.train / file).is_file() for file in table.index)
    assert words["in_both_parts"] == {"Aves/leaked.jpg", "Aves/near.jpg"}


def test_class_that_cannot_be_used_stops_01_before_any_decoding_with_the_checks_written(
    ws,
):
    draw_creatures(ws.train, per_class=6)
    (ws.train / "Mollusca").mkdir()
    for number in range(7):
        (ws.train / f"Mollusca/{number}.txt").write_text("no picture")
    with pytest.raises(
        ValueError, match='"Mollusca" has 0 usable pictures, 7 not_a_picture'
    ):
        prepare(ws)
    checks = read_table(ws.results / "checks.csv")
    assert set(checks.file) == {f"Mollusca/{number}.txt" for number in range(7)}
    assert not list(ws.scratch.glob("loader_*"))
