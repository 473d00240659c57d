"""What a set will cost before it costs: room, and about how many minutes."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.data.pictures import PictureError, load
from lib.machine import count_cores
from lib.storage import is_on_drive
from lib.workspace import Workspace

# Pictures that are decoded to see how long one takes.
BATCH = 64
# More pictures than that, and features, computed once, are the quicker way.
MANY = 50_000
# Pictures a second of a notebook with its defaults, by two CPU cores: see tests/README.md.
RATES = {"02": 7.8, "03": 5.3, "04": 23}


def describe_costs(ws: Workspace, paths: list[Path], sizes: list[int]) -> list[str]:
    """Say what a set will cost: decoding as measured on a first batch here, training as on two cores.

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
    place = "scratch"
    if is_on_drive(ws.results) and is_on_drive(paths[0]):
        place += ", and as much on Google Drive"
    lines = [f"Note: {count:,} pictures need about {megabytes:,.0f} MB of {place}."]
    minutes = {"01": count * _time_decoding(paths[:BATCH], sizes) / 60}
    for name, rate in RATES.items():
        minutes[name] = count / rate / 60
    parts = [f"{round(t):,} in {name}" for name, t in minutes.items() if t >= 1]
    if parts:
        lines.append(
            f"Note: they take about this many minutes: {', '.join(parts)} (trainings by two "
            "CPU cores; a GPU takes fewer)."
        )
    if count > MANY:
        lines.append(
            "Note: with so many pictures, --only 1 5 8 is the quickest way to a good model."
        )
    return lines


def _time_decoding(paths, sizes):
    """Return seconds for each picture, with all cores."""
    started = time.perf_counter()
    with ThreadPoolExecutor(count_cores()) as pool:
        for size in sizes:
            list(pool.map(_try_to_load, paths, [size] * len(paths)))
    return (time.perf_counter() - started) / len(paths)


def _try_to_load(path, size):
    try:
        load(path, size)
    except PictureError:
        pass  # 01 says what is wrong with it.
