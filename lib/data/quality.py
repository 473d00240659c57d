"""Quality: what is measured of a picture when it is decoded, and which are doubtful."""

import cv2
import numpy as np
import pandas as pd

SIDE = 160
FACTS = np.dtype(
    [("width", "u4"), ("height", "u4"), ("darkest", "u1"), ("brightest", "u1")]
    + [("contrast", "f4"), ("sharpness", "f4"), ("thumbnail", "u1", (16, 16, 3))]
)


def gather_facts(square: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Measure what tells whether a picture is of use, and which others it is like.

    Of the grey picture (0-255): its darkest and brightest level, 2 % at either end left out;
    contrast, the standard deviation; sharpness, that of the Laplacian divided by the contrast.

    Args:
        square: uint8 (160, 160, 3), the picture as the loader squeezes it.
        size: its full width and height, in pixels.
    """
    grey = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    levels = np.bincount(grey.ravel(), minlength=256).cumsum()
    darkest, brightest = np.searchsorted(levels, [0.02 * grey.size, 0.98 * grey.size])
    _, ((contrast,),) = cv2.meanStdDev(grey)
    _, ((edges,),) = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    thumbnail = cv2.resize(square, (16, 16), interpolation=cv2.INTER_AREA)
    facts = (*size, darkest, brightest, contrast, edges / max(contrast, 1), thumbnail)
    return np.array(facts, FACTS)


def find_doubts(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Tell which pictures may be of little use: for each word of doubt a bool (n,).

    Of the facts of pictures; those that nothing is known of, of width 0, are not doubtful.
    """
    sides = table[["width", "height"]]
    narrow, wide = sides.min(axis=1), sides.max(axis=1)
    kinds = {
        "tiny": narrow < 32,
        "sliver": wide > 4 * narrow,
        "one_colour": table.contrast < 4,
        "very_dark": table.brightest < 48,
        "very_bright": table.darkest > 208,
        # A smaller picture is enlarged before it is measured, which blurs any.
        "blurred": (table.sharpness < 0.15) & (table.contrast >= 4) & (narrow >= SIDE),
    }
    return {kind: doubt & (narrow > 0) for kind, doubt in kinds.items()}
