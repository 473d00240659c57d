"""Colours: samples of any depth, palette or profile become bytes in sRGB."""

import io
from contextlib import suppress
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageCms

WHITES = [1, 255, 1023, 4095, 16383, 65535]
MOST_SAMPLES = 1 << 20  # looked at to find black and white


def read_deep(picture: Image.Image, data: bytes, tags) -> Image.Image:
    """Decode samples of more than 8 bits with OpenCV, which keeps them; `tags` are a TIFF's."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        picture.load()  # Tells what is wrong.
        raise NotImplementedError("samples that OpenCV can't read")
    if samples.ndim == 3:
        order = [2, 1, 0] if tags.get(338) == (0,) else [2, 1, 0, 3]  # the fourth may mean nothing
        samples = samples[..., order[: samples.shape[2]]]
        if tags.get(284) == 2:
            samples = _read_planes(samples, data, tags)
    nothing = np.nan
    with suppress(ValueError):  # GDAL's tag, a text
        nothing = float(str(tags.get(42113, "nan")).strip("\0 "))
    levels = scale_to_bytes(samples, nothing)
    if tags.get(262) == 0:  # white is zero
        levels = 255 - levels
    if levels.ndim == 2 and "transparency" in picture.info:
        levels[samples == picture.info["transparency"]] = 255
    return Image.fromarray(levels)


def _read_planes(samples: np.ndarray, data: bytes, tags) -> np.ndarray:
    # Pillow and OpenCV mix up colours that lie one after the other, each a plane of its own.
    if tags.get(259, 1) != 1 or tags.get(274, 1) != 1 or 273 not in tags:
        raise NotImplementedError("planes that are compressed, turned or in tiles")
    strips = b"".join(data[start : start + size] for start, size in zip(tags[273], tags[279]))
    dtype = samples.dtype.newbyteorder(">" if data[:2] == b"MM" else "<")
    planes = np.frombuffer(strips, dtype).reshape(samples.shape[2], *samples.shape[:2])
    return np.moveaxis(planes, 0, 2).astype(samples.dtype)


def scale_to_bytes(samples: np.ndarray, nothing: float = np.nan) -> np.ndarray:
    """Scale samples of any depth to bytes; one rule, for integers and floats, finds black and white.

    TIFF 6.0 and PNG say what a sample could hold, not what is white: cameras store 12 bits in 16, and
    programs 0-1 or 0-65535 in floats. So the middle 99.8 % of the samples decide, from low to high:
    unless low is below -high/10, black is 0 and white the least level that high exceeds by a tenth at
    most, of WHITES and, where a quarter of it is used, what integers hold; else low and high are black
    and white, as of tomographs in Hounsfield units. What is no number is black: `nothing` (GDAL's no
    data), the lowest of signed integers, NaN, and what is beyond 1e30.

    A picture far below its white, a night or a mask of 0 and 1, is brightened; an untold mark for no
    data is taken for such an end, and pictures stretched by their own ends can't be compared.
    """
    if samples.dtype == np.uint8:
        return samples
    channels = np.atleast_3d(samples)
    is_number = (np.abs(channels) < 1e30) & (channels != nothing)
    own = np.iinfo(samples.dtype) if samples.dtype.kind in "iu" else None
    if samples.dtype.kind == "i":
        is_number &= channels > own.min
    few = channels[..., :3][is_number[..., :3]]  # alpha is full, whatever is white
    if few.size > MOST_SAMPLES:
        few = few[np.random.default_rng(0).integers(0, few.size, MOST_SAMPLES)]
    low, high = np.percentile(few, [0.1, 99.9]) if few.size else (0, 1)
    fitting = [level for level in WHITES if high <= 1.1 * level]
    fitting += [own.max] if own and high >= own.max / 4 else []
    black, white = (0, min(fitting)) if fitting and low >= -high / 10 else (low, high)
    least = np.finfo(np.float32).tiny
    scaled = (channels - np.float32(black)) / np.float32(max(white - black, least))
    scaled[~is_number] = 0
    scaled[..., 3:] = channels[..., 3:] / np.float32(max(white, least))
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8).reshape(samples.shape)


def convert_to_rgb(picture: Image.Image | np.ndarray, profile: bytes | None) -> np.ndarray:
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
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


@lru_cache(64)
def _make_transform(profile: bytes, mode: str):
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source)
        if "sRGB" in name and "linear" not in name.lower():
            return None
        shown = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, shown)
    # A damaged profile, or one of another kind of picture, is none.
    except (ImageCms.PyCMSError, OSError):
        return None
