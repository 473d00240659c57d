import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import add_head, build_classifier

from lib.base import workspace
from lib.models import keys, saved
from lib.models.record import Record, update_record

RECORD = Record("tiny", ["a", "b", "c"], 8, key="one", history=[{"epoch": 1}])
COLAB = (workspace.REPOSITORY / "tests/colab.txt").read_text(encoding="utf-8")
PICTURES = np.full((1, 8, 8, 3), 100, np.uint8)


def build_model_with_all_that_differs():
    """Build a model in half precision of a normalised backbone, dropout and a head, of drawn weights."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    backbone = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    maps = backbone(scaled, training=False)
    features = keras.layers.Flatten()(keras.layers.Dropout(0.5)(maps))
    keras.config.set_dtype_policy("float32")
    model = add_head(pixels, features, "whole")
    draw = np.random.default_rng(1).uniform
    weights = [draw(-0.5, 1, weight.shape) ** 2 for weight in model.get_weights()]
    model.set_weights(weights)
    model.compile("adam", "categorical_crossentropy")
    return model


def answer(path):
    """Return what the model in a file answers to three drawn pictures."""
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3))
    return np.asarray(keras.saving.load_model(path)(images.astype(np.float32)))


def write(folder):
    """Write a model and its answers; another version of Keras does so, too."""
    saved.write_model(build_model_with_all_that_differs(), folder / "model.keras")
    answers = answer(folder / "model.keras")
    assert answers.std() > 1e-4
    np.save(folder / "answers.npy", answers)


def compare(folder):
    """Compare the answers to those of the version that wrote the model."""
    expected = np.load(folder / "answers.npy")
    assert np.allclose(answer(folder / "model.keras"), expected, atol=1e-5)


@pytest.fixture(scope="session")
def other_keras(tmp_path_factory):
    """A folder with Colab's Keras, or with the newest where this is Colab's."""
    (pinned,) = (line for line in COLAB.splitlines() if line.startswith("keras=="))
    wanted = "keras" if pinned == f"keras=={keras.__version__}" else pinned
    folder = tmp_path_factory.mktemp("keras")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    command += ["--target", str(folder), wanted]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"{wanted} can't be installed")
    return folder


OTHER_KERAS = """
import pathlib
import sys

import keras
import test_saved

folder = pathlib.Path(sys.argv[1])
test_saved.compare(folder)
test_saved.write(folder)
print(keras.__version__)
"""


def test_file_opens_in_older_and_newer_keras_and_answers_the_same(
    other_keras, tmp_path
):
    write(tmp_path)
    paths = [other_keras, workspace.REPOSITORY, *sys.path, Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}

    version = subprocess.check_output(
        [sys.executable, "-c", OTHER_KERAS, str(tmp_path)], env=environment, text=True
    )

    assert version.split()[-1] != keras.__version__
    compare(tmp_path)


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(3)
    return build_classifier(keras.layers.BatchNormalization(), keras.layers.Flatten())


def save_tiny(tiny, ws, error=0.0, record=RECORD):
    """Save a model that is said to answer one picture otherwise than it does."""
    y_prob = tiny.predict_on_batch(PICTURES) + error
    return saved.save(tiny, ws, record, pictures=PICTURES, y_prob=y_prob)


@pytest.fixture
def model_path(tiny, prepared):
    """The path of a saved model."""
    save_tiny(tiny, prepared)
    return prepared.results / "models/tiny.keras"


@keras.saving.register_keras_serializable("tests")
class Forgetful(keras.layers.Layer):
    """Multiplies by a factor that no file holds."""

    factor = 1.0

    def call(self, x):
        return self.factor * x


def test_file_that_answers_a_little_otherwise_than_its_model_is_refused(tiny, prepared):
    lossy = keras.Sequential([*tiny.layers, Forgetful()], name="lossy")
    lossy.layers[-1].factor = 1.001

    with pytest.raises(ValueError, match="lossy .*not saved"):
        save_tiny(lossy, prepared)


def test_answers_of_another_machine_may_differ_by_what_it_rounds(tiny, prepared):
    record = save_tiny(tiny, prepared, error=0.02)

    assert saved.open_model(prepared.results / "models/tiny.keras")[1] == record


@pytest.mark.parametrize("error", [0.2, np.nan])
def test_file_that_answers_otherwise_gets_no_name(error, tiny, prepared):
    with pytest.raises(ValueError, match="tiny .*not saved"):
        save_tiny(tiny, prepared, error)

    assert not list(prepared.results.glob("models/*"))


def test_file_that_is_not_its_records_is_an_error_that_names_both(model_path):
    model_path.write_bytes(model_path.read_bytes() + b" ")

    with pytest.raises(ValueError, match="tiny.keras or its .json"):
        saved.open_model(model_path)


def test_key_counts_wiring_activations_and_dtype_policies_but_no_names():
    def find_key(twice=False, activation="relu", policy="float32", name=None):
        keras.utils.set_random_seed(0)
        pixels = keras.Input((4,))
        dense = keras.layers.Dense(4, activation=activation, dtype=policy, name=name)
        one = dense(pixels)
        two = keras.layers.Dense(4)(pixels)
        total = keras.layers.Add()([one, one if twice else two])
        return keys.make_key(keras.Model(pixels, [total, two]))

    key = find_key()

    assert find_key(name="relu") == key
    others = {
        find_key(twice=True),
        find_key(activation="tanh", name="tanh"),
        find_key(policy="mixed_float16"),
    }
    assert len(others | {key}) == 4


def test_key_counts_which_answers_of_an_inner_model_are_taken_and_in_which_order():
    keras.utils.set_random_seed(0)
    pixels = keras.Input((4,))
    other = keras.Input((4,))
    answers = [keras.layers.ReLU()(pixels), keras.layers.ELU()(pixels)]
    one, two = keras.Model(pixels, answers)(other)
    gap = keras.layers.Subtract()([pixels, other])
    models = [
        keras.Model(other, one),
        keras.Model(other, two),
        keras.Model(other, [one, two]),
        keras.Model(other, [two, one]),
        keras.Model([pixels, other], gap),
        keras.Model([other, pixels], gap),
    ]

    assert len(set(map(keys.make_key, models))) == 6


def test_key_of_arrays_and_settings_counts_everything_in_them():
    parts = [
        np.zeros(3),
        np.zeros((3, 1)),
        np.zeros(3, np.float32),
        np.array(["a", "b"]),
        {"a": 1},
        {"a": None},
        [1, [2]],
        [[1], 2],
    ]

    assert len(set(map(keys.make_key, parts))) == 8
    assert keys.make_key(1, 2) != keys.make_key(12)
    assert keys.make_key({"a": 1, "b": 2}) == keys.make_key({"b": 2, "a": 1})


MADE = ["other.md", "tiny.json", "tiny.keras", "tiny.md", "tiny.npz", "tiny.tflite"]


@pytest.fixture
def handed(tiny, prepared):
    """A workspace with a model of which 08 and 10 have made files, and the licence that a person gave."""
    record = save_tiny(tiny, prepared)
    update_record(prepared, record, licence="mit", temperature=1.5)
    for name in MADE:
        prepared.file("models", name).touch()
    prepared.file("predictions", "tiny.csv").touch()
    return prepared


def list_made(ws):
    return sorted(path.name for path in ws.results.glob("models/*"))


def test_all_that_was_made_of_a_model_but_its_licence_goes_when_it_is_replaced(
    tiny, handed
):
    record = save_tiny(tiny, handed, record=replace(RECORD, key="other"))

    assert not (handed.results / "predictions/tiny.csv").exists()
    assert list_made(handed) == MADE[:3]
    assert record.licence == "mit"
    assert record.temperature is None


def test_the_same_model_saved_again_keeps_all_that_was_made_of_it(tiny, handed):
    record = save_tiny(tiny, handed)

    assert (handed.results / "predictions/tiny.csv").exists()
    assert list_made(handed) == MADE
    assert record.temperature == 1.5
