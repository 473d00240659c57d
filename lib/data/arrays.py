"""Arrays on disk: in one file or several, read like one; chosen rows of them; shards."""

import uuid
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lib.storage import whole_file

INDEX = np.dtype([("digest", "S32"), ("crc", "u4")])
SHARD = np.dtype("S16")  # its name
MOST_MAPS = 128  # a process may have only so many files open
FURTHER = 1 << 32  # the rows of each further file are numbered from the next multiple of it


@dataclass
class Arrays:
    """Arrays of one shape and dtype in one file or several, indexed by their rows like one array.

    A row is the place in its file, plus FURTHER for each file before that one. It pickles as the
    names of its files, not as what is in them.
    """

    path: Path  # of the first file; the others are named after it
    dtype: np.dtype
    row_shape: tuple
    shards: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0])  # arrays in each file
    maps: dict = field(default_factory=dict)  # memory maps of files, by number

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def shape(self) -> tuple:
        """Return the shape of all arrays together."""
        return (len(self), *self.row_shape)

    def name_file(self, number: int) -> Path:
        """Return the path of a file, counted from 0."""
        return self.path.with_suffix(f".{self.shards[number - 1]}.rows") if number else self.path

    def __getitem__(self, rows) -> np.ndarray:
        """Return the arrays of some rows: int, or int64 (n,)."""
        files, places = np.divmod(rows, FURTHER)
        found = np.unique(files)
        if len(found) == 1:
            return self._map(found[0])[places]
        arrays = np.empty((len(places), *self.row_shape), self.dtype)
        for file in found:
            arrays[files == file] = self._map(file)[places[files == file]]
        return arrays

    def __getstate__(self) -> dict:
        return self.__dict__ | {"maps": {}}

    def keep_files(self, numbers) -> "Arrays":
        """Return the arrays of the first file and of some others, numbered anew in their order."""
        others = [number for number in numbers if number]
        shards = [self.shards[number - 1] for number in others]
        counts = [self.counts[number] for number in (0, *others)]
        return replace(self, shards=shards, counts=counts, maps={})

    def _map(self, number: int) -> np.ndarray:
        count = self.counts[number]
        if not count:
            return np.empty((0, *self.row_shape), self.dtype)
        found = self.maps.get(number, ())
        if len(found) != count:
            if len(self.maps) >= MOST_MAPS:
                self.maps.clear()
            path, shape = self.name_file(number), (count, *self.row_shape)
            found = self.maps[number] = np.memmap(path, self.dtype, "r", shape=shape)
        # Not read from `maps` again, which another thread may have cleared.
        return found


@dataclass(frozen=True)
class Selection:
    """Rows of a store in the order asked for, indexed like one array."""

    array: Arrays  # of the store, (any, *shape)
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

    def __getstate__(self) -> dict:
        # Only the files that hold these rows are named: there may be thousands.
        files, places = np.divmod(self.rows, FURTHER)
        needed = np.union1d(files, 0)
        rows = np.searchsorted(needed, files) * FURTHER + places
        return self.__dict__ | {"array": self.array.keep_files(needed), "rows": rows}

    def take(self, index) -> "Selection":
        """Return some of the rows, still on disk."""
        return replace(self, rows=self.rows[index], digests=self.digests[index])

    def divide(self, size: int) -> list["Selection"]:
        """Return all rows, still on disk, in selections of at most `size`."""
        return [self.take(slice(start, start + size)) for start in range(0, len(self), size)]


def write_shard(rows: Path, arrays: dict[str, np.ndarray]) -> str:
    """Write arrays, by digest, as a new shard of the store at `rows`; return its name.

    An OSError names the file that could not be written.
    """
    name = uuid.uuid4().hex[: SHARD.itemsize]
    path = rows.with_suffix(f".{name}.rows")
    path.parent.mkdir(parents=True, exist_ok=True)
    index = np.array([(digest, zlib.crc32(array)) for digest, array in arrays.items()], INDEX)
    # The index last: with it the shard is whole.
    for target, blocks in ((path, arrays.values()), (path.with_suffix(".index"), [index])):
        with whole_file(target) as part, part.open("wb") as file:
            file.writelines(blocks)
    return name
