"""The file beside a model that tells what it was trained on: kept, and opened."""

from pathlib import Path

import numpy as np

from lib.models.backbones import has_backbone
from lib.models.saved import hash_file, record_calibration
from lib.storage import whole_file


def keep_features(ws, name: str, kept: dict[str, np.ndarray]) -> None:
    """Write models/<name>.npz, and its hash into the model's JSON, so that they belong together.

    Args:
        kept: arrays, as `strangers.keep_distances` returns them.
    """
    path = ws.file("models", f"{name}.npz")
    with whole_file(path) as part:
        np.savez(part, **kept)
    record_calibration(ws, name, {"resemblance": hash_file(path)})


def open_features(model, about: dict, path: Path) -> tuple[dict | None, str]:
    """Open what `keep_features` wrote beside a model.

    Args:
        model: keras.Model. about: its JSON. path: of its .npz file.

    Returns:
        The arrays, and ""; or None, and why the model can't tell.

    Raises:
        ValueError: the file does not belong to the model.
    """
    reason = ""
    if not has_backbone(model):
        reason = "it has no backbone"
    elif "resemblance" not in about:
        reason = "run 05_evaluation, which keeps what that takes"
    elif not path.is_file():
        reason = f"{path} is missing: copy it too, or run 05_evaluation again"
    if reason:
        says = f"{path.stem} can't tell whether a picture resembles anything trained on: {reason}."
        return None, says
    if hash_file(path) != about["resemblance"]:
        raise ValueError(
            f'{path}: "resemblance" in {path.stem}.json is {about["resemblance"]}, and the hash of '
            "this file is another: copy both files again, or run 05_evaluation again."
        )
    with np.load(path) as arrays:
        return dict(arrays), ""
