"""Train: the same training is done once, goes on where it was cut short, and is saved and checked."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.base.work import show_progress
from lib.base.workspace import Workspace, read_table
from lib.data import generators
from lib.data.generators import Batches
from lib.models import files, keys, saved
from lib.models.checkpoint import HISTORY_COLUMNS, Checkpoint
from lib.models.descriptions import describe_base, list_settings
from lib.models.networks import Network
from lib.models.record import Record, read_record

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 7


@dataclass(frozen=True)
class Run:
    """A training that came to its end."""

    model: keras.Model  # as it was trained
    # One row per epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.
    history: pd.DataFrame
    from_files: bool  # whether an earlier run trained it


@dataclass(frozen=True)
class _Task:
    """What is to be trained, with one seed."""

    record: Record
    model: keras.Model  # the part that is trained
    whole: keras.Model  # what is saved
    batches: list[Batches]  # to train and to validate on
    epochs: int
    class_weights: dict | None
    checkpoint: Path


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras, so that initial weights and dropout are the same again.

    Args:
        deterministic: allow only operations that give the same bits in every run on one kind of
            machine, which may be slower. It can't be undone in a running kernel.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def train(
    build: Callable,
    batches: tuple[Batches, Batches],
    ws: Workspace,
    parameters: dict,
    seeds: Iterable[int],
    *,
    base: Network | Record | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    **facts: str,
) -> Run:
    """Train a model once for each seed; save each once its file answers as it does.

    A training that was cut short goes on after its last whole epoch, and a finished one is taken from its
    files, unless what decides the outcome is other: pictures, layers, first weights, what learns, how it
    is compiled, the source of `build`. TRAIN_ANEW=1 in the environment trains anew.

    Args:
        build: returns a model, RGB pictures of 0-255 to probabilities, compiled with metrics=["accuracy"];
            or a pair: the part that is trained, and the whole model.
        batches: to train and to validate on, of one split.
        ws: the workspace.
        parameters: of the notebook; EPOCHS counts and, where there, CLASS_WEIGHTS and DETERMINISTIC.
        seeds: the names of all models but the first end in @ and the seed.
        base: the network, or the record of the saved model, that the model is built on.
        callbacks: further ones for `fit` that only watch, say keras.callbacks.TensorBoard.
        facts: notebook, characteristics and purpose, as fields of the record.

    Returns:
        The run of the first seed.

    Raises:
        ValueError: the batches are not of one split, or a file would not hold what the model is made
            of, or doesn't answer as it does.
        FloatingPointError: the loss is infinite or no number.
    """
    hashes = {part.set_hash for part in batches}
    if len(hashes) > 1 or "" in hashes:
        raise ValueError(
            "The batches don't tell of which split they are, or are of two: make them all by "
            "generators.pair, after 01_data_prep has finished."
        )
    facts |= describe_base(base)
    facts["parameters"] = list_settings(parameters, facts)
    first = None
    for seed in seeds:
        set_seed(seed, parameters.get("DETERMINISTIC", False))
        task = _prepare(
            build, batches, ws, parameters, facts, seed=seed, is_first=first is None
        )
        history = _take(task, ws)
        from_files = history is not None
        if not from_files:
            history = _fit(task, callbacks)
            _save(task, history, ws)
        first = first or Run(task.whole, history, from_files)
    return first


def _prepare(build, batches, ws, parameters, facts, *, seed, is_first):
    model = whole = build()
    if isinstance(whole, tuple):
        model, whole = whole
    files.check_saveable(whole)
    name = whole.name if is_first else f"{whole.name}@{seed}"
    batches = [part.reseed(seed) for part in batches]
    epochs = parameters["EPOCHS"]
    train = batches[0]
    class_weights = generators.compute_class_weights(
        train.y_true, train.num_classes, parameters.get("CLASS_WEIGHTS", "none")
    )
    decisive = [epochs, class_weights, parameters.get("DETERMINISTIC")]
    family = _find_family(model, build, batches, decisive)
    key = keys.make_key(family, seed, model, keys.mark_custom_code(model))
    record = saved.describe_model(
        whole,
        ws,
        name=name,
        class_names=train.class_names,
        split_hash=train.set_hash,
        seed=seed,
        family=family,
        key=key,
        **facts,
    )
    return _Task(
        record=record,
        model=model,
        whole=whole,
        batches=batches,
        epochs=epochs,
        class_weights=class_weights,
        checkpoint=ws.file("checkpoints", f"{name}-{key[:16]}.npz"),
    )


def _find_family(model, build, batches, decisive):
    """Return the key of all that decides a training but for its seed."""
    described = [TRAINING_VERSION, batches[0].set_hash]
    for part in batches:
        described += part.describe()
    return keys.make_key(*decisive, *described, *keys.describe_training(model, build))


def _take(task, ws):
    """Take a finished training from its files: set the weights, and return the history."""
    if environ.get("TRAIN_ANEW"):
        task.checkpoint.unlink(missing_ok=True)
        return None
    name = task.record.name
    path = ws.results / f"models/{name}.keras"
    is_new = not (path.exists() or path.with_suffix(".json").exists())
    # Where there is a checkpoint, the same training was begun anew, and goes on.
    if is_new or task.checkpoint.exists():
        return None
    record = read_record(path)
    try:
        if record is not None and record.key != task.record.key:
            raise ValueError("its pictures, layers, settings or code were others")
        model, _ = saved.open_model(path)
        history = _read_history(ws, task)
    except (OSError, ValueError) as error:
        print(f"Note: {name} is trained anew: {error}")
        return None
    task.whole.set_weights(model.get_weights())
    date = record.date
    print(f"Note: {name} is taken from the training of {date}; --anew trains again")
    return history


def _read_history(ws, task):
    path = ws.results / f"history/{task.record.name}.csv"
    with contextlib.suppress(ValueError):  # of text that is no table of numbers
        history = read_table(path).astype(float)
        if list(history.columns) == HISTORY_COLUMNS and len(history) == task.epochs:
            return history.astype({"epoch": int})
    raise ValueError(f"{path} is damaged")


def _fit(task, callbacks):
    train, validation = task.batches
    name = task.record.name
    checkpoint = Checkpoint(task.checkpoint, task.model, train)
    done = len(checkpoint.rows)
    if done:
        print(f"Note: {name} goes on after epoch {done} of {task.epochs}.")
    with show_progress(
        desc=name,
        unit="batch",
        total=task.epochs * len(train),
        initial=done * len(train),
    ) as checkpoint.progress:
        task.model.fit(
            generators.stream(train),
            validation_data=generators.stream(validation),
            epochs=task.epochs,
            initial_epoch=done,
            shuffle=False,  # The batches shuffle themselves: by seed and epoch alone.
            verbose=0,
            class_weight=task.class_weights,
            callbacks=[checkpoint, *callbacks],
        )
    return pd.DataFrame(checkpoint.rows, columns=HISTORY_COLUMNS).astype({"epoch": int})


def _save(task, history, ws):
    validation = task.batches[1]
    chosen = slice(0, validation.batch_size)
    y_prob = task.model.predict_on_batch(validation.inputs[chosen])
    seconds = round(float(history.seconds.sum()), 1)
    saved.save(
        task.whole,
        ws,
        replace(task.record, seconds=seconds),
        pictures=validation.pictures[chosen],
        y_prob=np.asarray(y_prob),
        history=history,
    )
