"""The Store: rows kept on disk as shards, each row found by the digest of what it was made from."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from lib.data.pictures import LOADER_VERSION
from lib.storage import atomic_write, sweep

HOUR = 3600  # seconds: what is older and unfinished nobody writes any more
SHARDS = 32 * "[0-9a-f]" + ".npy"  # a pattern that no unfinished file fits


class Store:
    """Rows of one shape and dtype, in a folder that any number of processes and machines share.

    A shard is one file, see `describe_shard`, which is written whole, under a random name, and never
    changed. So nobody waits for anybody, and a killed process leaves no half of one.
    """

    def __init__(self, folder: Path, dtype: DTypeLike, shape: tuple[int, ...] = ()):
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.shape = shape
        self.name = f"{folder.parent.name}/{folder.name}"  # says how the rows were made
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.shards = set()
        self.index = {}  # of each digest its shard, and the number of its row there
        self.refresh()

    def __reduce__(self):
        return _open, (self.folder, self.dtype, self.shape)

    def __len__(self) -> int:
        return len(self.index)

    def refresh(self) -> None:
        """Take in what any process has written, and leave out what was deleted, since."""
        present = set(self.folder.glob(SHARDS))
        gone = self.shards - present
        if gone:
            kept = self.index.items()
            self.index = {key: place for key, place in kept if place[0] not in gone}
        for path in present - self.shards:
            digests = _open_shard(path)["digest"][0].astype(str).tolist()
            for row, digest in enumerate(digests):
                self.index[digest] = (path, row)
        self.shards = present

    def find_missing(self, digests: Iterable[str]) -> list[str]:
        """Return the digests that have no row, each once, in order."""
        self.refresh()
        every = dict.fromkeys(digests)
        return [digest for digest in every if digest not in self.index]

    def __getitem__(self, digests: str | Sequence[str]) -> np.ndarray:
        """Return the row of a digest, or of several (n, *shape)."""
        if isinstance(digests, str):
            return self[[digests]][0]
        rows = np.empty((len(digests), *self.shape), self.dtype)
        for number, digest in enumerate(digests):
            if digest not in self.index and self.find_missing([digest]):
                raise OSError(f"{self.folder} lacks rows that were there: run again.")
            path, row = self.index[digest]
            rows[number] = _map_rows(path)[row]
        return rows

    def put(self, rows: dict[str, np.ndarray]) -> None:
        """Write rows, by digest, as a shard."""
        if not rows:
            return
        shard = np.empty(1, describe_shard(len(rows), self.dtype, self.shape))
        shard["digest"] = list(rows)
        for number, row in enumerate(rows.values()):
            shard["row"][0, number] = row
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{uuid.uuid4().hex}.npy"
        with atomic_write(path) as part, part.open("wb") as file:
            np.save(file, shard)


def describe_shard(
    count: int, dtype: np.dtype, shape: tuple[int, ...] = ()
) -> np.dtype:
    """Return the dtype of a shard of so many rows, whose digests stand together in front.

    The file is a .npy of one such element, so that a store is opened without reading its rows.
    """
    return np.dtype([("digest", "S32", (count,)), ("row", dtype, (count, *shape))])


@lru_cache(maxsize=128)  # a process may have only so many files open
def _map_rows(path):
    return np.asarray(_open_shard(path)["row"][0])


def _open_shard(path):
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise OSError(
            f"{path} is damaged or gone ({error}): delete it, and its copy on Google Drive if there is "
            "one, and run again: its rows are made anew."
        ) from error


@lru_cache(maxsize=8)  # of a worker, which opens a store once
def _open(folder, dtype, shape):
    return Store(folder, dtype, shape)


@dataclass(frozen=True)
class Selection:
    """Rows of a store in the order asked for, indexed like one array, and still on disk."""

    store: Store
    digests: np.ndarray  # str (n,), of what each row was made from

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of all rows together."""
        return (len(self), *self.store.shape)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        return self.store[self.digests[index]]

    def take(self, index: slice | np.ndarray) -> "Selection":
        """Return some of the rows, still on disk."""
        return replace(self, digests=self.digests[index])


def open_store(
    folder: Path, name: str, dtype: DTypeLike, shape: tuple[int, ...] = ()
) -> Store:
    """Open a store of what this version of the loader gives; sweep what killed writers left there."""
    folder = folder / f"loader_{LOADER_VERSION}" / name
    sweep(folder, min_age=HOUR)
    return Store(folder, dtype, shape)
