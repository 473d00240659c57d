"""The demo set: ten classes of creatures, drawn into class folders, and what is planted among them."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import ExifTags, Image

from lib.data.drawing import CLASS_NAMES, SKETCHES, draw_picture
from lib.workspace import Workspace, read_table

PLANTED = pd.DataFrame(SKETCHES["planted"], columns=["file", "fault", "truth"])
MIN_PER_CLASS = 40  # pictures, from which on there is room for faults
KEPT_OF_FEW = 24  # pictures of the class of few


def _draw_page(rng):
    page = np.zeros((40, 40))
    has_letter = rng.random((18, 34)) < 0.82
    page[2:38:2, 3:37] = has_letter
    picture = Image.fromarray((235 - 190 * page).astype(np.uint8))
    return picture.resize((240, 320), Image.Resampling.NEAREST).convert("RGB")


def _plant(path, first, row, rng):
    """Plant one fault into the drawn set; copies are of the first picture of the true class."""
    exif = Image.Exif()
    match row.fault:
        case "truncated":
            path.write_bytes(path.read_bytes()[:4000])
            return
        case "twins in two classes":
            path.write_bytes(first.read_bytes())
            return
        case "few pictures":
            for spare in sorted(path.iterdir())[KEPT_OF_FEW:]:
                spare.unlink()
            return
        case "nearly black":
            picture = Image.open(path).point(lambda level: level * 0.15)
        case "mirrored copy":
            picture = Image.open(first).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case "cropped copy":
            width, height = Image.open(first).size
            box = (width // 10, height // 10, width, height)
            picture = Image.open(first).crop(box)
        case "turned by Exif":
            picture = Image.open(path).transpose(Image.Transpose.ROTATE_90)
            exif[ExifTags.Base.Orientation] = 6  # a viewer has to turn it back
        case _:
            picture = draw_picture(row.truth, rng) if row.truth else _draw_page(rng)
    picture.save(path, quality=90, exif=exif)


def draw_dataset(
    folder: Path, per_class: int = 40, test_count: int = 20, seed: int = 0
) -> None:
    """Draw the demo set into a folder, whole or not at all, unless it is there.

    It holds train/<Class>/, test/, test_labels.csv (header file,label) and planted.csv (header
    file,fault,truth, without rows where there are fewer than 40 pictures a class); the labelled test
    pictures are of all classes alike, in random order. The same seed gives the same files.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f"{folder.name}.part"
    ) as place:
        part = Path(place, "whole")
        _draw_test(part, test_count, seed)
        _draw_train(part, per_class, seed)
        _plant_faults(part, per_class, seed)
        with contextlib.suppress(OSError):  # Another process was first.
            part.rename(folder)


def _draw_train(folder, per_class, seed):
    for k, name in enumerate(CLASS_NAMES):
        place = folder / "train" / name
        place.mkdir(parents=True)
        for i in range(per_class):
            rng = np.random.default_rng([seed, k, i])
            path = place / f"{name.lower()}_{i:03d}.jpg"
            draw_picture(name, rng).save(path, quality=90)


def _draw_test(folder, count, seed):
    order = np.random.default_rng([seed, 10]).permutation(count) % 10
    (folder / "test").mkdir(parents=True)
    labels = ["file,label\n"]
    for i, k in enumerate(order):
        file = f"{i:03d}.jpg"
        rng = np.random.default_rng([seed, k, i, 1])
        name = CLASS_NAMES[k]
        draw_picture(name, rng).save(folder / "test" / file, quality=90)
        labels.append(f"{file},{name}\n")
    (folder / "test_labels.csv").write_text("".join(labels), newline="\n")


def _plant_faults(folder, per_class, seed):
    planted = PLANTED if per_class >= MIN_PER_CLASS else PLANTED[:0]
    for row in planted.itertuples():
        part = "train" if "/" in row.file else "test"
        first = folder / f"train/{row.truth}/{row.truth.lower()}_000.jpg"
        rng = np.random.default_rng([seed, 11, row.Index])
        _plant(folder / part / row.file, first, row, rng)
    planted.to_csv(folder / "planted.csv", index=False, lineterminator="\n")


def list_planted(ws: Workspace) -> pd.DataFrame:
    """Read what is planted in the demo: file, fault, truth (the class drawn, "" for none)."""
    if not ws.is_demo:
        return PLANTED[:0]
    return read_table(ws.train.parent / "planted.csv")
