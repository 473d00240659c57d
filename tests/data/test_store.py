"""The store: whole rows, whoever writes them and whatever happens to files and processes."""

import multiprocessing
import os
import pickle
import resource
import signal

import numpy as np
import pytest

from lib.data import store as stores
from lib.data.store import SHARDS, Selection, Store

SHAPE = (16, 16, 3)


def make_row(digest):
    """Return the row that belongs to a digest, and to no other."""
    rng = np.random.default_rng(int(digest, 16))
    return rng.integers(0, 256, SHAPE, dtype=np.uint8)


def make_digests(numbers):
    return [f"{number:032x}" for number in numbers]


def open_rows(folder):
    return Store(folder, np.uint8, SHAPE)


def fill(folder, numbers, block=5):
    store = open_rows(folder)
    for start in range(0, len(numbers), block):
        digests = store.find_missing(make_digests(numbers[start : start + block]))
        store.put({digest: make_row(digest) for digest in digests})


def read_back(folder, numbers):
    """Check that each of these digests has its own row."""
    store = open_rows(folder)
    digests = make_digests(numbers)
    expected = [make_row(digest) for digest in digests]
    assert np.array_equal(store[digests], expected)
    return store


def test_eight_writers_of_one_store_leave_every_row_where_its_digest_says(tmp_path):
    context = multiprocessing.get_context("fork")
    # Each overlaps with its neighbours, half of it.
    shares = [list(range(100 * number, 100 * number + 200)) for number in range(8)]
    writers = [context.Process(target=fill, args=(tmp_path, share)) for share in shares]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0

    assert len(read_back(tmp_path, range(900))) == 900


def test_killed_writers_leave_whole_shards_and_the_next_goes_on(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(4):
        writer = context.Process(target=fill, args=(tmp_path, list(range(3000)), 3))
        before = len(list(tmp_path.glob(SHARDS)))
        writer.start()
        while len(list(tmp_path.glob(SHARDS))) <= before + attempt:
            assert writer.is_alive()
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        written = open_rows(tmp_path)
        read_back(tmp_path, [int(digest, 16) for digest in written.index])
    fill(tmp_path, list(range(200)))
    assert 0 < len(written) <= len(read_back(tmp_path, range(200)))


def test_reader_sees_what_others_write_once_it_looks_again(tmp_path):
    fill(tmp_path, [1, 2])
    reader = open_rows(tmp_path)
    (third,) = make_digests([3])

    fill(tmp_path, [3])

    assert third not in reader.index
    assert len(reader) == 2
    assert reader.find_missing(make_digests([3, 1, 4, 4])) == make_digests([4])
    assert np.array_equal(reader[third], make_row(third))


def test_row_that_is_not_there_is_an_error(tmp_path):
    fill(tmp_path, [1, 2])
    reader = open_rows(tmp_path)
    with pytest.raises(OSError, match="lacks rows"):
        reader[make_digests([99])]


def cut(shard, size):
    shard.write_bytes(shard.read_bytes()[:size])


DAMAGES = {
    "cut": lambda shard: cut(shard, 5000),
    "cut header": lambda shard: cut(shard, 100),
    "emptied": lambda shard: cut(shard, 0),
    "gone": lambda shard: shard.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_shard_is_named_and_without_it_its_rows_are_made_anew(tmp_path, damage):
    fill(tmp_path, range(20), 10)
    store = open_rows(tmp_path)
    shard = min(tmp_path.glob(SHARDS))

    DAMAGES[damage](shard)

    with pytest.raises(OSError, match=f"{shard} .*delete"):
        Selection(store, np.array(make_digests(range(20))))[:]

    shard.unlink(missing_ok=True)
    assert len(open_rows(tmp_path).find_missing(make_digests(range(20)))) == 10
    fill(tmp_path, range(20))
    read_back(tmp_path, range(20))


def test_damaged_shard_is_named_when_the_store_is_opened(tmp_path):
    fill(tmp_path, range(20), 20)
    (shard,) = tmp_path.glob(SHARDS)
    cut(shard, 5000)
    with pytest.raises(OSError, match=str(shard)):
        open_rows(tmp_path)


def test_numpy_reads_a_shard(tmp_path):
    fill(tmp_path, [1, 2])
    (path,) = tmp_path.glob(SHARDS)
    (shard,) = np.load(path)
    assert shard["digest"].astype(str).tolist() == make_digests([1, 2])
    assert np.array_equal(shard["row"][1], make_row(make_digests([2])[0]))


def test_more_shards_than_may_be_open_are_read(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fill(tmp_path, range(300), 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (250, hard))
    try:
        read_back(tmp_path, [7, *range(300), 7])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_full_disk_is_named_and_the_store_goes_on(tmp_path):
    fill(tmp_path, range(3))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"\.npy .*free"):
            fill(tmp_path, range(3, 30), 27)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert len(list(tmp_path.iterdir())) == 1, "nothing half-written is left"
    fill(tmp_path, range(30))
    read_back(tmp_path, range(30))


def test_a_selection_is_sent_as_digests_and_read_where_it_arrives(tmp_path):
    fill(tmp_path, range(200), 1)
    digests = np.array(make_digests(range(200)))
    chosen = Selection(open_rows(tmp_path), digests).take([150, 2, 7, 150])

    sent = pickle.dumps(chosen)

    assert len(sent) < 3000, "neither rows nor the names of 200 files"
    expected = [make_row(digest) for digest in digests[[150, 2, 7, 150]]]
    assert np.array_equal(pickle.loads(sent)[:], expected)
    assert np.array_equal(chosen[:], expected)
    assert chosen.shape == (4, 16, 16, 3)


def test_stores_of_an_older_loader_are_others(tmp_path, monkeypatch):
    before = stores.open_store(tmp_path, "pixels_8", np.uint8, SHAPE)

    monkeypatch.setattr(stores, "LOADER_VERSION", stores.LOADER_VERSION + 1)

    after = stores.open_store(tmp_path, "pixels_8", np.uint8, SHAPE)
    assert after.name != before.name


def test_files_that_killed_writers_left_are_swept_once_nobody_writes_them(tmp_path):
    folder = stores.open_store(tmp_path, "pixels_8", np.uint8, SHAPE).folder
    folder.mkdir(parents=True)
    left = folder / f"unfinished_{0:032x}.npy"
    in_use = folder / f"unfinished_{1:032x}.npy"
    mine = folder / "mine.part.npy"
    for path in (left, in_use, mine):
        path.touch()
    for path in (left, mine):
        os.utime(path, (0, 0))

    stores.open_store(tmp_path, "pixels_8", np.uint8, SHAPE)

    assert set(folder.iterdir()) == {in_use, mine}
