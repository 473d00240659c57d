"""One loader: a file becomes an upright RGB picture in sRGB."""

import importlib.util
import io
import re
import threading
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from lib.data import decoders

LOADER_VERSION = (
    4  # raise it when `load` returns something else: older stores are removed
)
ENDINGS = set(".jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff .avif".split())
# Whatever a file is called. Pillow knows further formats, which run other programs.
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"]
TIFF = rb"II[*+]\0|MM\0[*+]"  # with a plus those of more than 4 GB
BEGINNINGS = re.compile(
    rb"\xff\xd8|\x89PNG|RIFF.{4}WEBP|BM|GIF8|.{4}ftypavi[fs]|" + TIFF, re.S
)
HEIF_BEGINNINGS = re.compile(rb".{4}ftyp(hei|hev|mif|msf)", re.S)
# JPEG 2000, and the plain formats of netpbm: pictures, and nothing here reads them.
OTHER_BEGINNINGS = re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51|P[1-7]\s", re.S)
if HAS_HEIF := importlib.util.find_spec("pillow_heif") is not None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")
    ENDINGS |= {".heic", ".heif"}
MAX_FILE_BYTES = 1 << 28  # bytes
MAX_PIXELS = 89_478_485  # pixels
MAX_DEEP_PIXELS = 40_000_000  # pixels of 16 bits a sample
LARGE_PIXELS = 1 << 24  # pixels, from which on one picture at a time is decoded
MIN_SIZE = 224  # sizes up to it, and the facts, share a decoding
# What a decoder has to say becomes a recorded word.
warnings.filterwarnings("ignore", module=r"PIL\.")
one_large_at_a_time = threading.Lock()


class PictureError(ValueError):
    """A file that can't be used as a picture; `problem` says why in one word."""

    def __init__(self, problem: str, source=""):
        super().__init__(f"{source}: {problem}")
        self.problem = problem


def load(source: Path | bytes, image_size: int) -> np.ndarray:
    """Decode one picture as `open_upright`, and squeeze it as `square`."""
    return square(open_upright(source, find_decoding_side(image_size)), image_size)


def find_decoding_side(image_size: int) -> int:
    """Return the least side to decode to, in pixels: twice the size, and one for all usual sizes.

    From there on what the decoder leaves out is no more seen: 110 photographs of 12 million pixels and
    98 of 448 pixels and more got the answers of a full decoding (MobileNet 0.25, side 224).
    """
    return 2 * max(image_size, MIN_SIZE)


def square(picture: np.ndarray, image_size: int) -> np.ndarray:
    """Squeeze a picture, averaging areas, to a square: uint8 (image_size, image_size, 3)."""
    height, width = (min(side, image_size) for side in picture.shape[:2])
    shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (image_size, image_size), interpolation=cv2.INTER_LINEAR)


def open_upright(source: Path | bytes, min_side: int) -> np.ndarray:
    """Decode one picture of a path or of bytes, as `decode`; its error names the path."""
    is_path = not isinstance(source, bytes)
    try:
        return decode(read_file(Path(source)) if is_path else source, min_side)[0]
    except PictureError as error:
        raise PictureError(error.problem, source if is_path else "") from error


def read_file(path: Path) -> bytes:
    """Return what a file holds; a PictureError says unreadable, not_a_file or too_large (over 256 MiB)."""
    try:
        size = path.stat().st_size
        # A pipe or a device would never end.
        if not path.is_file():
            raise PictureError("not_a_file", path)
        if size > MAX_FILE_BYTES:
            raise PictureError("too_large", path)
        return path.read_bytes()
    except OSError as error:
        raise PictureError("unreadable", path) from error


def decode(data: bytes, min_side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode the first picture of a file, turned as Exif says, on white where transparent.

    An embedded colour profile (ICC.1:2022) is converted to sRGB. A large JPEG is reduced by its
    decoder, never below `min_side`; what the decoder calls damaged is refused.

    Returns uint8 (height, width, 3), and the full width and height in pixels, as shown. Raises a
    PictureError that says empty, not_a_picture, git_lfs_pointer, needs_pillow_heif, truncated,
    corrupt, unsupported or too_large (over 89 million pixels, or 40 million of 16 bits a sample).
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            size, pixels, orientation = (
                picture.size,
                picture.width * picture.height,
                None,
            )
            if pixels > MAX_PIXELS:
                raise Image.DecompressionBombError
            with one_large_at_a_time if pixels > LARGE_PIXELS else nullcontext():
                samples = _read_samples(picture, data, min_side)
                shown = decoders.convert_to_rgb(
                    samples, picture.info.get("icc_profile")
                )
            # A TIFF's decoder has turned it; Exif that nobody can read tells nothing.
            with suppress(Exception):
                if picture.format != "TIFF":
                    orientation = picture.getexif().get(ExifTags.Base.Orientation)
        if orientation in range(2, 9):
            turned = Image.fromarray(shown)
            turned.getexif()[ExifTags.Base.Orientation] = orientation
            shown = np.asarray(ImageOps.exif_transpose(turned))
        return shown, size[::-1] if orientation in range(5, 9) else size
    # A decoder meets bytes from anywhere and fails in any way; each becomes a recorded word.
    except Exception as error:
        raise PictureError(_name_problem(error, data)) from error


def _read_samples(picture: Image.Image, data: bytes, min_side: int):
    if picture.format in ("JPEG", "MPO"):
        return decoders.read_jpeg(picture, data, min_side)
    tags = picture.tag_v2 if picture.format == "TIFF" else {}
    if max(tags.get(258, (1,))) > 8 or (picture.format == "PNG" and data[24] == 16):
        if picture.width * picture.height > MAX_DEEP_PIXELS:
            raise Image.DecompressionBombError
        return decoders.read_deep(picture, data, tags)
    picture.load()
    # Some write the colours of a palette as bytes into fields of two.
    if 320 in tags and max(tags[320]) < 256:
        picture.putpalette(np.reshape(tags[320], (3, -1)).T.astype(np.uint8).tobytes())
    return picture


def _name_problem(error: Exception, data: bytes) -> str:
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return "too_large"
    is_tiff = isinstance(error, UnidentifiedImageError) and re.match(TIFF, data)
    is_known = isinstance(error, NotImplementedError) or str(error).startswith(
        "Unsupported"
    )
    if is_known or is_tiff or decoders.is_unusual(data):
        return "unsupported"
    if isinstance(error, UnidentifiedImageError):
        return sniff(data[:64]) or "corrupt"
    return (
        "truncated"
        if re.search("truncated|Premature end of JPEG", str(error))
        else "corrupt"
    )


def sniff(beginning: bytes) -> str:
    """Tell from the first 64 bytes of a file why it is no picture; "" where it may be one."""
    if not beginning:
        return "empty"
    if beginning.startswith(b"version https://git-lfs"):
        return "git_lfs_pointer"
    if HEIF_BEGINNINGS.match(beginning):
        return "" if HAS_HEIF else "needs_pillow_heif"
    if OTHER_BEGINNINGS.match(beginning):
        return "unsupported"
    return "" if BEGINNINGS.match(beginning) else "not_a_picture"
