"""The file beside a model that tells what it was trained on: written, and opened."""

import zipfile
from pathlib import Path

import numpy as np

from lib.models.pooling import has_backbone
from lib.storage import whole_file


def keep_features(ws, metadata: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays of `strangers.keep_distances` as models/<name>.npz, with the hash of their model.

    `metadata` is the model's JSON.
    """
    with whole_file(ws.file("models", f"{metadata['name']}.npz")) as part:
        np.savez(part, model=metadata["file_hash"], **arrays)


def open_features(model, metadata: dict, path: Path) -> tuple[dict | None, str]:
    """Open the .npz file that `keep_features` wrote beside a model; `metadata` is the model's JSON.

    Returns the arrays, and ""; or None, and why the model can't tell. A ValueError where the file is
    damaged, or belongs to another model.
    """
    reason = ""
    if not has_backbone(model):
        reason = "it has no backbone"
    elif "@" in path.stem:
        reason = "08_evaluation keeps what that takes of first runs only"
    elif not path.is_file():
        reason = f"{path} is missing: run 08_evaluation, which writes it, or copy it too"
    if reason:
        says = f"{path.stem} can't tell whether a picture resembles anything trained on: {reason}."
        return None, says
    try:
        with np.load(path) as file:
            arrays = dict(file)
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged: copy it, or run 08_evaluation, again.") from error
    if arrays.pop("model", "") != metadata["file_hash"]:
        says = f"belongs to another model than {path.stem}.keras: copy both files, or run 08_evaluation"
        raise ValueError(f"{path} {says}, again.")
    return arrays, ""
