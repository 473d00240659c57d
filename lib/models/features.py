"""Features of pictures, computed once by a frozen extractor, here or by workers."""

import threading
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from lib.base.storage import acquire_lock, atomic_write, require_room, sweep
from lib.base.work import run_blocks, show_progress
from lib.base.workspace import Workspace
from lib.data.store import Selection, Store, open_store
from lib.models.keys import make_key

BATCH = 32
one_computes = threading.Lock()  # of the threads of a worker


def cached_features(
    extractor: keras.Model, images: Selection, ws: Workspace
) -> Selection:
    """Run every picture through a frozen extractor once, or read an earlier run's features.

    They lie in a store in `ws.scratch`, that of the extractor's configuration and
    weights, found by the pictures' content: a killed run goes on where it stopped, and
    any number of processes share them.

    Args:
        images: uint8 (n, size, size, 3).

    Returns:
        float32 (n, *features), indexed like an array.

    Raises:
        OSError: they would find no room.
        ValueError: some are no finite numbers.
    """
    name = f"features_{make_key(extractor)}"
    store = open_store(ws.scratch, name, np.float32, extractor.output_shape[1:])
    missing = store.find_missing(images.digests.tolist())
    if missing:
        require_room(ws.scratch, len(missing) * store.row_bytes, "the features")
        left = Selection(images.store, np.array(missing))
        _compute_all(extractor, left, store, ws.cluster)
    return Selection(store, images.digests)


def _compute_all(extractor, images, store, cluster):
    network = _save(extractor, store) if cluster else extractor
    starts = range(0, len(images), BATCH)
    blocks = [images.take(slice(start, start + BATCH)) for start in starts]
    done = run_blocks(compute_block, blocks, store, network, address=cluster)
    with show_progress(total=len(images), desc="features", unit="picture") as bar:
        for block, *_ in done:
            bar.update(len(block))


def _save(extractor, store):
    path = store.folder / "extractor.keras"
    with acquire_lock(store.folder / ".lock"):
        sweep(store.folder)
        with atomic_write(path) as part:
            extractor.save(part)
    return path


@lru_cache(maxsize=1)
def _load(path):
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def compute_block(images: Selection, store: Store, network: keras.Model | Path) -> None:
    """Compute the features of a batch of pictures, and append them to a store.

    Args:
        network: the extractor, or for a worker the path of its file.
    """
    with one_computes:
        if isinstance(network, Path):
            # An OSError of one that can't see it is the worker's fault, not the network's.
            network.open("rb").close()
            network = _load(network)
        features = network.predict_on_batch(images[:]).astype(np.float32)
    require_finite(features)
    store.put(dict(zip(images.digests.tolist(), features)))


def require_finite(features: np.ndarray) -> None:
    """Raise a ValueError where some features are no finite numbers."""
    if not np.isfinite(features).all():
        raise ValueError(
            "some features of this network are no finite numbers: its weights may be "
            "damaged, or computing in half precision is too coarse for it."
        )
