import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from lib import predict, workspace
from lib.data.labels import list_new_pictures
from lib.data.pictures import load
from lib.data.table import read_table
from lib.models import classify, saved

CLASS_NAMES = ["007", "<img src=x onerror=alert(1)>", "NA"]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small untrained model as the notebooks save it."""
    keras.utils.set_random_seed(1)
    parts = [
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
    ]
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), *parts, layers.Dense(3, activation="softmax")],
        name="tiny",
    )
    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    model.save(path)
    metadata = {"class_names": CLASS_NAMES, "image_size": 8}
    metadata["file_hash"] = saved.hash_file(path, CLASS_NAMES)
    path.with_suffix(".json").write_text(json.dumps(metadata), encoding="utf-8")
    return path


@pytest.fixture
def pictures(tmp_path, draw_classes):
    """Forty pictures, one of them with a name that has to be quoted."""
    draw_classes(tmp_path / "new", 40, ["red"])
    (tmp_path / "new/red/007.png").rename(tmp_path / "new/red" / ODD_NAME)
    return tmp_path / "new"


ODD_NAME = 'a,"b\\n$x$\n.png'


def predict_to_csv(model_file, places, file, *options):
    arguments = [model_file, *places, "--csv", file, *options]
    return predict.predict_pictures(
        [str(argument) for argument in arguments]
    ), read_table(file)


@pytest.fixture
def describe(model_file, tmp_path):
    """Return a function that copies the model and writes a changed JSON beside it."""

    def copy(changes, name="copy.keras"):
        path = tmp_path / name
        path.write_bytes(model_file.read_bytes())
        metadata = json.loads(
            model_file.with_suffix(".json").read_text(encoding="utf-8")
        )
        if names := changes.pop("names", None):
            changes = {"class_names": names, "file_hash": saved.hash_file(path, names)}
        metadata = {
            key: value
            for key, value in (metadata | changes).items()
            if value is not None
        }
        path.with_suffix(".json").write_text(json.dumps(metadata), encoding="utf-8")
        return path

    return copy


def test_one_picture_gets_the_answer_that_it_gets_among_many(
    model_file, pictures, tmp_path
):
    status, many = predict_to_csv(model_file, [pictures], tmp_path / "many.csv")
    assert status == 0 and list(many.columns) == [
        "file",
        "label",
        "index",
        "probability",
    ]
    assert len(many) == 40 and set(many.label) <= set(CLASS_NAMES)
    assert [CLASS_NAMES[int(index)] for index in many["index"]] == list(many.label)
    assert str(pictures / "red" / ODD_NAME) in set(many.file)
    for row in range(0, 40, 3):
        status, one = predict_to_csv(model_file, [many.file[row]], tmp_path / "one.csv")
        assert status == 0 and one.equals(many[row : row + 1].reset_index(drop=True))


def test_answers_are_those_of_the_model_on_the_pixels_of_the_one_loader(
    model_file, pictures
):
    model, metadata = saved.open_model(model_file)
    files = list_new_pictures(pictures, []).file
    table = classify.classify(model, metadata, pictures, files)
    images = np.stack([load(pictures / file, 8) for file in files])
    y_prob = model.predict_on_batch(images)
    assert np.allclose(table.probability, y_prob.max(axis=1), atol=1e-6)
    assert (
        list(table.file) == list(files)
        and (table["index"] == y_prob.argmax(axis=1)).all()
    )


def test_unreadable_file_keeps_its_row_is_named_and_told_by_the_exit_status(
    model_file, pictures, tmp_path, capsys
):
    (pictures / "red/003.png").write_bytes(b"<html>404</html>")
    (tmp_path / "half.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (pictures / "red/phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    places, extra = [pictures, tmp_path / "half.jpg"], ["--top", 2, "--probabilities"]
    status, table = predict_to_csv(model_file, places, tmp_path / "answers.csv", *extra)
    assert status == 1 and len(table) == 42
    errors = capsys.readouterr().err
    assert "003.png: not_a_picture" in errors and "half.jpg: " in errors
    unusable = table[table.label == ""]
    names = {name.split("/")[-1] for name in unusable.file}
    assert names == {"003.png", "half.jpg", "phone.heic"}
    assert (unusable.drop(columns="file") == "").all(axis=None)
    assert (table.drop(unusable.index) != "").all(axis=None)
    assert (
        predict.predict_pictures([str(model_file), str(pictures / "red/003.png")]) == 1
    )
    printed = capsys.readouterr().out
    assert printed.split()[:4] == ["file", "label", "index", "probability"]
    assert "003.png" in printed and "nan" not in printed.lower() and "NA" not in printed


def test_name_that_is_no_text_loses_no_answer(model_file, pictures, tmp_path, capsys):
    odd = os.fsencode(pictures) + b"/red/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write((pictures / "red/000.png").read_bytes())
    places = [pictures / "red/000.png", os.fsdecode(odd)]
    status, table = predict_to_csv(model_file, places, tmp_path / "answers.csv")
    assert status == 0 and table.file[1].endswith("red/caf\\xe9.png")
    assert table.drop(columns="file").loc[0].equals(table.drop(columns="file").loc[1])
    assert predict.predict_pictures([str(model_file), os.fsdecode(odd)]) == 0
    assert "caf\\xe9.png" in capsys.readouterr().out


def fail_to_predict(capsys, *arguments):
    """Return what the command line says when it could predict nothing."""
    assert predict.predict_pictures([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert not said.out and "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("model", ["copy.keras is not a file"]),
        ("json", ["copy.json is not a file"]),
        ("broken json", ["copy.json is not valid JSON"]),
        ("broken model", ["copy.keras"]),
        ("pictures", ["holds no picture"]),
        ("picture", ["gone.jpg does not exist"]),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(
    damage, words, describe, pictures, tmp_path, capsys, no_picture_is_read
):
    (tmp_path / "bare").mkdir()
    model, place = describe({}), pictures
    if damage in ("model", "json"):
        model.with_suffix(".keras" if damage == "model" else ".json").unlink()
    elif damage == "broken json":
        model.with_suffix(".json").write_text("{")
    elif damage == "broken model":
        model.write_bytes(model.read_bytes()[:-200])
    else:
        place = tmp_path / {"pictures": "bare", "picture": "gone.jpg"}[damage]
    errors = fail_to_predict(
        capsys, model, pictures, place, "--csv", tmp_path / "out.csv"
    )
    assert all(word in errors for word in words), errors
    assert not (tmp_path / "out.csv").exists()


def test_command_line_answers_a_wrong_path_without_importing_tensorflow(tmp_path):
    code = "import runpy, sys; sys.modules['tensorflow'] = None; "
    code += "runpy.run_module('lib.predict', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, str(tmp_path / "gone.keras"), str(tmp_path)]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=workspace.REPOSITORY
    )
    assert run.returncode == 2 and "gone.keras is not a file" in run.stderr, run.stderr


def test_help_ends_with_three_commands_that_are_understood_in_full_words_alone(capsys):
    with pytest.raises(SystemExit):
        predict.predict_pictures(["--help"])
    for command in capsys.readouterr().out.splitlines()[-3:]:
        program, arguments = command.split("lib.predict ")
        assert program.split() == ["python", "-m"]
        assert predict.open_parser().parse_args(arguments.split()).pictures
        with pytest.raises(SystemExit):
            predict.predict_pictures([*arguments.split(), "--prob"])
    assert "unrecognized arguments: --prob" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"), [("class_names", CLASS_NAMES[::-1]), ("file_hash", None)]
)
def test_json_that_does_not_fit_its_model_is_named_with_the_key(
    key, value, describe, pictures, capsys, no_picture_is_read
):
    errors = fail_to_predict(capsys, describe({key: value}), pictures)
    assert all(word in errors for word in ["copy.json", key, "replaced"]), errors


def test_place_of_the_answers_is_checked_before_the_first_picture(
    model_file, pictures, tmp_path, capsys, no_picture_is_read
):
    gone, wall = tmp_path / "gone/out.csv", tmp_path / "wall"
    wall.write_text("a file")
    for path in (gone, wall / "out.csv", tmp_path):
        errors = fail_to_predict(capsys, model_file, pictures, "--csv", path)
        assert (
            "--csv" in errors
            and str(path if path == tmp_path else path.parent) in errors
        )
    assert not gone.parent.exists()


@pytest.mark.parametrize("top", [0, -1, 4])
def test_top_is_between_one_and_the_number_of_classes(
    top, model_file, pictures, capsys, no_picture_is_read
):
    errors = fail_to_predict(capsys, model_file, pictures, "--top", top)
    assert f"--top is {top}" in errors and "1 to 3" in errors


def test_top_and_probabilities_add_columns_in_order(model_file, pictures, tmp_path):
    _, plain = predict_to_csv(model_file, [pictures], tmp_path / "plain.csv")
    extra = ["--top", 3, "--probabilities"]
    status, table = predict_to_csv(
        model_file, [pictures], tmp_path / "full.csv", *extra
    )
    ranked = ["label_2", "probability_2", "label_3", "probability_3"]
    assert status == 0 and list(table.columns) == [
        *plain.columns,
        *ranked,
        *CLASS_NAMES,
    ]
    assert table[plain.columns].equals(plain)
    for _, row in table.iterrows():
        places = [
            (row.label, row.probability),
            *zip(row[ranked[::2]], row[ranked[1::2]]),
        ]
        assert {label for label, _ in places} == set(CLASS_NAMES)
        assert [row[label] for label, _ in places] == [
            probability for _, probability in places
        ]
        numbers = [float(probability) for _, probability in places]
        assert numbers == sorted(numbers, reverse=True) and sum(
            numbers
        ) == pytest.approx(1, abs=3e-6)


def test_class_named_like_a_column_gets_a_column_of_its_own(
    describe, pictures, tmp_path
):
    extra = ["--top", 2, "--probabilities"]
    model = describe({"names": ["label", "label_2", "cat"]})
    status, table = predict_to_csv(model, [pictures], tmp_path / "out.csv", *extra)
    columns = ["label (class)", "label_2 (class)", "cat"]
    assert (
        status == 0 and list(table.columns[-3:]) == columns and table.columns.is_unique
    )
    best = table[columns].astype(float).to_numpy().argmax(axis=1)
    assert list(best) == list(table["index"].astype(int))


def test_stored_temperature_scales_probabilities_and_leaves_answers(
    describe, pictures, tmp_path, capsys
):
    extra = ["--top", 2, "--probabilities"]
    _, own = predict_to_csv(describe({}), [pictures], tmp_path / "own.csv", *extra)
    assert "no temperature is stored" in capsys.readouterr().err
    model = describe({"temperature": 1.7321}, "warm.keras")
    _, scaled = predict_to_csv(model, [pictures], tmp_path / "scaled.csv", *extra)
    assert "scaled by the temperature 1.73 that 08 fitted" in capsys.readouterr().err
    answers = ["file", "label", "index", "label_2"]
    assert scaled[answers].equals(own[answers])
    logits = np.log(own[CLASS_NAMES].astype(float).to_numpy()) / 1.7321
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(scaled[CLASS_NAMES].astype(float), expected, atol=2e-6)
    assert np.allclose(
        scaled.probability.astype(float), expected.max(axis=1), atol=2e-6
    )


SETS = {"coverage": 0.75, "limit": 0.3, "groups": 40, "grouped": False}


def test_sets_are_made_of_the_scaled_probabilities_and_leave_every_other_column(
    describe, pictures, tmp_path, capsys
):
    (pictures / "red/003.png").write_bytes(b"<html>404</html>")
    model = describe({"answer_sets": SETS, "temperature": 1.7})
    extra = ["--top", 2, "--probabilities"]
    _, plain = predict_to_csv(model, [pictures], tmp_path / "plain.csv", *extra)
    capsys.readouterr()
    extra += ["--sets"]
    status, table = predict_to_csv(model, [pictures], tmp_path / "sets.csv", *extra)
    assert "Sets hold the truth for about 75 of 100 pictures" in capsys.readouterr().err
    assert status == 1 and table.drop(columns=["set", "set_size"]).equals(plain)
    place = list(table.columns).index("set")
    assert list(table.columns[place - 1 : place + 3]) == [
        "probability_2",
        "set",
        "set_size",
        "007",
    ]
    unusable = table.label == ""
    assert (table[["set", "set_size"]][unusable] == "").all(
        axis=None
    ) and unusable.sum() == 1
    table = table[~unusable]
    held = table[CLASS_NAMES].astype(float).to_numpy() >= 0.3
    held |= (
        table[CLASS_NAMES].columns.to_numpy() == table.label.to_numpy()[:, np.newaxis]
    )
    for row, names, inside in zip(
        table.itertuples(), map(json.loads, table["set"]), held
    ):
        assert names[0] == row.label and len(names) == int(row.set_size)
        assert set(names) == set(np.array(CLASS_NAMES)[inside])


def test_a_model_without_a_limit_is_an_error_before_the_first_picture(
    describe, pictures, capsys, no_picture_is_read
):
    errors = fail_to_predict(
        capsys, describe({"answer_sets": None}), pictures, "--sets"
    )
    assert all(
        word in errors for word in ["copy.json", "answer_sets", "10_hand_over"]
    ), errors


def test_a_group_has_one_answer_of_all_its_pictures_that_can_be_read(
    model_file, pictures, tmp_path
):
    (pictures / "red/cut.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    files = sorted((pictures / "red").iterdir())
    rows = [
        f"{path.name if k % 2 else path.stem},{'a' if k < 9 else 'b'}"
        for k, path in enumerate(files)
    ]
    names = [row for row, path in zip(rows, files) if path.name != ODD_NAME]
    quoted = '"' + ODD_NAME.replace('"', '""') + '",b'
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *names, quoted, ""]))
    extra = ["--probabilities", "--group-by", tmp_path / "groups.csv"]
    _, table = predict_to_csv(model_file, [pictures], tmp_path / "a.csv", *extra)
    usable = table[table.label != ""]
    for name, of_group in usable.groupby("group"):
        mean = np.log(of_group.iloc[:, -3:].to_numpy(float)).mean(axis=0)
        said = CLASS_NAMES[mean.argmax()]
        assert {*of_group.group_label} == {said} and name in "ab"
        expected = np.exp(mean).max() / np.exp(mean).sum()
        assert float(of_group.group_probability.iloc[0]) == pytest.approx(
            expected, abs=1e-4
        )
        assert {*of_group.group_size.astype(int)} == {len(of_group)}
        assert {*of_group.group_agree.astype(int)} == {(of_group.label == said).sum()}
    assert table.group[table.label == ""].tolist() == [""] and len(usable) == 40
    extra = ["--group-by", "folder"]
    _, table = predict_to_csv(model_file, files[:3], tmp_path / "b.csv", *extra)
    assert {*table.group} == {str(pictures / "red")}


@pytest.mark.parametrize(
    "rows", ["000.png,a", "000.png,a\n001.png,b\n001.png,c", "no.png,a"]
)
def test_a_picture_without_one_group_is_an_error_that_names_it(
    rows, model_file, pictures, tmp_path, capsys, no_picture_is_read
):
    (tmp_path / "groups.csv").write_text(f"file,group\n{rows}\n")
    asked = [model_file, *sorted((pictures / "red").glob("00[01].png"))]
    arguments = [*map(str, asked), "--group-by", str(tmp_path / "groups.csv")]
    assert predict.predict_pictures(arguments) == 2
    assert re.search(
        r"groups.csv has to give 00[01].png one group", capsys.readouterr().err
    )
    assert predict.predict_pictures([*arguments[:-1], "no such file"]) == 2
    assert "write folder, or name a CSV file" in capsys.readouterr().err
