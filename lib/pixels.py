"""One loader for every picture of every notebook; decodes each once into a memory-mapped array."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from lib.dataset import read_table
from lib.workspace import whole_file

# Part of every digest: raise it when `load` changes what it returns, and arrays are made anew.
LOADER_VERSION = b"1"
BLOCK = 512
SIXTEEN_BIT_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N"}


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
        source: path or binary file of a picture.
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
        source: path or binary file of a picture.
        least_side: smallest width and height that are of use, in pixels.

    Raises:
        PictureError: with the problem unreadable, empty, not_a_picture, truncated, too_large or
            corrupt.
    """
    try:
        with Image.open(source) as picture:
            picture.draft(None, (least_side, least_side))
            if picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            picture.load()
            return _convert_to_rgb(ImageOps.exif_transpose(picture))
    # A decoder meets bytes from anywhere and fails in any way; each becomes a recorded word.
    except Exception as error:
        raise PictureError(_name_problem(error, source), source) from error


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
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _name_problem(error: Exception, source) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too_large"
    if isinstance(error, UnidentifiedImageError):
        size = (
            source.getbuffer().nbytes if isinstance(source, io.BytesIO) else os.stat(source).st_size
        )
        return "not_a_picture" if size else "empty"
    if isinstance(error, OSError):
        if error.errno is not None:
            return "unreadable"
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
    """
    scratch.mkdir(parents=True, exist_ok=True)
    known = {size: set(_read_digests(scratch, size)) for size in image_sizes}
    files, table = list(files), []
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
        data = (folder / name).read_bytes()
        row["digest"] = hashlib.blake2b(data, digest_size=16, person=LOADER_VERSION).hexdigest()
        pixels, decoded = {}, {}
        for size in (size for size, digests in known.items() if row["digest"] not in digests):
            side = _find_decoding_side(size)
            decoded[side] = decoded.get(side) or open_upright(io.BytesIO(data), side)
            pixels[size] = _square(decoded[side], size)
        row["width"], row["height"] = _read_size(io.BytesIO(data))
        return row, pixels
    except OSError:
        return row | {"problem": "unreadable"}, {}
    except PictureError as error:
        return row | {"problem": error.problem}, {}


def _read_size(source) -> tuple[int, int]:
    with Image.open(source) as picture:
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
    with (scratch / f"pixels_{image_size}.u8").open("ab") as store:
        # What a killed run wrote after its last listed row is cut off first.
        store.truncate(len(digests) * image_size * image_size * 3)
        for square in squares.values():
            store.write(square.data)
    with whole_file(scratch / f"pixels_{image_size}.csv") as part:
        pd.DataFrame({"digest": digests + list(squares)}).to_csv(part, index=False)


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
    if set(digests) - set(_read_digests(ws.scratch, image_size)):
        table = prepare(ws.train, digests.index, [image_size], ws.scratch)
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
