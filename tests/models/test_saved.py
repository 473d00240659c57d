import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from lib import workspace
from lib.data.split import identify_set
from lib.models import checkpoint, files, keys, saved

DESCRIPTION = {"notebook": "02", "weights": "from scratch", "image_size": 8, "seed": 42}
DESCRIPTION |= {"characteristics": "tiny", "parameters": {}}
HISTORY = pd.DataFrame(
    [[1, 0.5, 0.7, 0.5, 0.7, 0.1]], columns=checkpoint.HISTORY_COLUMNS
)
COLAB = (workspace.REPOSITORY / "tests/colab.txt").read_text(encoding="utf-8")


def travel(what, folder):
    """Write a model and its answers, or read them and compare; another version of Keras does so, too."""
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    if what == "write":
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy("mixed_float16")
        backbone = keras.applications.MobileNet(
            include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
        )
        pixels = keras.Input((32, 32, 3))
        maps = backbone(
            keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels), training=False
        )
        features = keras.layers.Flatten()(keras.layers.Dropout(0.5)(maps))
        keras.config.set_dtype_policy("float32")
        layers = [
            keras.Input(features.shape[1:]),
            keras.layers.Dense(3, activation="softmax"),
        ]
        head = keras.Sequential([*layers], name="head")
        model = keras.Model(pixels, head(features), name="whole")
        draw = np.random.default_rng(1).uniform
        model.set_weights(
            [draw(-0.5, 1, weight.shape) ** 2 for weight in model.get_weights()]
        )
        model.compile("adam", "categorical_crossentropy")
        files.write_model(model, folder / "model.keras")
    answers = keras.saving.load_model(folder / "model.keras").predict_on_batch(images)
    if what == "write":
        np.save(folder / "answers.npy", answers)
    difference = abs(answers - np.load(folder / "answers.npy")).max()
    assert difference < 1e-5 and answers.std() > 1e-4, (difference, answers)


@pytest.fixture(scope="session")
def other_keras(tmp_path_factory):
    """A folder with Colab's Keras, or with the newest where this is Colab's."""
    (pinned,) = (line for line in COLAB.splitlines() if line.startswith("keras=="))
    wanted = "keras" if pinned == f"keras=={keras.__version__}" else pinned
    folder = tmp_path_factory.mktemp("keras")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(folder),
    ]
    if subprocess.run([*command, wanted], capture_output=True).returncode:
        pytest.skip(f"{wanted} can't be installed")
    return folder


def test_file_opens_in_older_and_newer_keras_and_answers_the_same(
    other_keras, tmp_path
):
    travel("write", tmp_path)
    places = [
        other_keras,
        workspace.REPOSITORY,
        *map(Path, sys.path),
        Path(__file__).parent,
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    code = "import sys, pathlib, keras; from test_saved import travel; print(keras.__version__)\n"
    code += "for what in ('read', 'write'): travel(what, pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.split()[0] != keras.__version__
    travel("read", tmp_path)


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(3)
    parts = [keras.layers.BatchNormalization(), keras.layers.Flatten()]
    head = keras.Sequential(
        [keras.Input((192,)), keras.layers.Dense(3, "softmax")], name="head"
    )
    head.compile("adam", "categorical_crossentropy")
    return keras.Sequential([keras.Input((8, 8, 3)), *parts, head], name="tiny")


def test_file_holds_nothing_that_only_training_needs(tiny, tmp_path):
    files.write_model(tiny, tmp_path / "tiny.keras")
    with zipfile.ZipFile(tmp_path / "tiny.keras") as file:
        written = file.read("config.json").decode()
    assert (
        "initializer" not in written
        and "renorm" not in written
        and "Adam" not in written
    )


def save_run(tiny, ws, error=0.0):
    """Save a model that is said to answer one picture otherwise than it does."""
    pictures = np.full((1, 8, 8, 3), 100, np.uint8)
    saved.save(
        tiny,
        ws,
        {"name": "tiny"} | DESCRIPTION,
        pictures=pictures,
        y_prob=tiny.predict_on_batch(pictures) + error,
        history=HISTORY,
    )


def fail_to_rename(*paths):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_nothing_gets_its_name_before_it_was_checked(
    tiny, prepared, read_all, monkeypatch
):
    with pytest.raises(ValueError, match="tiny is not saved"):
        save_run(tiny, prepared, error=0.001)
    assert not list(prepared.results.glob("models/*"))
    kept = prepared.file("checkpoints", "tiny-0123456789abcdef.npz")
    kept.touch()
    save_run(tiny, prepared)
    before = read_all(prepared.results / "models")
    assert len(before) == 2 and not kept.exists()
    with pytest.raises(ValueError, match="tiny is not saved"):
        save_run(tiny, prepared, error=np.nan)
    monkeypatch.setattr(os, "replace", fail_to_rename)
    with pytest.raises(OSError, match="No space left"):
        save_run(tiny, prepared)
    assert read_all(prepared.results / "models") == before


def test_run_of_a_further_seed_counts_only_if_nothing_else_differs(prepared, capsys):
    current = identify_set(prepared)
    for name, epochs in (("cnn", 6), ("cnn@43", 6), ("cnn@44", 1)):
        parameters = {"epochs": epochs, "seed": int(name.partition("@")[2] or 42)}
        metadata = {"hardware": ""} | DESCRIPTION | {"split_hash": current}
        metadata |= {"name": name, "parameters": parameters}
        prepared.save_json(metadata, f"models/{name}.json")
    assert [metadata["name"] for metadata in saved.list_models(prepared)] == [
        "cnn",
        "cnn@43",
    ]
    assert (
        "cnn@44 is left out: cnn was trained with other parameters"
        in capsys.readouterr().out
    )


def test_swapped_or_unknown_model_file_is_refused(tiny, prepared):
    save_run(tiny, prepared)
    path = prepared.results / "models/tiny.keras"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match="tiny.json.*tiny.keras.*changed or replaced"):
        saved.load_model(prepared, "tiny")
    path.with_suffix(".json").write_text("[]")
    with pytest.raises(ValueError, match="tiny.json.*(missing|valid JSON)"):
        saved.load_model(prepared, "tiny")


def test_key_counts_wiring_and_precision_but_no_names():
    def build(policy="float32", twice=False, activation="relu"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        pixels = keras.Input((4,))
        one, two = (
            keras.layers.Dense(4, activation=activation)(pixels) for _ in range(2)
        )
        total = keras.layers.Add()([one, one if twice else two])
        keras.config.set_dtype_policy("float32")
        return keras.Model(pixels, [total, two])

    one, same = (keys.make_key(build()) for _ in range(2))
    assert one == same
    others = [build("mixed_float16"), build(twice=True), build(activation="relu6")]
    assert len({one, *map(keys.make_key, others)}) == 4


def test_key_of_arrays_and_settings_counts_everything_in_them():
    parts = [
        np.zeros(3),
        np.zeros((3, 1)),
        np.zeros(3, np.float32),
        np.array(["a", "b"]),
        {"a": 1},
    ]
    parts += [{"a": 2}, {"a": None}, [1, [2]], [[1], 2]]
    assert keys.make_key(1, 2) != keys.make_key(12)
    assert len({keys.make_key(part) for part in parts}) == len(parts)
    assert keys.make_key({"a": 1, "b": 2}) == keys.make_key(
        json.loads('{"b": 2, "a": 1}')
    )


def test_all_that_was_made_of_a_model_goes_when_it_is_replaced(tiny, prepared):
    names = [("models", "tiny.md"), ("models", "tiny.npz"), ("predictions", "tiny.csv")]
    made, other = (
        [prepared.file(*name) for name in names],
        prepared.file("models", "other.md"),
    )
    for path in (*made, other):
        path.write_text("of the model before")
    save_run(tiny, prepared)
    assert not any(path.exists() for path in made) and other.exists()
