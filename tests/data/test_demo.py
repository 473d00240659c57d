from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import decode_all, join_checks
from PIL import Image

from lib import workspace
from lib.data import copies, demo, pictures, pixels
from lib.data.label_files import read_labels
from lib.data.quality import find_doubts
from lib.workspace import read_table

CLASSES = [
    "Amphibia", "Animalia", "Arachnida", "Aves", "Fungi",
    "Insecta", "Mammalia", "Mollusca", "Plantae", "Reptilia",
]  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    demo.draw_dataset(folder, per_class=1, test_count=10, seed=1)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the whole demo set."""
    folder = tmp_path_factory.mktemp("whole") / "pictures"
    demo.draw_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def planted(whole):
    """The planted.csv of the whole set, with the path of each row."""
    table = read_table(whole / "planted.csv")
    paths = []
    for file in table.file:
        part = "train" if "/" in file else "test"
        paths.append(whole / part / file)
    return table.assign(path=paths)


def list_paths(planted, fault):
    return list(planted.path[planted.fault == fault])


def measure_difference(picture, other):
    """Return the mean difference of two pictures in grey levels."""
    return np.abs(np.subtract(picture, other, dtype=float)).mean()


def test_there_are_the_ten_classes_of_the_report_each_with_its_pictures(
    drawn, read_all
):
    assert list(demo.CLASS_NAMES) == CLASSES
    counts = Counter(path.parent.name for path in drawn.glob("train/*/*"))
    assert counts == dict.fromkeys(CLASSES, 1)
    # 10 and 10 pictures and two tables, all of them different.
    assert len(set(read_all(drawn).values())) == 22


def test_labels_file_names_each_test_picture_and_is_balanced(drawn):
    table = pd.read_csv(drawn / "test_labels.csv")
    assert list(table.columns) == ["file", "label"]
    assert sorted(table.file) == sorted(path.name for path in drawn.glob("test/*"))
    assert sorted(table.label) == CLASSES
    assert not table.label.is_monotonic_increasing


def test_same_seed_gives_the_same_bytes(drawn, tmp_path, read_all):
    demo.draw_dataset(tmp_path / "again", per_class=1, test_count=10, seed=1)
    assert read_all(tmp_path / "again") == read_all(drawn)


def test_another_seed_gives_other_pictures(drawn, tmp_path):
    demo.draw_dataset(tmp_path / "other", per_class=1, test_count=10, seed=2)

    paths = list(drawn.rglob("*.jpg"))
    assert len(paths) == 20
    for path in paths:
        other = tmp_path / "other" / path.relative_to(drawn)
        assert other.read_bytes() != path.read_bytes()


def test_demo_is_drawn_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    calls = []
    draw = demo.draw_picture

    def stop_at_fifth(name, rng):
        calls.append(name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return draw(name, rng)

    monkeypatch.setattr(demo, "draw_picture", stop_at_fifth)

    with pytest.raises(KeyboardInterrupt):
        demo.draw_dataset(folder, per_class=1, test_count=2)
    assert not folder.exists()
    demo.draw_dataset(folder, per_class=1, test_count=2)
    assert list(tmp_path.iterdir()) == [folder]


def test_demo_is_never_drawn_over_a_folder(tmp_path):
    demo.draw_dataset(tmp_path, per_class=1, test_count=2)
    assert list(tmp_path.iterdir()) == []


def test_all_classes_have_forty_pictures_but_the_one_of_few(whole):
    counts = Counter(path.parent.name for path in whole.glob("train/*/*"))
    assert counts == dict.fromkeys(CLASSES, 40) | {"Fungi": 24}


def test_test_pictures_are_labelled_or_planted_as_unlabelled(whole, planted):
    labelled = set(read_labels(whole / "test_labels.csv").file)
    unlabelled = set(planted.file[planted.fault == "unlabelled"])
    assert len(labelled) == 20
    assert len(unlabelled) == 10
    assert {path.name for path in whole.glob("test/*")} == labelled | unlabelled


def test_each_fault_is_planted_so_often(planted):
    assert all(path.exists() for path in planted.path)
    assert Counter(planted.fault) == {
        "truncated": 1,
        "nearly black": 1,
        "mirrored copy": 1,
        "twins in two classes": 2,
        "turned by Exif": 1,
        "wrong label": 6,
        "few pictures": 1,
        "stranger": 2,
        "unlabelled": 10,
        "cropped copy": 1,
    }


@pytest.fixture(scope="module")
def prepared_demo(whole, tmp_path_factory):
    """The workspace of the whole set, and the table of its training pictures."""
    place = tmp_path_factory.mktemp("work")
    ws = workspace.Workspace(whole / "train", place / "results", place / "scratch")
    return ws, join_checks(*decode_all(ws, [224]))


def test_one_picture_is_truncated_and_all_others_can_be_decoded(prepared_demo, planted):
    _, table = prepared_demo
    (truncated,) = planted.file[planted.fault == "truncated"]
    problems = table[table.problem != ""]
    assert dict(zip(problems.file, problems.problem)) == {truncated: "truncated"}


def test_only_the_nearly_black_picture_is_doubtful(prepared_demo, planted):
    _, table = prepared_demo
    table = table[table.problem == ""]
    doubts = find_doubts(table)
    dark = planted.file[planted.fault == "nearly black"]
    assert list(table.file[doubts.pop("very_dark")]) == list(dark)
    for doubt in doubts.values():
        assert not doubt.any()


def test_only_the_twins_have_equal_contents_and_lie_in_two_classes(
    prepared_demo, planted
):
    _, table = prepared_demo
    twins = planted[planted.fault == "twins in two classes"]
    same = table[(table.digest != "") & table.digest.duplicated(keep=False)]
    assert sorted(same.file) == sorted(twins.file)
    assert twins.truth.nunique() == 1
    assert same.label.nunique() == 2


def test_hashes_find_the_mirrored_copy_alone(prepared_demo, planted):
    ws, table = prepared_demo
    usable = table[table.problem == ""]
    contents = usable.drop_duplicates("digest", ignore_index=True)
    thumbnails = pixels.open_thumbnails(ws, contents)
    detail = pixels.open_pixels(ws, contents, 224)

    (pair,) = copies.find_near_duplicates(thumbnails, detail).itertuples()
    (copy,) = planted.file[planted.fault == "mirrored copy"]
    assert pair.mirrored
    assert contents.file[pair.a] == "Aves/aves_000.jpg"
    assert contents.file[pair.b] == copy


def test_cropped_copy_shows_a_part_of_the_first_picture_of_its_class(whole, planted):
    (path,) = list_paths(planted, "cropped copy")
    name = path.parent.name
    with Image.open(path) as copy:
        first = Image.open(whole / f"train/{name}/{name.lower()}_000.jpg")
        part = first.crop(
            (first.width - copy.width, first.height - copy.height, *first.size)
        )
        assert copy.size != first.size
        assert measure_difference(part, copy) < 6


def test_picture_turned_by_exif_comes_out_upright(planted):
    (row,) = planted[planted.fault == "turned by Exif"].itertuples()
    number = int(row.path.stem[-3:])
    drawn = demo.draw_picture(row.truth, np.random.default_rng([0, 6, number]))

    shown = pictures.open_upright(row.path, 512)

    assert Image.open(row.path).size == drawn.size[::-1]
    assert shown.shape == np.shape(drawn)
    assert measure_difference(shown, drawn) < 8


def test_wrong_labels_show_their_truth_and_are_spread(planted):
    wrong = planted[planted.fault == "wrong label"]
    given = wrong.file.str.split("/").str[0]
    assert given.nunique() == 6
    assert wrong.truth.nunique() == 6
    assert (given != wrong.truth).all()
    for row in wrong.itertuples():
        drawn = demo.draw_picture(row.truth, np.random.default_rng([0, 11, row.Index]))
        assert measure_difference(Image.open(row.path), drawn) < 8


def test_other_pictures_have_no_planted_faults(whole, ws, monkeypatch):
    monkeypatch.setattr(workspace, "REPOSITORY", whole.parent.parent / "nowhere")
    for train in (ws.train, whole / "train"):
        listed = demo.list_planted(replace(ws, train=train))
        assert list(listed.columns) == ["file", "fault", "truth"]
        assert listed.empty


def test_planted_faults_of_the_demo_are_listed(whole, planted, ws, monkeypatch):
    monkeypatch.setattr(type(ws), "is_demo", True)
    listed = demo.list_planted(replace(ws, train=whole / "train"))
    pd.testing.assert_frame_equal(listed, planted.drop(columns="path"))
