"""Pixels: every picture is decoded once, by any process, and kept in stores."""

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import quality, sources
from lib.data.arrays import Selection
from lib.data.reading import open_stores, read_pictures
from lib.data.store import remove_older_stores
from lib.storage import is_on_drive, read_table, require_room


def prepare(folder: Path, files, image_sizes, scratch: Path, cluster=None) -> pd.DataFrame:
    """Decode every file once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again.

    Args:
        files: relative to `folder`.
        image_sizes: sides of the squares in pixels.
        scratch: folder of the stores.
        cluster: address of the workers that do it, see `lib.cluster`; None for the cores here.

    Returns one row a file, in order: file, digest, width, height (as shown, 0 where unknown),
    darkest, brightest, contrast, sharpness (see `quality`), problem ("" where usable). Raises an
    OSError where the pixels would find no room, or could not be written.
    """
    remove_older_stores(scratch)
    files, stores, read = list(files), open_stores(scratch, image_sizes), {}
    needed = sum(max(0, len(files) - len(s.array)) * s.row_bytes for s in stores.values())
    require_room(scratch, needed, "the decoded pixels")
    reading = read_pictures(folder, files, stores, cluster)
    with tqdm(total=len(files), desc="decoding pictures", unit="picture") as progress:
        for names, found in reading:
            read |= zip(names, found)
            progress.update(len(names))
    table = pd.DataFrame([read[name] for name in files], columns=["digest", "problem"])
    table["file"] = files
    usable = (table.problem == "").to_numpy()
    facts = np.zeros(len(table), quality.FACTS)
    facts[usable] = stores[0].select(table.digest[usable])[:]
    measured = {name: facts[name] for name in quality.FACTS.names if name != "thumbnail"}
    return table.assign(**measured)[["file", "digest", *measured, "problem"]]


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
        table = prepare(train, missing.index, [image_size], ws.scratch, ws.cluster)
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
