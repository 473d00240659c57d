"""How model.html keeps up with many pictures.

    PYTHONPATH=. python tests/page_speed.py COUNT    # 10,000 take 4 minutes

It answers drawn pictures of 240 pixels, again and again. Time and memory of the last hundred are measured
beside those of the first.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import benchmark
import keras
import numpy as np
import psutil
from conftest import add_head, find_browser, make_workspace
from handed_over import give, open_page
from playwright import sync_api

from lib.evaluation import metrics, model_page
from lib.models import litert
from lib.models.record import Record, SetLimit

CLASSES = 10
SIDE = 96  # of the model's input, in pixels
BLOCK = 100  # pictures that are given at once
RECORD = Record(
    name="small",
    class_names=[f"class {number}" for number in range(CLASSES)],
    image_size=SIDE,
    weights="untrained",
    answer_sets=SetLimit(0.8, limit=0.05, groups=60),
)


def write_page(root: Path) -> Path:
    """Write model.html of a small model; return its path."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(16, 5, strides=4, activation="relu")(images / 90 - 1.4)
    features = keras.layers.GlobalAveragePooling2D()(maps)
    model = add_head(images, features, classes=CLASSES)
    ws = make_workspace(root)
    litert.try_export(model, ws.file("models", f"{RECORD.name}.tflite"))
    number = np.arange(10 * CLASSES)
    y_prob = np.eye(CLASSES)[number % CLASSES]
    score = metrics.evaluate(number % CLASSES, y_prob, number, RECORD)
    model_page.write_page(ws, RECORD, score, flattered=False)
    return ws.results / "model.html"


def measure_memory() -> float:
    """Return the megabytes that the browser's processes hold for themselves."""
    held = 0
    for process in psutil.Process().children(recursive=True):
        if "chrom" in process.name():
            held += process.memory_full_info().uss
    return held / 1e6


def time_blocks(page, files: list[Path], count: int) -> tuple[list[float], list[float]]:
    """Ask about the files again and again.

    Returns:
        Milliseconds for each picture of a block, and the megabytes after it.
    """
    milliseconds = []
    megabytes = []
    for _ in range(count // len(files)):
        started = time.perf_counter()
        give(page, files)
        milliseconds.append(1000 * (time.perf_counter() - started) / len(files))
        megabytes.append(measure_memory())
    return milliseconds, megabytes


def measure_page(root: Path, count: int = 10_000) -> dict:
    """Measure the answers of model.html: the last hundred beside the first."""
    folder = benchmark.draw_photographs(root / "drawn", BLOCK, (240, 180))
    files = sorted(folder.rglob("*.jpg"))
    path = write_page(root)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = open_page(browser, path)
        give(page, files)  # What is new to the browser is slower.
        page.reload()
        page.get_by_text("Ready for your pictures").wait_for()
        milliseconds, megabytes = time_blocks(page, files, count)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save these answers").click()
        rows = len(Path(download.value.path()).read_bytes().splitlines()) - 1
        browser.close()
    first, last = milliseconds[0], statistics.median(milliseconds[-5:])
    return {
        "what": f"model.html: a picture of the last of {count:,}; left: of the first {BLOCK}",
        "report's way": first,
        "ours": last,
        "unit": "ms",
        "ratio": last / first,
        "note": f"{megabytes[-1] - megabytes[0]:.0f} MB more at the end, "
        f"{max(megabytes) - megabytes[0]:.0f} at most; its CSV has {rows:,} rows",
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(measure_page(Path(place), int(sys.argv[1])))
