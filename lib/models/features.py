"""Features of pictures, computed once by a frozen extractor, here or by workers."""

import threading
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from lib.base.storage import atomic_write, require_room
from lib.base.work import run_blocks
from lib.base.workspace import Workspace
from lib.data.store import Selection, open_store
from lib.models.keys import make_frozen_key

BATCH = 32
load_once = lru_cache(maxsize=1)(keras.saving.load_model)  # in each worker
one_computes = threading.Lock()  # of the threads of a worker


def cached_features(
    extractor: keras.Model, images: Selection, ws: Workspace
) -> Selection:
    """Run every picture through a frozen extractor once, or read an earlier run's features.

    They lie in a store in `ws.scratch`, that of `keys.make_frozen_key` and of the version of Keras, found by
    the pictures' content: a killed run goes on where it stopped, and any
    number of processes share them. Of pictures, uint8 (n, size, size, 3), they are float32
    (n, *features), indexed like an array.

    Raises:
        OSError: they would find no room.
        ValueError: some are no finite numbers.
    """
    name = f"features_{keras.__version__}_{make_frozen_key(extractor)}"
    dtype = (np.float32, extractor.output_shape[1:])
    store = open_store(ws.scratch, name, dtype)
    missing = np.array(store.find_missing(images.digests))
    if len(missing):
        require_room(ws.scratch, len(missing) * store.dtype.itemsize, "the features")
        network = extractor
        if ws.cluster:
            # For workers, which have no model in memory.
            network = store.folder / "extractor.keras"
            store.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(network) as part:
                extractor.save(part)
        cuts = range(BATCH, len(missing), BATCH)
        blocks = [Selection(images.store, part) for part in np.split(missing, cuts)]
        done = run_blocks(
            _compute_block,
            blocks,
            store,
            network,
            desc="features",
            address=ws.cluster,
        )
        list(done)  # Each block is done as it is asked for.
    return Selection(store, images.digests)


def _compute_block(images, store, network):
    """Append the features of a batch of pictures to a store; a worker has the path of the extractor."""
    with one_computes:
        # An OSError of a worker that can't see them comes before any of the network.
        pictures = images[:]
        if isinstance(network, Path):
            network = load_once(network, compile=False)
        features = network.predict_on_batch(pictures).astype(np.float32)
    if not np.isfinite(features).all():
        raise ValueError(
            "some features of this network are no finite numbers: its weights may be "
            "damaged, or computing in half precision is too coarse for it."
        )
    store.put(dict(zip(images.digests, features)))
