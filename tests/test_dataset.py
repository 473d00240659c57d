from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import dataset

NO_CHECKS = pd.DataFrame(columns=dataset.CHECK_COLUMNS)


def list_pictures(**support):
    rows = [(f"{name}/{i:04d}.jpg", name) for name, count in support.items() for i in range(count)]
    return pd.DataFrame(rows, columns=dataset.PICTURE_COLUMNS)


@pytest.fixture(scope="module")
def insects():
    """Ten classes of unequal size, 10,010 pictures."""
    return list_pictures(**{f"class{k}": 956 + 10 * k for k in range(10)})


def touch(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_scan_uses_every_picture_name_and_lists_everything_else(tmp_path):
    endings = ["jpg", "JPEG", "Png", "webp", "BMP", "gif", "tif", "TIFF"]
    touch(tmp_path, *(f"frogs/{i}.{ending}" for i, ending in enumerate(endings)))
    touch(tmp_path, "birds/é ü,.jpg", "birds/notes.txt", "birds/more/1.jpg", "readme.md")
    (tmp_path / "empty").mkdir()
    pictures, checks = dataset.scan(tmp_path)
    assert set(pictures.file[pictures.label == "frogs"]) == {
        f"frogs/{i}.{ending}" for i, ending in enumerate(endings)
    }
    assert list(pictures.file[pictures.label == "birds"]) == ["birds/é ü,.jpg"]
    assert pictures.file.is_monotonic_increasing
    assert dict(zip(checks.file, checks.problem)) == {
        "birds/more": "folder_in_class_folder",
        "birds/notes.txt": "not_a_picture_name",
        "empty": "empty_class",
        "readme.md": "outside_class_folder",
    }


def test_scan_does_not_depend_on_the_order_of_the_folder(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{name}/{i}.png" for name in "ba" for i in range(5)), "z.txt", "y.txt")
    expected, real = dataset.scan(tmp_path), dataset.os.scandir
    monkeypatch.setattr(
        dataset.os, "scandir", lambda f: sorted(real(f), key=lambda e: e.name, reverse=True)
    )
    for table, again in zip(expected, dataset.scan(tmp_path)):
        pd.testing.assert_frame_equal(table, again)


@pytest.mark.parametrize("files", [[], ["a.jpg"], ["frogs/notes.txt"]])
def test_folder_without_class_folders_is_an_error_that_names_it(tmp_path, files):
    touch(tmp_path / "train", *files)
    (tmp_path / "train").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match="train has no class folder"):
        dataset.scan(tmp_path / "train")


def test_every_listed_picture_is_either_used_or_in_the_checks():
    listed, problems = list_pictures(a=7, b=6), pd.Series([""] * 13)
    problems[[0, 9]] = "truncated", "empty"
    before = pd.DataFrame(
        [("x.txt", "outside_class_folder", "left out")], columns=NO_CHECKS.columns
    )
    usable, checks = dataset.drop_unusable(listed, before, problems)
    assert len(usable) == 11 and set(usable.file) | set(checks.file) == {*listed.file, "x.txt"}
    found = dict(zip(checks.file, checks.problem))
    assert found["a/0000.jpg"] == "truncated" and found["b/0002.jpg"] == "empty"
    assert len(found) == 3 and set(checks.action) == {"left out"}


@pytest.mark.parametrize(
    ("support", "bad", "words"),
    [
        ({"frogs": 9}, 0, ["one class only", '"frogs"']),
        ({"birds": 9, "frogs": 4}, 0, ['"frogs" has 4', "at least 5"]),
        ({"birds": 9, "frogs": 6}, 6, ['"frogs" has 0', "at least 5"]),
        ({"birds": 5, "frogs": 5}, 10, ["None of the 10", "birds/0000.jpg", "empty"]),
    ],
)
def test_too_few_usable_pictures_are_an_error_that_names_the_class(support, bad, words):
    listed = list_pictures(**support)
    problems = pd.Series([""] * (len(listed) - bad) + ["empty"] * bad)
    with pytest.raises(ValueError) as caught:
        dataset.drop_unusable(listed, NO_CHECKS, problems)
    assert all(word in str(caught.value) for word in words), caught.value


def test_split_of_10010_pictures_is_8008_and_2002_stratified_and_disjoint(insects):
    assert len(insects) == 10_010
    table = dataset.split(insects, 42)
    parts = {part: rows for part, rows in table.groupby("part")}
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 8008, "validation": 2002}
    assert not set(parts["train"].file) & set(parts["validation"].file)
    assert set(table.file) == set(insects.file)
    shares = parts["validation"].label.value_counts() - insects.label.value_counts() / 5
    assert shares.abs().max() < 1
    assert list(table.label) == list(table.file.str.split("/").str[0])


def test_same_seed_gives_the_same_file_whatever_the_order_of_the_rows(ws, insects):
    for name, table, seed in (
        ("a", insects, 1),
        ("b", insects, 1),
        ("shuffled", insects.sample(frac=1, random_state=0), 1),
        ("other", insects, 2),
    ):
        ws.save_table(dataset.split(table, seed), f"{name}.csv")
    a, b, shuffled, other = (
        ws.file(f"{name}.csv").read_bytes() for name in ("a", "b", "shuffled", "other")
    )
    assert a == b and a != other
    assert a == shuffled


def test_split_file_keeps_class_names_and_its_hash_follows_its_content(prepared):
    table = dataset.read_split(prepared)
    assert set(table.label) == {"007", "NA", "red"}
    assert dataset.read_split(prepared).attrs["hash"] == table.attrs["hash"]
    prepared.save_table(table[::-1], "split.csv")
    assert dataset.read_split(prepared).attrs["hash"] != table.attrs["hash"]


def test_new_pictures_get_their_labels_from_the_labels_file_or_their_folder(ws, tmp_path):
    touch(tmp_path / "test", "1.jpg", "2.JPG", "frogs/3.png", "misc/4.png", "notes.txt")
    ws = replace(ws, test=tmp_path / "test")
    folder, pictures, origin = dataset.list_new_pictures(ws, ["birds", "frogs"], [])
    assert folder == ws.test and "test" in origin
    known = {"1.jpg": "", "2.JPG": "", "frogs/3.png": "frogs", "misc/4.png": ""}
    assert dict(zip(pictures.file, pictures.label)) == known
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\n1.jpg,birds\n2.JPG,\n")
    ws = replace(ws, test_labels=labels)
    _, pictures, _ = dataset.list_new_pictures(ws, ["birds", "frogs"], [])
    assert dict(zip(pictures.file, pictures.label)) == known | {"1.jpg": "birds"}
    for content, word in (("file,label\n1.jpg,brids\n", "brids"), ("name,class\n", "columns")):
        labels.write_text(content)
        with pytest.raises(ValueError, match=f"labels.csv.*{word}"):
            dataset.list_new_pictures(ws, ["birds", "frogs"], [])


def test_without_a_test_folder_new_pictures_are_the_validation_part(prepared):
    folder, pictures, origin = dataset.list_new_pictures(prepared, ["007", "NA", "red"], [])
    table = dataset.read_split(prepared)
    assert folder == prepared.train and "no test folder" in origin
    assert np.array_equal(pictures, table[table.part == "validation"][["file", "label"]])


def test_own_pictures_are_a_list_or_a_folder_and_missing_ones_an_error(ws, tmp_path):
    touch(tmp_path / "mine", "a.jpg", "frogs/b.png")
    own = [str(tmp_path / "mine" / "frogs/b.png"), str(tmp_path / "mine" / "a.jpg")]
    folder, pictures, _ = dataset.list_new_pictures(ws, ["frogs"], own)
    assert [str(folder / file) for file in pictures.file] == own and set(pictures.label) == {""}
    folder, pictures, _ = dataset.list_new_pictures(ws, ["frogs"], str(tmp_path / "mine"))
    assert dict(zip(pictures.file, pictures.label)) == {"a.jpg": "", "frogs/b.png": "frogs"}
    (tmp_path / "bare").mkdir()
    for images, error in (
        ([*own, "nowhere.jpg"], FileNotFoundError),
        (str(tmp_path / "nowhere"), FileNotFoundError),
        (str(tmp_path / "bare"), ValueError),
    ):
        with pytest.raises(error, match="nowhere|bare"):
            dataset.list_new_pictures(ws, ["frogs"], images)
