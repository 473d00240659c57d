import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.data import demo


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    demo.draw_dataset(folder, per_class=2, test_count=20, seed=1)
    return folder


def test_there_are_the_ten_classes_of_the_report_each_with_its_pictures(drawn, read_all):
    names = """Amphibia Animalia Arachnida Aves Fungi Insecta Mammalia Mollusca Plantae Reptilia"""
    assert list(demo.CLASS_NAMES) == names.split()
    for name in demo.CLASS_NAMES:
        assert len(list((drawn / "train" / name).iterdir())) == 2
    assert len(list((drawn / "train").iterdir())) == 10
    assert len({content for content in read_all(drawn).values()}) == 41


def test_pictures_are_of_varied_shape_and_not_plain(drawn):
    pictures = [Image.open(path) for path in sorted(drawn.rglob("*.jpg"))]
    assert len({picture.size for picture in pictures}) >= 5
    assert all(240 <= max(picture.size) <= 360 for picture in pictures)
    assert min(np.asarray(picture).std() for picture in pictures) > 15


def test_labels_file_names_each_test_picture_and_is_balanced(drawn):
    table = pd.read_csv(drawn / "test_labels.csv")
    assert list(table.columns) == ["file", "label"]
    assert sorted(table.file) == sorted(path.name for path in (drawn / "test").iterdir())
    assert dict(table.label.value_counts()) == dict.fromkeys(demo.CLASS_NAMES, 2)
    assert not table.label.is_monotonic_increasing


def test_label_of_a_test_picture_is_what_was_drawn(tmp_path, monkeypatch):
    drawn, draw = [], demo.draw_picture
    monkeypatch.setattr(
        demo, "draw_picture", lambda name, rng: drawn.append(name) or draw(name, rng)
    )
    demo.draw_dataset(tmp_path / "x", per_class=0, test_count=10)
    table = pd.read_csv(tmp_path / "x" / "test_labels.csv").sort_values("file")
    assert list(table.label) == drawn


def test_same_seed_gives_the_same_bytes_and_another_seed_others(drawn, tmp_path, read_all):
    for seed, folder in ((1, "again"), (2, "other")):
        demo.draw_dataset(tmp_path / folder, per_class=2, test_count=20, seed=seed)
    expected, again, other = map(read_all, (drawn, tmp_path / "again", tmp_path / "other"))
    assert again == expected
    assert all(other[path] != content for path, content in expected.items())


def test_demo_is_drawn_whole_or_not_at_all_and_never_over_a_folder(tmp_path, monkeypatch, read_all):
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
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "pictures.lock"}
    before = read_all(folder)
    assert len(before) == 13
    demo.draw_dataset(folder, per_class=3, test_count=9)
    assert read_all(folder) == before
