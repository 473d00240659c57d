"""Training: done once, resumed, repeated with further seeds, saved and checked."""

import multiprocessing
import os
import shutil
import signal

import keras
import numpy as np
import pandas as pd
import pytest

from lib.data import generators, split
from lib.data.split import identify_set
from lib.models import checkpoint, saved, training
from lib.models.backbones import Network

COLUMNS = checkpoint.HISTORY_COLUMNS[:-1]
LOSS = "categorical_crossentropy"


class Death(keras.callbacks.Callback):
    """Kills its own process, by kill -9, in the third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 2 * 5 + 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train_tiny(
    ws,
    epochs=4,
    batch_size=5,
    optimizer=keras.optimizers.Adam,
    loss=LOSS,
    seeds=(3,),
    callbacks=(),
    **parameters,
):
    """Train a tiny model with dropout on 24 augmented pictures."""
    batches = generators.pair(ws, 8, batch_size, seed=3, augment=True)

    def build():
        layers = [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
        model = keras.Sequential(layers, name="tiny")
        model.compile(optimizer(), loss, metrics=["accuracy"])
        return model

    parameters = {"EPOCHS": epochs} | parameters
    return training.train(
        build,
        batches,
        ws,
        parameters,
        seeds,
        characteristics="Tiny",
        purpose="A test of training",
        notebook="02_baseline_cnn",
        callbacks=callbacks,
    )


def assert_same(one, other, rtol=1e-5):
    """Compare two runs: weights and histories."""
    pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
    for weight, expected in pairs:
        assert np.allclose(weight, expected, rtol=rtol, atol=1e-6)
    pd.testing.assert_frame_equal(
        one.history[COLUMNS], other.history[COLUMNS], rtol=rtol
    )


@pytest.fixture
def killed(prepared):
    """A workspace in which a training was killed in its third epoch."""
    process = multiprocessing.get_context("spawn").Process(
        target=train_tiny, args=(prepared,), kwargs={"callbacks": [Death()]}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return prepared


def test_history_has_one_row_per_epoch_and_classes_told_apart_by_colour_are_learned(
    prepared,
):
    history = train_tiny(prepared, epochs=30).history
    assert list(history.columns) == checkpoint.HISTORY_COLUMNS
    assert history.epoch.dtype == int
    assert list(history.epoch) == list(range(1, 31))
    assert (history.seconds > 0).all()
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert 0.6 < history.val_accuracy.iloc[-1] <= 1


def test_resumed_training_equals_uninterrupted_training(killed, monkeypatch, capsys):
    resumed = train_tiny(killed)
    assert "Note: tiny goes on after epoch 2 of 4" in capsys.readouterr().out
    assert not list(killed.results.glob("checkpoints/*"))
    monkeypatch.setenv("TRAIN_ANEW", "1")
    whole = train_tiny(killed)
    assert not whole.from_files
    assert "goes on" not in capsys.readouterr().out
    assert_same(resumed, whole)


def test_training_begun_anew_and_cut_short_goes_on_before_a_finished_one_is_taken(
    prepared, monkeypatch, capsys
):
    train_tiny(prepared, 2)
    other = prepared.file("checkpoints", "other-0123456789abcdef.npz")
    other.touch()
    monkeypatch.setenv("TRAIN_ANEW", "1")
    # As if it had been killed before it was saved.
    with monkeypatch.context() as patch:
        patch.setattr(saved, "save", None)
        with pytest.raises(TypeError):
            train_tiny(prepared, 2)
    monkeypatch.delenv("TRAIN_ANEW")
    assert not train_tiny(prepared, 2).from_files
    assert "goes on after epoch 2 of 2" in capsys.readouterr().out
    assert list(prepared.results.glob("checkpoints/*")) == [other]
    assert train_tiny(prepared, 2).from_files


def test_model_trained_in_half_precision_is_saved_in_float32(prepared):
    keras.config.set_dtype_policy("mixed_float16")
    model = train_tiny(prepared, epochs=1).model
    keras.config.set_dtype_policy("float32")
    loaded = saved.load_model(prepared, "tiny")
    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for weight, kept in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert kept.dtype == np.float32
        assert np.array_equal(weight, kept)


def test_the_same_training_is_taken_from_its_files(prepared, read_all, capsys):
    first = train_tiny(prepared, epochs=1)
    before = read_all(prepared.results)
    again = train_tiny(prepared, epochs=1)
    note = capsys.readouterr().out
    assert note.startswith("Note: tiny is taken from the training of 20")
    assert "--anew trains again" in note
    assert again.from_files
    assert again.key == first.key
    assert again.history.equals(first.history)
    assert_same(again, first, rtol=0)
    assert again.model.optimizer.iterations == 0
    assert read_all(prepared.results) == before


def test_policy_optimizer_loss_and_settings_count(prepared):
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    changes = [
        {"optimizer": lambda: keras.optimizers.Adam(0.01)},
        {"loss": smooth},
        {"CLASS_WEIGHTS": "balanced"},
        {"batch_size": 6},
        {"epochs": 2},
        {"seeds": (4,)},
    ]
    runs = [train_tiny(prepared, epochs=1)]
    keras.config.set_dtype_policy("mixed_bfloat16")
    runs.append(train_tiny(prepared, epochs=1))
    keras.config.set_dtype_policy("float32")
    for changed in changes:
        runs.append(train_tiny(prepared, **{"epochs": 1} | changed))
    assert not any(run.from_files for run in runs)
    assert len({run.key for run in runs}) == len(changes) + 2


def test_version_first_weights_and_what_learns_count(prepared, monkeypatch):
    batches = generators.pair(prepared, 8, 5, seed=3)

    def run(change=0.0, freeze=False):
        def build():
            layers = [
                keras.Input((8, 8, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(2),
                keras.layers.Dense(3, activation="softmax"),
            ]
            model = keras.Sequential(layers, name="tiny")
            model.set_weights([weight + change for weight in model.get_weights()])
            # The layer's own configuration says nothing of a single variable.
            model.layers[1].kernel.trainable = not freeze
            model.compile("adam", LOSS, metrics=["accuracy"])
            return model

        return training.train(build, batches, prepared, {"EPOCHS": 1}, [3]).key

    keys = [run(), run(change=1.0), run(freeze=True)]
    monkeypatch.setattr(training, "TRAINING_VERSION", -1)
    assert len({*keys, run()}) == 4


def test_further_seeds_are_models_of_their_own_on_the_same_validation_part(
    prepared, capsys
):
    first = train_tiny(prepared, 2, seeds=[3, 4, 5])
    models = saved.list_models(prepared)
    assert [metadata["name"] for metadata in models] == ["tiny", "tiny@4", "tiny@5"]
    assert [metadata["seed"] for metadata in models] == [3, 4, 5]
    assert {metadata["configuration"] for metadata in models} == {"tiny"}
    assert_same(first, train_tiny(prepared, 2), rtol=0)
    kernels = []
    for metadata in models:
        model = saved.load_model(prepared, metadata["name"])
        kernels.append(model.get_weights()[0])
    assert not np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])
    capsys.readouterr()
    train_tiny(prepared, 2, seeds=[3, 4, 5])
    assert capsys.readouterr().out.count("is taken from the training of") == 3


def test_loss_that_is_no_number_is_an_error_that_names_the_epoch(prepared):
    with pytest.raises(
        FloatingPointError, match="tiny: the loss of epoch 1 .*learning rate"
    ):
        train_tiny(prepared, epochs=2, optimizer=lambda: keras.optimizers.SGD(1e30))
    assert not list(prepared.results.glob("checkpoints/*"))


def test_balanced_classes_weigh_the_same_in_the_loss(prepared, monkeypatch):
    y_true = np.array([0, 0, 0, 0, 0, 1])
    assert generators.compute_class_weights(y_true, 2, "none") is None
    weights = generators.compute_class_weights(y_true, 2, "balanced")
    assert weights == {0: 0.6, 1: 3.0}
    losses = []
    for weight in (1.0, 3.0):
        classes = dict.fromkeys(range(3), weight)
        monkeypatch.setattr(
            generators, "compute_class_weights", lambda *given, by=classes: by
        )
        losses.append(train_tiny(prepared, epochs=1).history.loss[0])
    assert losses[1] > 1.5 * losses[0]


def test_pictures_changed_under_the_same_names_are_trained_anew(
    prepared, prepare_set, draw_classes, capsys
):
    names = split.read_split(prepared)
    first = train_tiny(prepared, epochs=1)
    shutil.rmtree(prepared.train)
    draw_classes(prepared.train, 10, seed=9)
    # The parts as they were, so that only the contents are others.
    prepare_set(prepared)
    prepared.save_table(names, "split.csv")
    with pytest.raises(FileNotFoundError, match="no model of the current split"):
        saved.list_models(prepared)
    assert "trained on other pictures" in capsys.readouterr().out
    again = train_tiny(prepared, epochs=1)
    assert not again.from_files
    assert not again.history.equals(first.history)


def test_saved_model_on_raw_pixels_equals_the_trained_one(prepared):
    run = train_tiny(prepared, epochs=1)
    loaded = saved.load_model(prepared, "tiny")
    _, validation = generators.pair(prepared, 8, 4, seed=0)
    raw = validation.inputs[:]
    assert raw.dtype == np.uint8
    assert raw.max() > 200
    expected = np.asarray(run.model.predict_on_batch(raw))
    assert np.allclose(loaded.predict_on_batch(raw), expected, atol=1e-6)
    # The optimizer's state would make the file three times as large.
    assert getattr(loaded, "optimizer", None) is None


def test_metadata_tell_what_a_model_is_and_what_it_was_trained_on(prepared):
    run = train_tiny(prepared, epochs=1, SEEDS=1)
    metadata = saved.read_metadata(prepared, "tiny")
    expected = {
        "name": "tiny",
        "notebook": "02_baseline_cnn",
        "characteristics": "Tiny, augmentation",
        "purpose": "A test of training",
        "weights": "from scratch",
        "image_size": 8,
        "seed": 3,
        "parameters": {"epochs": 1},
        "class_names": ["007", "NA", "red"],
        "split_hash": identify_set(prepared),
        "demo": False,
        "parameters_trainable": 4 * 28 + 3 * 145,
        "parameters_total": run.model.count_params(),
    }
    assert expected.items() <= metadata.items()
    assert metadata["versions"]["keras"] == keras.__version__
    table = pd.read_csv(prepared.results / "history/tiny.csv")
    assert list(table.columns) == checkpoint.HISTORY_COLUMNS
    assert metadata["seconds"] == pytest.approx(table.seconds.sum(), abs=0.06)


def test_file_that_holds_something_else_gets_no_name(prepared, monkeypatch):
    write = saved.write_model

    def write_other(model, path):
        model.layers[-1].bias.assign([0.0, 0.0, 9.0])
        write(model, path)
        model.layers[-1].bias.assign([0.0, 0.0, 0.0])

    monkeypatch.setattr(saved, "write_model", write_other)
    with pytest.raises(ValueError, match="tiny is not saved: .* by up to"):
        train_tiny(prepared, epochs=1)
    assert not list(prepared.results.glob("models/*"))
    # Nothing is lost of the training.
    assert list(prepared.results.glob("checkpoints/*.npz"))


BUILD = """
def own():
    pixels = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(pixels)
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(flat), name="tiny")
    model.layers[2].mine = {}
    model.compile("adam", {}, metrics=["accuracy"])
    return model
"""


def run_cell(ws, tmp_path, *numbers):
    """Train what a cell of a notebook builds, whose lines stand where Python finds them."""
    cell = tmp_path / f"cell_{len(list(tmp_path.glob('cell_*')))}.py"
    cell.write_text(BUILD.format(*numbers))
    space = {"keras": keras, "__name__": "__main__"}
    exec(compile(cell.read_text(), cell, "exec"), space)
    batches = generators.pair(ws, 8, 5, seed=3)
    return training.train(space["own"], batches, ws, {"EPOCHS": 1}, [3])


def test_edited_body_of_build_trains_anew_though_no_layer_is_another(
    prepared, tmp_path
):
    runs = [run_cell(prepared, tmp_path, number, repr(LOSS)) for number in (1, 1, 2)]
    assert [run.from_files for run in runs] == [False, True, False]


def test_training_with_a_loss_of_ones_own_always_starts_anew_and_says_so(
    prepared, tmp_path, capsys
):
    loss = "lambda y, p: keras.losses.categorical_crossentropy(y, p)"
    runs = [run_cell(prepared, tmp_path, 1, loss) for _ in range(2)]
    assert [run.from_files for run in runs] == [False, False]
    assert (
        capsys.readouterr().out.count(
            "Note: always trained anew, since no key can tell"
        )
        == 2
    )
    assert not list(prepared.results.glob("checkpoints/*"))


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (lambda: keras.layers.Lambda(lambda x: x / 2), "Lambda"),
        (lambda: Half(), "Half"),
        (lambda: keras.layers.Dense(3, activation=halve), "halve"),
    ],
)
def test_what_a_file_would_not_hold_is_told_before_the_training(prepared, layer, word):
    batches = generators.pair(prepared, 8, 5, seed=3)

    def build():
        layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), layer()]
        model = keras.Sequential(
            [*layers, keras.layers.Dense(3, activation="softmax")], name="own"
        )
        model.compile("adam", LOSS, metrics=["accuracy"])
        return model

    with pytest.raises(ValueError, match=f"own can't be saved: {word} is code"):
        training.train(build, batches, prepared, {"EPOCHS": 1}, [3])
    assert not list(prepared.results.glob("checkpoints/*"))


def halve(x):
    """Divide by two, as an activation of one's own."""
    return x / 2


@keras.saving.register_keras_serializable("tests")
class Half(keras.layers.Layer):
    """A layer of one's own, which this process could load."""

    def call(self, x):
        return halve(x)


def test_head_is_trained_on_features_and_saved_with_what_made_them(prepared):
    parts = generators.pair(prepared, 8, 5, seed=3)
    pixels = keras.Input((8, 8, 3))
    extractor = keras.Model(
        pixels, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    )
    batches = []
    for part in parts:
        every = part.inputs[np.arange(len(part.inputs))]
        batches.append(part.use_features(every.reshape(-1, 192) / np.float32(255)))

    def build():
        dense = keras.layers.Dense(3, activation="softmax")
        head = keras.Sequential([keras.Input((192,)), dense], name="head")
        head.compile("adam", LOSS, metrics=["accuracy"])
        return head, keras.Model(
            extractor.input, head(extractor.output), name="tiny_transfer"
        )

    base = Network(None, 8, "imagenet", "VGG16")
    run = training.train(
        build,
        batches,
        prepared,
        {"EPOCHS": 2},
        [3],
        characteristics="A head",
        base=base,
    )
    metadata = saved.read_metadata(prepared, "tiny_transfer")
    assert metadata["parameters"] == {
        "epochs": 2,
        "backbone": "VGG16",
        "weights": "imagenet",
    }
    assert metadata["backbone_origin"]["licence"] == "CC BY 4.0"
    assert metadata["characteristics"] == "A head of VGG16"
    again = training.train(build, batches, prepared, {"EPOCHS": 2}, [3])
    assert again.from_files
    assert again.history.equals(run.history)
    assert_same(again, run, rtol=0)


@pytest.mark.parametrize("rest", [0, 20, None])
@pytest.mark.parametrize(
    "lost", ["models/tiny.keras", "models/tiny.json", "history/tiny.csv"]
)
def test_what_is_missing_or_damaged_of_a_training_is_trained_anew_after_a_note(
    lost, rest, prepared, capsys
):
    first = train_tiny(prepared, epochs=1)
    path = prepared.results / lost
    if rest is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:rest])
    capsys.readouterr()
    again = train_tiny(prepared, epochs=1)
    assert not again.from_files
    assert again.key == first.key
    note = capsys.readouterr().out
    assert note.startswith("Note: tiny is trained anew: ")
    assert path.name in note
    assert train_tiny(prepared, epochs=1).from_files


def test_damaged_checkpoint_begins_anew_after_a_note(killed, capsys):
    (path,) = killed.results.glob("checkpoints/*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    run = train_tiny(killed)
    assert f"Note: {path} is damaged" in capsys.readouterr().out
    assert list(run.history.epoch) == [1, 2, 3, 4]


def test_model_of_an_earlier_version_is_trained_anew_after_a_note_with_the_reason(
    prepared, capsys
):
    train_tiny(prepared, epochs=1)
    saved.update_metadata(prepared, "tiny", {"key": "old"})
    capsys.readouterr()
    assert not train_tiny(prepared, epochs=1).from_files
    assert "Note: tiny is trained anew: its pictures" in capsys.readouterr().out


def test_infinite_loss_is_an_error_that_names_the_epoch(prepared):
    # One step, whose loss is computed before it spoils the weights.
    batches = generators.pair(prepared, 8, 24, seed=3)

    def build():
        layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
        model = keras.Sequential(layers, name="tiny")
        model.set_weights([weight + 1e30 for weight in model.get_weights()])
        model.compile("sgd", "mean_squared_error", metrics=["accuracy"])
        return model

    with pytest.raises(FloatingPointError, match="tiny: the loss of epoch 1 is inf"):
        training.train(build, batches, prepared, {"EPOCHS": 1}, [3])
    assert not list(prepared.results.glob("checkpoints/*"))
