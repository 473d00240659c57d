"""Copies that hashes miss, and the nearest pictures of other groups."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

NEIGHBOURS = 5
# Grey levels by which the brightest and darkest colours of copies may differ, measured on
# planted ones (tests/README.md).
MAX_LEVELS = 25
MAX_GROUP = 100  # Of a larger group some pictures have no neighbours of other groups.


def scale_features(features: np.ndarray) -> np.ndarray:
    """Return features with roots for values and length 1: float32 (n, d).

    Roots keep a few strong features from deciding alone (Perronnin, Sánchez and Mensink 2010).
    """
    rows = np.array(features[:], np.float32)
    strengths = np.abs(rows)
    roots = np.sign(rows) * np.sqrt(strengths)
    return normalize(roots)


def find_nearest(
    rows: np.ndarray, groups: np.ndarray, known: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `NEIGHBOURS` nearest pictures of other groups, the nearest first.

    Args:
        rows: float32 (n, d), from `scale_features`.
        groups: int (n,), pictures that belong together.
        known: int (k,), the pictures among which to look.
        asked: int (m,), the pictures for which to look.

    Returns:
        Positions, -1 for none, and Euclidean distances, NaN for none, both of shape
        (m, `NEIGHBOURS`), with fewer columns where fewer pictures are known.
    """
    sizes = np.bincount(groups)
    largest = min(sizes.max(), MAX_GROUP)
    count = min(NEIGHBOURS + largest, len(known))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(rows[known])
    distances, columns = search.kneighbors(rows[asked])
    found = known[columns]
    is_same_group = groups[found] == groups[asked, np.newaxis]
    found[is_same_group] = -1
    distances[is_same_group] = np.nan
    order = distances.argsort(axis=1, kind="stable")
    nearest = order[:, :NEIGHBOURS]
    found = np.take_along_axis(found, nearest, 1)
    distances = np.take_along_axis(distances, nearest, 1)
    return found, distances


def find_copies(
    rows: np.ndarray,
    groups: np.ndarray,
    thumbnails: np.ndarray,
    max_closeness: float,
) -> pd.DataFrame:
    """Find pairs that show the same, also cropped, mirrored, turned or recoloured.

    The closeness of a pair is its distance divided by the geometric mean of the distances to
    either's fifth neighbour (Zelnik-Manor and Perona 2004), each at least 0.6 of the median of
    all. And both thumbnails are as bright and as dark: sorted, the largest and smallest of red,
    green and blue differ in few levels, which neither a turn nor another hue changes.

    Args:
        rows: float32 (n, d), from `scale_features`.
        groups: int (n,), pictures that are known to belong together.
        thumbnails: uint8 (n, 16, 16, 3).
        max_closeness: that of a pair.

    Returns:
        a and b (positions, a < b) and closeness of each pair, the closest first.
    """
    pairs = _list_close_pairs(rows, groups)
    pairs = pairs[pairs.closeness <= max_closeness]
    pairs = pairs.drop_duplicates(["a", "b"])
    levels = _sort_levels(thumbnails[pairs.a])
    other_levels = _sort_levels(thumbnails[pairs.b])
    differences = np.abs(levels - other_levels)
    gaps = differences.mean(axis=(0, 2))
    pairs = pairs[gaps <= MAX_LEVELS]
    return pairs.sort_values(["closeness", "a", "b"], ignore_index=True)


def _list_close_pairs(rows, groups):
    """List each picture's nearest ones, with the closeness of the pairs."""
    every = np.arange(len(rows))
    nearest, distances = find_nearest(rows, groups, every, every)
    # Nothing is known of the surroundings of a picture with fewer neighbours.
    farthest = distances[:, -1]
    lowest = 0.6 * pd.Series(farthest).median()
    scales = np.maximum(farthest, lowest)
    first = every.repeat(nearest.shape[1])
    second = nearest.ravel()
    products = scales[first] * scales[second]
    closeness = distances.ravel() / np.sqrt(products)
    pairs = np.sort([first, second], axis=0)
    return pd.DataFrame({"a": pairs[0], "b": pairs[1], "closeness": closeness})


def _sort_levels(thumbnails):
    """Return the largest and the smallest colour of each place, both sorted."""
    levels = [thumbnails.max(axis=3), thumbnails.min(axis=3)]
    by_thumbnail = np.reshape(levels, (2, -1, 256))
    return np.sort(by_thumbnail, axis=2).astype(float)
