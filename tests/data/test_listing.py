import os
import unicodedata

import pandas as pd
import pytest

from lib.data import labels, listing


def touch(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def list_problems(listed):
    return dict(zip(listed.file, listed.problem))


def write_csv(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_every_picture_at_any_depth_is_listed_and_everything_else_has_a_reason(tmp_path):
    endings = ["jpg", "JPEG", "Png", "webp", "BMP", "gif", "tif", "TIFF", "jfif", "jpe", "avif"]
    touch(tmp_path, *(f"frogs/{i}.{ending}" for i, ending in enumerate(endings)))
    touch(tmp_path, "birds/é ü,.jpg", "birds/2019/more/1.jpg", "readme.md", "birds/Thumbs.db")
    touch(tmp_path, "birds/._1.jpg", "__MACOSX/birds/1.jpg", ".Trash-0/files/1.jpg")
    touch(tmp_path, ".ipynb_checkpoints/1.jpg", "desktop.ini")
    (tmp_path / "birds/notes.txt").write_text("mine")
    (tmp_path / "birds/no_ending").write_bytes(b"\xff\xd8\xff\xe0 a JPEG begins like this")
    touch(tmp_path, "empty/.gitkeep")
    listed = labels.list_pictures(tmp_path)
    pictures = listed[listed.problem == ""]
    assert set(pictures.file[pictures.label == "frogs"]) == {
        f"frogs/{i}.{ending}" for i, ending in enumerate(endings)
    }
    names = ["2019/more/1.jpg", "no_ending", "é ü,.jpg"]
    assert list(pictures.file[pictures.label == "birds"]) == [f"birds/{name}" for name in names]
    assert listed.file.is_monotonic_increasing and set(pictures.label) == {"frogs", "birds"}
    checks = listing.list_checks(listed)
    assert dict(zip(checks.file, checks.problem)) == {
        "birds/notes.txt": "not_a_picture",
        "birds/Thumbs.db": "junk",
        "birds/._1.jpg": "junk",
        "empty": "empty_class",
        "empty/.gitkeep": "junk",
        "readme.md": "outside_class_folder",
        "__MACOSX": "junk",
        ".Trash-0": "junk",
        ".ipynb_checkpoints": "junk",
        "desktop.ini": "junk",
    }
    assert set(checks.action) == {"left out"}


def test_list_does_not_depend_on_the_order_of_the_folder(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{name}/{i}.png" for name in "ba" for i in range(5)), "z.txt", "y.txt")
    expected, real = labels.list_pictures(tmp_path), os.scandir
    monkeypatch.setattr(
        listing.os, "scandir", lambda f: sorted(real(f), key=lambda e: e.name, reverse=True)
    )
    pd.testing.assert_frame_equal(expected, labels.list_pictures(tmp_path))


def test_links_are_followed_and_circles_named(tmp_path):
    touch(tmp_path / "elsewhere", "1.jpg", "2.jpg")
    touch(tmp_path / "train", "frogs/3.jpg")
    (tmp_path / "train/birds").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "train/frogs/4.jpg").symlink_to("gone.jpg")
    found = list_problems(labels.list_pictures(tmp_path / "train"))
    assert found == {
        "birds/1.jpg": "",
        "birds/2.jpg": "",
        "birds/again": "circular_link",
        "frogs/3.jpg": "",
        "frogs/4.jpg": "",  # decoding tells that it leads nowhere
    }


def test_names_that_differ_in_case_or_accents_are_said_and_kept(tmp_path):
    touch(tmp_path, "Frögs/1.jpg", "frogs/1.jpg", "birds/1.jpg")
    listed = labels.list_pictures(tmp_path)
    checks = listing.list_checks(listed)
    assert checks.to_numpy().tolist() == [
        ["Frögs", "similar_class_name", "kept"],
        ["frogs", "similar_class_name", "kept"],
    ]
    assert (listed.problem == "").sum() == 3


@pytest.mark.parametrize("files", [[], ["a.jpg"]])
def test_folder_without_class_folders_is_an_error_that_says_what_to_put_there(tmp_path, files):
    touch(tmp_path / "train", *files)
    (tmp_path / "train").mkdir(exist_ok=True)
    with pytest.raises(
        ValueError, match="train has no class folder; a classifier needs two or more"
    ):
        listing.check_classes(labels.list_pictures(tmp_path / "train"))


def make_listed(**problems):
    """Return the list of classes whose pictures have these problems."""
    rows = [
        (f"{label}/{number}.jpg", label, problem)
        for label, column in problems.items()
        for number, problem in enumerate(column)
    ]
    return pd.DataFrame(rows, columns=["file", "label", "problem"])


@pytest.mark.parametrize(
    ("problems", "words"),
    [
        ({"frogs": [""] * 9}, ["one class only", '"frogs"']),
        ({"birds": [""] * 9, "frogs": [""] * 4}, ['"frogs" has 4 usable', "at least 5"]),
        (
            {"birds": [""] * 3, "frogs": [""] * 4, "newts": [""] * 6},
            ['"birds" has 3', '"frogs" has 4'],
        ),
        (
            {"birds": [""] * 9, "frogs": ["git_lfs_pointer"] * 7},
            ['"frogs" has 0 usable pictures, 7 git_lfs_pointer (run: git lfs pull)'],
        ),
        (
            {"birds": [""] * 9, "frogs": ["needs_pillow_heif"] * 7},
            ["7 needs_pillow_heif (run: pip install pillow-heif)"],
        ),
        (
            {"birds": [""] * 9, "frogs": ["duplicate_other_class"] * 8 + ["truncated"]},
            ["8 duplicate_other_class (the same picture in several classes", "1 truncated"],
        ),
    ],
)
def test_every_class_with_too_few_usable_pictures_is_named_with_its_reasons(problems, words):
    with pytest.raises(ValueError) as caught:
        listing.check_classes(make_listed(**problems))
    assert all(word in str(caught.value) for word in words), caught.value


def test_class_of_other_files_is_an_error_before_any_decoding(tmp_path):
    touch(tmp_path, *(f"birds/{i}.jpg" for i in range(9)))
    for number in range(6):
        path = tmp_path / "phones" / f"{number}.heic"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    listed = labels.list_pictures(tmp_path)
    if not listing.ENDINGS & {".heic"}:
        with pytest.raises(ValueError, match='"phones" has 0 .* 6 needs_pillow_heif'):
            listing.check_classes(listed)
    (tmp_path / "phones/0.heic").rename(tmp_path / "phones/0.txt")
    assert len(labels.list_pictures(tmp_path)) == 15


def test_folder_that_holds_nothing_is_listed_and_no_error(tmp_path):
    touch(tmp_path, *(f"{name}/{i}.jpg" for name in ("a", "b") for i in range(5)), "c/.gitkeep")
    (tmp_path / "d").mkdir()
    listed = labels.list_pictures(tmp_path)
    listing.check_classes(listed)
    assert set(listed.file[listed.problem == "empty_class"]) == {"c", "d"}


def test_files_that_are_left_out_get_their_reason_and_all_are_accounted_for():
    listed = make_listed(a=[""] * 7, b=[""] * 6)
    rows = [("a/3.jpg", "truncated", "left out"), ("b/1.jpg", "blurred", "kept")]
    checks = pd.DataFrame(rows, columns=["file", "problem", "action"])
    after = listing.leave_out(listed, checks)
    assert list_problems(after)["a/3.jpg"] == "truncated" and (after.problem == "").sum() == 12
    assert len(listing.list_checks(after)) + (after.problem == "").sum() == len(listed)


def test_labels_file_gives_labels_parts_and_groups(tmp_path):
    touch(tmp_path / "train", "1.jpg", "2.jpg", "sub/3.jpg", "4.jpg", "5.jpg")
    path = write_csv(
        tmp_path / "labels.csv",
        "file,label,part,group\n1.jpg,cat,train,tom\n2,dog,val,rex\n3.jpg,NA,training,\n"
        "4.jpg,,train,\ngone.jpg,cat,train,\n",
    )
    listed = labels.list_pictures(tmp_path / "train", path).set_index("file")
    assert dict(listed.problem) == {
        "1.jpg": "",
        "2.jpg": "",
        "sub/3.jpg": "",
        "4.jpg": "no_label",
        "5.jpg": "no_label",
        "gone.jpg": "missing_file",
    }
    assert listed.label["gone.jpg"] == "cat", "so that a class of missing files is named"
    usable = listed[listed.problem == ""]
    assert list(usable.label) == ["cat", "dog", "NA"]
    assert list(usable.part) == ["train", "validation", "train"]
    assert list(usable.group) == ["tom", "rex", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,class\n1.jpg,cat\n", "needs the columns file and label"),
        ("file,label\n1.jpg,cat\n1.jpg,dog\n", "two different rows of '1.jpg'"),
        ("file,label,part\n1.jpg,cat,tset\n", "part 'tset'; write train or validation"),
        ("", "is no CSV file in UTF-8"),
        ("file,label\n1.jpg,a,b,c\n2.jpg,a\n3.jpg,a,b,c,d,e\n", "is no CSV file"),
        ("file,label,part\n1.jpg,cat,test\n", "part 'test'; write train or validation"),
        ("file,label\nx/9.png,cat\n", "none of its 1 rows names a picture.*'x/9.png'.*'1.jpg'"),
    ],
)
def test_labels_file_that_cannot_be_used_is_named(tmp_path, text, words):
    touch(tmp_path / "train", "1.jpg")
    path = write_csv(tmp_path / "labels.csv", text)
    with pytest.raises(ValueError, match=f"labels.csv.*{words}"):
        labels.list_pictures(tmp_path / "train", path)


def test_blank_rows_and_spaces_in_a_labels_file_mean_nothing(tmp_path):
    touch(tmp_path / "train", "1.jpg", "2.jpg")
    path = write_csv(tmp_path / "labels.csv", "file,label\n 1.jpg, cat\n,\n2.jpg,cat \n,\n")
    assert list(labels.list_pictures(tmp_path / "train", path).label) == ["cat", "cat"]


def test_parts_of_a_labels_file_go_before_a_validation_folder(tmp_path, capsys):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "val/cat/3.jpg")
    path = write_csv(tmp_path / "l.csv", "file,label,part\n1,cat,train\n2,Cat,validation\n")
    listed = labels.list_pictures(tmp_path / "train", path, tmp_path / "val")
    assert list(listed.part[listed.problem == ""]) == ["train", "validation"]
    assert "l.csv gives the parts" in capsys.readouterr().out
    assert set(listed.file[listed.problem == "similar_class_name"]) == {"cat", "Cat"}


def test_class_that_one_part_lacks_is_an_error_before_any_decoding():
    listed = make_listed(a=[""] * 6, b=[""] * 6).assign(part="train")
    listed.loc[:2, "part"] = "validation"
    with pytest.raises(ValueError, match="one part alone: b\\. Where parts were given"):
        listing.check_classes(listed)


def test_validation_folder_is_listed_relative_to_train(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg", "val/dog/2.jpg", "val/notes.txt")
    listed = labels.list_pictures(tmp_path / "train", validation=tmp_path / "val")
    found = listed[listed.problem == ""].set_index("file")
    assert dict(found.part) == {
        "cat/1.jpg": "train",
        "../val/cat/1.jpg": "validation",
        "../val/dog/2.jpg": "validation",
    }
    assert all((tmp_path / "train" / file).is_file() for file in found.index)
    assert list_problems(listed)["../val/notes.txt"] == "outside_class_folder"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("0.jpg", "0.jpg"),
        ("test/0.jpg", "0.jpg"),
        ("0", "0.jpg"),
        ("test\\0.jpg", "0.jpg"),
        ("./0.jpg", "0.jpg"),
        ("0.jpg", "sub/0.jpg"),
        ("a.b", "a.b.jpg"),
        ("train/a/1.png", "a/1.png"),
        (unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.jpg")),
        (unicodedata.normalize("NFD", "é.jpg"), unicodedata.normalize("NFC", "é.jpg")),
    ],
)
def test_name_of_a_labels_file_finds_its_picture(name, file):
    assert labels.match_files([name], ["1.jpg", file]) == {name: file}


def test_name_of_a_file_that_is_missing_finds_no_other():
    files = ["cat/1.png", "img.png"]
    assert labels.match_files(["dog/1.png", "cat/1.png"], files) == {"cat/1.png": "cat/1.png"}
    assert labels.match_files(["img.1", "img.2"], files) == {}
    named = ["train/a/1.png", "train/b/1.png"]
    assert labels.match_files(named, ["a/1.png", "b/1.png"]) == dict(
        zip(named, ["a/1.png", "b/1.png"])
    )


def test_name_that_fits_several_pictures_finds_none():
    assert labels.match_files(["0", "x.jpg"], ["a/0.jpg", "b/0.jpg", "x.jpg"]) == {"x.jpg": "x.jpg"}


def test_new_pictures_get_their_labels_from_the_labels_file_or_their_folder(tmp_path, capsys):
    test = tmp_path / "test"
    touch(test, "1.jpg", "2.JPG", "frogs/3.png", "misc/4.png", "._1.jpg", "__MACOSX/9.jpg")
    (test / "notes.txt").write_text("mine")
    pictures = labels.list_new_pictures(test, ["birds", "frogs"])
    known = {"1.jpg": "", "2.JPG": "", "frogs/3.png": "frogs", "misc/4.png": ""}
    assert dict(zip(pictures.file, pictures.label)) == known
    assert "passed over: 1 not_a_picture" in capsys.readouterr().out
    path = write_csv(tmp_path / "labels.csv", "file,label\n1,birds\n2.JPG,\ngone.jpg,frogs\n")
    pictures = labels.list_new_pictures(test, ["birds", "frogs"], path)
    assert dict(zip(pictures.file, pictures.label)) == known | {"1.jpg": "birds"}
    assert "labels.csv: 1 rows name no picture, say 'gone.jpg'" in capsys.readouterr().out
    for content, word in (("file,label\n1.jpg,brids\n", "brids"), ("name,class\n", "columns")):
        write_csv(path, content)
        with pytest.raises(ValueError, match=f"labels.csv.*{word}"):
            labels.list_new_pictures(test, ["birds", "frogs"], path)


def test_own_pictures_may_lie_in_a_folder_and_a_missing_one_is_an_error(tmp_path):
    touch(tmp_path / "mine", "a.jpg", "frogs/b.png")
    pictures = labels.list_new_pictures(tmp_path / "mine", ["frogs"])
    assert dict(zip(pictures.file, pictures.label)) == {"a.jpg": "", "frogs/b.png": "frogs"}
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        labels.list_new_pictures(tmp_path / "nowhere", [])
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="bare holds no picture"):
        labels.list_new_pictures(tmp_path / "bare", [])


def test_name_that_is_no_text_is_listed_and_passed_over_everywhere(tmp_path, capsys):
    touch(tmp_path, "a/1.jpg")
    with open(os.fsencode(tmp_path) + b"/a/\xff.jpg", "wb"):
        pass
    assert list_problems(listing.walk(tmp_path)) == {"a/1.jpg": "", "a/\\xff.jpg": "odd_name"}
    assert list(labels.list_new_pictures(tmp_path, []).file) == ["a/1.jpg"]
    assert "1 odd_name" in capsys.readouterr().out
