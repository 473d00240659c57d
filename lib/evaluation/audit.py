"""Labels to check, copies that hashes miss, outliers, and which pictures to label next."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

DOUBTFUL = 0.1  # A less probable label is doubtful.
NEAREST = 5
# Limits of being a copy, measured on planted ones (tests/README.md): closeness, and grey levels by
# which brightest and darkest colours may differ.
MAX_DISTANCE, MAX_LEVELS = 0.66, 25
MAX_GROUP = 100  # Of a larger group some pictures have no neighbours of other groups.


def rank_labels(y_prob, y_true) -> pd.DataFrame:
    """Rank pictures by self-confidence: how probable held-out answers call their own label.

    A label is doubtful if it has less than `DOUBTFUL`, and another class at least the mean
    self-confidence of its own pictures (the threshold of Northcutt, Jiang and Chuang 2021).

    Returns a row a picture: suggested (int, the most probable class), self_confidence, rank (from 1,
    all different) and is_doubtful.
    """
    own, suggested = y_prob[np.arange(len(y_true)), y_true], y_prob.argmax(axis=1)
    table = pd.DataFrame({"suggested": suggested, "self_confidence": own})
    table["rank"] = table.self_confidence.rank(method="first").astype(int)
    usual = table.self_confidence.groupby(y_true).mean().reindex(suggested).to_numpy()
    is_probable = (suggested != y_true) & (y_prob.max(axis=1) >= usual)
    return table.assign(is_doubtful=(own < DOUBTFUL) & is_probable)


def scale_features(features) -> np.ndarray:
    """Return features with roots for values and length 1: float32 (n, d).

    Roots keep a few strong features from deciding alone (Perronnin, Sánchez and Mensink 2010).
    """
    rows = np.array(features[:], np.float32)
    return normalize(np.sign(rows) * np.sqrt(np.abs(rows)))


def find_nearest(rows, groups, known, asked) -> tuple[np.ndarray, np.ndarray]:
    """Find the `NEAREST` pictures of other groups, the nearest first.

    Args:
        rows: float32 (n, d), from `scale_features`. groups: int (n,), what belongs together.
        known, asked: int (k,) and (m,), the pictures among which and for which to look.

    Returns positions, -1 for none, and Euclidean distances, infinite for none: (m, `NEAREST`) or less.
    """
    count = min(NEAREST + min(np.bincount(groups).max(), MAX_GROUP), len(known))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(rows[known])
    distances, places = search.kneighbors(rows[asked])
    distances[groups[known[places]] == groups[asked, np.newaxis]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
    distances = np.take_along_axis(distances, order, axis=1)
    places = np.take_along_axis(known[places], order, axis=1)
    return np.where(np.isinf(distances), -1, places), distances


def find_copies(
    rows, groups, thumbnails, max_distance: float = MAX_DISTANCE
) -> pd.DataFrame:
    """Find pairs that show the same, be it cropped, mirrored, turned or recoloured.

    Closeness, at most `max_distance`, is the distance of a pair divided by the geometric mean of those to
    either's fifth neighbour (Zelnik-Manor and Perona 2004), each at least 0.6 of the median of all. And in
    `thumbnails`, uint8 (n, 16, 16, 3), both are as bright and as dark: sorted, the largest and smallest
    of red, green and blue differ in few levels, which neither a turn nor another hue changes.

    Returns a, b (positions, a < b) and closeness, the closest first.
    """
    every = np.arange(len(rows))
    nearest, distances = find_nearest(rows, groups, every, every)
    far = distances[:, -1]
    known = np.isfinite(far)
    scales = far.clip(min=0.6 * pd.Series(far[known]).median())
    # Of whom fewer than five are known, nothing is known of the surroundings.
    first, column = np.nonzero(known[:, np.newaxis] & known[nearest])
    second = nearest[first, column]
    pairs = pd.DataFrame(np.sort([first, second], axis=0).T, columns=["a", "b"])
    pairs["closeness"] = distances[first, column] / np.sqrt(
        scales[first] * scales[second]
    )
    pairs = pairs[pairs.closeness <= max_distance].drop_duplicates(["a", "b"])
    ends = (_sort_levels(thumbnails[pairs[end].to_numpy()]) for end in ("a", "b"))
    pairs = pairs[np.abs(np.subtract(*ends)).mean(axis=1) <= MAX_LEVELS]
    return pairs.sort_values(["closeness", "a", "b"], ignore_index=True)


def _sort_levels(thumbnails):
    levels = np.stack([thumbnails.max(axis=3), thumbnails.min(axis=3)], axis=1)
    return np.sort(levels.reshape(-1, 2, 256)).reshape(-1, 512).astype(float)


def compare_with_classes(
    rows, y_true, suggested, groups
) -> tuple[np.ndarray, np.ndarray]:
    """Compare each picture with those of the class that is suggested, and of its own.

    Returns similar, int (n,), the nearest picture of the class `suggested`, -1 for none; and spread,
    float (n,), the mean distance to the nearest of its own class, NaN without any.
    """
    similar, spread = np.full(len(rows), -1), np.full(len(rows), np.nan)
    for number in np.unique(y_true):
        members, asked = (
            np.flatnonzero(y_true == number),
            np.flatnonzero(suggested == number),
        )
        if len(asked):
            similar[asked] = find_nearest(rows, groups, members, asked)[0][:, 0]
        _, apart = find_nearest(rows, groups, members, members)
        spread[members] = pd.DataFrame(apart).replace(np.inf, np.nan).mean(axis=1)
    return similar, spread


def find_outliers(spread, y_true) -> np.ndarray:
    """Tell which pictures are unlike all others of their class: bool (n,).

    Their spread (Angiulli and Pizzuti 2002), divided by the class's median, lies above the upper
    fence of all (Tukey 1977: 1.5 quartile ranges above the quartile).
    """
    ratio = pd.Series(spread) / pd.Series(spread).groupby(y_true).transform("median")
    low, high = ratio.quantile([0.25, 0.75])
    return (ratio > high + 1.5 * (high - low)).to_numpy()


def choose_next(y_prob, groups, count: int) -> np.ndarray:
    """Choose unlabelled pictures to label next: the smallest margins first, one of a group.

    The margin is the difference of the two highest probabilities (Scheffer, Decomain and Wrobel 2001).

    Returns int (count or fewer,), positions in the order of choice.
    """
    second, first = np.sort(y_prob, axis=1)[:, -2:].T
    order = np.argsort(first - second, kind="stable")
    return order[~pd.Series(groups[order]).duplicated()][:count]
