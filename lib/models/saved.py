"""Describe, save and load models."""

import hashlib
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.base.machine import PACKAGES, describe_environment, find_versions
from lib.base.storage import atomic_write
from lib.base.workspace import Workspace, read_table
from lib.models.files import write_model
from lib.models.parts import list_layers
from lib.models.record import Record, read_record, remove_predictions

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]
# How far the answers of a file may differ from its model's on the same machine.
TOLERANCE = 1e-4
# Where one of them multiplies with ten bits: in half precision, and on GPUs that compute float32 as TF32.
# The features of MobileNet 0.25 moved an answer by 0.015 where they came from another machine.
ROUGH_TOLERANCE = 0.1


def describe_model(model: keras.Model, ws: Workspace, **facts: object) -> Record:
    """Make the record of a model of what it is, of this machine, and of facts.

    Args:
        model: RGB pictures of 0-255 in, probabilities out.
        ws: the workspace.
        facts: further fields of `Record`, by their names; they go before.
    """
    trainable = [math.prod(weight.shape) for weight in model.trainable_weights]
    own = {
        "name": model.name,
        "configuration": model.name,
        "image_size": model.input_shape[1],
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(trainable),
        "versions": find_versions(PACKAGES),
        "hardware": describe_environment().splitlines()[-1],
        "date": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "demo": ws.is_demo,
    }
    return Record(**own | facts)


def save(
    model: keras.Model,
    ws: Workspace,
    record: Record,
    *,
    pictures: np.ndarray,
    y_prob: np.ndarray,
    history: pd.DataFrame | None = None,
) -> Record:
    """Save a model, its history and its record, if its file answers as it should.

    Only then does the file get its name. The record, written last, makes the model complete.

    Args:
        model: RGB pictures of 0-255 in, probabilities out.
        ws: the workspace.
        record: of `describe_model`.
        pictures: uint8 (n, size, size, 3), n at least 1.
        y_prob: float (n, classes), what the model answers to them, or what its head was made of: a
            classifier of scikit-learn, say, which knows no TF32.
        history: one row per epoch of the training; None where there were no epochs.

    Returns:
        The record, with the hash of the file.

    Raises:
        ValueError: the file gives other probabilities.
    """
    name = record.name
    path = ws.file("models", f"{name}.keras")
    with atomic_write(path) as part:
        write_model(model, part)
        _check_answers(model, part, pictures=pictures, y_prob=y_prob)
    _remove_replaced(ws, name)
    if history is not None:
        ws.save_table(history, f"history/{name}.csv")
    record = replace(record, file_hash=hash_file(path, record.class_names))
    ws.save_json(asdict(record), f"models/{name}.json")
    for kept in ws.results.glob(f"checkpoints/{name}-{'[0-9a-f]' * 16}.npz"):
        kept.unlink()
    return record


def _check_answers(model, path, *, pictures, y_prob):
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    loaded.jit_compile = model.jit_compile  # XLA rounds otherwise.
    dtypes = {layer.compute_dtype for layer in list_layers(model)}
    # The file computes in float32.
    tolerance = TOLERANCE if dtypes == {"float32"} else ROUGH_TOLERANCE
    limits = [(model.predict_on_batch(pictures), tolerance), (y_prob, ROUGH_TOLERANCE)]
    answers = loaded.predict_on_batch(pictures)
    for expected, limit in limits:
        difference = abs(answers - expected).max()
        # What is no number is not within it.
        if not difference <= limit:
            raise ValueError(
                f"{model.name} is not saved: its file gives other probabilities than it, by up to "
                f"{difference:.2g}. Build it of layers that Keras saves as they are."
            )


def _remove_replaced(ws, name):
    """Remove what was made of the model that a new one replaces."""
    remove_predictions(ws, name)
    for file in ("history/{}.csv", "models/{}.md", "models/{}.npz", "models/{}.tflite"):
        (ws.results / file.format(name)).unlink(missing_ok=True)


def load_model(ws: Workspace, name: str) -> keras.Model:
    """Load a saved model, RGB pictures (n, size, size, 3) of 0-255 in, probabilities out."""
    return open_model(ws.results / f"models/{name}.keras")[0]


def open_model(path: Path) -> tuple[keras.Model, Record]:
    """Open a .keras file and the record beside it.

    Raises:
        FileNotFoundError: the model is missing.
        ValueError: its JSON is, one of them is damaged, or they don't belong together.
    """
    record = read_record(path)
    if record is None or record.file_hash != hash_file(path, record.class_names):
        raise ValueError(
            f'{path.with_suffix(".json")} is missing or damaged, or its "file_hash" is not that of {path} '
            'and its "class_names": copy both files again, or run again the notebook that made them.'
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras has many for a file that it can't read.
    except Exception as error:
        raise ValueError(f"{path} can't be loaded: {error}") from error
    return model, record


def open_training(
    ws: Workspace, record: Record, epochs: int
) -> tuple[keras.Model, pd.DataFrame, str]:
    """Return model, history and date of a finished training of so many epochs.

    Raises:
        OSError, ValueError: its files are missing or damaged, or of a training with another key than
            that of the record.
    """
    path = ws.results / f"models/{record.name}.keras"
    kept = read_record(path)
    if kept is not None and kept.key != record.key:
        raise ValueError("its pictures, layers, settings or code were others")
    model, kept = open_model(path)
    path = ws.results / f"history/{record.name}.csv"
    try:
        history = read_table(path).astype(float)
    except ValueError:  # text that is no table of numbers
        history = pd.DataFrame()
    if list(history) != HISTORY_COLUMNS or len(history) != epochs:
        raise ValueError(f"{path} is damaged")
    return model, history.astype({"epoch": int}), kept.date


def hash_file(path: Path, class_names: list[str]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file and of names of classes, in their order."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(class_names).encode())
    return digest.hexdigest()[:16]
