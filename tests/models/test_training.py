"""Training: done once, resumed, repeated with further seeds, saved and checked."""

import errno
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from lib.data import generators, split
from lib.data.split import identify_set
from lib.models import classify, configs, own_code, saved, training
from lib.models.backbones import Network
from lib.workspace import REPOSITORY

COLUMNS = training.HISTORY_COLUMNS[:-1]
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
    activation="relu",
    optimizer=keras.optimizers.Adam,
    loss=LOSS,
    seeds=(3,),
    callbacks=(),
    options=None,
    metrics=("accuracy",),
    base=None,
    doc="""Tiny.

    A test of
    training.""",
    **parameters,
):
    """Train a tiny model with dropout on 24 augmented pictures."""
    batches = generators.pair(ws, 8, batch_size, seed=3, augment=True)

    def build():
        layers = [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation=activation),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
        model = keras.Sequential(layers, name="tiny")
        model.compile(optimizer(), loss, metrics=metrics and [*metrics], **options or {})
        return model

    build.__doc__ = doc
    parameters = {"EPOCHS": epochs} | parameters
    told = {"notebook": "02_baseline_cnn", "base": base}
    return training.train(build, batches, ws, parameters, seeds, callbacks=callbacks, **told)


def assert_same(one, other, rtol=1e-5):
    """Compare two runs: weights and histories."""
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=rtol, atol=1e-6)
    pd.testing.assert_frame_equal(one.history[COLUMNS], other.history[COLUMNS], rtol=rtol)


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


def test_history_has_a_row_an_epoch_and_pictures_told_apart_by_colour_are_learned(prepared):
    history = train_tiny(prepared, epochs=30).history
    assert list(history.columns) == training.HISTORY_COLUMNS
    assert list(history.epoch) == list(range(1, 31)) and history.epoch.dtype == int
    assert (history.seconds > 0).all() and history.val_accuracy.between(0, 1).all()
    assert history.loss.iloc[-1] < history.loss.iloc[0] and history.val_accuracy.iloc[-1] > 0.6


def test_resumed_training_equals_uninterrupted_training(killed, monkeypatch, capsys):
    resumed = train_tiny(killed)
    assert "goes on after epoch 2 of 4" in capsys.readouterr().out
    assert not list(killed.results.glob("checkpoints/*"))
    monkeypatch.setenv("TRAIN_ANEW", "1")
    whole = train_tiny(killed)
    assert "goes on" not in capsys.readouterr().out and not whole.taken
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
    assert not train_tiny(prepared, 2).taken
    assert "goes on after epoch 2 of 2" in capsys.readouterr().out
    assert list(prepared.results.glob("checkpoints/*")) == [other]
    assert train_tiny(prepared, 2).taken


def test_checkpoint_that_a_kill_left_beside_a_finished_model_goes_with_the_next_run(
    prepared, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(saved.Path, "unlink", lambda *path, **options: None)
        train_tiny(prepared, 1)
    assert list(prepared.results.glob("checkpoints/*.npz"))
    train_tiny(prepared, 1)
    assert not list(prepared.results.glob("checkpoints/*"))


def test_model_trained_in_half_precision_is_saved_in_float32(prepared):
    keras.config.set_dtype_policy("mixed_float16")
    model = train_tiny(prepared, epochs=1).model
    keras.config.set_dtype_policy("float32")
    loaded = saved.load_model(prepared, "tiny")
    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for weight, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert weight.dtype == other.dtype == np.float32 and np.array_equal(weight, other)


def test_only_the_same_training_is_taken_from_its_files(prepared, prepare_set, read_all, capsys):
    first = train_tiny(prepared, epochs=1)
    before = read_all(prepared.results)
    again = train_tiny(prepared, epochs=1, doc="Told otherwise.")
    assert "taken from the training of" in capsys.readouterr().out
    assert again.taken and again.key == first.key and again.history.equals(first.history)
    assert_same(again, first, rtol=0)
    assert again.model.optimizer.iterations == 0 and read_all(prepared.results) == before
    others = [
        dict(optimizer=lambda: keras.optimizers.SGD(0.01)),
        dict(optimizer=lambda: keras.optimizers.Adam(0.01)),
        dict(loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)),
        dict(options={"loss_weights": [2.0]}),
        dict(CLASS_WEIGHTS="balanced"),
        dict(batch_size=6),
        dict(activation="sigmoid"),
        dict(epochs=2),
        dict(seeds=(4,)),
    ]
    runs = [train_tiny(prepared, **{"epochs": 1} | changed) for changed in others]
    assert not any(run.taken for run in runs)
    assert len({first.key, *(run.key for run in runs)}) == len(others) + 1
    train_tiny(prepared, epochs=1)
    prepare_set(prepared, seed=9)
    assert not train_tiny(prepared, epochs=1).taken


def test_version_first_weights_and_what_learns_count(prepared, monkeypatch):
    batches = generators.pair(prepared, 8, 5, seed=3)

    def run(change=0.0, freeze=False):
        def build():
            layers = [keras.Input((8, 8, 3)), keras.layers.Flatten()]
            layers += [keras.layers.Dense(2), keras.layers.Dense(3, activation="softmax")]
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


def test_further_seeds_are_models_of_their_own_on_the_same_validation_part(prepared, capsys):
    first = train_tiny(prepared, 2, seeds=[3, 4, 5])
    models = saved.list_models(prepared)
    assert [metadata["name"] for metadata in models] == ["tiny", "tiny@4", "tiny@5"]
    assert [metadata["seed"] for metadata in models] == [3, 4, 5]
    assert {metadata["way"] for metadata in models} == {"tiny"}
    assert_same(first, train_tiny(prepared, 2), rtol=0)
    weights = [saved.load_model(prepared, m["name"]).get_weights()[0] for m in models]
    assert not (weights[0] == weights[1]).all() and not (weights[1] == weights[2]).all()
    capsys.readouterr()
    train_tiny(prepared, 2, seeds=[3, 4, 5])
    assert capsys.readouterr().out.count("taken from the training of") == 3


def test_epoch_whose_checkpoint_finds_no_room_is_trained_again(prepared, monkeypatch):
    whole = train_tiny(prepared, epochs=3)
    monkeypatch.setenv("TRAIN_ANEW", "1")
    save, calls = np.savez, []

    def fill_the_disk(*arguments, **arrays):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="could not be written.*No space left"):
        train_tiny(prepared, epochs=3)
    monkeypatch.delenv("TRAIN_ANEW")
    assert_same(train_tiny(prepared, epochs=3), whole)


def test_damaged_history_and_folders_of_files(prepared, capsys):
    base = Network(None, None, 8, "w.h5", "/home/me/net.keras")
    first = train_tiny(prepared, 1, BACKBONE="/home/me/net.keras", WEIGHTS="/home/w.h5", base=base)
    text = (prepared.results / "models/tiny.json").read_text()
    assert "/home" not in text and '"backbone": "net"' in text and '"weights": "w.h5"' in text
    assert saved.read_metadata(prepared, "tiny")["characteristics"] == "Tiny of net, augmentation"
    (prepared.results / "history/tiny.csv").write_text("a,b\n1,2\n")
    other = prepared.file("checkpoints", "tiny-large-0123456789abcdef.npz")
    other.touch()
    again = train_tiny(prepared, 1)
    assert not again.taken and "tiny is trained anew" in capsys.readouterr().out and other.exists()
    assert_same(first, again)


def test_renamed_class_is_trained_anew_though_its_position_is_the_same(prepared):
    train_tiny(prepared, epochs=1)
    table = split.read_split(prepared).replace({"label": {"red": "rouge"}})
    prepared.save_table(table, "split.csv")
    assert not train_tiny(prepared, epochs=1).taken
    (metadata,) = saved.list_models(prepared)
    assert metadata["class_names"] == ["007", "NA", "rouge"]


def test_damaged_checkpoint_is_named_and_the_training_starts_anew(killed, capsys):
    (path,) = killed.results.glob("checkpoints/*.npz")
    whole = path.read_bytes()
    runs = []
    for damage in (b"", whole[:1000], whole[:-1000] + bytes(1000)):
        path.write_bytes(damage)
        runs.append(train_tiny(killed))
        out = capsys.readouterr().out
        assert f"{path} is damaged" in out and "from the start" in out
    assert_same(runs[0], runs[-1])


def test_loss_that_is_no_number_is_an_error_that_names_the_epoch(prepared):
    with pytest.raises(FloatingPointError, match="tiny: the loss of epoch 1 .*learning rate"):
        train_tiny(prepared, epochs=2, optimizer=lambda: keras.optimizers.SGD(1e30))
    assert not list(prepared.results.glob("checkpoints/*"))


def test_balanced_classes_weigh_the_same_in_the_loss(prepared, monkeypatch):
    y_true = np.array([0, 0, 0, 0, 0, 1])
    weights = generators.weigh_classes(y_true, 2, "balanced")
    assert weights == {0: 0.6, 1: 3.0} and generators.weigh_classes(y_true, 2, "none") is None
    losses = []
    for weight in (None, 1.0, 3.0):
        classes = weight and dict.fromkeys(range(3), weight)
        monkeypatch.setattr(generators, "weigh_classes", lambda *given, by=classes: by)
        losses.append(train_tiny(prepared, epochs=1).history.loss[0])
    assert np.isclose(losses[0], losses[1], rtol=1e-5) and losses[2] > 1.5 * losses[0]


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
    assert not again.taken and not again.history.equals(first.history)


def test_saved_model_on_raw_pixels_equals_the_trained_one_and_tells_of_itself(prepared):
    run = train_tiny(prepared, epochs=1, PRECISION="float32", SEEDS=1)
    loaded = saved.load_model(prepared, "tiny")
    _, validation = generators.pair(prepared, 8, 4, seed=0)
    raw = validation.inputs[np.arange(len(validation.inputs))]
    assert raw.dtype == np.uint8 and raw.max() > 200
    expected = np.asarray(run.model.predict_on_batch(raw))
    assert np.allclose(loaded.predict_on_batch(raw), expected, atol=1e-6)
    metadata = json.loads((prepared.results / "models/tiny.json").read_text(encoding="utf-8"))
    told = {"name": "tiny", "weights": "from scratch", "image_size": 8, "seed": 3}
    told |= {"notebook": "02_baseline_cnn", "characteristics": "Tiny, augmentation"}
    assert (told | {"purpose": "A test of training"}).items() <= metadata.items()
    assert metadata["parameters"] == {"epochs": 1, "precision": "float32"}
    assert metadata["class_names"] == ["007", "NA", "red"]
    assert metadata["split_hash"] == identify_set(prepared)
    assert metadata["versions"]["keras"] == keras.__version__ and metadata["demo"] is False
    assert metadata["parameters_trainable"] == 4 * 28 + 3 * 145
    assert metadata["parameters_total"] == run.model.count_params()
    table = pd.read_csv(prepared.results / "history/tiny.csv")
    assert list(table.columns) == training.HISTORY_COLUMNS and len(table) == 1
    # The optimizer's state would make the file three times as large.
    assert getattr(loaded, "optimizer", None) is None


def test_file_that_holds_something_else_gets_no_name(prepared, monkeypatch):
    write = saved.write_model

    def write_other(model, path):
        model.layers[-1].bias.assign([0.0, 0.0, 9.0])
        write(model, path)
        model.layers[-1].bias.assign([0.0, 0.0, 0.0])

    monkeypatch.setattr(saved, "write_model", write_other)
    with pytest.raises(AssertionError, match="other weights"):
        train_tiny(prepared, epochs=1)
    assert not list(prepared.results.glob("models/*"))
    # Nothing is lost of the training.
    assert list(prepared.results.glob("checkpoints/*.npz"))


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
FACTORS = [{}]
@tf.function
def own(y, p):
    return {} * FACTORS[0] * keras.losses.categorical_crossentropy(y, p)
"""
CLASS = """
class Base(keras.losses.Loss):
    factor = {}
class Own(Base):
    def call(self, y, p):
        return {} * self.factor * keras.losses.categorical_crossentropy(y, p)
own = Own()
"""


@pytest.mark.parametrize("cell", [FUNCTION, FACTORY, GRAPH, CLASS])
def test_own_code_that_was_edited_trains_anew_and_nothing_else_does(prepared, tmp_path, cell):
    if cell is GRAPH and keras.backend.backend() != "tensorflow":
        pytest.skip("a tf.function is TensorFlow's")
    for numbers, is_taken in (((1, 1), False), ((1, 1), True), ((2, 1), False), ((2, 3), False)):
        loss = define(tmp_path, "# A comment counts for nothing.\n" + cell.format(*numbers))
        define(tmp_path, f"own = {numbers}  # of no use to the model")
        assert train_tiny(prepared, 1, loss=loss).taken == is_taken


BUILD = """
WIDTH = 4
def own():
    pixels = keras.Input((8, 8, 3))
    wide = keras.layers.Dense(WIDTH)(keras.layers.Flatten()(pixels))
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(wide), name="tiny")
    model.layers[2].{} = {}
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def test_edited_body_of_build_trains_anew_though_no_layer_is_another(prepared, tmp_path):
    batches = generators.pair(prepared, 8, 5, seed=3)
    for edit, is_taken in ((("mine", 1), False), (("mine", 1), True), (("mine", 2), False)):
        build = define(tmp_path, BUILD.format(*edit))
        parameters = {"EPOCHS": 1}
        assert training.train(build, batches, prepared, parameters, [3]).taken == is_taken


BESIDE = {
    "set": "S = {{{}}}\ndef own(): return S",
    "key": "D = {{{}: 1}}\ndef own(): return D",
    "number": "N = keras.ops.convert_to_numpy({}.0)[()]\ndef own(): return N",
    "tensor": "T = keras.ops.convert_to_tensor([{}])\ndef own(): return T",
    "partial": "import functools\ndef f(x): return x\nP = functools.partial(f, {})\ndef own(): return P",
    "decorator": """
import functools
def make(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapped(x):
            return factor * function(x)
        return wrapped
    return decorate
@make({})
def f(x): return x
def own(): return f(1)
""",
    "property": """
class A:
    @property
    def b(self): return {}
def own(): return A().b
""",
    "private": "class A:\n    _b = {}\ndef own(): return A._b",
    "default": "W = {}\ndef f(x=W): return x\ndef own(): return f()",
    "weights": """
teacher = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant({}))])
def own(): return teacher
""",
}


@pytest.mark.parametrize("cell", BESIDE.values(), ids=BESIDE)
def test_whatever_a_function_reaches_counts(tmp_path, cell):
    one, same, other = (own_code.read_own_code(define(tmp_path, cell.format(n))) for n in (1, 1, 2))
    assert configs.make_key(one) == configs.make_key(same) != configs.make_key(other)


def test_function_of_a_file_beside_counts_and_locals_and_unset_variables_do_not(
    tmp_path, monkeypatch
):
    cell = "import beside\nx = {}\ndef own():\n    x = 1\n    return beside.weigh(x)"
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for factor, local in ((1, 1), (1, 2), (2, 2)):
        (tmp_path / "beside.py").write_text(f"def weigh(x):\n    return {factor} * x\n")
        monkeypatch.delitem(sys.modules, "beside", raising=False)
        importlib.invalidate_caches()
        keys.append(own_code.read_own_code(define(tmp_path, cell.format(local))))
    assert keys[0] == keys[1] != keys[2]

    def enclose():
        def build():
            return unset

        if not keys:
            unset = 1
        return build

    assert own_code.read_own_code(enclose())


def test_key_of_code_is_the_same_in_every_process(tmp_path):
    script = (
        "import sys, keras, functools; from lib.models import configs, own_code\n"
        "names = {'b', 'a', 'c'}\n"
        "f = [\n    lambda x: [y for y in x if y in {'p', 'q', 'r'}\n"
        "      and (lambda z: z)(y) in names]]\n"
        "model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])\n"
        "model.set_weights([w * 0 for w in model.get_weights()])\n"
        "model.compile('adam', lambda y, p: y - p, metrics=['accuracy'])\n"
        "print(configs.make_key(configs.describe_training(model, f)))\n"
    )
    keys = set()
    for seed in ("1", "2"):
        (tmp_path / f"{seed}.py").write_text(script)
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, str(tmp_path / f"{seed}.py")]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        keys.add(run.stdout)
    assert len(keys) == 1


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
        keys.append(own_code.read_own_code(keras.Model(pixels, layer(pixels))))
    assert keys[0] == keys[2] != keys[1] and keys[0]


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (lambda: keras.layers.Lambda(lambda x: x / 2), "Lambda layer"),
        (lambda: Half(), "Half layer"),
        (lambda: keras.layers.Dense(3, activation=halve), "halve"),
    ],
)
def test_what_a_file_would_not_hold_is_told_before_the_training(prepared, layer, word):
    batches = generators.pair(prepared, 8, 5, seed=3)

    def build():
        layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), layer()]
        model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")], name="own")
        model.compile("adam", LOSS, metrics=["accuracy"])
        return model

    with pytest.raises(ValueError, match=f"own can't be saved: {word} is code"):
        training.train(build, batches, prepared, {"EPOCHS": 1}, [3])
    assert not list(prepared.results.glob("checkpoints/*"))


def test_callbacks_that_change_a_training_and_a_history_without_accuracy_are_refused(prepared):
    with pytest.raises(ValueError, match="EarlyStopping changes a training"):
        train_tiny(prepared, callbacks=[keras.callbacks.EarlyStopping()])
    with pytest.raises(ValueError, match='Compile tiny with metrics=."accuracy"'):
        train_tiny(prepared, metrics=None)
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    train_tiny(prepared, 2, callbacks=[watch])
    assert seen == [0, 1]


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
    extractor = keras.Model(pixels, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels)))
    batches = []
    for part in parts:
        every = part.inputs[np.arange(len(part.inputs))]
        batches.append(part.use_features(every.reshape(-1, 192) / np.float32(255)))

    def build():
        """A head."""
        dense = keras.layers.Dense(3, activation="softmax")
        head = keras.Sequential([keras.Input((192,)), dense], name="head")
        head.compile("adam", LOSS, metrics=["accuracy"])
        return head, keras.Model(extractor.input, head(extractor.output), name="tiny_transfer")

    base = Network(None, None, 8, "imagenet", "VGG16")
    run = training.train(build, batches, prepared, {"EPOCHS": 2}, [3, 4], base=base)
    metadata = saved.read_metadata(prepared, "tiny_transfer")
    chosen = {"epochs": 2, "backbone": "VGG16", "weights": "imagenet"}
    assert metadata["weights"] == "imagenet" and metadata["parameters"] == chosen
    assert metadata["backbone_origin"]["licence"] == "CC BY 4.0"
    assert metadata["characteristics"] == "A head of VGG16" and not metadata["purpose"]
    assert (prepared.results / "models/tiny_transfer@4.keras").is_file()
    again = training.train(build, batches, prepared, {"EPOCHS": 2}, [3])
    assert again.taken and again.history.equals(run.history)
    assert_same(again, run, rtol=0)
