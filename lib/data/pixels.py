"""Pixels: every picture is decoded once, by the cores here or by workers, and kept in stores."""

import hashlib
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib import work
from lib.data import pictures, quality, sources
from lib.data.store import SHARDS, Selection, Store, open_store
from lib.data.table import NOT_FILES, add_facts
from lib.machine import count_cores
from lib.storage import is_on_drive, require_room, whole_file

# Pictures that become a shard, and bytes of their pixels, at most.
BLOCK, BLOCK_BYTES = 256, 1 << 26
OF_FACTS = "facts"  # the key of the store of what is measured, beside the sizes of pixels


def open_stores(scratch: Path, image_sizes) -> dict:
    """Open the stores of the facts and of the pixels of each size."""
    stores = {OF_FACTS: open_store(scratch, OF_FACTS, quality.FACTS)}
    for size in image_sizes:
        stores[size] = open_store(scratch, f"pixels_{size}", np.uint8, (size, size, 3))
    return stores


def prepare(ws, table: pd.DataFrame, image_sizes) -> pd.DataFrame:
    """Decode every picture of the table once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again. Returns the table with
    digest, width, height (as shown), darkest, brightest, contrast, sharpness (see `quality`), and the
    problem of what can't be used. Raises an OSError where the pixels would find no room.
    """
    is_file = (table.action != "left out") & ~table.problem.isin(NOT_FILES)
    files, stores = list(table.file[is_file]), open_stores(ws.scratch, image_sizes)
    told = _decode_files(ws, files, stores)
    found = pd.DataFrame([told[file] for file in files], columns=["digest", "problem"])
    facts, usable = np.zeros(len(found), quality.FACTS), (found.problem == "").to_numpy()
    facts[usable] = stores[OF_FACTS][found.digest[usable]]
    measured = {name: facts[name] for name in quality.FACTS.names if name != "thumbnail"}
    return add_facts(table, found.assign(file=files, **measured))


def _restore_copies(ws, stores: dict[str | int, Store]) -> None:
    for store in stores.values():
        _copy_shards(_find_copies(ws) / store.name, store.folder)


def _find_copies(ws) -> Path:
    return ws.results.with_name(f"{ws.results.name}_pixels")


def _copy_shards(source: Path, target: Path) -> None:
    """Copy the shards that the target lacks; none ever changes."""
    for shard in source.glob(SHARDS):
        if not (target / shard.name).exists():
            target.mkdir(parents=True, exist_ok=True)
            with whole_file(target / shard.name) as part:
                shutil.copyfile(shard, part)


def _decode_files(ws, files: list[str], stores: dict[str | int, Store]) -> dict:
    """Fill the stores, and keep their copies; return digest and problem of each file."""
    _restore_copies(ws, stores)
    needed = sum(max(0, len(files) - len(store)) * store.row_bytes for store in stores.values())
    require_room(ws.scratch, needed, "the decoded pixels")
    size = min(BLOCK, max(32, len(files) // (8 * count_cores())))
    size = max(1, min(size, BLOCK_BYTES // max(store.row_bytes for store in stores.values())))
    blocks = [files[start : start + size] for start in range(0, len(files), size)]
    told, how = {}, {"address": ws.cluster, "threads": count_cores()}
    with work.show_progress(total=len(files), desc="decoding pictures", unit="picture") as progress:
        for names, found, worker in work.run_blocks(read_block, blocks, ws.train, stores, **how):
            told |= zip(names, found)
            progress.update(len(names))
            for name, (_, problem) in zip(names, found):
                if worker and problem == "unreadable":
                    _check_unreadable(ws.train / name, worker)
    if is_on_drive(ws.results) and not is_on_drive(ws.scratch):
        for store in stores.values():
            _copy_shards(store.folder, _find_copies(ws) / store.name)
    return told


def _check_unreadable(path: Path, worker: str) -> None:
    with suppress(pictures.PictureError):
        pictures.read_file(path)
        raise work.ClusterError(
            f"The worker {worker} can't read {path}, which can be read here: all machines of a cluster "
            "need the folder of pictures at the same place."
        )


def read_block(names: list, folder: Path, stores: dict[str | int, Store]) -> list[tuple[str, str]]:
    """Read pictures, and write what the stores lack; return digest and problem of each."""
    told, made = [], {key: {} for key in stores}
    for store in stores.values():
        store.refresh()
    for name in names:
        digest = ""
        try:
            data = pictures.read_file(folder / name)
            digest = hashlib.sha256(data).hexdigest()[:32]
            lacking = [key for key in stores if digest not in stores[key].places]
            for key, row in _make_rows(data, lacking).items():
                made[key][digest] = row
            told.append((digest, ""))
        except pictures.PictureError as error:
            told.append((digest, error.problem))
    for key, rows in made.items():
        stores[key].put(rows)
    return told


def _make_rows(data: bytes, keys: list) -> dict[str | int, np.ndarray]:
    decode = cache(partial(pictures.decode, data))
    square = cache(lambda side: pictures.square(decode(pictures.find_decoding_side(side))[0], side))
    rows = {key: square(key) for key in keys if key != OF_FACTS}
    if OF_FACTS in keys:
        size = decode(pictures.find_decoding_side(quality.SIDE))[1]
        rows[OF_FACTS] = quality.gather_facts(square(quality.SIDE), size)
    return rows


def open_pixels(ws, rows: pd.DataFrame, image_size: int) -> Selection:
    """Open the decoded pixels of rows with file and digest; what was not prepared is prepared now.

    Raises a ValueError where a file is not what it was when 01 read it.
    """
    return _select(ws, rows, open_stores(ws.scratch, [image_size]), image_size)


def open_thumbnails(ws, rows: pd.DataFrame) -> np.ndarray:
    """Return the thumbnails of rows as of `open_pixels`: uint8 (n, 16, 16, 3)."""
    return _select(ws, rows, open_stores(ws.scratch, []), OF_FACTS)[:]["thumbnail"]


def _select(ws, rows: pd.DataFrame, stores: dict[str | int, Store], key: str | int) -> Selection:
    images = Selection(stores[key], rows.digest.to_numpy(str))
    if images.store.find_missing(images.digests):
        _restore_copies(ws, stores)
    if missing := images.store.find_missing(images.digests):
        lacking = rows[rows.digest.isin(missing)].drop_duplicates("digest")
        ws = replace(ws, train=sources.open_folder(ws, "train"))
        told = _decode_files(ws, list(lacking.file), stores)
        changed = [f for f, digest in zip(lacking.file, lacking.digest) if told[f][0] != digest]
        if changed:
            raise ValueError(
                f"{ws.train / changed[0]} has changed since 01_data_prep read it "
                f"({len(changed)} such files): run 01_data_prep again."
            )
        images.store.refresh()
    return images
