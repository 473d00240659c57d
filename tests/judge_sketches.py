"""Judge lib/data/sketches.keras, and models of the demo, on its validation part and on fresh drawings.

PYTHONPATH=. python tests/judge_sketches.py RESULTS MODEL…    # say augmented_cnn sketches_transfer

RESULTS is the folder of a run on the demo. A linear head on the network learns from its training part.
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from lib import workspace
from lib.data import demo, pixels, split
from lib.data.pictures import load
from lib.models import backbones, linear, parts, saved

COUNT, SEED = 80, 38  # fresh drawings of each class


def draw_fresh(count=COUNT, seed=SEED):
    """Draw JPEGs of every class that no demo set has: their bytes, and their classes, int (n,)."""
    y_true, files = np.repeat(np.arange(len(demo.CLASS_NAMES)), count), []
    for row, k in enumerate(y_true):
        rng = np.random.default_rng([seed, 20, row])
        demo.draw_picture(demo.CLASS_NAMES[k], rng).save(
            file := io.BytesIO(), "JPEG", quality=90
        )
        files.append(file.getvalue())
    return files, y_true


def judge(ws, names, fresh, y_fresh):
    """Print the accuracy of a linear head and of models: on the validation part, and on fresh drawings."""
    rows = {part: group for part, group in split.read_split(ws).groupby("part")}
    y_true = {
        part: np.searchsorted(demo.CLASS_NAMES, group.label)
        for part, group in rows.items()
    }
    extractor = parts.build_extractor(
        backbones.load_backbone("sketches", None, None, {}, None)
    )
    images = pixels.open_pixels(ws, rows["train"], extractor.input_shape[1])[:]
    groups = np.unique(rows["train"].group, return_inverse=True)[1]
    features = extractor.predict(images, verbose=0)
    head, _ = linear.fit(features, y_true["train"], len(demo.CLASS_NAMES), groups, SEED)
    ask = {name: saved.load_model(ws, name) for name in names}
    for name, model in ({"a linear head on sketches": extractor} | ask).items():
        size, scores = model.input_shape[1], []
        given = [pixels.open_pixels(ws, rows["validation"], size)[:]]
        given.append(np.array([load(file, size) for file in fresh]))
        for images, truth in zip(given, (y_true["validation"], y_fresh)):
            answers = model.predict(images, verbose=0)
            answers = head.predict_proba(answers) if model is extractor else answers
            scores.append(
                f"{(answers.argmax(axis=1) == truth).mean():.3f} of {len(truth)}"
            )
        print(f"{name}: {scores[0]} validation pictures, {scores[1]} fresh drawings")


if __name__ == "__main__":
    judge(
        replace(workspace.open("demo"), results=Path(sys.argv[1]).resolve()),
        sys.argv[2:],
        *draw_fresh(),
    )
