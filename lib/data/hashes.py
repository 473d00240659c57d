"""Hashes of small pictures: which of a million may show the same, within minutes."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.fft import dctn

# 97 % of photographs cut by 2 % on each side pass both, and X-rays of different people.
MAX_BITS = 8
MAX_DISTANCE = 0.08
# Standard deviation, in grey levels, below which a picture has no pattern to compare.
FLAT = 2
# Share of the pattern below which a wave, say of a symmetrical picture, is chance.
NOISE = 0.005
GREY = np.float32([0.299, 0.587, 0.114])  # shares of red, green and blue
MIRROR = np.tile(np.float32([1, -1]), 32)  # turns the waves that are odd sideways
BLOCK = 4096
SCRAMBLE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, for Fibonacci hashing


def find_candidates(
    thumbnails: np.ndarray, max_bits: int = MAX_BITS, frames: Sequence[int] = ()
) -> pd.DataFrame:
    """Find every pair of pictures that may show the same, one of them perhaps mirrored.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), read block by block.
        max_bits: of 63, in which their hashes may differ.
        frames: positions of pictures, say of a film, no two of which are a pair.

    Returns:
        Columns a, b (positions, a < b), distance (1 - correlation), mirrored, by distance.
    """
    hashes, positions = _hash_patterns(thumbnails)
    is_frame = np.isin(positions, frames)
    positions = positions[np.argsort(is_frame, kind="stable")]
    count = np.count_nonzero(~is_frame)
    pairs = pair_hashes(hashes[:, positions], max_bits, count)
    return _choose_alike(thumbnails, positions, pairs)


def find_neighbours(thumbnails: np.ndarray, max_bits: int = MAX_BITS) -> pd.DataFrame:
    """Find fewer than 8 n of the candidates: as a rule they connect pictures that are all alike.

    Hashes are sorted eight times, each time with another byte in front, so look-alikes become neighbours
    (Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms", 3).

    Args:
        thumbnails: uint8 (n, 16, 16, 3), read block by block.
        max_bits: of 63, in which their hashes may differ.

    Returns:
        Columns as of `find_candidates`; none is mirrored.
    """
    hashes, positions = _hash_patterns(thumbnails)
    upright = hashes[0, positions]
    found = []
    for front in range(0, 64, 8):
        rotated = upright << front | upright >> (64 - front)
        order = np.argsort(rotated, kind="stable")
        found.append(_choose_near(upright, order[:-1], order[1:], max_bits))
    a, b = np.concatenate(found, axis=1)
    pairs = pd.DataFrame({"a": a, "b": b, "mirrored": False})
    return _choose_alike(thumbnails, positions, pairs)


def _hash_patterns(thumbnails):
    """Return hashes, upright and mirrored, and the positions of pictures that have a pattern.

    A bit is the sign of one of the lowest waves of the grey picture, its mean left out (after
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1).
    """
    hashes = np.empty((2, len(thumbnails)), np.uint64)
    has_pattern = np.empty(len(thumbnails), bool)
    for start in range(0, len(thumbnails), BLOCK):
        block = slice(start, start + BLOCK)
        waves = dctn(thumbnails[block] @ GREY, axes=(1, 2), norm="ortho")
        waves = waves[:, :8, :8].reshape(-1, 64)
        waves[:, 0] = 0
        total = np.linalg.norm(waves, axis=1)
        deviation = total / 16  # the root of the number of pixels
        has_pattern[block] = deviation >= FLAT
        chance = NOISE * total[:, np.newaxis]
        hashes[0, block] = _pack_bits(waves > chance)
        hashes[1, block] = _pack_bits(waves * MIRROR > chance)
    return hashes, np.flatnonzero(has_pattern)


def _pack_bits(bits):
    """Make one number of each row of 64 bits."""
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def pair_hashes(hashes: np.ndarray, max_bits: int, count: int) -> pd.DataFrame:
    """Pair pictures whose hashes differ in few bits, without comparing each with each.

    This is banding (Manku, Jain and Das Sarma 2007, "Detecting Near-Duplicates for Web Crawling"). All
    bits are dealt to max_bits + k bands. A bit that differs spoils one band, so k bands are equal in
    any pair that is wanted. For every choice of k bands, only those are compared that are equal there.

    Args:
        hashes: uint64 (2, n), upright and mirrored.
        max_bits: in which the hashes of a pair may differ.
        count: a is one of so many pictures at the beginning; n for all pairs.

    Returns:
        Columns a, b (a < b), and mirrored, which b is.
    """
    n = hashes.shape[1]
    both = hashes.ravel()
    # With this k, k bands have as many bits as n, so few pairs are equal there by chance.
    n_bits = n.bit_length()
    k = 1 + max_bits * n_bits // (64 - n_bits)
    found = np.empty(0, int)
    for bands in combinations(range(max_bits + k), k):
        bits = [bit for bit in range(64) if bit % (max_bits + k) in bands]
        mask = np.uint64(sum(1 << bit for bit in bits))
        a, b = _match(both, mask, max_bits, count)
        found = np.union1d(found, a * len(both) + b)
    a, b = np.divmod(found, len(both))
    pairs = pd.DataFrame({"a": a, "b": b % n, "mirrored": b >= n})
    return pairs[pairs.a < pairs.b]


def _match(hashes, mask, max_bits, count):
    """Return the pairs of near hashes that are equal under a mask, int (2, m).

    Sorting one array is quickest, so a key is the masked hash, scrambled, with its position as the last
    bits. Hence equal ones follow one another by position: a is lower than b, and below `count`.
    """
    bits = len(hashes).bit_length()
    keys = (hashes & mask) * SCRAMBLE >> bits << bits
    keys += np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    positions = (keys & (1 << bits) - 1).view(int)
    keys >>= bits
    rows = np.flatnonzero(keys[1:] == keys[:-1])
    rows = rows[positions[rows] < count]
    found = [np.empty((2, 0), int)]
    shift = 1
    while len(rows):
        a = positions[rows]
        b = positions[rows + shift]
        found.append(_choose_near(hashes, a, b, max_bits))
        shift += 1
        rows = rows[rows + shift < len(keys)]
        rows = rows[keys[rows] == keys[rows + shift]]
    return np.concatenate(found, axis=1)


def _choose_near(hashes, a, b, max_bits):
    """Return those a and b whose hashes differ in few bits, int (2, m)."""
    differences = hashes[a] ^ hashes[b]
    is_near = np.bitwise_count(differences) <= max_bits
    return np.stack([a[is_near], b[is_near]])


def _choose_alike(thumbnails, positions, pairs):
    """Return the pairs whose colours agree, too, by distance; a and b become positions of pictures."""
    a, b = np.sort([positions[pairs.a], positions[pairs.b]], axis=0)
    distance = _measure_distances(thumbnails, a, b, pairs.mirrored.to_numpy())
    columns = {"a": a, "b": b, "distance": distance, "mirrored": pairs.mirrored.array}
    alike = pd.DataFrame(columns).drop_duplicates()
    alike = alike[alike.distance <= MAX_DISTANCE]
    return alike.sort_values(["distance", "a", "b", "mirrored"], ignore_index=True)


def _measure_distances(thumbnails, a, b, mirrored):
    """Return 1 - the correlation of the colours of each pair, b mirrored where it is said."""
    distances = np.empty(len(a))
    for start in range(0, len(a), BLOCK):
        block = slice(start, start + BLOCK)
        first = _standardise(thumbnails[a[block]])
        second = _standardise(thumbnails[b[block]])
        turned = mirrored[block]
        second[turned] = second[turned, :, ::-1]
        correlation = (first * second).sum(axis=(1, 2, 3))
        distances[block] = 1 - correlation
    return distances.round(4)


def _standardise(thumbnails):
    """Average 2 x 2 pixels, so that a cut tells less; scale all channels as one, so that a hue tells."""
    tiles = thumbnails.reshape(-1, 8, 2, 8, 2, 3)
    colours = tiles.mean(axis=(2, 4), dtype=np.float32)
    colours -= colours.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.linalg.norm(colours.reshape(-1, 192), axis=1)
    return colours / norms[:, None, None, None]
