from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from lib import workspace
from lib.data import copies, demo, labels, pictures, pixels
from lib.data.label_files import read_labels
from lib.data.quality import find_doubts
from lib.data.table import read_table


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    demo.draw_dataset(folder, per_class=2, test_count=20, seed=1)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The whole demo set, and its planted.csv with the path of each row."""
    folder = tmp_path_factory.mktemp("whole") / "pictures"
    demo.draw_dataset(folder)
    table = read_table(folder / "planted.csv")
    places = ["train" if "/" in file else "test" for file in table.file]
    return folder, table.assign(
        path=[folder / p / f for p, f in zip(places, table.file)]
    )


def test_there_are_the_ten_classes_of_the_report_each_with_its_pictures(
    drawn, read_all
):
    names = """Amphibia Animalia Arachnida Aves Fungi Insecta Mammalia Mollusca Plantae Reptilia"""
    assert list(demo.CLASS_NAMES) == names.split()
    for name in demo.CLASS_NAMES:
        assert len(list((drawn / "train" / name).iterdir())) == 2
    assert len(list((drawn / "train").iterdir())) == 10
    assert len({content for content in read_all(drawn).values()}) == 42


def test_labels_file_names_each_test_picture_and_is_balanced(drawn):
    table = pd.read_csv(drawn / "test_labels.csv")
    assert list(table.columns) == ["file", "label"]
    assert sorted(table.file) == sorted(
        path.name for path in (drawn / "test").iterdir()
    )
    assert dict(table.label.value_counts()) == dict.fromkeys(demo.CLASS_NAMES, 2)
    assert not table.label.is_monotonic_increasing


def test_same_seed_gives_the_same_bytes_and_another_seed_others(
    drawn, tmp_path, read_all
):
    for seed, folder in ((1, "again"), (2, "other")):
        demo.draw_dataset(tmp_path / folder, per_class=2, test_count=20, seed=seed)
    expected, again, other = map(
        read_all, (drawn, tmp_path / "again", tmp_path / "other")
    )
    assert again == expected
    expected = {
        path: content for path, content in expected.items() if path.suffix == ".jpg"
    }
    assert all(other[path] != content for path, content in expected.items())


def test_demo_is_drawn_whole_or_not_at_all_and_never_over_a_folder(
    tmp_path, monkeypatch, read_all
):
    folder, calls, draw = tmp_path / "pictures", [], demo.draw_picture

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
    assert {path.name for path in tmp_path.iterdir()} == {"pictures"}
    before = read_all(folder)
    assert len(before) == 14
    demo.draw_dataset(folder, per_class=3, test_count=9)
    assert read_all(folder) == before


def test_counts_of_the_whole_set(planted):
    folder, table = planted
    counts = Counter(path.parent.name for path in folder.glob("train/*/*"))
    assert counts == dict.fromkeys(demo.CLASS_NAMES, 40) | {"Fungi": 24}
    labelled = set(read_labels(folder / "test_labels.csv").file)
    files = {path.name for path in (folder / "test").iterdir()}
    unlabelled = set(table.file[table.fault == "unlabelled"])
    assert (
        len(labelled) == 20 and len(unlabelled) == 10 and files == labelled | unlabelled
    )
    assert Counter(table.fault) == {
        "truncated": 1,
        "nearly black": 1,
        "mirrored copy": 1,
        "twins in two classes": 2,
        "turned by Exif": 1,
        "wrong label": 6,
        "few pictures": 1,
        "stranger": 2,
        "unlabelled": 10,
    }
    assert all(path.exists() for path in table.path)
    assert list(table.columns[:3]) == ["file", "fault", "truth"]


def test_one_picture_is_truncated_and_all_others_can_be_decoded(planted):
    folder, table = planted
    (truncated,) = table.path[table.fault == "truncated"]
    for path in folder.rglob("*.jpg"):
        if path != truncated:
            pictures.load(path, 32)
    with pytest.raises(pictures.PictureError, match="truncated$"):
        pictures.load(truncated, 32)


def test_mirrored_copy_twins_and_the_dark_one_are_found_by_what_01_does(
    planted, tmp_path
):
    folder, table = planted
    ws = workspace.Workspace(
        folder / "train", tmp_path / "results", tmp_path / "scratch"
    )
    facts = pixels.prepare(ws, ws.train, labels.list_pictures(ws, ws.train), [224])
    facts = facts[(facts.problem == "") & (facts.digest != "")].set_index(
        "file", drop=False
    )
    doubts = find_doubts(facts)
    dark = table.file[table.fault == "nearly black"]
    assert list(facts.file[doubts.pop("very_dark")]) == list(dark)
    assert not any(found.any() for found in doubts.values())
    twins = table[table.fault == "twins in two classes"]
    same = facts[facts.digest.duplicated(keep=False)]
    assert sorted(same.file) == sorted(twins.file) and twins.truth.nunique() == 1
    assert len({file.split("/")[0] for file in twins.file}) == 2
    facts = facts.drop_duplicates("digest", ignore_index=True)
    images = pixels.open_pixels(ws, facts, 224)
    (pair,) = copies.find_near_duplicates(
        pixels.open_thumbnails(ws, facts), images
    ).itertuples()
    assert pair.mirrored
    (copy,) = table.file[table.fault == "mirrored copy"]
    assert [facts.file[pair.a], facts.file[pair.b]] == ["Aves/aves_000.jpg", copy]


def test_picture_turned_by_exif_comes_out_upright(planted):
    folder, table = planted
    (row,) = table[table.fault == "turned by Exif"].itertuples()
    said = demo.draw_picture(
        row.truth, np.random.default_rng([0, 6, int(row.path.stem[-3:])])
    )
    shown, stored = pictures.open_upright(row.path, 512), Image.open(row.path)
    assert shown.shape == np.shape(said) and shown.shape[:2] != np.shape(stored)[:2]
    assert np.abs(shown - np.asarray(said, float)).mean() < 8
    assert ImageOps.exif_transpose(stored).size == said.size


def test_wrong_labels_show_their_truth_and_are_spread(planted):
    folder, table = planted
    wrong = table[table.fault == "wrong label"]
    labels = [file.split("/")[0] for file in wrong.file]
    assert len(set(labels)) == 6 and len(set(wrong.truth)) == 6
    assert all(label != truth for label, truth in zip(labels, wrong.truth))
    for row in wrong.itertuples():
        said = demo.draw_picture(row.truth, np.random.default_rng([0, 11, row.Index]))
        assert np.abs(np.subtract(Image.open(row.path), said, dtype=float)).mean() < 8


def test_only_the_demo_has_planted_faults(planted, ws, monkeypatch):
    folder, table = planted
    assert list(demo.list_planted(ws).columns) == ["file", "fault", "truth"]
    assert demo.list_planted(ws).empty
    monkeypatch.setattr(workspace, "REPOSITORY", folder.parent.parent / "nowhere")
    assert demo.list_planted(replace(ws, train=folder / "train")).empty
    monkeypatch.setattr(type(ws), "is_demo", True)
    found = demo.list_planted(replace(ws, train=folder / "train"))
    pd.testing.assert_frame_equal(found, table.drop(columns="path"))
