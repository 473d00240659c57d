"""The demo set: knows how to draw ten classes of creatures as pictures in class folders."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from lib.storage import lock

# A sketch lists strokes from back to front: ink, the radii along the stroke, and its path, in
# hundredths with y down; *2 adds the mirror image, *5 or so turns copies about the origin. Inks:
# coat, trim or names that Pillow knows.
CREATURES = {
    "Amphibia": """coat*2 26 63,31 47,59; coat*2 7,5 60,78 58,96; coat*2 7,5 62,78 82,96; coat*2 7,5
    64,78 104,92; coat 50 0,25 0,35; trim 34 0,34 0,46; coat*2 9 38,20 46,60 18,92; coat*2 24
    36,-62; coat 40 -26,-28 26,-28; white*2 17 36,-66; black*2 10 36,-66; black 1 -45,-24 -30,-12
    0,-6 30,-12 45,-24""",
    "Animalia": """coat*5 30,20,9 0,0 0,-88; coat 32 0,0; trim*5 9 0,-26; trim*5 8 0,-48; trim*5 6
    0,-68; trim 10 0,0""",
    "Arachnida": """coat*2 6,2 0,-10 30,-75 55,-105; coat*2 6,2 0,-10 62,-52 100,-40; coat*2 6,2 0,0
    65,0 100,38; coat*2 6,2 0,0 45,40 66,98; coat 36 0,26 0,38; trim 12 0,24 0,44; coat 24 0,-20;
    white*2 8 10,-30; black*2 4 10,-30""",
    "Aves": """orange 2 -10,40 -10,92 8,95; orange 2 15,40 15,92 33,95; coat 16,10 -40,20 -108,30;
    orange 14,1 62,-34 104,-30; coat 34,42,34 -30,24 30,6; trim 24 -3,34 27,22; coat 31 45,-35; coat
    5,25,18,1 20,5 -30,15 -75,30; black 8 53,-40""",
    "Fungi": """coat 30,48,30 -50,-16 0,-52 50,-16; trim 11 -45,-25; trim 12 2,-58; trim 12 42,-22;
    linen 17 -49,10 49,10; linen 13,19 2,16 3,90""",
    "Insecta": """black*2 2 0,-40 14,-75 32,-88; coat*2 32 34,37 46,47; coat*2 20,38 20,-8 66,-34;
    trim*2 15 62,-34 70,-38; trim*2 13 46,50; black 10,7 0,-46 0,50""",
    "Mammalia": """coat 10,17,17,4 30,80 75,70 90,30 80,-5; coat 40,44 0,44 0,56; trim 22 0,28 0,52;
    coat*2 9,11 17,50 17,90; coat*2 25,1 30,-45 48,-108; trim*2 12,1 35,-58 45,-92; coat 40 -16,-28
    16,-28; trim 20 -10,-10 10,-10; white*2 10 25,-36; black*2 6 25,-36; black*2 1 20,-8 68,-14;
    black 7 0,-18""",
    "Mollusca": """trim 3 75,30 72,-15; trim 3 75,30 98,-12; black 7 72,-20; black 7 98,-18; trim
    3,16,18,16,15 -105,82 -40,72 45,72 76,60 78,28; coat 62 -14,5 -6,5; coat 4 -10,5 2,10 -8,22
    -28,10 -22,-16 8,-22 26,6 8,38 -30,38 -50,6 -34,-34 8,-42""",
    "Plantae": """seagreen 6 8,108 0,60 0,0; seagreen*2 3,16,16,1 5,92 40,70 75,55; coat*7 14,24,18
    0,-20 0,-70; trim 26 0,0""",
    "Reptilia": """crimson 2 90,-15 122,-22; coat 2,10,13,14,12 -105,10 -80,-45 -45,45 -5,-50 35,50
    62,0 90,-15; trim 6 -68,-15; trim 6 -50,17; trim 6 0,-25; trim 6 33,27; coat 15 85,-15 95,-15;
    white 6 95,-21; black 4 96,-21""",
}
CLASS_NAMES = tuple(sorted(CREATURES))
LIKELY_HUES = (0.28, 0.04, 0.08, 0.57, 0.02, 0.12, 0.06, 0.09, 0.90, 0.25)  # as CLASS_NAMES

# Each habitat: colours far away and close by, then hue, largest turn in radians and sketch of
# what lies about.
HABITATS = (
    ((128, 134, 92), (84, 62, 44), 0.08, 3.0, "coat 3,30,42,30,3 -60,0 60,0"),
    ((196, 224, 214), (104, 152, 70), 0.27, 0.3, "coat 10,10,1 0,80 8,-40 30,-160"),
    ((196, 196, 200), (122, 120, 124), 0.65, 0.3, "coat 40 -20,0 20,0"),
    ((244, 228, 190), (206, 172, 122), 0.09, 0.3, "trim 40 -20,0 20,0"),
    ((112, 168, 226), (220, 234, 244), 0.60, 0.1, "aliceblue 45,65,50 -80,5 0,-10 80,5"),
    ((132, 196, 206), (38, 104, 130), 0.52, 0.1, "trim 35 0,0; white 9 -9,-9"),
)


def _mix_inks(hue, vividness, rng):
    vivid, soft = vividness * rng.uniform((30, 10), (85, 45))
    trim_hue, bright = hue + rng.normal(0, 0.15), rng.uniform(50, 95)
    coat = f"hsv({hue % 1 * 360:.0f},{vivid:.0f}%,{bright:.0f}%)"
    return {"coat": coat, "trim": f"hsv({trim_hue % 1 * 360:.0f},{soft:.0f}%,92%)"}


def _draw_sketch(canvas, sketch, inks, centre, scale, turn_limit, rng):
    """Draw a sketch turned, stretched and either way round; places are complex numbers."""
    wide, high = rng.uniform(0.87, 1.15, 2) * (rng.choice([-1, 1]), 1)
    pose = scale * np.exp(1j * rng.uniform(-turn_limit, turn_limit))
    for stroke in sketch.split(";"):
        ink, radii, *path = stroke.split()
        ink, _, count = ink.partition("*")
        radii = np.array(radii.split(","), float) / 100
        path = np.array([place.split(",") for place in path], float) / 100 @ (1, 1j)
        steps = np.linspace(0, 1, 30 * len(path) - 29)
        radii = np.interp(steps, np.linspace(0, 1, len(radii)), radii)
        path = np.interp(steps, np.linspace(0, 1, len(path)), path)
        # Averaging neighbours rounds the joints off.
        path = np.convolve(np.pad(path, 8, "edge"), np.ones(17) / 17, "valid")
        turns = np.exp(2j * np.pi * np.arange(int(count or 1)) / int(count or 1))
        for copy in (path, -path.conj()) if count == "2" else np.outer(turns, path):
            places = centre + pose * (wide * copy.real + 1j * high * copy.imag)
            colour = ImageColor.getrgb(inks.get(ink, ink))
            edge = tuple(part * 11 // 20 for part in colour)
            for fill, reach in ((edge, scale * (radii + 0.02)), (colour, scale * radii)):
                for place, radius in zip(places.tolist(), reach.tolist()):
                    canvas.circle((place.real, place.imag), radius, fill)


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

    Returns an RGB picture, long side 240 to 360 pixels, sides 4:3, 3:4 or 1:1.
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

    It holds train/<Class>/, test/ and test_labels.csv (header file,label); the test pictures are of
    all classes alike, in random order. The same seed gives the same files.
    """
    folder = Path(folder)
    unfinished = folder.with_name(folder.name + ".unfinished")
    order = np.random.default_rng([seed, 10]).permutation(test_count) % 10
    keys = {f"test/{i:03d}.jpg": (k, i, 1) for i, k in enumerate(order)}
    for k, name in enumerate(CLASS_NAMES):
        files = [f"train/{name}/{name.lower()}_{i:03d}.jpg" for i in range(per_class)]
        keys |= {file: (k, i) for i, file in enumerate(files)}
    with lock(folder.with_suffix(".lock")):
        if folder.exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        for file, key in keys.items():
            (unfinished / file).parent.mkdir(parents=True, exist_ok=True)
            picture = draw_picture(CLASS_NAMES[key[0]], np.random.default_rng([seed, *key]))
            picture.save(unfinished / file, quality=90)
        rows = [f"{i:03d}.jpg,{CLASS_NAMES[k]}\n" for i, k in enumerate(order)]
        (unfinished / "test_labels.csv").write_text("file,label\n" + "".join(rows), newline="\n")
        unfinished.rename(folder)
