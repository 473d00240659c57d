"""The Store: rows kept on disk as shards, each row found by the digest of what it was made from."""

import uuid
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from lib.data.pictures import LOADER_VERSION
from lib.storage import explain_failed_writing

DIGEST, CRC = np.dtype("S32"), np.dtype("<u4")
SHARDS = 32 * "[0-9a-f]" + ".shard"  # a pattern that no unfinished file fits
checked = set()  # the shards whose CRC-32 this process has seen to be right


class Store:
    """Rows of one shape and dtype, in a folder that any number of processes and machines share.

    A shard is a file that is written whole, under a random name, and never changed: the digest of each
    row (.npy), the CRC-32 of all that follows and goes before, then the rows. So nobody waits for
    anybody, and a killed process leaves no half of one.
    """

    def __init__(self, folder: Path, dtype, shape: tuple = ()):
        self.folder, self.dtype, self.shape = folder, np.dtype(dtype), shape
        self.name = f"{folder.parent.name}/{folder.name}"  # says how the rows were made
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.shards, self.index = (
            set(),
            {},
        )  # of each digest its shard, where that begins, its row
        self.refresh()

    def __reduce__(self):
        return _open, (self.folder, self.dtype, self.shape)

    def __len__(self) -> int:
        return len(self.index)

    def refresh(self) -> None:
        """Take in what any process has written, and leave out what was deleted, since."""
        present = {*self.folder.glob(SHARDS)}
        if gone := self.shards - present:
            self.index = {
                k: place for k, place in self.index.items() if place[0] not in gone
            }
        for path in present - self.shards:
            with _explain_damage(path), path.open("rb") as file:
                digests, start = (
                    np.load(file).astype(str).tolist(),
                    file.tell() + CRC.itemsize,
                )
            self.index |= {
                digest: (path, start, row) for row, digest in enumerate(digests)
            }
        self.shards = present

    def find_missing(self, digests) -> list[str]:
        """Return the digests that have no row, each once, in order."""
        self.refresh()
        return [digest for digest in dict.fromkeys(digests) if digest not in self.index]

    def __getitem__(self, digests) -> np.ndarray:
        """Return the row of a digest, or of several (n, *shape); an OSError names a damaged shard."""
        if isinstance(digests, str):
            return self[[digests]][0]
        rows = np.empty((len(digests), *self.shape), self.dtype)
        for number, digest in enumerate(digests):
            if digest not in self.index and self.find_missing([digest]):
                raise OSError(f"{self.folder} lacks rows that were there: run again.")
            path, start, row = self.index[digest]
            rows[number] = _map_rows(path, start, self.dtype, self.shape)[row]
        return rows

    def put(self, rows: dict[str, np.ndarray]) -> None:
        """Write rows, by digest, as a shard; an OSError names the file that could not be written."""
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path, digests = (
            self.folder / f"{uuid.uuid4().hex}.shard",
            np.array([*rows], DIGEST),
        )
        crc = zlib.crc32(digests)
        for row in rows.values():
            crc = zlib.crc32(row, crc)
        part = path.with_suffix(".part")
        with explain_failed_writing(path):
            try:
                with part.open("wb") as file:
                    np.save(file, digests)
                    file.writelines([np.array(crc, CRC), *rows.values()])
                part.rename(path)
            finally:
                part.unlink(missing_ok=True)


@lru_cache(maxsize=128)  # a process may have only so many files open
def _map_rows(path: Path, start: int, dtype: np.dtype, shape: tuple) -> np.ndarray:
    """Map the rows of a shard, which are checked once a process."""
    with _explain_damage(path):
        rows = np.memmap(path, np.uint8, "r", start)
        if path not in checked:
            with path.open("rb") as file:
                digests, crc = (
                    np.load(file),
                    np.frombuffer(file.read(CRC.itemsize), CRC),
                )
            if zlib.crc32(rows, zlib.crc32(digests)) != crc:
                raise ValueError("its CRC-32 is another")
            checked.add(path)
        return np.asarray(rows).view(dtype).reshape(-1, *shape)


@lru_cache(maxsize=8)  # of a worker, which opens a store once
def _open(*what) -> Store:
    return Store(*what)


@contextmanager
def _explain_damage(path: Path):
    try:
        yield
    except (OSError, ValueError, EOFError) as error:
        raise OSError(
            f"{path} is damaged or gone ({error}): delete it, and its copy on Google Drive if there is "
            "one, and run again: its rows are made anew."
        ) from error


@dataclass(frozen=True)
class Selection:
    """Rows of a store in the order asked for, indexed like one array, and still on disk."""

    store: Store
    digests: np.ndarray  # str (n,), of what each row was made from

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def shape(self) -> tuple:
        """Return the shape of all rows together."""
        return (len(self), *self.store.shape)

    def __getitem__(self, index) -> np.ndarray:
        return self.store[self.digests[index]]

    def take(self, index) -> "Selection":
        """Return some of the rows, still on disk."""
        return replace(self, digests=self.digests[index])


def open_store(folder: Path, name: str, dtype, shape: tuple = ()) -> Store:
    """Open a store of what this version of the loader gives."""
    return Store(folder / f"loader_{LOADER_VERSION}" / name, dtype, shape)
