"""Quality: what is measured of a picture when it is decoded, and which are doubtful."""

import cv2
import numpy as np
import pandas as pd

SIDE = 160
FACTS = np.dtype(
    [("width", "u4"), ("height", "u4"), ("brightness", "f4"), ("contrast", "f4")]
    + [("sharpness", "f4"), ("thumbnail", "u1", (16, 16, 3))]
)


def gather_facts(square: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Measure what tells whether a picture is of use, and which others it is like.

    Brightness and contrast are mean and standard deviation of the grey picture (0-255); sharpness
    is the standard deviation of its Laplacian, divided by the contrast.

    Args:
        square: uint8 (160, 160, 3), the picture as the loader squeezes it.
        size: its full width and height, in pixels.

    Returns:
        FACTS, one record.
    """
    grey = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    (brightness,), (contrast,) = cv2.meanStdDev(grey)
    _, (edges,) = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    thumbnail = cv2.resize(square, (16, 16), interpolation=cv2.INTER_AREA)
    sharpness = edges[0] / max(contrast[0], 1)
    return np.array((*size, brightness[0], contrast[0], sharpness, thumbnail), FACTS)


def list_doubtful(pictures: pd.DataFrame) -> pd.DataFrame:
    """List usable pictures that may be of little use.

    Args:
        pictures: columns file and those of FACTS.

    Returns:
        columns file, problem, action: rows for the checks, one a picture and kind of doubt.
    """
    sides = pictures[["width", "height"]]
    narrow, wide = sides.min(axis=1), sides.max(axis=1)
    kinds = {
        "tiny": narrow < 32,
        "sliver": wide > 4 * narrow,
        "one_colour": pictures.contrast < 4,
        "very_dark": pictures.brightness < 16,
        "very_bright": pictures.brightness > 240,
        "blurred": (pictures.sharpness < 0.15) & (pictures.contrast >= 4),
    }
    found = [pictures[["file"]][doubt].assign(problem=kind) for kind, doubt in kinds.items()]
    return pd.concat(found).assign(action="kept").sort_values("file", kind="stable")
