"""Hashes of small pictures: which of a million may show the same, within minutes."""

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
MIRROR = np.tile(np.float32([1, -1]), 32)  # turns the waves that are odd sideways
BLOCK = 4096
SCRAMBLE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, for Fibonacci hashing


def find_candidates(thumbnails: np.ndarray, max_bits: int = MAX_BITS) -> pd.DataFrame:
    """Find every pair of pictures that may show the same, one of them perhaps mirrored.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), read block by block.
        max_bits: of 63, in which their hashes may differ.

    Returns:
        Columns a, b (positions, a < b), distance (1 - correlation), mirrored, by distance.
    """
    hashes, positions = _hash_patterns(thumbnails)
    a, b, mirrored = pair_hashes(hashes, max_bits)
    pairs = pd.DataFrame({"a": positions[a], "b": positions[b], "mirrored": mirrored})
    distance = _measure_distances(thumbnails, pairs)
    pairs.insert(2, "distance", distance)
    pairs = pairs[distance <= MAX_DISTANCE]
    return pairs.sort_values(["distance", "a", "b", "mirrored"], ignore_index=True)


def _hash_patterns(thumbnails):
    """Return hashes, upright and mirrored, and positions of the pictures that have a pattern.

    A bit is the sign of one of the lowest waves of the grey picture, its mean left out (after
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1).
    """
    hashes = np.empty((2, len(thumbnails)), np.uint64)
    has_pattern = np.empty(len(thumbnails), bool)
    for start in range(0, len(thumbnails), BLOCK):
        block = slice(start, start + BLOCK)
        grey = thumbnails[block] @ np.array([0.299, 0.587, 0.114], np.float32)
        waves = dctn(grey, axes=(1, 2), norm="ortho")
        waves = waves[:, :8, :8].reshape(-1, 64)
        waves[:, 0] = 0
        total = np.linalg.norm(waves, axis=1, keepdims=True)
        deviation = total[:, 0] / 16  # the root of the number of pixels
        has_pattern[block] = deviation >= FLAT
        bits = np.stack([waves, waves * MIRROR]) > NOISE * total
        packed = np.packbits(bits, axis=2)
        hashes[:, block] = packed.view(np.uint64)[:, :, 0]
    return hashes[:, has_pattern], np.flatnonzero(has_pattern)


def _measure_distances(thumbnails, pairs):
    # Coarser, so that a cut tells less; standardised over all channels, so that a hue tells.
    positions, ends = np.unique(pairs[["a", "b"]].to_numpy(), return_inverse=True)
    first, second = ends.reshape(-1, 2).T
    tiles = thumbnails[positions].reshape(-1, 8, 2, 8, 2, 3)
    colours = tiles.mean(axis=(2, 4), dtype=np.float32)
    colours -= colours.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.linalg.norm(colours.reshape(-1, 192), axis=1)
    colours /= norms[:, None, None, None]
    mirrored = pairs.mirrored.to_numpy()
    distances = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        others = colours[second[block]]
        turned = mirrored[block]
        others[turned] = others[turned, :, ::-1]
        products = colours[first[block]] * others
        distances[block] = 1 - products.sum(axis=(1, 2, 3))
    return distances.round(4)


def pair_hashes(
    hashes: np.ndarray, max_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair pictures whose hashes differ in few bits.

    All bits are dealt to max_bits + k bands; k of them are equal in any pair that is wanted, so sorting
    by every choice of k bands brings it together. With this k few are so by chance.

    Args:
        hashes: uint64 (2, n), upright and mirrored.

    Returns:
        Positions a and b, int (m,), a < b, and whether b is mirrored, bool (m,).
    """
    n = hashes.shape[1]
    both = hashes.ravel()
    k = 1
    while 2 ** (64 * k / (max_bits + k)) < n:
        k += 1
    bands = max_bits + k
    masks = _mask_bands(bands)
    matches = [np.empty((3, 0), int)]
    for chosen in combinations(range(bands), k):
        mask = masks[list(chosen)].sum()
        earlier = masks[: chosen[-1]]
        for a, b in _match(both, mask):
            differences = both[a] ^ both[b]
            is_near = np.bitwise_count(differences) <= max_bits
            a = a[is_near]
            b = b[is_near]
            # Where more bands before the last chosen one are equal, an earlier choice has the pair.
            is_equal = differences[is_near, np.newaxis] & earlier == 0
            is_new = is_equal.sum(axis=1) < k
            pairs = np.stack([a, b % n, b >= n])[:, is_new]
            # Nor a picture with itself, nor two that are both mirrored: there, a is n or more.
            matches.append(pairs[:, pairs[0] < pairs[1]])
    a, b, mirrored = np.concatenate(matches, axis=1)
    return a, b, mirrored == 1


def _mask_bands(bands):
    """Deal 64 bits to bands in turn; return a mask for each, uint64 (bands,)."""
    band = np.arange(64) % bands
    is_of_band = np.equal.outer(np.arange(bands), band)
    return np.packbits(is_of_band, axis=1).view(np.uint64)[:, 0]


def _match(hashes, mask):
    """Yield pairs of positions of hashes that are equal under the mask (rarely others too).

    A key is the masked hash, scrambled, with the position as its last bits, since sorting one array is
    quickest.
    """
    bits = len(hashes).bit_length()
    scrambled = (hashes & mask) * SCRAMBLE >> bits << bits
    keys = scrambled | np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    positions = (keys & (1 << bits) - 1).view(int)
    keys >>= bits
    rows = np.flatnonzero(keys[1:] == keys[:-1])
    shift = 1
    while len(rows):
        yield positions[rows], positions[rows + shift]
        shift += 1
        rows = rows[rows + shift < len(keys)]
        rows = rows[keys[rows] == keys[rows + shift]]
