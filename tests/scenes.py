"""Scenes of two to four photographs in a grid, with a CSV file of their labels, for 11_multi_label.

PYTHONPATH=. python tests/scenes.py PHOTOS OUT makes 600 scenes of a folder of class folders: OUT/train,
OUT/labels.csv and OUT/paths.json. Six photographs make three scenes, which are a group, so that a
photograph is in scenes of one group only.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CELL, SCENES, OF_PHOTOGRAPHS = 260, 3, 6


def make_scenes(
    photos: Path, out: Path, count: int = 600, seed: int = 0
) -> pd.DataFrame:
    """Make scenes of photographs, or of fewer pictures where there are too few for `count`."""
    rng, rows = np.random.default_rng(seed), []
    (out / "train").mkdir(parents=True)
    paths = rng.permutation(
        sorted(path for path in photos.glob("*/*") if path.is_file())
    )
    for group in range(min(count // SCENES, len(paths) // OF_PHOTOGRAPHS)):
        own = paths[group * OF_PHOTOGRAPHS : (group + 1) * OF_PHOTOGRAPHS]
        for _ in range(SCENES):
            chosen = rng.choice(own, rng.integers(2, 5), replace=False)
            name = f"scene_{len(rows):04d}.jpg"
            lay_out(chosen).save(out / "train" / name, quality=90)
            labels = "|".join(sorted({path.parent.name for path in chosen}))
            rows.append((name, labels, f"photographs {group}"))
    table = pd.DataFrame(rows, columns=["file", "labels", "group"])
    table.to_csv(out / "labels.csv", index=False)
    paths = {
        "train": "train",
        "multi_labels": "labels.csv",
        "results": "r",
        "scratch": "s",
    }
    (out / "paths.json").write_text(json.dumps(paths))
    return table


def lay_out(paths) -> Image.Image:
    """Lay two photographs side by side, or three or four in two rows."""
    scene = Image.new("RGB", (2 * CELL, CELL * (1 + (len(paths) > 2))), "grey")
    for place, path in enumerate(paths):
        picture = Image.open(path).convert("RGB").resize((CELL, CELL))
        scene.paste(picture, (place % 2 * CELL, place // 2 * CELL))
    return scene


if __name__ == "__main__":
    print(
        make_scenes(*map(Path, sys.argv[1:]))
        .labels.str.split("|")
        .str.len()
        .value_counts()
    )
