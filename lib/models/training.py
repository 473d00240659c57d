"""Train: the same training is done once, goes on where it was cut short, and is saved and checked."""

import time
from dataclasses import dataclass
from os import environ

import keras
import numpy as np
import pandas as pd

from lib.data import generators
from lib.data.split import identify_set
from lib.models import configs, saved
from lib.models.backbones import describe_base
from lib.models.parts import list_layers
from lib.storage import atomic_write
from lib.work import show_progress

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 5
HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras, so that initial weights and dropout are the same again.

    `deterministic` allows only operations that give the same bits in every run on one kind of
    machine, which may be slower. It can't be undone in a running kernel.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@dataclass(frozen=True)
class Run:
    """A training that came to its end."""

    # A row an epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.
    history: pd.DataFrame
    key: str  # of all that decided the outcome
    from_files: bool = False  # whether it is an earlier run's
    model: keras.Model | None = None  # as it was trained


class Checkpoint(keras.callbacks.Callback):
    """Keeps, after each epoch, all that is needed to go on from there, in one .npz file.

    These are every variable of model and optimizer, the states of random layers among them, which Keras'
    own callbacks forget, and the history.
    """

    def __init__(self, path, model, train):
        super().__init__()
        self.path, self.train, self.rows, self.progress = path, train, [], None
        model.optimizer.build(model.trainable_variables)
        self.variables = [*model.variables, *model.optimizer.variables]
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                for place, variable in enumerate(self.variables):
                    variable.assign(kept[f"variable_{place}"])
                self.rows = kept["history"].tolist()

    def on_epoch_begin(self, epoch, logs=None):
        self.train.epoch, self.started = epoch, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.progress.update()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.started
        if np.isnan(logs["loss"]):
            name, remedy = (
                self.path.stem.rpartition("-")[0],
                "take a tenth of the learning rate",
            )
            raise FloatingPointError(
                f"{name}: the loss of epoch {epoch + 1} is no number: {remedy}."
            )
        self.rows.append(
            [epoch + 1, *(logs[key] for key in HISTORY_COLUMNS[1:-1]), seconds]
        )
        shown = {key: f"{logs[key]:.3f}" for key in ("accuracy", "val_accuracy")}
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.params['epochs']}", **shown)
        arrays = {
            f"variable_{k}": np.asarray(variable)
            for k, variable in enumerate(self.variables)
        }
        with atomic_write(self.path) as part:
            np.savez(part, history=np.array(self.rows), **arrays)


def train(
    build, batches, ws, parameters, seeds, *, notebook="", base=None, callbacks=()
) -> Run:
    """Train a model once for each seed; save each, load it again, and check that it is what was trained.

    A training that was cut short goes on after its last whole epoch, and a finished one is taken from its
    files, unless what decides the outcome is other: pictures, layers, first weights, what learns, how it
    is compiled, the source of `build`. TRAIN_ANEW=1 in the environment trains anew.

    Args:
        build: returns a model, RGB pictures of 0-255 to probabilities, compiled with metrics=["accuracy"];
            or a pair: the part that is trained, and the whole model. Its docstring goes into the JSON:
            a line of what the model is, then what it is for.
        batches: a pair of `Batches`, to train and to validate on. ws: the workspace.
        parameters: of the notebook; EPOCHS counts and, where there, CLASS_WEIGHTS and DETERMINISTIC.
        seeds: int; the names of all models but the first end in @ and the seed.
        notebook, base: its name; the `Network`, or the saved model's name, that the model is built on.
        callbacks: further ones for `fit` that only watch, say keras.callbacks.TensorBoard.

    Returns the run of the first seed; a ValueError where a file would not hold what the model is made of.
    """
    base = describe_base(ws, base)
    about = saved.describe_model(build, parameters, base, batches[0].augment)
    runs = []
    for seed in seeds:
        set_seed(seed, parameters.get("DETERMINISTIC", False))
        built = build()
        model, whole = built if isinstance(built, tuple) else (built, built)
        name = f"{whole.name}@{seed}" if runs else whole.name
        configs.check_saveable(whole)
        pair = [part.reseed(seed) for part in batches]
        run = _fit(
            (model, whole),
            build,
            pair,
            ws,
            name,
            parameters | {"SEED": seed},
            callbacks,
        )
        if not run.from_files:
            size = {
                "notebook": notebook,
                "image_size": whole.input_shape[1],
                "seed": seed,
            }
            with saved.save(whole, run, ws, name, about | size) as loaded:
                _check(loaded, model, whole, pair[1])
        runs.append(run)
    return runs[0]


def _fit(models, build, batches, ws, name: str, parameters: dict, callbacks) -> Run:
    (model, whole), epochs, train = models, parameters["EPOCHS"], batches[0]
    how = parameters.get("CLASS_WEIGHTS", "none")
    weights = generators.compute_class_weights(train.y_true, train.num_classes, how)
    decisive = [epochs, weights, parameters["SEED"], parameters.get("DETERMINISTIC")]
    decisive += [each for part in batches for each in part.describe()]
    decisive += configs.describe_training(model, build)
    key = configs.make_key(TRAINING_VERSION, identify_set(ws), model, *decisive)
    path = ws.file("checkpoints", f"{name}-{key[:16]}.npz")
    if environ.get("TRAIN_ANEW"):
        path.unlink(missing_ok=True)
    # Where there is a checkpoint, the same training was begun anew, and goes on.
    elif not path.exists() and saved.read_metadata(ws, name).get("key") == key:
        whole.set_weights(saved.load_model(ws, name).get_weights())
        print(f"{name}: taken from an earlier training; --anew trains again")
        history = pd.read_csv(
            ws.results / f"history/{name}.csv", float_precision="round_trip"
        )
        return Run(history, key, from_files=True, model=whole)
    log = Checkpoint(path, model, train)
    if done := len(log.rows):
        print(f"{name} goes on after epoch {done} of {epochs}.")
    counts = {"total": epochs * len(train), "initial": done * len(train)}
    with show_progress(desc=name, unit="batch", **counts) as log.progress:
        model.fit(
            generators.stream(train),
            validation_data=generators.stream(batches[1]),
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,  # The batches shuffle themselves: by seed and epoch alone.
            verbose=0,
            class_weight=weights,
            callbacks=[log, *callbacks],
        )
    history = pd.DataFrame(log.rows, columns=HISTORY_COLUMNS).astype({"epoch": int})
    return Run(history, key, model=whole)


def _check(loaded, model, whole, validation) -> None:
    """Check that a file holds the weights, and gives the answers, of the training."""
    pairs = zip(loaded.get_weights(), whole.get_weights(), strict=True)
    assert all((one == other).all() for one, other in pairs), (
        "the file holds other weights"
    )
    chosen = slice(0, validation.batch_size)
    trained = np.asarray(model.predict_on_batch(validation.inputs[chosen]))
    difference = abs(
        loaded.predict_on_batch(validation.pictures[chosen]) - trained
    ).max()
    # The file computes in float32, whatever the training did.
    in_half = any("float16" in layer.compute_dtype for layer in list_layers(whole))
    assert difference < (0.1 if in_half else 1e-4), "the file gives other probabilities"
