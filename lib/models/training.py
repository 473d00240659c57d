"""Train: the same training is done once, goes on where it was cut short, and is saved and checked."""

import inspect
from dataclasses import dataclass
from os import environ

import keras
import numpy as np
import pandas as pd

from lib.data import generators
from lib.data.split import identify_set
from lib.models import backbones, files, keys, origins, saved
from lib.models.checkpoint import HISTORY_COLUMNS, Checkpoint
from lib.models.parts import list_layers
from lib.work import show_progress

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 5


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
    about = describe_model(build, parameters, base, batches[0].augment)
    runs = []
    for seed in seeds:
        set_seed(seed, parameters.get("DETERMINISTIC", False))
        built = build()
        model, whole = built if isinstance(built, tuple) else (built, built)
        name = f"{whole.name}@{seed}" if runs else whole.name
        files.check_saveable(whole)
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
    decisive += keys.describe_training(model, build)
    key = keys.make_key(TRAINING_VERSION, identify_set(ws), model, *decisive)
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


def describe_model(build, parameters: dict, base: dict, is_augmented: bool) -> dict:
    """Return what a model's JSON tells: its base, as of `describe_base`, parameters, and two lines.

    The first line of the docstring of `build` says what the model is, the rest what it is for.
    """
    first, _, rest = (inspect.getdoc(build) or "").partition("\n")
    chosen = {
        key.lower(): value for key, value in parameters.items() if "SEED" not in key
    }
    chosen |= base["parameters"]
    name = base.get("started_from") or base["parameters"].get("backbone")
    what = (
        first.rstrip(".")
        + (f" of {name}" if name else "")
        + ", augmentation" * is_augmented
    )
    purpose = " ".join(rest.split()).rstrip(".")
    return base | {"characteristics": what, "purpose": purpose, "parameters": chosen}


def describe_base(ws, base) -> dict:
    """Return what a model's JSON tells of what it is built on: a `Network`, a saved model's name, or None."""
    if base is None:
        return {"weights": "from scratch", "parameters": {}}
    if isinstance(base, str):
        start = saved.read_metadata(ws, base)
        known = {key: start.get(key) for key in ("weights", "backbone_origin")}
        chosen = {"backbone": start["parameters"].get("backbone")}
        return known | {"started_from": base, "parameters": chosen}
    origin = origins.describe_origin(base.spec, base.weights)
    chosen = {"backbone": backbones.hide_folder(base.spec), "weights": base.weights}
    return {"weights": base.weights, "backbone_origin": origin, "parameters": chosen}
