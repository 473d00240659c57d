"""The Store: arrays kept on disk, each found by the digest of what it was made from."""

import shutil
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.data.pictures import LOADER_VERSION
from lib.storage import explain_failed_writing, lock, whole_file

INDEX = np.dtype([("digest", "S32"), ("crc", "u4")])


@dataclass(frozen=True)
class Selection:
    """Rows of a store in the order asked for, indexed like one array."""

    array: np.ndarray  # memory map of the store, (any, *shape)
    rows: np.ndarray  # int64 (n,), where in `array` each lies
    digests: np.ndarray  # str (n,), of what each was made from
    store: str = ""  # its name, which says how the rows were made

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple:
        """Return the shape of all rows together."""
        return (len(self.rows), *self.array.shape[1:])

    def __getitem__(self, index) -> np.ndarray:
        return self.array[self.rows[index]]

    def take(self, index) -> "Selection":
        """Return some of the rows, still on disk."""
        return replace(self, rows=self.rows[index], digests=self.digests[index])


class Store:
    """Arrays of one shape and dtype; any number of processes share a store.

    NAME.rows holds the arrays one after the other, NAME.index the digest and the CRC-32 of each.
    Rows are only ever appended, under a lock, and listed once they are written, so a killed process
    leaves the store whole. A row with another CRC counts as missing: who needs it makes it again,
    and of two rows of one digest the last is found. `array` is a memory map (n, *shape) of all.
    """

    def __init__(self, folder: Path, name: str, dtype, shape: tuple = ()):
        self.rows, self.index = folder / f"{name}.rows", folder / f"{name}.index"
        self.dtype, self.shape = np.dtype(dtype), shape
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.array, self.row_of, self.crcs, self.whole = np.empty((0, *shape), dtype), {}, [], set()
        self.refresh()

    def refresh(self) -> None:
        """Take in what any process has appended since."""
        if not (self.rows.exists() and self.index.exists()):
            return
        start, new = len(self.crcs), np.empty(0, INDEX)
        # Opening a file is slow on Google Drive.
        if self.index.stat().st_size > start * INDEX.itemsize:
            new = np.fromfile(self.index, INDEX, offset=start * INDEX.itemsize)
        self.crcs += new["crc"].tolist()
        # A file that was cut short holds only its first rows, whatever the index says.
        count = min(len(self.crcs), self.rows.stat().st_size // self.row_bytes)
        # The array first: other threads may look for a row as soon as it is listed.
        if count != len(self.array):
            self.array = np.memmap(self.rows, self.dtype, "r", shape=(count, *self.shape))
        self.row_of |= dict(zip(new["digest"].astype(str).tolist(), range(start, len(self.crcs))))
        if count < len(self.crcs):
            self.row_of = {digest: row for digest, row in self.row_of.items() if row < count}

    def lists(self, digest: str) -> bool:
        """Tell whether a digest's array is there, damaged or not, as of the last `refresh`."""
        return digest in self.row_of

    def holds(self, digest: str) -> bool:
        """Tell whether a digest's array is there and undamaged, as of the last `refresh`."""
        row = self.row_of.get(digest)
        if row is not None and row not in self.whole:
            if zlib.crc32(self.array[row]) == self.crcs[row]:
                self.whole.add(row)
        return row in self.whole

    def find(self, digests) -> np.ndarray:
        """Return the row of each digest, -1 where it is missing or damaged: int64 (n,).

        What is damaged is struck out of the index, for whoever opens the store later.
        """
        self.refresh()
        for digest in digests:
            if self.lists(digest) and not self.holds(digest):
                with self.index.open("r+b") as file:
                    file.seek(self.row_of.pop(digest) * INDEX.itemsize)
                    file.write(bytes(INDEX["digest"].itemsize))
        return np.array([self.row_of.get(digest, -1) for digest in digests], np.int64)

    def select(self, digests) -> Selection:
        """Return the rows of these digests, which have to be there."""
        rows = self.find(digests)
        if (rows < 0).any():
            raise KeyError(f"{self.rows} lacks {np.asarray(digests)[rows < 0][0]}.")
        name = f"{self.rows.parent.name}/{self.rows.stem}"
        return Selection(self.array, rows, np.asarray(digests, str), name)

    def append(self, arrays: dict[str, np.ndarray]) -> None:
        """Append the arrays, by digest, that no other process has; an OSError names the file."""
        with lock(self.rows.with_suffix(".lock")), explain_failed_writing(self.rows):
            missing = [digest for digest, row in zip(arrays, self.find(arrays)) if row < 0]
            records = [(digest, zlib.crc32(arrays[digest])) for digest in missing]
            # What a killed process wrote after its last listed row is cut off first.
            with self.rows.open("ab") as file:
                file.truncate(len(self.crcs) * self.row_bytes)
                for digest in missing:
                    file.write(arrays[digest])
            with self.index.open("ab") as file:
                file.truncate(len(self.crcs) * INDEX.itemsize)
                file.write(np.array(records, INDEX))
        self.refresh()

    def copy_to(self, other: "Store") -> None:
        """Write another store anew as a copy of this one, unless it lists the same already."""
        self.refresh()
        if all(map(other.lists, self.row_of)):
            return
        other.rows.parent.mkdir(parents=True, exist_ok=True)
        # The index as it is before the rows are copied: these may have grown meanwhile.
        index = self.index.read_bytes()
        with whole_file(other.rows) as part:
            shutil.copyfile(self.rows, part)
        with whole_file(other.index) as part:
            part.write_bytes(index)

    def take_from(self, other: "Store") -> None:
        """Append what another store has, undamaged, and this one has not."""
        lacking = [digest for digest in other.row_of if digest and not self.lists(digest)]
        found = dict(zip(lacking, other.find(lacking)))
        if whole := {digest: other.array[row] for digest, row in found.items() if row >= 0}:
            self.append(whole)
        if len(whole) < len(lacking):
            print(f"{other.rows} is damaged: what it lacks is made anew.")


def open_store(folder: Path, name: str, dtype, shape: tuple = ()) -> Store:
    """Open a store of what this version of the loader gives."""
    return Store(folder / f"loader_{LOADER_VERSION}", name, dtype, shape)


def remove_older_stores(folder: Path) -> None:
    """Remove what older versions of the loader have kept; the first had no folder of its own."""
    for version in range(LOADER_VERSION):
        shutil.rmtree(folder / f"loader_{version}", ignore_errors=True)
    for pattern in ("pixels_*.u8", "pixels_*.csv", "pixels_*.zip", "features_*.f32"):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)
