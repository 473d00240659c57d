"""Groups that names and folders tell: augmented copies, and series as films and patients."""

import re

import pandas as pd
import pytest

from lib.data.series import (
    describe_series,
    group_files,
    name_bursts,
)
from lib.data.split import find_groups, split

HASHES = ("0f" * 16, "1e" * 16)
UUIDS = ("6f1c2d3e-0000-4a5b-8c9d-0123456789ab", "7a1c2d3e-0000-4a5b-8c9d-0123456789ab")


def label_files(files, labels=None):
    """List files; without labels, the first folder of each is its class."""
    pictures = pd.DataFrame({"file": files}, dtype=str)
    pictures["label"] = labels or pictures.file.str.split("/").str[0]
    return pictures.assign(problem="", group="", taken=pd.NaT)


def list_groups(pictures, group_by):
    """List the groups of several pictures as lists of files, each sorted."""
    listed = group_files(pictures, group_by)
    groups = find_groups(listed.assign(digest=listed.file))
    by_group = listed.file.groupby(groups)
    return sorted(sorted(files) for _, files in by_group if len(files) > 1)


def divide(pictures, group_by):
    """Return the pictures with their parts, by groups that names tell alone."""
    listed = group_files(pictures, group_by)
    listed["digest"] = listed.file
    parts = split(listed.assign(group=find_groups(listed)), seed=0)
    return pictures.assign(part=parts)


COPIES = f"""\
1 rotated_1
1 aug_1
1 1_edited
1 rot90_1_flip
1_jpg.rf.{HASHES[0]} 1_jpg.rf.{HASHES[1]}
1 1_vflip_crop
1_aug1 1-aug-2
rotated_1 Blurred-1
1 cat_original_1.jpg_{UUIDS[0]}
1 output/cat_original_1.jpg_{UUIDS[0]}
cat_original_1.JPG_{UUIDS[0]} cat_original_1.JPG_{UUIDS[1]}"""


@pytest.mark.parametrize("line", COPIES.split("\n"))
def test_names_of_augmented_copies_are_told_before_and_behind_that_of_the_original(
    line,
):
    files = [f"cat/{name}.jpg" for name in line.split()]
    others = ["cat/2.jpg", "cat/aug_3.jpg", "dog/1.jpg"]

    assert list_groups(label_files(files + others), "none") == [sorted(files)]


def test_names_that_look_alike_are_no_copies():
    of_two_pictures = ["cat/crop_1.jpg", "cat/crop_2.jpg", "cat/noise_3.jpg"]
    folders = ["crop_field/1.jpg", "crop_field/aug_data/2.jpg", "field/1.jpg"]
    endings = ["dog/1.jpg", "dog/1.png"]
    no_words = ["bird/1.jpg", "bird/rotor_1.jpg", "bird/1_credited.jpg"]
    files = of_two_pictures + folders + endings + no_words

    assert list_groups(label_files(files), "none") == []


def test_equal_names_in_two_parts_are_two_pictures_and_each_has_its_copies():
    train = ["cat/1.jpg", "cat/1_rot15.jpg", "cat/2.jpg"]
    validation = ["../valid/cat/1.jpg", "../valid/cat/1_flip.jpg", "../valid/dog/1.jpg"]

    groups = list_groups(label_files(train + validation), "none")

    assert groups == [validation[:2], train[:2]]


def test_names_that_differ_in_the_last_number_are_one_group():
    series = [
        ["cat/clip0_frame1.jpg", "cat/clip0_frame20.png"],
        ["cat/p12_3b.jpg", "cat/p12_4b.jpg"],
        ["dog/clip0_frame1.jpg", "dog/clip0_frame2.jpg"],
        ["dog/tile_3_6.jpg", "dog/tile_3_7.jpg"],
    ]
    others = ["cat/0001.jpg", "cat/0002.jpg", "cat/(3).jpg", "cat/frog.jpg"]
    others += ["cat/clip1_frame1.jpg", "dog/tile_4_7.jpg", "cat/more/clip0_frame2.jpg"]

    groups = list_groups(label_files(sum(series, others)), "name")

    assert groups == series


def test_no_pictures_have_no_series():
    assert list_groups(label_files([]), "name") == []


def test_copies_belong_to_the_given_group_of_their_original():
    files = ["cat/f_1.jpg", "cat/f_1_rot15.jpg", "cat/g_2.jpg", "cat/g_3.jpg"]
    pictures = label_files(files).assign(group=["one", "", "one", ""])

    # A given group goes before the series of names.
    assert list_groups(pictures, "name") == [files[:3]]


def test_burst_goes_on_in_another_part_and_where_a_label_was_corrected():
    files = ["cat/1.jpg", "dog/2.jpg", "../valid/cat/3.jpg", "../valid/dog/4.jpg"]
    labels = ["dog", "dog", "cat", "dog"]
    seconds = pd.to_timedelta([0, 50, 100, 150], "s")
    pictures = label_files(files, labels)
    pictures["taken"] = pd.Timestamp("2024-05-01") + seconds

    assert name_bursts(pictures, 60).nunique() == 1


def name_files(form, series, pictures=range(10)):
    """Name the pictures of some series in two classes."""
    files = []
    for number in range(series):
        label = "cat" if number % 2 else "dog"
        files.extend(form.format(number, each, label=label) for each in pictures)
    return files


SERIES = {
    "film": ("{label}/clip{0}_frame000{1}.jpg", 8),
    "frame": ("{label}/clip{0}frame{1}.jpg", 8),
    "slide": ("{label}/slide1{0}_tile_{1}.png", 8),
    "patient": ("{label}/person{0}_bacteria_{1}.jpeg", 10),
    "short": ("{label}/P0{0}_{1}.png", 10),
    "roboflow": (f"{{label}}/v{{0}}_mp4-{{1}}_jpg.rf.{HASHES[0]}.jpg", 8),
    "folder": ("{label}/video{0}/000{1}.jpg", 8),
    "visits": ("{label}/patient{0}/visit{1}/0.png", 8),
}


@pytest.mark.parametrize("kind", SERIES)
def test_divided_series_are_counted_and_the_parameter_keeps_each_in_one_part(kind):
    form, count = SERIES[kind]
    pictures = label_files(name_files(form, count))
    group_by = "folder" if kind in ("folder", "visits") else "name"

    said = describe_series(divide(pictures, "none"))

    assert said.startswith(f"Note: series lie in both parts: by {group_by}: ")
    assert f" of {count}, as " in said
    assert said.endswith(f'set GROUP_BY in 01 to "{group_by}".')
    assert describe_series(divide(pictures, group_by)) == ""


LEFT = {
    "slides": ("slide{0}_{1}.png", ["x0_y0", "x0_y1", "x1_y0", "x1_y1"]),
    "eyes": ("1{0}_{1}.jpeg", ["left", "right"]),
    "eyes of one letter": ("1{0}{1}.jpeg", "lr"),
    "letters": ("p{0}{1}.jpeg", "abcde"),
}


@pytest.mark.parametrize("kind", LEFT)
def test_series_that_no_parameter_keeps_whole_need_the_column_group(kind):
    form, pictures = LEFT[kind]
    files = name_files("{label}/" + form, 8, pictures)

    said = describe_series(divide(label_files(files), "name"))

    assert re.search(r"by beginning: \d of 8, as ", said)
    assert said.endswith("name each in the column group of train_labels.")


# Names of 20 pictures each, of one form or in turn of two.
NO_SERIES = {
    "numbers": "{n:04d}.jpg",
    "class": "{label}.{n}.jpg",
    "brackets": "{label} ({n}).jpg",
    "camera": "IMG_20{n}.jpg",
    "synset": "n01440764_{n}.JPEG",
    "X-rays": "IM-{few:04d}-{n:04d}.jpeg",
    "hashes": "{power:x}.jpg",
    "breeds": "{letter}_{n}.jpg",
    "species": "{letter}/{n}.jpg",
    "in half of the pictures": "p{four}_{n}.jpg,{n}.jpg",
}


@pytest.mark.parametrize("kind", NO_SERIES)
def test_other_names_are_no_series(kind):
    forms = NO_SERIES[kind].split(",")
    files = []
    for n in range(40):
        label = f"cat{n // 20}"
        form = forms[n % len(forms)]
        letter = "abc"[n % 3]
        power = 3 ** (n + 40)
        name = form.format(
            label=label, n=n, few=n % 16, four=n // 4, power=power, letter=letter
        )
        files.append(f"{label}/{name}")

    said = describe_series(divide(label_files(files), "none"))

    assert said == ""
