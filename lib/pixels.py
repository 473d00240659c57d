"""One loader for every picture of every notebook; decodes each once into a memory-mapped array."""

import hashlib
import io
import os
import stat
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from lib import sources
from lib.dataset import read_table
from lib.workspace import explain_failed_writing, is_on_drive, require_room, whole_file

# Part of every digest: raise it when `load` changes what it returns, and arrays are made anew.
LOADER_VERSION = b"1"
BLOCK = 512
# Those of `dataset.EXTENSIONS`, whatever a file is called: Pillow knows further formats that run
# other programs, or that nobody reads twice.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
LARGEST_FILE = 1 << 28  # bytes
SIXTEEN_BIT_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
# What a decoder has to say becomes a recorded word.
warnings.filterwarnings("ignore", module=r"PIL\.")


class PictureError(ValueError):
    """A file that can't be used as a picture; `problem` says why in one word."""

    def __init__(self, problem: str, source):
        super().__init__(f"{source}: {problem}")
        self.problem = problem


@dataclass(frozen=True)
class Pixels:
    """Decoded pictures in the order asked for, indexed like an array of shape (n, size, size, 3).

    Attributes:
        store: uint8 memory map, RGB, 0-255.
        rows: int64 (n,), where in `store` each picture lies.
        key: names the content, for caches of what is computed from it.
    """

    store: np.ndarray
    rows: np.ndarray
    key: str

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index) -> np.ndarray:
        return self.store[self.rows[index]]


def load(source, image_size: int) -> np.ndarray:
    """Decode one picture and scale it to a square, with the bilinear filter, antialiased.

    Args:
        source: path of a picture, or its bytes as io.BytesIO.
        image_size: side of the square, in pixels.

    Returns:
        uint8 (image_size, image_size, 3), RGB, 0-255.

    Raises:
        PictureError: as `open_upright`.
    """
    return _square(open_upright(source, _find_decoding_side(image_size)), image_size)


def open_upright(source, least_side: int) -> Image.Image:
    """Decode one picture: upright, RGB, on white where transparent.

    An animation or a multi-page file gives its first picture. A large JPEG is reduced by its own
    decoder, which saves most of the work, yet never below `least_side`.

    Args:
        source: path of a picture, or its bytes as io.BytesIO.
        least_side: smallest width and height that are of use, in pixels.

    Raises:
        PictureError: with the problem unreadable, not_a_file, empty, not_a_picture, truncated,
            too_large or corrupt.
    """
    data = source if isinstance(source, io.BytesIO) else io.BytesIO(_read_file(Path(source)))
    try:
        with Image.open(data, formats=FORMATS) as picture:
            picture.draft(None, (least_side, least_side))
            if picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            picture.load()
            return _convert_to_rgb(ImageOps.exif_transpose(picture))
    # A decoder meets bytes from anywhere and fails in any way; each becomes a recorded word.
    except Exception as error:
        raise PictureError(_name_problem(error, data), source) from error


def _read_file(path: Path) -> bytes:
    try:
        found = path.stat()
        # A pipe or a device would never end.
        if not stat.S_ISREG(found.st_mode):
            raise PictureError("not_a_file", path)
        if found.st_size > LARGEST_FILE:
            raise PictureError("too_large", path)
        return path.read_bytes()
    except OSError as error:
        raise PictureError("unreadable", path) from error


def _find_decoding_side(image_size: int) -> int:
    # The next power of two: sizes such as 160 and 224 then come from one decoding.
    return 1 << (image_size - 1).bit_length()


def _square(picture: Image.Image, image_size: int) -> np.ndarray:
    return np.asarray(picture.resize((image_size, image_size), Image.Resampling.BILINEAR))


def _convert_to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in SIXTEEN_BIT_MODES:
        levels = np.clip(np.asarray(picture).astype(np.float32) / 257, 0, 255)
        picture = Image.fromarray(levels.round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture)
        picture = white
    return picture.convert("RGB")


def _name_problem(error: Exception, data: io.BytesIO) -> str:
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return "too_large"
    if isinstance(error, UnidentifiedImageError):
        return "not_a_picture" if data.getbuffer().nbytes else "empty"
    if isinstance(error, OSError):
        return "truncated" if "truncated" in str(error).lower() else "corrupt"
    return "corrupt"


def prepare(folder: Path, files, image_sizes, scratch: Path) -> pd.DataFrame:
    """Decode every file once and keep it as uint8 pixels of each size.

    A store of one size is `pixels_<size>.u8`, pictures one after the other, and `pixels_<size>.csv`,
    the digest of each row's file. Rows are only ever appended, and the list is written after
    the pixels: known content is not decoded again, added pictures extend the store, and a killed
    run goes on at the last block.

    Args:
        folder: what `files` are relative to.
        files: file names.
        image_sizes: sides of the squares, in pixels.
        scratch: folder of the stores.

    Returns:
        One row a file, in order: file, digest, width, height (as shown, 0 where unknown), problem
        ("" where usable).

    Raises:
        OSError: the pixels would find no room, or could not be written.
    """
    files, table = list(files), []
    known = {size: set(_read_digests(scratch, size)) for size in image_sizes}
    needed = sum(max(0, len(files) - len(known[size])) * size**2 * 3 for size in known)
    require_room(scratch, needed, "the decoded pixels")
    progress = tqdm(total=len(files), desc="decoding pictures", unit="picture")
    with progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), BLOCK):
            block = files[start : start + BLOCK]
            added = {size: {} for size in image_sizes}
            for row, pixels in pool.map(lambda name: _read_picture(folder, name, known), block):
                table.append(row)
                for size, square in pixels.items():
                    added[size][row["digest"]] = square
                progress.update()
            for size, squares in added.items():
                _append(scratch, size, squares)
                known[size].update(squares)
    return pd.DataFrame(table)


def _read_picture(folder: Path, name: str, known: dict) -> tuple[dict, dict]:
    row = {"file": name, "digest": "", "width": 0, "height": 0, "problem": ""}
    try:
        data = _read_file(folder / name)
        row["digest"] = hashlib.blake2b(data, digest_size=16, person=LOADER_VERSION).hexdigest()
        pixels, decoded = {}, {}
        for size in (size for size, digests in known.items() if row["digest"] not in digests):
            side = _find_decoding_side(size)
            decoded[side] = decoded.get(side) or open_upright(io.BytesIO(data), side)
            pixels[size] = _square(decoded[side], size)
        row["width"], row["height"] = _read_size(io.BytesIO(data))
        return row, pixels
    except PictureError as error:
        return row | {"problem": error.problem}, {}


def _read_size(source) -> tuple[int, int]:
    with Image.open(source, formats=FORMATS) as picture:
        turned = picture.getexif().get(0x0112, 1) >= 5
        return picture.size[::-1] if turned else picture.size


def _read_digests(scratch: Path, image_size: int) -> list[str]:
    index, store = (scratch / f"pixels_{image_size}.{end}" for end in ("csv", "u8"))
    if not (index.exists() and store.exists()):
        return []
    # A store that was cut short holds only its first rows, whatever the list says.
    return read_table(index).digest.tolist()[: store.stat().st_size // (image_size**2 * 3)]


def _append(scratch: Path, image_size: int, squares: dict[str, np.ndarray]) -> None:
    if not squares:
        return
    digests = _read_digests(scratch, image_size)
    path = scratch / f"pixels_{image_size}.u8"
    with explain_failed_writing(path), path.open("ab") as store:
        # What a killed run wrote after its last listed row is cut off first.
        store.truncate(len(digests) * image_size * image_size * 3)
        for square in squares.values():
            store.write(square.data)
    with whole_file(scratch / f"pixels_{image_size}.csv") as part:
        pd.DataFrame({"digest": digests + list(squares)}).to_csv(part, index=False)


def keep_copies(ws, image_sizes) -> None:
    """Keep each store as one file beside results that lie on Google Drive; do nothing elsewhere.

    A copy is a ZIP file, uncompressed: its format brings a checksum. Its name tells the content,
    so what Drive holds already is not sent again.
    """
    if not is_on_drive(ws.results) or is_on_drive(ws.scratch):
        return
    for size in image_sizes:
        index, store = (ws.scratch / f"pixels_{size}.{end}" for end in ("csv", "u8"))
        if not index.exists():
            continue
        key = hashlib.blake2b(index.read_bytes(), digest_size=8).hexdigest()
        copy = _find_copies(ws) / f"pixels_{size}-{key}.zip"
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            with whole_file(copy) as part, zipfile.ZipFile(part, "w") as kept:
                kept.write(store, store.name)
                kept.write(index, index.name)
        for older in set(copy.parent.glob(f"pixels_{size}-*.zip")) - {copy}:
            older.unlink()


def restore_copies(ws, image_sizes) -> None:
    """Bring stores that are not in scratch back from Google Drive; a damaged copy is deleted."""
    for size in image_sizes:
        if _read_digests(ws.scratch, size):
            continue
        for copy in _find_copies(ws).glob(f"pixels_{size}-{'?' * 16}.zip"):
            try:
                folder = sources.unpack(copy, ws.scratch)
            except ValueError as error:
                print(f"{error} It is deleted, and the pictures are decoded anew.")
                copy.unlink()
                continue
            for end in ("u8", "csv"):
                os.replace(folder / f"pixels_{size}.{end}", ws.scratch / f"pixels_{size}.{end}")
            folder.rmdir()


def _find_copies(ws) -> Path:
    return ws.results.with_name(f"{ws.results.name}_pixels")


def open_pixels(ws, files, image_size: int) -> Pixels:
    """Open the decoded pixels of some training files; what was not prepared is prepared now.

    Args:
        ws: the workspace.
        files: names as in split.csv.
        image_size: side of the square, in pixels.

    Raises:
        FileNotFoundError: 01_data_prep has not been run.
        ValueError: a file is not what it was when 01_data_prep read it.
    """
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    digests = pictures.set_index("file").digest[list(files)]
    restore_copies(ws, [image_size])
    if set(digests) - set(_read_digests(ws.scratch, image_size)):
        train = sources.open_folder(ws, "train")
        table = prepare(train, digests.index, [image_size], ws.scratch)
        keep_copies(ws, [image_size])
        changed = table[table.digest != digests.to_numpy()]
        if len(changed):
            raise ValueError(
                f"{ws.train / changed.file.iloc[0]} has changed since 01_data_prep read it "
                f"({len(changed)} such files): run 01_data_prep again."
            )
    row_of = {digest: row for row, digest in enumerate(_read_digests(ws.scratch, image_size))}
    shape = (len(row_of), image_size, image_size, 3)
    store = np.memmap(ws.scratch / f"pixels_{image_size}.u8", np.uint8, mode="r", shape=shape)
    key = hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
    return Pixels(store, np.array([row_of[digest] for digest in digests]), key)
