"""Equal and alike pictures: knows which files show the same, by content, by hashes and by detail."""

from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd

from lib.data.hashes import MAX_BITS, find_candidates
from lib.data.store import Selection
from lib.data.table import is_used, note
from lib.machine import count_cores
from lib.work import show_progress

# Of fine detail: altered photographs have 0.8 and more, two X-rays 0.5.
MIN_CORRELATION = 0.65
DETAIL_SIDE = 96  # pixels of the picture that is compared
COARSE = 1.5  # pixels: a blur that leaves what is not fine
MIN_SIDE = 32  # pixels below which no detail shows
MIN_DETAIL = 1  # grey levels (deviation) below which there is none
# Of the search for an overlay.
STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)


def note_copies(table: pd.DataFrame, rule: str) -> None:
    """Note in the table which used files have equal content.

    Args:
        rule: "together" keeps them all; "drop" keeps the first of each, one of the validation part
            first, or none where they lie in different classes.
    """
    used = table[is_used(table)]
    used = used.sort_values(["part", "file"], ascending=[False, True])
    in_two_classes = used.groupby("digest").label.transform("nunique") > 1
    if rule == "drop":
        is_copy = used.duplicated("digest", keep="first")
        action = "left out"
    else:
        is_copy = used.duplicated("digest", keep=False)
        action = "kept, same part"
    copies = in_two_classes[in_two_classes | is_copy]
    words = copies.map({True: "duplicate_other_class", False: "duplicate"})
    note(table, table.index.isin(words.index), words, action)


def note_near_duplicates(table: pd.DataFrame, near: pd.DataFrame) -> None:
    """Note in the table the files of near_duplicates.csv, and which look like another class."""
    label = table.set_index("file").label
    is_across = label[near.file].to_numpy() != label[near.other].to_numpy()
    across = near[is_across]
    is_near = table.file.isin(near.file) | table.file.isin(near.other)
    is_other = table.file.isin(across.file) | table.file.isin(across.other)
    words = is_other.map({True: "near_duplicate_other_class", False: "near_duplicate"})
    note(table, is_near, words, "kept")


def find_near_duplicates(
    thumbnails: np.ndarray, pixels: Selection | np.ndarray, max_bits: int = MAX_BITS
) -> pd.DataFrame:
    """Find every pair of pictures that show the same: candidates whose detail agrees.

    Args:
        thumbnails: uint8 (n, 16, 16, 3), see `find_candidates`.
        pixels: uint8 (n, size, size, 3), the same pictures, of which candidates are read. Below a
            size of 32 there is no detail, and candidates are taken at their word.
        max_bits: of 63, in which the hashes of candidates may differ.

    Returns:
        Columns a, b (positions, a < b), distance, mirrored, by distance.
    """
    pairs = find_candidates(thumbnails, max_bits)
    if pixels.shape[1] >= MIN_SIDE:
        scores = _score_pairs(pixels, pairs)
        pairs = pairs[scores >= MIN_CORRELATION]
    # Symmetry pairs both ways.
    return pairs.drop_duplicates(["a", "b"], ignore_index=True)


def _score_pairs(pixels, pairs):
    def score(pair):
        first = _read_grey(pixels, pair.a)
        second = _read_grey(pixels, pair.b)
        if pair.mirrored:
            second = cv2.flip(second, 1)
        return _correlate_detail(first, second)

    scores = np.empty(len(pairs))
    with ThreadPool(count_cores()) as pool:
        found = pool.imap(score, pairs.itertuples(), 64)
        bar = show_progress(found, "comparing look-alikes", len(pairs), unit="pair")
        for number, correlation in enumerate(bar):
            scores[number] = correlation
    return scores


def _read_grey(pixels, position):
    side = min(DETAIL_SIDE, pixels.shape[1])
    grey = cv2.cvtColor(pixels[position], cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)


def _correlate_detail(first, second):
    """Return the correlation of fine detail of two pictures, the second laid over the first."""
    laid_over = _lay_over(first, second)
    fine = _find_detail(first)
    other = _find_detail(second)
    if min(fine.std(), other.std()) < MIN_DETAIL:
        return 1
    as_it_is = np.corrcoef(fine, other)[0, 1]
    moved = np.corrcoef(fine, _find_detail(laid_over))[0, 1]
    return max(as_it_is, moved)


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
