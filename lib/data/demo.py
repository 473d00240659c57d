"""The demo set: knows how to draw ten classes of creatures as pictures in class folders."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from lib.storage import lock

# A sketch lists shapes from back to front: kind, ink, numbers in hundredths with y down. Kinds:
# oval (centre, radii, degrees) and limb (path, after the radii along it); *2 adds the mirror
# image, *5 or so turns copies about the origin. Inks: coat, trim or names that Pillow knows.
CREATURES = {
    "Amphibia": """oval*2 coat 55,45 26,42 30; limb*2 coat 7,5 60,78 58,96; limb*2 coat 7,5 62,78
    82,96; limb*2 coat 7,5 64,78 104,92; oval coat 0,30 50,55; oval trim 0,40 34,40; limb*2 coat 9
    38,20 46,60 18,92; oval*2 coat 36,-62 24,24; oval coat 0,-28 66,40; oval*2 white 36,-66 17,17;
    oval*2 black 36,-66 9,10; limb black 1 -45,-24 -30,-12 0,-6 30,-12 45,-24""",
    "Animalia": """limb*5 coat 30,20,9 0,0 0,-88; oval coat 0,0 32,32; oval*5 trim 0,-26 9,9; oval*5
    trim 0,-48 8,8; oval*5 trim 0,-68 6,6; oval trim 0,0 10,10""",
    "Arachnida": """limb*2 coat 6,2 0,-10 30,-75 55,-105; limb*2 coat 6,2 0,-10 62,-52 100,-40;
    limb*2 coat 6,2 0,0 65,0 100,38; limb*2 coat 6,2 0,0 45,40 66,98; oval coat 0,32 36,42; oval
    trim 0,34 12,22; oval coat 0,-20 25,24; oval*2 white 10,-30 8,8; oval*2 black 10,-30 4,5""",
    "Aves": """limb orange 2 -10,40 -10,92 8,95; limb orange 2 15,40 15,92 33,95; limb coat 16,10
    -40,20 -108,30; limb orange 14,1 62,-34 104,-30; oval coat 0,15 62,42 -17; oval trim 12,28 40,24
    -23; oval coat 45,-35 32,30; limb coat 5,25,18,1 20,5 -30,15 -75,30; oval black 53,-40 7,8""",
    "Fungi": """limb coat 30,48,30 -50,-16 0,-52 50,-16; oval trim -45,-25 12,10; oval trim 2,-58
    15,11; oval trim 42,-22 13,11; oval linen 0,10 66,17; limb linen 13,19 2,16 3,90""",
    "Insecta": """limb*2 black 2 0,-40 14,-75 32,-88; oval*2 coat 40,42 40,32 40; oval*2 coat 52,-26
    54,38 -29; oval*2 trim 66,-36 20,15 -29; oval*2 trim 46,50 13,13; oval black 0,2 10,58""",
    "Mammalia": """limb coat 10,17,17,4 30,80 75,70 90,30 80,-5; oval coat 0,50 44,50; oval trim
    0,40 22,34; limb*2 coat 9,11 17,50 17,90; limb*2 coat 25,1 30,-45 48,-108; limb*2 trim 12,1
    35,-58 45,-92; oval coat 0,-28 56,40; oval trim 0,-10 30,20; oval*2 white 25,-36 10,10; oval*2
    black 25,-36 6,7; limb*2 black 1 20,-8 68,-14; oval black 0,-18 8,6""",
    "Mollusca": """limb trim 3 75,30 72,-15; limb trim 3 75,30 98,-12; oval black 72,-20 7,7; oval
    black 98,-18 7,7; limb trim 3,16,18,16,15 -105,82 -40,72 45,72 76,60 78,28; oval coat -10,5
    66,62; limb coat 4 -10,5 2,10 -8,22 -28,10 -22,-16 8,-22 26,6 8,38 -30,38 -50,6 -34,-34
    8,-42""",
    "Plantae": """limb seagreen 6 8,108 0,60 0,0; limb*2 seagreen 3,16,16,1 5,92 40,70 75,55; oval*7
    coat 0,-48 22,38; oval trim 0,0 26,26""",
    "Reptilia": """limb crimson 2 90,-15 122,-22; limb coat 2,10,13,14,12 -105,10 -80,-45 -45,45
    -5,-50 35,50 62,0 90,-15; oval trim -68,-15 5,7; oval trim -50,17 5,7; oval trim 0,-25 5,7; oval
    trim 33,27 5,7; oval coat 90,-15 20,15; oval white 95,-21 6,6; oval black 96,-21 3,4""",
}
CLASS_NAMES = tuple(sorted(CREATURES))
LIKELY_HUES = (0.28, 0.04, 0.08, 0.57, 0.02, 0.12, 0.06, 0.09, 0.90, 0.25)  # as CLASS_NAMES

# Each habitat: colours far away and close by, then hue, largest turn in radians and sketch of
# what lies about.
HABITATS = (
    ((128, 134, 92), (84, 62, 44), 0.08, 3.0, "limb coat 3,30,42,30,3 -60,0 60,0"),
    ((196, 224, 214), (104, 152, 70), 0.27, 0.3, "limb coat 10,10,1 0,80 8,-40 30,-160"),
    ((196, 196, 200), (122, 120, 124), 0.65, 0.3, "oval coat 0,0 60,40"),
    ((244, 228, 190), (206, 172, 122), 0.09, 0.3, "oval trim 0,0 60,40"),
    ((112, 168, 226), (220, 234, 244), 0.60, 0.1, "limb aliceblue 45,65,50 -80,5 0,-10 80,5"),
    ((132, 196, 206), (38, 104, 130), 0.52, 0.1, "oval trim 0,0 35,35; oval white -9,-9 9,9"),
)


def _mix_inks(hue, vividness, rng):
    coat_hue, trim_hue = 360 * (np.array([hue, hue + rng.normal(0, 0.15)]) % 1)
    vivid, soft, bright = rng.uniform((30, 10, 50), (85, 45, 95)) * (vividness, vividness, 1)
    inks = {"coat": (coat_hue, vivid, bright), "trim": (trim_hue, soft, 92)}
    return {name: "hsv({:.0f},{:.0f}%,{:.0f}%)".format(*ink) for name, ink in inks.items()}


def _trace_shape(kind, numbers):
    """Trace a shape's points as complex numbers, with the radius at each point of a limb."""
    first, *points = [np.array(group.split(","), float) / 100 for group in numbers]
    if kind == "oval":
        angle, degrees = np.linspace(0, 2 * np.pi, 40), 100 * points[1] if points[1:] else 0
        outline = points[0][0] * np.cos(angle) + 1j * points[0][1] * np.sin(angle)
        return first @ (1, 1j) + outline * np.exp(1j * np.radians(degrees)), None
    steps = np.linspace(0, 1, 90)
    path = np.interp(steps, np.linspace(0, 1, len(points)), np.array(points) @ (1, 1j))
    # Averaging neighbours rounds the joints off.
    path = np.convolve(np.pad(path, 5, "edge"), np.ones(11) / 11, "valid")
    return path, np.interp(steps, np.linspace(0, 1, len(first)), first)


def _ink_shape(canvas, points, radii, scale, colour):
    """Draw an oval as a polygon, or a limb as discs, with a darker edge."""
    edge, pixels = tuple(part * 11 // 20 for part in colour), points.view(float)
    if radii is None:
        canvas.polygon(pixels.tolist(), fill=colour)
        canvas.line(pixels.tolist(), fill=edge, width=max(2, round(0.03 * scale)))
        return
    for ink, reach in ((edge, scale * (radii + 0.02)), (colour, scale * radii)):
        for centre, radius in zip(pixels.reshape(-1, 2).tolist(), reach.tolist(), strict=True):
            canvas.circle(centre, radius, fill=ink)


def _draw_sketch(canvas, sketch, inks, centre, scale, turn_limit, rng):
    """Draw a sketch turned, stretched, either way round and bent by a slight wave."""
    bend, phase = rng.uniform(0, 0.06), rng.uniform(0, 2 * np.pi, 2)
    wide, high = rng.uniform(0.87, 1.15, 2) * (rng.choice([-1, 1]), 1)
    pose = scale * np.exp(1j * rng.uniform(-turn_limit, turn_limit))
    for line in sketch.split(";"):
        shape, ink, *numbers = line.split()
        kind, _, count = shape.partition("*")
        outline, radii = _trace_shape(kind, numbers)
        turns = np.exp(2j * np.pi * np.arange(int(count or 1)) / int(count or 1))
        for copy in (outline, -outline.conj()) if count == "2" else np.outer(turns, outline):
            x = wide * (copy.real + bend * np.sin(3 * copy.imag + phase[0]))
            y = high * (copy.imag + bend * np.sin(3 * copy.real + phase[1]))
            points, colour = centre + pose * (x + 1j * y), ImageColor.getrgb(inks.get(ink, ink))
            _ink_shape(canvas, points, radii, scale, colour)


def _scatter_clutter(clutter, size, top, count, rng):
    hue, turn_limit, sketch = clutter
    for height in np.sort(rng.uniform(top, 1.05, count)):
        scale = size.min() * (0.1 + 0.2 * height) * rng.uniform(0.7, 1.3)
        centre = 2 * size * (rng.random(), height) @ (1, 1j)
        yield sketch, _mix_inks(rng.normal(hue, 0.04), 0.6, rng), centre, scale, turn_limit


def _lay_over(picture, sketches, rng):
    """Draw sketches at twice the size and lay them, with a soft shadow, over a picture."""
    layer = Image.new("RGBA", (2 * picture.width, 2 * picture.height))
    for sketch in sketches:
        _draw_sketch(ImageDraw.Draw(layer), *sketch, rng)
    layer, reach = layer.reduce(2), min(picture.size) // 40
    shadow = layer.getchannel("A").point(lambda alpha: alpha * 0.45)
    picture.paste("black", (reach, 2 * reach), shadow.filter(ImageFilter.GaussianBlur(reach)))
    picture.paste(layer, (0, 0), layer)


def draw_picture(class_name, rng):
    """Draw one picture of a class: its creature amid the clutter of a random habitat.

    Args:
        class_name: one of CLASS_NAMES.
        rng: numpy Generator that every random choice is drawn from.

    Returns:
        RGB picture, long side 240 to 360 pixels, sides 4:3, 3:4 or 1:1.
    """
    far, close, *clutter = HABITATS[rng.integers(len(HABITATS))]
    size = rng.integers(60, 91) * np.array([(4, 4), (4, 3), (3, 4)][rng.integers(3)])
    blend = np.linspace(0, 1, 9)[:, None, None] + rng.normal(0, 0.15, (9, 9, 1))
    pixels = far + blend * np.subtract(close, far) + rng.normal(0, 12, 3)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize(size.tolist())
    _lay_over(picture, _scatter_clutter(clutter, size, 0.15, rng.integers(6, 16), rng), rng)
    hue = rng.normal(LIKELY_HUES[CLASS_NAMES.index(class_name)], 0.03)
    inks = _mix_inks(hue if rng.random() < 0.65 else rng.random(), 1, rng)
    scale = size.min() * rng.uniform(0.66, 0.86)
    centre = (size + (size - scale) * rng.uniform(-0.5, 0.5, 2)) @ (1, 1j)
    _lay_over(picture, [(CREATURES[class_name], inks, centre, scale, 0.35)], rng)
    _lay_over(picture, _scatter_clutter(clutter, size, 0.9, 3, rng), rng)
    pixels = np.asarray(picture) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, (*size[::-1], 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw_dataset(folder, per_class=40, test_count=20, seed=0):
    """Draw the demo set into a folder, whole or not at all, unless the folder is there.

    Args:
        folder: where train/<Class>/, test/ and test_labels.csv (header file,label) go.
        per_class: number of training pictures of each class.
        test_count: number of test pictures, their classes balanced and in random order.
        seed: integer of at least 0; the same seed gives the same files.
    """
    folder = Path(folder)
    with lock(folder.with_suffix(".lock")):
        if not folder.exists():
            _draw_all(folder, per_class, test_count, seed)


def _draw_all(folder, per_class, test_count, seed):
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    order = np.random.default_rng([seed, 10]).permutation(test_count) % 10
    keys = {f"test/{i:03d}.jpg": (k, i, 1) for i, k in enumerate(order)}
    for k, name in enumerate(CLASS_NAMES):
        files = [f"train/{name}/{name.lower()}_{i:03d}.jpg" for i in range(per_class)]
        keys |= {file: (k, i) for i, file in enumerate(files)}
    for file, key in keys.items():
        (unfinished / file).parent.mkdir(parents=True, exist_ok=True)
        picture = draw_picture(CLASS_NAMES[key[0]], np.random.default_rng([seed, *key]))
        picture.save(unfinished / file, quality=90)
    rows = [f"{i:03d}.jpg,{CLASS_NAMES[k]}\n" for i, k in enumerate(order)]
    (unfinished / "test_labels.csv").write_text("file,label\n" + "".join(rows), newline="\n")
    unfinished.rename(folder)
