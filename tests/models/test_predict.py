import json
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib import predict, workspace
from lib.data.labels import list_new_pictures
from lib.data.pictures import load
from lib.models import predict as classify_files
from lib.storage import read_table

CLASS_NAMES = ["007", "<img src=x onerror=alert(1)>", "NA"]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small untrained model as the notebooks save it."""
    keras.utils.set_random_seed(1)
    parts = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), *parts, layers.Dense(3, activation="softmax")], name="tiny"
    )
    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    model.save(path)
    about = {"class_names": CLASS_NAMES, "image_size": 8}
    path.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")
    return path


@pytest.fixture
def pictures(tmp_path, draw_classes):
    """Forty pictures, one of them with a name that has to be quoted."""
    draw_classes(tmp_path / "new", 40, ["red"])
    (tmp_path / "new/red/007.png").rename(tmp_path / "new/red" / ODD_NAME)
    return tmp_path / "new"


ODD_NAME = 'a,"b\\n$x$\n.png'


def predict_to_csv(model_file, places, file):
    status = predict.predict_pictures([str(model_file), *map(str, places), "--csv", str(file)])
    return status, read_table(file)


def test_one_picture_gets_the_answer_that_it_gets_among_many(model_file, pictures, tmp_path):
    status, many = predict_to_csv(model_file, [pictures], tmp_path / "many.csv")
    assert status == 0 and list(many.columns) == ["file", "label", "index", "probability"]
    assert len(many) == 40 and set(many.label) <= set(CLASS_NAMES)
    assert [CLASS_NAMES[int(index)] for index in many["index"]] == list(many.label)
    assert str(pictures / "red" / ODD_NAME) in set(many.file)
    for row in range(0, 40, 3):
        status, one = predict_to_csv(model_file, [many.file[row]], tmp_path / "one.csv")
        assert status == 0 and one.equals(many[row : row + 1].reset_index(drop=True))


def test_answers_are_those_of_the_model_on_the_pixels_of_the_one_loader(model_file, pictures):
    model, about = classify_files.load_classifier(model_file)
    files = list_new_pictures(pictures, []).file
    table = classify_files.classify(model, about, pictures, files)
    images = np.stack([load(pictures / file, 8) for file in files])
    y_prob = model.predict_on_batch(images)
    assert np.allclose(table.probability, y_prob.max(axis=1), atol=1e-6)
    assert list(table.file) == list(files) and (table["index"] == y_prob.argmax(axis=1)).all()


def test_unreadable_file_keeps_its_row_is_named_and_told_by_the_exit_status(
    model_file, pictures, tmp_path, capsys
):
    (pictures / "red/003.png").write_bytes(b"<html>404</html>")
    places = [pictures, tmp_path / "gone.jpg"]
    status, table = predict_to_csv(model_file, places, tmp_path / "answers.csv")
    assert status == 1 and len(table) == 41
    errors = capsys.readouterr().err
    assert "003.png: not_a_picture" in errors and "gone.jpg: unreadable" in errors
    unusable = table[table.label == ""]
    assert {name.split("/")[-1] for name in unusable.file} == {"003.png", "gone.jpg"}
    assert (unusable[["index", "probability"]] == "").all(axis=None)
    assert predict.predict_pictures([str(model_file), str(pictures / "red/003.png")]) == 1
    printed = capsys.readouterr().out
    assert "003.png" in printed and "nan" not in printed.lower() and "NA" not in printed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("model", ["tiny.keras is not a file"]),
        ("json", ["tiny.json is not a file", ".json beside it"]),
        ("broken json", ["tiny.json is not valid JSON"]),
        ("broken model", ["tiny.keras"]),
        ("pictures", ["holds no picture"]),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(
    damage, words, model_file, pictures, tmp_path, capsys
):
    model, description = tmp_path / "tiny.keras", tmp_path / "tiny.json"
    model.write_bytes(b"half" if damage == "broken model" else model_file.read_bytes())
    description.write_bytes(model_file.with_suffix(".json").read_bytes())
    if damage in ("model", "json"):
        {"model": model, "json": description}[damage].unlink()
    if damage == "broken json":
        description.write_text("{")
    (tmp_path / "bare").mkdir()
    place = tmp_path / "bare" if damage == "pictures" else pictures
    assert (
        predict.predict_pictures([str(model), str(place), "--csv", str(tmp_path / "out.csv")]) == 2
    )
    errors = capsys.readouterr().err
    assert all(word in errors for word in words), errors
    assert not (tmp_path / "out.csv").exists()


def test_command_line_prints_a_table_headless(model_file, pictures):
    run = subprocess.run(
        [sys.executable, "-m", "lib.predict", str(model_file), str(pictures / "red/000.png")],
        capture_output=True, text=True, cwd=workspace.REPOSITORY, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    header, row = run.stdout.splitlines()
    assert header.split() == ["file", "label", "index", "probability"] and "000.png" in row


def test_table_of_a_model_without_problems_has_whole_numbers_as_index(model_file, pictures):
    model, about = classify_files.load_classifier(model_file)
    table = classify_files.classify(model, about, pictures, ["red/000.png", "red/none.png"])
    assert table["index"].dtype == "Int64" and pd.isna(table["index"][1])
