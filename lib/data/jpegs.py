"""JPEGs: decoded at the size that is needed; what is damaged, and what is merely unusual."""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg
from PIL import Image

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that say how a picture is coded
LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
SCAN, END = 0xDA, 0xD9
AFTER_SCAN = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # a marker, neither a data byte nor a restart
STRAY_BYTES = 2  # behind a scan; from three on they are mostly true signs of damage


def read_jpeg(picture: Image.Image, data: bytes, least_side: int) -> np.ndarray | Image.Image:
    """Decode a JPEG, reduced by its decoder where it is large, never below `least_side` pixels.

    simplejpeg says which pixels are damaged, and Pillow doesn't. What it doesn't know goes through
    Pillow: a rare subsampling, and lossless frames, of which it would write more than fits.

    Args:
        picture: opened by Pillow, not loaded.
        data: the whole file.

    Returns uint8 (height, width, 3), or a picture of mode L or CMYK. A ValueError says what is
    damaged.
    """
    if _read_frame(data)[0] in LOSSLESS:
        picture.load()
        return picture
    colours = {"L": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    try:
        samples = _decode(data, colours, least_side)
    except ValueError as error:
        if re.search("Corrupt|Premature|Inconsistent", str(error)) and "ICC" not in str(error):
            raise
        picture.load()
        return picture
    if colours == "CMYK":  # Adobe's way: 0 is full ink
        return Image.frombytes("CMYK", samples.shape[1::-1], (255 - samples).tobytes())
    return samples if colours == "RGB" else Image.fromarray(samples.squeeze(axis=2))


def is_unusual(data: bytes) -> bool:
    """Tell whether a file is a JPEG of a kind that few decoders know: lossless, or not of 8 bits."""
    frame, bits = _read_frame(data) if data.startswith(b"\xff\xd8") else (0, 8)
    return frame in LOSSLESS or bits != 8


def _decode(data: bytes, colours: str, least_side: int) -> np.ndarray:
    options = {"colorspace": colours, "min_height": least_side, "min_width": least_side}
    try:
        return simplejpeg.decode_jpeg(data, **options)
    except ValueError as error:
        stray = re.search(r"(\d+) extraneous bytes", str(error))
        if not stray:
            raise
        # Between segments they are harmless, and behind a scan cameras leave a byte or two; but
        # only the first complaint is told: what else is wrong shows when the former are gone.
        whole = data[:2] + b"".join(data[start:end] for _, start, end in _walk_segments(data))
        if whole != data[: len(whole)]:
            return _decode(whole, colours, least_side)
        if int(stray[1]) > STRAY_BYTES:
            raise
        return simplejpeg.decode_jpeg(data, strict=False, **options)


def _walk_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment; the pixels of a scan are part of its own."""
    place = 2
    while 0 <= (start := data.find(b"\xff", place)) < len(data) - 1:
        marker, end = data[start + 1], start + 2
        if marker in (0, 0xFF):
            place = start + 1
            continue
        if marker != END:
            end += int.from_bytes(data[end : end + 2], "big")
        if marker == SCAN:
            found = AFTER_SCAN.search(data, end)
            end = found.start() if found else len(data)
        yield marker, start, end
        if marker == END:
            return
        place = end


def _read_frame(data: bytes) -> tuple[int, int]:
    """Return a JPEG's kind of coding, as its marker, and bits a sample; 0 and 8 where unknown."""
    for marker, start, _ in _walk_segments(data):
        if marker in FRAMES and start + 4 < len(data):
            return marker, data[start + 4]
        if marker == SCAN:
            break
    return 0, 8
