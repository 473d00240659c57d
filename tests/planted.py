"""Plant wrong labels or copies in a copy of a folder, and measure what the audit finds of them.

PYTHONPATH=. python tests/planted.py plant PICTURES FOLDER --labels 0.05 --copies 60
PYTHONPATH=. python tests/planted.py measure FOLDER RESULTS
PYTHONPATH=. python tests/planted.py repeat PATHS_FILE MODEL

`plant` writes FOLDER/train with class folders, and FOLDER/planted.csv (file,truth,source,kind);
`measure` compares that with the tables which 07_label_audit has written into RESULTS. `repeat` takes
the features that a model of PATHS_FILE keeps, changes 0, 5 and 20 % of the labels in memory, with
several seeds, and tells how they are ranked, and how many of them and of all others `label?` marks.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lib.base import workspace
from lib.base.workspace import read_table
from lib.data import pixels, split
from lib.data.listing import leave_others_out, walk
from lib.models import linear

KINDS = ("crop", "mirror", "turn")


def draw_features(n, num_classes, seed, apart=0.5):
    """Draw features of classes that lie apart: float32 (n, 64), and the classes, int (n,)."""
    rng = np.random.default_rng(seed)
    y_true = np.arange(n) % num_classes
    centres = rng.normal(0, apart, (num_classes, 64))
    return (centres[y_true] + rng.normal(0, 1, (n, 64))).astype(np.float32), y_true


def plant_labels(y_true, share, seed):
    """Give a share of the pictures another class at random: labels (n,), which were changed."""
    rng, labels = np.random.default_rng(seed), np.array(y_true)
    planted = rng.choice(len(labels), round(share * len(labels)), replace=False)
    labels[planted] += rng.integers(1, labels.max() + 1, len(planted))
    return labels % (np.max(y_true) + 1), planted


def measure_ranking(rank, planted):
    """Return precision among the first as many as were planted, and recall in twice as many."""
    if not len(planted):
        return np.nan, np.nan
    places = rank[planted]
    return np.mean(places <= len(planted)), np.mean(places <= 2 * len(planted))


def change(picture, kind, rng):
    """Return a copy of a picture: 80 % of its sides, mirrored, or turned by 15 degrees."""
    width, height = picture.size
    if kind == "crop":
        left, top = rng.uniform(0, 0.2, 2) * (width, height)
        box = (left, top, left + 0.8 * width, top + 0.8 * height)
        return picture.crop([round(place) for place in box])
    if kind == "mirror":
        return picture.transpose(Image.FLIP_LEFT_RIGHT)
    return picture.rotate(15 * rng.choice([-1, 1]), Image.BICUBIC)


def plant(pictures: Path, folder: Path, share: float, copies: int, seed: int) -> None:
    """Copy a folder of class folders, with wrong labels and with copies of so many pictures."""
    rng, rows = np.random.default_rng(seed), []
    table = leave_others_out(walk(pictures))
    table = table[table.label != ""].reset_index(drop=True)
    names = sorted(set(table.label))
    codes, wrong = plant_labels(np.searchsorted(names, table.label), share, seed)
    chosen = set(rng.choice(np.setdiff1d(table.index, wrong), copies, replace=False))
    for number, (row, code) in enumerate(zip(table.itertuples(), codes)):
        target = folder / "train" / names[code] / f"{number:05d}{Path(row.file).suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pictures / row.file, target)
        file = f"{names[code]}/{target.name}"
        if names[code] != row.label:
            rows.append((file, row.label, "", "label"))
        for kind in KINDS if number in chosen else ():
            copied = change(Image.open(target).convert("RGB"), kind, rng)
            copied.save(target.with_name(f"{number:05d}_{kind}.png"))
            rows.append(
                (f"{names[code]}/{number:05d}_{kind}.png", row.label, file, kind)
            )
    planted = pd.DataFrame(rows, columns=["file", "truth", "source", "kind"])
    planted.to_csv(folder / "planted.csv", index=False)


def measure(folder: Path, results: Path) -> None:
    """Print what was found of what was planted."""
    planted, table = (
        read_table(folder / "planted.csv"),
        read_table(results / "label_audit.csv"),
    )
    wrong = np.flatnonzero(table.file.isin(planted.file[planted.kind == "label"]))
    precision, recall = measure_ranking(table["rank"].astype(int).to_numpy(), wrong)
    print(
        f"{len(wrong)} wrong labels of {len(table)}: precision {precision:.3f}, recall {recall:.3f}"
    )
    marked = table.finding.str.contains("label?", regex=False).to_numpy()
    print(
        f"label? marks {marked[wrong].sum()} of them and {np.delete(marked, wrong).sum()} others"
    )
    groups = read_table(results / "groups.csv").set_index("file").group
    of_group = read_table(results / "pictures.csv").set_index("file").group
    source = dict(zip(planted.file, planted.source))
    copies = planted[planted.kind.isin(KINDS)]
    for kind, rows in copies.groupby("kind"):
        own = groups[rows.file].to_numpy()
        found = (own == groups[rows.source].to_numpy()) & (own != "")
        before = of_group[rows.file].to_numpy() == of_group[rows.source].to_numpy()
        print(
            f"{kind}: {found.mean():.3f} found, {before.mean():.3f} by their hashes already"
        )
    flagged = table[table.finding.str.contains("copy?", regex=False)]
    origin = flagged.file.map(lambda file: source.get(file) or file)
    other = flagged.neighbour.map(lambda file: source.get(file) or file)
    if len(flagged):
        print(
            f"{len(flagged)} pictures called copies: precision {(origin == other).mean():.3f}"
        )


def answer_held_out(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> np.ndarray:
    """Return the answers to held-out rows, as 07 does: float32 (n, classes)."""
    return cross_val_predict(
        linear.TunedLogistic(seed=seed),
        features,
        labels,
        cv=PredefinedSplit(split.deal_folds(labels, groups, 5, seed)),
        params={"groups": groups},
        method="predict_proba",
    )


def repeat(paths: Path, name: str, seeds: int) -> None:
    """Print how planted labels are ranked, and how many of them and of others are marked."""
    from lib.models import parts, saved
    from lib.models.features import cached_features

    ws = workspace.open(paths)
    table = split.read_split(ws)
    class_names, truth = np.unique(table.label, return_inverse=True)
    extractor, _ = parts.find_parts(saved.load_model(ws, name))
    images = pixels.open_pixels(ws, table, extractor.input_shape[1])
    features = cached_features(extractor, images, ws)[:]
    groups = np.arange(len(truth))
    for share in (0, 0.05, 0.2):
        rows = []
        for seed in range(seeds):
            labels, planted = plant_labels(truth, share, seed)
            y_prob = answer_held_out(features, labels, groups, seed)
            own = y_prob[np.arange(len(labels)), labels]
            marked = (own < 0.1) & (y_prob.argmax(axis=1) != labels)
            rank = pd.Series(own).rank(method="first").to_numpy()
            ranking = measure_ranking(rank, planted)
            rows.append(
                (*ranking, marked[planted].sum(), np.delete(marked, planted).sum())
            )
        columns = ["precision", "recall", "planted marked", "others marked"]
        means = pd.DataFrame(rows, columns=columns).mean().round(3)
        print(
            f"{share:.0%} planted, {len(planted)} labels, {seeds} seeds: {means.to_dict()}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["plant", "measure", "repeat"])
    parser.add_argument("places", type=Path, nargs=2)
    parser.add_argument(
        "--labels", type=float, default=0.0, help="share of wrong labels"
    )
    parser.add_argument(
        "--copies", type=int, default=0, help="pictures of which copies are made"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seeds", type=int, default=5, help="how often labels are changed"
    )
    options = parser.parse_args(arguments)
    if options.what == "plant":
        plant(*options.places, options.labels, options.copies, options.seed)
    elif options.what == "measure":
        measure(*options.places)
    else:
        repeat(options.places[0], str(options.places[1]), options.seeds)


if __name__ == "__main__":
    main()
