"""JPEGs: decoded at the size that is needed; what is damaged, and what is merely unusual."""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg
from PIL import Image

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that say how a picture is coded
LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
SCAN, END = 0xDA, 0xD9
MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # neither a data byte nor a restart of a scan
STRAY_BYTES = 2  # behind a scan; from three on they are mostly true signs of damage


def read_jpeg(picture: Image.Image, data: bytes, least_side: int) -> np.ndarray | Image.Image:
    """Decode a JPEG, reduced by its decoder where it is large, never below `least_side` pixels.

    simplejpeg says which pixels are damaged, and Pillow doesn't. What it doesn't know goes through
    Pillow: a rare subsampling, and lossless frames, of which it would write more than fits.
    `picture` is opened by Pillow, not loaded, and `data` the whole file.

    Returns uint8 (height, width, 3), or a picture of mode L or CMYK. A ValueError tells of damage.
    """
    colours = {"L": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    samples = None if is_unusual(data) else _decode(data, colours, least_side)
    if samples is None:
        picture.load()
        return picture
    if colours == "CMYK":  # Adobe's way: 0 is full ink
        return Image.frombytes("CMYK", samples.shape[1::-1], (255 - samples).tobytes())
    return samples if colours == "RGB" else Image.fromarray(samples.squeeze(axis=2))


def is_unusual(data: bytes) -> bool:
    """Tell whether a file is a JPEG of a kind that few decoders know: lossless, or not of 8 bits."""
    segments = _walk_segments(data) if data.startswith(b"\xff\xd8") else ()
    for marker, start, _ in segments:
        if marker in FRAMES and start + 4 < len(data):
            return marker in LOSSLESS or data[start + 4] != 8
        if marker == SCAN:
            break
    return False


def _decode(data: bytes, colours: str, least_side: int) -> np.ndarray | None:
    options = {"colorspace": colours, "min_height": least_side, "min_width": least_side}
    try:
        return simplejpeg.decode_jpeg(data, **options)
    except ValueError as error:
        problem = str(error)
        if "ICC" in problem or not re.search("Corrupt|Premature|Inconsistent", problem):
            return None
        stray = re.search(r"(\d+) extraneous bytes", problem)
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
    marker, end = None, 2
    while marker != END and (found := MARKER.search(data, end)):
        start, end, marker = found.start(), found.end(), data[found.end() - 1]
        if marker != END:
            end += int.from_bytes(data[end : end + 2], "big")
        if marker == SCAN:
            following = MARKER.search(data, end)
            end = following.start() if following else len(data)
        yield marker, start, end
