"""Save, list and load models."""

import hashlib
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.data.split import identify_set, read_split
from lib.machine import describe_environment, find_versions
from lib.models.files import write_model
from lib.models.parts import list_layers
from lib.storage import atomic_write
from lib.workspace import Workspace, read_table

BESIDE = ("md", "npz", "tflite")  # what other notebooks make of a model
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "pillow", "scikit-learn")
# How far equal probabilities may differ; in half precision, whose file is in float32.
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.1


def save(
    model: keras.Model,
    ws: Workspace,
    metadata: dict,
    *,
    pictures: np.ndarray,
    y_prob: np.ndarray,
    history: pd.DataFrame | None = None,
) -> None:
    """Save a model, its history and its JSON, if its file answers as it should.

    Only then does the file get its name. The JSON, written last, makes the model complete.

    Args:
        model: RGB pictures of 0-255 in, probabilities out.
        ws: the workspace.
        metadata: what the JSON tells beside counts, versions and hashes: name, notebook, weights, seed,
            image_size, parameters and more. Where class_names and split_hash are missing, they are those
            of the split.
        pictures: uint8 (n, size, size, 3), n at least 1.
        y_prob: float (n, classes), what the model answers to them.
        history: one row per epoch of the training; None where there were no epochs.

    Raises:
        ValueError: the file gives other probabilities.
    """
    name = metadata["name"]
    path = ws.file("models", f"{name}.keras")
    with atomic_write(path) as part:
        write_model(model, part)
        _check_answers(model, part, pictures=pictures, y_prob=y_prob)
    _remove_replaced(ws, name)
    if history is not None:
        ws.save_table(history, f"history/{name}.csv")
    class_names = metadata.get("class_names") or sorted(set(read_split(ws).label))
    trainable = [math.prod(weight.shape) for weight in model.trainable_weights]
    made = {
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(trainable),
        "file_hash": hash_file(path, class_names),
        "backend": keras.backend.backend(),
        "versions": find_versions(PACKAGES),
        "hardware": describe_environment().splitlines()[-1],
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "demo": ws.is_demo,
        "split_hash": metadata.get("split_hash") or identify_set(ws),
        "class_names": class_names,
    }
    ws.save_json(metadata | made, f"models/{name}.json")
    for kept in ws.results.glob(f"checkpoints/{name}-{'[0-9a-f]' * 16}.npz"):
        kept.unlink()


def _check_answers(model, path, *, pictures, y_prob):
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    difference = abs(loaded.predict_on_batch(pictures) - y_prob).max()
    tolerance = TOLERANCE
    dtypes = {layer.compute_dtype for layer in list_layers(model)}
    # The file computes in float32; so does a head on features in half precision.
    if dtypes | {keras.config.dtype_policy().compute_dtype} != {"float32"}:
        tolerance = HALF_TOLERANCE
    # What is no number is not within it.
    if not difference <= tolerance:
        raise ValueError(
            f"{model.name} is not saved: its file gives other probabilities than it, by up to "
            f"{difference:.2g}. Build it of layers that Keras saves as they are."
        )


def _remove_replaced(ws, name):
    """Remove what was made of the model that a new one replaces."""
    stale = [f"predictions/{name}.csv", f"history/{name}.csv"]
    stale += [f"models/{name}.{ending}" for ending in BESIDE]
    for file in stale:
        (ws.results / file).unlink(missing_ok=True)


def read_metadata(ws: Workspace, name: str) -> dict:
    """Read the JSON of a model, as `read_beside` does."""
    return read_beside(ws.results / f"models/{name}.keras")


def read_beside(path: Path) -> dict:
    """Read the JSON beside a file; {} where it is missing or damaged, since it makes a model complete."""
    path = path.with_suffix(".json")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return {}


def update_metadata(ws: Workspace, name: str, found: dict) -> None:
    """Add to a model's JSON what was found of it, say its temperature."""
    ws.save_json(read_metadata(ws, name) | found, f"models/{name}.json")


def list_models(ws: Workspace) -> list[dict]:
    """Read the JSON of every model of the current split, in the order of the notebooks.

    A run with a further seed counts only if nothing but the seed differs from the first.

    Returns:
        The metadata of each model, its `configuration` (the name of the first run), and a `label`, which
        says so when its backbone is untrained.

    Raises:
        FileNotFoundError: there is none.
    """
    models, left_out = _sort_models(ws)
    if not models:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split: run 02_baseline_cnn, "
            f"04_resnet50_transfer or 05_backbones first. {' '.join(left_out)}"
        )
    return sorted(models, key=lambda metadata: (metadata["notebook"], metadata["name"]))


def describe_left_out(ws: Workspace) -> list[str]:
    """Return a line for each model that `list_models` leaves out, but for those of another task."""
    return _sort_models(ws)[1]


def _sort_models(ws):
    """Return the metadata of the models that count, and lines about those that are left out."""
    current = identify_set(ws)
    first = {}
    models = []
    left_out = []
    for path in sorted(ws.results.glob("models/*.json"), key=lambda path: path.stem):
        name = path.stem
        metadata = read_beside(path)
        if "task" in metadata:
            continue
        configuration = name.split("@")[0]
        parameters = metadata.get("parameters", {}) | {"seed": None}
        reason = ""
        if "split_hash" not in metadata:
            reason = f"{path} is damaged: run again the notebook that made it"
        elif metadata["split_hash"] != current:
            reason = "it was trained on other pictures, labels or parts"
        elif first.setdefault(configuration, parameters) != parameters:
            reason = f"{configuration} was trained with other parameters"
        if reason:
            left_out.append(f"{name} is left out: {reason}.")
            continue
        is_untrained = metadata["weights"] == "untrained"
        label = f"{name} (untrained backbone)" if is_untrained else name
        models.append(metadata | {"label": label, "configuration": configuration})
    return models, left_out


def find_transfer(
    ws: Workspace, name: str = "", kinds: tuple[str, ...] = ("linear", "transfer")
) -> str:
    """Return the name of a model on a frozen backbone: the one asked for, else the contest's winner.

    Without a name and a contest it is the first model of the first kind.

    Args:
        ws: the workspace.
        name: of the model that is asked for, or "".
        kinds: what its name may end in: linear for a model of 05, transfer for one of 04.

    Raises:
        FileNotFoundError: the current split has none.
    """
    names = [metadata["name"] for metadata in list_models(ws)]
    known = []
    for kind in kinds:
        known += [each for each in names if each.endswith(f"_{kind}")]
    wanted = [name]
    if not name:
        wanted = find_winner(ws) + known
    for each in wanted:
        if each in known:
            return each
    raise FileNotFoundError(
        f"{ws.results / 'models'} has no {name or 'model'} of the current split whose name ends in "
        f"{' or '.join(kinds)}, but {', '.join(known) or 'none'}. Run 05_backbones first."
    )


def find_winner(ws: Workspace) -> list[str]:
    """Return the name of the model of 05's winner, in a list; none where 05 has not run."""
    path = ws.results / "contest.csv"
    if not path.exists():
        return []
    contest = read_table(path)
    return list(contest.candidate[contest.chosen == "True"] + "_linear")


def load_model(ws: Workspace, name: str) -> keras.Model:
    """Load a saved model, RGB pictures (n, size, size, 3) of 0-255 in, probabilities out."""
    return open_model(ws.results / f"models/{name}.keras")[0]


def open_model(path: Path) -> tuple[keras.Model, dict]:
    """Open a .keras file and the JSON beside it.

    Raises:
        FileNotFoundError: the model is missing.
        ValueError: its JSON is, one of them is damaged, or they don't belong together.
    """
    metadata = read_beside(path)
    if metadata.get("file_hash") != hash_file(path, metadata.get("class_names")):
        raise ValueError(
            f'{path.with_suffix(".json")} is missing or damaged, or its "file_hash" is not that of {path} '
            'and its "class_names": copy both files again, or run again the notebook that made them.'
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras has many for a file that it can't read.
    except Exception as error:
        raise ValueError(f"{path} can't be loaded: {error}") from error
    return model, metadata


def hash_file(path: Path, class_names: list[str]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file and of names of classes, in their order."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(class_names).encode())
    return digest.hexdigest()[:16]
