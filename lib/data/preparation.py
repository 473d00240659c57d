"""Preparation: from a list of files to pictures that are used, each with its group; 01 shows the steps."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.base.workspace import Workspace
from lib.data import copies, pixels, split
from lib.data.findings import leave_out


def prepare(
    ws: Workspace,
    folder: Path,
    listed: pd.DataFrame,
    odd: pd.DataFrame,
    image_sizes: Iterable[int],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode pictures, and find copies, look-alikes and groups, as the steps 3, 5 and 6 of 01 do.

    Args:
        listed: columns file, label, part and group, of files in `folder`.
        odd: the findings so far.
        image_sizes: sides in pixels of the squares that are kept.

    Returns:
        The pictures that are used, with digest, facts and group; the findings, with those so far.
    """
    files = leave_out(listed, odd)
    decoded, damaged = pixels.decode_pictures(ws, folder, files, image_sizes)
    whole = leave_out(decoded, damaged)
    copied = copies.find_duplicates(whole)
    contents = whole.drop_duplicates("digest", ignore_index=True)
    thumbnails = pixels.open_thumbnails(ws, contents)
    detail = pixels.open_pixels(ws, contents, max(image_sizes))
    pairs = copies.find_near_duplicates(thumbnails, detail)
    bonds = contents.digest.to_numpy()[pairs[["a", "b"]]]
    alike = copies.describe_pairs(contents, bonds)
    grouped = whole.assign(group=split.find_groups(whole, bonds))
    leaks = split.find_leaks(grouped)
    findings = pd.concat([odd, damaged, copied, alike, leaks])
    return leave_out(grouped, leaks), findings
