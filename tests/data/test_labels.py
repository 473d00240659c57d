"""Labels, parts, groups and corrections as people write them, and the pictures that they mean."""

import unicodedata
from dataclasses import replace

import pytest
from test_listing import list_files, touch, write_csv

from lib.data.names import match_files
from lib.data.table import check_classes, list_checks

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


def write_rows(header, rows):
    """Return the text of a CSV file; the files of the rows are 0.jpg, 1.jpg and so on."""
    lines = [f"{number}.jpg,{row}" for number, row in enumerate(rows)]
    return "\n".join([header, *lines, ""])


@pytest.fixture
def label(tmp_path):
    """Return a function: the text of a labels file, and the pictures that there are, to the list.

    A number of pictures means 0.jpg, 1.jpg and so on.
    """

    def run(text, *files):
        if isinstance(files[0], int):
            files = [f"{number}.jpg" for number in range(files[0])]
        touch(tmp_path / "train", *files)
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list_files(tmp_path / "train", path).set_index("file")

    return run


def list_checked(listed):
    return [tuple(row) for row in list_checks(listed).itertuples(index=False)]


@pytest.mark.parametrize(
    "text",
    [
        b'\xef\xbb\xbf"file";"label"\r\n"cat/0.jpg";"bird"\r\n"cat/1.jpg";""\r\n',
        b"file,label\ncat/0.jpg,bird\ncat/0.jpg,bird\n\n,\ncat\\1.jpg,\n./cat/1.jpg,",
        b"keep,label,note,file\nx,bird,why,cat/0.jpg\n,bird,again,cat/0.jpg\nx,,,cat/1.jpg\n",
        b" File \t LABEL\ncat/0.jpg\tbird\ncat/1.jpg\t\n",
    ],
    ids=["semicolons", "twice and blank", "more columns", "tabs and capitals"],
)
def test_corrections_as_people_write_them_mean_the_same(correct, text):
    assert list_checked(correct(text)) == [
        ("cat/0.jpg", "corrected", "taken as bird, not cat"),
        ("cat/1.jpg", "left out by hand", "left out"),
    ]


UNUSABLE = {
    "name,class\ncat/0.jpg,bird\n": "needs columns file, label, each once: name, class",
    "File,file,label\ncat/0.jpg,cat/1.jpg,bird\n": "each once: file, file, label",
    "": "No columns to parse",
    "file,label\n,cat\n": "names no file below its first row",
    "file,label\ncat/0.jpg,bird,zoo\n": "line 2, saw 3.*double quotes",
    b"file,label\ncat/\xff.jpg,bird\n": "'utf-8' codec.*Write CSV in UTF-8",
    "file,label\ncat/0.jpg,bird\n\n./cat/0,\n": "'cat/0.jpg': lines 2 and 4",
    "file,label\n\ncat/7.jpg,bird\n": "line 3: 'cat/7.jpg' is no file.* lines: 1",
    "file,label\n0,bird\n": "line 2: '0' is no file in .*, or fits several",
    "file,label\ncat/0.jpg,brid\n": "line 2: 'brid' is no class of bird, cat",
}


@pytest.mark.parametrize("text", UNUSABLE)
def test_file_that_cannot_be_used_is_named_with_its_line(correct, text):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv.*{UNUSABLE[text]}"):
        correct(text, ["bird/7.jpg"])


def test_letters_of_another_unicode_form_name_the_same_file_and_class(correct):
    composed = unicodedata.normalize("NFC", "é")
    apart = unicodedata.normalize("NFD", "é")
    files = [f"{apart}/{number}.jpg" for number in range(5)]
    listed = correct(f"file,label\n{composed}/0.jpg,cat\ncat/0.jpg,{composed}\n", files)
    found = listed.set_index("file").label
    assert found[f"{apart}/0.jpg"] == "cat"
    assert found["cat/0.jpg"] == apart


def test_labels_that_look_equal_are_one_label(label):
    cells = ["wild cat", "wild\u200b cat", "wild  cat", "wi\u00adld\u200e cat"]
    cells.append('"wild\ncat"')
    listed = label(write_rows("file,label", cells), 5)
    assert set(listed.label) == {"wild cat"}


@pytest.mark.parametrize(
    "pair", [("Frögs", "frogs"), ("1", "1.0"), ("wild-cat", "wild_cat")]
)
def test_similar_names_are_said_and_kept(tmp_path, capsys, pair):
    touch(tmp_path, *(f"{name}/1.jpg" for name in (*pair, "birds")))
    listed = list_files(tmp_path)
    first, second = sorted(pair)
    problem = ("similar_class_name", "kept")
    assert sorted(list_checked(listed)) == [(first, *problem), (second, *problem)]
    assert (listed.problem == "").sum() == 3
    said = capsys.readouterr().out
    assert said == f"Note: classes that look alike: {first}, {second}.\n"


def test_validation_pictures_are_corrected_by_their_own_names(correct, tmp_path):
    touch(tmp_path / "val", *FILES)
    text = "file,label\n../val/cat/0.jpg,bird\nval/cat/1.jpg,bird\ncat/2.jpg,bird\n"
    listed = correct(text, validation=tmp_path / "val")
    moved = listed[listed.problem == "corrected"].set_index("file")
    assert set(moved.index) == {"../val/cat/0.jpg", "../val/cat/1.jpg", "cat/2.jpg"}
    assert list(moved.part) == ["validation", "validation", "train"]


def test_corrections_go_before_a_labels_file_and_may_label_what_it_lacks(
    correct, tmp_path
):
    rows = ["file,label,part"]
    for file in FILES[1:]:
        part = "train" if "/0" in file else "val"
        rows.append(f"{file},{file[:3]},{part}")
    path = write_csv(tmp_path / "labels.csv", "\n".join(rows))
    listed = correct("file,label\ncat/0.jpg,bir\nbird/0.jpg,cat\n", train_labels=path)
    found = listed.set_index("file").loc[["bird/0.jpg", "cat/0.jpg"]]
    assert list(found.label) == ["cat", "bir"]
    assert list(found.part) == ["train", "train"]
    assert list(found.action) == ["taken as cat", "taken as bir, not cat"]


def test_class_of_which_too_little_is_left_is_an_error_that_names_the_corrections(
    correct, ws, tmp_path
):
    listed = correct("file,label\ncat/0.jpg,bird\ncat/1.jpg,\n")
    ws = replace(ws, corrections=tmp_path / "corrections.csv")
    words = '"cat" has 4 .*1 left out by hand.*corrections.csv'
    with pytest.raises(ValueError, match=words):
        check_classes(listed, ws)


def test_labels_file_gives_labels_parts_and_groups(label):
    text = (
        "file,label,part,group\n1.jpg,cat,train,tom\n2,dog,val,rex\n3.jpg,NA,training,\n"
        "4.jpg,,train,\ngone.jpg,cat,train,\n6.jpg,cat,TEST,\ntwice.jpg,cat,,\n"
    )
    files = "1.jpg 2.jpg sub/3.jpg 4.jpg 5.jpg 6.jpg a/twice.jpg b/twice.jpg".split()
    listed = label(text, *files)
    reasons = listed.problem[listed.problem != ""].to_dict()
    assert reasons == {
        **dict.fromkeys(["4.jpg", "5.jpg", "a/twice.jpg", "b/twice.jpg"], "no_label"),
        "6.jpg": "test_part",
        "gone.jpg": "missing_file",
        "twice.jpg": "ambiguous",
    }
    usable = listed[listed.problem == ""]
    assert list(usable.label) == ["cat", "dog", "NA"]
    assert list(usable.part) == ["train", "validation", "train"]
    assert list(usable.group) == ["tom", "rex", ""]


def test_part_that_is_none_is_named_with_its_line(label):
    words = "labels.csv, line 2: 'tset' is no part: train, validation"
    with pytest.raises(ValueError, match=words):
        label("file,label,part\n1.jpg,cat,tset\n", "1.jpg")


def test_parts_without_any_for_validation_are_none(label):
    rows = ["cat,train", "dog,test", "dog,train"]
    listed = label(write_rows("file,label,part", rows), 3)
    assert set(listed.part) == {""}
    assert listed.problem["1.jpg"] == "test_part"


def test_class_whose_few_rows_have_no_file_stops_nothing(label, ws):
    rows = write_rows("file,label", ["a", "b"] * 6)
    listed = label(rows + "gone.jpg,c\n", 12)
    check_classes(listed.reset_index(), ws)


def test_class_of_which_many_rows_have_no_file_is_an_error(label, ws):
    rows = write_rows("file,label", ["a", "b"] * 6 + ["c"] * 9)
    listed = label(rows, 12)
    with pytest.raises(ValueError, match='"c" has 0 usable pictures, 9 missing_file'):
        check_classes(listed.reset_index(), ws)


def test_columns_that_nobody_reads_are_said(label, capsys):
    text = "file,label,PatientID,subject_id,set,group,Usage,\n1.jpg,cat,7,7,1,a,b,\n"
    assert list(label(text, "1.jpg").label) == ["cat"]
    said = capsys.readouterr().out
    assert said.startswith("Note: labels.csv: ")
    assert "PatientID, subject_id, set, Usage;" in said


def test_part_and_group_of_corrections_are_not_read_and_said(correct, capsys):
    listed = correct("file,label,part,group\ncat/0.jpg,bird,val,g\n")
    assert set(listed.part) == {""} == set(listed.group)
    assert "Note: corrections.csv: not read: part, group;" in capsys.readouterr().out


def test_labels_and_groups_reach_the_validation_folder(tmp_path):
    touch(tmp_path, "train/cat/0.jpg", "train/cat/1.jpg")
    touch(tmp_path, "val/cat/0.jpg", "val/cat/1.jpg")
    text = "file,label,group\ntrain/cat/0,cat,a\nval/cat/0.jpg,dog,a\ncat/1.jpg,cat,b\n"
    path = write_csv(tmp_path / "l.csv", text)
    listed = list_files(tmp_path / "train", path, tmp_path / "val").set_index("file")
    columns = ["label", "group", "part", "problem"]
    assert listed[columns].T.to_dict("list") == {
        "../val/cat/0.jpg": ["dog", "a", "validation", ""],
        "../val/cat/1.jpg": ["cat", "", "validation", ""],
        "cat/0.jpg": ["cat", "a", "train", ""],
        "cat/1.jpg": ["cat", "b", "train", ""],
    }


def test_class_folders_of_the_validation_part_are_those_of_train_that_look_equal(
    tmp_path,
):
    composed = unicodedata.normalize("NFC", "é")
    apart = unicodedata.normalize("NFD", "é")
    touch(tmp_path, f"train/{apart}/1.jpg", f"val/{composed}/2.jpg")
    listed = list_files(tmp_path / "train", validation=tmp_path / "val")
    assert list(listed.label) == [apart] * 2


def test_groups_that_look_equal_are_one(label):
    names = ["P 0", "P\u00a00", "P  0", "P\u200b 0", "Cafe\u0301", "Caf\u00e9"]
    rows = ["cat," + name for name in names]
    listed = label(write_rows("file,label,group", rows), 6)
    assert list(listed.group) == ["P 0"] * 4 + ["Caf\u00e9"] * 2


@pytest.mark.parametrize(("one", "other"), [("P0", "p0"), ("1", "1.0")])
def test_groups_that_differ_by_case_or_as_1_and_1_0_alone_are_an_error(
    label, one, other
):
    text = f"file,label,group\n1.jpg,cat,x\n2.jpg,cat,{one}\n3.jpg,cat,{other}\n"
    words = f"lines 3 and 4: groups '{one}' and '{other}'"
    with pytest.raises(ValueError, match=words):
        label(text, "1.jpg", "2.jpg", "3.jpg")


def test_labels_that_are_one_written_in_two_ways_are_named_with_a_class_too_small(
    label, ws
):
    listed = label(write_rows("file,label", ["1.0"] * 3 + ["1", "0"] * 8), 19)
    with pytest.raises(ValueError, match='"1.0" has 3 .* look alike: 1, 1.0'):
        check_classes(listed.reset_index(), ws)


def test_parts_of_a_labels_file_go_before_a_validation_folder(tmp_path, capsys):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "val/cat/3.jpg")
    text = "file,label,part\n1,cat,train\n2,dog,validation\n"
    path = write_csv(tmp_path / "l.csv", text)
    listed = list_files(tmp_path / "train", path, tmp_path / "val")
    assert list(listed.part[listed.problem == ""]) == ["train", "validation"]
    assert "Note: l.csv gives the parts" in capsys.readouterr().out


# What lies in train, and what each name means: "" where it fits several.
NAMED = """a/1.png a.b.jpg c.png c.jpg img.png sub/0.jpg b/twin.jpg d/twin.jpg p0.jpg p0.jpg.jpg
../val/0.jpg ../val/v.png"""
MEANINGS = {
    "a/1": "a/1.png",
    "train\\a\\1": "a/1.png",
    ".//a//1.png": "a/1.png",
    "{train}/a/1": "a/1.png",
    "a.b": "a.b.jpg",
    "0.jpg": "sub/0.jpg",
    "p0.jpg": "p0.jpg",
    "p0": "p0.jpg",
    "{train}/../val/v.png": "../val/v.png",
    "val/v.png": "../val/v.png",
    "v": "../val/v.png",
    "c": "",
    "twin.jpg": "",
    "test/0.jpg": None,
    "data/train/a/1.png": None,
    "img.1": None,
    "../0.jpg": None,
}


@pytest.mark.parametrize("name", MEANINGS)
def test_name_is_a_path_from_train_or_a_bare_name_that_one_file_has(tmp_path, name):
    given = name.format(train=tmp_path / "train")
    found = match_files([given], NAMED.split(), tmp_path / "train")
    assert found.get(given) == MEANINGS[name]


def test_rows_of_another_folder_or_of_gone_files_label_no_namesakes(label):
    rows = "test/1.jpg,b\n1.jpg,a\nb/2.jpg,b\nb/3.jpg,d\nc/3.jpg,c\n"
    listed = label("file,label\n" + rows, "1.jpg", "a/2.jpg", "c/3.jpg", "3.jpg")
    assert dict(listed.label[listed.problem == ""]) == {"1.jpg": "a", "c/3.jpg": "c"}
    assert set(listed.index[listed.problem == "missing_file"]) == {
        "test/1.jpg",
        "b/2.jpg",
        "b/3.jpg",
    }


def test_group_cells_that_say_nothing_are_no_groups(label):
    cells = ["NA", "nan", "-1", "None", "null", "n/a", "rex"]
    rows = ["cat," + cell for cell in cells]
    listed = label(write_rows("file,label,group", rows), 7)
    assert list(listed.group) == [""] * 6 + ["rex"]


def test_names_with_commas_stand_in_quotes(label):
    listed = label(
        'file,label,,\n"a,b.jpg",cat,,\nc.jpg, "dog, old"\n', "a,b.jpg", "c.jpg"
    )
    assert list(listed.label) == ["cat", "dog, old"]


def test_labels_of_many_pictures_are_matched_in_seconds_also_where_namesakes_abound(
    tmp_path,
):
    files = [f"class_{n % 1000:03d}/{n // 1000:03d}.jpg" for n in range(100_000)]
    names = [f"train/{file}" for file in files]
    assert match_files(names, files, tmp_path / "train") == dict(zip(names, files))
