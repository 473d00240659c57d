"""Count how many altered copies of pictures are found, and which pairs are called copies.

PYTHONPATH=. python tests/alike.py PHOTOS                      altered copies of 200 pictures
PYTHONPATH=. python tests/alike.py PHOTOS --pairs pairs.csv    pairs file,other,same (yes or no)
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parent / "data"))
from test_copies import ALTERATIONS, compress, crop, find_near_duplicates

from lib.data import pictures
from lib.data.findings import leave_out
from lib.data.listing import walk
from lib.data.split import find_groups
from lib.workspace import read_table

SIDE, COUNT = 160, 200
MORE = {
    "cut by 2 % on the left": lambda picture: picture[:, picture.shape[1] // 50 :],
    "mirrored, cut by 2 % on each side, recompressed": lambda picture: compress(
        crop(picture[:, ::-1], 0.04)
    ),
}


def count_copies(folder: Path, files: list[str]) -> None:
    """Print for each alteration how many copies are found, and how many other pairs."""
    originals = [pictures.open_upright(folder / file, 600) for file in files]
    for name, alter in (
        {k: alter for k, (alter, _) in ALTERATIONS.items()} | MORE
    ).items():
        everything = [*originals, *map(alter, originals)]
        found = find_near_duplicates(
            [pictures.square(picture, SIDE) for picture in everything]
        )
        right = (found.b - found.a == len(files)).sum()
        print(
            f"{name}: {right} of {len(files)} found, {len(found) - right} other pairs"
        )


def count_pairs(folder: Path, files: list[str], pairs: pd.DataFrame) -> None:
    """Print how many of the pairs that are the same, or are not, are called copies."""
    found = find_near_duplicates([pictures.load(folder / file, SIDE) for file in files])
    contents = pd.DataFrame({"digest": files})
    pairs_found = [(files[a], files[b]) for a, b in zip(found.a, found.b)]
    group = dict(zip(files, find_groups(contents, pairs_found)))
    for same, rows in pairs.groupby("same"):
        count = (rows.file.map(group) == rows.other.map(group)).sum()
        print(f"same: {same}: {count} of {len(rows)} are called copies")
    sizes = np.bincount(list(group.values()))
    print(f"{len(found)} pairs of {len(files)} pictures, largest group {sizes.max()}")


def main(arguments: list[str] | None = None) -> None:
    """Count what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--pairs", type=Path, help="CSV file: file, other, same (yes or no)"
    )
    options = parser.parse_args(arguments)
    files = list(leave_out(*walk(options.folder)).file)
    if options.pairs:
        count_pairs(options.folder, files, read_table(options.pairs))
    else:
        rng = np.random.default_rng(0)
        count = min(COUNT, len(files))
        chosen = rng.choice(files, count, replace=False)
        count_copies(options.folder, sorted(chosen))


if __name__ == "__main__":
    main()
