"""Pixels: every picture is decoded once, by the cores here or by workers, and kept in stores."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.machine import count_cores
from lib.base.work import run_blocks
from lib.base.workspace import Workspace
from lib.data import pictures, quality, sources
from lib.data.findings import find, leave_out
from lib.data.store import Selection, Store, open_store

# Pictures that are decoded before their rows are appended: few, so that every core has some, and for
# memory.
BLOCK = 32
# The keys of stores beside those of the sizes of pixels: of what is measured, and of the pictures of 16 pixels
# that are compared.
FACTS = "facts"
THUMBNAILS = "thumbnails"
SMALL = 16


def open_rows(scratch: Path, key: int | str) -> Store:
    """Open the store of the pixels of a size, of FACTS, which has their dtype, or of THUMBNAILS."""
    dtype = quality.FACTS
    if key != FACTS:
        side = SMALL if key == THUMBNAILS else key
        dtype = (np.uint8, (side, side, 3))
    return open_store(scratch, f"pictures_{key}", dtype)


def decode_pictures(
    ws: Workspace,
    folder: Path,
    files: pd.DataFrame,
    image_sizes: Iterable[int],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode every picture once, and keep its pixels of each size and the facts about it.

    What any process has finished with these contents is not decoded again.

    Args:
        folder: where the files lie.
        files: column file, and any others.

    Returns:
        The rows of files that can be used, with digest, width, height (as shown), frames, darkest,
            brightest, contrast, sharpness (see `quality`) and taken, the date of Exif or NaT.
        The findings of the others.
    """
    keys = [FACTS, THUMBNAILS, *image_sizes]
    stores = {key: open_rows(ws.scratch, key) for key in keys}
    read = _decode_files(ws, folder, files, stores)
    odd = read[read.problem != ""]
    damaged = find(odd.file, odd.problem)
    whole = leave_out(read, damaged).drop(columns="problem")
    facts = Selection(stores[FACTS], whole.digest)[:]
    measured = pd.DataFrame(facts[quality.MEASURED])
    return whole.assign(**measured), damaged


def _decode_files(ws, folder, files, stores):
    """Fill the stores; return the files, in their order, with digest and problem."""
    names = files.file.to_numpy()
    cuts = range(BLOCK, len(files), BLOCK)
    blocks = np.split(names, cuts)
    found = {}
    done = run_blocks(
        _read_block,
        blocks,
        folder,
        stores,
        desc="decoding pictures",
        address=ws.cluster,
        threads=count_cores(),
    )
    for _, read in done:
        found |= read
    rows = [found[name] for name in names]
    read = pd.DataFrame(rows, files.index, ["digest", "problem"], dtype=str)
    return files.assign(**read)


def _read_block(names, folder, stores):
    """Read pictures, and write what the stores lack; return digest and problem of each."""
    # A worker that doesn't see the folder raises an OSError.
    folder.stat()
    found = {}
    rows = defaultdict(dict)
    for name in names:
        try:
            data = pictures.read_file(folder / name)
            digest = pictures.hash_content(data)
            lacking = [key for key in stores if digest not in stores[key].index]
            for key, row in _make_rows(data, lacking).items():
                rows[key][digest] = row
            found[name] = [digest, ""]
        except pictures.PictureError as error:
            found[name] = ["", error.problem]
    for key, made in rows.items():
        stores[key].put(made)
    return found


def _make_rows(data, keys):
    """Make the row of a picture for each key; it is decoded, and squeezed to a side, once."""
    decode = cache(partial(pictures.decode, data))
    squares = {}
    rows = {}
    for key in keys:
        side = quality.SIDE if isinstance(key, str) else key
        decoded = decode(pictures.find_decoding_side(side))
        if side not in squares:
            squares[side] = pictures.square(decoded.pixels, side)
        rows[key] = squares[side]
        if key == FACTS:
            rows[key] = quality.gather_facts(squares[side], decoded)
        if key == THUMBNAILS:
            rows[key] = pictures.square(squares[side], SMALL)
    return rows


def open_pixels(ws: Workspace, rows: pd.DataFrame, image_size: int | str) -> Selection:
    """Open the decoded pixels of rows with file and digest; what was not prepared is prepared now.

    Args:
        image_size: their side; with FACTS what is measured of them is opened, with THUMBNAILS small ones.

    Raises:
        OSError: A file is not what it was when 01 read it.
    """
    store = open_rows(ws.scratch, image_size)
    # A store may have a million others.
    lacking = rows[[digest not in store.index for digest in rows.digest]]
    if len(lacking):
        folder = sources.fetch_folder(ws, "train")
        read = _decode_files(ws, folder, lacking, {image_size: store})
        _require_unchanged(folder, lacking, read.digest)
    return Selection(store, rows.digest.to_numpy(str))


def locate(folder: Path, rows: pd.DataFrame) -> list[Path]:
    """Return the files of rows, of column file in a folder, once they prove to be what 01 read.

    Raises:
        OSError: One has another content than column digest says, or is gone.
    """
    paths = [folder / file for file in rows.file]
    _require_unchanged(folder, rows, list(map(pictures.hash_file, paths)))
    return paths


def _require_unchanged(folder, rows, digests):
    changed = rows.file[rows.digest != digests]
    if len(changed):
        raise OSError(
            f"{folder / changed.iloc[0]} has changed since 01_data_prep read it, or is gone: run 01_data_prep again."
        )
