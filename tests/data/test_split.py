import numpy as np
import pandas as pd
import pytest

from lib.data import split
from lib.data.split import identify_set, read_split


def list_pictures(**support):
    """List so many pictures of each class, each of its own content and group."""
    labels = np.repeat(list(support), list(support.values()))
    files = [f"{label}/{number}.jpg" for number, label in enumerate(labels)]
    listed = pd.DataFrame({"file": files, "label": labels, "digest": files})
    return listed.assign(group=listed.index)


def split_files(pictures, seed):
    """Return split.csv of some pictures."""
    table = pictures[["file", "label"]].assign(part=split.split(pictures, seed))
    return table.sort_values("file", ignore_index=True)


def count_validation(pictures, seed):
    """Return how many pictures of each class are for validation."""
    labels = pictures.label[split.split(pictures, seed) == "validation"]
    return labels.value_counts().to_dict()


def count_most_values(values, groups):
    """Return how many different values the pictures of one group have, at most."""
    return pd.Series(values).groupby(groups).nunique().max()


@pytest.fixture(scope="module")
def insects():
    """Ten classes of unequal size, 10,010 pictures."""
    return list_pictures(**{f"class{k}": 956 + 10 * k for k in range(10)})


def test_split_of_10010_pictures_is_8008_and_2002_stratified_and_disjoint(insects):
    table = split_files(insects, 42)

    assert table.part.value_counts().to_dict() == {"train": 8008, "validation": 2002}
    held = table.label[table.part == "validation"].value_counts()
    missing = insects.label.value_counts() / 5 - held
    assert missing.abs().max() < 1


def test_same_seed_gives_the_same_parts_whatever_the_order_of_the_rows(insects):
    shuffled = insects.sample(frac=1, random_state=0)

    first = split_files(insects, 1)

    assert split_files(shuffled, 1).equals(first)
    assert not split_files(insects, 2).equals(first)


def test_added_picture_moves_at_most_two_others(insects):
    few = insects.groupby("label").head(57)
    for seed in range(60):
        # The sizes of the classes differ each time.
        fewer = few.sample(300, random_state=seed)
        added = insects[insects.label == f"class{seed % 10}"].tail(1)

        before = split.split(fewer, seed)
        after = split.split(pd.concat([fewer, added]), seed)

        moved = before != after[before.index]
        assert moved.sum() <= 2


def test_group_is_what_contents_groups_and_likeness_connect():
    listed = list_pictures(a=8)
    listed["digest"] = list("ppqrstuv")
    listed["group"] = ["", "g", "g", "", "h", "", "h", ""]

    # 0 and 1 are equal, 1 and 2 of one group, 2 looks like 3; 4 and 6 are of one group.
    group = split.find_groups(listed, [("q", "r"), ("u", "t")])

    numbers, _ = pd.factorize(group)
    assert numbers.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]


def test_groups_share_a_part_and_the_classes_keep_their_fifths(insects):
    few = insects.groupby("label").head(100)
    few = few.sample(frac=1, random_state=0, ignore_index=True)
    # Half of the pictures show 150 animals, and those of one animal are of several classes.
    few.loc[:499, "group"] = np.random.default_rng(0).integers(-150, 0, 500)
    for seed in range(10):
        part = split.split(few, seed)
        held = few.label[part == "validation"].value_counts()
        assert count_most_values(part, few.group) == 1
        assert (held - 20).abs().max() <= 1
        assert held.sum() == 200


def test_class_whose_groups_are_too_large_for_its_fifth_gives_its_smallest():
    pictures = list_pictures(a=10, b=10, c=10)
    pictures["group"] = np.repeat([1, 2, 3, 4], [6, 4, 10, 10])
    assert count_validation(pictures, seed=0) == {"a": 4}


@pytest.mark.parametrize(
    ("support", "held"),
    [
        # A fifth of 21 is 4.2, rounded up 5: 1.6, 1.4 and 1.2 give one each, and a and b one more.
        ({"a": 8, "b": 7, "c": 6}, {"a": 2, "b": 2, "c": 1}),
        # Of equal classes the first by name.
        ({"b": 7, "a": 7}, {"a": 2, "b": 1}),
    ],
)
def test_pictures_that_rounding_leaves_are_of_classes_where_most_is_missing(
    support, held
):
    assert count_validation(list_pictures(**support), seed=0) == held


@pytest.mark.parametrize("column", ["label", "part", "digest"])
def test_other_contents_labels_or_parts_make_another_set(prepared, column):
    rows = read_split(prepared)
    changed = rows.copy()
    changed.loc[0, column] = "other"
    assert identify_set(changed) != identify_set(rows)


def test_identity_of_a_set_depends_neither_on_names_of_files_nor_on_their_order(
    prepared,
):
    rows = read_split(prepared)
    renamed = rows.assign(file="elsewhere/" + rows.file)[::-1]
    assert identify_set(renamed) == identify_set(rows)


GROUPS = np.arange(175)
GROUPS[:20] = 0
GROUPS[100:110] = 100
SIZES = np.repeat([0, 1, 2], [100, 50, 25])


def test_folds_keep_groups_together_and_classes_even():
    fold = split.deal_folds(SIZES, GROUPS, 5, seed=3)

    counts = pd.crosstab(fold, SIZES)
    assert count_most_values(fold, GROUPS) == 1
    assert counts.shape == (5, 3)
    assert (counts - [20, 10, 5]).abs().to_numpy().max() <= 2


def test_folds_depend_on_the_seed_alone():
    first, again, other = (
        split.deal_folds(SIZES, GROUPS, 5, seed).tolist() for seed in (3, 3, 4)
    )
    assert first == again != other


@pytest.mark.parametrize("y_true", [np.arange(12) % 6, np.arange(12) // 10])
@pytest.mark.parametrize("size", [1, 2])
def test_classes_with_fewer_pictures_than_folds_are_dealt_without_a_warning(
    y_true, size, recwarn
):
    fold = split.deal_folds(y_true, np.arange(12) // size, 5, seed=0)
    assert set(fold) == {0, 1, 2, 3, 4}
    assert not recwarn


def test_too_few_groups_for_the_folds_are_an_error():
    number = np.arange(12)
    with pytest.raises(ValueError, match="12 .* 3 groups.* 5 folds"):
        split.deal_folds(number % 2, number % 3, 5, seed=0)
