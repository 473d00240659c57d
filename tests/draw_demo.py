"""Draw the demo set, plant its faults, and pack it as lib/data/demo.zip.

PYTHONPATH=. python tests/draw_demo.py lib/data/demo.zip    # half a minute; the same bytes each time

What is planted where stands in demo.toml. JPEGs of another version of Pillow may differ in some bytes.
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from drawing import CLASS_NAMES, SKETCHES, draw_picture
from PIL import ExifTags, Image

PLANTED = pd.DataFrame(SKETCHES["planted"], columns=["file", "fault", "truth"])
SEED = 0
MAX_SIDE = 256  # pixels
# Of JPEGs: all together take less than 7 MB. The split goes by content, and with this one all wrong
# labels are to learn from, so that they don't judge the models.
QUALITY = 77
KEPT_OF_FEW = 24  # pictures of the class of few
# Of scenes: shares of none to three kinds, and how often a kind comes with its friend.
COUNT_SHARES = (0.1, 0.3, 0.35, 0.25)
FRIEND_SHARE = 0.5


def save(
    picture: Image.Image, file: Path | io.BytesIO, exif: Image.Exif | bytes = b""
) -> None:
    """Save a picture as a JPEG, reduced where it is larger than the demo's may be."""
    reduced = picture.copy()
    reduced.thumbnail((MAX_SIDE, MAX_SIDE))
    reduced.save(file, "JPEG", quality=QUALITY, optimize=True, exif=exif)


def draw_train(folder: Path, per_class: int = 40) -> None:
    """Draw pictures into train/<Class>/ of a folder, before anything is planted among them."""
    for k, name in enumerate(CLASS_NAMES):
        place = folder / "train" / name
        place.mkdir(parents=True)
        for i in range(per_class):
            rng = np.random.default_rng([SEED, k, i])
            save(draw_picture(name, rng), place / f"{name.lower()}_{i:03d}.jpg")


def draw_test(folder: Path, count: int = 20) -> None:
    """Draw pictures of all classes alike, in random order, into test/, and write test_labels.csv."""
    order = np.random.default_rng([SEED, 10]).permutation(count) % 10
    (folder / "test").mkdir(parents=True)
    labels = ["file,label\n"]
    for i, k in enumerate(order):
        file = f"{i:03d}.jpg"
        rng = np.random.default_rng([SEED, k, i, 1])
        save(draw_picture(CLASS_NAMES[k], rng), folder / "test" / file)
        labels.append(f"{file},{CLASS_NAMES[k]}\n")
    (folder / "test_labels.csv").write_text("".join(labels), newline="\n")


def plant(folder: Path, number: int) -> None:
    """Plant one fault, by its row in `PLANTED`; copies are of the first picture of the true class."""
    file, fault, truth = PLANTED.loc[number]
    part = "train" if "/" in file else "test"
    path = folder / part / file
    first = folder / f"train/{truth}/{truth.lower()}_000.jpg"
    rng = np.random.default_rng([SEED, 11, number])
    exif = Image.Exif()
    match fault:
        case "truncated":
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 3])
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
            picture = draw_picture(truth, rng) if truth else _draw_page(rng)
    save(picture, path, exif)


def _draw_page(rng):
    page = np.zeros((40, 40))
    has_letter = rng.random((18, 34)) < 0.82
    page[2:38:2, 3:37] = has_letter
    picture = Image.fromarray((235 - 190 * page).astype(np.uint8))
    return picture.resize((240, 320), Image.Resampling.NEAREST).convert("RGB")


def draw_scenes(folder: Path, count: int = 200) -> None:
    """Draw scenes of none to three kinds into scenes/, and write their labels, one misspelt."""
    (folder / "scenes").mkdir(parents=True)
    rng = np.random.default_rng(11)
    rows = ["file,labels"]
    for number in range(count):
        names = _choose_kinds(rng)
        save(draw_picture(names, rng), folder / f"scenes/{number:03d}.jpg")
        rows.append(f"{number:03d}.jpg,{'|'.join(names)}")
    text = "\n".join(rows) + "\n"
    # One label is misspelt, so that there is something to find.
    text = text.replace("Insecta", "Insekta", 1)
    (folder / "scenes.csv").write_text(text, newline="\n")


def _choose_kinds(rng):
    kinds = list(rng.permutation(10))
    if rng.random() < FRIEND_SHARE:
        friend = (kinds[0] + 5) % 10
        kinds.insert(1, friend)
    count = rng.choice(4, p=COUNT_SHARES)
    different = dict.fromkeys(kinds[:count])
    return [CLASS_NAMES[kind] for kind in different]


def pack(folder: Path, path: Path) -> None:
    """Pack all files of a folder in the order of their names, without dates: the same bytes each time."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    with zipfile.ZipFile(path, "w") as packed:
        for file in files:
            member = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            member.external_attr = 0o644 << 16
            packed.writestr(member, file.read_bytes())


def main(path: Path) -> None:
    """Draw the whole set and pack it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw_train(folder)
        draw_test(folder)
        draw_scenes(folder)
        for number in PLANTED.index:
            plant(folder, number)
        PLANTED.to_csv(folder / "planted.csv", index=False, lineterminator="\n")
        pack(folder, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
