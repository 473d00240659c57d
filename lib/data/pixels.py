"""Pixels: every picture is decoded once, by any process, and kept in stores."""

import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import pictures, quality, sources
from lib.data.store import Selection, Store, open_store, remove_older_stores
from lib.machine import count_cores
from lib.storage import is_on_drive, lock, read_table, require_room

TURN_BYTES = 1 << 28  # of pixels, decoded in one turn at the lock


def open_stores(scratch: Path, image_sizes) -> dict[int, Store]:
    """Open the stores of the facts, as size 0, and of the pixels of each size."""
    sized = {s: open_store(scratch, f"pixels_{s}", np.uint8, (s, s, 3)) for s in image_sizes}
    return {0: open_store(scratch, "facts", quality.FACTS)} | sized


def prepare(folder: Path, files, image_sizes, scratch: Path) -> pd.DataFrame:
    """Decode every file once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again.

    Args:
        files: relative to `folder`.
        image_sizes: sides of the squares in pixels.
        scratch: folder of the stores.

    Returns one row a file, in order: file, digest, width, height (as shown, 0 where unknown),
    darkest, brightest, contrast, sharpness (see `quality`), problem ("" where usable). Raises an
    OSError where the pixels would find no room, or could not be written.
    """
    remove_older_stores(scratch)
    files, stores, read = list(files), open_stores(scratch, image_sizes), []
    needed = sum(max(0, len(files) - len(s.array)) * s.row_bytes for s in stores.values())
    require_room(scratch, needed, "the decoded pixels")
    fitting = TURN_BYTES // sum(store.row_bytes for store in stores.values())
    turn = max(32, min(1024, fitting))  # pictures
    progress = tqdm(total=len(files), desc="decoding pictures", unit="picture")
    with progress, ThreadPoolExecutor(count_cores()) as pool:
        for start in range(0, len(files), turn):
            paths = [folder / name for name in files[start : start + turn]]
            with lock(stores[0].rows.with_name("preparing.lock")):
                for found in _take_turn(paths, stores, pool):
                    read += [(digest, problem) for digest, problem, _ in found]
                    progress.update(len(found))
            time.sleep(0.002)  # seconds, in which other processes get the lock
    table = pd.DataFrame(read, columns=["digest", "problem"]).assign(file=files)
    usable = (table.problem == "").to_numpy()
    facts = np.zeros(len(table), quality.FACTS)
    facts[usable] = stores[0].select(table.digest[usable])[:]
    measured = {name: facts[name] for name in quality.FACTS.names if name != "thumbnail"}
    return table.assign(**measured)[["file", "digest", *measured, "problem"]]


def _take_turn(paths: list, stores: dict, pool):
    """Read pictures, and write what the stores lack while more are read; yield them by and by."""
    for store in stores.values():
        store.refresh()
    reading = pool.map(lambda path: _read_picture(path, stores), paths)
    while found := list(islice(reading, math.ceil(len(paths) / 16))):
        for size, store in stores.items():
            if new := {digest: made[size] for digest, _, made in found if size in made}:
                store.append(new)
        yield found


def _read_picture(path: Path, stores: dict) -> tuple[str, str, dict]:
    """Return digest and problem of a file, and the arrays that its stores lack, by size."""
    digest = ""
    try:
        data = pictures.read_file(path)
        digest = hashlib.sha256(data).hexdigest()[:32]
        decode, made = cache(partial(pictures.decode, data)), {}

        @cache
        def squeeze_to(side: int) -> np.ndarray:
            return pictures.square(decode(pictures.find_decoding_side(side))[0], side)

        # The facts are few bytes and read at once, so they are looked at for damage here.
        if not stores[0].holds(digest):
            full_size = decode(pictures.LEAST_SIDE)[1]
            made[0] = quality.gather_facts(squeeze_to(quality.SIDE), full_size)
        for size, store in stores.items():
            if size and not store.lists(digest):
                made[size] = squeeze_to(size)
        return digest, "", made
    except pictures.PictureError as error:
        return digest, error.problem, {}


def keep_copies(ws, image_sizes) -> None:
    """Keep each store beside results that lie on Google Drive; do nothing elsewhere."""
    if is_on_drive(ws.results) and not is_on_drive(ws.scratch):
        for store, copy in _pair_with_copies(ws, image_sizes):
            store.copy_to(copy)
        remove_older_stores(_find_copies(ws))


def restore_copies(ws, image_sizes) -> None:
    """Bring what scratch lacks back from Google Drive."""
    for store, copy in _pair_with_copies(ws, image_sizes):
        store.take_from(copy)


def _pair_with_copies(ws, image_sizes):
    stores, copies = (open_stores(f, image_sizes) for f in (ws.scratch, _find_copies(ws)))
    return zip(stores.values(), copies.values())


def _find_copies(ws) -> Path:
    return ws.results.with_name(f"{ws.results.name}_pixels")


def open_pixels(ws, files, image_size: int) -> Selection:
    """Open the decoded pixels of some files of the split; what was not prepared is prepared now.

    Raises an error where 01_data_prep has not been run, or a file is not what it was then.
    """
    table = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    digests = table.set_index("file").digest[list(files)]
    store = open_stores(ws.scratch, [image_size])[image_size]
    if (store.find(digests) < 0).any():
        restore_copies(ws, [image_size])
    missing = digests[store.find(digests) < 0]
    if len(missing):
        train = sources.open_folder(ws, "train")
        table = prepare(train, missing.index, [image_size], ws.scratch)
        changed = table.file[table.digest != missing.to_numpy()]
        if len(changed):
            raise ValueError(
                f"{ws.train / changed.iloc[0]} has changed since 01_data_prep read it "
                f"({len(changed)} such files): run 01_data_prep again."
            )
        keep_copies(ws, [image_size])
    return store.select(digests)


def open_thumbnails(scratch: Path, digests) -> np.ndarray:
    """Return the thumbnail of each content, uint8 (n, 16, 16, 3), as `prepare` has kept it."""
    return open_stores(scratch, [])[0].select(digests)[:]["thumbnail"]
