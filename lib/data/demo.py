"""The demo set: ten classes of creatures, drawn into class folders, and what is planted among them."""

import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageColor, ImageDraw, ImageFilter
from scipy.ndimage import uniform_filter1d

from lib.data.table import read_table

# Its comments describe the form of sketches, and of what is planted.
SKETCHES = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
CREATURES, HABITATS = SKETCHES["creatures"], SKETCHES["habitats"]
CLASS_NAMES = tuple(CREATURES)
PLANTED = pd.DataFrame(SKETCHES["planted"], columns=["file", "fault", "truth"])
# Pictures a class from which on there is room for faults, and those left to a class of few.
LEAST, FEW = 40, 24


def _mix_inks(hue, vividness, rng):
    vivid, soft = vividness * rng.uniform((30, 10), (85, 45))
    trim_hue, bright = hue + rng.normal(0, 0.15), rng.uniform(50, 95)
    coat = f"hsv({hue % 1 * 360:.0f},{vivid:.0f}%,{bright:.0f}%)"
    return {"coat": coat, "trim": f"hsv({trim_hue % 1 * 360:.0f},{soft:.0f}%,92%)"}


def _turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _draw_sketch(canvas, sketch, inks, centre, scale, turn_limit, rng):
    """Draw a sketch turned, stretched and either way round."""
    stretch = rng.uniform(0.87, 1.15, 2) * (rng.choice([-1, 1]), 1)
    pose = scale * _turn(rng.uniform(-turn_limit, turn_limit))
    for stroke in sketch:
        radii, path = np.array(stroke["radii"]) / 100, np.array(stroke["path"]) / 100
        steps = np.linspace(0, 1, 30 * len(path) - 29)
        radii = np.interp(steps, np.linspace(0, 1, len(radii)), radii)
        knots = np.linspace(0, 1, len(path))
        path = np.stack([np.interp(steps, knots, axis) for axis in path.T], axis=1)
        # Averaging neighbours rounds the joints off.
        path = uniform_filter1d(path, 17, axis=0, mode="nearest")
        count = stroke.get("copies", 1)
        colour = ImageColor.getrgb(inks.get(stroke["ink"], stroke["ink"]))
        edge = tuple(part * 11 // 20 for part in colour)
        turned = [path @ _turn(2 * np.pi * k / count).T for k in range(count)]
        for copy in (path, path * (-1, 1)) if count == 2 else turned:
            places = (centre + (stretch * copy) @ pose.T).tolist()
            for fill, reach in (
                (edge, scale * (radii + 0.02)),
                (colour, scale * radii),
            ):
                for place, radius in zip(places, reach.tolist()):
                    canvas.circle(place, radius, fill)


def _scatter_clutter(habitat, size, top, count, rng):
    for height in np.sort(rng.uniform(top, 1.05, count)):
        scale = size.min() * (0.1 + 0.2 * height) * rng.uniform(0.7, 1.3)
        centre = 2 * size * (rng.random(), height)
        inks = _mix_inks(rng.normal(habitat["hue"], 0.04), 0.6, rng)
        yield habitat["sketch"], inks, centre, scale, habitat["turn_limit"]


def _lay_over(picture, sketches, rng):
    """Draw sketches at twice the size and lay them, with a soft shadow, over a picture."""
    layer = Image.new("RGBA", (2 * picture.width, 2 * picture.height))
    for sketch in sketches:
        _draw_sketch(ImageDraw.Draw(layer), *sketch, rng)
    layer, reach = layer.reduce(2), min(picture.size) // 40
    shadow = layer.getchannel("A").point(lambda alpha: alpha * 0.45)
    picture.paste(
        "black", (reach, 2 * reach), shadow.filter(ImageFilter.GaussianBlur(reach))
    )
    picture.paste(layer, (0, 0), layer)


def draw_picture(class_name, rng, creatures=CREATURES, reduction=1):
    """Draw one picture of a class: its creature amid the clutter of a random habitat.

    Of several classes, side by side. Returns RGB, long side 240 to 360 pixels divided by `reduction`,
    sides 4:3, 3:4 or 1:1.
    """
    habitat, names = HABITATS[rng.integers(len(HABITATS))], np.atleast_1d(class_name)
    size = (
        rng.integers(60, 91)
        // reduction
        * np.array([(4, 4), (4, 3), (3, 4)][rng.integers(3)])
    )
    blend = np.linspace(0, 1, 9)[:, None, None] + rng.normal(0, 0.15, (9, 9, 1))
    colours = habitat["far"] + blend * np.subtract(habitat["close"], habitat["far"])
    pixels = colours + rng.normal(0, 12, 3)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize(
        size.tolist()
    )
    _lay_over(
        picture, _scatter_clutter(habitat, size, 0.15, rng.integers(6, 16), rng), rng
    )
    for place, creature in enumerate(map(creatures.get, names)):
        hue = rng.normal(creature["hue"], 0.03)
        inks = _mix_inks(hue if rng.random() < 0.65 else rng.random(), 1, rng)
        scale = size.min() * rng.uniform(0.66, 0.86) / len(names) ** 0.6
        middle = size * ((2 * place + 1) / len(names), 1)
        centre = middle + (size - scale) * rng.uniform(-0.5, 0.5, 2) / (len(names), 1)
        _lay_over(picture, [(creature["sketch"], inks, centre, scale, 0.35)], rng)
    _lay_over(picture, _scatter_clutter(habitat, size, 0.9, 3, rng), rng)
    pixels = np.asarray(picture) * rng.uniform(0.85, 1.1)
    pixels += rng.normal(0, 6 / reduction, (*size[::-1], 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _draw_page(rng):
    page = np.zeros((40, 40))
    page[2:38:2, 3:37] = rng.random((18, 34)) < 0.82
    picture = Image.fromarray((235 - 190 * page).astype(np.uint8))
    return picture.resize((240, 320), Image.Resampling.NEAREST).convert("RGB")


def _plant(folder, file, fault, truth, rng):
    """Plant one fault into the drawn set; copies are of the first picture of the true class."""
    path = folder / ("train" if "/" in file else "test") / file
    first, exif, picture = (
        folder / f"train/{truth}/{truth.lower()}_000.jpg",
        Image.Exif(),
        None,
    )
    match fault:
        case "truncated":
            path.write_bytes(path.read_bytes()[:4000])
        case "twins in two classes":
            path.write_bytes(first.read_bytes())
        case "few pictures":
            for spare in sorted(path.iterdir())[FEW:]:
                spare.unlink()
        case "nearly black":
            picture = Image.open(path).point(lambda level: level * 0.15)
        case "mirrored copy":
            picture = Image.open(first).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case "turned by Exif":
            picture = Image.open(path).transpose(Image.Transpose.ROTATE_90)
            exif[ExifTags.Base.Orientation] = 6  # a viewer has to turn it back
        case _:
            picture = draw_picture(truth, rng) if truth else _draw_page(rng)
    if picture:
        picture.save(path, quality=90, exif=exif)


def draw_dataset(folder, per_class=40, test_count=20, seed=0):
    """Draw the demo set into a folder, whole or not at all, unless it is there.

    It holds train/<Class>/, test/, test_labels.csv (header file,label) and planted.csv (header
    file,fault,truth, without rows where there are fewer than 40 pictures a class); the labelled test
    pictures are of all classes alike, in random order. The same seed gives the same files.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng([seed, 10]).permutation(test_count) % 10
    keys = {f"test/{i:03d}.jpg": (k, i, 1) for i, k in enumerate(order)}
    for k, name in enumerate(CLASS_NAMES):
        keys |= {
            f"train/{name}/{name.lower()}_{i:03d}.jpg": (k, i) for i in range(per_class)
        }
    planted = PLANTED if per_class >= LEAST else PLANTED[:0]
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f"{folder.name}.part"
    ) as place:
        part = Path(place, "whole")
        for file, key in keys.items():
            (part / file).parent.mkdir(parents=True, exist_ok=True)
            picture = draw_picture(
                CLASS_NAMES[key[0]], np.random.default_rng([seed, *key])
            )
            picture.save(part / file, quality=90)
        for row in planted.itertuples():
            _plant(part, *row[1:], np.random.default_rng([seed, 11, row.Index]))
        planted.to_csv(part / "planted.csv", index=False, lineterminator="\n")
        rows = [f"{i:03d}.jpg,{CLASS_NAMES[k]}\n" for i, k in enumerate(order)]
        (part / "test_labels.csv").write_text(
            "file,label\n" + "".join(rows), newline="\n"
        )
        with suppress(OSError):  # Another process was first.
            part.rename(folder)


def list_planted(ws) -> pd.DataFrame:
    """Read what is planted: file, fault, truth (the class drawn, "" for none); no row but of the demo."""
    return read_table(ws.train.parent / "planted.csv") if ws.is_demo else PLANTED[:0]
