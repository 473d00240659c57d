"""What 01 does, row by row: doubts, copies, groups, given parts, and errors before long work."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import draw_classes, execute_lesson, run_cells
from drawing import draw_picture
from PIL import ExifTags, Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from test_listing import touch

from lib.base.workspace import read_table
from lib.data.earlier import check_name
from lib.data.quality import MEASURED
from lib.data.split import read_split
from lib.evaluation.intervals import share_interval


def prepare(ws):
    """Run 01; return the split, by file, and checks.csv."""
    execute_lesson("01_data_prep", ws, IMAGE_SIZES=[48], SEED=1)
    checks = read_table(ws.results / "checks.csv")
    assert not checks.file.duplicated().any()
    return read_split(ws).set_index("file"), checks


CLASSES = ("Aves", "Fungi")


def draw_creatures(folder, per_class=20, seed=0):
    for k, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            picture = draw_picture(name, np.random.default_rng([seed, k, number]))
            picture.save(folder / name / f"{number:02d}.jpg", quality=90)


@pytest.fixture(scope="module")
def creatures(tmp_path_factory):
    """A folder of two classes of 20 pictures, to copy."""
    folder = tmp_path_factory.mktemp("creatures")
    draw_creatures(folder)
    return folder


@pytest.fixture
def drawn(ws, creatures):
    """A workspace of these pictures."""
    shutil.copytree(creatures, ws.train, dirs_exist_ok=True)
    return ws


def copy_smaller(source, target):
    with Image.open(source) as picture:
        picture.resize((200, 150)).save(target)


@pytest.fixture
def doubtful(drawn, tmp_path):
    """A workspace with a damaged, a mirrored, a moved and an unwanted picture."""
    aves = drawn.train / "Aves"
    fungi = drawn.train / "Fungi"
    whole = (aves / "00.jpg").read_bytes()
    (aves / "cut.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    with Image.open(aves / "02.jpg") as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.resize((200, 150)).save(fungi / "near$_2$.png")
    shutil.move(aves / "03.jpg", fungi / "wrong.jpg")
    corrections = tmp_path / "mine.csv"
    corrections.write_text("file;label\nFungi/wrong.jpg;Aves\nAves/05.jpg;\n")
    return replace(drawn, corrections=corrections)


def test_damaged_alike_and_corrected_pictures_are_listed(doubtful):
    table, checks = prepare(doubtful)

    assert sorted(checks.to_numpy().tolist()) == [
        ["Aves/02.jpg", "near_duplicate_other_class", "kept"],
        ["Aves/05.jpg", "left out by hand", "left out"],
        ["Aves/cut.jpg", "corrupt", "left out"],
        ["Fungi/near$_2$.png", "near_duplicate_other_class", "kept"],
        ["Fungi/wrong.jpg", "corrected", "taken as Aves"],
    ]
    assert table.label["Fungi/wrong.jpg"] == "Aves"
    # 40, one of them left out, and one more.
    assert len(table) == 40


# Pictures of Aves of which smaller ones lie in the other class, and those.
ALIKE = {f"Aves/{k:02d}.jpg": f"Fungi/near_{k:02d}.png" for k in range(2, 18, 2)}


@pytest.fixture
def copied(drawn):
    """A workspace with an equal file, and eight smaller pictures, in the other class."""
    shutil.copy(drawn.train / "Fungi/01.jpg", drawn.train / "Aves/copy.jpg")
    for file, smaller in ALIKE.items():
        copy_smaller(drawn.train / file, drawn.train / smaller)
    return drawn


def test_copies_and_look_alikes_share_a_part(copied):
    table, _ = prepare(copied)

    part = table.part
    assert part["Aves/copy.jpg"] == part["Fungi/01.jpg"]
    for file, smaller in ALIKE.items():
        assert part[file] == part[smaller]


def test_validation_folder_beside_train_is_used_and_its_leaks_left_out(drawn):
    validation = drawn.train.parent / "val"
    draw_creatures(validation, per_class=6, seed=1)
    shutil.copy(validation / "Aves/01.jpg", drawn.train / "Aves/leaked.jpg")
    copy_smaller(validation / "Aves/02.jpg", drawn.train / "Aves/near.jpg")

    table, checks = prepare(drawn)

    held = table[table.part == "validation"]
    leaks = {"Aves/leaked.jpg", "Aves/near.jpg"}
    assert len(held) == 12
    assert held.index.str.startswith("../val/").all()
    assert set(checks.file[checks.problem == "in_both_parts"]) == leaks


@pytest.mark.parametrize("folder", [".", "Aves"])
def test_pictures_to_learn_from_are_not_validated_on(drawn, folder):
    ws = replace(drawn, validation=drawn.train / folder)
    with pytest.raises(ValueError, match="these have fewer: Aves"):
        prepare(ws)


def test_class_that_cannot_be_used_stops_01_before_any_decoding_with_the_checks_written(
    drawn,
):
    (drawn.train / "Mollusca").mkdir()
    raw = drawn.train / "Mollusca/1.orf"
    raw.write_text("IIRO: a RAW file, which nothing here reads")

    with pytest.raises(ValueError, match="fewer: Mollusca"):
        prepare(drawn)

    checks = read_table(drawn.results / "failed_checks.csv")
    assert list(checks.file) == ["Mollusca/1.orf"]
    assert not list(drawn.scratch.glob("stores"))


TABLES = ("split.csv", "checks.csv", "pictures.csv", "near_duplicates.csv")


def read_tables(ws):
    return {name: (ws.results / name).read_bytes() for name in TABLES}


def keep_sentences(printed):
    """Return the lines that a person prints; bars and costs differ from run to run."""
    lines = []
    for line in printed.splitlines():
        if "scratch" not in line and "it/s" not in line and "picture/s" not in line:
            lines.append(line)
    return lines


def test_every_cell_of_01_can_be_run_twice(doubtful, copied, capsys):
    parameters = {"IMAGE_SIZES": [48], "SAMPLES": 2}
    execute_lesson("01_data_prep", doubtful, **parameters)
    once = read_tables(doubtful)
    said_once = keep_sentences(capsys.readouterr().out)

    execute_lesson("01_data_prep", doubtful, times=2, **parameters)

    said = keep_sentences(capsys.readouterr().out)
    assert read_tables(doubtful) == once
    assert f"Note: labels are corrected by {doubtful.corrections}." in said_once
    # Each cell prints its lines, then prints them again.
    assert sorted(said) == sorted(said_once * 2)


def test_pictures_of_another_folder_do_not_take_the_place_of_a_split_unasked(
    drawn, tmp_path, monkeypatch
):
    prepare(drawn)
    before = read_split(drawn)
    moved = replace(drawn, train=drawn.train.rename(tmp_path / "moved"))
    other = replace(drawn, train=tmp_path / "other")
    draw_creatures(other.train, per_class=9, seed=9)
    # Collections of different people have single pictures in common.
    shutil.copy(moved.train / "Aves/00.jpg", other.train / "Aves/shared.jpg")
    words = f"{moved.train}.*{other.train}.*--anew"

    prepare(moved)
    with pytest.raises(ValueError, match=words):
        execute_lesson("01_data_prep", other, IMAGE_SIZES=[48])

    assert read_split(drawn).equals(before)
    monkeypatch.setenv("TRAIN_ANEW", "1")
    prepare(other)
    assert len(read_split(other)) == 19


def test_without_01_results_of_another_address_are_refused(prepared):
    """Nor does --anew allow them, which trains anew."""
    check_name(prepared)
    other = replace(prepared, train="https://a.org/set.zip")
    for ws in (other, prepared):
        with pytest.raises(ValueError, match=f"{ws.train}.* 01_data_prep"):
            check_name(ws)
        ws.save_json({"train": other.train}, "prepared_from.json")


def test_groups_by_folders_and_unknown_species_and_columns_are_noted(drawn, capsys):
    for path in sorted(drawn.train.glob("*/*")):
        folder = path.parent / f"site{int(path.stem) // 8}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    labels = drawn.train.parent / "test_labels.csv"
    labels.write_text("file,label,width\n1.jpg,Aves,8\n2.jpg,newt,8\n3.jpg,eel,8\n")
    touch(drawn.train.parent / "test", "1.jpg", "2.jpg", "3.jpg")
    ws = replace(drawn, test=drawn.train.parent / "test", test_labels=labels)

    execute_lesson("01_data_prep", ws, IMAGE_SIZES=[48], GROUP_BY="folder")

    said = capsys.readouterr().out
    assert "makes 3 groups, of which 3 hold several classes" in said
    assert "Note: 2 pictures of test are of no class here" in said
    assert ": eel, newt." in said
    assert "Note: columns of test_labels.csv that are not read: width." in said


@pytest.fixture
def dated(ws):
    """A workspace of 48 small JPEGs in two classes: two without a date, the others in bursts of four."""
    for number in range(48):
        folder = ws.train / CLASSES[number // 24]
        folder.mkdir(exist_ok=True)
        picture = draw_picture(folder.name, np.random.default_rng(number))
        exif = Image.Exif()
        if number % 24 < 23:
            seconds = 300 * (number // 4) + 50 * (number % 4)
            taken = pd.Timestamp("2024-05-01 12:00") + pd.Timedelta(seconds, "s")
            date = taken.strftime("%Y:%m:%d %H:%M:%S")
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
        name = f"{number * 7919 % 97}.jpg"
        picture.resize((64, 48)).save(folder / name, exif=exif)
    return ws


def test_series_by_time_are_counted_and_kept_in_one_part(dated, capsys):
    execute_lesson("01_data_prep", dated, IMAGE_SIZES=[48])
    divided = capsys.readouterr().out
    execute_lesson("01_data_prep", dated, IMAGE_SIZES=[48], GROUP_BY="time")
    grouped = capsys.readouterr().out

    rows = read_split(dated).dropna(subset="taken")
    burst = rows.taken.dt.minute // 5
    assert len(rows) == 46
    assert (rows.part.groupby(burst).nunique() == 1).all()
    assert " of 12, as " in divided
    assert 'set GROUP_BY in 01 to "time"' in divided
    assert "Note: 2 of 48 pictures have no date" in grouped
    assert "by time" not in grouped


def test_class_that_group_by_makes_one_group_is_an_error_and_earlier_tables_stay(
    drawn,
):
    copy_smaller(drawn.train / "Aves/02.jpg", drawn.train / "Aves/near.png")
    failed = drawn.file("failed_checks.csv")
    failed.touch()
    execute_lesson("01_data_prep", drawn, IMAGE_SIZES=[48])
    assert not failed.exists()
    before = read_tables(drawn)
    for path in drawn.train.glob("Aves/*"):
        path.rename(path.with_name(f"IMG_{path.name}"))

    with pytest.raises(ValueError, match="GROUP_BY.*part alone are: Aves"):
        execute_lesson("01_data_prep", drawn, IMAGE_SIZES=[48], GROUP_BY="name")

    assert read_tables(drawn) == before
    assert "IMG_" in failed.read_text()


def test_room_is_said_and_single_files_on_drive_are_to_be_packed(ws, drive, capsys):
    draw_classes(drive / "train", 10)
    on_drive = replace(ws, train=drive / "train")

    execute_lesson("01_data_prep", on_drive, IMAGE_SIZES=[100, 200])

    # 3 x (100² + 200²) bytes for each picture.
    printed = capsys.readouterr().out
    assert "Note: 30 pictures need about 4 MB of scratch." in printed
    assert "one ZIP file" in printed


NOTE = "Note: size, light and sharpness of the files alone recognise"


@pytest.mark.parametrize(("width", "is_told"), [(30, False), (48, True)])
def test_what_files_tell_without_looking_is_kept_and_noted(ws, capsys, width, is_told):
    """Two classes of the same noise, whose pictures differ in their widths at most."""
    for name, side in (("wide", width), ("small", 30)):
        draw_classes(ws.train, 20, ["red"], size=(side, 24), seed=side + len(name))
        (ws.train / "red").rename(ws.train / name)

    execute_lesson("01_data_prep", ws, IMAGE_SIZES=[16])

    table = read_table(ws.results / "without_looking.csv").set_index("measured")
    assert list(table.columns) == ["accuracy", "low", "high", "baseline", "n"]
    assert set(table.n) == {"8"}
    assert (float(table.accuracy["size"]) == 1.0) == is_told
    assert (NOTE in capsys.readouterr().out) == is_told


def test_trees_that_are_grown_one_by_one_answer_as_a_random_forest_does(ws):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, 400)
    facts = rng.integers(1, 20, (400, len(MEASURED))) + labels[:, np.newaxis]
    pictures = pd.DataFrame(facts, columns=MEASURED).assign(
        file=np.arange(400).astype(str),
        label=[f"class {label}" for label in labels],
        part=np.where(rng.random(400) < 0.3, "validation", "train"),
        group=np.arange(400),
    )
    names = {"pictures": pictures, "ws": ws, "SEED": 7}
    names |= {"share_interval": share_interval}
    names["DecisionTreeClassifier"] = DecisionTreeClassifier

    cells = ["known-columns", "known-forest-code", "known-baseline-code"]
    known = run_cells("01_data_prep", cells, names)

    forest = RandomForestClassifier(min_samples_leaf=3, max_samples=1.0, random_state=7)
    train = known["train"]
    for name, columns in known["columns"].items():
        forest.fit(train[columns], train.label)
        expected = forest.predict(known["validation"][columns])
        assert np.array_equal(known["answers"][name], expected)
