"""Equal and alike pictures: knows which files show the same, by content, by hashes and by detail."""

from functools import partial
from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from lib.base.machine import count_cores
from lib.base.work import show_progress
from lib.data.findings import LEFT_OUT, find
from lib.data.hashes import MAX_BITS, find_candidates, find_neighbours
from lib.data.split import find_groups
from lib.data.store import Selection

# Of fine detail: altered photographs have 0.8 and more, two X-rays 0.5.
MIN_CORRELATION = 0.65
DETAIL_SIDE = 96  # pixels of the picture that is compared
COARSE = 1.5  # pixels: a blur that leaves what is not fine
MIN_SIDE = 32  # pixels below which no detail shows
MAX_MISSES = 32
BLOCK = 64  # candidates that are compared at once
# Frames of a film that are compared with all others.
SAMPLED = 4
MIN_FRAMES = 64  # that show the same as another, below which they aren't called a film
ORDER = ["distance", "a", "b", "mirrored"]
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

    The frames of a film have too many candidates. So films are found first, among neighbours only, and
    candidates are those that connect other pictures to them.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), see `find_candidates`.
        pixels: uint8 (n, size, size, 3), the same pictures, of which candidates are read. Below a
            size of 32 there is no detail, and all candidates are taken for pairs.
        max_bits: of 63, in which the hashes of candidates may differ.

    Returns:
        Columns a, b (positions, a < b), distance, mirrored, by distance.
    """
    films = _find_films(find_neighbours(thumbnails, max_bits), pixels)
    tree = Tree(pixels, MAX_MISSES)
    tree.plant(films)
    frames = np.unique(films[["a", "b"]])
    film = pd.Series(frames).map(tree.groups.__getitem__)
    # Some of each film are compared with the others, which may be its copy, mirrored.
    is_sample = film.groupby(film).cumcount() < SAMPLED
    tree.misses[frames[is_sample]] = 0
    pairs = tree.grow(find_candidates(thumbnails, max_bits, frames[~is_sample]))
    if tree.given_up:
        print(
            f"Note: {tree.given_up:,} pairs that look alike were not compared: either picture differs from "
            f"{MAX_MISSES} others that are more like it."
        )
    pairs = pd.concat([films, pairs])
    return pairs.sort_values(ORDER, ignore_index=True)


def _find_films(neighbours, pixels):
    """Return the pairs that connect the frames of films, some for each."""
    tree = Tree(pixels, MAX_MISSES // 8)
    pairs = tree.grow(neighbours)
    roots = pairs.a.map(tree.groups.__getitem__)
    sizes = pairs.groupby(roots).a.transform("size")
    return pairs[sizes >= MIN_FRAMES]


class Tree:
    """What connects pictures that show the same, and how often each differed from another."""

    def __init__(self, pixels: Selection | np.ndarray, max_misses: int):
        self.pixels = pixels
        self.max_misses = max_misses
        self.groups = DisjointSet(range(len(pixels)))
        self.misses = np.zeros(len(pixels), int)
        self.given_up = 0

    def plant(self, films: pd.DataFrame) -> None:
        """Connect the frames of films; none needs further comparisons for itself."""
        for a, b in zip(films.a, films.b):
            self.groups.merge(a, b)
        self.misses[films[["a", "b"]]] = self.max_misses

    def grow(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Compare candidates, in their order; return those that connect pictures."""
        edges = []
        starts = range(0, len(candidates), BLOCK)
        for start in show_progress(starts, "comparing look-alikes", unit="block"):
            block = candidates[start : start + BLOCK]
            block = block[self.is_worth_comparing(block)]
            for pair, is_same in zip(block.itertuples(), _compare(self.pixels, block)):
                if not is_same:
                    self.misses[[pair.a, pair.b]] += 1
                elif self.groups.merge(pair.a, pair.b):
                    edges.append(pair.Index)
        return candidates.loc[edges]

    def is_worth_comparing(self, pairs: pd.DataFrame) -> np.ndarray:
        """Tell which pairs aren't connected, nor differ both from too many others."""
        is_open = [not self.groups.connected(a, b) for a, b in zip(pairs.a, pairs.b)]
        misses = np.minimum(self.misses[pairs.a], self.misses[pairs.b])
        is_vain = misses >= self.max_misses
        self.given_up += np.sum(is_open & is_vain)
        return is_open & ~is_vain


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


def _compare(pixels, pairs):
    """Tell which pairs agree in detail: all where the pictures are too small for any."""
    if pairs.empty or pixels.shape[1] < MIN_SIDE:
        return np.ones(len(pairs), bool)
    with ThreadPool(count_cores()) as pool:
        return pool.map(partial(_agree, pixels), pairs.itertuples())


def _agree(pixels, pair):
    """Tell whether the fine detail of two pictures agrees, the second laid over the first or not."""
    first = _read_grey(pixels, pair.a)
    second = _read_grey(pixels, pair.b)
    if pair.mirrored:
        second = cv2.flip(second, 1)
    moved = _lay_over(first, second)
    fine = _find_detail(first)
    others = [_find_detail(second), _find_detail(moved)]
    if min(fine.std(), others[0].std()) < MIN_DETAIL:
        return True
    # What is moved may have no detail left.
    correlations = np.corrcoef([fine, *others])[0, 1:]
    return np.nanmax(correlations) >= MIN_CORRELATION


def _read_grey(pixels, position):
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
    margin = len(grey) // 16
    grey = grey.astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine[margin:-margin, margin:-margin].ravel()
