"""Decoders: JPEGs, samples of 16 bits, any palette or profile become bytes in sRGB."""

import io
import re
from functools import lru_cache

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageCms

FRAMES = {*range(0xC0, 0xD0)} - {
    0xC4,
    0xC8,
    0xCC,
}  # markers that say how a picture is coded
LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
WHITES = [255, 1023, 4095, 16383, 65535]
MOST_SAMPLES = 1 << 20  # looked at to find white


def read_jpeg(
    picture: Image.Image, data: bytes, min_side: int
) -> np.ndarray | Image.Image:
    """Decode a JPEG by simplejpeg, which says which pixels are damaged, and Pillow doesn't.

    Returns uint8 (height, width, 3), or a picture of mode L or CMYK.
    """
    if is_unusual(data):
        raise NotImplementedError(
            "a lossless JPEG, of which simplejpeg writes more than fits"
        )
    colour = {"L": "GRAY", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    # By powers of two, for which the decoder is quick; what others save is less than they cost.
    reduced = next((by for by in (8, 4, 2) if min(picture.size) >= by * min_side), 1)
    width, height = (-(-side // reduced) for side in picture.size)
    try:
        samples = simplejpeg.decode_jpeg(
            data, colour, min_height=height, min_width=width
        )
    except ValueError as error:
        if "ICC" in str(error) or not re.search(
            "Corrupt|Premature|Inconsistent", str(error)
        ):
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
        place += (
            1
            if marker == 0xFF
            else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        )
    return False


def read_deep(picture: Image.Image, data: bytes, tags) -> Image.Image:
    """Decode 16 bits a sample, grey or RGB(A), with OpenCV, which keeps them; `tags` are a TIFF's.

    Raises a NotImplementedError where the samples are anything else.
    """
    is_plain = (
        tags.get(262, 1) in (1, 2) and tags.get(284, 1) == 1
    )  # black is zero; no planes
    if (
        not is_plain
        or {*tags.get(258, (16,))} != {16}
        or "transparency" in picture.info
    ):
        raise NotImplementedError("samples that are neither grey nor RGB(A) of 16 bits")
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        picture.load()  # Tells what is wrong.
    if samples is None or samples.dtype != np.uint16:
        raise NotImplementedError("samples that OpenCV doesn't read as 16 bits")
    if samples.ndim == 3:
        order = (
            [2, 1, 0] if tags.get(338) == (0,) else [2, 1, 0, 3]
        )  # the fourth may mean nothing
        samples = samples[..., order[: samples.shape[2]]]
    return Image.fromarray(scale_to_bytes(samples))


def scale_to_bytes(samples: np.ndarray) -> np.ndarray:
    """Scale uint16 samples, grey or RGB(A), to bytes: white is what 8 to 16 bits hold, and they reach.

    PNG and TIFF say what a sample could hold, not what is white: cameras store 12 bits in 16. So white
    is the least of WHITES that the highest 0.1 % of the samples exceed by a tenth at most.
    """
    colour = (
        samples[..., :3] if samples.ndim == 3 else samples
    )  # alpha is full, whatever is white
    if colour.size > MOST_SAMPLES:
        colour = np.random.default_rng(0).choice(colour.ravel(), MOST_SAMPLES)
    high = np.percentile(colour, 99.9)
    white = min(level for level in WHITES if high <= 1.1 * level)
    scaled = samples.astype(np.float32) * np.float32(255 / white)
    if samples.ndim == 3:
        scaled[..., 3:] = samples[..., 3:] / np.float32(257)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def convert_to_rgb(
    picture: Image.Image | np.ndarray, profile: bytes | None
) -> np.ndarray:
    """Convert a picture by its colour profile (ICC.1:2022) to sRGB, on white where transparent.

    A picture may have any mode, an array is RGB; returns uint8 (height, width, 3).
    """
    if isinstance(picture, np.ndarray):
        if not profile:
            return picture
        picture = Image.fromarray(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile and (transform := _make_transform(profile, picture.mode)):
        picture = ImageCms.applyTransform(picture, transform)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(
            Image.new("RGBA", picture.size, "white"), picture
        )
    return np.asarray(picture.convert("RGB"))


@lru_cache(64)
def _make_transform(profile: bytes, mode: str):
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source)
        if "sRGB" in name and "linear" not in name.lower():
            return None
        shown = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, shown
        )
    # A damaged profile, or one of another kind of picture, is none.
    except (ImageCms.PyCMSError, OSError):
        return None
