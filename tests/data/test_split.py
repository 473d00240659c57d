import shutil

import numpy as np
import pandas as pd
import pytest

from lib.data import split
from lib.data.split import identify_set, read_split
from lib.data.table import list_checks


def list_pictures(**support):
    labels = np.repeat(list(support), list(support.values()))
    listed = pd.DataFrame({"label": labels, "group": range(len(labels))})
    listed["digest"] = "content " + listed.group.astype(str)
    number = listed.groupby("label").cumcount().astype(str).str.zfill(4)
    return listed.assign(file=listed.label + "/" + number + ".jpg")


def give_copies(pictures, **same_as):
    """Give some pictures, named by row, the content of an earlier row, and all their groups."""
    rows = [same_as.get(f"row{row}", row) for row in pictures.index]
    pictures = pictures.assign(digest=[f"content {row}" for row in rows])
    return pictures.assign(group=split.find_groups(pictures.drop(columns="group")))


def split_files(pictures, seed):
    """Return split.csv of some pictures."""
    table = pictures[["file", "label"]].assign(part=split.split(pictures, seed))
    return table.sort_values("file", ignore_index=True)


@pytest.fixture(scope="module")
def insects():
    """Ten classes of unequal size, 10,010 pictures."""
    return list_pictures(**{f"class{k}": 956 + 10 * k for k in range(10)})


def test_split_of_10010_pictures_is_8008_and_2002_stratified_and_disjoint(insects):
    table = split_files(insects, 42)
    assert table.part.value_counts().to_dict() == {"train": 8008, "validation": 2002}
    assert sorted(table.file) == sorted(insects.file)
    held = table[table.part == "validation"]
    missing = insects.label.value_counts() / 5 - held.label.value_counts()
    assert missing.abs().max() < 1


def test_same_seed_gives_the_same_parts_whatever_the_order_of_the_rows(insects):
    first = split_files(insects, 1)
    shuffled = insects.sample(frac=1, random_state=0)
    assert split_files(insects, 1).equals(first)
    assert split_files(shuffled, 1).equals(first)
    assert not split_files(insects, 2).equals(first)


def test_added_picture_moves_at_most_two_others(insects):
    few = insects.groupby("label").head(57).reset_index(drop=True)
    for seed in range(60):
        # The sizes of the classes differ each time.
        fewer = few.sample(300, random_state=seed)
        added = insects[insects.label == f"class{seed % 10}"].tail(1)
        before = split_files(fewer, seed).set_index("file").part
        after = split_files(pd.concat([fewer, added]), seed).set_index("file").part
        assert len(after) == len(before) + 1
        assert (before != after[before.index]).sum() <= 2


def test_group_is_what_contents_groups_and_likeness_connect():
    listed = list_pictures(a=8)
    listed["digest"] = list("ppqrstuv")
    listed["group"] = ["", "g", "g", "", "h", "", "h", ""]
    # 0 and 1 are equal, 1 and 2 of one group, 2 looks like 3; 4 and 6 are of one group.
    group = split.find_groups(listed, np.array([["q", "r"], ["u", "t"]]))
    numbers, _ = pd.factorize(group)
    assert numbers.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert len(set(split.find_groups(listed.drop(columns="group")))) == 7


def test_groups_and_equal_contents_share_a_part_and_the_classes_keep_their_fifths(
    insects,
):
    rng = np.random.default_rng(0)
    parts = set()
    few = insects.groupby("label").head(100).reset_index(drop=True)
    # A twentieth are copies of others, most of them in other classes.
    copies = rng.choice(1000, 50, replace=False)
    few.loc[copies, "digest"] = few.digest[rng.choice(1000, 50)].array
    animals = pd.Series(rng.integers(0, 300, 1000))
    few["group"] = animals.astype(str).where(animals < 150, "")
    few["group"] = split.find_groups(few)
    assert (few.groupby("digest").group.nunique() == 1).all()
    for seed in range(10):
        table = split_files(few.sample(frac=1, random_state=seed), seed)
        part = table.merge(few, on=["file", "label"]).groupby("group").part
        assert (part.nunique() == 1).all()
        parts.add(part.first()[few.group[0]])
        held = table[table.part == "validation"].groupby("label").size()
        assert (held - 20).abs().max() <= 1
        assert held.sum() == 200
    assert parts == {"train", "validation"}


def test_class_of_two_groups_of_different_sizes_gives_the_smaller():
    listed = list_pictures(a=16, b=20)
    listed["group"] = ["large"] * 10 + ["small"] * 6 + [""] * 20
    listed["group"] = split.find_groups(listed)
    for seed in range(10):
        held = listed[split.split(listed, seed) == "validation"]
        assert list(held.index[held.label == "a"]) == [10, 11, 12, 13, 14, 15]
        assert (held.label == "b").sum() == 4


def test_picture_that_rounding_leaves_goes_to_the_class_where_most_is_missing():
    # A fifth of 21 is 4.2, rounded up 5: 1.6, 1.4 and 1.2 give one each, and a and b one more.
    listed = list_pictures(a=8, b=7, c=6)
    part = split.split(listed, 0)
    held = listed.label[part == "validation"].value_counts()
    assert held.to_dict() == {"a": 2, "b": 2, "c": 1}


def test_of_equal_classes_the_first_by_name_gives_the_picture_that_rounding_leaves():
    listed = list_pictures(b=7, a=7)
    part = split.split(listed, 0)
    held = listed.label[part == "validation"].value_counts()
    assert held.to_dict() == {"a": 2, "b": 1}


def make_table(pictures):
    return pictures.assign(problem="", action="")


def test_given_parts_are_kept_and_a_group_of_both_stays_in_validation_alone():
    table = make_table(give_copies(list_pictures(a=6, b=6), row7=2))
    table["part"] = "train"
    table.loc[[4, 7, 11], "part"] = "validation"
    before = table.part.copy()
    split.note_both_parts(table)
    assert list_checks(table).to_numpy().tolist() == [
        ["a/0002.jpg", "in_both_parts", "left out"]
    ]
    assert (table.part == before).all()


def test_identity_follows_contents_labels_and_parts_and_nothing_else(
    prepared, prepare_set, draw_classes
):
    before = identify_set(prepared)
    table = read_split(prepared)
    prepared.save_table(table[::-1], "split.csv")
    assert identify_set(prepared) == before
    # Another folder, another name of a file: the same set.
    (prepared.train / "red/000.png").rename(prepared.train / "red/zzz.png")
    prepare_set(prepared)
    assert identify_set(prepared) == before
    seen = {before}
    table = read_split(prepared)
    for column, value in (("label", "NA"), ("part", "validation")):
        changed = table.copy()
        changed.loc[changed[column] != value, column] = value
        prepared.save_table(changed, "split.csv")
        seen.add(identify_set(prepared))
    shutil.rmtree(prepared.train)
    draw_classes(prepared.train, 10)
    prepare_set(prepared)
    assert identify_set(prepared) == before
    file = prepared.train / "red/003.png"
    file.write_bytes((prepared.train / "red/004.png").read_bytes() + b"\0")
    prepare_set(prepared)
    # One picture has another content, and the same name.
    assert identify_set(prepared) not in seen


def test_folds_keep_groups_together_and_classes_even():
    y_true = np.repeat([0, 1, 2], [100, 50, 25])
    groups = np.arange(175)
    groups[:20] = groups[0]
    groups[100:110] = groups[100]
    for given in (groups, np.arange(175)):
        fold = split.deal_folds(y_true, given, 5, seed=3)
        assert (pd.Series(fold).groupby(given).nunique() == 1).all()
        for label, even in ((0, 20), (1, 10), (2, 5)):
            counts = np.bincount(fold[y_true == label], minlength=5)
            assert abs(counts - even).max() <= 2
        assert np.array_equal(fold, split.deal_folds(y_true, given, 5, seed=3))
        assert not np.array_equal(fold, split.deal_folds(y_true, given, 5, seed=4))


@pytest.mark.parametrize("groups", [np.arange(12), np.arange(12) // 2])
def test_classes_with_fewer_pictures_than_folds_are_dealt_without_a_warning(
    groups, recwarn
):
    for y_true in (np.arange(12) % 6, np.r_[np.zeros(10, int), 1, 1]):
        fold = split.deal_folds(y_true, groups, 5, seed=0)
        assert set(fold) == set(range(5))
        assert not recwarn
        assert (pd.Series(fold).groupby(groups).nunique() == 1).all()


def test_too_few_groups_for_the_folds_are_an_error():
    with pytest.raises(ValueError, match="12 pictures are 3 groups.*5 folds"):
        split.deal_folds(np.arange(12) % 2, np.arange(12) % 3, 5, seed=0)


def test_split_of_other_files_than_the_pictures_is_an_error(prepared):
    renamed = read_split(prepared).replace("red/000.png", "red/x.png")
    prepared.save_table(renamed, "split.csv")
    words = "split.csv has other files than pictures.csv: run 01 again"
    with pytest.raises(ValueError, match=words):
        read_split(prepared)
