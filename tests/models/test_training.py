import errno
import json
import multiprocessing
import os
import shutil
import signal

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from lib.data import generators, split
from lib.data.split import identify_set
from lib.models import classify, configs, saved, training

ABOUT = {
    "notebook": "02_baseline_cnn",
    "characteristics": "tiny",
    "purpose": "a test",
    "weights": "from scratch",
    "image_size": 8,
    "seed": 3,
    "parameters": {"epochs": 4},
}


class Death(keras.callbacks.Callback):
    """Kills its own process, by kill -9, in the third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 2 * 5 + 2:
            os.kill(os.getpid(), signal.SIGKILL)


def build_tiny(num_classes, activation="relu", optimizer=None, loss="categorical_crossentropy"):
    """Build a tiny model with dropout, the same one every time."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation=activation),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(num_classes, activation="softmax"),
        ],
        name="tiny",
    )
    model.compile(optimizer or training.Adam(), loss, metrics=["accuracy"])
    return model


def save_tiny(model, run, ws, metadata=None):
    """Save a tiny model without asking it anything."""
    with saved.save(model, run, ws, "tiny", metadata or ABOUT):
        pass


def train_tiny(
    ws,
    epochs=4,
    die=False,
    batch_size=5,
    activation="relu",
    optimizer=None,
    loss="categorical_crossentropy",
    class_weight=None,
    **settings,
):
    """Train a tiny model with dropout on 24 augmented pictures."""
    train, validation = generators.pair(ws, 8, batch_size, seed=3, augment=True)
    model = build_tiny(train.num_classes, activation, optimizer, loss)
    if die:
        fit = model.fit
        model.fit = lambda *args, callbacks, **options: fit(
            *args, callbacks=[*callbacks, Death()], **options
        )
    run = training.fit(model, train, validation, ws, "tiny", epochs, settings, class_weight)
    return model, run


def test_history_has_a_row_an_epoch_and_pictures_told_apart_by_colour_are_learned(prepared):
    _, run = train_tiny(prepared, epochs=30)
    history = run.history
    assert list(history.columns) == training.HISTORY_COLUMNS
    assert list(history.epoch) == list(range(1, 31)) and history.epoch.dtype == int
    assert (history.seconds > 0).all() and history.val_accuracy.between(0, 1).all()
    assert history.loss.iloc[-1] < history.loss.iloc[0] and history.val_accuracy.iloc[-1] > 0.6


def test_resumed_training_equals_uninterrupted_training(prepared, capsys):
    process = multiprocessing.get_context("spawn").Process(
        target=train_tiny, args=(prepared,), kwargs={"die": True}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed, run = train_tiny(prepared)
    assert "goes on after epoch 2 of 4" in capsys.readouterr().out
    (kept,) = (prepared.results / "checkpoints").iterdir()
    kept.unlink()
    whole, expected = train_tiny(prepared)
    assert "goes on" not in capsys.readouterr().out
    for weight, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        assert np.allclose(weight, other, rtol=1e-5, atol=1e-6)
    columns = training.HISTORY_COLUMNS[:-1]
    pd.testing.assert_frame_equal(run.history[columns], expected.history[columns], rtol=1e-5)


def test_model_trained_in_half_precision_is_saved_in_float32(prepared):
    keras.config.set_dtype_policy("mixed_float16")
    model, run = train_tiny(prepared, epochs=1)
    save_tiny(model, run, prepared)
    keras.config.set_dtype_policy("float32")
    loaded = saved.load_model(prepared, "tiny")
    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for weight, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert weight.dtype == other.dtype == np.float32 and np.array_equal(weight, other)


def test_only_the_same_training_goes_on(prepared, prepare_set, capsys):
    _, first = train_tiny(prepared, epochs=1, rate=1)
    _, again = train_tiny(prepared, epochs=1, rate=1)
    assert "goes on after epoch 1" in capsys.readouterr().out
    assert again.key == first.key and again.history.equals(first.history)
    others = [
        dict(rate=2),
        dict(rate=1, optimizer=keras.optimizers.SGD(0.01)),
        dict(rate=1, optimizer=keras.optimizers.Adam(0.01)),
        dict(rate=1, loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)),
        dict(rate=1, class_weight={0: 1.0, 1: 1.0, 2: 3.0}),
        dict(rate=1, batch_size=6),
        dict(rate=1, activation="sigmoid"),
        dict(rate=1, epochs=2),
    ]
    keys = [train_tiny(prepared, **{"epochs": 1} | changed)[1].key for changed in others]
    assert "goes on" not in capsys.readouterr().out and len({first.key, *keys}) == len(keys) + 1
    prepare_set(prepared, seed=9)
    train_tiny(prepared, epochs=1, rate=1)
    assert "goes on" not in capsys.readouterr().out


def test_code_and_starting_weights_of_a_training_count(prepared, capsys, monkeypatch):
    train_tiny(prepared, epochs=1)
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: None)
    train_tiny(prepared, epochs=1)
    assert "goes on" not in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr(training, "TRAINING_VERSION", -1)
    train_tiny(prepared, epochs=1)
    assert "goes on" not in capsys.readouterr().out


def test_weights_changed_before_the_training_count(prepared):
    parts = generators.pair(prepared, 8, 5, seed=3, augment=True)
    keys = []
    for change in (0, 1):
        model = build_tiny(3)
        model.set_weights([weight + change for weight in model.get_weights()])
        keys.append(training.fit(model, *parts, prepared, "tiny", 1, {}).key)
    assert keys[0] != keys[1]


def test_epoch_whose_checkpoint_finds_no_room_is_trained_again(prepared, monkeypatch):
    _, whole = train_tiny(prepared, epochs=3)
    (kept,) = prepared.results.glob("checkpoints/*.npz")
    kept.unlink()
    save, calls = np.savez, []

    def fill_the_disk(*arguments, **arrays):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="could not be written.*No space left"):
        train_tiny(prepared, epochs=3)
    _, again = train_tiny(prepared, epochs=3)
    columns = training.HISTORY_COLUMNS[:-1]
    pd.testing.assert_frame_equal(again.history[columns], whole.history[columns], rtol=1e-5)


def test_renamed_class_is_trained_anew_though_its_position_is_the_same(prepared, capsys):
    save_tiny(*train_tiny(prepared, epochs=1), prepared)
    table = split.read_split(prepared).replace({"label": {"red": "rouge"}})
    prepared.save_table(table, "split.csv")
    save_tiny(*train_tiny(prepared, epochs=1), prepared)
    assert "taken from" not in capsys.readouterr().out
    (metadata,) = saved.list_models(prepared)
    assert metadata["class_names"] == ["007", "NA", "rouge"]


def test_training_anew_deletes_only_the_checkpoint_of_what_it_trains(prepared, monkeypatch, capsys):
    other = prepared.file("checkpoints", "other-0123456789abcdef.npz")
    other.touch()
    train_tiny(prepared, epochs=1)
    monkeypatch.setenv("TRAIN_ANEW", "1")
    train_tiny(prepared, epochs=1)
    assert "goes on" not in capsys.readouterr().out and other.exists()


def test_training_begun_anew_and_cut_short_goes_on_before_a_finished_one_is_taken(
    prepared, monkeypatch, capsys
):
    save_tiny(*train_tiny(prepared, epochs=2), prepared)
    monkeypatch.setenv("TRAIN_ANEW", "1")
    train_tiny(prepared, epochs=2)  # and not saved
    monkeypatch.delenv("TRAIN_ANEW")
    model, run = train_tiny(prepared, epochs=2)
    assert not run.taken and "goes on after epoch 2 of 2" in capsys.readouterr().out
    save_tiny(model, run, prepared)
    assert not list(prepared.results.glob("checkpoints/*")) and train_tiny(prepared, 2)[1].taken


def test_damaged_checkpoint_is_named_and_the_training_starts_anew(prepared, capsys):
    _, whole = train_tiny(prepared, epochs=2)
    (kept,) = prepared.results.glob("checkpoints/*.npz")
    for damage in (b"", kept.read_bytes()[:1000], kept.read_bytes()[:-1000] + bytes(1000)):
        kept.write_bytes(damage)
        _, again = train_tiny(prepared, epochs=2)
        out = capsys.readouterr().out
        assert f"{kept} is damaged" in out and "from the start" in out
        columns = training.HISTORY_COLUMNS[:-1]
        pd.testing.assert_frame_equal(again.history[columns], whole.history[columns], rtol=1e-5)


def test_loss_that_is_no_number_is_an_error_that_names_the_epoch(prepared):
    with pytest.raises(FloatingPointError, match="tiny: the loss of epoch 1 .*learning rate"):
        train_tiny(prepared, epochs=2, optimizer=keras.optimizers.SGD(1e30))
    assert not list(prepared.results.glob("checkpoints/*"))


def test_adam_in_one_kernel_moves_weights_as_keras_does(prepared):
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        own, _ = train_tiny(prepared, epochs=4, optimizer=training.Adam(0.003))
        other, _ = train_tiny(prepared, epochs=4, optimizer=keras.optimizers.Adam(0.003))
        keras.config.set_dtype_policy("float32")
        for one, two in zip(own.get_weights(), other.get_weights(), strict=True):
            assert np.allclose(one, two, atol=1e-5)
        for one, two in zip(own.optimizer.variables, other.optimizer.variables, strict=True):
            assert one.shape == two.shape and np.allclose(one, two, rtol=0.01, atol=1e-3)


def test_balanced_classes_weigh_the_same_in_the_loss(prepared):
    y_true = np.array([0, 0, 0, 0, 0, 1])
    weights = generators.weigh_classes(y_true, 2, "balanced")
    assert weights == {0: 0.6, 1: 3.0} and generators.weigh_classes(y_true, 2, "none") is None
    _, plain = train_tiny(prepared, epochs=1)
    _, same = train_tiny(prepared, epochs=1, class_weight={0: 1.0, 1: 1.0, 2: 1.0})
    _, tripled = train_tiny(prepared, epochs=1, class_weight={0: 3.0, 1: 3.0, 2: 3.0})
    assert np.isclose(plain.history.loss[0], same.history.loss[0], rtol=1e-5)
    assert tripled.history.loss[0] > 1.5 * plain.history.loss[0]


def test_pictures_changed_under_the_same_names_are_trained_anew(
    prepared, prepare_set, draw_classes, capsys
):
    names = split.read_split(prepared)
    model, run = train_tiny(prepared, epochs=1)
    save_tiny(model, run, prepared)
    shutil.rmtree(prepared.train)
    draw_classes(prepared.train, 10, seed=9)
    # The parts as they were, so that only the contents are others.
    prepare_set(prepared)
    prepared.save_table(names, "split.csv")
    with pytest.raises(FileNotFoundError, match="no model of the current split"):
        saved.list_models(prepared)
    assert "trained on other pictures" in capsys.readouterr().out
    _, again = train_tiny(prepared, epochs=1)
    assert "taken from" not in capsys.readouterr().out and not again.history.equals(run.history)


def test_saved_model_on_raw_pixels_equals_the_trained_one_and_tells_of_itself(prepared):
    model, run = train_tiny(prepared, epochs=1)
    save_tiny(model, run, prepared)
    loaded = saved.load_model(prepared, "tiny")
    _, validation = generators.pair(prepared, 8, 4, seed=0)
    raw = validation.inputs[np.arange(len(validation.inputs))]
    assert raw.dtype == np.uint8 and raw.max() > 200
    expected = np.asarray(model.predict_on_batch(raw))
    assert np.allclose(loaded.predict_on_batch(raw), expected, atol=1e-6)
    metadata = json.loads((prepared.results / "models/tiny.json").read_text(encoding="utf-8"))
    assert ABOUT.items() <= metadata.items() and metadata["name"] == "tiny"
    assert metadata["class_names"] == ["007", "NA", "red"]
    assert metadata["split_hash"] == identify_set(prepared)
    assert metadata["versions"]["keras"] == keras.__version__ and metadata["demo"] is False
    counted = sum(int(np.prod(weight.shape)) for weight in model.get_weights())
    assert metadata["parameters_total"] >= metadata["parameters_trainable"] == 4 * 28 + 3 * 145
    assert metadata["parameters_total"] == model.count_params() <= counted
    table = pd.read_csv(prepared.results / "history/tiny.csv")
    assert list(table.columns) == training.HISTORY_COLUMNS and len(table) == 1
    assert not list(prepared.results.glob("checkpoints/*"))
    # The optimizer's state would make the file three times as large.
    assert getattr(loaded, "optimizer", None) is None


def test_model_of_another_split_is_named_and_left_out(prepared, capsys):
    split_hash = identify_set(prepared)
    for name, made_for, notebook, weights in (
        ("z_cnn", split_hash, "02", "from scratch"),
        ("a_transfer", split_hash, "04", "untrained"),
        ("old_cnn", "another", "03", "from scratch"),
    ):
        metadata = ABOUT | {"name": name, "notebook": notebook, "weights": weights}
        prepared.save_json(metadata | {"split_hash": made_for}, f"models/{name}.json")
    models = saved.list_models(prepared)
    assert [metadata["name"] for metadata in models] == ["z_cnn", "a_transfer"]
    assert [metadata["label"] for metadata in models] == [
        "z_cnn",
        "a_transfer (untrained backbone)",
    ]
    assert "old_cnn is left out" in capsys.readouterr().out
    for name in ("z_cnn", "a_transfer"):
        (prepared.results / f"models/{name}.json").unlink()
    with pytest.raises(FileNotFoundError, match="no model of the current split.*02_baseline_cnn"):
        saved.list_models(prepared)


def test_predict_keeps_the_order_and_the_ragged_last_batch():
    rng = np.random.default_rng(0)
    images, y_true = rng.integers(0, 256, (7, 4, 4, 3), dtype=np.uint8), [2, 0, 1, 1, 0, 2, 2]
    layers = [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    labels, y_prob = classify.predict_batches(
        model, generators.Batches(images, y_true, 3, batch_size=3)
    )
    assert list(labels) == y_true and y_prob.shape == (7, 3)
    assert np.allclose(y_prob, model.predict_on_batch(images), atol=1e-6)
    assert np.allclose(y_prob.sum(axis=1), 1, atol=1e-5)


def test_finished_training_is_taken_from_its_files_until_something_changes(
    prepared, read_all, capsys
):
    model, run = train_tiny(prepared, 2, rate=1)
    save_tiny(model, run, prepared)
    again, taken = train_tiny(prepared, 2, rate=1)
    assert "taken from the training of" in capsys.readouterr().out
    assert taken.taken and taken.history.equals(run.history) and again.optimizer.iterations == 0
    before = read_all(prepared.results)
    weights = zip(again.get_weights(), model.get_weights(), strict=True)
    assert all((one == other).all() for one, other in weights)
    save_tiny(again, taken, prepared, ABOUT | {"seed": 4})
    assert read_all(prepared.results) == before
    train_tiny(prepared, 2, rate=1)
    assert "taken from the training of" in capsys.readouterr().out
    for changed in (dict(rate=2), dict(rate=1, activation="sigmoid")):
        train_tiny(prepared, 2, **changed)
        assert "taken from" not in capsys.readouterr().out


def define(tmp_path, source):
    """Run a cell as a notebook does: in the module __main__, its lines where Python finds them."""
    cell = tmp_path / f"cell_{len(list(tmp_path.glob('cell_*')))}.py"
    cell.write_text(source)
    space = {"keras": keras, "tf": tf, "__name__": "__main__"}
    exec(compile(source, cell, "exec"), space)
    return space["own"]


FUNCTION = """
def weigh(y, p):
    return {} * keras.losses.categorical_crossentropy(y, p)
def own(y, p):
    return {} * weigh(y, p)
"""
FACTORY = """
def make(factor):
    def loss(y, p):
        return {} * factor * keras.losses.categorical_crossentropy(y, p)
    return loss
own = make({})
"""
GRAPH = """
FACTOR = {}
@tf.function
def own(y, p):
    return {} * FACTOR * keras.losses.categorical_crossentropy(y, p)
"""
CLASS = """
class Own(keras.losses.Loss):
    factor = {}
    def call(self, y, p):
        return {} * keras.losses.categorical_crossentropy(y, p)
own = Own()
"""


@pytest.mark.parametrize("cell", [FUNCTION, FACTORY, GRAPH, CLASS])
def test_own_code_that_was_edited_trains_anew_and_nothing_else_does(prepared, tmp_path, cell):
    for numbers, is_taken in (((1, 1), False), ((1, 1), True), ((2, 1), False), ((2, 3), False)):
        loss = define(tmp_path, cell.format(*numbers))
        define(tmp_path, f"own = {numbers}  # of no use to the model")
        model, run = train_tiny(prepared, 1, loss=loss)
        save_tiny(model, run, prepared)
        assert run.taken == is_taken


LAYER = """
class Pool(keras.layers.Layer):
    def call(self, maps):
        return keras.ops.{}(maps, axis=(1, 2))
own = Pool()
"""


def test_own_layer_counts_in_the_key_of_features(tmp_path):
    keys = []
    for pool in ("mean", "max", "mean"):
        layer = define(tmp_path, LAYER.format(pool))
        pixels = keras.Input((8, 8, 3))
        keys.append(configs.read_own_code(keras.Model(pixels, layer(pixels))))
    assert keys[0] == keys[2] != keys[1] and keys[0]


def test_weights_of_losses_and_the_learning_rate_decide_what_is_taken(prepared):
    for options in ({}, {"loss_weights": [2.0]}):
        train, validation = generators.pair(prepared, 8, 5, seed=3)
        model = build_tiny(train.num_classes)
        model.compile(training.Adam(), "categorical_crossentropy", metrics=["accuracy"], **options)
        run = training.fit(model, train, validation, prepared, "tiny", 1, {})
        assert not run.taken
        save_tiny(model, run, prepared)


def test_finished_head_is_taken_out_of_the_model_that_it_was_saved_in(prepared):
    train, validation = generators.pair(prepared, 8, 5, seed=3)

    def build():
        keras.utils.set_random_seed(3)
        head = keras.Sequential(
            [keras.Input((192,)), keras.layers.Dense(3, "softmax")], name="head"
        )
        pictures = keras.Input((8, 8, 3))
        whole = keras.Model(pictures, head(keras.layers.Flatten()(pictures)), name="tiny")
        head.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return head, whole

    parts = []
    for batches in (train, validation):
        features = batches.inputs[np.arange(len(batches.inputs))].reshape(-1, 192) / np.float32(255)
        parts.append(generators.Batches(features, batches.y_true, 3, 5, 1))
    head, whole = build()
    run = training.fit(head, *parts, prepared, "tiny", 2, {})
    save_tiny(whole, run, prepared)
    again, _ = build()
    assert training.fit(again, *parts, prepared, "tiny", 2, {}).history.equals(run.history)
    assert (again.get_weights()[0] == head.get_weights()[0]).all()
