"""Save, list and load models."""

import contextlib
import hashlib
import json
import time
from pathlib import Path

import keras
import numpy as np

from lib.data.split import identify_set, read_split
from lib.data.table import read_table
from lib.machine import describe_environment, find_versions
from lib.models.files import write_model
from lib.storage import atomic_write

# Endings of further files beside a model, which other notebooks make of it.
BESIDE = ("md", "npz", "tflite")
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "pillow", "scikit-learn")


@contextlib.contextmanager
def save(model, run, ws, name: str, metadata: dict):
    """Save a model with its history and its JSON, once the block that checks it has succeeded.

    Yields the model that the new file holds. The JSON, written last, makes the model complete: it has
    `metadata`, and besides counts, versions, the key of the `training.Run`, and the set's hash.
    """
    path = ws.file("models", f"{name}.keras")
    with atomic_write(path) as part:
        write_model(model, part)
        yield keras.saving.load_model(part, compile=False, safe_mode=True)
    # Of the model that this one replaces.
    for stale in (
        f"predictions/{name}.csv",
        *(f"models/{name}.{end}" for end in BESIDE),
    ):
        (ws.results / stale).unlink(missing_ok=True)
    class_names = metadata.get("class_names") or sorted(set(read_split(ws).label))
    ws.save_table(run.history, f"history/{name}.csv")
    made = {
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(
            int(np.prod(w.shape)) for w in model.trainable_weights
        ),
        "file_hash": hash_file(path, class_names),
        "backend": keras.backend.backend(),
        "versions": find_versions(PACKAGES),
        "hardware": describe_environment().splitlines()[-1],
        "seconds": round(float(run.history.seconds.sum()), 1),
        "key": run.key,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "demo": ws.is_demo,
        "split_hash": metadata.get("split_hash") or identify_set(ws),
        "class_names": class_names,
    }
    ws.save_json({"name": name} | metadata | made, f"models/{name}.json")
    for kept in ws.results.glob(f"checkpoints/{name}-{'[0-9a-f]' * 16}.npz"):
        kept.unlink()


def read_metadata(ws, name: str) -> dict:
    """Read the JSON of a model; {} where it is missing or damaged, since it makes a model complete."""
    try:
        return dict(
            json.loads((ws.results / f"models/{name}.json").read_text(encoding="utf-8"))
        )
    except (OSError, TypeError, ValueError):
        return {}


def update_metadata(ws, name: str, found: dict) -> None:
    """Add to a model's JSON what was found of it, say its temperature."""
    ws.save_json(read_metadata(ws, name) | found, f"models/{name}.json")


def list_models(ws) -> list[dict]:
    """Read the JSON of every model of the current split, in the order of the notebooks.

    A run with a further seed counts only if nothing but the seed differs from the first: what is left
    out is named, but for another task. Each gets a `label`, which says so when a backbone is untrained,
    and a `configuration`: the name of the first run. A FileNotFoundError where there is none.
    """
    current, models, first = identify_set(ws), [], {}
    for path in sorted(ws.results.glob("models/*.json"), key=lambda path: path.stem):
        metadata = read_metadata(ws, path.stem)
        if "task" in metadata:
            continue
        if metadata.get("split_hash") != current:
            print(
                f"{path.stem} is left out: trained on other pictures, or {path.name} is damaged."
            )
            continue
        configuration, chosen = (
            path.stem.split("@")[0],
            metadata.get("parameters", {}) | {"seed": None},
        )
        if first.setdefault(configuration, chosen) != chosen:
            print(
                f"{path.stem} is left out: {configuration} was trained with other parameters."
            )
            continue
        note = " (untrained backbone)" if metadata["weights"] == "untrained" else ""
        models.append(
            metadata
            | {"label": metadata["name"] + note, "configuration": configuration}
        )
    if not models:
        remedy = "run 02_baseline_cnn, 04_resnet50_transfer or 05_backbones first"
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split: {remedy}."
        )
    return sorted(models, key=lambda metadata: (metadata["notebook"], metadata["name"]))


def find_transfer(ws, name: str = "", kinds=("linear", "transfer")) -> str:
    """Return the name of a model on a frozen backbone: the one asked for, else the contest's winner.

    Without a name and a contest it is the first model of the first of `kinds`, which its name ends in:
    linear is a model of 05, transfer one of 04. A FileNotFoundError where the current split has none.
    """
    models = [metadata["name"] for metadata in list_models(ws)]
    known = [one for kind in kinds for one in models if one.endswith(f"_{kind}")]
    contest, winner = ws.results / "contest.csv", []
    if contest.exists():
        winner = read_table(contest).query("chosen == 'True'").candidate + "_linear"
    for one in [name] if name else [*winner, *known]:
        if one in known:
            return one
    raise FileNotFoundError(
        f"{ws.results / 'models'} has no {name or 'model'} of the current split whose name ends in "
        f"{' or '.join(kinds)}, but {', '.join(known) or 'none'}. Run 05_backbones first."
    )


def load_model(ws, name: str) -> keras.Model:
    """Load a saved model, RGB pictures (n, size, size, 3) of 0-255 in, probabilities out."""
    return open_model(ws.results / f"models/{name}.keras")[0]


def open_model(path: Path) -> tuple[keras.Model, dict]:
    """Open a .keras file, and the JSON beside it; a ValueError where they don't belong together."""
    description = path.with_suffix(".json")
    try:
        metadata = dict(json.loads(description.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{description} is not valid JSON of a model: {error}"
        ) from error
    expected = hash_file(path, metadata.get("class_names"))
    if metadata.get("file_hash") != expected:
        raise ValueError(
            f'{description}: "file_hash" is {metadata.get("file_hash", "missing")}, and that of {path} '
            f'with the "class_names" is {expected}: one of them was changed or replaced. Copy both '
            "files again, or run again the notebook that made them."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True), metadata
    except Exception as error:
        raise ValueError(f"{path} can't be loaded: {error}") from error


def hash_file(path: Path, class_names) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file and of names of classes, in their order."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(class_names).encode())
    return digest.hexdigest()[:16]
