"""Labels, parts, groups and corrections as people write them, beyond the examples of notebooks/README.md."""

import pytest
from test_listing import list_checked, list_files, touch, write_csv

from lib.data.label_files import read_columns, read_labels
from lib.data.names import AMBIGUOUS, find_alike, match_files
from lib.data.pictures import hash_content

FILES = [f"{name}/{number}.jpg" for name in ("bird", "cat") for number in range(6)]
# An accented letter as one character, and as a letter and its accent.
COMPOSED = "\u00e9"
APART = "e\u0301"


@pytest.fixture
def correct(tmp_path):
    """Return a function: the text of a corrections file (and files beside FILES) to the list."""

    def run(text, files=(), encoding="utf-8", **options):
        touch(tmp_path / "train", *FILES, *files)
        path = tmp_path / "corrections.csv"
        path.write_text(text, encoding=encoding)
        return list_files(tmp_path / "train", corrections=path, **options)

    return run


@pytest.fixture
def label(tmp_path):
    """Return a function: the header and the rows of a labels file to the list of its files, 0.jpg and so on."""

    def run(header, *rows):
        lines = [header]
        for number, row in enumerate(rows):
            touch(tmp_path / "train", f"{number}.jpg")
            lines.append(f"{number}.jpg,{row}")
        path = write_csv(tmp_path / "labels.csv", "\n".join(lines))
        return list_files(tmp_path / "train", path).set_index("file")

    return run


FORMS = {
    "semicolons": '\ufeff"file";"label"\r\n"cat/0.jpg";"bird"\r\n"cat/1.jpg";""\r\n',
    "twice": "file,label\ncat/0.jpg,bird\ncat/0.jpg,bird\n\n,\ncat\\1.jpg,\n./cat/1.jpg,",
    "more columns": "keep,label,note,file\nx,bird,why,cat/0.jpg\n,bird,again,cat/0.jpg\nx,,,cat/1.jpg\n",
    "tabs": " File \t LABEL\ncat/0.jpg\tbird\ncat/1.jpg\t\n",
    "two words": "path,label,filename,Label_id\n0,bird,cat/0.jpg,1\n1,,cat/1.jpg,2\n",
    "no names": "file,label,,\ncat/0.jpg, bird,,\ncat/1.jpg,\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_corrections_as_people_write_them_mean_the_same(form, correct):
    assert list_checked(correct(FORMS[form])) == [
        ["cat/0.jpg", "corrected", "taken as bird"],
        ["cat/1.jpg", "left out by hand", "left out"],
    ]


def test_unicode_text_of_excel_is_read(correct):
    text = f"file\tlabel\r\ncat/0.jpg\t{COMPOSED}\r\n"

    found = correct(text, encoding="utf-16")

    assert list_checked(found) == [["cat/0.jpg", "corrected", f"taken as {COMPOSED}"]]


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


HEADER = "The first line must be the header: file,label"
UNUSABLE = {
    "name,class\ncat/0.jpg,bird\n": f"name, class. {HEADER}",
    "file,label,Label\ncat/0.jpg,bird,cat\n": f"file, label, Label. {HEADER}",
    "My labels\nfile,label\ncat/0.jpg,bird\n": HEADER,
    "# made, by hand\nfile,label\ncat/0.jpg,bird\n": f"# made, by hand. {HEADER}",
    "": "No columns",
    "file,label\ncat/0.jpg,bird,zoo\n": "line 2, .*separator stand in double quotes",
    "file;label\na;b.jpg;bird\n": "line 2, .*separator stand in double quotes",
    "sep=;\nfile;label\ncat/0.jpg;bird\n\n./cat/0;\n": "line 5: 'cat/0.jpg' .*earlier line",
}  # fmt: skip


@pytest.mark.parametrize("text", UNUSABLE)
def test_file_that_cannot_be_used_is_named_with_its_line(correct, text):
    with pytest.raises(ValueError, match=f"(?s)corrections.csv.*{UNUSABLE[text]}"):
        correct(text)


def test_table_in_another_encoding_is_an_error_that_says_which_is_needed(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"file,label\ncat/0.jpg,{COMPOSED}\n", encoding="cp1252")
    with pytest.raises(ValueError, match=f"{path}: .*UTF-8"):
        read_labels(path)


def test_letters_of_another_unicode_form_name_the_same_file_and_class(correct):
    text = f"file,label\n{COMPOSED}/0.jpg,cat\ncat/0.jpg,{COMPOSED}\n"

    found = correct(text, [f"{APART}/0.jpg"]).set_index("file").label

    assert found[f"{APART}/0.jpg"] == "cat"
    assert found["cat/0.jpg"] == COMPOSED


def test_labels_and_groups_that_look_equal_are_one(label):
    names = ["wild cat", "wild\u200b cat", "wild  cat", "wi\u00adld\u00a0cat"]
    names.append('"wild\ncat"')

    listed = label("file,label,group", *(f"{name},{name}" for name in names))

    assert set(listed.label) == set(listed.group) == {"wild cat"}


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
    listed = correct("file,label,digest\ncat/7.jpg,bird,\n1,cat,\n")

    lost = listed[listed.problem.isin(["missing_file", "ambiguous"])]
    assert list_checked(lost) == [
        ["1", "ambiguous", "left out"],
        ["cat/7.jpg", "missing_file", "left out"],
    ]


def test_part_that_is_none_is_named_with_its_line(label):
    with pytest.raises(ValueError, match="labels.csv, line 2: 'tset'"):
        label("file,label,part", "cat,tset")


def test_parts_without_any_for_validation_are_none(label):
    listed = label("file,label,part", "cat,train", "dog,test", "dog,train")

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


# What lies in train, and what each name means: "" where it fits several.
NAMED = """a/1.png a.b.jpg c.png c.jpg d.JPG d.jpg img.png sub/0.jpg b/twin.jpg d/twin.jpg p0.jpg
p0.jpg.jpg ../val/0.jpg ../val/v.png"""
MEANINGS = {
    "a/1": "a/1.png",
    "a/1.PNG": "a/1.png",
    "train\\a\\1": "a/1.png",
    ".//a//1.png": "a/1.png",
    "../train/a/1.png": "a/1.png",
    "ROOT/train/a/1.png": "a/1.png",
    "more/lists/../../train/a/1.png": "a/1.png",
    "../../train/a/1.png": "a/1.png",
    "d.JPG": "d.JPG",
    "d.Jpg": AMBIGUOUS,
    "a.b": "a.b.jpg",
    "0": AMBIGUOUS,
    "0.jpg": AMBIGUOUS,
    "p0.jpg": "p0.jpg",
    "p0": "p0.jpg",
    "../val/v": "../val/v.png",
    "val/v.png": "../val/v.png",
    "v": "../val/v.png",
    "c": AMBIGUOUS,
    "twin.jpg": AMBIGUOUS,
    "A/1.png": None,
    "test/0.jpg": None,
    "data/train/a/1.png": None,
    "/train/a/1.png": None,
    "img.1": None,
    "../0.jpg": None,
}


@pytest.mark.parametrize("name", MEANINGS)
def test_name_is_a_path_from_a_folder_or_a_bare_name_that_one_file_has(tmp_path, name):
    asked = name.replace("ROOT", str(tmp_path))
    folders = [tmp_path / "train", tmp_path / "more/lists"]
    assert match_files(NAMED.split(), folders)(asked) == MEANINGS[name]


def test_names_are_relative_to_each_folder_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["one/0.jpg", "two/1.jpg", "two/2.jpg", "2.jpg"]
    path = write_csv(tmp_path / "l.csv", "file,label\n0.jpg,a\n1.jpg,b\n2.jpg,c\n")
    folders = [tmp_path, tmp_path / "one", tmp_path / "two"]

    told = read_columns(path, ["label"], files, folders)

    # Two files are called 2.jpg from a folder.
    assert told.label.dropna().to_dict() == {"one/0.jpg": "a", "two/1.jpg": "b"}


def test_row_without_a_name_in_the_first_column_for_names_counts(tmp_path, capsys):
    files = ["0.jpg", "1.jpg", "2.jpg"]
    text = "image,path,label\n7,0.jpg,a\n,1.jpg,b\n9,,c\n,,\n"
    path = write_csv(tmp_path / "l.csv", text)

    told = read_columns(path, ["label"], files, [tmp_path])

    assert told.label.dropna().to_dict() == {"0.jpg": "a", "1.jpg": "b"}
    assert "1 of 3 rows" in capsys.readouterr().out


def test_names_that_differ_in_capitals_zeros_or_a_rest_alone_are_found():
    names = "Cat cat 1 01 1.0 2 10 100 v2 bird birds".split()
    assert find_alike(names) == ["01", "1", "1.0", "Cat", "cat"]
