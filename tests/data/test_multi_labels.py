"""CSV files of several labels for a picture: their two forms, what is wrong with them, and the split."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import join_checks, run_cells
from test_listing import touch

from lib.data import multi_labels, split

FORMS = {
    "lists": "file,labels\n1.jpg,cat|dog\n2.jpg,\n3.jpg,dog\n",
    "semicolons": 'File,Labels\n1.jpg, dog; cat ;\n2.jpg,\n"3.jpg",dog\n',
    "columns": "file,cat,dog\n1.jpg,1,1\n2.jpg,0,0\n3.jpg,0.0,1.0\n",
    "columns of parts": "file,cat,dog,is_valid,fold\n1.jpg,1,1,0,1\n2.jpg,0,0,1,0\n3.jpg,0,1,0,1\n",
    "of pandas": ",file,cat,dog\n0,1.jpg,True,True\n1,2.jpg,False,False\n2,3.jpg,FALSE,TRUE\n",
}


@pytest.fixture
def flat(ws, tmp_path):
    """Return a function that writes the CSV file of four pictures in a flat folder."""
    touch(ws.train, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    ws = replace(ws, multi_labels=tmp_path / "labels.csv")

    def write(text):
        ws.multi_labels.write_text(text, encoding="utf-8")
        return ws

    return write


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_table_and_none_is_not_the_same_as_no_row(form, flat):
    ws = flat(FORMS[form])

    table = join_checks(*multi_labels.list_label_sets(ws, ws.train))

    assert table[["file", "label", "problem"]].to_numpy().tolist() == [
        ["1.jpg", "cat|dog|", ""],
        ["2.jpg", "|", ""],
        ["3.jpg", "dog|", ""],
        ["4.jpg", "", "no_label"],
    ]


def test_groups_and_parts_are_taken_and_names_of_labels_stay_as_they_are(flat):
    ws = flat(
        "File,GROUP,Part,Cat,NA\n1.jpg,a,train,1,0\n2.jpg,a,val,0,1\n3.jpg,,,1,1\n"
    )

    table, _ = multi_labels.list_label_sets(ws, ws.train)

    told = table.loc[:2, ["label", "group", "part"]]
    assert told.to_numpy().tolist() == [
        ["Cat|", "a", "train"],
        ["NA|", "a", "validation"],
        ["Cat|NA|", "", "train"],
    ]


def test_folder_beside_the_file_that_is_called_like_it_holds_the_pictures(
    flat, tmp_path
):
    ws = flat("file,labels\n000.png,a\nlabels/001.png,b\n")
    touch(tmp_path / "labels", "000.png", "001.png")

    table, _ = multi_labels.list_label_sets(ws, ws.train)

    assert list(table.file) == ["../labels/000.png", "../labels/001.png"]
    assert list(table.label) == ["a|", "b|"]


BROKEN = {
    "wrong columns": ("picture,tags\n1.jpg,cat\n", "picture, tags.* header: file"),
    "a 2": ("file,cat,dog\n1.jpg,0,1\n2.jpg,0,2\n", "line 3: '2' .* dog"),
    "contradiction": ("file,cat\n1.jpg,0\n2.jpg,0\n1.jpg,1\n", "line 4: '1.jpg' .*earlier line"),
    "other part": ("file,labels,part\n1.jpg,a,train\n1.jpg,b,val\n", "line 3: '1.jpg' .*earlier line"),
    "commas": ('file,labels\n1.jpg,cat\n2.jpg,"cat,dog"\n', r"line 3: 'cat,dog' .* cat\|dog"),
    "a list": ("file,labels\n1.jpg,\"['cat', 'dog']\"\n", r"line 2: .* cat\|dog"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_file_is_an_error_that_names_it_and_the_line(what, flat):
    text, words = BROKEN[what]
    ws = flat(text)
    with pytest.raises(ValueError, match=f"labels.csv.*{words}"):
        multi_labels.list_label_sets(ws, ws.train)


def split_pictures(y_true, seed):
    """Split pictures of one content each; return whether each is for validation."""
    rows = y_true.index.astype(str)
    table = pd.DataFrame({"digest": rows, "group": rows, "part": "", "labels": ""})
    given = {"labels": y_true, "table": table, "split": split, "SEED": seed}
    known = run_cells("11_multi_label", ["several-rarest"], given)
    return known["table"].part == "validation"


def draw_labels(n, count, seed):
    """Draw labels that depend on one another."""
    rng = np.random.default_rng(seed)
    tendency = rng.normal(size=(n, 3)) @ rng.normal(size=(3, count))
    limits = np.quantile(tendency, 1 - rng.uniform(0.03, 0.3, count))
    y_true = pd.DataFrame(tendency + 0.5 * rng.normal(size=(n, count)) > limits)
    return y_true.loc[:, y_true.sum() >= 10].rename(columns=str)


def test_each_label_has_nearly_its_fifth_though_labels_come_together():
    for seed in range(8):
        y_true = draw_labels(800, 30, seed)

        held = split_pictures(y_true, seed)

        support = y_true.sum()
        deviation = abs(y_true[held].sum() / support - 0.2)
        assert abs(held.sum() - 160) <= 16
        # Nearer than by luck alone, whose spread is the root of 0.16 / support.
        assert (deviation < 0.02 + 2 / support).mean() > 0.75
        assert (deviation < 0.05 + 4 / support).all()
