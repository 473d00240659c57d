"""JPEGs: decoded at the size that is needed; what is damaged, and what few decoders know."""

import re

import numpy as np
import simplejpeg
from PIL import Image

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that say how a picture is coded
LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}


def read_jpeg(picture: Image.Image, data: bytes, least_side: int) -> np.ndarray | Image.Image:
    """Decode a JPEG by simplejpeg, which says which pixels are damaged, and Pillow doesn't.

    Returns uint8 (height, width, 3), or a picture of mode L or CMYK.
    """
    if is_unusual(data):
        raise NotImplementedError("a lossless JPEG, of which simplejpeg writes more than fits")
    colour = {"L": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    # By powers of two, for which the decoder is quick; what others save is less than they cost.
    reduced = next((by for by in (8, 4, 2) if min(picture.size) >= by * least_side), 1)
    width, height = (-(-side // reduced) for side in picture.size)
    try:
        samples = simplejpeg.decode_jpeg(data, colour, min_height=height, min_width=width)
    except ValueError as error:
        if "ICC" in str(error) or not re.search("Corrupt|Premature|Inconsistent", str(error)):
            picture.load()  # A rare subsampling, or a profile that is none.
            return picture
        raise
    if colour == "CMYK":  # Adobe's way: 0 is full ink
        return Image.frombytes("CMYK", samples.shape[1::-1], (255 - samples).tobytes())
    return samples if colour == "RGB" else Image.fromarray(samples.squeeze(axis=2))


def is_unusual(data: bytes) -> bool:
    """Tell whether a file is a JPEG of a kind that few decoders know: lossless, or not of 8 bits."""
    place = 2
    while data[:2] == b"\xff\xd8" and place + 4 < len(data) and data[place] == 0xFF:
        if (marker := data[place + 1]) in FRAMES:
            return marker in LOSSLESS or data[place + 4] != 8
        # A marker may be filled up with further 0xFF.
        place += 1 if marker == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False
