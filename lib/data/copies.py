"""Equal and alike pictures: knows which files show the same, by content, by hashes and by detail."""

from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from lib.base.machine import count_cores
from lib.base.work import show_progress
from lib.data.findings import LEFT_OUT, find
from lib.data.hashes import MAX_BITS, find_candidates
from lib.data.split import find_groups
from lib.data.store import Selection

# Of fine detail: altered photographs have 0.8 and more, two X-rays 0.5.
MIN_CORRELATION = 0.65
DETAIL_SIDE = 96  # pixels of the picture that is compared
COARSE = 1.5  # pixels: a blur that leaves what is not fine
MIN_SIDE = 32  # pixels below which no detail shows
MAX_MISSES = 32
BLOCK = 64  # candidates that are compared at once
MIN_DETAIL = 1  # grey levels (deviation) below which there is none
# Of the search for an overlay.
STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)


def find_duplicates(pictures: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Return the findings of pictures with equal content.

    Args:
        pictures: Columns file, label, part and digest.
        rule: "together" keeps them all; "drop" keeps the first of each, one of the validation part
            first, or none where they lie in different classes.
    """
    ordered = pictures.sort_values(["part", "file"], ascending=[False, True])
    in_two_classes = ordered.groupby("digest").label.transform("nunique") > 1
    if rule == "drop":
        is_copy = ordered.duplicated("digest")
        action = LEFT_OUT
    else:
        is_copy = ordered.duplicated("digest", keep=False)
        action = "kept, same part"
    found = in_two_classes | is_copy
    words = np.where(in_two_classes, "duplicate_other_class", "duplicate")
    return find(ordered.file[found], words[found], action)


def find_near_duplicates(
    thumbnails: np.ndarray, pixels: Selection | np.ndarray, max_bits: int = MAX_BITS
) -> pd.DataFrame:
    """Find which pictures show the same: candidates whose detail agrees.

    The most alike are compared first. Two that other pairs connect already are not compared, so that of
    a film not every pair of frames is returned, but a tree (Kruskal 1956). Nor are two compared that both
    differ from 32 pictures: a note says how many. (Of 60 copies among 339 X-rays, each was the first to
    be compared.)

    Args:
        thumbnails: uint8 (n, 16, 16, 3), see `find_candidates`.
        pixels: uint8 (n, size, size, 3), the same pictures, of which candidates are read. Below a
            size of 32 there is no detail, and all candidates are taken for pairs.
        max_bits: of 63, in which the hashes of candidates may differ.

    Returns:
        Columns a, b (positions, a < b), distance, mirrored, by distance.
    """
    candidates = find_candidates(thumbnails, max_bits)
    group = DisjointSet(range(len(thumbnails)))
    misses = np.zeros(len(thumbnails), int)
    same = []
    given_up = 0
    for start in show_progress(
        range(0, len(candidates), BLOCK), "comparing look-alikes", unit="block"
    ):
        block = candidates[start : start + BLOCK]
        are_open = [not group.connected(a, b) for a, b in zip(block.a, block.b)]
        block = block[are_open]
        is_vain = np.minimum(misses[block.a], misses[block.b]) >= MAX_MISSES
        given_up += is_vain.sum()
        block = block[~is_vain]
        for pair, score in zip(block.itertuples(), _score_pairs(pixels, block)):
            if score < MIN_CORRELATION:
                misses[[pair.a, pair.b]] += 1
            elif group.merge(pair.a, pair.b):
                same.append(pair.Index)
    if given_up:
        print(
            f"Note: {given_up:,} pairs that look alike were not compared: either picture differs from "
            f"{MAX_MISSES} others that are more like it."
        )
    return candidates.loc[same].reset_index(drop=True)


def describe_pairs(pictures: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the findings of pictures that look alike, and which of them look like another class.

    Args:
        pictures: Columns file and label.
        pairs: Positions a and b of pictures, as of `find_near_duplicates`.
    """
    positions = pd.DataFrame({"digest": range(len(pictures))})
    groups = find_groups(positions, pairs[["a", "b"]].to_numpy())
    labels = pictures.label.groupby(groups)
    is_near = labels.transform("size") > 1
    in_two_classes = labels.transform("nunique") > 1
    words = np.where(in_two_classes, "near_duplicate_other_class", "near_duplicate")
    return find(pictures.file[is_near], words[is_near], "kept")


def _score_pairs(pixels, pairs):
    """Return the correlation of detail of each pair; 1 where the pictures are too small for detail."""

    def score(pair: tuple) -> float:
        first = _read_grey(pixels, pair.a)
        second = _read_grey(pixels, pair.b)
        if pair.mirrored:
            second = cv2.flip(second, 1)
        return _correlate_detail(first, second)

    if pairs.empty or pixels.shape[1] < MIN_SIDE:
        return np.ones(len(pairs))
    with ThreadPool(count_cores()) as pool:
        return pool.map(score, pairs.itertuples())


def _read_grey(pixels, position):
    side = min(DETAIL_SIDE, pixels.shape[1])
    grey = cv2.cvtColor(pixels[position], cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)


def _correlate_detail(first, second):
    """Return the correlation of fine detail of two pictures, the second laid over the first."""
    fine = _find_detail(first)
    other = _find_detail(second)
    if min(fine.std(), other.std()) < MIN_DETAIL:
        return 1
    moved = _find_detail(_lay_over(first, second))
    # What is moved may have no detail left.
    return np.nanmax(np.corrcoef([fine, other, moved])[0, 1:])


def _lay_over(first, second):
    """Move and stretch the second as a cut does it (ECC: Evangelidis and Psarakis 2008)."""
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(
            first, second, start, cv2.MOTION_AFFINE, STOP, None, 5
        )
    except cv2.error:  # Nothing fits.
        return second
    return cv2.warpAffine(
        second,
        warp,
        first.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _find_detail(grey):
    margin = len(grey) // 16
    grey = grey.astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine[margin:-margin, margin:-margin].ravel()
