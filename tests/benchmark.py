"""The report's way and ours, side by side on the same files.

    make bench                                   all rows, about an hour on two cores
    make bench ARGUMENTS=--scale                 some of them: see CHOICES
    make bench ARGUMENTS="--photos FOLDER"       on a folder of class folders instead of drawn JPEGs

Both sides of a pair run one after the other in one process, so that a busy machine slows both. A
ratio is the median over the pairs, with the smallest and the largest. "Extrapolated" says that a
side ran a part of its work and was multiplied up. A limit is what the same run's memory or matrix
product would allow, were nothing else to do.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import keras
import nbformat
import numpy as np
import psutil
import tensorflow as tf
from conftest import prepare_and_split
from keras import layers
from PIL import Image
from scipy import fft

from lib import predict
from lib.base import machine, storage, workspace
from lib.data import generators, pictures, pixels, split
from lib.data.labels import list_pictures
from lib.models import backbones, keys, networks, parts, saved, training
from lib.models.features import cached_features
from lib.runner import choose_notebooks

EPOCHS, BATCH_SIZE, SEED = 20, 32, 42
PAIRS = 3
# Sides of the pictures in pixels, of 02 and 03, and of 04; and its network.
CNN_SIZE = 160
TRANSFER_SIZE = 224
BACKBONE = "ResNet50"
MATRIX_SIDE = 2048
PARTS = ("train", "validation")
AUGMENTATION = {"horizontal_flip": True, "rotation_range": 20, "zoom_range": 0.2}
FLOPS_PER_MULTIPLY_ADD = 2
# A linear head's rows, classes, and how far apart the classes are.
HEADS = ((8_008, 10, 0.4), (50_000, 200, 0.8))
FEATURES, FOLDS = 2048, 5
CROSS_VALIDATION = f"""
import sys, time
import numpy as np
from sklearn.model_selection import PredefinedSplit, cross_validate

from lib.data.split import deal_folds
from lib.models import linear

count, classes = int(sys.argv[2]), int(sys.argv[3])
features = np.memmap(sys.argv[1], np.float32, "r", shape=(count, {FEATURES}))
y_true, groups = np.arange(count) % classes, np.arange(count)
started, spent = time.perf_counter(), time.process_time()
accuracies = []
for repeat in range(2):
    fold_of = deal_folds(y_true, groups, {FOLDS}, {SEED} + repeat)
    scores = cross_validate(
        linear.TunedLogistic(seed={SEED}),
        features,
        y_true,
        cv=PredefinedSplit(fold_of),
        params={{"groups": groups}},
        error_score="raise",
    )
    accuracies.append(scores["test_score"].mean())
seconds = time.perf_counter() - started, time.process_time() - spent
print(*seconds, accuracies[0])
"""
# Pictures and classes of the runs that show how memory and time grow.
SCALE = ((1_000, 10), (2_000, 200), (10_000, 200), (50_000, 200))
# The same of 01 alone.
CLASSES = ((10_000, 1_000), (50_000, 200), (200_000, 200))
SCALE_ARGUMENTS = "-p EPOCHS 1 -p BACKBONE MobileNet -p WEIGHTS null".split()
SCALE_ARGUMENTS += ["-p", "BACKBONE_OPTIONS", "{alpha: 0.25}"]


def draw_photographs(
    folder: Path, count: int, size=(800, 600), classes: int = 10
) -> Path:
    """Draw JPEGs as large as photographs; each class has colours of its own."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.normal(64 + 128 * (number % classes) / classes, 60, (15, 20, 3))
        picture = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
        fine = np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) + rng.normal(
            0, 8, (size[1], size[0], 3)
        )
        path = folder / f"class_{number % classes:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(fine.clip(0, 255).astype(np.uint8)).save(path, quality=85)
    return folder


def prepare(train: Path, root: Path) -> workspace.Workspace:
    """Do what 01_data_prep does."""
    ws = workspace.Workspace(train, root / "results", root / "scratch")
    prepare_and_split(ws, [CNN_SIZE, TRANSFER_SIZE], SEED)
    return ws


def read_cells(name: str) -> list[str]:
    """Return the source of each code cell of a notebook."""
    path = workspace.REPOSITORY / "notebooks" / f"{name}.ipynb"
    return [
        c.source
        for c in nbformat.read(path, as_version=4).cells
        if c.cell_type == "code"
    ]


def run_cells(name: str, pattern: str, **given) -> dict:
    """Run the parameters of a notebook and the cells that match; return what they define."""
    space = {"keras": keras, "layers": layers, "training": training, "machine": machine}
    space |= {"keys": keys, "backbones": backbones, "parts": parts}
    space["networks"] = networks
    cells = read_cells(name)
    for source in (
        cell for cell in cells if re.search(r"^\w+: .*# @param", cell, re.M)
    ):
        exec(source, space)
    space |= given
    for source in (cell for cell in cells if re.search(pattern, cell)):
        exec(source, space)
    return space


def build_cnn(name: str, num_classes: int) -> keras.Model:
    """Build and compile a CNN from its notebook's own cell."""
    given = {"num_classes": num_classes, "IMAGE_SIZE": CNN_SIZE}
    pattern = r"return keras\.Sequential\(|def list_convolutions|\.compile\("
    return run_cells(name, pattern, **given)["cnn"]


def build_report_transfer(num_classes: int) -> keras.Model:
    """Build the report's model 3: backbone and head in one, every step through both."""
    build = getattr(keras.applications, BACKBONE)
    shape = (TRANSFER_SIZE, TRANSFER_SIZE, 3)
    backbone = build(include_top=False, weights=None, input_shape=shape)
    backbone.trainable = False
    model = keras.Sequential(
        [
            backbone,
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-4), "categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def feed_as_reported(ws, part: str, image_size: int, augment=False, preprocess=None):
    """Make the report's ImageDataGenerator over one part of the split."""
    options = (
        {"preprocessing_function": preprocess} if preprocess else {"rescale": 1 / 255}
    )
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        **options, **(AUGMENTATION if augment else {})
    )
    table = split.read_split(ws)
    return generator.flow_from_dataframe(
        table[table.part == part],
        directory=str(ws.train),
        x_col="file",
        y_col="label",
        target_size=(image_size, image_size),
        batch_size=BATCH_SIZE,
        class_mode="categorical",
        shuffle=part == "train",
        seed=SEED,
    )


def count_rate(batches, count: int) -> float:
    """Return pictures a second of reading `count` batches."""
    started = time.perf_counter()
    pictures = sum(len(batches[index % len(batches)][1]) for index in range(count))
    return pictures / (time.perf_counter() - started)


def time_call(function) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def make_row(
    what: str, reported, ours, unit: str, more_is_better=True, **further
) -> dict:
    """Make a row of the table from paired measurements."""
    ratios = [o / r if more_is_better else r / o for r, o in zip(reported, ours)]
    return {
        "what": what,
        "report's way": statistics.median(reported),
        "ours": statistics.median(ours),
        "unit": unit,
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "pairs": len(ratios),
        **further,
    }


def measure_matrix_product() -> float:
    """Return the floating-point operations a second of a float32 matrix product."""
    square = tf.random.normal((MATRIX_SIDE, MATRIX_SIDE))
    seconds = (
        time_call(lambda: [tf.matmul(square, square).numpy() for _ in range(10)]) / 10
    )
    return FLOPS_PER_MULTIPLY_ADD * MATRIX_SIDE**3 / seconds


def measure_feed(ws, pairs: int, augment: bool) -> dict:
    """Compare pictures a second of the size of 02 that a model would be fed with."""
    reported = feed_as_reported(ws, "train", CNN_SIZE, augment)
    ours, _ = generators.pair(ws, CNN_SIZE, BATCH_SIZE, SEED, augment)
    rates = [(count_rate(reported, 4), count_rate(ours, 30)) for _ in range(pairs)]
    if augment:
        return make_row("feed with augmentation", *zip(*rates), "pictures/s")
    batch = ours[0][0]
    target = np.empty_like(batch)
    limit = (
        1000
        * len(batch)
        / time_call(lambda: [np.copyto(target, batch) for _ in range(1000)])
    )
    return make_row(
        "feed without augmentation", *zip(*rates), "pictures/s", limit=limit
    )


def decode_in_full(path: Path) -> list[np.ndarray]:
    """Decode a picture on one thread without help from the decoder's down-scaling."""
    with Image.open(path) as picture:
        full = picture.convert("RGB")
    return [
        np.asarray(full.resize((s, s), Image.Resampling.BILINEAR))
        for s in (CNN_SIZE, TRANSFER_SIZE)
    ]


def time_preparation(ws, table) -> float:
    """Return the seconds of decoding every picture anew to both sizes."""
    with tempfile.TemporaryDirectory() as scratch:
        anew = replace(ws, scratch=Path(scratch))
        sizes = [CNN_SIZE, TRANSFER_SIZE]
        return time_call(lambda: pixels.decode_pictures(anew, anew.train, table, sizes))


def measure_preparation(ws, pairs: int) -> dict:
    """Compare decoding every picture to both sizes, ours with writing the stores."""
    table, _ = list_pictures(ws, ws.train)
    rates = []
    for _ in range(pairs):
        reported = time_call(
            lambda: [decode_in_full(ws.train / name) for name in table.file]
        )
        ours = time_preparation(ws, table)
        rates.append((len(table) / reported, len(table) / ours))
    return make_row("preparation", *zip(*rates), "pictures/s")


def measure_memory(root: Path, large=(8000, 6000), huge=(15_470, 11_600)) -> dict:
    """Measure the memory of preparing large pictures at side 1024, in a process of its own."""
    folder = root / "large/train/a"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    drawn = Image.fromarray(noise).resize(large, Image.Resampling.BICUBIC)
    width, height = large
    for number in range(24):
        drawn.crop((0, 0, width - number, height)).save(folder / f"{number}.jpg")
    plain = Image.new("RGB", huge, "green")
    for number in range(4):
        plain.save(folder / f"179 million {number}.jpg", progressive=bool(number % 2))
    script = (
        "import sys; from pathlib import Path\n"
        "from lib import workspace; from lib.data import labels, pixels\n"
        "root = Path(sys.argv[1]); ws = workspace.Workspace(root / 'train', root / 'r', root / 's')\n"
        "listed, _ = labels.list_pictures(ws, ws.train)\n"
        "_, damaged = pixels.decode_pictures(ws, ws.train, listed, [1024])\n"
        "counts = damaged.problem.value_counts()\n"
        "print({'used': len(listed) - len(damaged), **counts})\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", script, str(root / "large")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    *found, peak = run.stdout.splitlines()
    return {
        "what": "peak memory of preparing 24 JPEGs of 48 and 4 of 179 million pixels at side 1024",
        "ours": int(peak) / 1e6,
        "unit": "GB",
        "note": found[-1],
    }


def draw_thumbnails(path: Path, count: int, planted: int) -> np.ndarray:
    """Draw patterns that fade with frequency, a lit middle in many, as in photographs.

    The last `planted` are altered copies of the first (darker, noisy), every other one mirrored.
    """
    rng, block = np.random.default_rng(0), 10_000
    thumbnails = np.memmap(path, np.uint8, "w+", shape=(count, 16, 16, 3))
    frequency = np.hypot(*np.mgrid[:16, :16]).clip(1)[..., None]
    for start in range(0, count, block):
        size = min(block, count - start)
        waves = rng.standard_normal((size, 16, 16, 1), np.float32)
        waves = (
            waves + 0.4 * rng.standard_normal((size, 16, 16, 3), np.float32)
        ) / frequency
        pattern = fft.idctn(waves, axes=(1, 2), norm="ortho") * rng.uniform(
            40, 300, (size, 1, 1, 1)
        )
        # What stands in the middle of most photographs makes their hashes uneven.
        width = rng.uniform(2, 6, (size, 2, 1))
        high, wide = np.moveaxis(np.exp(-(((np.arange(16) - 7.5) / width) ** 2)), 1, 0)
        middle = (high[:, :, None] * wide[:, None])[..., None]
        pattern += rng.normal(30, 90, (size, 1, 1, 1)) * middle
        thumbnails[start : start + size] = (pattern + 128).clip(0, 255)
    copied = 0.85 * thumbnails[:planted] + rng.normal(10, 3, (planted, 16, 16, 3))
    copied[1::2] = copied[1::2, :, ::-1]
    thumbnails[count - planted :] = copied.clip(0, 255)
    return thumbnails


def measure_copies(root: Path, count: int = 1_000_000, planted: int = 10_000) -> dict:
    """Measure the search for pictures that look alike among a million, in a process of its own."""
    root.mkdir(exist_ok=True, parents=True)
    draw_thumbnails(root / "thumbnails", count, planted)
    script = (
        "import sys, time; from pathlib import Path; import numpy as np; from lib.data import hashes\n"
        f"thumbnails = np.memmap(sys.argv[1], np.uint8, 'r', shape=({count}, 16, 16, 3))\n"
        "started = time.perf_counter(); pairs = hashes.find_candidates(thumbnails)\n"
        "seconds = time.perf_counter() - started\n"
        f"right = (pairs.b - pairs.a == {count - planted}) & (pairs.mirrored == (pairs.a % 2 == 1))\n"
        "print(seconds, right.sum(), (~right).sum())"
    )
    printed, peak = run_watched(script, root / "thumbnails")
    seconds, right, others = map(float, printed.split())
    note = (
        f"peak anonymous memory {peak:.2f} GB; {right:,.0f} of {planted:,} planted copies found, "
        f"{others:.0f} other pairs"
    )
    return {
        "what": f"look-alikes among {count:,}",
        "ours": seconds,
        "unit": "s",
        "note": note,
    }


def draw_alike(path: Path, count: int) -> None:
    """Draw patterns that vary about a common one, as X-rays do."""
    rng, block = np.random.default_rng(0), 10_000
    frequency = np.hypot(*np.mgrid[:16, :16]).clip(1)[..., None]
    common = rng.standard_normal((16, 16, 1), np.float32)
    thumbnails = np.memmap(path, np.uint8, "w+", shape=(count, 16, 16, 3))
    for start in range(0, count, block):
        size = min(block, count - start)
        own = rng.standard_normal((size, 16, 16, 1), np.float32)
        waves = (common + 0.65 * own) / frequency**1.5
        pattern = 150 * fft.idctn(waves, axes=(1, 2), norm="ortho") + 128
        thumbnails[start : start + size] = pattern.clip(0, 255)


def measure_alike(root: Path, count: int = 20_000) -> dict:
    """Measure the search for copies among pictures that are all much alike."""
    root.mkdir(exist_ok=True, parents=True)
    draw_alike(root / "thumbnails", count)
    script = (
        "import sys, time; import numpy as np; from lib.data import hashes\n"
        f"thumbnails = np.memmap(sys.argv[1], np.uint8, 'r', shape=({count}, 16, 16, 3))\n"
        "started = time.process_time(); pairs = hashes.find_candidates(thumbnails)\n"
        "print(time.process_time() - started, len(pairs))"
    )
    printed, peak = run_watched(script, root / "thumbnails")
    seconds, pairs = map(float, printed.split())
    return {
        "what": f"look-alikes among {count:,} drawn much alike, CPU seconds",
        "ours": seconds,
        "unit": "s",
        "note": f"{pairs:,.0f} candidates, peak anonymous memory {peak:.2f} GB",
    }


def measure_classes(root: Path, count: int, classes: int) -> dict:
    """Measure the memory of 01 with many classes or pictures."""
    draw_photographs(root / "train", count, (60, 45), classes)
    paths = {"train": "train", "results": "results", "scratch": "scratch"}
    (root / "paths.json").write_text(json.dumps(paths))
    arguments = ["--only", "1", "-p", "IMAGE_SIZES", "[32]"]
    ((peak, seconds),) = run_chain(root / "paths.json", arguments)
    shutil.rmtree(root)
    return {
        "what": f"01: peak RssAnon, {count:,} pictures of {classes:,} classes",
        "ours": peak,
        "unit": "GB",
        "note": f"{seconds:.0f} CPU seconds",
    }


def measure_answers(root: Path, pairs: int = PAIRS, count: int = 2_560) -> dict:
    """Compare `lib.predict` of JPEGs with one `predict` of their pixels by the same model."""
    folder = draw_photographs(root / "new", count, (320, 240))
    backbone = backbones.load_backbone("MobileNetV2", None, TRANSFER_SIZE, {}, None)
    extractor = parts.build_extractor(backbone)
    head = keras.Sequential([keras.Input(extractor.output.shape[1:]), layers.Dense(10)])
    model = keras.Model(extractor.input, head(extractor.output))
    path = root / "model.keras"
    model.save(path)
    names = list("abcdefghij")
    facts = {"name": "model", "class_names": names, "image_size": TRANSFER_SIZE}
    facts["file_hash"] = saved.hash_model(path, names)
    path.with_suffix(".json").write_text(json.dumps(facts))
    command = [str(path), str(folder), "--csv", str(root / "answers.csv")]
    files = sorted(folder.rglob("*.jpg"))
    images = np.stack([pictures.load(file, TRANSFER_SIZE) for file in files])
    model.predict(images[:1], verbose=0)
    seconds = []
    for _ in range(pairs):
        (root / "answers.csv").unlink(missing_ok=True)
        asked = time_call(lambda: predict.predict_pictures(command))
        seconds.append((time_call(lambda: model.predict(images, verbose=0)), asked))
    what = (
        f"`lib.predict` of {count:,} JPEGs; left: one `model.predict` of their pixels"
    )
    return make_row(what, *zip(*seconds), "s", more_is_better=False)


def run_watched(script: str, *arguments) -> tuple[str, float]:
    """Run Python code in a process of its own; return what it prints, and its peak RssAnon in GB."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0.0
        while process.poll() is None:
            with contextlib.suppress(OSError, StopIteration):
                peak = max(peak, read_anonymous(process.pid))
            time.sleep(0.05)
        return process.stdout.read(), peak


def read_anonymous(process: int) -> float:
    """Return the anonymous memory of a process, in GB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if "RssAnon" in line).split()[1]) / 1e6


def time_reported_epoch(model, train, validation, steps: int) -> float:
    """Return the seconds of one epoch of the report's way, multiplied up from some batches."""
    fit = time_call(lambda: model.fit(train, steps_per_epoch=steps, verbose=0))
    evaluate = time_call(lambda: model.evaluate(validation, steps=steps, verbose=0))
    return (fit * len(train) + evaluate * len(validation)) / steps


def time_epoch(model, train, validation) -> float:
    """Return the seconds of one whole epoch of `fit`."""
    return time_call(
        lambda: model.fit(train, validation_data=validation, shuffle=False, verbose=0)
    )


def measure_transfer(ws, pairs: int, root: Path) -> tuple[dict, list, list]:
    """Compare 20 epochs of model 3, once either side is built and traced."""
    preprocess = keras.applications.resnet50.preprocess_input
    parts = [
        feed_as_reported(ws, p, TRANSFER_SIZE, preprocess=preprocess) for p in PARTS
    ]
    ours = generators.pair(ws, TRANSFER_SIZE, BATCH_SIZE, SEED)
    reported_model = build_report_transfer(ours[0].num_classes)
    time_reported_epoch(reported_model, *parts, steps=1)
    extractor, head, model = build_our_transfer(ws, ours[0].num_classes)
    train_transfer(
        extractor, head, ours, replace(ws, scratch=root / "traced"), epochs=1
    )
    seconds = []
    for pair in range(pairs):
        reported = EPOCHS * time_reported_epoch(reported_model, *parts, steps=3)
        started = time.perf_counter()
        batches = train_transfer(
            extractor, head, ours, replace(ws, scratch=root / str(pair)), EPOCHS
        )
        seconds.append((reported, time.perf_counter() - started))
    from_pixels = model.predict(generators.stream(ours[1]), verbose=0)
    from_features = head.predict(generators.stream(batches[1]), verbose=0)
    difference = abs(from_pixels - from_features).max()
    note = f"report's way extrapolated; largest difference of a probability {difference:.1e}"
    row = make_row(
        "transfer, 20 epochs", *zip(*seconds), "s", more_is_better=False, note=note
    )
    return row, *zip(*seconds)


def train_transfer(extractor, head, parts, ws, epochs: int) -> list:
    """Do what notebook 04 does: features of both parts once, then the head on them."""
    batches = []
    for part in parts:
        features = cached_features(extractor, part.inputs, ws)
        batches.append(replace(part, inputs=features))
    fed, validation = map(generators.stream, batches)
    head.fit(fed, validation_data=validation, epochs=epochs, shuffle=False, verbose=0)
    return batches


def build_our_transfer(ws, num_classes: int):
    """Build extractor, head and assembled model from the cells of notebook 04."""
    pattern = r"keras\.(Sequential|Model)\(|load_backbone\(|_extractor\("
    given = {"ws": ws, "num_classes": num_classes, "learning_rate": 1e-4}
    given |= {"BACKBONE": BACKBONE, "WEIGHTS": None, "IMAGE_SIZE": TRANSFER_SIZE}
    space = run_cells("04_resnet50_transfer", pattern, **given)
    return space["extractor"], space["head"], space["model"]


def measure_fit(ws, pairs: int) -> dict:
    """Compare `fit` on tensors that lie in memory with `fit` on our generator."""
    train, _ = generators.pair(ws, CNN_SIZE, BATCH_SIZE, SEED)
    images = tf.constant(train.inputs[np.arange(len(train.inputs))])
    labels = tf.one_hot(train.y_true, train.num_classes)
    model = build_cnn("02_baseline_cnn", train.num_classes)
    fed = generators.stream(train)
    model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0)
    model.fit(fed, shuffle=False, verbose=0)
    rates = []
    for _ in range(pairs):
        memory = time_call(
            lambda: model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0)
        )
        generator = time_call(lambda: model.fit(fed, shuffle=False, verbose=0))
        rates.append((len(images) / memory, len(images) / generator))
    return make_row(
        "fit on our generator; left: tensors in memory", *zip(*rates), "pictures/s"
    )


def count_flops(model: keras.Model) -> int:
    """Count the floating-point operations of convolutions and dense layers for one picture."""
    flops = 0
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            places = int(np.prod(layer.output.shape[1:-1]))
            flops += FLOPS_PER_MULTIPLY_ADD * int(np.prod(layer.kernel.shape)) * places
    return flops


def measure_features(ws, pairs: int) -> dict:
    """Compare ResNet50 features with what a matrix product of the same run would allow."""
    backbone = backbones.load_backbone(BACKBONE, None, TRANSFER_SIZE, {}, ws).model
    extractor = keras.Model(
        backbone.input, layers.GlobalAveragePooling2D()(backbone.output)
    )
    pictures = tf.random.uniform((BATCH_SIZE, TRANSFER_SIZE, TRANSFER_SIZE, 3))
    extractor.predict_on_batch(pictures)
    rates = []
    for _ in range(max(pairs, 5)):
        limit = measure_matrix_product() / count_flops(backbone)
        spent = time_call(
            lambda: [extractor.predict_on_batch(pictures) for _ in range(3)]
        )
        rates.append((limit, 3 * BATCH_SIZE / spent))
    limit = statistics.median(limit for limit, _ in rates)
    what = "ResNet50 features; ratio: to the limit"
    row = make_row(what, *zip(*rates), "pictures/s", limit=limit)
    del row["report's way"]
    return row


def draw_features(path: Path, count: int, classes: int, apart: float) -> np.ndarray:
    """Draw features as a pooled network gives: never negative, mostly 0, with few large ones.

    Means of the classes and most of what varies within them lie along the same few directions.
    """
    rng, rank, block = np.random.default_rng(SEED), 64, 2000
    strengths = 1 / np.sqrt(np.arange(1, rank + 1))
    strengths /= np.linalg.norm(strengths)
    directions = (
        rng.standard_normal((rank, FEATURES), np.float32) * strengths[:, np.newaxis]
    )
    means = apart * rng.standard_normal((classes, rank), np.float32)
    features = np.memmap(path, np.float32, "w+", shape=(count, FEATURES))
    for start in range(0, count, block):
        y_true = np.arange(start, min(start + block, count)) % classes
        along = means[y_true] + rng.standard_normal((len(y_true), rank), np.float32)
        noise = rng.standard_normal((len(y_true), FEATURES), np.float32) / 2
        features[start : start + block] = (
            np.maximum(along @ directions + noise - 0.5, 0) ** 1.5
        )
    return features


def measure_heads(root: Path):
    """Yield the rows about linear heads: of few classes, and of many."""
    for head in HEADS:
        yield measure_head(root, *head)


def measure_head(root: Path, count: int, classes: int, apart: float) -> dict:
    """Measure cross-validating a linear head twice, as 05 does, in a process of its own."""
    root.mkdir(exist_ok=True, parents=True)
    draw_features(root / "features", count, classes, apart)
    printed, peak = run_watched(CROSS_VALIDATION, root / "features", count, classes)
    seconds, spent, accuracy = map(float, printed.split())
    row = {
        "what": f"cross-validating a linear head on {count:,} × {FEATURES:,} features of "
        f"{classes} classes",
        "ours": seconds,
        "unit": "s",
        "note": f"accuracy {accuracy:.4f}, {spent:.0f} CPU seconds, peak anonymous memory "
        f"{peak:.2f} GB",
    }
    row["note"] += f"; load {os.getloadavg()[0]:.1f}"
    return row


def measure_chain(ws, pairs: int, transfer: tuple) -> list[dict]:
    """Compare preparing the pictures and training all three models."""
    sides = {"reported": list(transfer[0]), "ours": list(transfer[1])}
    preparation = time_preparation(ws, list_pictures(ws, ws.train)[0])
    sides["ours"] = [seconds + preparation for seconds in sides["ours"]]
    for name, augment in (("02_baseline_cnn", False), ("03_augmented_cnn", True)):
        fed = [
            feed_as_reported(ws, p, CNN_SIZE, augment and p == "train") for p in PARTS
        ]
        parts = generators.pair(ws, CNN_SIZE, BATCH_SIZE, SEED, augment)
        ours = [generators.stream(part) for part in parts]
        feeds = {"reported": fed, "ours": ours}
        models = {}
        for side in feeds:
            models[side] = build_cnn(name, parts[0].num_classes)
            time_epoch(models[side], *feeds[side])
        for pair in range(pairs):
            for side, feed in feeds.items():
                sides[side][pair] += EPOCHS * time_epoch(models[side], *feed)
    note = "CNN epochs of both, transfer of the report's way extrapolated"
    return [
        make_row(
            "three models, 20 epochs",
            sides["reported"],
            sides["ours"],
            "s",
            more_is_better=False,
            note=note,
        )
    ]


def measure_scale(root: Path) -> list[dict]:
    """Compare peak memory and work of each notebook's kernel from 1,000 to 50,000 pictures."""
    runs = []
    for count, classes in SCALE:
        folder = root / str(count)
        draw_photographs(folder / "train", count, (120, 90), classes)
        paths = {"train": "train", "results": "results", "scratch": "scratch"}
        (folder / "paths.json").write_text(json.dumps(paths))
        runs.append(run_chain(folder / "paths.json", SCALE_ARGUMENTS))
        print(f"{count:,} pictures in {classes} classes: done", flush=True)
        shutil.rmtree(folder)
    return tabulate_scale(choose_notebooks([], False, workspace.read("demo")), runs)


def tabulate_scale(names: list[str], runs: list[list]) -> list[dict]:
    """Make rows of what `run_chain` found of each notebook, in the order of `SCALE`."""
    rows = []
    for name, *kernels in zip(names, *runs, strict=True):
        peaks, seconds = zip(*kernels)
        note = " → ".join(f"{peak:.2f}" for peak in peaks)
        rows.append({"what": f"{name}: peak RssAnon, {SCALE[3][0]:,} pictures; left: {SCALE[1][0]:,}",
                     "report's way": peaks[1], "ours": peaks[3], "ratio": peaks[3] / peaks[1],
                     "unit": "GB", "note": note})  # fmt: skip
        steps = [
            1000 * (spent[1] - spent[0]) / (counts[1] - counts[0])
            for spent, counts in zip(
                itertools.pairwise(seconds[1:]),
                itertools.pairwise(c for c, _ in SCALE[1:]),
            )
        ]
        note = " → ".join(f"{spent:.0f}" for spent in seconds)
        rows.append({"what": f"{name}: CPU seconds of each further 1,000 pictures, up to "
                     f"{SCALE[3][0]:,}; left: up to {SCALE[2][0]:,}", "report's way": steps[0],
                     "ours": steps[1], "ratio": steps[1] / steps[0], "unit": "s", "note": note})  # fmt: skip
    return rows


def run_chain(paths: Path, arguments: list[str]) -> list[tuple[float, float]]:
    """Run a chain; return peak RssAnon in GB and CPU seconds of each notebook's kernel."""
    command = [sys.executable, "-m", "lib.chain", "--paths", str(paths), *arguments]
    kernels = {}
    with subprocess.Popen(command, cwd=workspace.REPOSITORY) as chain:
        while chain.poll() is None:
            for child in psutil.Process(chain.pid).children():
                with contextlib.suppress(OSError, StopIteration, psutil.Error):
                    if "ipykernel_launcher" in " ".join(child.cmdline()):
                        peak = max(
                            read_anonymous(child.pid), kernels.get(child.pid, (0, 0))[0]
                        )
                        kernels[child.pid] = (peak, sum(child.cpu_times()[:2]))
            time.sleep(0.02)
        if chain.returncode:
            raise RuntimeError("the chain failed")
    return list(kernels.values())


def print_row(row: dict) -> None:
    """Print a row of the table in Markdown, as the README shows it."""
    values = [
        f"{row[side]:,.2f}" if side in row else ""
        for side in ("report's way", "ours", "limit")
    ]
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
    if "lowest" in row:
        ratio += f" ({row['lowest']:.2f} – {row['highest']:.2f}, {row['pairs']} pairs)"
    what = "; ".join(row[key] for key in ("what", "note") if key in row)
    cells = [what, values[0], values[1], row["unit"], ratio, values[2]]
    print(f"| {' | '.join(cells)} |")


CHOICES = {
    "quick": "that take 2 minutes",
    "scale": "about many pictures",
    "workers": "about a cluster",
    "million": "up to a million pictures",
    "heads": "about linear heads",
    "sizes": "about many classes, look-alikes and answers",
    "transfer": "about transfer",
}


def main(arguments: list[str] | None = None) -> None:
    """Measure the rows that are asked for, and print them as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, rows in CHOICES.items():
        parser.add_argument(
            f"--{name}", action="store_true", help=f"only the rows {rows}"
        )
    parser.add_argument("--photos", type=Path, help="a folder of class folders")
    parser.add_argument(
        "--json", type=Path, default=Path("benchmark.json"), help="where rows go"
    )
    options = parser.parse_args(arguments)
    rows, started = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for row in measure_all(options, Path(folder)):
            print(
                f"{(time.perf_counter() - started) / 60:.1f} min: {row['what']}",
                flush=True,
            )
            rows.append(row)
            with storage.atomic_write(options.json) as part:
                part.write_text(json.dumps(rows, indent=2))
    print("\n| what | report's way | ours | | ratio (lowest – highest) | limit |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print_row(row)


def measure_sizes(root: Path):
    """Yield the rows about many classes, look-alikes and answers."""
    yield measure_alike(root / "alike")
    for count, classes in CLASSES:
        yield measure_classes(root / "classes", count, classes)
    yield measure_answers(root / "answers")
    import page_speed  # which imports this file

    yield page_speed.measure_page(root / "page")


def measure_all(options, root: Path):
    """Yield the rows, as the options choose them."""
    import scale  # which imports this file

    if options.transfer:
        train = options.photos or draw_photographs(root / "train", 1000)
        yield measure_transfer(prepare(train, root), 2, root)[0]
        return
    if options.workers:
        originals = options.photos or draw_photographs(root / "train", 1000)
        yield from scale.measure_workers(originals, root / "workers")
        return
    if options.million:
        yield from scale.measure_million(root / "million")
        return
    if options.heads:
        yield from measure_heads(root / "heads")
        return
    if options.sizes:
        yield from measure_sizes(root)
        return
    if not options.scale:
        count = 320 if options.quick else 1000
        train = options.photos or draw_photographs(root / "train", count)
        ws = prepare(train, root)
        for augment in (False, True):
            yield measure_feed(ws, PAIRS, augment)
        yield measure_preparation(ws, PAIRS)
        yield measure_features(ws, PAIRS)
        if not options.quick:
            yield measure_fit(ws, PAIRS)
            row, *transfer = measure_transfer(ws, PAIRS, root)
            yield row
            yield from measure_chain(ws, PAIRS, transfer)
    if options.scale or not options.quick:
        yield measure_memory(root)
        yield measure_copies(root / "copies")
        yield from measure_sizes(root)
        yield from measure_heads(root / "heads")
        yield from measure_scale(root)
        originals = options.photos or draw_photographs(root / "originals", 1000)
        yield from scale.measure_workers(originals, root / "workers")
        yield from scale.measure_million(root / "million")


if __name__ == "__main__":
    main()
