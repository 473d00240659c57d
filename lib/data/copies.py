"""Equal and alike pictures: knows which files show the same, by content and by detail."""

from contextlib import suppress
from multiprocessing.pool import ThreadPool

import cv2
import numpy as np
import pandas as pd

from lib.data.hashes import MOST_BITS, find_candidates
from lib.data.table import find_used, note
from lib.machine import count_cores
from lib.work import show_progress

# What is fine tells copies from what looks alike: between altered photographs it correlates by 0.8 and
# more (99 % of 3,600), between X-rays of different people by 0.5 at most.
LEAST_CORRELATION = 0.65
DETAIL_SIDE, COARSE = 96, 1.5  # pixels: of the picture that is compared, and what is not fine in it
# Pixels, and grey levels (standard deviation), below which no detail shows.
LEAST_SIDE, LEAST_DETAIL = 32, 1
STEPS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)  # of the search for an overlay


def note_copies(table: pd.DataFrame, rule: str) -> None:
    """Note in the table which used files have equal content.

    With the rule "together" all are kept; with "drop" the first of each content is, one of the
    validation part first, or none where they are in different classes.
    """
    used = table[find_used(table)].sort_values(["part", "file"], ascending=[False, True])
    conflict = used.groupby("digest").label.transform("nunique") > 1
    keep, action = ("first", "left out") if rule == "drop" else (False, "kept, same part")
    found = conflict[conflict | used.duplicated("digest", keep=keep)]
    words = found.map({True: "duplicate_other_class", False: "duplicate"})
    note(table, table.index.isin(words.index), words, action)


def note_alike(table: pd.DataFrame, near: pd.DataFrame) -> None:
    """Note in the table the files of near_duplicates.csv, and which look like another class."""
    label = table.set_index("file").label
    across = near[label[near.file].to_numpy() != label[near.other].to_numpy()]
    other_class = table.file.isin([*across.file, *across.other])
    words = other_class.map({True: "near_duplicate_other_class", False: "near_duplicate"})
    note(table, table.file.isin([*near.file, *near.other]), words, "kept")


def find_alike(thumbnails, pixels, most_bits: int = MOST_BITS) -> pd.DataFrame:
    """Find every pair of pictures that show the same: of the candidates those whose detail agrees.

    Args:
        thumbnails, most_bits: as `find_candidates` takes them.
        pixels: uint8 (n, size, size, 3), the same pictures, of which candidates are read. Below a size
            of 32 there is no detail, and candidates are taken at their word.

    Returns a row a pair, as `find_candidates`.
    """
    pairs = find_candidates(thumbnails, most_bits)
    if len(pairs) and pixels.shape[1] >= LEAST_SIDE:
        places = zip(pairs.a, pairs.b, pairs.mirrored)
        with ThreadPool(count_cores()) as pool:
            found = pool.imap(lambda place: _correlate_detail(pixels, *place), places, chunksize=64)
            correlations = list(
                show_progress(found, "comparing look-alikes", len(pairs), unit="pair")
            )
        pairs = pairs[np.array(correlations) >= LEAST_CORRELATION]
    return pairs.drop_duplicates(["a", "b"], ignore_index=True)  # symmetry pairs both ways


def _correlate_detail(pixels, a: int, b: int, mirrored: bool) -> float:
    """Return the correlation of what is fine in two pictures, the second laid over the first."""
    side = min(DETAIL_SIDE, pixels.shape[1])
    greys = (cv2.cvtColor(pixels[place], cv2.COLOR_RGB2GRAY) for place in (a, b))
    first, second = (cv2.resize(g, (side, side), interpolation=cv2.INTER_AREA) for g in greys)
    second = cv2.flip(second, 1) if mirrored else second
    start, laid_over = np.eye(2, 3, dtype=np.float32), second
    # A cut moves and stretches what is left (ECC: Evangelidis and Psarakis 2008).
    with suppress(cv2.error):  # where nothing fits
        warp = cv2.findTransformECC(first, second, start, cv2.MOTION_AFFINE, STEPS, None, 5)[1]
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        laid_over = cv2.warpAffine(second, warp, (side, side), None, how, cv2.BORDER_REPLICATE)
    fine, *others = map(_find_detail, (first, second, laid_over))
    if min(fine.std(), others[0].std()) < LEAST_DETAIL:
        return 1
    return max(np.corrcoef(fine, other)[0, 1] for other in others)


def _find_detail(grey: np.ndarray) -> np.ndarray:
    margin, grey = len(grey) // 16, grey.astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine[margin:-margin, margin:-margin].ravel()
