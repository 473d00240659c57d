"""Rows of the benchmark: workers of a cluster, and the way from 10,000 to a million pictures."""

import contextlib
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from benchmark import (
    draw_thumbnails,
    make_row,
    run_watched,
    time_call,
    time_preparation,
)

from lib import cluster
from lib.base import workspace
from lib.data import labels, pixels
from lib.models import backbones, parts
from lib.models.features import cached_features

TWO = "local:2"
COUNTS = (10_000, 100_000, 1_000_000)
SIDE = 16  # pixels, so that a million find room
BLOCK = 256  # pictures whose pixels are put into the store at once
HEAD = f"""
import sys, time
from pathlib import Path
import numpy as np
import pandas as pd
folder, count, side = Path(sys.argv[1]), int(sys.argv[2]), {SIDE}
"""
TAIL = "print(time.perf_counter() - started)\n"
# What each step does with `count` pictures in `folder`; `started` is set when the step itself begins.
STEPS = {
    "scan: `list_pictures` of as many files in 1,000 class folders": """
from lib.base import workspace
from lib.data import labels
ws = workspace.Workspace(folder / "train", folder / "results", folder)
started = time.perf_counter()
table, found = labels.list_pictures(ws, ws.train)
assert len(table) == count and found.empty
""",
    "split: groups of 1 % look-alikes, then `split`": """
from lib.data import split
digests = np.array([f"{k:032x}" for k in range(count)])
table = pd.DataFrame({"file": digests, "label": np.arange(count) % 1000, "digest": digests})
table["label"] = table.label.map("class_{:04d}".format)
alike = digests[np.random.default_rng(0).integers(0, count, (count // 100, 2))]
started = time.perf_counter()
table["group"] = split.find_groups(table, alike)
parts = split.split(table, 42)
assert len(parts) == count
""",
    "near duplicates: `find_candidates`, 1 % planted": """
from lib.data import hashes
thumbnails = np.memmap(folder / "thumbnails", np.uint8, "r", shape=(count, 16, 16, 3))
started = time.perf_counter()
pairs = hashes.find_candidates(thumbnails)
assert (pairs.b - pairs.a == count - count // 100).sum() > 0.95 * (count // 100)
""",
    f"`Batches`: the store of pixels at side {SIDE} opened, 1,000 batches of 32": """
from lib.base import workspace
from lib.data import generators, pixels
ws = workspace.Workspace(folder / "train", folder / "results", folder)
rows = pd.DataFrame({"file": "", "digest": [f"{k:032x}" for k in range(count)]})
started = time.perf_counter()
images = pixels.open_pixels(ws, rows, side)
print(f"opened in {time.perf_counter() - started:.1f} s", file=sys.stderr)
batches = generators.Batches(images, np.arange(count) % 1000, 1000, 32, seed=0)
for index in range(min(1000, len(batches))):
    batches[index]
""",
    f"8 pictures of a store at side {SIDE}, once it is open": """
from lib.base import workspace
from lib.data import pixels
ws = workspace.Workspace(folder / "train", folder / "results", folder)
rows = pd.DataFrame({"file": "", "digest": [f"{k:032x}" for k in range(8)]})
assert len(pixels.open_rows(folder, side).index) == count
started = time.perf_counter()
assert len(pixels.open_pixels(ws, rows, side)[:]) == 8
""",
    "metrics: `evaluate`, 10 classes": """
from lib.evaluation import metrics
from lib.models.record import Record
rng = np.random.default_rng(0)
y_true = np.arange(count) % 10
y_prob = rng.dirichlet(np.full(10, 0.3), count)
y_prob[np.arange(count), y_true] += 0.3
y_prob /= y_prob.sum(axis=1, keepdims=True)
names = [f"class {k}" for k in range(10)]
started = time.perf_counter()
metrics.evaluate(y_true, y_prob, np.arange(count), Record("net", names, 8))
""",
}


def multiply_files(folder: Path, originals: Path, count: int) -> None:
    """Write copies of JPEGs, each with a number behind its end, so that all contents are other."""
    sources = [path.read_bytes() for path in sorted(originals.rglob("*.jpg"))]
    for number in range(count):
        path = folder / f"{number % 10}/{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sources[number % len(sources)] + b"%09d" % number)


def measure_workers(originals: Path, root: Path, pairs: int = 3, count: int = 10_000):
    """Compare two workers with one, then with the threads of one process; yield rows."""
    multiply_files(root / "many", originals, count)
    ws = workspace.Workspace(
        root / "many", root / "results", root / "scratch", cluster=TWO
    )
    keras.utils.set_random_seed(0)
    backbone = backbones.load_backbone("MobileNetV2", None, 224, {}, ws)
    table, _ = labels.list_pictures(ws, ws.train)
    extractor, few = parts.build_extractor(backbone), table[: count // 5]
    decoded, _ = pixels.decode_pictures(ws, ws.train, few, [224])
    images = pixels.open_pixels(ws, decoded, 224)
    preparing, computing = {1: [], 2: []}, {1: [], 2: []}
    for _ in range(pairs):
        for workers in (2, 1):
            with running(workers):
                # Each worker imports what it needs, and loads the network, before it is measured.
                time_preparation(ws, few[:128])
                preparing[workers].append(len(few) / time_preparation(ws, few))
                compute_anew(
                    extractor, replace(images, digests=images.digests[:128]), ws
                )
                seconds = time_call(lambda: compute_anew(extractor, images, ws))
                computing[workers].append(len(images) / seconds)
    what = "preparation, two single-threaded workers; left: one"
    yield make_row(what, *preparing.values(), "pictures/s")
    what = "features of MobileNetV2, two single-threaded workers; left: one"
    yield make_row(what, *computing.values(), "pictures/s")
    together = {1: [], 2: []}
    with running(2) as starting:
        for _ in range(pairs):
            for side, address in ((1, None), (2, TWO)):
                there = replace(ws, cluster=address)
                time_preparation(there, table[:128])
                together[side].append(time_preparation(there, table))
    what = f"preparation of {count:,} pictures by local:2; left: the threads here"
    note = f"once, apart: {starting:.1f} s to start the workers"
    yield make_row(what, *together.values(), "s", note=note)


@contextlib.contextmanager
def running(count: int):
    """Run one or two workers, whose computing threads are set for two; yield the seconds it took."""
    started = time.perf_counter()
    client = cluster.connect(TWO)
    client.cluster.scale(count)
    while len(client.nthreads()) != count:
        time.sleep(0.05)
    yield time.perf_counter() - started
    cluster.clients.pop(TWO).close()
    client.cluster.close()


def compute_anew(extractor, images, ws) -> None:
    """Compute features of pictures into a scratch folder of their own."""
    with tempfile.TemporaryDirectory(dir=ws.scratch) as scratch:
        cached_features(extractor, images, replace(ws, scratch=Path(scratch)))


def measure_million(root: Path, counts=COUNTS):
    """Measure each step with 10,000 to a million pictures, in a process of its own: yields rows."""
    found = {what: [] for what in STEPS}
    for count in counts:
        folder = root / f"{count}"
        make_pictures(folder, count)
        draw_thumbnails(folder / "thumbnails", count, count // 100)
        for what, script in STEPS.items():
            printed, peak = run_watched(HEAD + script + TAIL, folder, count)
            found[what].append((float(printed), peak))
            print(f"{count:,} {what}: {found[what][-1]}", file=sys.stderr, flush=True)
        shutil.rmtree(folder)
    for what, measured in found.items():
        seconds, peaks = zip(*measured)
        exponents = np.diff(np.log(seconds)) / np.diff(np.log(counts))
        note = (
            f"{', '.join(f'{s:.3g}' for s in seconds)} s with {', '.join(f'{c:,}' for c in counts)}: "
            f"exponents {', '.join(f'{e:.2f}' for e in exponents)}; peak {peaks[-1]:.2f} GB"
        )
        yield {"what": what, "ours": seconds[-1], "unit": "s", "note": note}


def make_pictures(folder: Path, count: int) -> None:
    """Make empty files in 1,000 class folders, and a store of black pictures."""
    for name in range(1000):
        (folder / f"train/class_{name:04d}").mkdir(parents=True)
    for number in range(count):
        (folder / f"train/class_{number % 1000:04d}/{number:07d}.jpg").touch()
    store = pixels.open_rows(folder, SIDE)
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        store.put({f"{number:032x}": black for number in range(start, stop)})
