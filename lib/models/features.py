"""Features: what a frozen extractor makes of pictures, computed once, here or by workers."""

import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from lib.data.store import Selection, Store, open_store
from lib.models.keys import make_key
from lib.storage import atomic_write, require_room
from lib.work import run_blocks, show_progress

FEATURE_BATCH = 32
# Pictures whose features become a shard: few, so that a kill costs seconds.
BLOCK = 2 * FEATURE_BATCH
one_computes = threading.Lock()  # of the threads of a worker


def cached_features(extractor, images: Selection, ws) -> Selection:
    """Run every picture through a frozen extractor once, or read what an earlier run computed.

    They lie in a store in `ws.scratch`, that of the extractor's configuration and weights, found by the
    pictures' content: a killed run goes on where it stopped, and any number of processes share them.

    Takes uint8 (n, size, size, 3); returns float32 (n, *features), indexed like an array. An OSError
    where they would find no room; a ValueError where some are no finite numbers.
    """
    name = f"features_{make_key(extractor)}"
    store = open_store(ws.scratch, name, np.float32, extractor.output_shape[1:])
    if missing := store.find_missing(images.digests.tolist()):
        require_room(ws.scratch, len(missing) * store.row_bytes, "the features")
        network = _save(extractor, store) if ws.cluster else extractor
        left = replace(images, digests=np.array(missing))
        blocks = [left.take(slice(k, k + BLOCK)) for k in range(0, len(left), BLOCK)]
        with show_progress(
            total=len(left), desc="features", unit="picture"
        ) as progress:
            for block, *_ in run_blocks(
                compute_block, blocks, store, network, address=ws.cluster
            ):
                progress.update(len(block))
        store.refresh()
    return Selection(store, images.digests)


def _save(extractor, store: Store) -> Path:
    path = store.folder / "extractor.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        extractor.save(part)
    return path


@lru_cache(maxsize=1)
def _load(path: Path) -> keras.Model:
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def compute_block(images: Selection, store: Store, network) -> None:
    """Compute the features of some pictures by a model, or a worker's path of one; write them as a shard."""
    with one_computes:
        if isinstance(network, Path):
            # An OSError of one that can't see it is the worker's fault, not the network's.
            network.open("rb").close()
            network = _load(network)
        starts = range(0, len(images), FEATURE_BATCH)
        batches = [
            compute_batch(network, images[k : k + FEATURE_BATCH]) for k in starts
        ]
    features = np.concatenate(batches)
    if not np.isfinite(features).all():
        remedy = "try PRECISION float32; else its weights may be damaged"
        raise ValueError(
            f"some features of this network are no finite numbers: {remedy}."
        )
    store.put(dict(zip(images.digests.tolist(), features)))


def compute_batch(extractor, pictures) -> np.ndarray:
    """Compute features, float32 (n, *features), of pictures."""
    return np.asarray(extractor.predict_on_batch(pictures), np.float32)
