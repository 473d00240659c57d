"""Count how many altered copies of pictures are found, and which pairs are called copies.

PYTHONPATH=. python tests/alike.py PHOTOS                      altered copies of 200 pictures
PYTHONPATH=. python tests/alike.py PHOTOS --pairs pairs.csv    pairs file,other,same (yes or no)
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib.base.workspace import read_table
from lib.data import copies, pictures
from lib.data.listing import leave_others_out, walk
from lib.data.split import find_groups

SIDE, COUNT = 160, 200


def shrink(images: list[np.ndarray], side: int = 16) -> np.ndarray:
    """Reduce pictures to squares of one size."""
    small = []
    for picture in images:
        small.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(small)


def find_near_duplicates(images: list[np.ndarray], side: int = 96) -> pd.DataFrame:
    """Find near duplicates as 01 does, of pictures of any size."""
    thumbnails = shrink(images)
    return copies.find_near_duplicates(thumbnails, shrink(images, side))


def compress(picture: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def scale(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.4, fy=0.4)


def change_tone(picture: np.ndarray, contrast: float, brightness: float) -> np.ndarray:
    levels = (picture - 128.0) * contrast + 128 + brightness
    return np.clip(levels, 0, 255).astype(np.uint8)


def brighten(picture: np.ndarray) -> np.ndarray:
    return change_tone(picture, 1, 25)


def raise_contrast(picture: np.ndarray) -> np.ndarray:
    return change_tone(picture, 1.3, 0)


def crop(picture: np.ndarray, share: float) -> np.ndarray:
    high, wide = np.rint(share * np.array(picture.shape[:2]) / 2).astype(int)
    return picture[high:-high, wide:-wide]


def crop_little(picture: np.ndarray) -> np.ndarray:
    return crop(picture, 0.02)


def crop_more(picture: np.ndarray) -> np.ndarray:
    return crop(picture, 0.04)


def mirror(picture: np.ndarray) -> np.ndarray:
    return picture[:, ::-1]


def mirror_and_compress(picture: np.ndarray) -> np.ndarray:
    return compress(mirror(picture))


# How a picture comes back from the web, and the share of such copies that must be found.
ALTERATIONS = {
    "recompressed": (compress, 1),
    "scaled": (scale, 1),
    "brightened": (brighten, 0.97),
    "contrast": (raise_contrast, 0.97),
    "cropped by 2 %": (crop_little, 0.99),
    "cropped by 4 %": (crop_more, 0.93),
    "mirrored": (mirror, 1),
    "mirrored and recompressed": (mirror_and_compress, 1),
}
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
    files = list(leave_others_out(walk(options.folder)).file)
    if options.pairs:
        count_pairs(options.folder, files, read_table(options.pairs))
    else:
        rng = np.random.default_rng(0)
        count = min(COUNT, len(files))
        chosen = rng.choice(files, count, replace=False)
        count_copies(options.folder, sorted(chosen))


if __name__ == "__main__":
    main()
