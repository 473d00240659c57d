"""Corrections: other labels for some pictures, as people write them; and what was kept of before."""

import os
import shutil
import unicodedata
from dataclasses import replace

import pandas as pd
import pytest
from test_data_prep import SMALL, draw_creatures, prepare, read_output
from test_listing import touch, write_csv

from lib import runner
from lib.data import corrections, labels, listing, split
from lib.storage import read_table

FILES = [f"{name}/{number}.jpg" for name in ("bird", "cat") for number in range(6)]


@pytest.fixture
def correct(tmp_path):
    """Return a function: the text of a corrections file (and files beside FILES) to the list."""

    def run(text, files=(), **options):
        touch(tmp_path / "train", *FILES, *files)
        path = tmp_path / "corrections.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        listed = labels.list_pictures(tmp_path / "train", **options)
        return corrections.correct_labels(listed, path)

    return run


def list_checked(listed):
    return [tuple(row) for row in listing.list_checks(listed).itertuples(index=False)]


def test_other_label_moves_a_picture_and_an_empty_one_leaves_it_out(correct):
    listed = correct("file,label\ncat/0.jpg,bird\ncat/1.jpg,\ncat/2.jpg,cat\n")
    used = listed[listed.problem == ""].set_index("file").label
    assert used["cat/0.jpg"] == "bird" and used["cat/2.jpg"] == "cat"
    assert set(FILES) - set(used.index) == {"cat/1.jpg"}
    assert list_checked(listed) == [
        ("cat/0.jpg", "corrected", "taken as bird, not cat"),
        ("cat/1.jpg", "left out by hand", "left out"),
    ]


def test_without_a_corrections_file_nothing_changes(tmp_path):
    touch(tmp_path, *FILES)
    listed = labels.list_pictures(tmp_path)
    pd.testing.assert_frame_equal(
        corrections.correct_labels(listed, None).drop(columns="corrected"), listed
    )
    assert not len(listing.list_checks(corrections.correct_labels(listed, None)))


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbffile,label\ncat/0.jpg,bird\ncat/1.jpg,\n",
        b'\xef\xbb\xbf"file";"label"\r\n"cat/0.jpg";"bird"\r\n"cat/1.jpg";""\r\n',
        b"file;label\ncat/0.jpg;bird\ncat/1.jpg;\n",
        b"file,label\r\ncat/0.jpg,bird\r\ncat/1.jpg,\r\n",
        b"file,label\ncat/0.jpg,bird\ncat/0.jpg,bird\n\n,\ncat\\1.jpg,\n./cat/1.jpg,",
        b"keep,label,note,file\nx,bird,why,cat/0.jpg\n,bird,again,cat/0.jpg\nx,,,cat/1.jpg\n",
        b"file,label\ntrain/cat/0, bird \n./cat/1.jpg,\n",
        b"\xef\xbb\xbfsep=;\r\nfile;label\r\ncat/0.jpg;bird\r\ncat/1.jpg;\r\n",
        b"file\tlabel\ncat/0.jpg\tbird\ncat/1.jpg\t\n",
        b" File , LABEL\ncat/0.jpg,bird\ncat/1.jpg,\n",
    ],
    ids=(
        "mark mark_and_semicolons semicolons windows twice_and_blank more_columns names sep tabs "
        "capitals"
    ).split(),
)
def test_corrections_as_people_write_them_mean_the_same(correct, text):
    assert list_checked(correct(text)) == [
        ("cat/0.jpg", "corrected", "taken as bird, not cat"),
        ("cat/1.jpg", "left out by hand", "left out"),
    ]


def test_letters_of_another_unicode_form_name_the_same_file_and_class(correct):
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    files = [f"{apart}/{number}.jpg" for number in range(5)]
    listed = correct(f"file,label\n{composed}/0.jpg,cat\ncat/0.jpg,{composed}\n", files)
    label = listed.set_index("file").label
    assert label[f"{apart}/0.jpg"] == "cat" and label["cat/0.jpg"] == apart


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat/0.jpg,bird\n\ncat/0.jpg,cat\n", "'cat/0.jpg': lines 2 and 4"),
        ("cat/0.jpg,bird\nbird/1.jpg,cat\n./cat/0.jpg,\n", "'cat/0.jpg': lines 2 and 4"),
        ("cat/0.jpg,bird\ncat/11.jpg,bird\n", "line 3: 'cat/11.jpg' is no file.* cat/1.jpg"),
        ("cat/0.jpg,brid\n", "line 2: 'brid' is no class.* bird"),
        ("cat/0.jpg,fish\n", "line 2: 'fish' is no class"),
        ("cat/11.jpg,bird\ncat/22.jpg,bird\n", "line 2: 'cat/11.jpg'.*line 3: 'cat/22.jpg'"),
        ("0,bird\n", "line 2: '0' is no file"),
        ("bird,cat\n", "line 2: 'bird' is no file"),
    ],
)
def test_corrections_that_cannot_be_used_are_named_with_their_lines(correct, text, words):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv.*{words}"):
        correct("file,label\n" + text)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("name,class", "has: name, class"),
        ("File,file,label", "each once.* has: File, file, label"),
        ("sep=;\nname;class", "has: name, class"),
    ],
)
def test_error_says_which_columns_a_file_has(correct, first, words):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv needs.*{words}"):
        correct(first + "\ncat/0.jpg,bird,x\n")


def test_line_of_a_row_counts_the_line_that_names_the_separator(correct):
    with pytest.raises(ValueError, match="line 3: 'cat/11.jpg'"):
        correct("sep=;\nfile;label\ncat/11.jpg;bird\n")


@pytest.mark.parametrize("text", [b"", b"name,class\n", b"file,label\ncat/\xff.jpg,bird\n"])
def test_corrections_file_of_another_form_is_an_error_that_names_it(correct, text):
    with pytest.raises(ValueError, match="corrections.csv"):
        correct(text)


def test_row_of_a_picture_that_is_gone_takes_no_namesake_of_another_class(correct):
    with pytest.raises(ValueError, match="line 2: 'cat/7.jpg' is no file"):
        correct("file,label\ncat/7.jpg,bird\n", ["bird/7.jpg"])


def test_validation_pictures_are_corrected_by_their_own_names(correct, tmp_path):
    touch(tmp_path / "val", *FILES)
    text = "file,label\n../val/cat/0.jpg,bird\nval/cat/1.jpg,bird\ncat/2.jpg,bird\n"
    listed = correct(text, validation=tmp_path / "val")
    moved = listed[listed.corrected != ""].set_index("file")
    assert set(moved.index) == {"../val/cat/0.jpg", "../val/cat/1.jpg", "cat/2.jpg"}
    assert list(moved.part) == ["validation", "validation", "train"]
    (tmp_path / "val/cat/0.jpg").unlink()
    with pytest.raises(ValueError, match="'../val/cat/0.jpg' is no file"):
        correct("file,label\n../val/cat/0.jpg,bird\n", validation=tmp_path / "val")


def test_corrections_go_before_a_labels_file_and_may_label_what_it_lacks(correct, tmp_path):
    rows = [f"{file},{file[:3]},{'train' if '/0' in file else 'val'}" for file in FILES[1:]]
    path = write_csv(tmp_path / "labels.csv", "file,label,part\n" + "\n".join(rows))
    listed = correct("file,label\ncat/0.jpg,bir\nbird/0.jpg,cat\n", labels=path)
    found = listed.set_index("file").loc[["bird/0.jpg", "cat/0.jpg"]]
    assert list(found.label) == ["cat", "bir"] and list(found.problem) == ["", ""]
    assert list(found.part) == ["train", "train"]
    assert list(found.corrected) == ["taken as cat", "taken as bir, not cat"]


def test_file_that_is_no_picture_stays_left_out_for_its_own_reason(correct, tmp_path):
    touch(tmp_path / "train/cat")
    (tmp_path / "train/cat").mkdir(parents=True)
    (tmp_path / "train/cat/notes.txt").write_text("mine")
    listed = correct("file,label\ncat/notes.txt,bird\n")
    assert list_checked(listed) == [("cat/notes.txt", "not_a_picture", "left out")]


def test_class_of_which_too_little_is_left_is_an_error_that_names_the_corrections(
    correct, tmp_path
):
    listed = correct("file,label\ncat/0.jpg,bird\ncat/1.jpg,\n")
    with pytest.raises(ValueError, match='"cat" has 4 .*1 left out by hand.*corrections.csv'):
        listing.check_classes(listed, tmp_path / "corrections.csv")
    rows = "".join(f"{file},bird\n" for file in FILES)
    emptied = correct("file,label\n" + rows, ["dog/0.jpg"])
    assert ("cat", "empty_class", "left out") in list_checked(emptied)


def test_01_takes_corrections_and_keeps_the_answers_to_the_labels_before(
    ws, tmp_path, monkeypatch, read_all
):
    draw_creatures(ws.train, per_class=12)
    shutil.move(ws.train / "Aves/03.jpg", ws.train / "Fungi/wrong.jpg")
    before = labels.list_pictures(ws.train)[["file", "label"]].assign(part="train")
    ws.save_table(before, "split.csv")
    ws.save_table(before, "predictions/one.csv")
    write_csv(tmp_path / "mine.csv", "file;label\nFungi/wrong.jpg;Aves\nAves/05.jpg;\n")
    ws, pictures = replace(ws, corrections=tmp_path / "mine.csv"), read_all(tmp_path / "train")
    assert not prepare(ws, monkeypatch)
    table = split.read_split(ws).set_index("file")
    assert table.label["Fungi/wrong.jpg"] == "Aves" and "Aves/05.jpg" not in table.index
    checks = {tuple(row) for row in read_table(ws.results / "checks.csv").to_numpy()}
    assert ("Fungi/wrong.jpg", "corrected", "taken as Aves, not Fungi") in checks
    assert ("Aves/05.jpg", "left out by hand", "left out") in checks
    assert "corrected: 1 · left out by hand: 1" in read_output(ws)
    assert read_all(tmp_path / "train") == pictures
    assert read_table(ws.results / "predictions_before/one.csv").equals(before.astype("str"))
    executed = ws.results / "notebooks/01_data_prep.ipynb"
    assert runner.is_finished(ws, "01_data_prep", SMALL)
    later = executed.stat().st_mtime + 1
    os.utime(ws.corrections, (later, later))
    assert not runner.is_finished(ws, "01_data_prep", SMALL), "labels were edited since"


def answer(ws, text):
    """Write the answers of one model, as 05 does."""
    ws.file("predictions", "one.csv").write_text(text)


def read_before(ws):
    """Return what is kept of the answers before, or None where nothing is."""
    kept = list((ws.results / "predictions_before").glob("*"))
    return kept[0].read_text() if kept else None


def test_answers_of_the_split_before_are_kept_for_one_generation(prepared):
    table = split.read_split(prepared)
    answer(prepared, "first")
    split.save_split(prepared, table)
    assert read_before(prepared) is None, "nothing changed"
    other = table.assign(label=table.label.replace("red", "NA").where(table.index < 25, "red"))
    split.save_split(prepared, other)
    assert read_before(prepared) == "first" and split.read_split(prepared).equals(other)
    assert not (prepared.results / "predictions").exists()
    split.save_split(prepared, table)
    assert read_before(prepared) == "first", "no answers to the split between"
    answer(prepared, "second")
    split.save_split(prepared, table)
    assert read_before(prepared) == "first"
    split.save_split(prepared, other)
    assert read_before(prepared) == "second"
    assert not list(prepared.results.glob("predictions*.part"))


@pytest.mark.parametrize(
    ("deadly", "kept"), list(enumerate(["first", "first", None, "second", "second"]))
)
def test_kill_while_answers_are_kept_loses_neither_and_the_next_run_ends_it(
    prepared, monkeypatch, deadly, kept
):
    table = split.read_split(prepared)
    answer(prepared, "first")
    split.save_split(prepared, table.iloc[1:])
    answer(prepared, "second")
    steps = []

    def die_at(real):
        def step(*arguments, **options):
            steps.append(real)
            if len(steps) == deadly + 1:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return step

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", die_at(os.replace))
        patch.setattr(split.shutil, "rmtree", die_at(shutil.rmtree))
        split.save_split(prepared, table)
    found = [path.read_text() for path in prepared.results.glob("predictions*/*.csv")]
    assert "second" in found, "the latest answers are never lost"
    assert read_before(prepared) == kept
    split.save_split(prepared, table)
    assert read_before(prepared) == "second" and split.read_split(prepared).equals(table)
    assert not list(prepared.results.glob("predictions_before.*"))
