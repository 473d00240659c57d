"""Decoders: JPEGs, samples of 16 bits, any palette or profile become bytes in sRGB."""

import io
import re
from functools import lru_cache

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageCms
from PIL.ExifTags import Base

# The frame of a JPEG that is lossless, or has 12 or 16 bits a sample: a marker, its length, bits, size, and
# the number of colours, which goes with the length. Nothing else in a file looks like that, and simplejpeg
# would write more of it than fits.
UNUSUAL = (
    rb"(?s)\xff(?:[\xc3\xc7\xcb\xcf]|[\xc0-\xcf](?=..[\x0c\x10]))"
    rb"\0(?:\x0b.{5}\x01|\x11.{5}\x03|\x14.{5}\x04)"
)
# What a TIFF of 16 bits may say of its samples, and Pillow reads rightly; first what a missing tag means.
DEEP_KINDS = {
    Base.BitsPerSample: [(16,), (16, 16, 16), (16, 16, 16, 16)],
    Base.PhotometricInterpretation: [1, 2],  # black is zero, or RGB
    Base.PlanarConfiguration: [1],  # the colours of a pixel stand together
}
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


def read_other(picture: Image.Image) -> Image.Image:
    """Decode a picture that is no JPEG; where its samples have 16 bits, 65,535 is white.

    Raises:
        NotImplementedError: Samples of more than 8 bits are neither grey nor RGB(A) of 16, or the first
            picture of a TIFF is a reduced one, as of a RAW file (NEF, DNG, ARW).
    """
    tags = getattr(picture, "tag_v2", {})
    if tags.get(Base.NewSubfileType, 0) % 2:
        raise NotImplementedError("a RAW file")
    is_known = all(
        tags.get(tag, kinds[0]) in kinds for tag, kinds in DEEP_KINDS.items()
    )
    # Mode I has a sign, and what is transparent is told in 16 bits, too.
    is_odd = not is_known or picture.mode == "I" or "transparency" in picture.info
    # Pillow's name for samples of 16 bits, as they are stored, is RGB;16B or alike.
    if is_odd and re.search(r";\d\d", str(picture.tile)):
        raise NotImplementedError("neither grey nor RGB(A) of 16 bits")
    picture.load()
    if picture.mode.startswith("I;16"):  # Of colours Pillow has made bytes.
        samples = np.asarray(picture, np.uint16)
        return Image.fromarray(cv2.convertScaleAbs(samples, alpha=255 / 65_535))
    return picture


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
