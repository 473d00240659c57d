"""Quality: what is measured of a picture when it is decoded, and which are doubtful."""

import cv2
import numpy as np
import pandas as pd

from lib.data.pictures import Decoded

SIDE = 160
FACTS = np.dtype(
    [
        ("width", "u4"),
        ("height", "u4"),
        ("frames", "u4"),
        ("darkest", "u1"),
        ("brightest", "u1"),
        ("contrast", "f4"),
        ("sharpness", "f4"),
        ("taken", "M8[s]"),
        ("dim", "?"),
        ("thumbnail", "u1", (16, 16, 3)),
    ]
)
# What pictures.csv tells: all but the thumbnail.
MEASURED = list(FACTS.names[:-1])
MIN_SIDE = 32  # pixels
MAX_ELONGATION = 4
MIN_CONTRAST = 4  # grey levels
MIN_BRIGHTEST = 48
MAX_DARKEST = 208
MIN_SHARPNESS = 0.15


def gather_facts(square: np.ndarray, decoded: Decoded) -> np.ndarray:
    """Measure whether a picture is of use, and what others are compared with.

    Of the grey picture (0-255): its darkest and brightest level, 2 % at either end left out;
    contrast, the standard deviation; sharpness, that of the Laplacian divided by the contrast.

    Args:
        square: uint8 (160, 160, 3), the picture as the loader squeezes it.
        decoded: the picture, and what its file tells.

    Returns:
        One row of dtype `FACTS`.
    """
    grey = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    darkest, brightest = np.quantile(grey, [0.02, 0.98], method="inverted_cdf")
    contrast = grey.std()
    edges = cv2.Laplacian(grey, cv2.CV_16S)
    sharpness = edges.std() / max(contrast, 1)
    thumbnail = cv2.resize(square, (16, 16), interpolation=cv2.INTER_AREA)
    facts = (
        decoded.width,
        decoded.height,
        decoded.frames,
        darkest,
        brightest,
        contrast,
        sharpness,
        decoded.taken,
        decoded.dim,
        thumbnail,
    )
    return np.array(facts, FACTS)


def find_doubts(table: pd.DataFrame) -> pd.DataFrame:
    """Tell which pictures may be of little use: for each word of doubt a column of bools.

    Args:
        table: the facts of pictures.
    """
    narrow = np.minimum(table.width, table.height)
    wide = np.maximum(table.width, table.height)
    is_plain = table.contrast < MIN_CONTRAST
    # A smaller picture is enlarged before it is measured, which blurs any.
    is_measurable = ~is_plain & (narrow >= SIDE)
    doubts = {
        "tiny": narrow < MIN_SIDE,
        "sliver": wide > MAX_ELONGATION * narrow,
        "one_colour": is_plain,
        "very_dark": table.brightest < MIN_BRIGHTEST,
        "very_bright": table.darkest > MAX_DARKEST,
        "blurred": is_measurable & (table.sharpness < MIN_SHARPNESS),
        "more_frames": table.frames > 1,
        "white_of_12_bits": table.dim,
    }
    return pd.DataFrame(doubts)


def describe_darkness(table: pd.DataFrame) -> str:
    """Return the note on pictures of 16 bits that may have 12, as those of cameras and microscopes; else "".

    Args:
        table: the facts of pictures.
    """
    count = table.dim.sum()
    if not count:
        return ""
    return (
        f"Note: {count:,} of {len(table):,} pictures have 16 bits, and no sample above 4,095: nearly black, since "
        "white is 65,535. If they are of 12 bits, magick mogrify -evaluate multiply 16 *.png mends copies of them."
    )
