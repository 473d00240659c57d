"""Groups that names and folders tell: augmented copies, and series as films and patients."""

import pandas as pd
import pytest

from lib.data.findings import find
from lib.data.series import (
    describe_series,
    find_originals,
    group_files,
    name_bursts,
)
from lib.data.split import split

HASHES = ("0f" * 16, "1e" * 16)
UUIDS = ("6f1c2d3e-0000-4a5b-8c9d-0123456789ab", "7a1c2d3e-0000-4a5b-8c9d-0123456789ab")


def label_files(files, labels=None):
    """List files; without labels, the first folder of each is its class."""
    pictures = pd.DataFrame({"file": files})
    folder = pictures.file.str.removeprefix("../valid/").str.split("/").str[0]
    pictures["label"] = labels or folder
    return pictures.assign(group="", taken=pd.NaT)


def list_groups(pictures, group_by):
    """List the groups as lists of files, each sorted."""
    listed = group_files(pictures, find([], ""), group_by)
    by_group = listed[listed.group != ""].groupby("group").file
    return sorted(sorted(files) for _, files in by_group)


def divide(pictures, group_by):
    """Return the pictures with their parts, by groups that names tell alone."""
    listed = group_files(pictures, find([], ""), group_by)
    grouped = listed.assign(group=listed.group.where(listed.group != "", listed.file))
    parts = split(grouped.assign(digest=grouped.file), seed=0)
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

    originals = find_originals(pd.Series(files + others))

    assert list(originals) == ["cat/1", "cat/1", *others]


NO_COPIES = {
    "of two pictures": ["cat/crop_1.jpg", "cat/crop_2.jpg", "cat/noise_3.jpg"],
    "folders": ["crop_field/1.jpg", "crop_field/aug_data/2.jpg", "field/1.jpg"],
    "endings": ["cat/1.jpg", "cat/1.png"],
    "no word": ["cat/1.jpg", "cat/rotor_1.jpg", "cat/1_credited.jpg"],
}


@pytest.mark.parametrize("kind", NO_COPIES)
def test_names_that_look_alike_are_no_copies(kind):
    files = pd.Series(NO_COPIES[kind])
    assert find_originals(files).equals(files)


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


def test_pictures_of_the_folder_directly_below_their_class_are_one_group():
    third = ["cat/video3/1.jpg", "cat/video3/b.jpg"]
    year = ["cat/2020/video4/1.jpg", "cat/2020/video5/1.jpg"]
    others = ["cat/1.jpg", "cat/2.jpg", "cat/alone/1.jpg"]

    groups = list_groups(label_files(third + year + others), "folder")

    assert groups == [year, third]


def test_folder_of_one_name_in_two_classes_is_one_group_if_it_has_a_number():
    patient = ["ill/patient4/1.jpg", "well/patient4/2.jpg"]
    views = ["ill/indoor/1.jpg", "ill/indoor/2.jpg"]
    other_views = ["well/indoor/1.jpg", "well/indoor/2.jpg"]
    pictures = label_files(patient + views + other_views)

    assert list_groups(pictures, "folder") == [views, patient, other_views]


def test_where_a_csv_file_labels_a_folder_directly_below_train_is_a_group():
    site = ["site0/05-01/1.png", "site0/05-02/1.png"]
    others = ["1.png", "2.png", "ill/1.png", "ill/2.png"]
    labels = ["ill", "well", "ill", "ill", "ill", "ill"]

    groups = list_groups(label_files(site + others, labels), "folder")

    assert groups == [site]


def test_copies_belong_to_the_series_of_their_original():
    frames = ["cat/clip0_frame1.jpg", "cat/clip0_frame2.jpg", "cat/clip0_frame3.jpg"]
    copies = ["cat/aug/clip0_frame1_flip.jpg", "cat/rot_clip0_frame2.jpg"]

    groups = list_groups(label_files(copies + frames), "name")

    assert groups == [sorted(copies + frames)]


def test_series_go_on_in_the_other_part_unless_names_begin_anew():
    on = ["cat/c0_1.jpg", "../valid/cat/c0_2.jpg"]
    anew = ["dog/c0_1.jpg", "dog/c0_2.jpg", "../valid/dog/c0_1.jpg"]

    groups = list_groups(label_files(on + anew), "name")

    assert groups == [sorted(on), anew[:2]]


def name_dated(taken):
    """Return the bursts of files, by file, each taken so many seconds after the first."""
    seconds = pd.to_timedelta(list(taken.values()), "s")
    pictures = label_files(list(taken)).assign(
        taken=pd.Timestamp("2024-05-01") + seconds
    )
    bursts = name_bursts(pictures, 60)
    return dict(zip(pictures.file[bursts.index], bursts))


def test_pictures_within_seconds_of_the_one_before_are_a_burst():
    taken = {"cat/1.jpg": 75, "cat/2.jpg": 30, "cat/3.jpg": 0, "cat/4.jpg": 136}

    bursts = name_dated(taken | {"cat/5.jpg": None})

    first = bursts["cat/3.jpg"]
    other = bursts.pop("cat/4.jpg")
    assert bursts == dict.fromkeys(["cat/1.jpg", "cat/2.jpg", "cat/3.jpg"], first)
    assert other != first


def test_burst_goes_on_in_another_class_and_part_but_not_in_another_folder():
    one = {
        "cat/1.jpg": 0,
        "dog/2.jpg": 20,
        "../valid/cat/3.jpg": 40,
        "../valid/dog/4.jpg": 60,
    }
    site = {"cat/site1/4.jpg": 0, "dog/site1/5.jpg": 20}

    bursts = name_dated(one | site)

    assert len({bursts[file] for file in one}) == 1
    assert len({bursts[file] for file in site}) == 1
    assert len(set(bursts.values())) == 2


def number_files(form, series, pictures=10):
    """Name the pictures of some series in two classes."""
    files = []
    for first in range(series):
        name = form.format(first, "{0}", label="cat" if first % 2 else "dog")
        files.extend(name.format(number) for number in range(pictures))
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
    pictures = label_files(number_files(form, count))
    group_by = "folder" if kind in ("folder", "visits") else "name"

    said = describe_series(divide(pictures, "none"))

    assert said.startswith(f"Note: series lie in both parts: by {group_by}: ")
    assert f" of {count}, as " in said
    assert said.endswith(f'set GROUP_BY in 01 to "{group_by}".')
    assert describe_series(divide(pictures, group_by)) == ""


# The name of a picture, and its series in it, which no GROUP_BY keeps in one part.
LEFT = {
    "slides": ("slide{one}_x{two}_y{three}.png", "(slide.)"),
    "eyes": ("1{one}_{side}.jpeg", "(1.)_"),
    "eyes of one letter": ("1{one}{side[0]}.jpeg", "(1.)[lr]"),
    "letters": ("p{one}{side[0]}.jpeg", "(p.)[lr]"),
}


@pytest.mark.parametrize("group_by", ["none", "name"])
@pytest.mark.parametrize("kind", LEFT)
def test_series_that_no_parameter_keeps_whole_are_counted_for_the_column_group(
    kind, group_by
):
    form, pattern = LEFT[kind]
    files = []
    for number in range(72):
        series = number // 12
        side = ("left", "right")[number % 2]
        name = form.format(one=series, two=number % 4, three=number % 3, side=side)
        files.append(f"{'ab'[series % 2]}/{name}")
    pictures = label_files(sorted(set(files)))
    grouped = divide(pictures, group_by)
    series = grouped.file.str.extract(pattern)[0]
    count = (grouped.part.groupby(series).nunique() > 1).sum()

    said = describe_series(grouped)

    assert f"by beginning: {count} of 6, as " in said
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
