"""Pixels: every picture is decoded once, by the cores here or by workers, and kept in stores."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib import work
from lib.data import pictures, quality, sources
from lib.data.store import SHARDS, Selection, Store, open_store
from lib.data.table import MEASURED, NOT_FILES, note
from lib.machine import count_cores
from lib.storage import atomic_write, is_on_drive, require_room
from lib.workspace import Workspace

# Pictures that become a shard, and bytes of their pixels, at most.
BLOCK = 256
BLOCK_BYTES = 1 << 26
FACTS = "facts"  # the key of the store of what is measured, beside the sizes of pixels
Stores = dict[str | int, Store]


def open_stores(scratch: Path, image_sizes: Iterable[int]) -> Stores:
    """Open the stores of the facts and of the pixels of each size."""
    stores = {FACTS: open_store(scratch, FACTS, quality.FACTS)}
    for size in image_sizes:
        shape = (size, size, 3)
        stores[size] = open_store(scratch, f"pixels_{size}", np.uint8, shape)
    return stores


def prepare(
    ws: Workspace, folder: Path, table: pd.DataFrame, image_sizes: Iterable[int]
) -> pd.DataFrame:
    """Decode every picture of the table once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again.

    Args:
        folder: where the files of the table lie.

    Returns:
        The table with digest, width, height (as shown), darkest, brightest, contrast, sharpness (see
        `quality`), and the problem of files that can't be used.

    Raises:
        OSError: The pixels would find no room.
        ValueError: More than half of the pictures have 16 bits a sample, and are too dark.
    """
    is_file = (table.action != "left out") & ~table.problem.isin(NOT_FILES)
    stores = open_stores(ws.scratch, image_sizes)
    results = _decode_files(ws, folder, list(table.file[is_file]), stores)
    results = pd.DataFrame.from_dict(results, "index", columns=["digest", "problem"])
    results = results.reindex(table.file, fill_value="").reset_index(drop=True)
    table = table.reset_index(drop=True).assign(digest=results.digest)
    note(table, results.problem != "", results.problem)
    is_usable = (results.digest != "") & (results.problem == "")
    facts = stores[FACTS][table.digest[is_usable]]
    for name in MEASURED:
        table[name] = np.zeros(len(table), quality.FACTS[name])
        table.loc[is_usable, name] = facts[name]
    quality.require_light(folder, table[is_usable])
    return table


def _decode_files(ws, folder, files, stores):
    """Fill the stores, and keep their copies; return digest and problem of each file."""
    _restore_copies(ws, stores)
    _require_room(ws.scratch, folder, files, stores)
    size = _choose_block_size(len(files), stores)
    starts = range(0, len(files), size)
    blocks = [files[start : start + size] for start in starts]
    results = {}
    with work.show_progress(
        total=len(files), desc="decoding pictures", unit="picture"
    ) as progress:
        for block, rows, worker in work.run_blocks(
            read_block,
            blocks,
            folder,
            stores,
            address=ws.cluster,
            threads=count_cores(),
        ):
            found = dict(zip(block, rows))
            if worker:
                _require_same_folder(worker, folder, found)
            results |= found
            progress.update(len(block))
    if is_on_drive(ws.results) and not is_on_drive(ws.scratch):
        for store in stores.values():
            _copy_shards(store.folder, _find_copies(ws) / store.name)
    return results


def _require_room(scratch, folder, files, stores):
    """Raise an OSError where what is missing finds no room."""
    purpose = "the decoded pixels"
    row_bytes = sum(store.row_bytes for store in stores.values())
    try:
        require_room(scratch, len(files) * row_bytes, purpose)
    except OSError:
        # There is little room: now it counts what is there already, which only contents tell.
        digests = [_find_digest(folder / file) for file in files]
        needed = 0
        for store in stores.values():
            needed += len(store.find_missing(digests)) * store.row_bytes
        require_room(scratch, needed, purpose)


def _find_digest(path):
    try:
        return hash_content(pictures.read_file(path))
    except pictures.PictureError:
        return ""


def hash_content(data: bytes) -> str:
    """Return the digest of a file's content: 32 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def _choose_block_size(count, stores):
    """Return how many pictures become a shard: few enough that all cores have some, and for memory."""
    largest_row = max(store.row_bytes for store in stores.values())
    shared = max(32, count // (8 * count_cores()))
    return max(1, min(BLOCK, shared, BLOCK_BYTES // largest_row))


def _require_same_folder(worker, folder, found):
    for file, (_, problem) in found.items():
        if problem == "unreadable" and os.access(folder / file, os.R_OK):
            raise work.ClusterError(
                f"The worker {worker} can't read {folder / file}, which can be read here: all "
                "machines of a cluster need the folder of pictures at the same place."
            )


def _restore_copies(ws, stores):
    for store in stores.values():
        _copy_shards(_find_copies(ws) / store.name, store.folder)


def _find_copies(ws):
    return ws.results.with_name(f"{ws.results.name}_pixels")


def _copy_shards(source, target):
    """Copy the shards that the target lacks; none ever changes."""
    lacking = [
        path for path in source.glob(SHARDS) if not (target / path.name).exists()
    ]
    if not lacking:
        return
    try:
        needed = sum(path.stat().st_size for path in lacking)
        require_room(target, needed, f"copies from {source}")
        for path in lacking:
            with atomic_write(target / path.name) as part:
                shutil.copyfile(path, part)
    except OSError as error:
        print(f"Note: decoded pixels were not copied to Google Drive or back. {error}")


def read_block(
    names: Sequence[str], folder: Path, stores: Stores
) -> list[tuple[str, str]]:
    """Read pictures, and write what the stores lack; return digest and problem of each."""
    results = []
    rows = {key: {} for key in stores}
    for store in stores.values():
        store.refresh()
    for name in names:
        digest = ""
        problem = ""
        try:
            data = pictures.read_file(folder / name)
            digest = hash_content(data)
            lacking = [key for key in stores if digest not in stores[key].index]
            for key, row in _make_rows(data, lacking).items():
                rows[key][digest] = row
        except pictures.PictureError as error:
            problem = error.problem
        results.append((digest, problem))
    for key, store in stores.items():
        store.put(rows[key])
    return results


def _make_rows(data, keys):
    """Decode a picture, once for sizes that share it, and make its row for each key."""
    decoded = {}
    rows = {}
    for key in keys:
        side = quality.SIDE if key == FACTS else key
        min_side = pictures.find_decoding_side(side)
        if min_side not in decoded:
            decoded[min_side] = pictures.decode(data, min_side)
        picture, size = decoded[min_side]
        square = pictures.square(picture, side)
        rows[key] = quality.gather_facts(square, size) if key == FACTS else square
    return rows


def open_pixels(ws: Workspace, rows: pd.DataFrame, image_size: int) -> Selection:
    """Open the decoded pixels of rows with file and digest; what was not prepared is prepared now.

    Raises:
        ValueError: A file is not what it was when 01 read it.
    """
    return _select(ws, rows, open_stores(ws.scratch, [image_size]), image_size)


def open_thumbnails(ws: Workspace, rows: pd.DataFrame) -> np.ndarray:
    """Return the thumbnails of rows as of `open_pixels`: uint8 (n, 16, 16, 3)."""
    return _select(ws, rows, open_stores(ws.scratch, []), FACTS)[:]["thumbnail"]


def _select(ws, rows, stores, key):
    images = Selection(stores[key], rows.digest.to_numpy(str))
    if images.store.find_missing(images.digests):
        _restore_copies(ws, stores)
    missing = images.store.find_missing(images.digests)
    if missing:
        lacking = rows[rows.digest.isin(missing)].drop_duplicates("digest")
        _decode_again(ws, lacking, stores)
        images.store.refresh()
    return images


def _decode_again(ws, rows, stores):
    folder = sources.open_folder(ws, "train")
    results = _decode_files(ws, folder, list(rows.file), stores)
    found = [results[file][0] for file in rows.file]
    has_changed = rows.digest.to_numpy(str) != np.array(found, str)
    changed = rows.file[has_changed]
    if len(changed):
        raise ValueError(
            f"{folder / changed.iloc[0]} has changed since 01_data_prep read it "
            f"({len(changed)} such files): run 01_data_prep again."
        )
