"""Judge lib/data/sketches.keras, and models of the demo, on its validation part and on fresh drawings.

PYTHONPATH=. python tests/judge_sketches.py RESULTS MODEL…    # say augmented_cnn sketches_transfer

RESULTS is the folder of a run on the demo. A linear head on the network learns from its training part.
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from conftest import load_bytes
from draw_demo import save
from drawing import CLASS_NAMES, draw_picture

from lib.base import workspace
from lib.data import pixels, split
from lib.models import backbones, linear, parts, saved

COUNT, SEED = 80, 38  # fresh drawings of each class


def draw_fresh(count=COUNT):
    """Draw JPEGs of every class that no demo set has: their bytes, and their classes, int (n,)."""
    y_true = np.repeat(np.arange(len(CLASS_NAMES)), count)
    files = []
    for row, label in enumerate(y_true):
        rng = np.random.default_rng([SEED, 20, row])
        file = io.BytesIO()
        save(draw_picture(CLASS_NAMES[label], rng), file)
        files.append(file.getvalue())
    return files, y_true


def fit_head(ws, extractor):
    """Put a linear head on a network, fitted to the training part."""
    table = split.read_split(ws)
    rows = table[table.part == "train"]
    images = pixels.open_pixels(ws, rows, extractor.input_shape[1])[:]
    return linear.TunedLogistic(seed=SEED).fit(
        extractor.predict(images, verbose=0),
        np.searchsorted(CLASS_NAMES, rows.label),
        groups=rows.group.to_numpy(),
    )


def judge(ws, names, count=COUNT):
    """Print the accuracy of a linear head and of models: on the validation part, and on fresh drawings."""
    backbone = backbones.load_backbone("sketches", None, None, {}, None)
    extractor = parts.build_extractor(backbone)
    head = parts.build_head(fit_head(ws, extractor))
    linear_model = keras.Model(extractor.input, head(extractor.output))
    models = {"a linear head on sketches": linear_model}
    for name in names:
        models[name] = saved.load_model(ws, name)
    table = split.read_split(ws)
    validation = table[table.part == "validation"]
    y_validation = np.searchsorted(CLASS_NAMES, validation.label)
    fresh, y_fresh = draw_fresh(count)
    for name, model in models.items():
        size = model.input_shape[1]
        known = pixels.open_pixels(ws, validation, size)[:]
        drawn = np.array([load_bytes(file, size) for file in fresh])
        for kind, images, y_true in (
            ("validation pictures", known, y_validation),
            ("fresh drawings", drawn, y_fresh),
        ):
            y_pred = model.predict(images, verbose=0).argmax(axis=1)
            print(f"{name}: {(y_pred == y_true).mean():.3f} of {len(y_true)} {kind}")


if __name__ == "__main__":
    demo_ws = workspace.open("demo")
    judge(replace(demo_ws, results=Path(sys.argv[1]).resolve()), sys.argv[2:])
