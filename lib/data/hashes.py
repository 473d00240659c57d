"""Perceptual hashes: pairs of pictures whose patterns and colours agree coarsely, among a million."""

from itertools import combinations, count

import numpy as np
import pandas as pd
from scipy.fft import dctn

# Of photographs cut by 2 % on each side 97 % pass both, and so do X-rays of different people.
MOST_BITS, MOST_DISTANCE = 8, 0.08
FLAT = 2  # standard deviation, in grey levels, below which a picture has no pattern to compare
NOISE = 0.005  # share of the pattern below which a wave, say of a symmetrical picture, is chance
MIRROR = np.tile(np.float32([1, -1]), 32)  # turns the waves that are odd from left to right
BLOCK = 4096
SCRAMBLE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, for Fibonacci hashing


def find_candidates(thumbnails, most_bits: int = MOST_BITS) -> pd.DataFrame:
    """Find every pair of pictures that may show the same, one of them perhaps mirrored.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), RGB, whole pictures squeezed; read block by block.
        most_bits: number of bits, of 63, in which the hashes of their patterns may differ.

    Returns columns a, b (positions, a < b), distance (1 - correlation), mirrored, by distance.
    """
    hashes, places = _hash_patterns(thumbnails)
    a, b, mirrored = _pair_hashes(hashes, most_bits)
    a, b = places[a], places[b]
    distance = _measure_distances(thumbnails, a, b, mirrored)
    pairs = pd.DataFrame({"a": a, "b": b, "distance": distance, "mirrored": mirrored})
    return pairs[distance <= MOST_DISTANCE].sort_values(["distance", "a", "b", "mirrored"])


def _hash_patterns(thumbnails):
    # A bit is the sign of one of the lowest waves of the grey picture, its mean left out (after
    # Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1).
    hashes, patterned = np.empty((2, len(thumbnails)), np.uint64), np.empty(len(thumbnails), bool)
    for start in range(0, len(thumbnails), BLOCK):
        block = slice(start, start + BLOCK)
        grey = thumbnails[block] @ np.array([0.299, 0.587, 0.114], np.float32)
        waves = dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(-1, 64)
        waves[:, 0] = 0
        total = np.linalg.norm(waves, axis=1, keepdims=True)
        patterned[block] = total[:, 0] / 16 >= FLAT  # 16 is the root of the number of pixels
        bits = np.stack([waves, waves * MIRROR]) > NOISE * total
        hashes[:, block] = np.packbits(bits, axis=2).view(np.uint64)[:, :, 0]
    return hashes[:, patterned], np.flatnonzero(patterned)


def _measure_distances(thumbnails, a, b, mirrored):
    # Coarser, so that a cut tells less; standardised over all channels, so that a hue tells.
    places, (first, second) = np.unique([a, b], return_inverse=True)
    colours = thumbnails[places].reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    colours -= colours.mean(axis=(1, 2, 3), keepdims=True)
    colours /= np.linalg.norm(colours.reshape(-1, 192), axis=1)[:, None, None, None]
    distances = np.empty(len(a))
    for start in range(0, len(a), BLOCK):
        block = slice(start, start + BLOCK)
        others, turned = colours[second[block]], mirrored[block]
        others[turned] = others[turned, :, ::-1]
        distances[block] = 1 - (colours[first[block]] * others).sum(axis=(1, 2, 3))
    return distances.round(4)


def _pair_hashes(hashes, most_bits):
    # All bits are dealt to most_bits + k bands; k of them are equal in any pair to be found, so
    # sorting by every choice of k bands brings it together. With this k few are so by chance.
    n, both = hashes.shape[1], hashes.ravel()
    k = next(k for k in count(1) if 2 ** (64 * k / (most_bits + k)) >= n)
    bands = np.arange(most_bits + k)
    masks = np.packbits(np.arange(64) % len(bands) == bands[:, None], axis=1).view(np.uint64)[:, 0]
    found = [np.empty((3, 0), int)]
    for chosen in combinations(bands, k):
        for a, b in _match(both, masks[list(chosen)].sum()):
            near = np.bitwise_count(both[a] ^ both[b]) <= most_bits
            a, b = a[near], b[near]
            # Where more bands before the last chosen one are equal, an earlier choice found the pair.
            equal = (both[a] ^ both[b])[:, np.newaxis] & masks[: chosen[-1]] == 0
            pairs = np.stack([a, b % n, b >= n])[:, equal.sum(axis=1) < k]
            # Nor a picture with itself, nor two that are both mirrored: there, a is n or more.
            found.append(pairs[:, pairs[0] < pairs[1]])
    a, b, mirrored = np.concatenate(found, axis=1)
    return a, b, mirrored == 1


def _match(hashes, mask):
    # Pairs positions of hashes that are equal under the mask (rarely others too). A key is the
    # masked hash, scrambled, with the position as its last bits: sorting one array is quickest.
    bits = len(hashes).bit_length()
    keys = (hashes & mask) * SCRAMBLE >> bits << bits | np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    positions, keys = (keys & (1 << bits) - 1).view(int), keys >> bits
    rows, shift = np.flatnonzero(keys[1:] == keys[:-1]), 1
    while len(rows):
        yield positions[rows], positions[rows + shift]
        shift += 1
        rows = rows[rows + shift < len(keys)]
        rows = rows[keys[rows] == keys[rows + shift]]
