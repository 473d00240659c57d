"""Describe, save and load models."""

import hashlib
import json
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.base.machine import PACKAGES, describe_environment, find_versions
from lib.base.storage import atomic_write
from lib.base.workspace import Workspace, read_table
from lib.models.files import write_model
from lib.models.record import Record, read_record, update_record

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
    own = {
        "name": model.name,
        "configuration": model.name,
        "image_size": model.input_shape[1],
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(map(np.size, model.trainable_weights)),
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
        y_prob: float (n, classes), what it answers to them, or the classifier that its head was made of.
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
    # What was made of the model that this one replaces.
    (ws.results / f"predictions/{name}.csv").unlink(missing_ok=True)
    for suffix in (".md", ".npz", ".tflite"):
        path.with_suffix(suffix).unlink(missing_ok=True)
    if history is not None:
        ws.save_table(history, f"history/{name}.csv")
    record = update_record(ws, record, file_hash=hash_file(path, record.class_names))
    for kept in ws.results.glob(f"checkpoints/{name}-{'?' * 16}.npz"):
        kept.unlink()
    return record


def _check_answers(model, path, *, pictures, y_prob):
    """Raise a ValueError where a file gives other probabilities than it should."""
    loaded = keras.saving.load_model(path, compile=False)
    loaded.jit_compile = model.jit_compile  # XLA rounds otherwise.
    answers = loaded.predict_on_batch(pictures)
    # The file computes in float32.
    tolerance = TOLERANCE if model.compute_dtype == "float32" else ROUGH_TOLERANCE
    limits = [(model.predict_on_batch(pictures), tolerance), (y_prob, ROUGH_TOLERANCE)]
    for expected, limit in limits:
        # What is no number is not near.
        if not np.allclose(answers, expected, rtol=0, atol=limit):
            raise ValueError(
                f"{model.name} is not saved: its file gives other probabilities than it. Build it of "
                "layers that Keras saves as they are."
            )


def load_model(ws: Workspace, name: str) -> keras.Model:
    """Load a saved model, RGB pictures (n, size, size, 3) of 0-255 in, probabilities out."""
    return open_model(ws.results / f"models/{name}.keras")[0]


def open_model(path: Path) -> tuple[keras.Model, Record]:
    """Open a .keras file and the record beside it.

    Raises:
        ValueError: one of them is missing or damaged, or they don't belong together.
    """
    record = read_record(path)
    if not is_whole(path, record):
        raise ValueError(
            f"{path} or its .json is missing or damaged, or they don't belong together: copy both again, "
            "or run again the notebook that made them."
        )
    return keras.saving.load_model(path, compile=False), record


def is_whole(path: Path, record: Record | None) -> bool:
    """Tell whether the file of a model is there, and the one of its record."""
    is_there = record is not None and path.exists()
    return is_there and record.file_hash == hash_file(path, record.class_names)


def read_history(ws: Workspace, name: str) -> pd.DataFrame:
    """Read the history of a training; an empty table where it is missing or damaged."""
    try:
        history = read_table(ws.results / f"history/{name}.csv")
        return history.astype(float).astype({"epoch": int})
    except (KeyError, OSError, ValueError):
        return pd.DataFrame()


def hash_file(path: Path, class_names: list[str]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file and of names of classes, in their order."""
    names = json.dumps(class_names).encode()
    return hashlib.sha256(path.read_bytes() + names).hexdigest()[:16]
