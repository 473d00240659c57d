"""The Store: rows kept in one growing file, each found by the digest of what it was made from."""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from lib.base import storage
from lib.data.pictures import LOADER_VERSION

DIGEST_BYTES = 32


class Store:
    """Rows of one dtype, each of one number or many, in a folder that any number of processes and machines share.

    Two files grow there: `rows`, raw, and `digests`, of 32 letters each. A digest is appended once its
    row is on the disk, and a store has as many rows as both files hold. What lies behind them, of a
    process that was killed or of a file that was cut, is no row, and the next writer writes over it.
    """

    def __init__(self, folder: Path, dtype: DTypeLike):
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.rows_path = folder / "rows"
        self.digests_path = folder / "digests"
        self.lock = threading.RLock()  # of the threads of this process
        self.inode = None  # of the file of rows, which no other has while it is mapped
        self.refresh()

    def __reduce__(self):
        return _open, (self.folder, self.dtype)

    def refresh(self) -> None:
        """Take in what any process has written since; begin anew where a file was replaced or shrank."""
        with self.lock:
            count, inode = self._count_rows()
            if inode != self.inode or count < len(self.rows):
                self.rows = np.empty(0, self.dtype)
                self.index = {}  # of each digest the number of its row
                self.inode = inode
            known = len(self.rows)
            if count > known:
                digests = np.fromfile(
                    self.digests_path, "S32", offset=known * DIGEST_BYTES
                )
                numbers = range(known, count)
                self.index.update(zip(digests.astype(str).tolist(), numbers))
                rows = np.memmap(self.rows_path, self.dtype, "r", shape=count)
                self.rows = np.asarray(rows)

    def _count_rows(self):
        """Return how many rows both files hold, and the number of the file of rows."""
        try:
            rows = self.rows_path.stat()
            digests = self.digests_path.stat()
        except FileNotFoundError:
            return 0, 0
        count = min(
            rows.st_size // self.dtype.itemsize, digests.st_size // DIGEST_BYTES
        )
        return count, rows.st_ino

    def find_missing(self, digests: Iterable[str]) -> list[str]:
        """Return the digests that have no row, each once, in order."""
        self.refresh()
        return [digest for digest in dict.fromkeys(digests) if digest not in self.index]

    def put(self, rows: dict[str, np.ndarray]) -> None:
        """Append the rows, by digest, that the store lacks."""
        with self.lock, storage.acquire_lock(self.folder / ".lock"):
            # Else a network drive may tell how long the files were a while ago.
            self.rows_path.touch()
            self.digests_path.touch()
            missing = self.find_missing(rows)
            content = np.array([rows[digest] for digest in missing], self.dtype.base)
            count = len(self.rows)
            # Else digests that a damaged file of rows left too long would name the new rows.
            os.truncate(self.digests_path, count * DIGEST_BYTES)
            storage.append(self.rows_path, count * self.dtype.itemsize, content)
            # Others read a row as soon as its digest is there.
            storage.append(
                self.digests_path,
                count * DIGEST_BYTES,
                np.array(missing, "S32"),
            )


# To read a million digests takes a second.
_keep = lru_cache(maxsize=8)(Store)


def _open(folder, dtype):
    """Return the same store, up to date, for the same folder, also where it is unpickled."""
    store = _keep(folder, dtype)
    store.refresh()
    return store


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
        return (len(self), *self.store.dtype.shape)

    @cached_property
    def _located(self):
        """All rows of the store, and the numbers of those asked for; OSError where one is missing."""
        store = self.store
        with store.lock:
            if store.find_missing(self.digests):
                raise OSError(f"{store.folder} lacks rows that were there: run again.")
            numbers = [store.index[digest] for digest in self.digests]
            return store.rows, np.array(numbers, int)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        rows, numbers = self._located
        return np.take(rows, numbers[index], axis=0)


def open_store(folder: Path, name: str, dtype: DTypeLike) -> Store:
    """Open a store of what this version of the loader gives, once in a process.

    Args:
        dtype: of a row; one of many numbers has their dtype and its shape.
    """
    # Beside `stores` earlier versions keep rows in another way.
    place = folder / f"stores/loader_{LOADER_VERSION}/{name}"
    return _open(place, dtype)
