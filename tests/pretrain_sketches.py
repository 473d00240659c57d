"""Draw many kinds of sketches, none of them the demo's, and train lib/data/sketches.keras on them.

PYTHONPATH=. python tests/pretrain_sketches.py FILE.keras    # some ten minutes on two cores
"""

import json
import sys
import zipfile

import keras
import numpy as np
from drawing import draw_picture
from keras import layers

from lib.data.pictures import square
from lib.models import saved

KINDS, PER_KIND, SIDE, EPOCHS, BATCH, SEED = 150, 110, 80, 16, 64, 7
COLOURS = "white black orange linen seagreen crimson gold sienna slateblue pink".split()
INKS = ["coat", "trim"] * 6 + COLOURS


def stroke(ink, radii, *path, copies=1):
    return {"ink": ink, "radii": radii, "path": path, "copies": copies}


def keep(rng, *pieces):  # each list of strokes in six of ten cases
    return [one for strokes in pieces if rng.random() < 0.6 for one in strokes]


def draw_front(rng):  # a creature that faces us: all but its middle stands twice
    head, wide, low, x = rng.uniform((-65, 0, 15, 12), (-15, 30, 60, 30))
    large, small, size, reach = rng.uniform((25, 30, 6, -40), (55, 48, 15, 60))
    ear, nose = (
        [[22, 1], [24, 24], [9, 9], [5, 14]][rng.integers(4)],
        rng.choice(COLOURS),
    )
    ears = [stroke("coat", ear, (x, head - 20), (1.6 * x, head - 62), copies=2)]
    legs = [stroke("coat", [9, 8], (x, low), (rng.uniform(10, 50), 95), copies=2)]
    arms = [
        stroke("coat", [10, size], (20, low), (rng.uniform(55, 105), reach), copies=2)
    ]
    body, belly = (
        stroke(i, [r], (0, low)) for i, r in (("coat", large), ("trim", 0.6 * large))
    )
    face, pupils = (
        stroke("coat", [small], (-wide, head), (wide, head)),
        ("black", [0.6 * size]),
    )
    eyes = [stroke(*eye, (x, head), copies=2) for eye in (("white", [size]), pupils)]
    mouth = [
        stroke(nose, [size * 0.4], (-12, head + 18), (0, head + 24), (12, head + 18))
    ]
    return [
        *keep(rng, legs, arms),
        body,
        *keep(rng, [belly], ears),
        face,
        *eyes,
        *keep(rng, mouth),
    ]


def draw_side(rng):  # a creature that looks to the right
    long, thick, up, far = rng.uniform((25, 20, -70, 15), (60, 42, 0, 45))
    head, size, thin = (
        (long + rng.uniform(5, 35), up),
        rng.uniform(14, 30),
        rng.uniform(3, 11),
    )
    places, feet = (
        np.linspace(-long, long, 5),
        np.linspace(-long, long, rng.integers(5)),
    )
    end = [[12, 2], [5, 18], [14, 26]][rng.integers(3)]
    tail = [stroke("coat", end, (-long, 10), (-95, rng.uniform(-80, 60)))]
    back = [stroke("trim", [9, 1], (x, 0), (x, -10 - thick)) for x in places]
    body = stroke("coat", [0.8 * thick, thick], (-long, 12), (long, 12))
    behind = [
        *keep(rng, tail, back),
        *(stroke("coat", [thin], (x, 20), (x, 92)) for x in feet),
    ]
    nose = [stroke(rng.choice(INKS), [0.6 * size, thin], head, (head[0] + far, up + 6))]
    horn = [
        stroke(
            rng.choice(INKS), [6, 2], head, (head[0] - rng.uniform(-25, 25), up - 45)
        )
    ]
    face = [
        stroke("coat", [thin + 4, size], (0.7 * long, 5), head),
        stroke("black", [5], head),
    ]
    wing = [stroke("trim", [5, 24, 2], (20, 0), (-40, rng.uniform(-80, 30)), (-70, 0))]
    spots = [stroke("trim", [8], (x, 8)) for x in places[rng.integers(3) :]]
    return [*behind, body, *keep(rng, nose, horn), *face, *keep(rng, wing, spots)]


def draw_radial(rng):  # what looks alike from several sides: stars, blossoms, wheels
    rings, out = [], 100.0
    for copies in rng.integers(3, 13, rng.integers(1, 4)):
        radii, bend = rng.uniform(3, 24, rng.integers(1, 4)), rng.uniform(-40, 40)
        path = (
            (0, -rng.uniform(0, 0.5) * out),
            (bend, -0.6 * out),
            (-0.5 * bend, -0.9 * out),
        )
        rings.append(
            stroke(rng.choice(INKS), radii, *path[: rng.integers(2, 4)], copies=copies)
        )
        out *= rng.uniform(0.5, 0.8)
    dots = [
        stroke(
            rng.choice(INKS), [6], (0, -rng.uniform(20, 80)), copies=rng.integers(3, 10)
        )
    ]
    return [
        *rings,
        stroke(rng.choice(INKS), [rng.uniform(8, 40)], (0, 0)),
        *keep(rng, dots),
    ]


def draw_upright(rng):  # what stands on a stem: trees, cactuses, lamps
    thin, top, wide, crown = rng.uniform((4, -80, 15, 15), (16, -10, 70, 45))
    low, rise, ink = rng.uniform(0, 60), rng.uniform(-40, 40), rng.choice(INKS)
    radii, floors = (
        [crown, crown * rng.uniform(0.1, 1)],
        np.linspace(top, low, rng.integers(1, 5)),
    )
    crowns = [stroke(ink, radii, (0, y), (wide, y + rise), copies=2) for y in floors]
    fruits = [
        stroke(rng.choice(INKS), [rng.uniform(5, 12)], (0.7 * wide, top + 20), copies=2)
    ]
    foot, ball = (
        [stroke(ink, [thin], (-30, 90), (30, 90))],
        [stroke(ink, [crown], (0, top))],
    )
    stem = stroke(
        rng.choice(INKS), [thin, thin * rng.uniform(0.8, 2)], (0, top), (0, 95)
    )
    return [stem, *keep(rng, foot), *crowns, *keep(rng, ball, fruits)]


def draw_long(rng):  # worms, fish and eels: one line, thick somewhere
    across, far = np.linspace(-100, 90, rng.integers(3, 9)), rng.uniform(15, 40)
    path = [*zip(across, rng.uniform(8, 60) * rng.uniform(-1, 1, len(across)))]
    body, inner = (
        stroke("coat", rng.uniform(3, 34, rng.integers(2, 6)), *path),
        path[1:-1],
    )
    fins = [
        stroke("trim", [9, 2], (x, y), (x - 15, y + k))
        for x, y in inner
        for k in (-far, far)
    ]
    stripes = [stroke(rng.choice(INKS), [rng.uniform(4, 10)], place) for place in inner]
    head = [stroke(rng.choice(INKS), [rng.uniform(10, 26)], path[-1])]
    tail = [stroke("trim", [3, far / 2], path[0], (-112, path[0][1] - 30))]
    eye = [stroke("white", [7], path[-1]), stroke("black", [4], path[-1])]
    return [*keep(rng, fins, tail), body, *keep(rng, stripes, head), *eye]


def draw_thing(
    rng,
):  # what people make: straight and thick, with wheels, windows, a roof
    wide, high, thick, size = rng.uniform((25, -40, 14, 10), (80, 40, 30, 26))
    floors, wheel = np.linspace(high, 60, rng.integers(1, 4)), (rng.uniform(15, 60), 80)
    walls = [stroke("coat", [thick], (-wide, y), (wide, y)) for y in floors]
    roof = [
        stroke(
            rng.choice(INKS),
            [2, 2 * size],
            (rng.uniform(-40, 40), -105),
            (0, high - 10),
        )
    ]
    wheels = [
        stroke(i, [size * r], wheel, copies=2) for i, r in (("black", 1), ("trim", 0.5))
    ]
    windows = [
        stroke(rng.choice(INKS), [size / 2], (x, high))
        for x in np.linspace(-wide, wide, 4)
    ]
    handle = [
        stroke("trim", [6], (wide, high), (wide + 35, high + 15), (wide + 10, 60))
    ]
    return [*keep(rng, roof), *walls, *keep(rng, wheels, windows, handle)]


FAMILIES = draw_front, draw_side, draw_radial, draw_upright, draw_long, draw_thing


def list_kinds(count=KINDS, seed=SEED):
    """Write the recipes of so many kinds, in the form of `drawing.CREATURES`."""
    streams = [np.random.default_rng([seed, number]) for number in range(count)]
    sketches = [FAMILIES[k % len(FAMILIES)](rng) for k, rng in enumerate(streams)]
    return {
        k: {"hue": 0.618 * k % 1, "sketch": sketch} for k, sketch in enumerate(sketches)
    }


def train(path, count=KINDS, per_kind=PER_KIND, epochs=EPOCHS, seed=SEED):
    """Train the network, and write it; metadata.json in the file says how it was made."""
    kinds, images = list_kinds(count, seed), []
    y_true = np.repeat([*kinds], per_kind)
    for kind, stream in zip(y_true, np.random.SeedSequence(seed).spawn(len(y_true))):
        picture = draw_picture(kind, np.random.default_rng(stream), kinds, reduction=2)
        images.append(square(np.asarray(picture), SIDE))
    keras.utils.set_random_seed(seed)
    patterns = pixels_in = keras.Input((SIDE, SIDE, 3), name="pixels")
    patterns = layers.Rescaling(1 / 127.5, -1)(patterns)
    for channels, kernel in ((24, 5), (48, 3), (72, 3), (112, 3), (160, 3)):
        patterns = layers.Conv2D(channels, kernel, 2, "same", use_bias=False)(patterns)
        patterns = layers.ReLU()(layers.BatchNormalization()(patterns))
    network = keras.Model(pixels_in, patterns, name="sketches")
    changed = layers.RandomFlip("horizontal")(pixels_in)
    changed = layers.RandomTranslation(0.1, 0.1, "nearest")(changed)
    changed = layers.RandomBrightness(0.1)(layers.RandomContrast(0.15)(changed))
    features = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(network(changed)))
    model = keras.Model(pixels_in, layers.Dense(count, "softmax")(features))
    rate = keras.optimizers.schedules.CosineDecay(
        0.002, epochs * -(-len(images) // BATCH)
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(rate, 0.02), loss, metrics=["accuracy"])
    model.fit(
        np.array(images), keras.utils.to_categorical(y_true), BATCH, epochs, verbose=2
    )
    saved.write_model(network, path)
    made = {
        "made_by": "tests/pretrain_sketches.py",
        "kinds": count,
        "side": SIDE,
        "seed": seed,
    }
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in (members | {"metadata.json": json.dumps(made)}).items():
            file.writestr(zipfile.ZipInfo(name), content)  # without a date


if __name__ == "__main__":
    train(sys.argv[1])
