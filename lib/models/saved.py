"""Save, list and load models."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.data.split import identify_set, read_split
from lib.machine import describe_environment, find_versions
from lib.storage import whole_file

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "pillow", "scikit-learn")


def save(model, history: pd.DataFrame, ws, name: str, about: dict) -> None:
    """Save a model with its history and its JSON; the JSON, written last, makes it complete.

    A training that `fit` took from its files is left there as it is.

    Args:
        model: keras.Model that takes RGB pictures of 0-255 and gives probabilities.
        history: as `fit` returns it.
        ws: the workspace.
        name: of the files.
        about: what the JSON tells besides counts, versions and the split's hash.
    """
    if "taken" in history.attrs:
        # The files tell of the machine that the training ran on.
        return
    description = ws.file("models", f"{name}.json")
    description.unlink(missing_ok=True)
    # Of the model that this one replaces.
    (ws.results / f"predictions/{name}.csv").unlink(missing_ok=True)
    ws.save_table(history, f"history/{name}.csv")
    with whole_file(path := ws.file("models", f"{name}.keras")) as part:
        _copy_plain(model).save(part)
    made = {"name": name} | about | _describe_making(model, history, path)
    made |= {"class_names": sorted(set(read_split(ws).label)), "demo": ws.is_demo}
    ws.save_json(made | {"split_hash": identify_set(ws)}, f"models/{name}.json")
    for kept in ws.results.glob(f"checkpoints/{name}-*"):
        kept.unlink()
    if "kept" in history.attrs:
        ws.file("checkpoints", history.attrs["kept"]).with_suffix(".finished").touch()


def _describe_making(model, history: pd.DataFrame, path: Path) -> dict:
    return {
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "file_hash": _hash_file(path),
        "backend": keras.backend.backend(),
        "versions": find_versions(PACKAGES),
        "hardware": describe_environment().splitlines()[-1],
        "seconds": round(float(history.seconds.sum()), 1),
    }


def _copy_plain(model) -> keras.Model:
    # A copy that was never compiled leaves the optimizer's state, twice the weights, out, and one
    # that computes in float32 runs anywhere.
    config = json.dumps(model.get_config()).replace(keras.config.dtype_policy().name, "float32")
    plain = type(model).from_config(json.loads(config))
    plain.set_weights(model.get_weights())
    return plain


def list_models(ws) -> list[dict]:
    """Read the JSON of every model of the current split, in the order of the notebooks.

    A model of another split can't be compared with the others: it is named and left out. Each
    entry gets a `label` for tables and figures, which says so when a backbone is untrained.

    Raises:
        FileNotFoundError: no model of this split was trained.
    """
    split_hash = identify_set(ws)
    models = []
    for path in sorted(ws.results.glob("models/*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["split_hash"] != split_hash:
            print(
                f"{about['name']} is left out: it was trained on other pictures or another split; train it again."
            )
            continue
        untrained = about["weights"] == "untrained"
        models.append(about | {"label": about["name"] + " (untrained backbone)" * untrained})
    if not models:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split. "
            "Run 02_baseline_cnn, 03_augmented_cnn or 04_resnet50_transfer first."
        )
    return sorted(models, key=lambda about: (about["notebook"], about["name"]))


def load_model(ws, name: str) -> keras.Model:
    """Load a saved model: RGB pictures (n, size, size, 3) of 0-255 in, probabilities out.

    Raises:
        ValueError: the file is not the one that the model's JSON tells of.
    """
    path = ws.results / "models" / f"{name}.keras"
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if about.get("file_hash", "") not in ("", found := _hash_file(path)):
        raise ValueError(
            f"{path} has the hash {found}, and {path.with_suffix('.json').name} tells of "
            f"{about['file_hash']}: it was changed or replaced. Run {about['notebook']} again."
        )
    return keras.saving.load_model(path, safe_mode=True)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
