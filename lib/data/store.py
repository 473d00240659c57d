"""The Store: rows kept on disk as shards, each row found by the digest of what it was made from."""

import os
import threading
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from lib.data.pictures import LOADER_VERSION
from lib.storage import BEING_READ, explain_failed_writing

INDEX = np.dtype([("digest", "S32"), ("crc", "u4")])
MOST_MAPS = 128  # shards; a process may have only so many files open
SHARDS = 32 * "[0-9a-f]" + ".shard"  # a pattern that no unfinished file fits


class Store:
    """Rows of one shape and dtype, in a folder that any number of processes and machines share.

    A shard is a file that is written whole, under a random name, and never changed: an index of the
    digest and the CRC-32 of each row (.npy), then the rows. So nobody waits for anybody, and a killed
    process leaves no half of one. Damage is seen when a row is first read: its shard is removed then.
    """

    def __init__(self, folder: Path, dtype, shape: tuple = ()):
        self.folder, self.dtype, self.shape = folder, np.dtype(dtype), shape
        self.name = f"{folder.parent.name}/{folder.name}"  # says how the rows were made
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        # Of each shard where its rows start, and how many; of each digest shard, row, and CRC-32.
        self.shards, self.places = {}, {}
        self.maps, self.checked, self.one_changes = {}, set(), threading.RLock()
        self.token = uuid.uuid4().hex
        self.refresh()

    def __reduce__(self):
        return _open_once, (self.token, self.folder, self.dtype, self.shape)

    def __len__(self) -> int:
        return len(self.places)

    def refresh(self) -> None:
        """Take in what any process has written, and leave out what was removed, since."""
        with self.one_changes:
            names = {path.name for path in self.folder.glob(SHARDS)}
            for name in self.shards.keys() - names:
                self._leave_out(name)
            for name in names - self.shards.keys():
                try:
                    with (self.folder / name).open("rb") as file:
                        index, start = np.load(file), file.tell()
                    digests, crcs = index["digest"].astype(str).tolist(), index["crc"].tolist()
                except OSError:  # It was removed meanwhile, or can't be read now.
                    continue
                except Exception:  # Damage shows itself in many ways.
                    self._leave_out(name, damaged=True)
                    continue
                self.shards[name] = start, len(index)
                self.places |= zip(digests, [(name, row, crc) for row, crc in enumerate(crcs)])

    def _leave_out(self, name: str, damaged=False) -> None:
        if damaged:
            print(f"{self.folder / name} is damaged, and removed: its rows are made anew.")
            (self.folder / name).unlink(missing_ok=True)
        with self.one_changes:
            self.shards.pop(name, None)
            self.maps.pop(name, None)
            self.places = {k: place for k, place in self.places.items() if place[0] != name}

    def find_missing(self, digests, check=False) -> list[str]:
        """Return the digests that have no row, each once, in order; `check` reads all others."""
        self.refresh()
        for digest in digests if check else ():
            with suppress(KeyError):
                self[digest]
        return [digest for digest in dict.fromkeys(digests) if digest not in self.places]

    def __getitem__(self, digests) -> np.ndarray:
        """Return the row of a digest, or of several (n, *shape); a KeyError where one is missing."""
        if isinstance(digests, str):
            return self._get_row(digests)
        rows = np.empty((len(digests), *self.shape), self.dtype)
        for number, digest in enumerate(digests):
            rows[number] = self._get_row(digest)
        return rows

    def _get_row(self, digest: str) -> np.ndarray:
        name, number, crc = place = self.places[digest]
        if place in self.checked and name in self.maps:
            return self.maps[name][number]
        (start, count), path, data = self.shards[name], self.folder / name, b""
        # A map that is cold would read far more.
        with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
            file.seek(start + number * self.row_bytes)
            data = file.read(self.row_bytes)
        is_new = place not in self.checked
        if len(data) < self.row_bytes or (is_new and zlib.crc32(data) != crc):
            self._leave_out(name, damaged=True)
            raise KeyError(digest)
        if not is_new and len(self.maps) < MOST_MAPS:
            with suppress(ValueError):  # It was cut.
                shape = (count, *self.shape)
                self.maps[name] = np.asarray(np.memmap(path, self.dtype, "r", start, shape))
        self.checked.add(place)
        return np.frombuffer(data, self.dtype).reshape(self.shape)

    def put(self, rows: dict[str, np.ndarray]) -> None:
        """Write rows, by digest, as a shard; an OSError names the file that could not be written."""
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{uuid.uuid4().hex}.shard"
        # A chain that is stopped removes the folder of what it was at.
        part = Path(os.environ.get(BEING_READ) or self.folder, f"{path.stem}.part.shard")
        with explain_failed_writing(path):
            try:
                with part.open("wb") as file:
                    np.save(file, np.array([(k, zlib.crc32(v)) for k, v in rows.items()], INDEX))
                    file.writelines(rows.values())
                part.rename(path)
            finally:
                part.unlink(missing_ok=True)


@lru_cache(maxsize=8)  # of a worker, for which each store of the sender is another one
def _open_once(token: str, *what) -> Store:
    return Store(*what)


@dataclass(frozen=True)
class Selection:
    """Rows of a store in the order asked for, indexed like one array, and still on disk."""

    store: Store
    digests: np.ndarray  # str (n,), of what each row was made from
    make: Callable | None = None  # makes lost rows anew, of a list of digests

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def shape(self) -> tuple:
        """Return the shape of all rows together."""
        return (len(self), *self.store.shape)

    def __getitem__(self, index) -> np.ndarray:
        digests = self.digests[index]
        try:
            return self.store[digests]
        except KeyError as error:
            if self.make is None:
                words = "has lost rows: run again, which makes them anew"
                raise OSError(f"{self.store.folder} {words}.") from error
        self.make(self.store.find_missing(np.atleast_1d(digests), check=True))
        self.store.refresh()
        return self.store[digests]

    def take(self, index) -> "Selection":
        """Return some of the rows, still on disk."""
        return replace(self, digests=self.digests[index])


def open_store(folder: Path, name: str, dtype, shape: tuple = ()) -> Store:
    """Open a store of what this version of the loader gives."""
    return Store(folder / f"loader_{LOADER_VERSION}" / name, dtype, shape)
