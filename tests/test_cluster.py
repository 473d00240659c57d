"""Workers of a Dask cluster: they give what one machine gives, and what goes wrong with them."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
import pytest
from conftest import (
    decode_all,
    draw_classes,
    join_checks,
    prepare_and_split,
)
from faults import Cluster, list_listening
from slow_blocks import make_blocks, work_slowly
from test_features import build_extractor

from lib import cluster as dask
from lib.base import workspace
from lib.base.work import run_blocks
from lib.cluster import connect
from lib.data import pixels, split
from lib.data.store import Selection
from lib.models.features import cached_features

pytest.importorskip("distributed")
TWO = "local:2"
SIZES = (8, 12)


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    """The workers of `local:2` end with this file: what they hold is nothing to others."""
    # A busy machine may take longer to start them than a person would wait.
    with mock.patch.object(dask, "PATIENCE", 600):
        yield
    for client in dask.clients.values():
        client.shutdown()
    dask.clients.clear()


@pytest.fixture
def spread(ws):
    """A workspace of 120 pictures, one of them broken and two equal, whose work two workers do."""
    draw_classes(ws.train, 40)
    (ws.train / "red/000.png").write_bytes(b"a page of the web")
    shutil.copy(ws.train / "NA/001.png", ws.train / "NA/copy.png")
    return replace(ws, cluster=TWO)


def prepare(ws, name):
    """Prepare all pictures into a folder of scratch; return the table and the arrays."""
    ws = replace(ws, scratch=ws.scratch / name)
    table = join_checks(*decode_all(ws, SIZES))
    used = table.digest[table.problem == ""]
    stores = [pixels.open_rows(ws.scratch, size) for size in SIZES]
    return table, [Selection(store, used)[:] for store in stores]


def assert_equal(one, other):
    assert one[0].equals(other[0])
    for first, second in zip(one[1], other[1], strict=True):
        assert np.array_equal(first, second)


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    monkeypatch.setattr(pixels, "BLOCK", 32)


def test_workers_prepare_bit_for_bit_what_one_machine_prepares(spread, capsys):
    alone = prepare(replace(spread, cluster=None), "alone")
    capsys.readouterr()

    together = prepare(spread, "together")

    assert_equal(together, alone)
    # The bar counts pictures.
    assert "121/121" in capsys.readouterr().out


def test_workers_compute_the_features_that_one_machine_computes_and_only_once(spread):
    prepare_and_split(spread)
    images = pixels.open_pixels(spread, split.read_split(spread), 8)
    alone = replace(spread, scratch=spread.scratch / "alone", cluster=None)
    expected = cached_features(build_extractor(), images, alone)

    found = cached_features(build_extractor(), images, spread)

    # Five filters, slid to 6 x 6 places.
    assert found.shape == (120, 180)
    assert np.allclose(found[:], expected[:], atol=1e-4)
    # They are there: no worker is asked.
    cached_features(build_extractor(), images, replace(spread, cluster="tcp://x:1"))


def test_work_of_a_killed_worker_is_done_by_another(tmp_path):
    # Each gets one, and imports what it needs.
    list(run_blocks(work_slowly, [["a"], ["b"]], tmp_path, address=TWO))
    victim = list(connect(TWO).run(os.getpid).values())[0]
    blocks = make_blocks(40)
    waiting = run_blocks(work_slowly, blocks, tmp_path, address=TWO)
    done = [next(waiting)[0]]

    os.kill(victim, signal.SIGKILL)  # both are at work

    done += [block for block, _ in waiting]
    assert sorted(done) == sorted(blocks)


@pytest.mark.parametrize("address", [TWO, None])
def test_what_was_not_begun_is_called_off_when_the_wait_is_cut_short(tmp_path, address):
    waiting = run_blocks(work_slowly, make_blocks(2000), tmp_path, address=address)
    next(waiting)

    waiting.close()  # as an exception does, Ctrl-C among them

    # It would come last.
    list(run_blocks(work_slowly, [["further"]], tmp_path, address=address))
    assert len(list(tmp_path.iterdir())) < 2000


def test_folder_that_a_worker_cannot_see_is_named(spread):
    # No other process has this path.
    descriptor = os.open(spread.train, os.O_RDONLY)
    hidden = replace(spread, train=Path(f"/proc/self/fd/{descriptor}"))

    with pytest.raises(OSError, match=f"{hidden.train}"):
        prepare(hidden, "together")

    os.close(descriptor)


@pytest.fixture
def cluster():
    """A scheduler with one worker."""
    cluster = Cluster()
    cluster.add_worker()
    yield cluster
    cluster.end()


def test_lost_scheduler_is_said(cluster, tmp_path):
    address = cluster.address
    waiting = run_blocks(work_slowly, make_blocks(2000), tmp_path, address=address)
    next(waiting)
    client = connect(address)
    client._timeout = 1  # else it looks for the scheduler for half a minute

    cluster.processes[0].kill()

    with pytest.raises(OSError, match="scheduler is gone"):
        list(waiting)
    # It doesn't look for the scheduler any more.
    assert client.status == "closed"


def test_worker_of_another_version_that_joins_later_is_refused(cluster, tmp_path):
    client = connect(cluster.address)
    shutil.copytree(workspace.REPOSITORY / "lib", tmp_path / "lib")
    (tmp_path / "lib/handouts.py").write_text("# older\n")

    cluster.add_worker(root=tmp_path)

    client.wait_for_workers(2)
    blocks = make_blocks(2000)
    waiting = run_blocks(work_slowly, blocks, tmp_path, address=cluster.address)
    with pytest.raises(OSError, match="another version"):
        list(waiting)


def test_scheduler_without_the_project_is_refused(tmp_path):
    cluster = Cluster(root=tmp_path)
    cluster.add_worker()

    try:
        with pytest.raises(OSError, match="No module named 'lib"):
            connect(cluster.address)
    finally:
        cluster.end()


def find_listening():
    return {place.laddr.ip for place in list_listening(psutil.Process())}


def test_workers_here_listen_to_this_machine_alone():
    places = connect(TWO).run(find_listening)
    places["their scheduler"] = find_listening()
    for addresses in places.values():
        assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "local:two"])
def test_cluster_without_a_scheduler_is_an_error_soon(monkeypatch, address):
    monkeypatch.setattr(dask, "PATIENCE", 1)

    with pytest.raises(OSError, match=f"{address} .*host:8786"):
        connect(address)


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(OSError, match=r'pip install "dask\[distributed\]>=\d'):
        connect("local:1")
