"""Decoders: JPEGs, samples of 16 bits, any palette or profile become bytes in sRGB."""

import io
import re
from functools import lru_cache

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageCms
from PIL.ExifTags import Base

# The frame of a JPEG that few decoders know, and of which simplejpeg would write more than fits: lossless as
# FF C3, or of 12 or 16 bits as FF C1 00 11 0C. The marker is followed by two bytes of length, one of bits, four of
# size, and the number of colours. The length goes with that number, so nothing else in a file looks like it.
LOSSLESS = rb"[\xc3\xc7\xcb\xcf]"
OF_MORE_BITS = rb"[\xc0-\xcf](?=..[\x0c\x10])"
OF_1_COLOUR = rb"\x0b.{5}\x01"
OF_3_COLOURS = rb"\x11.{5}\x03"
OF_4_COLOURS = rb"\x14.{5}\x04"
UNUSUAL = rb"(?s)\xff(?:%b|%b)\0(?:%b|%b|%b)" % (
    LOSSLESS,
    OF_MORE_BITS,
    OF_1_COLOUR,
    OF_3_COLOURS,
    OF_4_COLOURS,
)
# What a TIFF of 16 bits may say of its samples, and OpenCV reads rightly; first what a missing tag means.
DEEP_KINDS = {
    Base.BitsPerSample: [(16,), (16, 16, 16), (16, 16, 16, 16)],
    Base.PhotometricInterpretation: [1, 2],  # black is zero, or RGB
    Base.PlanarConfiguration: [1],  # the colours of a pixel stand together
}
WHITE = 65_535  # of 16 bits
MAX_OF_12_BITS = 4095
MIN_ZEROS = 64  # bytes at the end of a file, of which the last were never written


def read_jpeg(picture: Image.Image, data: bytes) -> Image.Image | np.ndarray:
    """Decode a JPEG by simplejpeg, which says which pixels are damaged, and Pillow doesn't.

    Args:
        picture: of the size that its decoder is to give.

    Returns:
        uint8 (height, width, 3) in RGB, or a picture that is still to be converted.
    """
    try:
        samples = simplejpeg.decode_jpeg(
            data,
            "GRAY" if picture.mode == "L" else picture.mode,
            min_height=picture.height,
            min_width=picture.width,
        )
        if picture.mode == "RGB":
            return samples
    except ValueError as error:
        if re.match("(?!.*ICC).*(Corrupt|Premature|Inconsistent)", str(error)):
            raise
    # Also of a rare subsampling, or with a profile that is none.
    picture.load()
    return picture


def is_cut(picture: Image.Image, data: bytes) -> bool:
    """Tell whether the end of a PNG, WebP, AVIF or HEIF was never written, and holds zeros.

    Their decoders take zeros for samples. A plain area is coded as zeros, too: of WebP, up to 4
    bits for a block of 256 pixels were seen, and 6.4 are granted. HEVC never has three in a row.
    """
    if picture.format == "PNG":
        return b"IEND\xaeB`\x82" not in data
    zeros = MIN_ZEROS
    if picture.format != "HEIF":
        zeros += picture.width * picture.height // 320
    is_zeros = data.endswith(bytes(zeros))
    return is_zeros and picture.format in ("HEIF", "WEBP", "AVIF")


def read_other(picture: Image.Image, data: bytes) -> tuple[Image.Image, bool]:
    """Decode a picture that is no JPEG; white of 16 bits is what a TIFF says, else 65,535.

    Returns:
        The picture; whether it may have another white: of its samples of 16 bits none is above 4,095.

    Raises:
        NotImplementedError: Samples of more than 8 bits are neither grey nor RGB(A) of 16, or the first
            picture of a TIFF is a reduced one, as of a RAW file (NEF, DNG, ARW).
    """
    tags = getattr(picture, "tag_v2", {})
    if _read_number(tags, Base.NewSubfileType, 0) % 2:
        raise NotImplementedError("a RAW file")
    # A TIFF says it; of a PNG Pillow's name for the samples, as they are stored, is RGB;16B or alike.
    is_deep = _read_number(tags, Base.BitsPerSample, 1) > 8
    is_deep |= picture.format == "PNG" and ";16" in str(picture.tile)
    if not is_deep:
        picture.load()
        return picture, False
    is_known = all(
        tags.get(tag, kinds[0]) in kinds for tag, kinds in DEEP_KINDS.items()
    )
    # Mode I has a sign, and what is transparent is told in 16 bits, too.
    if not is_known or picture.mode == "I" or "transparency" in picture.info:
        raise NotImplementedError("neither grey nor RGB(A) of 16 bits")
    picture.load()
    return _read_deep(picture, data, _read_number(tags, Base.MaxSampleValue, WHITE))


def _read_number(tags, tag, missing):
    """Return the number of a tag of a TIFF, the largest of several; a damaged one is missing."""
    try:
        return int(np.max(tags.get(tag, missing)))
    except (TypeError, ValueError):
        return missing


def _read_deep(picture, data, white):
    """Decode grey or RGB(A) of 16 bits by OpenCV, which keeps them; what it returns is that of `read_other`."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise NotImplementedError("samples that OpenCV doesn't read as 16 bits")
    levels = cv2.convertScaleAbs(samples, alpha=255 / max(white, 1))
    if levels.ndim == 3:
        # In OpenCV's order; a fourth is how opaque a pixel is, or has no meaning.
        levels[..., 3:] = samples[..., 3:] >> 8
        count = 4 if picture.has_transparency_data else 3
        levels = levels[..., [2, 1, 0, 3][:count]]
    return Image.fromarray(levels), white == WHITE and samples.max() <= MAX_OF_12_BITS


def convert_to_rgb(
    picture: Image.Image | np.ndarray, profile: bytes | None
) -> np.ndarray:
    """Convert a picture by its colour profile (ICC.1:2022) to sRGB, on white where transparent.

    Args:
        picture: of any mode; an array is in RGB.
        profile: the embedded one, if any.

    Returns:
        uint8 (height, width, 3).
    """
    if isinstance(picture, np.ndarray):
        if not _make_transform(profile, "RGB"):
            return picture
        picture = Image.fromarray(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    if picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    transform = _make_transform(profile, picture.mode)
    if transform:
        picture = ImageCms.applyTransform(picture, transform)
    return np.asarray(picture.convert("RGB"))


@lru_cache(64)
def _make_transform(profile, mode):
    """Return what converts from a profile; None where there is none that fits and changes something."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source)
        if "sRGB" in name and "linear" not in name.lower():
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB")
    # A damaged profile, or one of another kind of picture, is none.
    except (ImageCms.PyCMSError, OSError):
        return None
