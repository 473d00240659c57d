"""Where `lib.predict` may write, and which pictures it takes for one group."""

import json
import os
import shutil
import subprocess
import sys

import keras
import pytest

from lib import new_pictures, predict
from lib.models import saved
from lib.workspace import REPOSITORY, read_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory, draw_classes):
    """A folder with four pictures of one class, a tiny model, its facts, and what a set has beside."""
    folder = tmp_path_factory.mktemp("predict")
    draw_classes(folder, 4, ["red"])
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(2, activation="softmax")(pooled)
    keras.Model(inputs, outputs, name="tiny").save(folder / "tiny.keras")
    names = ["a", "b"]
    facts = {"class_names": names}
    facts["file_hash"] = saved.hash_file(folder / "tiny.keras", names)
    (folder / "tiny.json").write_text(json.dumps(facts))
    return folder


def ask(folder, arguments):
    command = [folder / "tiny.keras"] + arguments
    return predict.predict_pictures([str(word) for word in command])


@pytest.mark.parametrize(
    "target", ["groups.csv", "scenes.csv", "notes.txt", "device.csv"]
)
def test_answers_never_take_the_place_of_something_else(
    folder, target, read_all, capfd
):
    (folder / "groups.csv").write_text("file,group\n000.png,a\n")
    (folder / "scenes.csv").write_text("file,labels\n000.png,cat|dog\n")
    (folder / "notes.txt").write_text("mine")
    (folder / "device.csv").unlink(missing_ok=True)
    (folder / "device.csv").symlink_to("/dev/null")
    before = read_all(folder)
    arguments = [folder / "red/000.png", "--group-by", folder / "groups.csv"]

    assert ask(folder, [*arguments, "--csv", folder / target]) == 2

    assert str(folder / target) in capfd.readouterr().err
    assert read_all(folder) == before


def test_answers_take_the_place_of_earlier_answers_and_leave_their_neighbours(folder):
    answers = folder / "answers.csv"
    neighbour = folder / "answers.part.csv"
    answers.write_text("file,label,index,probability\nold.png,a,0,0.5\n")
    neighbour.write_text("mine")

    assert ask(folder, [folder / "red", "--csv", answers]) == 0

    assert len(read_table(answers)) == 4
    assert neighbour.read_text() == "mine"


# A process of root that may no longer read what its files forbid.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def locked(tmp_path):
    """A folder of two pictures that can't be read: one forbids it, one lies in a folder that does."""
    picture = tmp_path / "locked.png"
    inside = tmp_path / "closed/inside.png"
    inside.parent.mkdir()
    for path in (picture, inside):
        path.touch()
    picture.chmod(0)
    inside.parent.chmod(0)
    yield [picture, inside]
    inside.parent.chmod(0o700)


def test_file_without_permission_has_its_row_and_others_their_answers(
    folder, locked, tmp_path
):
    prefix = []
    if os.geteuid() == 0:
        if shutil.which(WITHOUT_RIGHTS[0]) is None:
            pytest.skip("root may read everything")
        prefix = WITHOUT_RIGHTS
    answers = tmp_path / "answers.csv"
    asked = [folder / "tiny.keras", *locked, folder / "red/000.png", "--csv", answers]
    command = [*prefix, sys.executable, "-m", "lib.predict", *map(str, asked)]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)

    assert done.returncode == 1
    for path in locked:
        assert f"{path}: unreadable" in done.stderr
    table = read_table(answers)
    assert list(table.file) == list(map(str, asked[1:4]))
    assert list(table.label == "") == [True, True, False]


@pytest.mark.parametrize("how", ["folder", "{}/groups.csv"])
def test_link_to_itself_is_a_picture_that_can_not_be_read(folder, tmp_path, how):
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    (tmp_path / "groups.csv").write_text("file,group\nloop.png,a\n")
    answers = tmp_path / "answers.csv"

    arguments = [tmp_path, "--group-by", how.format(tmp_path), "--csv", answers]

    assert ask(folder, arguments) == 1
    assert read_table(answers).to_dict("list")["file"] == [str(loop)]


def test_a_group_that_is_named_like_a_picture_without_one_does_not_swallow_it(
    tmp_path,
):
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\n0.png,1.png\n1.png,\n2.png,1.png\n3.png,\n")
    files = [str(tmp_path / f"{number}.png") for number in range(4)]

    found = new_pictures.list_groups(str(groups), files)

    assert found[0] == found[2] == "1.png"
    assert len(set(found)) == 3


def test_one_folder_is_one_group_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["red/0.png", str(tmp_path / "red/1.png"), "./red/2.png", "blue/3.png"]

    groups = new_pictures.list_groups("folder", files)

    assert groups == [str(tmp_path / "red")] * 3 + [str(tmp_path / "blue")]
