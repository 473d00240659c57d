"""Training: done once, resumed, repeated with further seeds, saved and checked."""

import multiprocessing
import os
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import (
    build_classifier,
    copy_results,
    draw_classes,
    fit_runs,
    make_workspace,
    prepare_and_split,
    read_all,
)

from lib.data import generators, split
from lib.models import keys, saved, training
from lib.models.record import list_records, read_record

COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
LOSS = "categorical_crossentropy"


class Death(keras.callbacks.Callback):
    """Kills its own process, by kill -9, in the third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 2 * 5 + 2:
            os.kill(os.getpid(), signal.SIGKILL)


def make_runs(
    ws,
    epochs=4,
    batch_size=5,
    optimizer=keras.optimizers.Adam,
    loss=LOSS,
    seeds=(3,),
    alter=lambda model: None,
    run_eagerly=True,
    **parameters,
):
    """Make the runs of a tiny model with dropout, altered before, on 24 augmented pictures.

    To compile it as a user's model is takes longer than to train it.
    """
    batches = generators.pair(ws, 8, batch_size, seed=3, augment=True)

    def build():
        model = build_classifier(
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
        )
        alter(model)
        model.compile(optimizer(), loss, metrics=["accuracy"], run_eagerly=run_eagerly)
        return model

    parameters = {"EPOCHS": epochs} | parameters
    return training.Runs(build, batches, ws, parameters, seeds)


def train_tiny(ws, epochs=4, callbacks=(), **settings):
    """Train them, and return the first training."""
    return fit_runs(make_runs(ws, epochs, **settings), epochs, callbacks)


def was_taken(run):
    """Tell whether a training was taken from its files, so that no step was made."""
    return run.model.optimizer.iterations == 0


def assert_same(one, other, rtol=1e-5):
    """Compare two runs: weights and histories."""
    pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
    for weight, expected in pairs:
        assert np.allclose(weight, expected, rtol=rtol, atol=1e-6)
    pd.testing.assert_frame_equal(
        one.history[COLUMNS], other.history[COLUMNS], rtol=rtol
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A workspace in which a model was trained for one epoch, and the run."""
    ws = make_workspace(tmp_path_factory.mktemp("prepared"))
    draw_classes(ws.train, 10)
    prepare_and_split(ws)
    return ws, train_tiny(ws, epochs=1)


@pytest.fixture
def trained(first, tmp_path):
    """A copy of that workspace."""
    return copy_results(first[0], tmp_path)


@pytest.fixture
def killed(prepared):
    """A workspace in which a training was killed in its third epoch."""
    given = {"callbacks": [Death()], "run_eagerly": False}
    process = multiprocessing.get_context("spawn").Process(
        target=train_tiny, args=(prepared,), kwargs=given
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return prepared


@pytest.fixture
def set_policy():
    """Return Keras' function that sets the dtype policy, which is as it was in the end."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def test_history_has_one_row_per_epoch_and_classes_told_apart_by_colour_are_learned(
    prepared,
):
    history = train_tiny(prepared, epochs=30, run_eagerly=False).history

    assert list(history.columns) == [*COLUMNS, "seconds"]
    assert history.epoch.tolist() == list(range(1, 31))
    assert (history.seconds > 0).all()
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert 0.6 < history.val_accuracy.iloc[-1] <= 1


def test_resumed_training_equals_uninterrupted_training(killed, monkeypatch, capsys):
    resumed = train_tiny(killed, run_eagerly=False)

    assert "epoch 2 of 4" in capsys.readouterr().out
    assert not list(killed.results.glob("checkpoints/*"))
    monkeypatch.setenv("TRAIN_ANEW", "1")
    whole = train_tiny(killed, run_eagerly=False)
    assert not was_taken(whole)
    assert_same(resumed, whole)


class Stop(keras.callbacks.Callback):
    """Raises an error as the second epoch begins."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise InterruptedError("stopped")


def test_error_in_the_loop_closes_the_bar_and_the_next_loop_goes_on(prepared, capsys):
    runs = make_runs(prepared, epochs=2)

    with pytest.raises(InterruptedError):
        fit_runs(runs, 2, [Stop()])
    shown = capsys.readouterr().out
    trained = fit_runs(runs, 2)

    # The bar ends its line before the traceback begins.
    assert shown.endswith("\n")
    assert "goes on after epoch 1 of 2" in capsys.readouterr().out
    assert list(trained.history.epoch) == [1, 2]


def fit(run, epochs=2, **changed):
    """Fit a run as a lesson does, but for some arguments."""
    given = {"x": run.train, "validation_data": run.validation} | run.options
    run.model.fit(**given | {"epochs": epochs} | changed)


def fit_without_options(run):
    run.model.fit(run.train, validation_data=run.validation, epochs=2, verbose=0)


def fit_twice(run):
    fit(run)
    fit(run)


def fit_at_another_rate(run):
    run.model.optimizer.learning_rate = 0.5
    fit(run)


def fit_with_another_optimizer(run):
    run.model.compile("adam", LOSS, metrics=["accuracy"])
    fit(run)


def use(body):
    """Return a function that uses runs in a loop with a body."""
    return lambda runs: list(map(body, runs))


@pytest.mark.parametrize(
    ("misuse", "reason"),
    [
        (use(fit_without_options), "`fit` has not trained it"),
        (use(fit_twice), "tiny: `fit` has .*'epoch': 0}.* {'epoch': 2, "),
        (
            use(lambda run: fit(run, epochs=1)),
            "tiny: `fit` has .*'epochs': 1, ",
        ),
        (
            use(lambda run: fit(run, x=run.train.take(2))),
            "tiny: `fit` has .*'steps': 2",
        ),
        (use(fit_at_another_rate), "tiny: the model was changed"),
        (use(fit_with_another_optimizer), "the model was changed"),
    ],
)
def test_loop_that_does_not_train_what_its_run_is_made_for_saves_nothing_and_says_why(
    misuse, reason, prepared
):
    with pytest.raises(ValueError, match=reason):
        misuse(make_runs(prepared, epochs=2))

    assert not list(prepared.results.glob("models/*"))


def test_training_begun_anew_and_cut_short_goes_on_before_a_finished_one_is_taken(
    prepared, monkeypatch, capsys
):
    train_tiny(prepared, epochs=2)
    with monkeypatch.context() as patch:
        patch.setenv("TRAIN_ANEW", "1")
        for _ in range(2):
            with pytest.raises(InterruptedError):
                train_tiny(prepared, epochs=2, callbacks=[Stop()])
    assert "goes on after" not in capsys.readouterr().out

    train_tiny(prepared, epochs=2)

    assert "goes on after epoch 1 of 2" in capsys.readouterr().out
    assert not list(prepared.results.glob("checkpoints/*"))


def test_model_trained_in_half_precision_is_saved_in_float32(prepared, set_policy):
    set_policy("mixed_float16")
    model = train_tiny(prepared, epochs=1).model
    set_policy("float32")

    loaded = saved.load_model(prepared, "tiny")

    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for weight, kept in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert kept.dtype == np.float32
        assert np.array_equal(weight, kept)


def test_the_same_training_is_taken_from_its_files(first, trained, capsys):
    before = read_all(trained.results)

    again = train_tiny(trained, epochs=1)

    note = capsys.readouterr().out
    assert note.startswith("Note: tiny is taken")
    assert "--anew" in note
    assert was_taken(again)
    _, run = first
    assert_same(again, run, rtol=0)
    assert read_all(trained.results) == before


@pytest.fixture
def simulate_gpu(monkeypatch):
    """Return what lets Keras compile from now on as it does where there is a GPU."""
    return lambda: monkeypatch.setattr(
        keras.Model, "_resolve_auto_jit_compile", lambda model: True
    )


def test_finished_training_is_taken_and_its_seeds_count_where_a_gpu_compiles(
    prepared, simulate_gpu
):
    train_tiny(prepared, epochs=1, run_eagerly=False)
    before = (prepared.results / "models/tiny.keras").read_bytes()
    simulate_gpu()

    again = train_tiny(prepared, epochs=1, seeds=[3, 4], run_eagerly=False)

    assert again.model.jit_compile
    assert was_taken(again)
    assert (prepared.results / "models/tiny.keras").read_bytes() == before
    records = list_records(prepared)
    assert {record.name for record in records} == {"tiny", "tiny@4"}


def test_training_that_was_stopped_on_a_gpu_goes_on_without_one(
    prepared, simulate_gpu, monkeypatch, capsys
):
    simulate_gpu()
    with pytest.raises(InterruptedError):
        train_tiny(prepared, epochs=2, callbacks=[Stop()], run_eagerly=False)
    monkeypatch.undo()

    train_tiny(prepared, epochs=2, run_eagerly=False)

    assert "goes on after epoch 1 of 2" in capsys.readouterr().out


def test_trainings_of_an_earlier_version_on_a_gpu_are_taken_and_count_together(
    prepared, monkeypatch, capsys
):
    with monkeypatch.context() as earlier:
        describe = keys.describe_settings
        earlier.setattr(
            keys, "describe_settings", lambda *given: describe(*given[:-1], True)
        )
        train_tiny(prepared, epochs=1, seeds=[3, 4])
    assert read_record(prepared.results / "models/tiny.json").key

    again = train_tiny(prepared, epochs=1)

    assert was_taken(again)
    assert len(list_records(prepared)) == 2
    assert was_taken(train_tiny(prepared, epochs=1, seeds=[3, 4]))
    assert "anew" not in capsys.readouterr().out.replace("--anew", "")


def stop_tiny(ws, **settings):
    """Begin a training of two epochs, stop it after the first, and return the path of its checkpoint."""
    before = set(ws.results.glob("checkpoints/*"))
    with pytest.raises(InterruptedError):
        train_tiny(ws, epochs=2, callbacks=[Stop()], **settings)
    (path,) = set(ws.results.glob("checkpoints/*")) - before
    return path


def test_finished_training_removes_the_checkpoints_of_its_name_and_no_others(prepared):
    stop_tiny(prepared, batch_size=6)
    other = stop_tiny(prepared).with_name("tiny@4-0123456789abcdef.npz")
    other.touch()

    train_tiny(prepared, epochs=2)

    assert list(prepared.results.glob("checkpoints/*")) == [other]


def test_checkpoint_of_another_number_of_variables_is_begun_anew_after_a_note(
    prepared, capsys
):
    path = stop_tiny(prepared)
    with np.load(path) as kept:
        np.savez(path, *list(kept.values())[:-1])

    run = train_tiny(prepared, epochs=2)

    assert f"Note: {path} is damaged" in capsys.readouterr().out
    assert list(run.history.epoch) == [1, 2]


def test_training_in_bfloat16_goes_on(prepared, set_policy, capsys):
    set_policy("bfloat16")
    stop_tiny(prepared)

    run = train_tiny(prepared, epochs=2)

    assert "goes on after epoch 1 of 2" in capsys.readouterr().out
    assert list(run.history.epoch) == [1, 2]


def test_model_of_which_one_layer_computes_in_half_precision_is_saved(prepared):
    def build():
        rough = keras.layers.Dense(64, "relu", dtype="mixed_float16")
        model = build_classifier(keras.layers.Flatten(), rough)
        model.compile("adam", LOSS, metrics=["accuracy"])
        return model

    train_built(prepared, build)

    assert (prepared.results / "models/tiny.keras").exists()


def shift_weights(model):
    model.set_weights([weight + 1 for weight in model.get_weights()])


def freeze_a_kernel(model):
    """Freeze a single variable, of which the layer's own configuration says nothing."""
    model.layers[1].kernel.trainable = False


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": lambda: keras.optimizers.Adam(0.01)},
        {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        {"CLASS_WEIGHTS": "balanced"},
        {"batch_size": 6},
        {"epochs": 2},
        {"seeds": (4,)},
        {"alter": shift_weights},
        {"alter": freeze_a_kernel},
    ],
    ids=list,
)
def test_other_settings_are_trained_anew_after_a_note_with_the_reason(
    changed, trained, capsys
):
    settings = {"epochs": 1} | changed

    run = train_tiny(trained, **settings)

    assert not was_taken(run)
    assert "tiny is trained anew" in capsys.readouterr().out


def test_trainings_of_an_earlier_version_are_done_anew(trained, monkeypatch):
    monkeypatch.setattr(keys, "TRAINING_VERSION", -1)

    assert not was_taken(train_tiny(trained, epochs=1))


def test_further_seeds_are_models_of_their_own_on_the_same_validation_part(
    first, trained, capsys
):
    train_tiny(trained, epochs=1, seeds=[3, 4, 5])

    records = list_records(trained)
    assert {record.name for record in records} == {"tiny", "tiny@4", "tiny@5"}
    assert {record.configuration for record in records} == {"tiny"}
    models = [saved.load_model(trained, record.name) for record in records]
    kernels = [model.get_weights()[0] for model in models]
    # The first seed gives what it gives alone.
    assert np.array_equal(kernels[0], first[1].model.get_weights()[0])
    assert not np.array_equal(kernels[1], kernels[2])
    train_tiny(trained, epochs=1, seeds=[3, 4, 5])
    assert capsys.readouterr().out.count("is taken from") == 4


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_loss_that_is_no_finite_number_is_an_error_that_names_the_epoch(
    number, prepared
):
    def compute_loss(y_true, y_prob):
        return number * keras.ops.sum(y_prob, axis=1)

    with pytest.raises(FloatingPointError, match=f"tiny: epoch 1 .*'loss': {number},"):
        # In one step: after it the weights are no numbers either.
        train_tiny(prepared, epochs=1, batch_size=24, loss=compute_loss)

    assert not list(prepared.results.glob("checkpoints/*"))


def test_weights_that_the_last_step_made_no_numbers_are_an_error(prepared):
    with pytest.raises(FloatingPointError, match="epoch 1 .*'val_loss': nan"):
        # The loss of its only step is that before it.
        train_tiny(
            prepared,
            epochs=1,
            batch_size=24,
            optimizer=lambda: keras.optimizers.SGD(np.inf),
        )

    assert not list(prepared.results.glob("models/*.keras"))


def test_balanced_classes_weigh_the_same_in_sum(prepared):
    train, validation = generators.pair(prepared, 8, 5, seed=3)
    two_classes = replace(train, y_true=np.minimum(train.y_true, 1))
    batches = (two_classes, validation)
    build = make_runs(prepared).build
    parameters = {"EPOCHS": 1, "CLASS_WEIGHTS": "balanced"}

    runs = training.Runs(build, batches, prepared, parameters, [3])

    weights = next(iter(runs)).options["class_weight"]

    # 8 x 1.5 = 16 x 0.75, half of the 24 pictures.
    assert weights == {0: 1.5, 1: 0.75}


def test_pictures_changed_under_the_same_names_are_trained_anew(prepared):
    parts = split.read_split(prepared)[["file", "label", "part"]]
    first = train_tiny(prepared, epochs=1)
    shutil.rmtree(prepared.train)
    draw_classes(prepared.train, 10, seed=9)
    # The parts as they were, so that only the contents are others.
    prepare_and_split(prepared)
    prepared.save_table(parts, "split.csv")

    again = train_tiny(prepared, epochs=1)
    assert not was_taken(again)
    assert not again.history.equals(first.history)


def test_metadata_tell_what_a_model_is_and_what_it_was_trained_on(prepared):
    train_tiny(prepared, epochs=1, SEEDS=1, BACKBONE="a", WEIGHTS="/home/me/w.h5")

    record = read_record(prepared.results / "models/tiny.json")

    # Four filters of 27 weights and a bias; three sums of 6 x 6 x 4 numbers and a bias.
    count = 4 * 28 + 3 * 145
    expected = {
        "weights": "from scratch",
        "seed": 3,
        "parameters": {"epochs": 1},
        "class_names": ["007", "NA", "red"],
        "kind": "scratch",
        "parameters_trainable": count,
        "parameters_total": count,
    }
    assert expected.items() <= asdict(record).items()
    assert record.versions["keras"] == keras.__version__
    table = pd.read_csv(prepared.results / "history/tiny.csv")
    assert record.seconds == pytest.approx(table.seconds.sum(), abs=0.06)


def train_built(ws, build):
    """Train what a function builds for an epoch."""
    batches = generators.pair(ws, 8, 5, seed=3)
    runs = training.Runs(build, batches, ws, {"EPOCHS": 1}, [3])
    return fit_runs(runs, 1)


def categorical_crossentropy(y_true, y_prob):
    """A loss of one's own that has the name of one of Keras'."""
    return keras.losses.categorical_crossentropy(y_true, y_prob)


def test_training_with_a_loss_of_ones_own_always_starts_anew_and_says_so(
    prepared, capsys
):
    path = prepared.results / "models/tiny.json"

    train_tiny(prepared, epochs=1, loss=categorical_crossentropy)
    before = read_record(path)
    train_tiny(prepared, epochs=1, loss=categorical_crossentropy)

    assert capsys.readouterr().out.count("Note: always trained anew") == 2
    again = read_record(path)
    # Only the key is another: with further seeds it is one family.
    assert again.key != before.key
    assert again.family == before.family


class Own(keras.layers.Layer):
    """A layer of one's own, which acts in training alone."""

    def call(self, x):
        return x


def train_head(ws, *layers, scale=1.0, kernel="glorot_uniform"):
    """Train a head that begins with layers, save it behind scaled pixels, and return its record."""

    def build():
        dense = keras.layers.Dense(3, "softmax", kernel_initializer=kernel)
        rest = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), dense]
        head = keras.Sequential([keras.Input((8, 8, 3)), *layers, *rest])
        head.compile("adam", LOSS, metrics=["accuracy"])
        saved_layers = [keras.layers.Rescaling(scale), *rest]
        whole = keras.Sequential([keras.Input((8, 8, 3)), *saved_layers], name="whole")
        return head, whole

    train_built(ws, build)
    return read_record(ws.results / "models/whole.json")


def test_head_is_trained_anew_where_the_whole_that_is_saved_is_another(prepared):
    before = train_head(prepared)

    again = train_head(prepared, scale=0.999)

    assert again.key != before.key


def test_training_through_a_layer_of_ones_own_always_starts_anew(prepared, capsys):
    before = train_head(prepared, Own())

    again = train_head(prepared, Own())

    assert again.key != before.key
    assert capsys.readouterr().out.count("Note: always trained anew") == 2


def test_trainings_with_other_initialisers_are_no_seeds_of_one_configuration(prepared):
    before = train_head(prepared)

    again = train_head(prepared, kernel="he_normal")

    assert again.family != before.family


@keras.saving.register_keras_serializable("tests")
class Half(keras.layers.Layer):
    """A layer of one's own, which this process could load."""

    def call(self, x):
        return x / 2


@pytest.mark.parametrize(
    ("build_layer", "word"),
    [
        (lambda: keras.layers.Lambda(lambda x: x / 2), "__lambda__"),
        (Half, "tests>Half"),
    ],
)
def test_what_a_file_would_not_hold_is_told_before_the_training(
    build_layer, word, prepared
):
    def build():
        model = build_classifier(keras.layers.Flatten(), build_layer(), name="own")
        model.compile("adam", LOSS, metrics=["accuracy"])
        return model

    with pytest.raises(ValueError, match=f"own .*: {word} "):
        train_built(prepared, build)

    assert not list(prepared.results.glob("checkpoints/*"))


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"half")]
)
def test_model_that_is_missing_or_damaged_is_trained_anew_after_a_note(
    damage, trained, capsys
):
    damage(trained.results / "models/tiny.keras")

    again = train_tiny(trained, epochs=1)

    assert not was_taken(again)
    assert capsys.readouterr().out.startswith("Note: tiny is trained anew")
    assert was_taken(train_tiny(trained, epochs=1))
