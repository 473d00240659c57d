"""Labels, parts, groups and corrections as people write them, and the pictures that they mean."""

import pytest
from test_listing import list_checked, list_files, touch, write_csv

from lib.data.label_files import read_labels
from lib.data.names import match_files
from lib.data.pictures import hash_content

FILES = [f"{name}/{number}.jpg" for name in ("bird", "cat") for number in range(6)]
# An accented letter as one character, and as a letter and its accent.
COMPOSED = "\u00e9"
APART = "e\u0301"


@pytest.fixture
def correct(tmp_path):
    """Return a function: the text of a corrections file (and files beside FILES) to the list."""

    def run(text, files=(), **options):
        touch(tmp_path / "train", *FILES, *files)
        path = write_csv(tmp_path / "corrections.csv", text)
        return list_files(tmp_path / "train", corrections=path, **options)

    return run


def write_rows(header, rows):
    """Return the text of a CSV file; the files of the rows are 0.jpg, 1.jpg and so on."""
    lines = [f"{number}.jpg,{row}" for number, row in enumerate(rows)]
    return "\n".join([header, *lines, ""])


@pytest.fixture
def label(tmp_path):
    """Return a function: the text of a labels file, and the pictures that there are, to the list.

    Beside the files named there are so many more as `count` says: 0.jpg, 1.jpg and so on.
    """

    def run(text, *files, count=0):
        touch(tmp_path / "train", *files)
        for number in range(count):
            touch(tmp_path / "train", f"{number}.jpg")
        path = write_csv(tmp_path / "labels.csv", text)
        return list_files(tmp_path / "train", path).set_index("file")

    return run


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff"file";"label"\r\n"cat/0.jpg";"bird"\r\n"cat/1.jpg";""\r\n',
        "file,label\ncat/0.jpg,bird\ncat/0.jpg,bird\n\n,\ncat\\1.jpg,\n./cat/1.jpg,",
        "keep,label,note,file\nx,bird,why,cat/0.jpg\n,bird,again,cat/0.jpg\nx,,,cat/1.jpg\n",
        " File \t LABEL\ncat/0.jpg\tbird\ncat/1.jpg\t\n",
        "Image,class\ncat/0.jpg,bird\ncat/1.jpg,\n",
        "path,label,filename,Label_id\n0,bird,cat/0.jpg,1\n1,,cat/1.jpg,2\n",
    ],
    ids="semicolons,twice,more columns,tabs,other words,two words".split(","),
)
def test_corrections_as_people_write_them_mean_the_same(correct, text):
    assert list_checked(correct(text)) == [
        ["cat/0.jpg", "corrected", "taken as bird"],
        ["cat/1.jpg", "left out by hand", "left out"],
    ]


def test_correction_of_another_content_is_passed_over_and_listed(correct):
    # All files of these tests are empty.
    digest = hash_content(b"")
    rows = f"cat/0.jpg,bird,{digest}\ncat/1.jpg,bird,{digest[::-1]}\ncat/2.jpg,bird,\n"

    found = correct("file,label,digest\n" + rows)

    assert list_checked(found) == [
        ["cat/0.jpg", "corrected", "taken as bird"],
        ["cat/1.jpg", "other_content", "kept"],
        ["cat/2.jpg", "corrected", "taken as bird"],
    ]


UNUSABLE = {
    "name,class\ncat/0.jpg,bird\n": "file or .*, label or class, .*: name, label",
    "File,file,label\ncat/0.jpg,cat/1.jpg,bird\n": ": file, file, label",
    "file,label,Label\ncat/0.jpg,bird,cat\n": ": file, label, label",
    "": "No columns",
    "file,label\ncat/0.jpg,bird,zoo\n": "line 2, .*double quotes",
    "file,label\ncat/0.jpg,bird\n\n./cat/0,\n": "line 4: 'cat/0.jpg' .*earlier line",
}


@pytest.mark.parametrize("text", UNUSABLE)
def test_file_that_cannot_be_used_is_named_with_its_line(correct, text):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv.*{UNUSABLE[text]}"):
        correct(text, ["bird/7.jpg"])


@pytest.mark.parametrize("encoding", ["cp1252", "UTF-16"])
def test_table_in_another_encoding_is_an_error_that_says_which_is_needed(
    tmp_path, encoding
):
    path = tmp_path / "labels.csv"
    path.write_text(f"file,label\ncat/0.jpg,{COMPOSED}\n", encoding=encoding)
    with pytest.raises(ValueError, match=f"{path}: .*UTF-8"):
        read_labels(path)


def test_letters_of_another_unicode_form_name_the_same_file_and_class(correct):
    text = f"file,label\n{COMPOSED}/0.jpg,cat\ncat/0.jpg,{COMPOSED}\n"

    found = correct(text, [f"{APART}/0.jpg"]).set_index("file").label

    assert found[f"{APART}/0.jpg"] == "cat"
    assert found["cat/0.jpg"] == COMPOSED


def test_labels_that_look_equal_are_one_label(label):
    cells = ["wild cat", "wild\u200b cat", "wild  cat", "wi\u00adld\u200e cat"]
    cells.append('"wild\ncat"')

    listed = label(write_rows("file,label", cells), count=5)

    assert set(listed.label) == {"wild cat"}


def test_corrections_go_before_a_labels_file_and_may_label_what_it_lacks(
    correct, tmp_path
):
    given = "file,label,part\ncat/0.jpg,cat,train\nbird/1.jpg,bird,val\n"
    path = write_csv(tmp_path / "labels.csv", given)

    listed = correct("file,label\ncat/0.jpg,bird\nbird/0.jpg,cat\n", train_labels=path)

    corrected = listed[listed.problem == "corrected"]
    assert corrected[["file", "label", "part", "action"]].to_numpy().tolist() == [
        ["bird/0.jpg", "cat", "train", "taken as cat"],
        ["cat/0.jpg", "bird", "train", "taken as bird"],
    ]


def test_corrected_file_that_is_gone_or_unclear_is_listed(correct):
    listed = correct("file,label\ncat/7.jpg,bird\ncat/0.jpg,bird\n1,cat\n")

    assert list_checked(listed) == [
        ["1", "ambiguous", "left out"],
        ["cat/0.jpg", "corrected", "taken as bird"],
        ["cat/7.jpg", "missing_file", "left out"],
    ]


def test_labels_file_gives_labels_parts_and_groups(label):
    rows = "1.jpg,cat,train,tom\n2,dog,val,rex\n3.jpg,NA,training,\n"

    listed = label("file,label,part,group\n" + rows, "1.jpg", "2.jpg", "sub/3.jpg")

    assert listed[["label", "part", "group"]].T.to_dict("list") == {
        "1.jpg": ["cat", "train", "tom"],
        "2.jpg": ["dog", "validation", "rex"],
        "sub/3.jpg": ["NA", "train", ""],
    }


def test_files_and_rows_that_do_not_fit_have_a_reason(label):
    rows = "1.jpg,cat,\n2.jpg,,\n3.jpg,cat,TEST\ngone.jpg,cat,\ntwice.jpg,cat,\n"
    files = "1.jpg 2.jpg 3.jpg 4.jpg a/twice.jpg b/twice.jpg".split()

    listed = label("file,label,part\n" + rows, *files)

    assert listed.problem.to_dict() == {
        "1.jpg": "",
        "2.jpg": "no_label",
        "3.jpg": "test_part",
        "4.jpg": "no_label",
        "a/twice.jpg": "no_label",
        "b/twice.jpg": "no_label",
        "gone.jpg": "missing_file",
        "twice.jpg": "ambiguous",
    }


def test_part_that_is_none_is_named_with_its_line(label):
    with pytest.raises(ValueError, match="labels.csv, line 2: 'tset'"):
        label("file,label,part\n1.jpg,cat,tset\n", "1.jpg")


def test_parts_without_any_for_validation_are_none(label):
    rows = ["cat,train", "dog,test", "dog,train"]

    listed = label(write_rows("file,label,part", rows), count=3)

    assert set(listed.part) == {""}
    assert listed.problem["1.jpg"] == "test_part"


def test_labels_and_groups_reach_the_validation_folder(tmp_path):
    touch(tmp_path, "train/cat/0.jpg", "train/cat/1.jpg")
    touch(tmp_path, "val/cat/0.jpg", "val/cat/1.jpg")
    text = "file,label,group\ntrain/cat/0,cat,a\nval/cat/0.jpg,dog,a\ncat/1.jpg,cat,b\n"
    path = write_csv(tmp_path / "l.csv", text)

    listed = list_files(tmp_path / "train", path, tmp_path / "val")

    columns = ["file", "label", "group", "part", "problem"]
    assert listed[columns].to_numpy().tolist() == [
        ["../val/cat/0.jpg", "dog", "a", "validation", ""],
        ["../val/cat/1.jpg", "cat", "", "validation", ""],
        ["cat/0.jpg", "cat", "a", "train", ""],
        ["cat/1.jpg", "cat", "b", "train", ""],
    ]


def test_groups_that_look_equal_are_one(label):
    names = ["P 0", "P\u00a00", "p  0", "P\u200b 0", APART, COMPOSED, "1", "1.0"]
    rows = ["cat," + name for name in names]

    listed = label(write_rows("file,label,group", rows), count=8)

    assert list(listed.group) == ["p 0"] * 4 + [COMPOSED] * 2 + ["1"] * 2


# What lies in train, and what each name means: "" where it fits several.
NAMED = """a/1.png a.b.jpg c.png c.jpg img.png sub/0.jpg b/twin.jpg d/twin.jpg p0.jpg p0.jpg.jpg
../val/0.jpg ../val/v.png"""
MEANINGS = {
    "a/1": "a/1.png",
    "train\\a\\1": "a/1.png",
    ".//a//1.png": "a/1.png",
    "a.b": "a.b.jpg",
    "0": "",
    "0.jpg": "",
    "p0.jpg": "p0.jpg",
    "p0": "p0.jpg",
    "../val/v": "../val/v.png",
    "val/v.png": "../val/v.png",
    "v": "../val/v.png",
    "c": "",
    "twin.jpg": "",
    "test/0.jpg": None,
    "data/train/a/1.png": None,
    "/train/a/1.png": None,
    "img.1": None,
    "../0.jpg": None,
}


@pytest.mark.parametrize("name", MEANINGS)
def test_name_is_a_path_from_train_or_a_bare_name_that_one_file_has(tmp_path, name):
    found = match_files([name], NAMED.split(), tmp_path / "train")
    assert found.get(name) == MEANINGS[name]


def test_group_cells_that_say_nothing_are_no_groups(label):
    cells = ["NA", "nan", "-1", "None", "null", "n/a", "rex"]
    rows = ["cat," + cell for cell in cells]

    listed = label(write_rows("file,label,group", rows), count=7)

    assert list(listed.group) == [""] * 6 + ["rex"]


def test_names_with_commas_stand_in_quotes(label):
    text = 'file,label,,\n"a,b.jpg",cat,,\nc.jpg, "dog, old"\n'
    assert list(label(text, "a,b.jpg", "c.jpg").label) == ["cat", "dog, old"]
