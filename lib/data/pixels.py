"""Pixels: every picture is decoded once, by the cores here or by workers, and kept in stores."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from lib import work
from lib.data import pictures, quality, sources
from lib.data.store import SHARDS, Selection, open_store
from lib.data.table import MEASURED, NOT_FILES, note
from lib.machine import count_cores
from lib.storage import atomic_write, is_on_drive, require_room

# Pictures that become a shard, and bytes of their pixels, at most.
BLOCK, BLOCK_BYTES = 256, 1 << 26
FACTS = "facts"  # the key of the store of what is measured, beside the sizes of pixels


def open_stores(scratch: Path, image_sizes) -> dict:
    """Open the stores of the facts and of the pixels of each size."""
    stores = {FACTS: open_store(scratch, FACTS, quality.FACTS)}
    for size in image_sizes:
        stores[size] = open_store(scratch, f"pixels_{size}", np.uint8, (size, size, 3))
    return stores


def prepare(ws, folder: Path, table: pd.DataFrame, image_sizes) -> pd.DataFrame:
    """Decode every picture of the table, which lie in `folder`, once, and keep pixels of each size and facts.

    What any process has finished with these contents is not decoded again. Returns the table with
    digest, width, height (as shown), darkest, brightest, contrast, sharpness (see `quality`), and the
    problem of what can't be used. Raises an OSError where the pixels would find no room.
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
    return table


def _decode_files(
    ws, folder: Path, files: list[str], stores: dict
) -> dict[str, tuple[str, str]]:
    """Fill the stores, and keep their copies; return digest and problem of each file."""
    _restore_copies(ws, stores)
    needed = sum(
        max(0, len(files) - len(store)) * store.row_bytes for store in stores.values()
    )
    require_room(ws.scratch, needed, "the decoded pixels")
    size = min(BLOCK, max(32, len(files) // (8 * count_cores())))
    size = max(
        1, min(size, BLOCK_BYTES // max(store.row_bytes for store in stores.values()))
    )
    blocks = [files[start : start + size] for start in range(0, len(files), size)]
    results, how = {}, {"address": ws.cluster, "threads": count_cores()}
    with work.show_progress(
        total=len(files), desc="decoding pictures", unit="picture"
    ) as progress:
        for block, rows, worker in work.run_blocks(
            read_block, blocks, folder, stores, **how
        ):
            for name, (_, problem) in zip(block, rows):
                if (
                    worker
                    and problem == "unreadable"
                    and os.access(folder / name, os.R_OK)
                ):
                    raise work.ClusterError(
                        f"The worker {worker} can't read {folder / name}, which can be read here: all "
                        "machines of a cluster need the folder of pictures at the same place."
                    )
            results |= zip(block, rows)
            progress.update(len(block))
    if is_on_drive(ws.results) and not is_on_drive(ws.scratch):
        for store in stores.values():
            _copy_shards(store.folder, _find_copies(ws) / store.name)
    return results


def _restore_copies(ws, stores: dict) -> None:
    for store in stores.values():
        _copy_shards(_find_copies(ws) / store.name, store.folder)


def _find_copies(ws) -> Path:
    return ws.results.with_name(f"{ws.results.name}_pixels")


def _copy_shards(source: Path, target: Path) -> None:
    """Copy the shards that the target lacks; none ever changes."""
    for shard in source.glob(SHARDS):
        if not (target / shard.name).exists():
            target.mkdir(parents=True, exist_ok=True)
            with atomic_write(target / shard.name) as part:
                shutil.copyfile(shard, part)


def read_block(names: list, folder: Path, stores: dict) -> list[tuple[str, str]]:
    """Read pictures, and write what the stores lack; return digest and problem of each."""
    results, rows = [], {key: {} for key in stores}
    for store in stores.values():
        store.refresh()
    for name in names:
        digest = problem = ""
        try:
            data = pictures.read_file(folder / name)
            digest = hashlib.sha256(data).hexdigest()[:32]
            lacking = [key for key in stores if digest not in stores[key].index]
            for key, row in _make_rows(data, lacking).items():
                rows[key][digest] = row
        except pictures.PictureError as error:
            problem = error.problem
        results.append((digest, problem))
    for key, store in stores.items():
        store.put(rows[key])
    return results


def _make_rows(data: bytes, keys: list) -> dict[str | int, np.ndarray]:
    sides = {key: quality.SIDE if key == FACTS else key for key in keys}
    least = {side: pictures.find_decoding_side(side) for side in sides.values()}
    decoded = {side: pictures.decode(data, side) for side in {*least.values()}}
    squares = {side: pictures.square(decoded[least[side]][0], side) for side in least}
    rows = {key: squares[side] for key, side in sides.items()}
    if FACTS in rows:
        size = decoded[least[quality.SIDE]][1]
        rows[FACTS] = quality.gather_facts(rows[FACTS], size)
    return rows


def open_pixels(ws, rows: pd.DataFrame, image_size: int) -> Selection:
    """Open the decoded pixels of rows with file and digest; what was not prepared is prepared now.

    Raises a ValueError where a file is not what it was when 01 read it.
    """
    return _select(ws, rows, open_stores(ws.scratch, [image_size]), image_size)


def open_thumbnails(ws, rows: pd.DataFrame) -> np.ndarray:
    """Return the thumbnails of rows as of `open_pixels`: uint8 (n, 16, 16, 3)."""
    return _select(ws, rows, open_stores(ws.scratch, []), FACTS)[:]["thumbnail"]


def _select(ws, rows: pd.DataFrame, stores: dict, key: str | int) -> Selection:
    images = Selection(stores[key], rows.digest.to_numpy(str))
    if images.store.find_missing(images.digests):
        _restore_copies(ws, stores)
    if missing := images.store.find_missing(images.digests):
        lacking = rows[rows.digest.isin(missing)].drop_duplicates("digest")
        folder = sources.open_folder(ws, "train")
        results = _decode_files(ws, folder, list(lacking.file), stores)
        changed = [
            f
            for f, digest in zip(lacking.file, lacking.digest)
            if results[f][0] != digest
        ]
        if changed:
            raise ValueError(
                f"{folder / changed[0]} has changed since 01_data_prep read it "
                f"({len(changed)} such files): run 01_data_prep again."
            )
        images.store.refresh()
    return images
