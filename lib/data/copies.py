"""Equal and alike pictures: knows which files show the same, by content, by hashes and by detail."""

from contextlib import suppress
from itertools import combinations, count
from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd
from scipy.fft import dctn

from lib.data.table import is_used, note
from lib.machine import count_cores
from lib.work import show_progress

# 97 % of photographs cut by 2 % on each side pass both, and X-rays of different people.
MAX_BITS, MAX_DISTANCE = 8, 0.08
FLAT = 2  # standard deviation, in grey levels, below which a picture has no pattern to compare
NOISE = 0.005  # share of the pattern below which a wave, say of a symmetrical picture, is chance
MIRROR = np.tile(
    np.float32([1, -1]), 32
)  # turns the waves that are odd from left to right
BLOCK, SCRAMBLE = (
    4096,
    0x9E3779B97F4A7C15,
)  # 2**64 over the golden ratio, for Fibonacci hashing
MIN_CORRELATION = (
    0.65  # of fine detail: altered photographs have 0.8 and more, two X-rays 0.5
)
DETAIL_SIDE, COARSE = (
    96,
    1.5,
)  # pixels: of the picture that is compared, and what is not fine in it
MIN_SIDE, MIN_DETAIL = (
    32,
    1,
)  # pixels, and grey levels (deviation), below which no detail shows
STEPS = (
    cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS,
    30,
    1e-4,
)  # of the search for an overlay


def note_copies(table: pd.DataFrame, rule: str) -> None:
    """Note in the table which used files have equal content: all are kept, by the rule "together".

    By "drop" the first of each is, one of the validation part first, or none of different classes.
    """
    used = table[is_used(table)].sort_values(["part", "file"], ascending=[False, True])
    conflict = used.groupby("digest").label.transform("nunique") > 1
    keep, action = (
        ("first", "left out") if rule == "drop" else (False, "kept, same part")
    )
    copies = conflict[conflict | used.duplicated("digest", keep=keep)]
    words = copies.map({True: "duplicate_other_class", False: "duplicate"})
    note(table, table.index.isin(words.index), words, action)


def note_near_duplicates(table: pd.DataFrame, near: pd.DataFrame) -> None:
    """Note in the table the files of near_duplicates.csv, and which look like another class."""
    label = table.set_index("file").label
    across = near[label[near.file].to_numpy() != label[near.other].to_numpy()]
    other_class = table.file.isin([*across.file, *across.other])
    words = other_class.map(
        {True: "near_duplicate_other_class", False: "near_duplicate"}
    )
    note(table, table.file.isin([*near.file, *near.other]), words, "kept")


def find_near_duplicates(thumbnails, pixels, max_bits: int = MAX_BITS) -> pd.DataFrame:
    """Find every pair of pictures that show the same: of `find_candidates` those whose detail agrees.

    Of `pixels`, uint8 (n, size, size, 3), the same pictures, candidates are read; below a size of 32
    there is no detail, and candidates are taken at their word.
    """
    pairs = find_candidates(thumbnails, max_bits)
    if pixels.shape[1] >= MIN_SIDE:
        places = zip(pairs.a, pairs.b, pairs.mirrored)
        with ThreadPool(count_cores()) as pool:
            scores = pool.imap(
                lambda place: _correlate_detail(pixels, *place), places, 64
            )
            bar = show_progress(
                scores, "comparing look-alikes", len(pairs), unit="pair"
            )
            pairs = pairs[np.fromiter(bar, float) >= MIN_CORRELATION]
    return pairs.drop_duplicates(
        ["a", "b"], ignore_index=True
    )  # symmetry pairs both ways


def _correlate_detail(pixels, a: int, b: int, mirrored: bool) -> float:
    """Return the correlation of what is fine in two pictures, the second laid over the first."""
    side = min(DETAIL_SIDE, pixels.shape[1])
    greys = (cv2.cvtColor(pixels[place], cv2.COLOR_RGB2GRAY) for place in (a, b))
    first, second = (
        cv2.resize(g, (side, side), interpolation=cv2.INTER_AREA) for g in greys
    )
    second = cv2.flip(second, 1) if mirrored else second
    start, laid_over = np.eye(2, 3, dtype=np.float32), second
    # A cut moves and stretches what is left (ECC: Evangelidis and Psarakis 2008).
    with suppress(cv2.error):  # where nothing fits
        warp = cv2.findTransformECC(
            first, second, start, cv2.MOTION_AFFINE, STEPS, None, 5
        )[1]
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        laid_over = cv2.warpAffine(
            second, warp, (side, side), None, how, cv2.BORDER_REPLICATE
        )
    fine, *others = map(_find_detail, (first, second, laid_over))
    if min(fine.std(), others[0].std()) < MIN_DETAIL:
        return 1
    return max(np.corrcoef(fine, other)[0, 1] for other in others)


def _find_detail(grey: np.ndarray) -> np.ndarray:
    margin, grey = len(grey) // 16, grey.astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine[margin:-margin, margin:-margin].ravel()


def find_candidates(thumbnails, max_bits: int = MAX_BITS) -> pd.DataFrame:
    """Find every pair of pictures that may show the same, one of them perhaps mirrored.

    Of thumbnails, uint8 (n, 16, 16, 3), read block by block, the hashes differ in `max_bits` of 63 at
    most. Returns columns a, b (positions, a < b), distance (1 - correlation), mirrored, by distance.
    """
    hashes, places = _hash_patterns(thumbnails)
    a, b, mirrored = pair_hashes(hashes, max_bits)
    a, b = places[a], places[b]
    distance = _measure_distances(thumbnails, a, b, mirrored)
    pairs = pd.DataFrame({"a": a, "b": b, "distance": distance, "mirrored": mirrored})
    return pairs[distance <= MAX_DISTANCE].sort_values(
        ["distance", "a", "b", "mirrored"]
    )


def _hash_patterns(thumbnails):
    # A bit is the sign of one of the lowest waves of the grey picture, its mean left out (after
    # Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1).
    hashes, patterned = (
        np.empty((2, len(thumbnails)), np.uint64),
        np.empty(len(thumbnails), bool),
    )
    for start in range(0, len(thumbnails), BLOCK):
        block = slice(start, start + BLOCK)
        grey = thumbnails[block] @ np.array([0.299, 0.587, 0.114], np.float32)
        waves = dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(-1, 64)
        waves[:, 0] = 0
        total = np.linalg.norm(waves, axis=1, keepdims=True)
        patterned[block] = (
            total[:, 0] / 16 >= FLAT
        )  # 16 is the root of the number of pixels
        bits = np.stack([waves, waves * MIRROR]) > NOISE * total
        hashes[:, block] = np.packbits(bits, axis=2).view(np.uint64)[:, :, 0]
    return hashes[:, patterned], np.flatnonzero(patterned)


def _measure_distances(thumbnails, a, b, mirrored):
    # Coarser, so that a cut tells less; standardised over all channels, so that a hue tells.
    places, (first, second) = np.unique([a, b], return_inverse=True)
    colours = (
        thumbnails[places]
        .reshape(-1, 8, 2, 8, 2, 3)
        .mean(axis=(2, 4), dtype=np.float32)
    )
    colours -= colours.mean(axis=(1, 2, 3), keepdims=True)
    colours /= np.linalg.norm(colours.reshape(-1, 192), axis=1)[:, None, None, None]
    distances = np.empty(len(a))
    for block in (slice(start, start + BLOCK) for start in range(0, len(a), BLOCK)):
        others, turned = colours[second[block]], mirrored[block]
        others[turned] = others[turned, :, ::-1]
        distances[block] = 1 - (colours[first[block]] * others).sum(axis=(1, 2, 3))
    return distances.round(4)


def pair_hashes(hashes, max_bits: int) -> tuple:
    """Pair hashes, uint64 (2, n), upright and mirrored, that differ in few bits.

    All bits are dealt to max_bits + k bands; k of them are equal in any pair that is wanted, so sorting by
    every choice of k bands brings it together. With this k few are so by chance.
    """
    n, both = hashes.shape[1], hashes.ravel()
    k = next(k for k in count(1) if 2 ** (64 * k / (max_bits + k)) >= n)
    bands = np.arange(max_bits + k)
    masks = np.packbits(np.arange(64) % len(bands) == bands[:, None], axis=1).view(
        np.uint64
    )[:, 0]
    matches = [np.empty((3, 0), int)]
    for chosen in combinations(bands, k):
        for a, b in _match(both, masks[list(chosen)].sum()):
            near = np.bitwise_count(both[a] ^ both[b]) <= max_bits
            a, b = a[near], b[near]
            # Where more bands before the last chosen one are equal, an earlier choice has the pair.
            equal = (both[a] ^ both[b])[:, np.newaxis] & masks[: chosen[-1]] == 0
            pairs = np.stack([a, b % n, b >= n])[:, equal.sum(axis=1) < k]
            # Nor a picture with itself, nor two that are both mirrored: there, a is n or more.
            matches.append(pairs[:, pairs[0] < pairs[1]])
    a, b, mirrored = np.concatenate(matches, axis=1)
    return a, b, mirrored == 1


def _match(hashes, mask):
    # Pairs positions of hashes that are equal under the mask (rarely others too): a key is the masked
    # hash, scrambled, with the position as its last bits, since sorting one array is quickest.
    bits = len(hashes).bit_length()
    keys = (hashes & mask) * SCRAMBLE >> bits << bits | np.arange(
        len(hashes), dtype=np.uint64
    )
    keys.sort()
    positions, keys = (keys & (1 << bits) - 1).view(int), keys >> bits
    rows, shift = np.flatnonzero(keys[1:] == keys[:-1]), 1
    while len(rows):
        yield positions[rows], positions[rows + shift]
        shift += 1
        rows = rows[rows + shift < len(keys)]
        rows = rows[keys[rows] == keys[rows + shift]]
