"""The stores of pictures, and their copies beside results on Google Drive."""

import shutil
from pathlib import Path

import numpy as np

from lib.data.pictures import LOADER_VERSION
from lib.data.quality import FACTS
from lib.data.store import SHARDS, Store, open_store
from lib.storage import is_on_drive, lock, whole_file


def open_stores(scratch: Path, image_sizes) -> dict[int, Store]:
    """Open the stores of the facts, as size 0, and of the pixels of each size."""
    stores = {0: open_store(scratch, "facts", FACTS)}
    for size in filter(None, image_sizes):
        stores[size] = open_store(scratch, f"pixels_{size}", np.uint8, (size, size, 3))
    return stores


def keep_copies(ws, image_sizes) -> None:
    """Keep each store beside results that lie on Google Drive; do nothing elsewhere."""
    if is_on_drive(ws.results) and not is_on_drive(ws.scratch):
        copies = _find_copies(ws)
        for store in open_stores(ws.scratch, image_sizes).values():
            copied = copies / store.name
            _copy_shards(store.folder, copied)
            for shard in copied.glob(SHARDS):
                if not (store.folder / shard.name).exists():  # It was damaged.
                    shard.unlink()


def restore_copies(ws, image_sizes) -> None:
    """Bring what scratch lacks back from Google Drive."""
    with lock_preparing(ws.scratch):
        for store in open_stores(ws.scratch, image_sizes).values():
            _copy_shards(_find_copies(ws) / store.name, store.folder)


def lock_preparing(scratch: Path):
    """Let one process add to the stores while the block runs: the second finds what the first made."""
    return lock(scratch / f"loader_{LOADER_VERSION}" / "preparing.lock")


def _copy_shards(source: Path, target: Path) -> None:
    for shard in source.glob(SHARDS):
        if not (target / shard.name).exists():
            target.mkdir(parents=True, exist_ok=True)
            with whole_file(target / shard.name) as part:
                shutil.copyfile(shard, part)


def _find_copies(ws) -> Path:
    return ws.results.with_name(f"{ws.results.name}_pixels")
