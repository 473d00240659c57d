"""The Store: arrays kept on disk, each found by the digest of what it was made from."""

import shutil
import zlib
from pathlib import Path

import numpy as np

from lib.cluster import ClusterError
from lib.data.arrays import FURTHER, INDEX, SHARD, Arrays, Selection
from lib.data.pictures import LOADER_VERSION
from lib.storage import explain_failed_writing, lock, whole_file


class Store:
    """Arrays of one shape and dtype; any number of processes share a store.

    NAME.rows holds the arrays one after the other, NAME.index the digest and the CRC-32 of each.
    Rows are only ever appended, under a lock, and listed once they are written, so a killed process
    leaves the store whole. A row with another CRC counts as missing: who needs it makes it again,
    and of two rows of one digest the last is found. Machines of a cluster, which may share a folder
    but no lock, write shards, NAME.SHARD.rows and NAME.SHARD.index, whole or not at all; they count
    once NAME.shards lists them. `array` has the arrays of all.
    """

    def __init__(self, folder: Path, name: str, dtype, shape: tuple = ()):
        self.rows, self.index = folder / f"{name}.rows", folder / f"{name}.index"
        self.shards, self.shape = folder / f"{name}.shards", shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.array = Arrays(self.rows, self.dtype, shape)
        self.row_of, self.crcs, self.whole = {}, [[]], set()  # crcs: of the rows of each file
        self.refresh()

    def refresh(self) -> None:
        """Take in what any process has appended or listed since."""
        self._take_in(0)
        known = len(self.array.shards)
        # Opening a file is slow on Google Drive.
        if self.shards.exists() and self.shards.stat().st_size > known * SHARD.itemsize:
            for shard in np.fromfile(self.shards, SHARD)[known:].astype(str).tolist():
                self.array.shards.append(shard)
                self.array.counts.append(0)
                self.crcs.append([])
                self._take_in(len(self.array.shards))

    def _take_in(self, number: int) -> None:
        path, crcs = self.array.name_file(number), self.crcs[number]
        index, start, new = path.with_suffix(".index"), len(crcs), np.empty(0, INDEX)
        if not (path.exists() and index.exists()):
            return
        if index.stat().st_size > start * INDEX.itemsize:
            new = np.fromfile(index, INDEX, offset=start * INDEX.itemsize)
        crcs += new["crc"].tolist()
        # A file that was cut short holds only its first rows, whatever the index says.
        count = min(len(crcs), path.stat().st_size // self.row_bytes)
        # The array first: other threads may look for a row as soon as it is listed.
        self.array.counts[number] = count
        first = number * FURTHER
        rows = range(first + start, first + count)
        self.row_of |= zip(new["digest"].astype(str).tolist(), rows)
        if count < len(crcs):
            lost = range(first + count, first + len(crcs))
            self.row_of = {digest: row for digest, row in self.row_of.items() if row not in lost}

    def lists(self, digest: str) -> bool:
        """Tell whether a digest's array is there, damaged or not, as of the last `refresh`."""
        return digest in self.row_of

    def holds(self, digest: str) -> bool:
        """Tell whether a digest's array is there and undamaged, as of the last `refresh`."""
        row = self.row_of.get(digest)
        if row is not None and row not in self.whole:
            if zlib.crc32(self.array[row]) == self._get_crc(row):
                self.whole.add(row)
        return row in self.whole

    def _get_crc(self, row: int) -> int:
        return self.crcs[row // FURTHER][row % FURTHER]

    def find(self, digests) -> np.ndarray:
        """Return the row of each digest, -1 where it is missing or damaged: int64 (n,).

        What is damaged is struck out of the index, for whoever opens the store later.
        """
        self.refresh()
        for digest in digests:
            if self.lists(digest) and not self.holds(digest):
                number, place = divmod(self.row_of.pop(digest), FURTHER)
                with self.array.name_file(number).with_suffix(".index").open("r+b") as file:
                    file.seek(place * INDEX.itemsize)
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
                file.truncate(len(self.crcs[0]) * self.row_bytes)
                for digest in missing:
                    file.write(arrays[digest])
            with self.index.open("ab") as file:
                file.truncate(len(self.crcs[0]) * INDEX.itemsize)
                file.write(np.array(records, INDEX))
        self.refresh()

    def list_shards(self, names) -> None:
        """List whole shards, so that all processes find their rows from now on."""
        for name in names:
            if not self.rows.with_suffix(f".{name}.index").exists():
                raise ClusterError(
                    f"{self.rows.with_suffix(f'.{name}.index')} was written by another machine and "
                    "is not here: scratch has to be the same folder on all machines."
                )
        with lock(self.rows.with_suffix(".lock")), explain_failed_writing(self.shards):
            self.refresh()
            new = [name for name in names if name not in self.array.shards]
            with self.shards.open("ab") as file:
                file.truncate(len(self.array.shards) * SHARD.itemsize)
                file.write(np.array(new, SHARD))
        self.refresh()

    def find_shards(self) -> list[str]:
        """Return the names of all whole shards in the folder: those of a killed run, too."""
        any_name = SHARD.itemsize * "?"  # no file that is still being written is called so
        whole = self.rows.parent.glob(f"{self.rows.stem}.{any_name}.index")
        return [path.suffixes[-2][1:] for path in whole]

    def copy_to(self, other: "Store") -> None:
        """Write another store anew as a copy of this one, unless it lists the same already."""
        self.refresh()
        if all(map(other.lists, filter(None, self.row_of))):
            return
        other.rows.parent.mkdir(parents=True, exist_ok=True)
        # Those of now: there may be more before all are copied.
        found = [(digest, row) for digest, row in self.row_of.items() if digest]
        with whole_file(other.rows) as part, part.open("wb") as file:
            file.writelines(self.array[row] for _, row in found)
        with whole_file(other.index) as part:
            np.array([(digest, self._get_crc(row)) for digest, row in found], INDEX).tofile(part)

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
