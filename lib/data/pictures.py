"""One loader: a file becomes an upright RGB picture in sRGB."""

import hashlib
import io
import re
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from lib.data import decoders

# Raise it when `load` or `quality` gives something else: older stores are left alone then.
LOADER_VERSION = 9
ENDINGS = (
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff .avif .heic .heif".split()
)
# Whatever a file is called. Pillow knows further formats, which run other programs.
FORMATS = "JPEG PNG WEBP BMP GIF TIFF AVIF".split()
TIFF = rb"II[*+]\0|MM\0[*+]"  # with a plus those of more than 4 GB
HEIF = rb"(?s).{4}ftyp(hei|hev|mif|msf)"
# How files begin, and why they are no pictures; "" where they may be.
BEGINNINGS = {
    rb"(?s)II\*\0.{4}CR": "unsupported",  # CR2, a RAW file
    rb"(?s)\xff\xd8|\x89PNG|RIFF.{4}WEBP|BM|GIF8|.{4}ftypavi[fs]|" + TIFF: "",
    rb"version https://git-lfs": "git_lfs_pointer",
    # JPEG 2000, the plain formats of netpbm, and RAW files (ORF, RW2, RAF, CR3): pictures, and nothing
    # here reads them.
    rb"(?s)\0\0\0\x0cjP  |\xff\x4f\xff\x51|P[1-7]\s|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD|.{4}ftypcrx": "unsupported",
    HEIF: "needs_pillow_heif",
    rb"\Z": "empty",
}
# 2024:05:01 12:00:00, also as ISO 8601 has it; what stands behind, as fractions, is passed over.
DATE = r"([12]\d{3})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)"
with suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")
    BEGINNINGS[HEIF] = ""
MAX_FILE_BYTES = 1 << 28
MAX_PIXELS = 89_478_485  # that are decoded; Pillow opens files of twice as many
MIN_SIZE = 224  # sizes up to it, and the facts, share a decoding
# What decoders raise where a file is damaged, or no decoder knows it: a recorded word. All else, as the
# TypeError of an argument that is not known any more, is an error of ours.
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    EOFError,
    LookupError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    cv2.error,
    Image.DecompressionBombError,
)
# What a decoder has to say is such a word, too.
warnings.filterwarnings("ignore", module=r"PIL\.")


class PictureError(ValueError):
    """A file that can't be used as a picture; `problem` says why in one word."""

    def __init__(self, problem: str, source: object = ""):
        super().__init__(f"{source}: {problem}")
        self.problem = problem


@dataclass(frozen=True)
class Decoded:
    """The first picture of a file, and what its file tells."""

    pixels: np.ndarray  # uint8 (height, width, 3), perhaps reduced
    width: int  # in pixels, of the full picture as it is shown
    height: int
    frames: int  # or pages; of a JPEG 1, since others are previews
    # As Exif says, by the clock of the camera; NaT where it doesn't.
    taken: np.datetime64
    dim: bool = False  # whether white may be 4,095, as `decoders.read_other` tells


def load(path: Path | str, image_size: int) -> np.ndarray:
    """Decode one picture as `open_upright`, and squeeze it as `square`."""
    return square(open_upright(path, find_decoding_side(image_size)), image_size)


def find_decoding_side(image_size: int) -> int:
    """Return the least side to decode to, in pixels: twice the size, and one for all usual sizes.

    From there on nobody sees what the decoder leaves out: 110 photographs of 12 million pixels and
    98 of 448 pixels and more got the answers of a full decoding (MobileNet 0.25, side 224).
    """
    return 2 * max(image_size, MIN_SIZE)


def square(picture: np.ndarray, image_size: int) -> np.ndarray:
    """Squeeze a picture, averaging areas, to a square: uint8 (image_size, image_size, 3)."""
    height, width = np.minimum(picture.shape[:2], image_size)
    shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (image_size, image_size), interpolation=cv2.INTER_LINEAR)


def open_upright(path: Path | str, min_side: int) -> np.ndarray:
    """Decode one picture, as `decode`; its error names the path."""
    try:
        return decode(read_file(Path(path)), min_side).pixels
    except PictureError as error:
        raise PictureError(error.problem, path) from error


def read_file(path: Path) -> bytes:
    """Read a file; a PictureError says unreadable, not_a_file or too_large (over 256 MiB)."""
    try:
        size = path.stat().st_size
        # A pipe or a device would never end.
        if not path.is_file():
            raise PictureError("not_a_file")
        if size > MAX_FILE_BYTES:
            raise PictureError("too_large")
        return path.read_bytes()
    except OSError as error:
        raise PictureError("unreadable") from error


def hash_content(data: bytes) -> str:
    """Return the digest of a file: the first 32 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


def hash_file(path: Path) -> str:
    """Return the digest of a file, "" where it can't be read."""
    try:
        return hash_content(read_file(path))
    except PictureError:
        return ""


def decode(data: bytes, min_side: int) -> Decoded:
    """Decode the first picture of a file, turned as Exif says, on white where transparent.

    An embedded colour profile (ICC.1:2022) is converted to sRGB. A large JPEG is reduced by its
    decoder, never below `min_side`; pictures that the decoder calls damaged are refused.

    Raises:
        PictureError: It says empty, not_a_picture, git_lfs_pointer, needs_pillow_heif, truncated,
            corrupt, unsupported or too_large (over 89 million pixels, of a JPEG once it is reduced, or 179
            million before).
    """
    problem = sniff(data[:64])
    if problem:
        raise PictureError(problem)
    try:
        if data.startswith(b"\xff\xd8") and re.search(decoders.UNUSUAL, data):
            raise NotImplementedError("a JPEG that few decoders know")
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            size = picture.size
            # It halves the size of a JPEG as often as it stays above, up to three times.
            picture.draft(None, (min_side, min_side))
            shown, dim = _decode_opened(picture, data)
            orientation, taken = _read_exif(picture)
            frames = _count_frames(picture)
        if orientation in range(2, 9):
            turned = Image.fromarray(shown)
            turned.getexif()[Base.Orientation] = orientation
            shown = np.asarray(ImageOps.exif_transpose(turned))
        if orientation in range(5, 9):
            size = size[::-1]
        return Decoded(shown, *size, frames, taken, dim)
    except DAMAGE as error:
        raise PictureError(_name_problem(error, data)) from error


def _decode_opened(picture, data):
    """Return the pixels of a picture, as stored, and whether it is dim; refuse what no decoder reads."""
    if picture.width * picture.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    if decoders.is_cut(picture, data):
        raise OSError("truncated: the end holds zeros")
    dim = False
    if picture.format in ("JPEG", "MPO"):
        samples = decoders.read_jpeg(picture, data)
    else:
        samples, dim = decoders.read_other(picture, data)
    return decoders.convert_to_rgb(samples, picture.info.get("icc_profile")), dim


def _count_frames(picture):
    """Count frames or pages; those behind the first picture of a JPEG are previews."""
    if picture.format == "MPO":
        return 1
    try:
        return getattr(picture, "n_frames", 1)
    except TypeError as error:  # of a page without a size
        raise OSError("a damaged page") from error


def _read_exif(picture):
    """Return how Exif says a picture is to be turned, and when it was taken; None and NaT if it doesn't."""
    orientation = None
    taken = np.datetime64("NaT")
    # Damaged Exif tells nothing, and fails in any way.
    with suppress(Exception):
        exif = picture.getexif()
        # Of a TIFF it is gone, since its decoder has turned it.
        orientation = exif.get(Base.Orientation)
        dates = exif.get_ifd(IFD.Exif)
        text = f"{dates.get(Base.DateTimeOriginal)} {dates.get(Base.DateTimeDigitized)}"
        date = re.search(DATE, text).expand(r"\1-\2-\3T\4")
        taken = np.datetime64(date, "s")
    return orientation, taken


def _name_problem(error, data):
    """Return the word for what a decoder says of a file that it can't read."""
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return "too_large"
    if isinstance(error, NotImplementedError):
        return "unsupported"
    if isinstance(error, UnidentifiedImageError) and re.match(TIFF, data):
        return "unsupported"
    if re.search("truncated|Premature end of JPEG", str(error)):
        return "truncated"
    return "corrupt"


def sniff(beginning: bytes) -> str:
    """Tell from the first 64 bytes of a file why it is no picture; "" where it may be one."""
    for sign, problem in BEGINNINGS.items():
        if re.match(sign, beginning):
            return problem
    return "not_a_picture"
