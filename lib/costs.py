"""What a set will cost before it costs: room, and about how many minutes each notebook takes here."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lib.data.pictures import PictureError, load
from lib.machine import count_cores, list_gpus
from lib.storage import is_on_drive
from lib.workspace import Workspace

# Pictures that are decoded to see how long one takes.
BATCH = 64
# Side of the matrices whose product shows how fast this machine computes.
SIDE = 2048
# More pictures than that, and features, computed once, are the quicker way.
MANY = 50_000
# What a picture takes in each notebook with its defaults, in 10⁹ operations of a matrix product: ResNet50
# takes 8, and is as fast as such a product; an epoch of 02 takes 2.3, one of 03 with augmentation 3.4.
OPERATIONS = {"02": 46, "03": 68, "04": 8, "05": 60, "06": 60, "08": 2, "10": 2}


def describe_costs(ws: Workspace, paths: list[Path], sizes: list[int]) -> list[str]:
    """Say what a set will cost on this machine, measured on a first batch.

    Args:
        paths: of the pictures.
        sizes: sides of the squares that are kept of each.

    Returns:
        Lines for a person; none where there are no pictures.
    """
    if not paths:
        return []
    count = len(paths)
    megabytes = count * sum(3 * size * size for size in sizes) / 1e6
    where = "scratch, and as much on Google Drive"
    if not is_on_drive(ws.results):
        where = "scratch"
    minutes = {"01": count * _time_decoding(paths[:BATCH], sizes) / 60}
    speed = _measure_speed()
    for name, operations in OPERATIONS.items():
        minutes[name] = count * operations / speed / 60
    parts = [f"{round(t):,} in {name}" for name, t in minutes.items() if t >= 1]
    lines = [f"Note: {count:,} pictures need about {megabytes:,.0f} MB of {where}."]
    if parts:
        lines.append(
            f"Note: on this machine they take about so many minutes: {', '.join(parts)}."
        )
    if count > MANY:
        lines.append(
            "Note: of so many pictures --only 1 5 8 is the quickest way to a good model."
        )
    return lines


def _time_decoding(paths: list[Path], sizes: list[int]) -> float:
    """Return seconds a picture, with all cores."""
    started = time.perf_counter()
    with ThreadPoolExecutor(count_cores()) as pool:
        for size in sizes:
            list(pool.map(_try_to_load, paths, [size] * len(paths)))
    return (time.perf_counter() - started) / len(paths)


def _try_to_load(path: Path, size: int) -> None:
    try:
        load(path, size)
    except PictureError:
        pass  # 01 says what is wrong with it.


def _measure_speed() -> float:
    """Return 10⁹ operations a second of a matrix product, where networks are computed."""
    matrix = np.ones((SIDE, SIDE), np.float32)
    multiply = np.matmul
    if list_gpus():
        import keras

        multiply = keras.ops.matmul
    seconds = []
    # The first of them wakes libraries and GPU.
    for _ in range(3):
        started = time.perf_counter()
        np.asarray(multiply(matrix, matrix))
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds) / 1e9
