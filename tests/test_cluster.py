"""Workers of a Dask cluster: they give what one machine gives, and what goes wrong with them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
from conftest import draw_noisy_classes, prepare_and_split
from faults import list_listening

from lib import work, workspace
from lib.data import labels, pixels, split
from lib.data.store import SHARDS
from lib.models import contest
from lib.models.features import cached_features
from lib.work import ClusterError, connect, run_blocks

pytest.importorskip("distributed")
TWO = "local:2"


@pytest.fixture
def spread(ws):
    """A workspace of 120 pictures, one of them broken and two equal, whose work two workers do."""
    draw_noisy_classes(ws.train, 40)
    (ws.train / "red/000.png").write_bytes(b"a page of the web")
    shutil.copy(ws.train / "NA/001.png", ws.train / "NA/copy.png")
    return replace(ws, cluster=TWO)


def prepare(ws, scratch, address=TWO, sizes=(8, 12)):
    """Prepare all pictures into a folder of scratch; return the table and the arrays."""
    ws = replace(ws, scratch=ws.scratch / scratch, cluster=address)
    table = pixels.prepare(ws, ws.train, labels.list_pictures(ws, ws.train), sizes)
    stores = pixels.open_stores(ws.scratch, sizes).values()
    return table, [store[table.digest[table.problem == ""]] for store in stores]


def assert_equal(one, other):
    assert one[0].equals(other[0])
    for first, second in zip(one[1], other[1], strict=True):
        assert np.array_equal(first, second)


def list_shards(scratch):
    return sorted(path.name for path in scratch.glob(f"loader_*/*/{SHARDS}"))


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    monkeypatch.setattr(pixels, "BLOCK", 32)


def test_workers_prepare_bit_for_bit_what_one_machine_prepares_and_only_once(
    spread, capsys
):
    alone = prepare(spread, "alone", None)
    together = prepare(spread, "together")
    assert_equal(together, alone)
    assert list(together[0].problem).count("not_a_picture") == 1
    shards = list_shards(spread.scratch / "together")
    assert len(shards) == len(list_shards(spread.scratch / "alone")) > 3
    assert_equal(prepare(spread, "together"), alone)
    assert list_shards(spread.scratch / "together") == shards
    assert "121/121" in capsys.readouterr().err, "the bar counts pictures"


def build_extractor(filters=5):
    keras.utils.set_random_seed(filters)
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(filters, 3),
        keras.layers.Flatten(),
    ]
    return keras.Sequential(layers)


def test_workers_compute_the_features_that_one_machine_computes(spread):
    prepare_and_split(spread)
    images = pixels.open_pixels(spread, split.read_split(spread), 8)
    found = cached_features(build_extractor(), images, spread)
    alone = replace(spread, scratch=spread.scratch / "alone", cluster=None)
    expected = cached_features(build_extractor(), images, alone)
    assert found.shape == (120, 180)
    assert np.allclose(found[:], expected[:], atol=1e-4)
    shards = list_shards(spread.scratch)
    # There already: no worker is asked.
    nowhere = replace(spread, cluster="tcp://x:1")
    again = cached_features(build_extractor(), images, nowhere)
    assert np.array_equal(again[:], found[:])
    assert list_shards(spread.scratch) == shards


def test_chain_with_workers_splits_as_one_machine_does(spread, run_chain):
    prepare_and_split(replace(spread, cluster=None), [32], seed=42)
    expected = (spread.results / "split.csv").read_bytes()
    results = spread.results.with_name("together")
    arguments = ["--results", str(results), "--only", "01", "-p", "IMAGE_SIZES", "[32]"]
    run_chain(spread.save_paths(), "--cluster", TWO, *arguments)
    assert (results / "split.csv").read_bytes() == expected
    finished = (results / "drive_paths.json").read_text()
    assert "cluster" not in finished, "what was finished is so without one, too"


def make_blocks(count):
    return [[f"{number}"] for number in range(count)]


def work_slowly(block, folder):
    """Say that a block was begun."""
    (Path(folder) / f"{block[0]} {os.getpid()}").touch()
    time.sleep(0.05)
    return len(block)


def test_work_of_a_killed_worker_is_done_by_another(spread, tmp_path):
    alone = prepare(spread, "alone", None)
    # Each gets one, and imports what it needs.
    list(run_blocks(work_slowly, [["a"], ["b"]], tmp_path, address=TWO))
    victim = list(connect(TWO).run(os.getpid).values())[0]
    blocks = make_blocks(40)
    done = []
    for block, *_ in run_blocks(work_slowly, blocks, tmp_path, address=TWO):
        if not done:
            os.kill(victim, signal.SIGKILL)  # both are at work
        done.append(block)
    assert sorted(done) == sorted(blocks)
    assert_equal(prepare(spread, "together"), alone)


@pytest.mark.parametrize("address", [TWO, None])
def test_what_was_not_begun_is_called_off_when_the_wait_is_cut_short(tmp_path, address):
    waiting = run_blocks(work_slowly, make_blocks(200), tmp_path, address=address)
    next(waiting)
    waiting.close()  # as an exception does, Ctrl-C among them
    counts = [0]
    while counts[-1] not in counts[:-1]:
        time.sleep(0.5)
        counts.append(len(list(tmp_path.iterdir())))
    assert counts[-1] < 200


def test_worker_that_cannot_see_the_pictures_is_named_with_the_file(spread):
    # The folder of an open file of this process is no other's.
    place = os.open(spread.train, os.O_RDONLY)
    there = replace(spread, train=Path(f"/proc/self/fd/{place}"))
    words = r"The worker tcp://127.*/proc/self/fd/\d+/\w+/\d+.png"
    with pytest.raises(ClusterError, match=words):
        prepare(there, "together")
    os.close(place)


def test_worker_that_cannot_see_scratch_is_no_reason_against_a_network(
    spread, tmp_path
):
    build_extractor().save(tmp_path / "net.keras")
    spread = replace(spread, cluster=None)
    prepare_and_split(spread)
    place = os.open(spread.scratch, os.O_RDONLY)
    there = replace(spread, scratch=Path(f"/proc/self/fd/{place}"), cluster=TWO)
    files = split.read_split(spread)
    names = [str(tmp_path / "net.keras")]
    with pytest.raises(ClusterError, match="The worker tcp://.*features_"):
        contest.gather_features(names, None, None, files, there, 0)
    os.close(place)


def start(module, *arguments, root=workspace.REPOSITORY, **environment):
    """Start a scheduler or worker as people do, in a process of its own."""
    paths = f"{root}:{Path(__file__).parent}"
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{module}", *arguments],
        env=os.environ | {"PYTHONPATH": paths} | environment, cwd="/",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def start_scheduler(**options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
    return start("scheduler", *told, **options), f"tcp://127.0.0.1:{port}"


@pytest.fixture
def scheduler(tmp_path):
    """The process of a scheduler, its address, and a list of further ones to end."""
    process, address = start_scheduler()
    started = [process]
    yield process, address, started
    if address in work.clients:
        work.clients.pop(address).close()
    for process in started:
        process.kill()
        process.wait()


def test_lost_scheduler_is_said_and_it_never_opened_a_block(scheduler, tmp_path):
    process, address, started = scheduler
    started += [start("worker", address, "--nthreads", "2", "--no-dashboard")]
    waiting = run_blocks(work_slowly, make_blocks(100), tmp_path, address=address)
    next(waiting)
    imported = connect(address).run_on_scheduler(lambda: set(sys.modules))
    assert not imported & {"test_cluster", "keras"}
    process.kill()
    words = "scheduler is gone: start it, then run the same again"
    with pytest.raises(ClusterError, match=words):
        list(waiting)


def test_worker_of_another_version_that_joins_later_is_refused(scheduler, tmp_path):
    _, address, started = scheduler
    started += [start("worker", address, "--nthreads", "1", "--no-dashboard")]
    client = connect(address)
    shutil.copytree(workspace.REPOSITORY / "lib", tmp_path / "lib")
    (tmp_path / "lib/handouts.py").write_text("# older\n")
    started += [
        start("worker", address, "--nthreads", "1", "--no-dashboard", root=tmp_path)
    ]
    client.wait_for_workers(2, 60)
    waiting = run_blocks(work_slowly, make_blocks(20), tmp_path, address=address)
    with pytest.raises(ClusterError, match="The worker tcp.*another version"):
        list(waiting)


def test_scheduler_without_the_project_is_refused(tmp_path):
    process, address = start_scheduler(root=tmp_path)
    started = [process, start("worker", address)]
    try:
        words = "lacks .*this project: No module named 'lib"
        with pytest.raises(ClusterError, match=words):
            connect(address)
    finally:
        for process in started:
            process.kill()
            process.wait()


def find_listening():
    return {place.laddr.ip for place in list_listening(psutil.Process())}


def test_workers_here_listen_to_this_machine_alone():
    places = connect(TWO).run(find_listening)
    places["their scheduler"] = find_listening()
    for addresses in places.values():
        assert addresses == {"127.0.0.1"}


def test_cluster_without_a_scheduler_is_an_error_soon(monkeypatch):
    monkeypatch.setattr(work, "PATIENCE", 1)
    for address in ("tcp://127.0.0.1:9", "local:two", "local:0"):
        words = f'{address} lacks a scheduler.* say "tcp://host:8786'
        with pytest.raises(ClusterError, match=words):
            connect(address)


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r'pip install "dask\[distributed\]>=\d'):
        connect("local:1")
