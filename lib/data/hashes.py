"""Hashes of small pictures: which may show the same.

Time grows with the pictures, and where many are alike with the pairs that are.
"""

from collections.abc import Sequence
from itertools import combinations, islice

import numpy as np
import pandas as pd
from scipy.fft import dctn

from lib.base.work import show_progress

# 97 % of photographs cut by 2 % on each side pass both, and X-rays of different people.
MAX_BITS = 8  # of 63, in which hashes may differ
MAX_DISTANCE = 0.08
# Energy of the waves below which a picture has no pattern: its standard deviation is 2 grey levels.
FLAT = 2 * 16
# Share of the pattern below which a wave, say of a symmetrical picture, is chance.
NOISE = 0.005
GREY = np.float32([0.299, 0.587, 0.114])  # shares of red, green and blue
# Factors of the 64 waves of a picture, and of its mirror image: those that are odd sideways turn.
MIRROR = np.tile(np.float32([[[1, 1]], [[1, -1]]]), 32)
BLOCK = 4096
# All bits are dealt to bands, of which four are equal in any pair that is wanted: few of a million are so by chance.
EQUAL_BANDS = 4
N_BANDS = MAX_BITS + EQUAL_BANDS
BANDS = np.packbits(np.arange(64) % N_BANDS == np.arange(N_BANDS)[:, None], axis=1)
BANDS = BANDS.view(np.uint64)[:, 0]  # the bits of each
CHOICES = np.array(list(combinations(range(N_BANDS), EQUAL_BANDS)))
LONG = 60  # seconds after which a bar tells how long it takes
SCRAMBLE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, for Fibonacci hashing
ORDER = ["distance", "a", "b", "mirrored"]


def find_neighbours(thumbnails: np.ndarray) -> pd.DataFrame:
    """Find some of the pairs of `find_candidates`, few for each picture: see `pair_neighbours`."""
    hashes, positions = _hash_patterns(thumbnails)
    pairs = pair_neighbours(hashes[:, positions])
    return _keep_alike(thumbnails, positions, pairs)


def find_candidates(thumbnails: np.ndarray, frames: Sequence[int] = ()) -> pd.DataFrame:
    """Find the pairs of pictures that may show the same, one of them perhaps mirrored.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), read block by block.
        frames: positions of pictures, say of a film, no two of which are a pair.

    Returns:
        Columns a, b (positions; a < b, but a frame is b), mirrored, distance (1 - correlation), by
        distance.
    """
    hashes, positions = _hash_patterns(thumbnails)
    others = np.setdiff1d(positions, frames)
    positions = np.append(others, frames).astype(int)
    pairs = pair_hashes(hashes[:, positions], len(others))
    return _keep_alike(thumbnails, positions, pairs)


def _keep_alike(thumbnails, positions, pairs):
    """Return pairs of positions, by distance, but for those whose colours differ."""
    pairs = pairs.assign(a=positions[pairs.a], b=positions[pairs.b])
    pairs["distance"] = _measure_distances(thumbnails, pairs).round(4)
    alike = pairs[pairs.distance <= MAX_DISTANCE]
    return alike.sort_values(ORDER, ignore_index=True)


def _hash_patterns(thumbnails):
    """Return hashes, upright and mirrored, and the positions of pictures that have a pattern.

    A bit is the sign of one of the lowest waves of the grey picture, its mean left out (after
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1).
    """
    hashes = []
    totals = []
    for start in range(0, max(len(thumbnails), 1), BLOCK):
        block = thumbnails[start : start + BLOCK]
        waves = dctn(block @ GREY, axes=(1, 2), norm="ortho")
        low = waves[:, :8, :8].reshape(-1, 64)
        low[:, 0] = 0
        total = np.linalg.norm(low, axis=1, keepdims=True)
        bits = np.packbits(low * MIRROR > NOISE * total, axis=2)
        hashes.append(bits.view(np.uint64)[..., 0])
        totals.append(total)
    has_pattern = np.concatenate(totals) >= FLAT
    return np.concatenate(hashes, axis=1), np.flatnonzero(has_pattern)


def pair_hashes(hashes: np.ndarray, count: int) -> pd.DataFrame:
    """Pair pictures whose hashes differ in few bits, without comparing each with each.

    This is banding (Manku, Jain and Das Sarma 2007, "Detecting Near-Duplicates for Web Crawling"). All
    bits are dealt to 12 bands. A bit that differs spoils one band, so four bands are equal where eight bits
    differ. For every choice of four, only those are compared that are equal there, and a pair counts in the
    choice of the first four that are.

    Args:
        hashes: uint64 (2, n), upright and mirrored.
        count: of each pair, one is among so many at the beginning; n for all pairs.

    Returns:
        Columns a, b (a < b), and mirrored, which one of them is.
    """
    found = []
    for equal in show_progress(CHOICES, "finding look-alikes", delay=LONG):
        others = np.setdiff1d(range(equal[-1]), equal)
        for a, b, differing in _pair_near(hashes, equal, count):
            is_first = np.all(differing[:, np.newaxis] & BANDS[others], axis=1)
            found.append([a[is_first], b[is_first]])
    return _tabulate_pairs(found, hashes.shape[1])


def pair_neighbours(hashes: np.ndarray) -> pd.DataFrame:
    """Pair pictures as `pair_hashes`, but each with the next that is equal, in some choices of bands.

    That connects the frames of a film as a rule, however many they are.
    """
    n = hashes.shape[1]
    found = []
    for equal in CHOICES[::16]:
        for a, b, _ in islice(_pair_near(hashes, equal, n), 1):
            found.append([a, b])
    return _tabulate_pairs(found, n)


def _pair_near(hashes, equal, count):
    """Yield pairs that are equal in some bands and differ in few bits: a < b, a below count, and the bits.

    First come neighbours in the order of what is equal, then those with one between them, and so on. Behind all
    pictures are their mirror images. Plain numbers are sorted quickest: so a key is half of a value, scrambled,
    and below that its position.
    """
    both = hashes.ravel()
    values = both & BANDS[equal].sum()
    keys = values * SCRAMBLE >> 32 << 32 | np.arange(len(values), dtype=np.uint64)
    keys.sort()
    order = (keys & 0xFFFFFFFF).astype(int)
    keys >>= 32
    goes_on = np.append(keys[1:] == keys[:-1], False)  # with an equal one behind it
    rows = np.flatnonzero(goes_on & (order < count))
    shift = 1
    while len(rows):
        a = order[rows]
        b = order[rows + shift]
        differing = both[a] ^ both[b]
        is_near = np.bitwise_count(differing) <= MAX_BITS
        yield a[is_near], b[is_near], differing[is_near]
        rows = rows[goes_on[rows + shift]]
        shift += 1


def _tabulate_pairs(found, n):
    """Return the table of pairs of n pictures, each once."""
    a, b = np.concatenate([np.empty((2, 0), int), *found], axis=1)
    first, second = np.sort([a, b % n], axis=0)
    pairs = pd.DataFrame({"a": first, "b": second, "mirrored": b >= n})
    return pairs[first < second].drop_duplicates(ignore_index=True)


def _measure_distances(thumbnails, pairs):
    """Return 1 - the correlation of the colours of each pair, b mirrored where it is said.

    2 x 2 pixels are added up, so that a cut tells less; all channels are scaled as one, so that a hue tells.
    """
    distances = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        block = pairs[start : start + BLOCK]
        both = thumbnails[block[["a", "b"]].to_numpy().T]
        both[1, block.mirrored] = both[1, block.mirrored, :, ::-1]
        rows = both[:, :, ::2].astype(np.float32) + both[:, :, 1::2]
        tiles = rows[..., ::2, :] + rows[..., 1::2, :]
        colours = tiles.reshape(2, -1, 192)
        colours -= colours.mean(axis=2, keepdims=True)
        colours /= np.linalg.norm(colours, axis=2, keepdims=True)
        distances[block.index] = 1 - colours.prod(axis=0).sum(axis=1)
    return distances
