"""Reading: every picture decoded once, by the cores of this machine or the workers of a cluster."""

import hashlib
import math
import threading
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from lib import cluster
from lib.data import pictures, quality
from lib.data.arrays import write_shard
from lib.data.store import Store, open_store
from lib.machine import count_cores
from lib.storage import lock

TURN_BYTES = 1 << 28  # of pixels, decoded in one turn at the lock
one_refreshes = threading.Lock()  # of the threads of a worker


def open_stores(scratch: Path, image_sizes) -> dict[int, Store]:
    """Open the stores of the facts, as size 0, and of the pixels of each size."""
    sized = {s: open_store(scratch, f"pixels_{s}", np.uint8, (s, s, 3)) for s in image_sizes}
    return {0: open_store(scratch, "facts", quality.FACTS)} | sized


@lru_cache(maxsize=1)
def _open_for(run: str, scratch: Path, image_sizes: tuple) -> dict[int, Store]:
    # Once a run: before the next one scratch may be deleted.
    return open_stores(scratch, image_sizes)


def read_pictures(folder: Path, files: list, stores: dict, address: str | None):
    """Read pictures and write what stores lack; yield names, and digest and problem of each.

    Args:
        folder: of the files.
        stores: as `open_stores` returns them.
        address: of the cluster whose workers do it; None for the cores here.
    """
    fitting = TURN_BYTES // sum(store.row_bytes for store in stores.values())
    turn = max(32, min(1024, fitting))  # pictures
    if address:
        cluster.connect(address)  # before a bar is drawn
        return _send_turns(address, folder, files, stores, turn)
    return _take_turns(folder, files, stores, turn)


def _take_turns(folder: Path, files: list, stores: dict, turn: int):
    with ThreadPoolExecutor(count_cores()) as pool:
        for start in range(0, len(files), turn):
            names = files[start : start + turn]
            step = math.ceil(len(names) / 16)
            with lock(stores[0].rows.with_name("preparing.lock")):
                for store in stores.values():
                    store.refresh()
                reading = pool.map(lambda name: _read_picture(folder / name, stores), names)
                # What the stores lack is written while more is read.
                while found := list(islice(reading, step)):
                    for size, new in _sort_by_size(found).items():
                        stores[size].append(new)
                    yield names[: len(found)], [told for told, _ in found]
                    names = names[len(found) :]
            time.sleep(0.002)  # seconds, in which other processes get the lock


def _send_turns(address: str, folder: Path, files: list, stores: dict, turn: int):
    for store in stores.values():
        store.list_shards(store.find_shards())
    turn = cluster.size_blocks(address, len(files), turn)
    blocks = [files[start : start + turn] for start in range(0, len(files), turn)]
    scratch, sizes = stores[0].rows.parents[1], tuple(size for size in stores if size)
    shared = (folder, scratch, sizes, uuid.uuid4().hex)
    futures = cluster.submit_blocks(address, read_block, blocks, *shared)
    for names, worker, (told, shards) in cluster.gather_blocks(futures, scratch / "killers.txt"):
        for size, shard in shards.items():
            stores[size].list_shards([shard])
        for name, (_, problem) in zip(names, told):
            if problem == "unreadable":
                _check_unreadable(folder / name, worker)
        yield names, told


def _check_unreadable(path: Path, worker: str) -> None:
    with suppress(pictures.PictureError), pictures.read_file(path):
        raise cluster.ClusterError(
            f"The worker {worker} can't read {path}, which can be read here: all machines of a cluster "
            "need the folder of pictures at the same place."
        )


def read_block(names: list, folder: Path, scratch: Path, image_sizes: tuple, run: str) -> tuple:
    """Read pictures on a worker, for one run; what the stores lack becomes a shard of each.

    Returns digest and problem of each picture, and the names of the shards, by size.
    """
    stores = _open_for(run, scratch, image_sizes)
    with one_refreshes:
        for store in stores.values():
            store.refresh()
    found = [_read_picture(folder / name, stores) for name in names]
    new = _sort_by_size(found)
    shards = {size: write_shard(stores[size].rows, arrays) for size, arrays in new.items()}
    return [told for told, _ in found], shards


def _sort_by_size(found: list) -> dict[int, dict]:
    """Sort the arrays of `_read_picture` by size, then digest."""
    arrays = defaultdict(dict)
    for (digest, _), made in found:
        for size, array in made.items():
            arrays[size][digest] = array
    return arrays


def _read_picture(path: Path, stores: dict) -> tuple[tuple[str, str], dict]:
    """Return digest and problem of a file, and the arrays that its stores lack, by size."""
    digest = ""
    try:
        with pictures.read_file(path) as data:
            digest = hashlib.sha256(data).hexdigest()[:32]
            return (digest, ""), _make_arrays(data, digest, stores)
    except pictures.PictureError as error:
        return (digest, error.problem), {}


def _make_arrays(data: bytes, digest: str, stores: dict) -> dict:
    decode, made = cache(partial(pictures.decode, data)), {}

    @cache
    def squeeze_to(side: int) -> np.ndarray:
        return pictures.square(decode(pictures.find_decoding_side(side))[0], side)

    # The facts are few bytes and read at once, so they are looked at for damage here.
    if not stores[0].holds(digest):
        full_size = decode(pictures.LEAST_SIDE)[1]
        made[0] = quality.gather_facts(squeeze_to(quality.SIDE), full_size)
    for size, store in stores.items():
        if size and not store.lists(digest):
            made[size] = squeeze_to(size)
    return made
