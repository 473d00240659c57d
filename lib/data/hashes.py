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
GREY = np.float32([0.299, 0.587, 0.114])  # shares of red, green and blue
MIRROR = np.tile(np.float32([1, -1]), 32)  # turns the waves that are odd sideways
BLOCK = 4096
# Comparisons of hashes, for one choice of bands, where most pictures look alike: a film of 10,000 frames
# has fifty million pairs.
MAX_COMPARISONS = 1 << 17
SCRAMBLE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, for Fibonacci hashing


def find_candidates(thumbnails: np.ndarray, max_bits: int = MAX_BITS) -> pd.DataFrame:
    """Find the pairs of pictures that may show the same, one of them perhaps mirrored.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), read block by block.
        max_bits: of 63, in which their hashes may differ.

    Returns:
        Columns a, b (positions, a < b), distance (1 - correlation), mirrored, by distance.
    """
    hashes, positions = _hash_patterns(thumbnails)
    pairs = pair_hashes(hashes[:, positions], max_bits)
    alike = pairs.assign(a=positions[pairs.a], b=positions[pairs.b])
    distances = np.empty(len(alike))
    for start in range(0, len(alike), BLOCK):
        block = slice(start, start + BLOCK)
        distances[block] = _measure_distances(thumbnails, alike[block])
    alike.insert(2, "distance", distances.round(4))
    alike = alike[alike.distance <= MAX_DISTANCE]
    return alike.sort_values(["distance", "a", "b", "mirrored"], ignore_index=True)


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
        hashes[0, block] = _pack(waves > chance)
        hashes[1, block] = _pack(waves * MIRROR > chance)
    return hashes, np.flatnonzero(has_pattern)


def _pack(bits):
    """Make one number of each row of 64 bits."""
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def pair_hashes(hashes: np.ndarray, max_bits: int) -> pd.DataFrame:
    """Pair pictures whose hashes differ in few bits, without comparing each with each.

    This is banding (Manku, Jain and Das Sarma 2007, "Detecting Near-Duplicates for Web Crawling"). All
    bits are dealt to max_bits + k bands. A bit that differs spoils one band, so k bands are equal in
    any pair that is wanted. For every choice of k bands, only those are compared that are equal there.
    Where many are, as of a film, each is compared with the next ones in the order of hashes.

    Args:
        hashes: uint64 (2, n), upright and mirrored.
        max_bits: in which the hashes of a pair may differ.

    Returns:
        Columns a, b (a < b), and mirrored, which b is.
    """
    n = hashes.shape[1]
    order = hashes.argsort(axis=None)
    ordered = hashes.ravel()[order]
    # With this k, k bands have as many bits as n, so few pairs are equal there by chance.
    n_bits = n.bit_length()
    k = 1 + max_bits * n_bits // (64 - n_bits)
    reach = 8 + MAX_COMPARISONS // (n + 1)
    found = np.empty(0, int)
    for bands in combinations(range(max_bits + k), k):
        bits = [bit for bit in range(64) if bit % (max_bits + k) in bands]
        mask = np.uint64(sum(1 << bit for bit in bits))
        rows = _match(ordered, mask, max_bits, reach)
        a, b = np.sort(order[rows], axis=0)
        is_new = a < b % n
        found = np.union1d(found, 2 * n * a[is_new] + b[is_new])
    a, b = np.divmod(found, 2 * n)
    return pd.DataFrame({"a": a, "b": b % n, "mirrored": b >= n})


def _match(hashes, mask, max_bits, reach):
    """Return rows of near hashes that are equal under a mask, int (2, m).

    Sorting one array is quickest, so a key is the masked hash, scrambled, with its row as the last bits.
    """
    bits = len(hashes).bit_length()
    keys = (hashes & mask) * SCRAMBLE >> bits << bits
    keys += np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    rows = (keys & (1 << bits) - 1).view(int)
    keys >>= bits
    found = []
    starts = np.arange(len(keys))
    for shift in range(1, reach + 1):
        starts = starts[starts + shift < len(keys)]
        starts = starts[keys[starts] == keys[starts + shift]]
        pairs = np.stack([rows[starts], rows[starts + shift]])
        differences = np.bitwise_xor(*hashes[pairs])
        found.append(pairs[:, np.bitwise_count(differences) <= max_bits])
    return np.concatenate(found, axis=1)


def _measure_distances(thumbnails, pairs):
    """Return 1 - the correlation of the colours of each pair, b mirrored where it is said."""
    first = _standardise(thumbnails[pairs.a])
    second = _standardise(thumbnails[pairs.b])
    second[pairs.mirrored] = second[pairs.mirrored, :, ::-1]
    correlation = (first * second).sum(axis=(1, 2, 3))
    return 1 - correlation


def _standardise(thumbnails):
    """Average 2 x 2 pixels, so that a cut tells less; scale all channels as one, so that a hue tells."""
    tiles = thumbnails.reshape(-1, 8, 2, 8, 2, 3)
    colours = tiles.mean(axis=(2, 4), dtype=np.float32)
    colours -= colours.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.linalg.norm(colours.reshape(-1, 192), axis=1)
    return colours / norms[:, None, None, None]
