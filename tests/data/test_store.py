import multiprocessing
import os
import pickle
import resource
import signal
import time

import numpy as np
import pytest

from lib.data import store as stores
from lib.data.arrays import Arrays, write_shard
from lib.data.store import Store, open_store, remove_older_stores

SHAPE = (16, 16, 3)


def make_array(digest):
    """Return the array that belongs to a digest, and to no other."""
    return np.random.default_rng(int(digest, 16)).integers(0, 256, SHAPE, dtype=np.uint8)


def make_digests(numbers):
    return [f"{number:032x}" for number in numbers]


def fill(folder, numbers, block=5, pause=0.0):
    store = Store(folder, "pixels", np.uint8, SHAPE)
    for start in range(0, len(numbers), block):
        digests = make_digests(numbers[start : start + block])
        store.append({digest: make_array(digest) for digest in digests})
        time.sleep(pause)


def read_back(folder, numbers):
    """Return the arrays of these digests, and check that each is its own."""
    store = Store(folder, "pixels", np.uint8, SHAPE)
    digests = make_digests(numbers)
    rows = store.find(digests)
    assert (rows >= 0).all()
    expected = np.stack([make_array(digest) for digest in digests])
    assert np.array_equal(store.array[rows], expected)
    return store


def test_eight_writers_of_one_store_leave_every_array_where_its_digest_says(tmp_path):
    spawn = multiprocessing.get_context("fork")
    # Each overlaps with its neighbours, half of it.
    shares = [list(range(100 * number, 100 * number + 200)) for number in range(8)]
    writers = [spawn.Process(target=fill, args=(tmp_path, share)) for share in shares]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    store = read_back(tmp_path, range(900))
    assert len(store.array) == 900, "what one has appended another does not append again"


def test_killed_writers_leave_whole_rows_and_the_next_goes_on(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(6):
        writer = context.Process(target=fill, args=(tmp_path, list(range(3000)), 3))
        writer.start()
        time.sleep(0.05 + 0.03 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = Store(tmp_path, "pixels", np.uint8, SHAPE)
        assert all(store.holds(digest) for digest in store.row_of)
    fill(tmp_path, list(range(200)))
    read_back(tmp_path, range(200))


def test_reader_sees_what_others_append_and_keeps_its_rows(tmp_path):
    fill(tmp_path, [1, 2])
    reader = Store(tmp_path, "pixels", np.uint8, SHAPE)
    before = reader.array[np.arange(2)]
    fill(tmp_path, [3])
    assert not reader.holds(make_digests([3])[0])
    assert list(reader.find(make_digests([3, 1, 4]))) == [2, 0, -1]
    assert np.array_equal(before, reader.array[np.arange(2)])


@pytest.mark.parametrize(
    "damage", ["flipped byte", "zeroed page", "cut rows", "cut index", "no rows"]
)
def test_damage_is_seen_and_mended(tmp_path, damage):
    fill(tmp_path, range(20))
    rows, index = tmp_path / "pixels.rows", tmp_path / "pixels.index"
    content = bytearray(rows.read_bytes())
    if damage == "flipped byte":
        content[5000] ^= 1
    elif damage == "zeroed page":
        content[4096:8192] = bytes(4096)
    elif damage == "cut rows":
        content = content[: len(content) // 2 + 7]
    rows.write_bytes(content)
    if damage == "cut index":
        index.write_bytes(index.read_bytes()[:100])
    elif damage == "no rows":
        rows.unlink()
    store = Store(tmp_path, "pixels", np.uint8, SHAPE)
    missing = (store.find(make_digests(range(20))) < 0).sum()
    expected = {"flipped byte": 1, "zeroed page": 7, "cut rows": 10, "cut index": 18, "no rows": 20}
    assert abs(missing - expected[damage]) <= 1 and missing
    fill(tmp_path, range(20))
    read_back(tmp_path, range(20))


def test_rows_that_were_cut_off_stay_missing_while_others_are_appended(tmp_path):
    fill(tmp_path, range(20))
    (tmp_path / "pixels.rows").write_bytes((tmp_path / "pixels.rows").read_bytes()[:5000])
    store = Store(tmp_path, "pixels", np.uint8, SHAPE)
    # The file is as long as before then, with zeros where the lost rows were.
    store.append({digest: make_array(digest) for digest in make_digests([19])})
    assert not any(map(store.lists, make_digests(range(6, 19))))
    fill(tmp_path, range(20))
    read_back(tmp_path, range(20))


def test_full_disk_is_named_and_the_store_goes_on(tmp_path):
    fill(tmp_path, range(3))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
    try:
        with pytest.raises(OSError, match="pixels.rows could not be written.*free there"):
            fill(tmp_path, range(3, 30))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    read_back(tmp_path, range(3))
    fill(tmp_path, range(30))
    read_back(tmp_path, range(30))


def test_index_grows_by_what_is_appended_alone(tmp_path):
    fill(tmp_path, range(10))
    before = (tmp_path / "pixels.index").read_bytes()
    fill(tmp_path, range(10, 12))
    after = (tmp_path / "pixels.index").read_bytes()
    assert after.startswith(before) and len(after) == len(before) * 12 // 10


def test_stores_of_older_loaders_are_removed_and_no_others(tmp_path, monkeypatch):
    old = ["loader_1/facts.rows", "pixels_160.u8", "pixels_160.csv", "features_12ab.f32"]
    mine = ["loader_9/facts.rows", "kernel.log", "pictures/x.jpg"]
    for name in (*old, *mine):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    store = open_store(tmp_path, "pixels", np.uint8, SHAPE)
    store.append({digest: make_array(digest) for digest in make_digests([1])})
    remove_older_stores(tmp_path)
    assert not any((tmp_path / name).exists() for name in old)
    assert all((tmp_path / name).exists() for name in mine)
    monkeypatch.setattr(stores, "LOADER_VERSION", stores.LOADER_VERSION + 1)
    assert list(open_store(tmp_path, "pixels", np.uint8, SHAPE).find(make_digests([1]))) == [-1]
    remove_older_stores(tmp_path)
    assert not store.rows.exists()


def test_copy_restores_a_store_and_a_damaged_one_what_is_whole_of_it(tmp_path, capsys):
    fill(tmp_path / "here", range(10))
    here, copy, new = (
        Store(tmp_path / name, "pixels", np.uint8, SHAPE) for name in ("here", "copy", "new")
    )
    here.copy_to(copy)
    copy.refresh()
    new.take_from(copy)
    read_back(tmp_path / "new", range(10))
    written = copy.index.stat().st_mtime_ns
    here.copy_to(Store(tmp_path / "copy", "pixels", np.uint8, SHAPE))
    assert copy.index.stat().st_mtime_ns == written, "what is there already is not sent again"
    content = bytearray(copy.rows.read_bytes())
    content[1000] ^= 1
    copy.rows.write_bytes(content)
    third = Store(tmp_path / "third", "pixels", np.uint8, SHAPE)
    third.take_from(Store(tmp_path / "copy", "pixels", np.uint8, SHAPE))
    assert (third.find(make_digests(range(10))) < 0).sum() == 1
    assert "is damaged" in capsys.readouterr().out
    here.copy_to(Store(tmp_path / "copy", "pixels", np.uint8, SHAPE))
    read_back(tmp_path / "copy", range(10))


def test_copy_of_a_store_that_grows_meanwhile_is_whole(tmp_path, monkeypatch):
    fill(tmp_path / "here", range(5))
    real, before = Arrays.__getitem__, []

    def read_and_grow(self, rows):
        before.append(rows)
        if len(before) == 1:
            fill(tmp_path / "here", range(5, 8))
        return real(self, rows)

    here, copy = (Store(tmp_path / name, "pixels", np.uint8, SHAPE) for name in ("here", "copy"))
    monkeypatch.setattr(Arrays, "__getitem__", read_and_grow)
    here.copy_to(copy)
    monkeypatch.undo()
    assert len(read_back(tmp_path / "copy", range(5)).row_of) == 5


def test_copy_of_a_store_with_a_damaged_row_is_written_once(tmp_path):
    fill(tmp_path / "here", range(5))
    here = Store(tmp_path / "here", "pixels", np.uint8, SHAPE)
    content = bytearray(here.rows.read_bytes())
    content[1000] ^= 1
    here.rows.write_bytes(content)
    fill(tmp_path / "here", range(5))
    for _ in range(2):
        here, copy = (
            Store(tmp_path / name, "pixels", np.uint8, SHAPE) for name in ("here", "copy")
        )
        here.copy_to(copy)
        written = copy.index.stat().st_mtime_ns
    here.copy_to(Store(tmp_path / "copy", "pixels", np.uint8, SHAPE))
    assert copy.index.stat().st_mtime_ns == written
    read_back(tmp_path / "copy", range(5))


def test_pickled_rows_name_their_files_alone_and_are_read_from_them(tmp_path):
    fill(tmp_path, range(3))
    store = Store(tmp_path, "pixels", np.uint8, SHAPE)
    digests = make_digests(range(200))
    for digest in digests[3:]:
        store.list_shards([write_shard(store.rows, {digest: make_array(digest)})])
    chosen = store.select(digests).take([150, 2, 7, 150])
    sent = pickle.dumps(chosen)
    assert len(sent) < 3000, "neither arrays nor the names of 200 files"
    received = pickle.loads(sent)
    expected = np.stack([make_array(digests[k]) for k in (150, 2, 7, 150)])
    assert np.array_equal(received[:], expected) and np.array_equal(chosen[:], expected)
    assert list(received.digests) == list(chosen.digests)
