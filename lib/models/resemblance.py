"""How far pictures lie from those that a model was trained on, and the file that tells."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.data.pixels import open_pixels
from lib.data.split import read_split
from lib.models.features import cached_features
from lib.models.parts import find_parts
from lib.models.record import Record

# 1 to 10 tell about as well, see tests/README.md.
NEIGHBOURS = 5
# Numbers that are kept, 1.7 to 2.7 MB of a page: 50 pictures told strangers as well as 960.
MAX_NUMBERS = 1_250_000


def measure_distances(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return mean distances to the five nearest training pictures (Angiulli and Pizzuti 2002).

    Args:
        features: float32 (n, d), of any length: they are made as long as those known.
        known: float16 (k, d), features of training pictures, each of length 1.

    Returns:
        float32 (n,).
    """
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute")
    search.fit(known.astype(np.float32))
    distances, _ = search.kneighbors(normalize(features))
    return distances.mean(axis=1, dtype=np.float32)


def gather_known(
    ws: Workspace, model: keras.Model, record: Record
) -> tuple[np.ndarray, np.ndarray]:
    """Gather features of training pictures, and how far the validation pictures are from them.

    Returns:
        float16 (k, d), as `measure_distances` takes them; float32 (n,), the distances of the validation
        pictures.
    """
    extractor, _ = find_parts(model)
    table = read_split(ws)
    shuffled = table[table.part == "train"].sample(frac=1, random_state=0)
    # As many of each class while there are enough.
    turn = shuffled.groupby("label").cumcount().sort_values(kind="stable")
    count = MAX_NUMBERS // extractor.output_shape[1]
    sample = shuffled.loc[turn.index[:count]]
    rows = pd.concat([sample, table[table.part == "validation"]])
    images = open_pixels(ws, rows, record.image_size)
    features = cached_features(extractor, images, ws)[:]
    known = normalize(features[: len(sample)]).astype(np.float16)
    return known, measure_distances(features[len(sample) :], known)


def keep_features(ws: Workspace, record: Record, known: np.ndarray) -> None:
    """Write models/<name>.npz: the features of training pictures that `gather_known` has gathered."""
    with atomic_write(ws.file("models", f"{record.name}.npz")) as part:
        np.savez(part, model=record.file_hash, features=known)


def open_features(path: Path, record: Record) -> np.ndarray:
    """Open the file that `keep_features` wrote, float16 (k, d).

    Raises:
        ValueError: it is missing, damaged or of another model.
    """
    try:
        with np.load(path) as file:
            if file["model"] == record.file_hash:
                return file["features"]
    except Exception:  # numpy raises several kinds for a file that is none of its own
        pass
    raise ValueError(
        f"No strangers are told: {path} is missing, damaged or of another model. 10_hand_over with MODEL "
        "naming this model writes it for models of 04 to 06, whose backbone can tell them."
    )
