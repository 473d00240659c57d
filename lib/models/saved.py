"""Describe, save and load models, in files that older and newer versions of Keras open, too."""

import hashlib
import json
import re
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

from lib.base.machine import PACKAGES, describe_environment, find_versions
from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.models.keys import find_custom_objects, find_policies, simplify
from lib.models.record import Record, read_record, update_record

# How far the answers of a file may differ from its model's on the same machine.
TOLERANCE = 1e-4
# Where one of them multiplies with ten bits: in half precision, and on GPUs that compute float32 as TF32.
# The features of MobileNet 0.25 moved an answer by 0.015 where they came from another machine.
ROUGH_TOLERANCE = 0.1


def describe_model(model: keras.Model, **facts: object) -> Record:
    """Make the record of a model of what it is, of this machine, and of facts.

    Args:
        model: RGB pictures of 0-255 in, probabilities out.
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
    }
    return Record(**own | facts)


def check_saveable(model: keras.Model) -> None:
    """Check that a model holds no code that its file would not carry to another notebook.

    Raises:
        ValueError: it does; the message names it.
    """
    custom = find_custom_objects(keras.saving.serialize_keras_object(model))
    if custom:
        raise ValueError(
            f"{model.name} can't be saved: {', '.join(custom)} is code that its file would not hold, so no "
            "other notebook could open it. Build it of layers and functions of Keras."
        )


def write_model(model: keras.Model, path: Path) -> None:
    """Write a model, without its optimizer and in float32, so that it opens in older and newer Keras.

    The same model gives the same bytes.
    """
    plain = type(model).from_config(simplify(model.get_config()))
    plain.set_weights(model.get_weights())
    plain.save(path)
    _simplify_file(path)


def _simplify_file(path):
    """Leave out of a .keras file what older versions don't know, dates, and half precision."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = json.dumps(simplify(json.loads(members["config.json"])))
    members["config.json"] = re.sub("mixed_b?float16", "float32", config)
    # The date stands in the record.
    members["metadata.json"] = json.dumps({"keras_version": keras.__version__})
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)


def save(
    model: keras.Model,
    ws: Workspace,
    record: Record,
    *,
    pictures: np.ndarray,
    y_prob: np.ndarray,
) -> Record:
    """Save a model and its record, if its file answers as it should.

    Only then does the file get its name; the record is written last. What was made of a model that this
    one replaces goes, but for the licence. The same model, saved again, keeps all that was made of it.

    Args:
        model: RGB pictures of 0-255 in, probabilities out.
        ws: the workspace.
        record: of `describe_model`.
        pictures: uint8 (n, size, size, 3), n at least 1.
        y_prob: float (n, classes), what it answers to them, or the classifier that its head was made of.

    Raises:
        ValueError: the file gives other probabilities.
    """
    path = ws.file("models", f"{record.name}.keras")
    kept = read_record(path) or record
    with atomic_write(path) as part:
        write_model(model, part)
        _check_answers(model, part, pictures=pictures, y_prob=y_prob)
        model_hash = hash_model(part, record.class_names)
    if kept.key == record.key and kept.file_hash == model_hash:
        record = kept
    else:
        (ws.results / f"predictions/{record.name}.csv").unlink(missing_ok=True)
        for suffix in (".md", ".npz", ".tflite"):
            path.with_suffix(suffix).unlink(missing_ok=True)
    return update_record(
        ws, record, file_hash=model_hash, licence=kept.licence, dataset=kept.dataset
    )


def _check_answers(model, path, *, pictures, y_prob):
    """Raise a ValueError where a file gives other probabilities than it should."""
    loaded = keras.saving.load_model(path, compile=False)
    loaded.jit_compile = model.jit_compile  # XLA rounds otherwise.
    answers = loaded.predict_on_batch(pictures)
    # The file computes in float32.
    policies = find_policies(model.get_config()) | {model.dtype_policy.name}
    tolerance = TOLERANCE if policies == {"float32"} else ROUGH_TOLERANCE
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
    if (
        record is None
        or not path.exists()
        or record.file_hash != hash_model(path, record.class_names)
    ):
        raise ValueError(
            f"{path} or its .json is missing or damaged, or they don't belong together: copy both again, "
            "or run again the notebook that made them."
        )
    return keras.saving.load_model(path, compile=False), record


def hash_model(path: Path, class_names: list[str]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a model's file and its classes, in their order."""
    names = json.dumps(class_names).encode()
    return hashlib.sha256(path.read_bytes() + names).hexdigest()[:16]
