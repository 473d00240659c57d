"""Inject faults and count what survives: the long versions of what tests/test_faults.py tests.

PYTHONPATH=. python tests/faults.py                    all rows of the table
PYTHONPATH=. python tests/faults.py kills --count 5    one row, with another number of faults
PYTHONPATH=. python tests/faults.py fuzz --photos P    mutates the pictures of a folder, too
"""

import argparse
import contextlib
import gc
import io
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import pandas as pd
import psutil
from conftest import build_classifier, draw_classes, load_bytes, read_all
from drawing import CLASS_NAMES, draw_picture
from PIL import Image

from lib import chain, cluster, predict, runner
from lib.base import storage, workspace
from lib.data import pictures, pixels, sorting, split

SMALL = (
    """-p EPOCHS 3 -p IMAGE_SIZE 32 -p IMAGE_SIZES [32] -p BACKBONE MobileNet@32 -p WEIGHTS null
-p LEARNING_RATE 0.001 -p DETERMINISTIC true""".split()
    + ["-p", "BACKBONE_OPTIONS", "{alpha: 0.25}"]
)
# 04 alone of the models, whose features are many workers' work.
SPREAD = ["--only", "01", "04", *SMALL]
SHORT = "--only 01 -p IMAGE_SIZES [32]".split()
KINDS = {
    "jpeg": {},
    "jpeg, progressive": {"progressive": True},
    "png": {},
    "gif": {},
    "webp": {},
    "webp, lossless": {"lossless": True},
    "bmp": {},
    "tiff": {},
    "tiff, lzw": {"compression": "tiff_lzw"},
    "tiff, jpeg": {"compression": "jpeg"},
}
# Columns that tell how long something took.
TIMED = ["seconds", "training_seconds", "pictures_per_second"]
MOST_SECONDS = 2
MOST_BYTES = 1 << 30
DISKS = (100, 200, 300, 400, 500, 700, 1000, 10_000)  # kilobytes


def make_paths(root: Path, results="r", scratch="s") -> Path:
    """Draw small pictures, enough for several blocks of work, and return their paths file."""
    draw_classes(root / "train", 60)
    draw_classes(root / "test", 2, seed=1)
    paths = {
        "train": "train",
        "test": "test",
        "results": str(results),
        "scratch": str(scratch),
    }
    (root / "paths.json").write_text(json.dumps(paths))
    return root / "paths.json"


def start_chain(paths: Path, arguments: list, before: tuple = ()) -> subprocess.Popen:
    """Start a chain in a process of its own, behind a command `before` it."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "lib.chain", "--paths", str(paths), *arguments],
        cwd=workspace.REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    """Wait for a chain that must end well; return what it said."""
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def read_numbers(results: Path) -> dict:
    """Read what a run must give again: every file's name, every number but seconds and dates."""
    found = {}
    for path in filter(Path.is_file, results.rglob("*")):
        # What a spared kernel left half-written is swept by the next chain.
        if path.name == ".lock" or path.name.startswith("unfinished_"):
            continue
        content = b""
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str)
            content = table.drop(columns=TIMED, errors="ignore").to_csv().encode()
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                content = archive.read("model.weights.h5") + archive.read("config.json")
        elif path.name == "metrics.json":
            content = path.read_bytes()
        found[str(path.relative_to(results))] = content
    return found


def list_differences(found: dict, expected: dict) -> list[str]:
    """List the files that only one run has, or that say something else."""
    return sorted(k for k in found | expected if found.get(k) != expected.get(k))


def run_whole(root: Path, arguments: list) -> dict:
    """Run a chain undisturbed, unless one lies there already; return its numbers."""
    if not (root / "whole").exists():
        finish(start_chain(make_paths(root / "whole"), arguments))
    return read_numbers(root / "whole/r")


def kill(process: subprocess.Popen, with_kernel: bool) -> None:
    """Kill a chain by kill -9, with all its kernels or alone."""
    children = psutil.Process(process.pid).children(recursive=True)
    for victim in [process, *(children if with_kernel else [])]:
        victim.kill()
    process.communicate()


def survive_kills(
    count: int, root: Path, arguments=SMALL, most: float | None = None, seed: int = 0
) -> int:
    """Kill chains at random moments, several times each, and run each again after a kill.

    Every second kill spares the kernel, which has to notice by itself.

    Args:
        most: seconds that a chain may run before a kill; None for those of an uninterrupted run.

    Returns:
        Kills after whose chain all files and numbers equal those of an uninterrupted run.
    """
    started = time.perf_counter()
    expected = run_whole(root, arguments)
    if most is None:
        most = time.perf_counter() - started
    rng = random.Random(seed)
    survived = 0
    done = 0
    for number in itertools.count():
        if done == count:
            return survived
        folder = root / str(number)
        kills = 0
        # Every second chain begins anew where an older one has finished.
        if number % 2:
            shutil.copytree(root / "whole", folder)
        paths = make_paths(folder)
        process = start_chain(paths, [*arguments, *number % 2 * ["--anew"]])
        while kills < min(3, count - done):
            try:
                process.communicate(timeout=rng.uniform(1, most))
                break
            except subprocess.TimeoutExpired:
                kill(process, with_kernel=(done + kills) % 2 == 0)
                kills += 1
                process = start_chain(paths, arguments)
        output, _ = process.communicate()
        different = list_differences(read_numbers(paths.parent / "r"), expected)
        survived += 0 if process.returncode or different else kills
        done += kills
        print(
            f"{survived} of {done} {paths.parent} {output} {different}", file=sys.stderr
        )


def write_cheap_notebooks(folder: Path) -> None:
    """Write 01 and 02 of two cells each, which do nothing."""
    folder.mkdir()
    for name in runner.NAMES[:2]:
        cells = [nbformat.v4.new_code_cell(f"CELL = {number}") for number in (1, 2)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbformat.write(notebook, folder / f"{name}.ipynb")


class Stop(threading.Thread):
    """Sends a signal to this process after some seconds, unless it is called off."""

    def __init__(self, number: int, seconds: float, is_own: bool):
        super().__init__()
        self.number = number
        self.seconds = seconds
        self.is_own = is_own
        self.called_off = threading.Event()
        self.sent = None

    def run(self):
        if not self.called_off.wait(self.seconds):
            self.sent = time.perf_counter()
            if self.is_own:
                # Handled by the main thread, whose wait it doesn't interrupt.
                signal.pthread_kill(threading.get_ident(), self.number)
            else:
                os.kill(os.getpid(), self.number)


def list_left(results: Path) -> list:
    """List what a stopped chain has left: kernels, half-written files, its lock."""
    left = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in child.cmdline():
                left.append(child.pid)
    left += results.rglob("unfinished_*")
    try:
        storage.acquire_lock(results / ".lock", timeout=0).__exit__(None, None, None)
    except OSError as error:
        left.append(error)
    return left


def survive_stops(count: int, root: Path, seconds: float = 3, seed: int = 0) -> int:
    """Stop chains of two cheap notebooks in this process at random moments: start, cell, end, and between.

    Every second signal doesn't interrupt what the main thread waits for.

    Args:
        seconds: how soon a chain has to end.

    Returns:
        Signals after which the chain ended so soon with the status of the signal, and left nothing behind.
    """
    rng = random.Random(seed)
    arguments = ["--paths", str(make_paths(root)), "--only", "1", "2"]
    write_cheap_notebooks(root / "notebooks")
    taken = []
    survived = 0
    number = 0
    with (
        mock.patch.object(runner, "NOTEBOOKS", root / "notebooks"),
        # What comes too late for a chain is passed over.
        runner.handle_stops(lambda *further: None),
    ):
        started = time.perf_counter()
        assert chain.main(arguments) == 0
        whole = time.perf_counter() - started
        while number < count:
            asked = (signal.SIGINT, signal.SIGTERM)[number // 2 % 2]
            stop = Stop(asked, rng.uniform(0, whole), is_own=number % 2 == 1)
            stop.start()
            status = chain.main(arguments)
            ended = time.perf_counter()
            stop.called_off.set()
            stop.join()
            if status == 0:
                continue
            taken.append(ended - stop.sent)
            left = list_left(root / "r")
            number += 1
            survived += status == 128 + asked and taken[-1] <= seconds and not left
            print(
                f"{survived} of {number}: {asked} after {stop.seconds:.2f} s, {status} after "
                f"{taken[-1]:.2f} s {left}",
                file=sys.stderr,
            )
        assert chain.main(arguments) == 0
    print(f"slowest {max(taken):.2f} s, of {whole:.1f} s", file=sys.stderr)
    return survived


def survive_crowds(count: int, root: Path) -> int:
    """Run as many chains at once on one scratch folder, each with results of its own.

    Returns:
        Chains that ended well with the tables of one alone, where every pixel kept is right.
    """
    tables = ("split", "checks", "pictures")
    run_whole(root, SHORT)
    paths = make_paths(root, scratch="shared")
    results = [root / f"r{number}" for number in range(count)]
    running = [
        start_chain(paths, [*SHORT, "--results", str(place)]) for place in results
    ]
    survived = 0
    ws = workspace.read(paths, results[0])
    for process, place in zip(running, results):
        output, _ = process.communicate()
        same = all(
            (place / f"{name}.csv").read_bytes()
            == (root / f"whole/r/{name}.csv").read_bytes()
            for name in tables
        )
        survived += process.returncode == 0 and same
        print(f"{survived} {output}", file=sys.stderr)
    rows = split.read_split(ws)
    kept = pixels.open_pixels(ws, rows, 32)[:]
    right = all(
        (kept[k] == pictures.load(ws.train / f, 32)).all()
        for k, f in enumerate(rows.file)
    )
    return survived * right


def damage_stores(scratch: Path, way: int) -> None:
    """Damage every store: cut its rows, or its digests, or remove its rows."""
    for folder in scratch.glob("stores/*/*/"):
        path = folder / ("rows", "digests", "rows")[way]
        content = path.read_bytes()
        path.unlink()
        if way < 2:
            # Most often in the middle of a row, or digest.
            path.write_bytes(content[: len(content) * 3 // 7])


def survive_damage(count: int, root: Path) -> int:
    """Damage every store of a finished chain: cut its rows or digests, or remove its rows.

    Returns:
        Chains that trained anew to all files and numbers of the undisturbed one.
    """
    paths = make_paths(root)
    survived = 0
    finish(start_chain(paths, SMALL))
    expected = read_numbers(root / "r")
    for number in range(count):
        damage_stores(root / "s", number % 3)
        process = start_chain(paths, [*SMALL, "--anew"])
        output, _ = process.communicate()
        different = list_differences(read_numbers(root / "r"), expected)
        survived += process.returncode == 0 and not different
        print(f"{survived} of {number + 1} {output} {different}", file=sys.stderr)
    return survived


def survive_full_disks(count: int, root: Path, arguments=SMALL, sizes=DISKS) -> int:
    """Run chains whose results go to a small disk, which fills up at some moment.

    Returns:
        Chains that named the full folder, left only whole files, and went on after room was made.
    """
    survived = 0
    for size in sizes[:count]:
        disk = root / f"{size}/disk"
        kept = root / f"{size}/kept"
        disk.mkdir(parents=True)
        paths = make_paths(root / str(size), results=disk / "r")
        # In a name space of its own any user may mount; what was written there is copied out.
        script = (
            f"mount -t tmpfs -o size={size}k disk '{disk}' && \"$@\"; "
            f"status=$?; cp -r '{disk}/r' '{kept}'; exit $status"
        )
        process = start_chain(
            paths, arguments, before=("unshare", "-rm", "sh", "-c", script, "sh")
        )
        output, _ = process.communicate()
        named = (
            process.returncode == 1 and f"{disk}/r" in output and "make room" in output
        )
        broken = [path for path in kept.rglob("*") if not is_whole(path)]
        shutil.copytree(kept, disk / "r")
        again = start_chain(paths, arguments)
        resumed, _ = again.communicate()
        survived += named and not broken and again.returncode == 0
        print(f"{size} kB: {output} {broken} {resumed}", file=sys.stderr)
    return survived


def is_whole(path: Path) -> bool:
    """Tell whether a file of the results folder can be read to its end."""
    # Locks and marks are empty, and a log is what was said.
    if path.is_dir() or path.suffix in ("", ".log", ".finished"):
        return True
    try:
        if path.suffix in (".json", ".ipynb"):
            json.loads(path.read_text())
        elif path.suffix in (".csv", ".txt"):
            return path.read_text().endswith("\n")
        elif path.suffix in (".svg", ".html", ".md"):
            return path.read_text().rstrip().endswith((">", "```"))
        elif path.suffix == ".png":
            Image.open(path).load()
        else:
            return zipfile.ZipFile(path).testzip() is None
    except Exception:
        return False
    return not path.name.startswith("unfinished_")


def list_workers(process: psutil.Process) -> list[psutil.Process]:
    """List the workers that a chain has started: children that others can connect to."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if list_listening(child) and "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def list_connections(process: psutil.Process) -> list:
    """List what a process listens to, and is connected with."""
    # Its name until psutil 6.
    find = getattr(process, "net_connections", None) or process.connections
    return find("tcp")


def list_listening(process: psutil.Process) -> list:
    """List the places at which a process can be connected to."""
    return [place for place in list_connections(process) if place.status == "LISTEN"]


def survive_dead_workers(count: int, root: Path, seed: int = 0) -> int:
    """Kill one of two workers of chains by kill -9 at random moments.

    Returns:
        Kills after which the chain ended well, with all files and numbers of an undisturbed one
        on this machine alone.
    """
    expected = run_whole(root, SPREAD)
    rng = random.Random(seed)
    survived = 0
    for number in range(count):
        paths = make_paths(root / str(number))
        process = start_chain(paths, [*SPREAD, "--cluster", "local:2"])
        while not (workers := list_workers(psutil.Process(process.pid))):
            time.sleep(0.01)
        # While most work is: the first seconds are 01's, some later ones 04's.
        time.sleep(rng.uniform(0, 12))
        if workers := list_workers(psutil.Process(process.pid)) or workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(workers).kill()
        output, _ = process.communicate()
        different = list_differences(read_numbers(paths.parent / "r"), expected)
        survived += process.returncode == 0 and not different
        print(f"{survived} of {number + 1} {output} {different}", file=sys.stderr)
    return survived


class Cluster:
    """A scheduler and workers in processes of their own, as people start them."""

    def __init__(self, root: Path = workspace.REPOSITORY):
        self.processes = []
        self.start("scheduler", root, "--host", "127.0.0.1", "--port", "0")
        # A port that was free a moment ago may be another's.
        while "Scheduler at:" not in (line := self.processes[0].stderr.readline()):
            pass
        self.address = line.split()[-1]

    def start(self, module: str, root: Path, *arguments) -> None:
        """Start a scheduler or worker on the project in a folder."""
        paths = f"{root}:{Path(__file__).parent}"
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{module}", *arguments, "--no-dashboard"],
            env=os.environ | {"PYTHONPATH": paths}, cwd="/",
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)

    def add_worker(self, root: Path = workspace.REPOSITORY) -> None:
        """Start a worker of one thread."""
        self.start("worker", root, self.address, "--nthreads", "1")

    def end(self) -> None:
        """Kill all of it."""
        if self.address in cluster.clients:
            cluster.clients.pop(self.address).close()
        for process in self.processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.kill()
            process.wait()


@contextlib.contextmanager
def run_cluster():
    """Run a scheduler and two workers; yield them."""
    running = Cluster()
    for _ in range(2):
        running.add_worker()
    try:
        yield running
    finally:
        running.end()


def survive_dead_schedulers(count: int, root: Path, seed: int = 0) -> int:
    """Kill the scheduler of a chain at random moments; go on with another.

    Returns:
        Kills after which the chain had said so, or needed it no more, and run again ended with
        all files and numbers of an undisturbed one.
    """
    expected = run_whole(root, SPREAD)
    rng = random.Random(seed)
    survived = 0
    for number in range(count):
        paths = make_paths(root / str(number))
        with run_cluster() as running:
            process = start_chain(paths, [*SPREAD, "--cluster", running.address])
            time.sleep(rng.uniform(4, 20))
            running.processes[0].kill()
            output, _ = process.communicate()
        said = process.returncode == 0 or "scheduler" in output
        with run_cluster() as running:
            again = start_chain(paths, [*SPREAD, "--cluster", running.address])
            output += again.communicate()[0]
        different = list_differences(read_numbers(paths.parent / "r"), expected)
        survived += said and again.returncode == 0 and not different
        print(f"{survived} of {number + 1} {output} {different}", file=sys.stderr)
    return survived


def draw_seeds(photos: Path | None) -> list[bytes]:
    """Save drawn pictures, and those of a folder, in every format; return the files' bytes."""
    rng = np.random.default_rng(0)
    seeds = []
    pictures = [draw_picture(CLASS_NAMES[i], rng) for i in range(2)]
    pictures.append(pictures[0].resize((40, 30)).convert("RGBA"))
    pictures[-1].putalpha(128)
    files = sorted(p for p in photos.rglob("*.jpg"))[:40] if photos else []
    for picture in pictures:
        for kind, options in KINDS.items():
            buffer = io.BytesIO()
            name = kind.split(",")[0]
            plain = (
                picture.convert("RGB")
                if name in ("jpeg", "bmp") or "jpeg" in kind
                else picture
            )
            plain.save(buffer, name, **options)
            seeds.append(buffer.getvalue())
    return seeds + [file.read_bytes() for file in files]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert and swap bytes of a file, once to eight times."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        # Half of all changes meet the first 200 bytes, where the sizes stand.
        at = rng.randrange(max(1, min(len(data), rng.choice((200, len(data))))))
        length = rng.choice((1, 2, 4, 50))
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = (
                    bytes([data[at] ^ 1 << rng.randrange(8)]) if data else b""
                )
            case 1:
                data[at : at + 1] = rng.choice((b"\xff", b"\x00", b"\x7f"))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = rng.randbytes(length)
            case 4:
                other = rng.randrange(len(data) + 1)
                swapped = data[other : other + 8], data[at : at + 8]
                data[at : at + 8], data[other : other + 8] = swapped
    return bytes(data if rng.random() < 0.9 else data[: rng.randrange(len(data) + 1)])


def read_peak() -> int:
    """Return the most memory that this process has held, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def survive_mutations(count: int, photos: Path | None = None, seed: int = 0) -> int:
    """Load mutated pictures twice each.

    Returns:
        Pictures that gave the same verdict twice, a picture or a word, each within 2 seconds of
        computing, while the process grew by less than a gigabyte.
    """
    seeds = draw_seeds(photos)
    rng = random.Random(seed)
    survived = 0
    slowest = 0.0
    verdicts = {}
    before = read_peak()
    for number in range(count):
        data = mutate(seeds[number % len(seeds)], rng)
        answers = []
        for _ in range(2):
            started = time.thread_time()
            try:
                answers.append(load_bytes(data, 32).tobytes())
            except pictures.PictureError as error:
                answers.append(error.problem)
            slowest = max(slowest, time.thread_time() - started)
        word = answers[0] if isinstance(answers[0], str) else "used"
        verdicts[word] = verdicts.get(word, 0) + 1
        grown = read_peak() - before
        if answers[0] == answers[1] and slowest <= MOST_SECONDS and grown <= MOST_BYTES:
            survived += 1
        else:
            Path(tempfile.gettempdir(), f"survived_not_{number}.bin").write_bytes(data)
    print(
        f"{verdicts}, slowest {slowest:.2f} s, grown by {grown / 1e6:.0f} MB",
        file=sys.stderr,
    )
    return survived


def count_held(root: Path) -> dict:
    """Count what a process and its chains may hold on to, in bytes and pieces."""
    process = psutil.Process()
    gc.collect()
    return {
        "memory": process.memory_info().rss,
        "descriptors": process.num_fds(),
        "children": len(process.children()),
        "files": sum(1 for path in root.rglob("*")),
        "temporary": len(list(Path(tempfile.gettempdir()).iterdir())),
    }


def survive_repetition(count: int, root: Path, arguments=SMALL) -> int:
    """Run chains in a row in this process and folder; return those that left nothing behind."""
    paths = make_paths(root)
    held = []
    survived = 0
    # One of their own: other programs come and go in the usual temporary folder.
    (own := root / "temporary").mkdir()
    with (
        mock.patch.dict(os.environ, TMPDIR=str(own)),
        mock.patch.object(tempfile, "tempdir", own),
    ):
        for _ in range(count):
            survived += chain.main(["--paths", str(paths), *arguments]) == 0
            held.append(count_held(root))
    first = held[min(1, count - 1)]
    last = held[-1]
    print(held, file=sys.stderr)
    grown = {key: last[key] - first[key] for key in first}
    # Python keeps a little for the next time; 2 MB a chain would still show after ten.
    return (
        survived
        if grown.pop("memory") < 2e6 * count and max(grown.values()) <= 0
        else 0
    )


def save_answerer(folder: Path) -> Path:
    """Save an untrained model of three classes, as lessons do; return its file."""
    from keras import layers, utils

    from lib.models import saved

    utils.set_random_seed(1)
    model = build_classifier(layers.Rescaling(1 / 255), layers.Flatten())
    path = folder / "tiny.keras"
    model.save(path)
    names = ["a", "b", "c"]
    described = {"name": "tiny", "class_names": names, "image_size": 8}
    described["file_hash"] = saved.hash_model(path, names)
    path.with_suffix(".json").write_text(json.dumps(described))
    return path


def answer_pictures(folder: Path, arguments: list[str], stop: int, number: int) -> None:
    """Run lib.predict in blocks of two pictures, and exit with its status.

    Args:
        folder: gets a file with the count of lines that ran of what writes files.
        stop: before which of these lines this process gets a signal; -1 for none.
        number: of the signal.
    """
    from lib import answering

    answering.BLOCK = 2
    modules = (predict, answering, sorting, storage, shutil)
    ours = {module.__file__ for module in modules}
    lines = itertools.count()

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in ours:
            return None
        if event == "line" and next(lines) == stop:
            os.kill(os.getpid(), number)
        return trace

    sys.settrace(trace)
    status = predict.predict_pictures(arguments)
    sys.settrace(None)
    (folder / "lines").write_text(str(next(lines)))
    sys.exit(status)


def survive_stopped_answers(count: int, root: Path, seed: int = 0) -> int:
    """Stop lib.predict at random moments, then run it again.

    Half of the moments are random lines of its code, so that those between two files are among them,
    and half are random times; half of the signals are SIGTERM, half SIGKILL.

    Returns:
        Commands after which nothing of the user's was touched and nothing half stood under a whole name,
        and whose second start ended as an undisturbed one does.
    """
    model = save_answerer(root)
    mine = root / "mine"
    draw_classes(mine, 5, ["red", "NA"])
    (mine / "table.csv").write_text("file,label\n")
    before = read_all(mine)
    # Processes of it have TensorFlow from the first moment on.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["lib.answering"])

    def start(folder, stop=-1, number=0):
        options = ["--csv", folder / "a.csv", "--sort-into", folder / "sorted"]
        arguments = [str(each) for each in (model, mine / "red", mine / "NA", *options)]
        task = (root, arguments, stop, number)
        process = forks.Process(target=answer_pictures, args=task)
        process.start()
        return process

    whole = root / "whole"
    whole.mkdir()
    start(whole).join()
    started = time.perf_counter()
    again = root / "again"
    again.mkdir()
    start(again).join()
    seconds = time.perf_counter() - started
    expected = read_all(whole)
    assert len(expected) == 12 and read_all(again) == expected
    lines = int((root / "lines").read_text())
    rng = random.Random(seed)
    survived = 0
    outcomes = {}
    for fault in range(count):
        folder = root / f"{fault}"
        folder.mkdir()
        number = (signal.SIGTERM, signal.SIGKILL)[fault % 2]
        if fault % 4 < 2:
            process = start(folder, rng.randrange(lines), number)
        else:
            process = start(folder)
            time.sleep(rng.uniform(0, seconds))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        process.join()
        left = read_all(folder)
        named = {path for path in left if "unfinished" not in str(path)}
        named.discard(Path("sorted", "about_this_folder.txt"))
        is_half = any(left[path] != expected.get(path) for path in named)
        is_half |= 0 < len(named - {Path("a.csv")}) < 11
        second = start(folder)
        second.join()
        is_same = read_all(folder) == expected and read_all(mine) == before
        leftovers = [path.name for path in folder.iterdir()]
        is_clean = sorted(leftovers) == ["a.csv", "sorted"]
        survived += is_same and is_clean and not is_half
        outcome = (process.exitcode, second.exitcode, len(left))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"(first exit, second exit, files left): {outcomes}", file=sys.stderr)
    return survived


# Promises: how they are tested, with how many faults, and what injects them.
FAULTS = {
    "fuzz": (
        "no picture crashes, hangs or eats memory; the verdict is the same twice",
        "bytes flipped, cut, inserted and swapped in ten formats",
        10_000,
        survive_mutations,
    ),
    "kills": (
        "a killed chain goes on to the same files and numbers",
        "`kill -9` at random moments, every second one spares the kernel; then run again",
        8,
        survive_kills,
    ),
    "stops": (
        "a stop ends the chain within 3 seconds; no kernel, half-written file or lock is left",
        "at random moments of start, cell, end, and between two notebooks; half of them interrupt no wait",
        200,
        survive_stops,
    ),
    "answers": (
        "a stopped lib.predict goes on to the same table and copies; nothing half has a whole name",
        "`--csv` and `--sort-into` ended by SIGTERM or SIGKILL at random lines and times; then run again",
        100,
        survive_stopped_answers,
    ),
    "crowds": (
        "chains at once on one scratch folder give the tables of one alone, and right pixels",
        "eight chains `--only 01`, started together",
        8,
        survive_crowds,
    ),
    "damage": (
        "rows that a store has lost are made anew, to the same numbers",
        "in every store rows or digests cut, or rows removed; then `--anew`",
        3,
        survive_damage,
    ),
    "disks": (
        "a disk that fills up is named, files stay whole, the chain goes on later",
        "results on disks of 0.1 to 10 MB",
        8,
        survive_full_disks,
    ),
    "workers": (
        "another worker of a cluster does the work of one that dies: the same files",
        "`kill -9` of one of two workers at random moments",
        10,
        survive_dead_workers,
    ),
    "scheduler": (
        "the death of a scheduler is said, and the chain goes on with another to the same files",
        "`kill -9` of it at random moments; then run again",
        4,
        survive_dead_schedulers,
    ),
    "repetition": (
        "chains in a row leave nothing behind",
        "memory, descriptors, processes, files, temporary folders",
        10,
        survive_repetition,
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the rows asked for; print the table; return 1 unless everything survived."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(FAULTS)}")
    parser.add_argument(
        "--count", type=int, help="faults, in place of the usual number"
    )
    parser.add_argument("--photos", type=Path, help="folder of pictures to mutate")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    lines = ["| promise | how it is tested | faults | survived |", "|---|---|---|---|"]
    missed = 0
    for name in options.rows or FAULTS:
        started = time.perf_counter()
        promise, how, faults, inject = FAULTS[name]
        faults = options.count or faults
        with tempfile.TemporaryDirectory() as root:
            survived = inject(faults, options.photos if name == "fuzz" else Path(root))
        print(
            f"{name}: {time.perf_counter() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        lines.append(f"| {promise} | {how} | {faults:,} | {survived:,} |")
        missed += faults - survived
    print("\n".join(lines))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
