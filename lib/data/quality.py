"""Quality: what is measured of a picture when it is decoded."""

import cv2
import numpy as np

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
    ]
)
# What pictures.csv tells.
MEASURED = list(FACTS.names)


def gather_facts(square: np.ndarray, decoded: Decoded) -> np.ndarray:
    """Measure whether a picture is of use.

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
    )
    return np.array(facts, FACTS)
