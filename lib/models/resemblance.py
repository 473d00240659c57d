"""How far pictures lie from those that a model was trained on, and the file that tells."""

from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from lib.data.pixels import open_pixels
from lib.data.split import read_split
from lib.models.features import cached_features
from lib.models.parts import find_parts, has_backbone
from lib.storage import atomic_write

# Neighbours (1 to 10 tell about as well, see notebooks/README.md), and numbers that are kept at most,
# 1.7 to 2.7 MB of a page: 50 pictures told strangers as well as 960.
NEAREST, MOST = 5, 1_250_000


def measure_distances(features, known) -> np.ndarray:
    """Return mean distances, float32 (n,), to the 5 nearest training pictures (Sun et al. 2022).

    `features`, float (n, d), are made as long as those `known`, float16 (k, d), whose rows have length 1.
    """
    search = NearestNeighbors(n_neighbors=min(NEAREST, len(known)), algorithm="brute")
    rows = normalize(np.asarray(features, np.float32))
    distances, _ = search.fit(known.astype(np.float32)).kneighbors(rows)
    return distances.mean(axis=1).astype(np.float32)


def keep_features(ws, model, metadata: dict) -> None:
    """Write models/<name>.npz: features of training pictures, and distances of validation pictures.

    Of too many training pictures as many are kept of each class.
    """
    table, (extractor, _) = read_split(ws), find_parts(model)
    held = table[table.part == "validation"]
    training = table[table.part == "train"].sample(frac=1, random_state=0)
    turn = training.groupby("label").cumcount().to_numpy().argsort(kind="stable")
    sample = training.iloc[turn[: MOST // extractor.output_shape[1]]]

    def look(rows):
        return cached_features(
            extractor, open_pixels(ws, rows, metadata["image_size"]), ws
        )[:]

    known = normalize(look(sample)).astype(np.float16)
    kept = {"features": known, "distances": measure_distances(look(held), known)}
    with atomic_write(ws.file("models", f"{metadata['name']}.npz")) as part:
        np.savez(part, model=metadata["file_hash"], groups=held.group, **kept)


def open_features(model, metadata: dict, path: Path) -> dict[str, np.ndarray]:
    """Open what `keep_features` wrote; a ValueError where there is none, or none of this model."""
    if not has_backbone(model):
        raise ValueError(
            f"{path.stem} has no backbone, so it can't tell what it resembles."
        )
    try:
        with np.load(path) as file:
            kept = {
                name: file[name]
                for name in ("model", "features", "distances", "groups")
            }
    except Exception:  # numpy has several for a file that is another
        kept = {}
    if kept.get("model") != metadata["file_hash"]:
        remedy = "run 10_hand_over with MODEL naming this model, or copy the file"
        raise ValueError(f"{path} is missing, damaged or of another model: {remedy}.")
    return kept
