"""Pixels: every picture is decoded once, by the cores here or by workers, and kept in stores."""

import hashlib
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib import cluster
from lib.data import pictures, quality, sources
from lib.data.copies_on_drive import keep_copies, lock_preparing, open_stores, restore_copies
from lib.data.store import Selection, Store
from lib.machine import count_cores
from lib.progress import show_progress
from lib.storage import read_table, require_room

# Pictures that become a shard, and bytes of their pixels, at most.
BLOCK, BLOCK_BYTES = 256, 1 << 26


def prepare(folder: Path, files, image_sizes, scratch: Path, address=None) -> pd.DataFrame:
    """Decode every file once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again.

    Args:
        files: relative to `folder`.
        image_sizes: sides of the squares in pixels.
        scratch: folder of the stores.
        address: of the cluster whose workers do it, see `lib.cluster`; None for the cores here.

    Returns one row a file, in order: file, digest, width, height (as shown, 0 where unknown),
    darkest, brightest, contrast, sharpness (see `quality`), problem ("" where usable). Raises an
    OSError where the pixels would find no room, or could not be written.
    """
    files, told = list(files), {}
    how = {"address": address, "threads": count_cores()}
    progress = show_progress(total=len(files), desc="decoding pictures", unit="picture")
    with lock_preparing(scratch), progress:
        stores = open_stores(scratch, image_sizes)
        needed = sum(max(0, len(files) - len(s)) * s.row_bytes for s in stores.values())
        require_room(scratch, needed, "the decoded pixels")
        size = min(BLOCK, max(32, len(files) // (8 * count_cores())))
        size = max(1, min(size, BLOCK_BYTES // max(s.row_bytes for s in stores.values())))
        blocks = [files[start : start + size] for start in range(0, len(files), size)]
        stores[0].find_missing(list(stores[0].places), check=True)
        for names, found, worker in cluster.run_blocks(read_block, blocks, folder, stores, **how):
            told |= zip(names, found)
            progress.update(len(names))
            for name in names if worker else ():
                if told[name][1] == "unreadable":
                    _check_unreadable(folder / name, worker)
        stores[0].refresh()
    table = pd.DataFrame([told[name] for name in files], columns=["digest", "problem"])
    facts, usable = np.zeros(len(table), quality.FACTS), (table.problem == "").to_numpy()
    facts[usable] = stores[0][table.digest[usable]]
    measured = {name: facts[name] for name in quality.FACTS.names if name != "thumbnail"}
    return table.assign(file=files, **measured)[["file", "digest", *measured, "problem"]]


def _check_unreadable(path: Path, worker: str) -> None:
    with suppress(pictures.PictureError), pictures.read_file(path):
        raise cluster.ClusterError(
            f"The worker {worker} can't read {path}, which can be read here: all machines of a cluster "
            "need the folder of pictures at the same place."
        )


def read_block(names: list, folder: Path, stores: dict[int, Store]) -> list[tuple[str, str]]:
    """Read pictures, and write what the stores lack; return digest and problem of each."""
    told, made = [], {size: {} for size in stores}
    for name in names:
        digest = ""
        try:
            with pictures.read_file(folder / name) as data:
                digest = hashlib.sha256(data).hexdigest()[:32]
                lacking = [size for size in stores if digest not in stores[size].places]
                for size, row in _make_rows(data, lacking).items():
                    made[size][digest] = row
            told.append((digest, ""))
        except pictures.PictureError as error:
            told.append((digest, error.problem))
    for size, rows in made.items():
        stores[size].put(rows)
    return told


def _make_rows(data: bytes, sizes: list[int]) -> dict[int, np.ndarray]:
    decode = cache(partial(pictures.decode, data))
    rows = {}
    for size in sizes:
        side = size or quality.SIDE
        picture, _ = decode(pictures.find_decoding_side(side))
        rows[size] = pictures.square(picture, side)
    if 0 in rows:
        rows[0] = quality.gather_facts(rows[0], decode(pictures.LEAST_SIDE)[1])
    return rows


def open_pixels(ws, files, image_size: int) -> Selection:
    """Open the decoded pixels of some files of the split; what was not prepared is prepared now.

    Raises an error where 01_data_prep has not been run, or a file is not what it was then.
    """
    table = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    images = select_pixels(ws, table.set_index("file", drop=False).loc[list(files)], image_size)
    if images.store.find_missing(images.digests):
        restore_copies(ws, [image_size])
    if missing := images.store.find_missing(images.digests):
        images.make(missing)
        images.store.refresh()
    return images


def select_pixels(ws, table: pd.DataFrame, image_size: int) -> Selection:
    """Select the pixels of training pictures, of columns file and digest, that were prepared.

    What turns out to be damaged when it is read is decoded again.
    """
    make = partial(_decode_again, ws, table[["file", "digest"]], image_size)
    store = open_stores(ws.scratch, [image_size])[image_size]
    return Selection(store, table.digest.to_numpy(str), make)


def _decode_again(ws, table: pd.DataFrame, image_size: int, digests: list[str]) -> None:
    table = table[table.digest.isin(digests)].drop_duplicates("digest")
    train = sources.open_folder(ws, "train")
    found = prepare(train, table.file, [image_size], ws.scratch, ws.cluster)
    changed = found.file[found.digest.to_numpy() != table.digest.to_numpy()]
    if len(changed):
        raise ValueError(
            f"{ws.train / changed.iloc[0]} has changed since 01_data_prep read it "
            f"({len(changed)} such files): run 01_data_prep again."
        )
    keep_copies(ws, [image_size])


def open_thumbnails(ws, table: pd.DataFrame) -> np.ndarray:
    """Return the thumbnails of pictures, as of `select_pixels`: uint8 (n, 16, 16, 3)."""
    return select_pixels(ws, table, 0)[:]["thumbnail"]
