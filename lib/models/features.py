"""Features: what a frozen extractor makes of pictures, computed once, here or by workers."""

import threading
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from lib.cluster import run_blocks
from lib.data.store import Selection, Store, open_store
from lib.models.configs import make_key, read_own_code
from lib.models.fuse import fuse_normalisations
from lib.storage import lock, require_room, whole_file

FEATURE_BATCH = 32
# Pictures whose features become a shard: few, so that a kill costs seconds.
BLOCK = 2 * FEATURE_BATCH
one_computes = threading.Lock()  # of the threads of a worker


def cached_features(extractor, images, ws, folded=None) -> Selection:
    """Run every picture through a frozen extractor once, or read what an earlier run computed.

    They lie in the store of the extractor's configuration and weights, found by the pictures'
    content: a killed run goes on where it stopped, and any number of processes share them.

    Args:
        extractor: maps uint8 pictures to features.
        images: a `Selection` of pictures, uint8 (n, size, size, 3).
        ws: the workspace; the stores lie in its `scratch`, and where it has a `cluster`, workers
            compute.
        folded: what `fuse_normalisations` makes of the extractor, where it was made already.

    Returns:
        float32 (n, *features), indexed like an array.

    Raises:
        OSError: the features would find no room, or could not be written.
    """
    # Of networks without own code the key is that of the model alone.
    own = read_own_code(extractor)
    name, shape = f"features_{make_key(extractor, *own)}", extractor.output_shape[1:]
    store = open_store(ws.scratch, name, np.float32, shape)
    # Whoever comes second finds all that the first has made.
    with lock(store.folder.with_suffix(".lock")):
        if missing := store.find_missing(images.digests.tolist(), check=True):
            require_room(ws.scratch, len(missing) * store.row_bytes, "the features")
            # What makes lost pixels is not for sending.
            if ws.cluster:
                network, make = _save(extractor, store), None
            else:
                network, make = folded or fuse_normalisations(extractor), images.make
            left = replace(images, digests=np.array(missing), make=make)
            how = {"address": ws.cluster, "on_gpu": True, "killers": ws.scratch / "killers.txt"}
            blocks = [left.take(slice(k, k + BLOCK)) for k in range(0, len(left), BLOCK)]
            with tqdm(total=len(left), desc="features", unit="picture") as progress:
                for block, *_ in run_blocks(compute_block, blocks, store, network, **how):
                    progress.update(len(block))
            store.refresh()
    return Selection(store, images.digests)


def _save(extractor, store: Store) -> Path:
    path = store.folder / "extractor.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        extractor.save(part)
    return path


@lru_cache(maxsize=1)
def _load_folded(path: Path) -> keras.Model:
    return fuse_normalisations(keras.saving.load_model(path, compile=False, safe_mode=True))


def compute_block(images: Selection, store: Store, network) -> None:
    """Compute the features of some pictures, and write them as a shard.

    The network is a model or, on a worker, which keeps it, the path of one.
    """
    with one_computes:
        if isinstance(network, Path):
            # An OSError of one that can't see it is the worker's fault, not the network's.
            network.open("rb").close()
            network = _load_folded(network)
        parts = [slice(k, k + FEATURE_BATCH) for k in range(0, len(images), FEATURE_BATCH)]
        features = np.concatenate([compute_batch(network, images[part]) for part in parts])
    store.put(dict(zip(images.digests.tolist(), features)))


def measure_speed(extractor: keras.Model, images) -> float:
    """Return how many pictures a second pass a network, `FEATURE_BATCH` at a time."""
    batch = images[:FEATURE_BATCH]
    # The first one builds the graph.
    compute_batch(extractor, batch)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        compute_batch(extractor, batch)
        seconds.append(time.perf_counter() - started)
    return len(batch) / min(seconds)


def compute_batch(extractor, pictures) -> np.ndarray:
    """Compute features, float32 (n, *features), of pictures."""
    return np.asarray(extractor.predict_on_batch(pictures), np.float32)
