"""Answers to files: the command line's table, and what is refused before the first picture."""

import errno
import itertools
import json
import os
import re
import shutil
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import add_head, build_classifier, draw_classes, read_all
from keras import layers
from PIL import ExifTags, Image
from scipy.special import softmax

from lib import answering, predict
from lib.base.paths_file import ABOUT
from lib.base.workspace import read_table, write_table
from lib.data import preparation
from lib.data.labels import list_new_pictures
from lib.data.pictures import load
from lib.models import classify, saved

CLASS_NAMES = ["007", "<img src=x onerror=alert(1)>", "NA"]
ODD_NAME = 'a,"b\\n$x$\n.png'
SETS = {"coverage": 0.75, "limit": 0.3, "groups": 40, "grouped": False}
ANSWERS = ["file", "label", "index", "probability"]
# Blank where a model has no limit for them.
LIMITED = ["set", "set_size", "distance", "note"]
NO_PICTURE = b"<html>404</html>"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small untrained model as the notebooks save it."""
    keras.utils.set_random_seed(1)
    model = build_classifier(layers.Rescaling(1 / 255), layers.Flatten())
    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    model.save(path)
    metadata = {"name": "tiny", "class_names": CLASS_NAMES, "image_size": 8}
    metadata["file_hash"] = saved.hash_model(path, CLASS_NAMES)
    path.with_suffix(".json").write_text(json.dumps(metadata), encoding="utf-8")
    return path


@pytest.fixture
def pictures(tmp_path):
    """Forty pictures, one of them with a name that has to be quoted."""
    draw_classes(tmp_path / "new", 40, ["red"])
    (tmp_path / "new/red/007.png").rename(tmp_path / "new/red" / ODD_NAME)
    return tmp_path / "new"


@pytest.fixture
def describe(model_file, tmp_path):
    """Return a function that copies the model and writes a changed JSON beside it."""

    def copy(changes, name="copy.keras"):
        path = tmp_path / name
        path.write_bytes(model_file.read_bytes())
        text = model_file.with_suffix(".json").read_text(encoding="utf-8")
        metadata = json.loads(text) | changes
        metadata["file_hash"] = saved.hash_model(path, metadata["class_names"])
        path.with_suffix(".json").write_text(json.dumps(metadata), encoding="utf-8")
        return path

    return copy


def run(model, pictures, *options):
    """Run the command line, and return its status."""
    arguments = [model, *pictures, *options]
    return predict.predict_pictures([str(argument) for argument in arguments])


@pytest.fixture
def ask(tmp_path):
    """Return a function that runs the command line, and returns its status and its table."""

    def run_and_read(model, pictures, *options):
        path = tmp_path / "answers.csv"
        path.unlink(missing_ok=True)
        status = run(model, pictures, "--csv", path, *options)
        return status, read_table(path)

    return run_and_read


@pytest.fixture
def refuse(tmp_path, capfd):
    """Return a function that runs the command line in vain, and returns what it says."""

    def run_in_vain(model, pictures, *options):
        path = tmp_path / "out.csv"
        assert run(model, pictures, "--csv", path, *options) == 2
        assert not path.exists()
        said = capfd.readouterr()
        assert not said.out
        assert "Traceback" not in said.err
        return said.err

    return run_in_vain


def test_picture_whose_answer_is_no_number_has_a_problem_and_no_label(tmp_path):
    model = build_classifier(layers.Flatten(), classes=2)
    model.set_weights([np.full((192, 2), 1e37), np.zeros(2)])
    for name, grey in (("black", 0), ("white", 255)):
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(tmp_path / f"{name}.png")

    y_prob, _, problems = classify.predict_files(
        model, tmp_path, ["black.png", "white.png"]
    )

    assert np.allclose(y_prob[0], 0.5)
    assert problems.tolist() == ["", "the model gives no number"]


def test_one_picture_gets_the_answer_that_it_gets_among_many(model_file, pictures, ask):
    status, many = ask(model_file, [pictures])

    assert status == 0
    assert list(many.columns) == ANSWERS + LIMITED
    assert len(many) == 40
    assert str(pictures / "red" / ODD_NAME) in set(many.file)
    # Of the first batch of 32, and of the second.
    for row in (0, 39):
        status, one = ask(model_file, [many.file[row]])
        assert status == 0
        assert one.equals(many[row : row + 1].reset_index(drop=True))


def test_model_that_is_asked_again_is_not_built_again(pictures):
    traced = mock.Mock(side_effect=lambda images: images / 255)
    images = keras.Input((8, 8, 3))
    scaled = layers.Lambda(traced, output_shape=(8, 8, 3))(images)
    model = add_head(images, layers.Flatten()(scaled))
    files = list_new_pictures(pictures, []).file
    first, features, _ = classify.predict_files(model, pictures, files)
    count = traced.call_count

    again, _, _ = classify.predict_files(model, pictures, files)

    assert features.any()
    assert np.array_equal(first, again)
    assert traced.call_count == count


def test_answers_are_those_of_the_model_on_the_pixels_of_the_one_loader(
    model_file, pictures
):
    model, record = saved.open_model(model_file)
    files = list_new_pictures(pictures, []).file
    images = np.stack([load(pictures / file, 8) for file in files])

    answers, _, problems = classify.predict_files(model, pictures, files)
    table = classify.predictions_table(files, answers, problems, record)

    y_prob = model.predict_on_batch(images)
    assert list(table.columns) == ["file", "label", "index", "probability", "problem"]
    assert list(table.file) == list(files)
    assert np.allclose(table.probability, y_prob.max(axis=1), atol=1e-6)
    assert (table["index"] == y_prob.argmax(axis=1)).all()


def test_unreadable_file_keeps_its_row_is_named_and_told_by_the_exit_status(
    model_file, pictures, capfd, ask
):
    (pictures / "red/003.png").write_bytes(NO_PICTURE)
    (pictures / "red/phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))

    status, table = ask(model_file, [pictures], "--top=2", "--probabilities")

    assert status == 1
    assert "003.png: not_a_picture" in capfd.readouterr().err
    assert len(table) == 41
    unusable = table[table.file.str.contains("003.png|phone.heic")]
    assert (unusable.drop(columns="file") == "").all(axis=None)
    usable = table.drop(index=unusable.index, columns=LIMITED)
    assert (usable != "").all(axis=None)


@pytest.mark.parametrize("lost", ["copy.keras", "copy.json"])
def test_model_without_one_of_its_files_is_named_and_nothing_is_written(
    lost, describe, pictures, refuse, no_picture_is_read
):
    model = describe({})
    model.with_name(lost).unlink()

    errors = refuse(model, [pictures])

    assert re.search("copy.*json is missing", errors)


@pytest.mark.parametrize("name", ["bare", "gone*.jpg"])
def test_missing_pictures_are_named_and_nothing_is_written(
    name, model_file, pictures, tmp_path, refuse, no_picture_is_read
):
    (tmp_path / "bare").mkdir()
    asked = [pictures, tmp_path / name]

    errors = refuse(model_file, asked)

    assert re.search(f"{re.escape(name)} (holds no|does not exist).* [Nn]ame", errors)


def test_help_ends_with_three_commands_that_are_understood_in_full_words_alone(capfd):
    with pytest.raises(SystemExit):
        predict.predict_pictures(["--help"])
    for command in capfd.readouterr().out.splitlines()[-3:]:
        program, arguments = command.split("lib.predict ")
        assert program.split() == ["python", "-m"]
        assert predict.open_parser().parse_args(arguments.split()).pictures
        with pytest.raises(SystemExit):
            predict.predict_pictures([*arguments.split(), "--prob"])
    assert "unrecognized arguments: --prob" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["wall/out.csv", "wall", ""])
def test_place_of_the_answers_is_checked_before_the_first_picture(
    name, model_file, pictures, tmp_path, refuse, no_picture_is_read
):
    (tmp_path / "wall").write_text("a file")

    errors = refuse(model_file, [pictures], "--csv", tmp_path / name)

    words = f"Not a directory: '{tmp_path}/wall|{tmp_path}(/wall)?/? is there already"
    assert re.search(words, errors)
    assert (tmp_path / "wall").read_text() == "a file"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--top", 4, "1 to 3"),
        ("--group-by", "gone.csv", "gone.csv .* columns file and group"),
        ("--top", 0, "1 to 3"),
        ("--group-by", "", "--group-by is empty"),
        ("--classes", "007,cat", "--classes cat: the classes are 007, "),
        ("--classes", "007,NA,007", "names a class twice"),
        ("--sort-below", 0.5, "needs --sort-into"),
    ],
)
def test_wrong_option_is_named_before_the_first_picture(
    option, value, words, model_file, pictures, refuse, no_picture_is_read
):
    errors = refuse(model_file, [pictures], option, value)

    assert re.search(words, errors)


def test_top_and_probabilities_add_columns_in_order(model_file, pictures, ask):
    _, table = ask(model_file, [pictures], "--top=3", "--probabilities")

    ranked = ["label_2", "probability_2", "label_3", "probability_3"]
    assert list(table.columns) == ANSWERS + ranked + LIMITED + CLASS_NAMES
    for _, row in table.iterrows():
        expected = row[CLASS_NAMES].sort_values(ascending=False, key=pd.to_numeric)
        assert list(row[["label", "label_2", "label_3"]]) == list(expected.index)
        shown = row[["probability", "probability_2", "probability_3"]]
        assert list(shown) == list(expected)


def test_class_named_like_a_column_gets_a_column_of_its_own(describe, pictures, ask):
    names = ["label", "label_2", "cat"]
    model = describe({"class_names": names})

    _, table = ask(model, [pictures], "--top=2", "--probabilities")

    columns = ["label (class)", "label_2 (class)", "cat"]
    best = table[columns].astype(float).to_numpy().argmax(axis=1)
    assert list(best) == list(table["index"].astype(int))


def test_stored_temperature_scales_probabilities_and_leaves_answers(
    describe, pictures, ask, capfd
):
    _, own = ask(describe({}), [pictures], "--top=2", "--probabilities")
    assert "temperature: none" in capfd.readouterr().err
    warm = describe({"temperature": 1.7321}, "warm.keras")

    _, scaled = ask(warm, [pictures], "--top=2", "--probabilities")

    assert "temperature: 1.73" in capfd.readouterr().err
    answers = ["file", "label", "index", "label_2"]
    assert scaled[answers].equals(own[answers])
    logits = np.log(own[CLASS_NAMES].to_numpy(float))
    expected = softmax(logits / 1.7321, axis=1)
    assert np.allclose(scaled[CLASS_NAMES].astype(float), expected, atol=2e-6)


def test_sets_hold_what_reaches_the_limit_and_the_answer(describe, pictures, ask):
    model = describe({"answer_sets": SETS, "temperature": 1.7})

    _, table = ask(model, [pictures], "--probabilities")

    assert len(table) == 40
    for row in table.to_dict("records"):
        above = [name for name in CLASS_NAMES if float(row[name]) >= SETS["limit"]]
        assert set(json.loads(row["set"])) == {row["label"], *above}


def test_without_a_limit_sets_are_blank(describe, pictures, ask):
    model = describe({"answer_sets": SETS | {"limit": None}})

    status, table = ask(model, [pictures])

    assert status == 0
    assert (table[LIMITED] == "").all(axis=None)


@pytest.fixture
def groups(pictures, tmp_path):
    """A file of two groups: a of the first nine pictures, b of the others."""
    names = sorted(map(str, (pictures / "red").iterdir()))
    path = tmp_path / "groups.csv"
    table = pd.DataFrame({"file": names, "group": ["a"] * 9 + ["b"] * 31})
    table.to_csv(path, index=False)
    return path


def test_a_group_has_one_answer_of_all_its_pictures_that_can_be_read(
    model_file, pictures, groups, ask
):
    (pictures / "red/005.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")

    _, table = ask(model_file, [pictures], "--probabilities", "--group-by", groups)

    assert list(table.group[table.label == ""]) == [""]
    usable = table[table.label != ""]
    assert usable.group.value_counts().to_dict() == {"a": 8, "b": 31}
    for _, of_group in usable.groupby("group"):
        logits = np.log(of_group[CLASS_NAMES].to_numpy(float)).mean(axis=0)
        best = CLASS_NAMES[logits.argmax()]
        agree = (of_group.label == best).sum()
        row = of_group.iloc[0]
        assert row.group_label == best
        assert row.group_size == str(len(of_group))
        assert row.group_agree == str(agree)
        probability = float(row.group_probability)
        assert probability == pytest.approx(softmax(logits).max(), abs=1e-4)


def test_a_picture_without_a_group_is_alone(tmp_path):
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\n0.png,1.png\n1.png,\n2.png,1.png\n")
    files = [str(tmp_path / f"{number}.png") for number in range(4)]

    found = preparation.form_groups(str(groups), None, files, [tmp_path])

    assert list(found.group) == ["1.png", files[1], "1.png", files[3]]


def test_bursts_have_one_answer_and_pictures_their_date(model_file, tmp_path, ask):
    (tmp_path / "new").mkdir()
    for number, time in enumerate(["12:00:00", "12:00:50", "12:02:00", ""]):
        exif = Image.Exif()
        date = f"2024:05:01 {time}"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
        picture = Image.new("RGB", (20, 20), (200, 60 * number, 9))
        picture.save(tmp_path / f"new/{number}.jpg", exif=exif)
    (tmp_path / "new/00.jpg").write_bytes(NO_PICTURE)

    _, table = ask(model_file, [tmp_path / "new"], "--group-by", "time")

    assert list(table.taken.str[11:]) == ["12:00:00", "", "12:00:50", "12:02:00", ""]
    assert list(table.group_size) == ["2", "", "2", "1", "1"]


@pytest.fixture
def kill(tmp_path, monkeypatch):
    """Stop a command after its first block of five pictures or more."""

    def kill_one(*arguments):
        monkeypatch.setattr(answering, "BLOCK", 5)
        answers = [mock.DEFAULT, KeyboardInterrupt]
        killed = mock.Mock(wraps=classify.predict_files, side_effect=answers)
        with monkeypatch.context() as patch:
            patch.setattr(classify, "predict_files", killed)
            model, asked, *options = arguments
            assert run(model, asked, "--csv", tmp_path / "answers.csv", *options) == 130

    return kill_one


def test_command_that_was_killed_goes_on_to_the_same_bytes(
    model_file, pictures, groups, ask, kill, monkeypatch, tmp_path
):
    (pictures / "red/003.png").write_bytes(NO_PICTURE)
    arguments = [model_file, [pictures], "--group-by", groups, "--top=2"]
    ask(*arguments)
    whole = (tmp_path / "answers.csv").read_bytes()
    (tmp_path / "answers.csv").unlink()
    kill(*arguments)
    goes_on = mock.Mock(side_effect=classify.predict_files)
    monkeypatch.setattr(classify, "predict_files", goes_on)

    ask(*arguments)

    assert (tmp_path / "answers.csv").read_bytes() == whole
    goes_on.assert_called_once()
    # No group is divided.
    assert len(goes_on.call_args.args[2]) == 31
    assert not list(tmp_path.glob("*unfinished*"))


def test_each_answer_is_written_once_before_the_whole_table(
    model_file, pictures, ask, monkeypatch
):
    monkeypatch.setattr(answering, "BLOCK", 5)
    kept = mock.Mock(side_effect=write_table)
    monkeypatch.setattr(answering, "write_table", kept)

    ask(model_file, [pictures])

    assert sum(len(call.args[0]) for call in kept.call_args_list) == 40


def test_groups_that_were_corrected_after_a_kill_count(
    model_file, pictures, groups, ask, kill
):
    arguments = [model_file, [pictures], "--group-by", groups]
    kill(*arguments)
    rows = read_table(groups)
    write_table(rows.assign(group=rows.file), groups)

    _, table = ask(*arguments)

    assert set(table.group_size) == {"1"}


def test_a_stop_is_told_in_one_sentence(model_file, pictures, kill, capfd):
    kill(model_file, [pictures])

    last = capfd.readouterr().err.splitlines()[-1]
    assert last == "stopped; a command with --csv goes on when run again"


def test_picture_that_changed_after_a_stop_is_answered_anew(
    model_file, pictures, ask, kill
):
    kill(model_file, [pictures])
    first = sorted(pictures.glob("red/*"))[0]
    first.write_bytes(NO_PICTURE)

    _, table = ask(model_file, [pictures])

    assert list(table.file[table.label == ""]) == [str(first)]


def test_block_that_was_damaged_after_a_stop_is_answered_anew(
    model_file, pictures, ask, kill, tmp_path
):
    _, whole = ask(model_file, [pictures])
    (tmp_path / "answers.csv").unlink()
    kill(model_file, [pictures])
    (block,) = tmp_path.glob("answers.csv_unfinished/*.gz")
    block.write_bytes(block.read_bytes()[:-9])

    _, table = ask(model_file, [pictures])

    assert table.equals(whole)


def test_other_options_or_another_model_begin_anew_with_a_note(
    model_file, describe, pictures, ask, kill, tmp_path, capfd
):
    kill(model_file, [pictures])
    others = [(model_file, ["--top=2"]), (describe({"temperature": 2.0}), [])]
    for model, options in others:
        ask(model, [pictures], *options)

        said = capfd.readouterr().err
        assert "Note: " in said
        assert "of other options or another model: beginning anew" in said
        assert not list(tmp_path.glob("*unfinished*"))
        (tmp_path / "answers.csv").unlink()
        kill(model_file, [pictures])


@pytest.mark.parametrize("option", ["--csv", "--sort-into"])
def test_folder_of_others_that_is_called_like_an_unfinished_one_is_left_alone(
    option, model_file, pictures, tmp_path, capfd, no_picture_is_read
):
    folder = tmp_path / "out_unfinished"
    folder.mkdir()
    # Results of ours, too.
    (folder / "about_this_folder.txt").touch()

    assert run(model_file, [pictures], option, tmp_path / "out") == 2

    assert f"{folder} is not new or empty" in capfd.readouterr().err
    assert len(list(folder.iterdir())) == 1


def test_results_are_no_place_for_copies(
    model_file, pictures, tmp_path, refuse, no_picture_is_read
):
    results = tmp_path / "results"
    results.mkdir()
    (results / "about_this_folder.txt").write_text(ABOUT)

    errors = refuse(model_file, [pictures], "--sort-into", results)

    assert "results is not new or empty" in errors
    assert results.exists()


def test_picture_whose_name_ends_a_line_has_its_row(model_file, tmp_path, ask):
    path = tmp_path / "one\rtwo.png"
    Image.new("RGB", (9, 9)).save(path)

    status, table = ask(model_file, [path], "--sort-into", tmp_path / "sorted")

    assert status == 0
    assert list(table.file) == [str(tmp_path / "one\\rtwo.png")]
    assert len(list(tmp_path.glob("sorted/*/one\rtwo.png"))) == 1


@pytest.mark.parametrize("given", [["a,b", "c"], ["a,b"], ["c,b"]])
def test_classes_are_named_one_by_one_or_with_commas(describe, pictures, ask, given):
    model = describe({"class_names": ["a,b", "b", "c"]})
    options = [f"--classes={text}" for text in given]

    _, table = ask(model, [pictures], *options)

    named = {"c", "b"} if given == ["c,b"] else set(given)
    assert set(table.label) <= named


TEN = "--probabilities --top=2 --group-by=folder --classes=007,NA --sort-into=sorted".split()
SINGLE = [*TEN, "--sort-into=sorted --sort-below=0.35"]


def test_every_two_options_do_what_each_does_alone(
    model_file, tmp_path, ask, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    draw_classes(tmp_path / "new", 5, ["red", "NA"])
    alone = {"": ask(model_file, ["new"])[1]}
    for option in SINGLE:
        alone[option] = ask(model_file, ["new"], *option.split())[1]
        shutil.rmtree("sorted", ignore_errors=True)

    for one, other in itertools.combinations(SINGLE, 2):
        options = {*one.split(), *other.split()}
        _, table = ask(model_file, ["new"], *options)

        assert set(table) == {*alone[one], *alone[other]}
        like = "--classes=007,NA" if "--classes=007,NA" in options else ""
        columns = alone[like].columns
        assert table[columns].equals(alone[like])
        assert ("--sort-into=sorted" in options) == Path("sorted").exists()
        if "--sort-into=sorted" in options:
            least = 0.35 if "--sort-below=0.35" in options else 0
            is_sure = table.probability.astype(float) >= least
            folders = table.label.where(is_sure, "to_check")
            copies = [path.parent.name for path in Path("sorted").rglob("*.png")]
            assert sorted(copies) == sorted(folders)
            assert read_table("sorted/predictions.csv").equals(table)
            shutil.rmtree("sorted")


def test_picture_that_is_named_three_times_counts_once(model_file, pictures, ask):
    first = pictures / "red/000.png"

    _, table = ask(model_file, [first, f"{pictures}/red/../red/000.png", pictures])

    assert table.file[0] == str(first)
    assert len(table) == 40


def test_one_folder_is_one_group_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["red/0.png", str(tmp_path / "red/1.png"), "./red/2.png", "blue/3.png"]

    found = preparation.form_groups("folder", None, files, [])

    assert list(found.group) == [str(tmp_path / "red")] * 3 + [str(tmp_path / "blue")]


def test_where_some_classes_can_occur_alone_they_share_the_probability(
    describe, pictures, ask
):
    model = describe({"answer_sets": SETS, "temperature": 1.7})
    _, plain = ask(model, [pictures], "--probabilities")
    possible = ["007", "NA"]

    _, table = ask(model, [pictures], "--probabilities", "--classes=007,NA")

    shares = plain[possible].astype(float)
    expected = shares.div(shares.sum(axis=1), axis=0)
    found = table[possible].astype(float)
    assert np.allclose(found, expected, atol=1e-5)
    assert set(table[CLASS_NAMES[1]].astype(float)) == {0}
    assert list(table.label) == list(found.idxmax(axis=1))
    assert (table[["set", "set_size"]] == "").all(axis=None)


def test_parent_that_holds_a_whole_set_stands_beside_it(describe, pictures, ask):
    parents = {"007": "number", "NA": "word", "word": "text", "number": "text"}
    model = describe({"answer_sets": SETS, "parents": parents})

    _, table = ask(model, [pictures])

    assert list(table)[4:7] == ["set", "set_size", "parent"]
    expected = {
        frozenset(["007"]): "number",
        frozenset(["NA"]): "word",
        frozenset(["007", "NA"]): "text",
    }
    sets = table.set.map(json.loads).map(frozenset)
    assert list(table.parent) == [expected.get(names, "") for names in sets]
    assert table.parent.nunique() > 1
    _, blank = ask(model, [pictures], "--classes=007,NA")
    assert set(blank.parent) == {""}


def test_pictures_are_copied_into_folders_by_answer(
    model_file, pictures, ask, tmp_path, capfd
):
    shutil.copytree(pictures / "red", pictures / "again")
    (pictures / "red/003.png").write_bytes(NO_PICTURE)
    folder = tmp_path / "sorted"
    _, table = ask(model_file, [pictures])
    limit = table.probability[table.label != ""].astype(float).median()
    options = ["--sort-into", folder, "--sort-below", limit]
    capfd.readouterr()

    assert run(model_file, [pictures], *options) == 1

    assert read_table(folder / "predictions.csv").equals(table)
    is_sure = pd.to_numeric(table.probability) >= limit
    names = table.label.where(is_sure, "to_check")[table.label != ""]
    copies = [path for path in folder.rglob("*.png")]
    said = capfd.readouterr().err
    assert f"copied into {folder}: " in said
    assert f"{(names == 'to_check').sum()} to_check" in said
    found = pd.Series([path.parent.name for path in copies])
    assert found.value_counts().to_dict() == names.value_counts().to_dict()
    assert any("_" in path.stem for path in copies)


class Copies:
    """Copies files until its room is used up."""

    def __init__(self, room, error):
        self.room = room
        self.error = error

    def __call__(self, source, target):
        if not self.room:
            Path(target).write_bytes(b"half")
            raise self.error
        self.room -= 1
        shutil.copyfile(source, target)


FULL_DISK = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (FULL_DISK, 2, "sorted_unfinished could not be written: .* make room"),
        (KeyboardInterrupt(), 130, "stopped; "),
    ],
)
@pytest.mark.parametrize("with_table", [False, True])
def test_copying_that_stopped_leaves_nothing_half_and_is_done_by_a_second_start(
    error, status, words, with_table, model_file, pictures, tmp_path, capfd, monkeypatch
):
    folder = tmp_path / "sorted"
    options = ["--sort-into", folder]
    run(model_file, [pictures], *options)
    whole = read_all(folder)
    shutil.rmtree(folder)
    if with_table:
        options += ["--csv", tmp_path / "answers.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", Copies(20, error))

        assert run(model_file, [pictures], *options) == status

    assert re.search(words, capfd.readouterr().err)
    assert not folder.exists()
    assert run(model_file, [pictures], *options) == 0
    assert read_all(folder) == whole
    assert not list(tmp_path.glob("*unfinished*"))


@pytest.mark.parametrize("name", ["rename", "replace", "rmtree"])
def test_command_that_was_killed_at_its_end_is_finished_by_a_second_start(
    name, model_file, pictures, tmp_path, monkeypatch
):
    """The folder of copies, the table and the folder of the first answers change one after another."""
    folder = tmp_path / "sorted"
    path = tmp_path / "answers.csv"
    options = ["--sort-into", folder, "--csv", path]
    module = {"rename": Path, "replace": os, "rmtree": shutil}[name]
    real = getattr(module, name)

    def stop(place, *others, **more):
        real(place, *others, **more)
        if "sorted_unfinished" in f"{place}" or Path(place).suffix != ".gz":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, stop)
        assert run(model_file, [pictures], *options) == 130

    assert run(model_file, [pictures], *options) in (0, 2)

    assert len(list(folder.rglob("*.png"))) == 40
    assert len(read_table(path)) == 40
    assert read_table(folder / "predictions.csv").equals(read_table(path))
    assert not list(tmp_path.glob("*unfinished*"))
    assert not list(folder.glob("about*"))


def test_room_for_copies_is_asked_for_before_the_first_picture(
    model_file, pictures, tmp_path, refuse, no_picture_is_read, monkeypatch
):
    usage = mock.Mock(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)

    errors = refuse(model_file, [pictures], "--sort-into", tmp_path / "sorted")

    assert re.search("lacks 0.* MB for the copies", errors)


@pytest.mark.parametrize("table", ["sorted/answers.csv", "sorted_unfinished/a.csv"])
def test_a_table_inside_the_folder_of_copies_is_refused(
    table, model_file, pictures, tmp_path, capfd, no_picture_is_read
):
    options = ["--sort-into", tmp_path / "sorted", "--csv", tmp_path / table]

    assert run(model_file, [pictures], *options) == 2

    assert "neither may lie in the other" in capfd.readouterr().err
    assert not list(tmp_path.glob("sorted*"))


@pytest.mark.parametrize("share", ["80", "-0.1", "nan"])
def test_a_share_to_sort_below_that_is_none_is_refused(
    share, model_file, pictures, tmp_path, refuse, no_picture_is_read
):
    options = ["--sort-into", tmp_path / "sorted", f"--sort-below={share}"]

    assert "0 to 1" in refuse(model_file, [pictures], *options)


@pytest.mark.parametrize(
    "name", ["to_check", "predictions.csv", "about_this_folder.txt"]
)
def test_class_called_like_what_lies_beside_the_copies_is_no_folder(
    name, describe, pictures, tmp_path, refuse, no_picture_is_read
):
    model = describe({"class_names": ["a", "b", name]})

    errors = refuse(model, [pictures], "--sort-into", tmp_path / "sorted")

    assert f"no folder can be called '{name}'" in errors


def test_folder_of_copies_that_is_not_empty_or_lies_in_the_pictures_is_refused(
    model_file, pictures, refuse, no_picture_is_read
):
    before = read_all(pictures)

    for folder in (pictures, pictures / "sorted", pictures.parent):
        errors = refuse(model_file, [pictures], "--sort-into", folder)
        assert str(folder) in errors

    assert read_all(pictures) == before


def test_class_that_names_a_place_elsewhere_is_no_folder(
    describe, pictures, tmp_path, refuse, no_picture_is_read
):
    names = ["a", "../b", "c"]
    model = describe({"class_names": names})

    errors = refuse(model, [pictures], "--sort-into", tmp_path / "sorted")

    assert "'../b'" in errors
