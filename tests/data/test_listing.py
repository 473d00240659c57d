from dataclasses import replace

import pandas as pd
import pytest
from conftest import join_checks

from lib.base.workspace import Workspace
from lib.data import labels, listing
from lib.data.findings import (
    count_left_out,
    find,
    leave_out,
    list_checks,
)
from lib.data.labels import list_new_pictures
from lib.data.preparation import check_classes


def touch(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def list_checked(listed):
    """Return the rows of checks.csv."""
    checks = listed.loc[listed.problem != "", ["file", "problem", "action"]]
    return checks.to_numpy().tolist()


def list_files(train, train_labels=None, validation=None, corrections=None):
    """List the pictures of a workspace with these files, and what was found of each."""
    ws = Workspace(train, train.parent / "results", train.parent / "scratch")
    ws = replace(ws, train_labels=train_labels, corrections=corrections)
    return join_checks(*labels.list_pictures(ws, train, validation))


def write_csv(path, text):
    """Write a CSV file."""
    path.write_text(text, encoding="utf-8")
    return path


def test_pictures_are_known_by_their_endings_or_their_first_bytes(tmp_path):
    endings = "jpg JPEG Png webp BMP gif tif TIFF jfif jpe avif".split()
    files = [f"frogs/1.{ending}" for ending in endings]
    files += ["frogs/no_ending", "frogs/é ü,.jpg"]
    touch(tmp_path, *files)
    (tmp_path / "frogs/no_ending").write_bytes(b"\xff\xd8\xff a JPEG begins like this")
    (tmp_path / "frogs/notes.txt").write_text("mine")

    listed = list_files(tmp_path)

    assert listed.file.is_monotonic_increasing
    assert set(listed.file[listed.problem == ""]) == set(files)
    assert set(listed.problem) == {"", "not_a_picture"}


MASKS = "x_mask x_mask_1 x_masks mask_x x.mask x_SEG x-label".split() + ["x mask"]


def test_masks_are_known_by_their_names_unless_these_are_of_classes(tmp_path):
    masks = [f"cat/{name}.png" for name in MASKS]
    touch(tmp_path, "cat/x.jpg", "mask/1.jpg", "no_mask/1.jpg", *masks)

    listed = list_files(tmp_path)

    assert set(listed.file[listed.problem == "mask"]) == set(masks)


def make_listed(**counts):
    """Return so many files of each class, and no findings."""
    rows = []
    for label, count in counts.items():
        rows += [(f"{label}/{number}.jpg", label, "") for number in range(count)]
    return pd.DataFrame(rows, columns=["file", "label", "part"]), find([], "")


def check(ws, listed, found):
    check_classes(ws, listed, leave_out(listed, found), found)


def test_exactly_five_pictures_of_each_class_are_enough(ws):
    check(ws, *make_listed(birds=5, frogs=5))


def test_classes_in_one_part_alone_are_named(ws):
    listed, found = make_listed(birds=6, frogs=6, newts=6)
    listed["part"] = 6 * ["train"] + 6 * ["validation"] + 3 * ["train", "validation"]
    with pytest.raises(ValueError, match="In one part alone are: birds, frogs[.]"):
        check(ws, listed, found)


LACKS = {
    "needs 5 .* fewer: birds, frogs[.]": {"birds": 3, "frogs": 4, "newts": 5},
    "two classes .* the folder above it.* fewer: .*train[.]": {"frogs": 5},
    "No class can be called so.*: label[.]": {"frogs": 5, "label": 5},
}


@pytest.mark.parametrize("words", LACKS)
def test_classes_that_do_not_suffice_are_an_error_that_says_why(ws, words):
    listed, found = make_listed(**LACKS[words])
    with pytest.raises(ValueError, match=words):
        check_classes(ws, listed, listed, found)


def test_what_is_left_out_has_its_first_reason_and_what_is_used_has_all_words():
    files = ["a/0.jpg", "a/1.jpg", "a/2.jpg"]
    findings = [
        find(files[:1], "truncated"),
        find(files, "blurred", "kept"),
        find(files, "duplicate", "kept, same part"),
        find(files[2:], "in_both_parts"),
        find(files, "tiny", "kept"),
        find(files[:1], "no_label"),
    ]

    checks = list_checks(pd.concat(findings))

    assert checks.to_numpy().tolist() == [
        ["a/0.jpg", "truncated", "left out"],
        ["a/1.jpg", "blurred;duplicate;tiny", "kept, same part"],
        ["a/2.jpg", "in_both_parts", "left out"],
    ]


def test_what_was_left_out_is_counted_by_its_reasons():
    found = [find(["a", "b"], "no_label"), find(["c"], "truncated")]
    found += [find(["d"], "blurred", "kept"), find(["a"], "tiny")]

    note = count_left_out(pd.concat(found))

    assert note.startswith("Note: left out: 2 no_label, 1 truncated.")


def test_name_that_is_no_text_is_listed_as_it_can_be_written(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/\udcff.jpg", "a/._\udcff.jpg")

    listed = listing.walk(tmp_path)
    new = list_new_pictures(tmp_path, [])

    problems = dict(zip(listed.file, listed.problem))
    assert problems == {
        "a/1.jpg": "",
        "a/\\xff.jpg": "odd_name",
        "a/._\\xff.jpg": "junk",
    }
    assert list(new.file) == ["a/1.jpg", "a/\\xff.jpg"]


def label_new_pictures(folder, class_names, labels=None):
    """Return each new picture to its label."""
    new = list_new_pictures(folder, class_names, labels)
    return dict(zip(new.file, new.label))


def test_labels_file_of_new_pictures_goes_before_their_folder(tmp_path, capsys):
    touch(tmp_path, "1.jpg", "2.jpg", "frogs/3.jpg", "frogs/4.jpg")
    text = "file,label\n1,birds\n2.jpg,\nfrogs/3.jpg,newts\ngone.jpg,frogs\n"
    path = write_csv(tmp_path / ".labels.csv", text)

    found = label_new_pictures(tmp_path, ["birds", "frogs"], path)

    assert found == {
        "1.jpg": "birds",
        "2.jpg": "",
        "frogs/3.jpg": "newts",
        "frogs/4.jpg": "frogs",
    }
    (said,) = capsys.readouterr().out.splitlines()
    assert "1 of 4 rows" in said
    assert "the first is gone.jpg" in said


def test_class_folders_of_new_pictures_compare_as_they_look_and_others_are_named(
    tmp_path, capsys
):
    touch(tmp_path, "Cafe\u0301/1.jpg", "cat /2.jpg", "Cat/3.jpg")

    found = label_new_pictures(tmp_path, ["Caf\u00e9", "cat"])

    assert found == {
        "Cafe\u0301/1.jpg": "Caf\u00e9",
        "Cat/3.jpg": "",
        "cat /2.jpg": "cat",
    }
    (said,) = capsys.readouterr().out.splitlines()
    assert said == "Note: unknown_class, 1: Cat."
