"""Drawings: pictures of creatures amid the clutter of a habitat, of the sketches in demo.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter
from scipy.ndimage import uniform_filter1d

# Its comments describe the form of sketches, and of what is planted.
SKETCHES = tomllib.loads(
    Path(__file__).with_name("demo.toml").read_text(encoding="utf-8")
)
CREATURES = SKETCHES["creatures"]
HABITATS = SKETCHES["habitats"]
CLASS_NAMES = tuple(CREATURES)
SHAPES = [(4, 4), (4, 3), (3, 4)]  # width and height


@dataclass
class Figure:
    """A sketch, and how it is to be drawn into a picture."""

    sketch: list[dict]
    inks: dict[str, str]
    centre: np.ndarray  # pixels of a layer of twice the size
    scale: float
    turn_limit: float  # radians


def _mix_inks(hue, vividness, rng):
    vivid, soft = vividness * rng.uniform((30, 10), (85, 45))
    trim_hue = hue + rng.normal(0, 0.15)
    bright = rng.uniform(50, 95)
    coat = _write_colour(hue, vivid, bright)
    trim = _write_colour(trim_hue, soft, 92)
    return {"coat": coat, "trim": trim}


def _write_colour(hue, saturation, brightness):
    degrees = hue % 1 * 360
    return f"hsv({degrees:.0f},{saturation:.0f}%,{brightness:.0f}%)"


def _turn(angle):
    cos = np.cos(angle)
    sin = np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _draw_figure(canvas, figure, rng):
    """Draw a sketch turned, stretched and either way round."""
    stretch = rng.uniform(0.87, 1.15, 2)
    stretch[0] *= rng.choice([-1, 1])
    angle = rng.uniform(-figure.turn_limit, figure.turn_limit)
    pose = figure.scale * _turn(angle)
    for stroke in figure.sketch:
        ink = stroke["ink"]
        colour = ImageColor.getrgb(figure.inks.get(ink, ink))
        edge = tuple(part * 11 // 20 for part in colour)
        path, radii = _smooth_stroke(stroke)
        for copy in _multiply(path, stroke.get("copies", 1)):
            dots = figure.centre + (stretch * copy) @ pose.T
            _dab(canvas, dots, figure.scale * (radii + 0.02), edge)
            _dab(canvas, dots, figure.scale * radii, colour)


def _smooth_stroke(stroke):
    """Return the path of a stroke in small steps, (n, 2), and its radii there, (n,)."""
    radii = np.array(stroke["radii"]) / 100
    path = np.array(stroke["path"]) / 100
    steps = np.linspace(0, 1, 30 * len(path) - 29)
    radii = np.interp(steps, np.linspace(0, 1, len(radii)), radii)
    knots = np.linspace(0, 1, len(path))
    across = np.interp(steps, knots, path[:, 0])
    down = np.interp(steps, knots, path[:, 1])
    path = np.stack([across, down], axis=1)
    # Averaging neighbours rounds the joints off.
    return uniform_filter1d(path, 17, axis=0, mode="nearest"), radii


def _multiply(path, copies):
    """Return a path and its mirror image, or as many turned copies."""
    if copies == 2:
        return [path, path * (-1, 1)]
    angles = 2 * np.pi * np.arange(copies) / copies
    return [path @ _turn(angle).T for angle in angles]


def _dab(canvas, dots, radii, colour):
    for dot, radius in zip(dots.tolist(), radii.tolist()):
        canvas.circle(dot, radius, colour)


def _scatter_clutter(habitat, size, top, count, rng):
    for height in np.sort(rng.uniform(top, 1.05, count)):
        nearness = 0.1 + 0.2 * height
        scale = size.min() * nearness * rng.uniform(0.7, 1.3)
        centre = 2 * size * (rng.random(), height)
        inks = _mix_inks(rng.normal(habitat["hue"], 0.04), 0.6, rng)
        yield Figure(habitat["sketch"], inks, centre, scale, habitat["turn_limit"])


def _lay_over(picture, figures, rng):
    """Draw figures at twice the size and lay them, with a soft shadow, over a picture."""
    size = (2 * picture.width, 2 * picture.height)
    layer = Image.new("RGBA", size)
    canvas = ImageDraw.Draw(layer)
    for figure in figures:
        _draw_figure(canvas, figure, rng)
    layer = layer.reduce(2)
    reach = min(picture.size) // 40
    shadow = layer.getchannel("A").point(lambda alpha: alpha * 0.45)
    shadow = shadow.filter(ImageFilter.GaussianBlur(reach))
    picture.paste("black", (reach, 2 * reach), shadow)
    picture.paste(layer, (0, 0), layer)


def draw_picture(
    class_name: str | list[str],
    rng: np.random.Generator,
    creatures: dict = CREATURES,
    reduction: int = 1,
) -> Image.Image:
    """Draw one picture of a class: its creature amid the clutter of a random habitat.

    Args:
        class_name: of several classes, the creatures stand side by side.
        creatures: for each class its hue and sketch.
        reduction: divides the size.

    Returns:
        RGB, long side 240 to 360 pixels divided by `reduction`, sides 4:3, 3:4 or 1:1.
    """
    habitat = HABITATS[rng.integers(len(HABITATS))]
    unit = rng.integers(60, 91) // reduction
    size = unit * np.array(SHAPES[rng.integers(3)])
    picture = _paint_ground(habitat, size, rng)
    clutter = _scatter_clutter(habitat, size, 0.15, rng.integers(6, 16), rng)
    _lay_over(picture, clutter, rng)
    names = np.atleast_1d(class_name)
    count = len(names)
    for number, name in enumerate(names):
        hue = rng.normal(creatures[name]["hue"], 0.03)
        if rng.random() >= 0.65:
            hue = rng.random()
        inks = _mix_inks(hue, 1, rng)
        scale = size.min() * rng.uniform(0.66, 0.86) / count**0.6
        middle = size * ((2 * number + 1) / count, 1)
        room = (size - scale) / (count, 1)
        centre = middle + room * rng.uniform(-0.5, 0.5, 2)
        figure = Figure(creatures[name]["sketch"], inks, centre, scale, 0.35)
        _lay_over(picture, [figure], rng)
    _lay_over(picture, _scatter_clutter(habitat, size, 0.9, 3, rng), rng)
    pixels = np.asarray(picture) * rng.uniform(0.85, 1.1)
    width, height = size
    pixels += rng.normal(0, 6 / reduction, (height, width, 1))
    return _make_picture(pixels)


def _paint_ground(habitat, size, rng):
    """Paint the colours of a habitat, from far away above to close by below."""
    blend = rng.normal(0, 0.15, (9, 9, 1))
    blend += np.linspace(0, 1, 9).reshape(9, 1, 1)
    far = np.array(habitat["far"])
    colours = far + blend * (habitat["close"] - far)
    colours += rng.normal(0, 12, 3)
    return _make_picture(colours).resize(size.tolist())


def _make_picture(pixels):
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
