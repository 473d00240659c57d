"""Features: what a frozen extractor makes of pictures, computed once, here or by workers."""

import threading
import time
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from lib.cluster import gather_blocks, size_blocks, submit_blocks
from lib.data.arrays import Selection, write_shard
from lib.data.reading import TURN_BYTES
from lib.data.store import open_store
from lib.machine import count_replicas
from lib.models.configs import make_key
from lib.models.folding import fold_normalisations
from lib.storage import lock, require_room, whole_file

FEATURE_BATCH = 32
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
        folded: what `fold_normalisations` makes of the extractor, where it was made already.

    Returns:
        float32 (n, *features), indexed like an array.

    Raises:
        OSError: the features would find no room, or could not be written.
    """
    request = Request(extractor, images, ws, folded)
    request.submit()
    return request.gather()


class Request:
    """Features that are wanted, as of `cached_features`; several can be at workers side by side."""

    def __init__(self, extractor, images, ws, folded=None):
        self.images, self.cluster, self.futures = images, ws.cluster, {}
        name, shape = f"features_{make_key(extractor)}", extractor.output_shape[1:]
        self.store = open_store(ws.scratch, name, np.float32, shape)
        if self.cluster:
            self.store.list_shards(self.store.find_shards())
        first = np.unique(images.digests, return_index=True)[1]
        self.missing = images.take(np.sort(first[self.store.find(images.digests[first]) < 0]))
        if len(self.missing):
            needed = len(self.missing) * self.store.row_bytes
            require_room(ws.scratch, needed, "the features")
            if self.cluster:
                # The network itself is not kept: several may be waiting.
                self._save(extractor)
            else:
                self.folded = folded or fold_normalisations(extractor)

    def _save(self, extractor) -> None:
        self.path = self.store.rows.with_suffix(".keras")
        with lock(self.store.rows.with_suffix(".computing")):
            if not self.path.exists():
                with whole_file(self.path) as part:
                    extractor.save(part)

    def submit(self) -> None:
        """Send what is missing to the workers, if there are any."""
        if self.cluster and len(self.missing):
            most = TURN_BYTES // self.store.row_bytes
            blocks = self.missing.divide(size_blocks(self.cluster, len(self.missing), most))
            told = (self.cluster, compute_block, blocks, self.path)
            self.futures = submit_blocks(*told, on_gpu=True)

    def cancel(self) -> None:
        """Call off what workers have not begun."""
        for future in self.futures:
            future.cancel()

    def gather(self) -> Selection:
        """Wait for the workers, or compute what is missing here; return the features of all."""
        done = ()
        if len(self.missing):
            done = self._receive() if self.cluster else self._compute()
        with tqdm(total=len(self.missing), desc="features", unit="picture") as progress:
            for block in done:
                progress.update(len(block))
        return self.store.select(self.images.digests)

    def _receive(self):
        killers = self.store.rows.with_suffix(".killers")
        for block, _, shard in gather_blocks(self.futures, killers):
            self.store.list_shards([shard])
            yield block

    def _compute(self):
        for block in self.missing.divide(FEATURE_BATCH * count_replicas(self.folded)):
            with lock(self.store.rows.with_suffix(".computing")):
                # Another process may have computed them meanwhile.
                todo = block.take(self.store.find(block.digests) < 0)
                if len(todo):
                    found = compute_batch(self.folded, todo[:])
                    self.store.append(dict(zip(todo.digests, found)))
            yield block


@lru_cache(maxsize=1)
def _load_folded(path: Path) -> keras.Model:
    return fold_normalisations(keras.saving.load_model(path, compile=False, safe_mode=True))


def compute_block(images: Selection, path: Path) -> str:
    """Compute features on a worker, which keeps the extractor of this path; return their shard."""
    with one_computes:
        # An OSError of one that can't see it is the worker's fault, not the network's.
        path.open("rb").close()
        folded = _load_folded(path)
        batches = [compute_batch(folded, batch[:]) for batch in images.divide(FEATURE_BATCH)]
    return write_shard(
        path.with_suffix(".rows"), dict(zip(images.digests, np.concatenate(batches)))
    )


def measure_speed(extractor: keras.Model, images) -> float:
    """Return how many pictures a second pass a network, `FEATURE_BATCH` at a time."""
    batch = images[: FEATURE_BATCH * count_replicas(extractor)]
    # The first one builds the graph.
    compute_batch(extractor, batch)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        compute_batch(extractor, batch)
        seconds.append(time.perf_counter() - started)
    return len(batch) / min(seconds)


def compute_batch(extractor, pictures) -> np.ndarray:
    """Compute features, float32 (n, *features), of pictures, on all GPUs of the extractor."""
    count, gpus = len(pictures), count_replicas(extractor)
    if gpus == 1:
        return np.asarray(extractor.predict_on_batch(pictures), np.float32)
    # Only `predict` divides a batch among the GPUs; each needs a picture.
    pictures = np.concatenate([pictures, np.repeat(pictures[-1:], -count % gpus, axis=0)])
    features = extractor.predict(pictures, len(pictures), verbose=0)
    return np.asarray(features[:count], np.float32)
