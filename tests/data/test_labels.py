"""Labels, parts, groups and corrections as people write them, and the pictures that they mean."""

import shutil
import unicodedata
from dataclasses import replace

import pytest
from test_data_prep import draw_creatures, prepare, read_output
from test_listing import list_files, list_problems, touch, write_csv

from lib.data import split
from lib.data.label_files import match_files
from lib.data.table import check_classes, list_checks
from lib.storage import read_table

FILES = [f"{name}/{number}.jpg" for name in ("bird", "cat") for number in range(6)]


@pytest.fixture
def correct(tmp_path):
    """Return a function: the text of a corrections file (and files beside FILES) to the list."""

    def run(text, files=(), **options):
        touch(tmp_path / "train", *FILES, *files)
        path = tmp_path / "corrections.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list_files(tmp_path / "train", corrections=path, **options)

    return run


def list_checked(listed):
    return [tuple(row) for row in list_checks(listed).itertuples(index=False)]


def test_other_label_moves_a_picture_and_an_empty_one_leaves_it_out(correct):
    listed = correct("file,label\ncat/0.jpg,bird\ncat/1.jpg,\ncat/2.jpg,cat\n")
    used = listed[listed.action != "left out"].set_index("file").label
    assert used["cat/0.jpg"] == "bird" and used["cat/2.jpg"] == "cat"
    assert set(FILES) - set(used.index) == {"cat/1.jpg"}
    assert list_checked(listed) == [
        ("cat/0.jpg", "corrected", "taken as bird, not cat"),
        ("cat/1.jpg", "left out by hand", "left out"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbffile,label\ncat/0.jpg,bird\ncat/1.jpg,\n",
        b'\xef\xbb\xbf"file";"label"\r\n"cat/0.jpg";"bird"\r\n"cat/1.jpg";""\r\n',
        b"file;label\ncat/0.jpg;bird\ncat/1.jpg;\n",
        b"file,label\r\ncat/0.jpg,bird\r\ncat/1.jpg,\r\n",
        b"file,label\ncat/0.jpg,bird\ncat/0.jpg,bird\n\n,\ncat\\1.jpg,\n./cat/1.jpg,",
        b"keep,label,note,file\nx,bird,why,cat/0.jpg\n,bird,again,cat/0.jpg\nx,,,cat/1.jpg\n",
        b"file,label\n train/cat/0, bird \n,\n./cat/1.jpg ,\n",
        b"file\tlabel\ncat/0.jpg\tbird\ncat/1.jpg\t\n",
        b" File , LABEL\ncat/0.jpg,bird\ncat/1.jpg,\n",
    ],
    ids=(
        "mark mark_and_semicolons semicolons windows twice_and_blank more_columns names tabs "
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
        ("name,class", "each once: name, class"),
        ("File,file,label", "each once: file, file, label"),
    ],
)
def test_error_says_which_columns_a_file_has(correct, first, words):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv: it needs.*{words}"):
        correct(first + "\ncat/0.jpg,bird,x\n")


def test_corrections_file_that_is_no_text_is_an_error_that_names_it(correct):
    with pytest.raises(ValueError, match="corrections.csv: 'utf-8' codec"):
        correct(b"file,label\ncat/\xff.jpg,bird\n")


def test_row_of_a_picture_that_is_gone_takes_no_namesake_of_another_class(correct):
    with pytest.raises(ValueError, match="line 2: 'cat/7.jpg' is no file"):
        correct("file,label\ncat/7.jpg,bird\n", ["bird/7.jpg"])


def test_validation_pictures_are_corrected_by_their_own_names(correct, tmp_path):
    touch(tmp_path / "val", *FILES)
    text = "file,label\n../val/cat/0.jpg,bird\nval/cat/1.jpg,bird\ncat/2.jpg,bird\n"
    listed = correct(text, validation=tmp_path / "val")
    moved = listed[listed.problem == "corrected"].set_index("file")
    assert set(moved.index) == {"../val/cat/0.jpg", "../val/cat/1.jpg", "cat/2.jpg"}
    assert list(moved.part) == ["validation", "validation", "train"]
    (tmp_path / "val/cat/0.jpg").unlink()
    with pytest.raises(ValueError, match="'../val/cat/0.jpg' is no file"):
        correct("file,label\n../val/cat/0.jpg,bird\n", validation=tmp_path / "val")


def test_corrections_go_before_a_labels_file_and_may_label_what_it_lacks(correct, tmp_path):
    rows = [f"{file},{file[:3]},{'train' if '/0' in file else 'val'}" for file in FILES[1:]]
    path = write_csv(tmp_path / "labels.csv", "file,label,part\n" + "\n".join(rows))
    listed = correct("file,label\ncat/0.jpg,bir\nbird/0.jpg,cat\n", train_labels=path)
    found = listed.set_index("file").loc[["bird/0.jpg", "cat/0.jpg"]]
    assert list(found.label) == ["cat", "bir"] and list(found.problem) == ["corrected"] * 2
    assert list(found.part) == ["train", "train"]
    assert list(found.action) == ["taken as cat", "taken as bir, not cat"]


def test_file_that_is_no_picture_stays_left_out_for_its_own_reason(correct, tmp_path):
    (tmp_path / "train/cat").mkdir(parents=True)
    (tmp_path / "train/cat/notes.txt").write_text("mine")
    listed = correct("file,label\ncat/notes.txt,bird\n")
    assert list_checked(listed) == [("cat/notes.txt", "not_a_picture", "left out")]


def test_class_of_which_too_little_is_left_is_an_error_that_names_the_corrections(
    correct, ws, tmp_path
):
    listed = correct("file,label\ncat/0.jpg,bird\ncat/1.jpg,\n")
    with pytest.raises(ValueError, match='"cat" has 4 .*1 left out by hand.*corrections.csv'):
        check_classes(listed, replace(ws, corrections=tmp_path / "corrections.csv"))
    rows = "".join(f"{file},bird\n" for file in FILES)
    emptied = correct("file,label\n" + rows, ["dog/0.jpg"])
    assert ("cat", "empty_class", "left out") in list_checked(emptied)


def test_labels_file_gives_labels_parts_and_groups(tmp_path):
    touch(tmp_path / "train", "1.jpg", "2.jpg", "sub/3.jpg", "4.jpg", "5.jpg")
    path = write_csv(
        tmp_path / "labels.csv",
        "file,label,part,group\n1.jpg,cat,train,tom\n2,dog,val,rex\n3.jpg,NA,training,\n"
        "4.jpg,,train,\ngone.jpg,cat,train,\n",
    )
    listed = list_files(tmp_path / "train", path).set_index("file")
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
        ("name,class\n1.jpg,cat\n", "needs columns file and label"),
        ("file,label\n1.jpg,cat\n1.jpg,dog\n", "two different rows of '1.jpg'"),
        ("file,label\n1.jpg,b\n\n./1.jpg,a\n", "two different rows of '1.jpg': lines 2 and 4"),
        ("file,label,part\n1,a,val\n1.jpg,a,train\n", "two different rows"),
        ("file,label,part\n1.jpg,cat,tset\n", "line 2: 'tset' is no part; the nearest: train"),
        ("", "needs columns file and label"),
        ("file,label\n", "names no file below its first row"),
        ("file,label\n,cat\n", "names no file below its first row"),
        ("file,label\n1.jpg,a\n2.jpg,a,b\n", "line 3 has more cells.*double quotes"),
        ('file,label\n1.jpg,a\n"1.jpg"x,a\n', "behind line 2: .* Write CSV"),
        ("file,label\nx/9.png,cat\n", "line 2: 'x/9.png' is no file .* nearest: 1.jpg"),
    ],
)
def test_labels_file_that_cannot_be_used_is_named(tmp_path, text, words):
    touch(tmp_path / "train", "1.jpg")
    path = write_csv(tmp_path / "labels.csv", text)
    with pytest.raises(ValueError, match=f"labels.csv.*{words}"):
        list_files(tmp_path / "train", path)


def test_parts_of_a_labels_file_go_before_a_validation_folder(tmp_path, capsys):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "val/cat/3.jpg")
    path = write_csv(tmp_path / "l.csv", "file,label,part\n1,cat,train\n2,Cat,validation\n")
    listed = list_files(tmp_path / "train", path, tmp_path / "val")
    assert list(listed.part[listed.problem == ""]) == ["train", "validation"]
    assert "l.csv gives the parts" in capsys.readouterr().out
    assert set(listed.file[listed.problem == "similar_class_name"]) == {"cat", "Cat"}


def test_validation_folder_is_listed_relative_to_train(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg", "val/dog/2.jpg", "val/notes.txt")
    listed = list_files(tmp_path / "train", validation=tmp_path / "val")
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
def test_name_of_a_labels_file_finds_its_picture(tmp_path, name, file):
    assert match_files([name], ["1.jpg", file], tmp_path) == {name: file}


def test_name_of_a_file_that_is_missing_finds_no_other(tmp_path):
    files = ["cat/1.png", "img.png"]
    assert match_files(["dog/1.png", "cat/1.png"], files, tmp_path) == {"cat/1.png": "cat/1.png"}
    assert match_files(["img.1", "img.2"], files, tmp_path) == {}
    named = ["train/a/1.png", "train/b/1.png"]
    assert match_files(named, ["a/1.png", "b/1.png"], tmp_path) == dict(
        zip(named, ["a/1.png", "b/1.png"])
    )


def test_name_that_fits_several_pictures_finds_none(tmp_path):
    found = match_files(["0", "x.jpg"], ["a/0.jpg", "b/0.jpg", "x.jpg"], tmp_path)
    assert found == {"x.jpg": "x.jpg"}


def label_flat(tmp_path, rows, beside=(), train="train"):
    """Label flat pictures by rows of a CSV file; return what each is taken for."""
    touch(tmp_path, *beside, *(f"{train}/{number:03d}.jpg" for number in range(4)))
    path = write_csv(tmp_path / "labels.csv", "file,label\n" + "\n".join(rows))
    listed = list_files(tmp_path / train, path)
    return {row.file: row.label or row.problem for row in listed.itertuples()}


TWO_PARTS = [
    f"{part}/{n:03d}.jpg,{label}"
    for part, label in (("test", "b"), ("train", "a"))
    for n in range(4)
]


@pytest.mark.parametrize("beside", [(), ("test/000.jpg",)])
def test_rows_of_another_folder_give_no_labels(tmp_path, beside):
    found = label_flat(tmp_path, TWO_PARTS, beside)
    assert [found[f"{n:03d}.jpg"] for n in range(4)] == ["a"] * 4
    assert [found[f"test/{n:03d}.jpg"] for n in range(4)] == ["b"] * 4, "listed as missing"
    listed = list_files(tmp_path / "train", tmp_path / "labels.csv").set_index("file")
    assert set(listed.problem[[f"test/{n:03d}.jpg" for n in range(4)]]) == {"missing_file"}


def test_rows_of_two_folders_that_neither_is_here_contradict_each_other(tmp_path):
    with pytest.raises(ValueError, match="labels.csv has two different rows.* lines 2 and 6"):
        label_flat(tmp_path, TWO_PARTS, train="pictures")


@pytest.mark.parametrize("inside", ["", "test/"])
def test_rows_that_agree_on_a_file_by_two_names_are_one(tmp_path, inside):
    found = label_flat(tmp_path, ["000.jpg,a", "train/000.jpg,a", f"{inside}001,b", "001.jpg,b"])
    listed = list_files(tmp_path / "train", tmp_path / "labels.csv")
    assert not listed.file.duplicated().any()
    assert (found["000.jpg"], found["001.jpg"]) == ("a", "b")


def test_rows_that_name_one_file_with_and_without_its_folder_must_agree(tmp_path):
    touch(tmp_path / "train", "a/001.jpg")
    path = write_csv(tmp_path / "l.csv", "file,label\n001.jpg,b\na/001.jpg,a\n")
    with pytest.raises(ValueError, match="two different rows of 'a/001.jpg': lines 2 and 3"):
        list_files(tmp_path / "train", path)


def test_rows_of_a_folder_two_above_give_no_labels(tmp_path):
    rows = [f"ds/{row}" for row in TWO_PARTS]
    touch(tmp_path / "ds", "test/000.jpg", *(f"train/{n:03d}.jpg" for n in range(4)))
    path = write_csv(tmp_path / "l.csv", "file,label\n" + "\n".join(rows))
    listed = list_files(tmp_path / "ds/train", path)
    assert list(listed.label[listed.problem == ""]) == ["a"] * 4


def test_rows_of_a_folder_beside_alone_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="line 2: 'test/000.jpg' is no file"):
        label_flat(tmp_path, TWO_PARTS[:4], ["test/000.jpg"])


def test_rows_of_files_that_are_gone_label_no_namesakes(tmp_path):
    touch(tmp_path / "train", "a/1.jpg", "a/2.jpg", "b/2.jpg", "c/3.jpg", "3.jpg")
    rows = "b/1.jpg,b\na/1.jpg,a\nb/3.jpg,b\nd/2.jpg,d\nc/3.jpg,c\n"
    listed = list_files(tmp_path / "train", write_csv(tmp_path / "l.csv", "file,label\n" + rows))
    taken = {row.file: row.label for row in listed.itertuples() if row.problem == ""}
    assert taken == {"a/1.jpg": "a", "c/3.jpg": "c"}
    missing = set(listed.file[listed.problem == "missing_file"])
    assert missing == {"b/1.jpg", "b/3.jpg", "d/2.jpg"}


@pytest.mark.parametrize("name", ["x" * 300 + "/1.jpg", "a\0b/1.jpg", "/", "..", "a//1.jpg"])
def test_strange_names_find_no_picture_and_stop_nothing(tmp_path, name):
    assert set(match_files([name, "1.jpg"], ["1.jpg"], tmp_path)) >= {"1.jpg"}


def test_group_cells_that_say_nothing_are_no_groups(tmp_path):
    touch(tmp_path / "train", *(f"{number}.jpg" for number in range(7)))
    cells = ["NA", "nan", "-1", "None", "null", "n/a", "rex"]
    rows = "".join(f"{number}.jpg,cat,{cell}\n" for number, cell in enumerate(cells))
    path = write_csv(tmp_path / "l.csv", "file,label,group\n" + rows)
    assert list(list_files(tmp_path / "train", path).group) == [""] * 6 + ["rex"]


def test_names_with_commas_stand_in_quotes_and_trailing_commas_mean_nothing(tmp_path):
    touch(tmp_path / "train", "a,b.jpg", "c.jpg")
    text = 'file,label,,\n"a,b.jpg",cat,,\nc.jpg, "dog, old",\n'
    path = write_csv(tmp_path / "l.csv", text)
    listed = list_files(tmp_path / "train", path)
    assert list(listed.label) == ["cat", "dog, old"]


def test_names_of_existing_folders_and_of_others_are_matched_in_one_file(tmp_path):
    files = ["cat/1.jpg", "dog/3.jpg"]
    for file in files:
        touch(tmp_path, file)
    names = ["cat/1.jpg", "/data/old/dog/3.jpg", "gone/cat/1.jpg"]
    assert match_files(names, files, tmp_path) == dict(zip(names, files))


def test_labels_of_many_pictures_are_matched_in_seconds_also_where_namesakes_abound(tmp_path):
    files = [f"class_{n % 1000:03d}/{n // 1000:03d}.jpg" for n in range(100_000)]
    names = [f"train/{file}" for file in files]
    assert match_files(names, files, tmp_path) == dict(zip(names, files))


def test_notebook_01_with_a_corrections_file(ws, tmp_path, monkeypatch, read_all):
    draw_creatures(ws.train, per_class=12)
    shutil.move(ws.train / "Aves/03.jpg", ws.train / "Fungi/wrong.jpg")
    write_csv(tmp_path / "mine.csv", "file;label\nFungi/wrong.jpg;Aves\nAves/05.jpg;\n")
    ws, pictures = replace(ws, corrections=tmp_path / "mine.csv"), read_all(tmp_path / "train")
    assert not prepare(ws, monkeypatch)
    table = split.read_split(ws).set_index("file")
    assert table.label["Fungi/wrong.jpg"] == "Aves" and "Aves/05.jpg" not in table.index
    checks = {tuple(row) for row in read_table(ws.results / "checks.csv").to_numpy()}
    assert ("Fungi/wrong.jpg", "corrected", "taken as Aves, not Fungi") in checks
    assert ("Aves/05.jpg", "left out by hand", "left out") in checks
    assert "left out by hand" in read_output(ws)
    assert read_all(tmp_path / "train") == pictures
