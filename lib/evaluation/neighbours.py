"""Neighbours in feature space: copies that hashes miss, and pictures unlike their class."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

NEAREST = 5
# Limits of being a copy, measured on planted ones (tests/README.md): closeness, and grey levels by
# which brightest and darkest colours may differ.
MOST_DISTANCE, MOST_LEVELS = 0.66, 25
BLOCK_BYTES = 1 << 26  # of similarities at a time


@dataclass(frozen=True)
class Neighbours:
    """The pictures nearest to each, of other groups; Euclidean distances, infinite for none."""

    nearest: np.ndarray  # int (n, NEAREST), of all pictures, the nearest first
    distances: np.ndarray  # float32 (n, NEAREST), to these
    similar: np.ndarray  # int (n,), the nearest of the class that was suggested; -1 for none
    spread: np.ndarray  # float32 (n,), mean distance to the `NEAREST` nearest of its own class


def scale_features(features) -> np.ndarray:
    """Return features with roots for values and length 1: float32 (n, d).

    Roots keep a few strong features from deciding alone (Perronnin, Sánchez and Mensink 2010).
    """
    rows = np.array(features[:], np.float32)
    rows = np.sign(rows) * np.sqrt(np.abs(rows))
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def find_neighbours(rows, y_true, suggested, groups) -> Neighbours:
    """Compare every picture with every other, exactly, block by block.

    `y_true` and `suggested`, int (n,), are each picture's class, and that to look for `similar` in.
    """
    n, count = len(rows), min(NEAREST, len(rows) - 1)
    nearest, distances = np.zeros((n, NEAREST), int), np.full((n, NEAREST), np.inf, np.float32)
    similar, spread = np.empty(n, int), np.empty(n, np.float32)
    step = max(1, BLOCK_BYTES // (4 * n))
    for start in range(0, n, step):
        block = slice(start, start + step)
        alike = rows[block] @ rows.T
        alike[groups[block, np.newaxis] == groups] = -np.inf
        nearest[block, :count], distances[block, :count] = _take_nearest(alike, count)
        of_class = np.where(y_true[block, np.newaxis] == y_true, alike, -np.inf)
        _, apart = _take_nearest(of_class, count)
        spread[block] = np.ma.masked_invalid(apart).mean(axis=1).filled(np.inf)
        of_suggested = np.where(suggested[block, np.newaxis] == y_true, alike, -np.inf)
        found = of_suggested.max(axis=1) > -np.inf
        similar[block] = np.where(found, of_suggested.argmax(axis=1), -1)
    return Neighbours(nearest, distances, similar, spread)


def _take_nearest(alike, count):
    places = np.argpartition(-alike, np.arange(count), axis=1)[:, :count]
    found = np.take_along_axis(alike, places, axis=1)
    return places, np.sqrt(np.maximum(2 - 2 * found, 0))


def find_copies(neighbours: Neighbours, thumbnails, most: float = MOST_DISTANCE) -> pd.DataFrame:
    """Find pairs that show the same, be it cropped, mirrored, turned or recoloured.

    Closeness, at most `most`, is the distance of a pair divided by the geometric mean of those to
    either's fifth neighbour (as in the self-tuning kernel of Zelnik-Manor and Perona 2004); where the
    fifth is a copy too, it counts as 0.6 of the median of all away. And in `thumbnails`, uint8
    (n, 16, 16, 3), both are as bright and as dark: sorted, the largest and smallest of red, green and
    blue differ in few levels on average, which neither a turn nor another hue changes.

    Returns a, b (positions, a < b) and closeness, the closest first.
    """
    far = neighbours.distances[:, -1]
    known = np.isfinite(far)
    usual = np.median(far[known]) if known.any() else 0
    scales = far.clip(min=max(0.6 * usual, 1e-6))
    # Of whom fewer than five are known, nothing is known of the surroundings.
    both = known[:, np.newaxis] & known[neighbours.nearest]
    first, column = np.nonzero(np.isfinite(neighbours.distances) & both)
    second = neighbours.nearest[first, column]
    ratio = neighbours.distances[first, column] / np.sqrt(scales[first] * scales[second])
    pairs = pd.DataFrame(np.sort([first, second], axis=0).T, columns=["a", "b"])
    pairs["closeness"] = ratio.astype(float)
    pairs = pairs[pairs.closeness <= most].drop_duplicates(["a", "b"])
    levels = [_sort_levels(thumbnails[pairs[end].to_numpy()]) for end in ("a", "b")]
    pairs = pairs[np.abs(levels[0] - levels[1]).mean(axis=1) <= MOST_LEVELS]
    return pairs.sort_values(["closeness", "a", "b"], ignore_index=True)


def _sort_levels(thumbnails):
    ends = (thumbnails.max(axis=3, initial=0), thumbnails.min(axis=3, initial=255))
    return np.hstack([np.sort(end.reshape(len(end), 256), axis=1) for end in ends]).astype(float)


def find_outliers(spread, y_true) -> np.ndarray:
    """Tell which pictures are unlike all others of their class: bool (n,).

    The mean distance to the nearest of the class (Angiulli and Pizzuti 2002), divided by the class's
    median, lies above the upper fence of all (Tukey 1977: 1.5 quartile ranges above the quartile).
    """
    finite = pd.Series(spread).replace(np.inf, np.nan)
    ratio = finite / finite.groupby(y_true).transform("median").clip(lower=1e-12)
    low, high = ratio.quantile([0.25, 0.75])
    return (ratio > high + 1.5 * (high - low)).to_numpy()
