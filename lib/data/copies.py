"""Pictures that show the same, as hashes and detail tell."""

from functools import partial
from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from lib.base.machine import count_cores
from lib.base.work import show_progress
from lib.data.hashes import ORDER, find_candidates, find_neighbours
from lib.data.store import Selection

# Of fine detail: altered photographs have 0.8 and more, two X-rays 0.5.
MIN_CORRELATION = 0.65
DETAIL_SIDE = 96  # pixels of the picture that is compared
COARSE = 1.5  # pixels: a blur that leaves what is not fine
MIN_SIDE = 32  # pixels below which no detail shows
MAX_MISSES = 32
BLOCK = 64  # candidates that are compared at once
MIN_FRAMES = 64  # that neighbours connect, below which they aren't called a film
MIN_DETAIL = 1  # grey levels (deviation) below which there is none
# Of the search for an overlay.
STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)


def find_near_duplicates(
    thumbnails: np.ndarray, pixels: Selection | np.ndarray
) -> pd.DataFrame:
    """Find which pictures show the same: candidates whose detail agrees.

    The most alike are compared first. Two that other pairs connect already are not compared, so that of
    a film not every pair of frames is returned, but a tree (Kruskal 1956). Nor are two compared that both
    differ from 32 pictures. (Of 60 copies among 339 X-rays, each was the first to be compared.)

    The frames of a film have too many candidates. So films are found first, among neighbours only, and
    candidates are those that connect other pictures to them.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), see `find_candidates`.
        pixels: uint8 (n, size, size, 3), the same pictures, of which candidates are read. Below a
            size of 32 there is no detail, and all candidates are taken for pairs.

    Returns:
        The pairs as of `find_candidates`.
    """
    films = _find_films(thumbnails, pixels)
    frames = np.unique(films[["a", "b"]])
    candidates = find_candidates(thumbnails, frames)
    patience = np.full(len(pixels), MAX_MISSES)
    # No frame needs further comparisons for itself.
    patience[frames] = 0
    others, _ = _connect(pixels, candidates, films, patience)
    return pd.concat([films, others]).sort_values(ORDER, ignore_index=True)


def _find_films(thumbnails, pixels):
    """Return the pairs that connect the frames of films."""
    neighbours = find_neighbours(thumbnails)
    patience = np.full(len(pixels), MAX_MISSES // 8)
    pairs, groups = _connect(pixels, neighbours, neighbours[:0], patience)
    return pairs[pairs.a.map(groups.subset_size) > MIN_FRAMES]


def _connect(pixels, candidates, known, patience):
    """Compare candidates, in their order, where no pairs connect them already, known ones to begin with.

    Returns the pairs that connect two groups, and the groups. A pair of which both have differed from as many
    others as their patience, int (n,), allows is left out.
    """
    groups = DisjointSet(range(len(pixels)))
    for a, b in zip(known.a, known.b):
        groups.merge(a, b)
    left = patience.copy()
    edges = []
    starts = range(0, len(candidates), BLOCK)
    with ThreadPool(count_cores()) as pool:
        for start in show_progress(starts, "comparing look-alikes", unit="block"):
            block = candidates[start : start + BLOCK]
            most = left[block[["a", "b"]].to_numpy()].max(axis=1)
            pairs = [
                pair
                for pair in block[most > 0].itertuples()
                if not groups.connected(pair.a, pair.b)
            ]
            answers = pool.map(partial(_agree, pixels), pairs)
            for pair, is_same in zip(pairs, answers):
                if not is_same:
                    left[[pair.a, pair.b]] -= 1
                elif groups.merge(pair.a, pair.b):
                    edges.append(pair.Index)
    return candidates.loc[edges], groups


def _agree(pixels, pair):
    """Tell whether two pictures agree in their fine detail, if there is any."""
    if pixels.shape[1] < MIN_SIDE:
        return True
    first = _read_grey(pixels, pair.a)
    second = _read_grey(pixels, pair.b)
    if pair.mirrored:
        second = cv2.flip(second, 1)
    fine = _find_detail(first)
    if min(fine.std(), _find_detail(second).std()) < MIN_DETAIL:
        return True
    moved = _lay_over(first, second)
    correlations = np.corrcoef(fine, _find_detail(moved))
    return correlations[0, 1] >= MIN_CORRELATION


def _read_grey(pixels, position):
    """Return a picture, grey and as large as it is compared."""
    side = min(DETAIL_SIDE, pixels.shape[1])
    grey = cv2.cvtColor(pixels[position], cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)


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
    """Return what is lost by a blur, but for the margin, which an overlay may not reach."""
    margin = len(grey) // 16
    grey = grey.astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine[margin:-margin, margin:-margin].ravel()
