import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import chain, dataset

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


def give_digests(pictures, **same_as):
    """Give each picture a content of its own, and some (named by row) that of an earlier row."""
    rows = pictures.index.map(lambda row: same_as.get(f"row{row}", row))
    return pictures.assign(digest=[f"content {row}" for row in rows])


def test_added_picture_moves_at_most_two_others(insects):
    few = insects.groupby("label").head(57).reset_index(drop=True)
    for seed in range(60):
        fewer = few.sample(300, random_state=seed)  # the sizes of the classes differ each time
        more = pd.concat([fewer, insects[insects.label == f"class{seed % 10}"].tail(1)])
        before, after = (dataset.split(t, seed).set_index("file").part for t in (fewer, more))
        assert len(after) == len(before) + 1
        assert (before != after[before.index]).sum() <= 2


def test_equal_contents_share_a_part_also_across_classes_and_the_classes_keep_their_fifths():
    listed = list_pictures(a=40, b=60)
    copies = {f"row{row + 1}": row for row in range(0, 30, 2)} | {f"row{90 + k}": k for k in (2, 4)}
    listed, parts = give_digests(listed, **copies), set()
    for seed in range(20):
        table = dataset.split(listed.sample(frac=1, random_state=seed), seed)
        part = table.merge(listed, on=["file", "label"]).groupby("digest").part
        assert (part.nunique() == 1).all()
        parts |= {part.first()["content 2"]}
        counts = table[table.part == "validation"].label.value_counts()
        assert counts.to_dict() == {"a": 8, "b": 12}
    assert parts == {"train", "validation"}


def test_class_of_copies_of_one_picture_is_an_error_that_names_it():
    listed = give_digests(list_pictures(a=6, b=9), **{f"row{row}": 0 for row in range(6)})
    with pytest.raises(ValueError, match='"a" can.t be divided'):
        dataset.split(listed, 0)


def test_copies_are_kept_together_or_left_out_and_contradictory_ones_are_named():
    listed = give_digests(list_pictures(a=9, b=9), row1=0, row2=0, row5=4, row12=4)
    kept, checks = dataset.settle_copies(listed, NO_CHECKS, "together")
    assert len(kept) == 18 and set(checks.action) == {"kept, same part"}
    same, other = "duplicate", "duplicate_other_class"
    expected = {"a/0000.jpg": same, "a/0001.jpg": same, "a/0002.jpg": same}
    contradictory = {"a/0004.jpg": other, "a/0005.jpg": other, "b/0003.jpg": other}
    assert dict(zip(checks.file, checks.problem)) == expected | contradictory
    kept, checks = dataset.settle_copies(listed, NO_CHECKS, "drop")
    del expected["a/0000.jpg"]
    assert dict(zip(checks.file, checks.problem)) == expected | contradictory
    assert set(checks.action) == {"left out"} and not set(kept.file) & set(checks.file)
    assert len(kept) + len(checks) == 18 and kept.digest.is_unique
    with pytest.raises(ValueError, match='"a" has 3'):
        dataset.settle_copies(listed.drop([3, 8]), NO_CHECKS, "drop")
    with pytest.raises(ValueError, match="DUPLICATES.*'none'"):
        dataset.settle_copies(listed, NO_CHECKS, "none")


def draw_patterns(count, size=96):
    """Draw random patterns, the coarser the stronger, as in photographs."""
    rng, images = np.random.default_rng(0), np.zeros((count, size, size, 3))
    for octave in (2, 4, 8, 16):
        coarse = rng.integers(0, 256, (count, octave, octave, 3), dtype=np.uint8)
        for image, one in zip(images, coarse):
            image += np.asarray(Image.fromarray(one).resize((size, size))) / octave
    return images.clip(0, 255).astype(np.uint8)


def alter(picture, kind):
    """Return a picture as it comes back from the web."""
    picture, size = Image.fromarray(picture), picture.shape[1::-1]
    if kind == "compressed":
        file = io.BytesIO()
        picture.save(file, "jpeg", quality=30)
        return np.asarray(Image.open(file))
    if kind == "brightened":
        return np.asarray(picture.point(lambda level: level * 0.8 + 30))
    box = {"scaled": None, "cropped": (1, 1, size[0] - 1, size[1] - 1)}[kind]
    return np.asarray(picture.resize((size[0] // 2, size[1] // 2), box=box).resize(size))


@pytest.mark.parametrize("kind", ["compressed", "brightened", "scaled", "cropped"])
def test_altered_copies_across_the_parts_are_found_and_nothing_else(kind):
    images = draw_patterns(40)
    images[33], images[17] = alter(images[2], kind), alter(images[5], kind)
    images[20:24] = np.arange(100, 104, dtype=np.uint8)[:, None, None, None]  # of one colour
    listed = give_digests(list_pictures(a=20, b=20), row39=38)
    images[39] = images[38]
    near, checks = dataset.find_near_duplicates(listed, NO_CHECKS, images, 6)
    assert set(zip(near.file, near.other)) == {
        ("a/0002.jpg", "b/0013.jpg"),
        ("a/0005.jpg", "a/0017.jpg"),
    }
    assert near.bits.is_monotonic_increasing and near.bits.max() <= 6
    assert dict(zip(checks.file, checks.problem)) == {
        "a/0002.jpg": "near_duplicate_other_class",
        "a/0005.jpg": "near_duplicate",
        "a/0017.jpg": "near_duplicate",
        "b/0013.jpg": "near_duplicate_other_class",
    }
    assert set(checks.action) == {"kept"}


def test_every_pair_of_near_hashes_is_found_up_to_the_limit(monkeypatch):
    hashes = np.random.default_rng(0).integers(0, 2**10, 100, dtype=np.uint64)
    patterned = np.ones(100, bool)
    monkeypatch.setattr(dataset, "hash_pictures", lambda images, rows: (hashes, patterned))
    listed = give_digests(list_pictures(a=50, b=50))
    near, _ = dataset.find_near_duplicates(listed, NO_CHECKS, None, 2)
    distance = {
        (listed.file[i], listed.file[j]): (int(hashes[i]) ^ int(hashes[j])).bit_count()
        for i in range(100)
        for j in range(i + 1, 100)
    }
    found = dict(zip(zip(near.file, near.other), near.bits))
    assert found == {pair: bits for pair, bits in distance.items() if bits <= 2}
    monkeypatch.setattr(dataset, "MOST_PAIRS", 7)
    assert len(dataset.find_near_duplicates(listed, NO_CHECKS, None, 2)[0]) == 7


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


def test_notebook_01_lists_planted_copies_and_shows_the_pair_across_the_parts(ws, monkeypatch):
    images = draw_patterns(41)
    for number, image in enumerate(images):
        (ws.train / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.fromarray(image).save(ws.train / "ab"[number % 2] / f"{number:02d}.png")
    (ws.train / "a" / "copy.png").write_bytes((ws.train / "b" / "01.png").read_bytes())
    numbers = range(2, 40, 2)
    for number in numbers:
        near = Image.fromarray(alter(images[number], "scaled"))
        near.save(ws.train / "b" / f"near$_{number}$.png")
    monkeypatch.setenv("DRIVE_PATHS", str(ws.save_paths()))
    parameters = {"IMAGE_SIZES": [48], "SAMPLES": 2, "SEED": 1}
    assert not chain.run_notebook(ws, "01_data_prep", parameters)
    checks = dataset.read_table(ws.results / "checks.csv").groupby("problem").file.apply(set)
    assert checks["duplicate_other_class"] == {"a/copy.png", "b/01.png"}
    expected = {f"a/{n:02d}.png" for n in numbers} | {f"b/near$_{n}$.png" for n in numbers}
    assert checks["near_duplicate_other_class"] == expected and len(checks) == 2
    part = dataset.read_split(ws).set_index("file").part
    assert part["a/copy.png"] == part["b/01.png"]
    across = sum(part[f"a/{n:02d}.png"] != part[f"b/near$_{n}$.png"] for n in numbers)
    assert across
    executed = (ws.results / "notebooks" / "01_data_prep.ipynb").read_text(encoding="utf-8")
    assert f"{across} of 19 pairs that look alike stand across the parts, {across} of" in executed
    assert (ws.results / "figures" / "near_duplicates.png").exists()
