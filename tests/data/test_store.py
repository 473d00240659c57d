import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time

import numpy as np
import pytest

from lib.data import store as stores
from lib.data.store import SHARDS, Selection, Store

SHAPE = (16, 16, 3)


def make_row(digest):
    """Return the row that belongs to a digest, and to no other."""
    return np.random.default_rng(int(digest, 16)).integers(0, 256, SHAPE, dtype=np.uint8)


def make_digests(numbers):
    return [f"{number:032x}" for number in numbers]


def open_pixels(folder):
    return Store(folder, np.uint8, SHAPE)


def fill(folder, numbers, block=5, pause=0.0):
    store = open_pixels(folder)
    for start in range(0, len(numbers), block):
        digests = store.find_missing(make_digests(numbers[start : start + block]))
        store.put({digest: make_row(digest) for digest in digests})
        time.sleep(pause)


def read_back(folder, numbers):
    """Check that each of these digests has its own row."""
    store, digests = open_pixels(folder), make_digests(numbers)
    assert np.array_equal(store[digests], np.stack([make_row(digest) for digest in digests]))
    return store


def list_shards(folder):
    return sorted(folder.glob(SHARDS))


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
    for attempt in range(6):
        writer = context.Process(target=fill, args=(tmp_path, list(range(3000)), 3))
        writer.start()
        time.sleep(0.05 + 0.03 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = open_pixels(tmp_path)
        read_back(tmp_path, [int(digest, 16) for digest in store.places])
    before = len(store)
    fill(tmp_path, list(range(200)))
    assert 0 < before <= len(read_back(tmp_path, range(200)))


def test_reader_sees_what_others_write_once_it_looks_again(tmp_path):
    fill(tmp_path, [1, 2])
    reader, (third,) = open_pixels(tmp_path), make_digests([3])
    fill(tmp_path, [3])
    assert third not in reader.places and len(reader) == 2
    assert reader.find_missing(make_digests([3, 1, 4, 4])) == make_digests([4])
    assert np.array_equal(reader[third], make_row(third))


def test_unfinished_file_beside_the_shards_is_none_of_them(tmp_path):
    fill(tmp_path, range(3))
    (shard,) = list_shards(tmp_path)
    content = shard.read_bytes()
    for name in (f"{'0' * 32}.part.shard", f"{'0' * 32}.shard.part", f"{'0' * 31}.shard"):
        (tmp_path / name).write_bytes(content[:100])
    assert len(read_back(tmp_path, range(3)).shards) == 1


@pytest.mark.parametrize(
    "damage",
    ["flipped byte", "zeroed page", "cut", "cut index", "emptied", "flipped index", "gone"],
)
def test_damage_is_seen_when_a_row_is_read_and_mended(tmp_path, damage, capsys):
    fill(tmp_path, range(20), 10)
    shard, other = list_shards(tmp_path)
    content = bytearray(shard.read_bytes())
    if damage == "flipped byte":
        content[5000] ^= 1
    elif damage == "zeroed page":
        content[4096:8192] = bytes(4096)
    elif damage == "flipped index":
        content[140] ^= 128
    shard.write_bytes(content[: {"cut": 5000, "cut index": 100, "emptied": 0}.get(damage, None)])
    if damage == "gone":
        shard.unlink()
    store = open_pixels(tmp_path)
    assert len(store.find_missing(make_digests(range(20)), check=True)) == 10
    assert list_shards(tmp_path) == [other]
    assert ("is damaged, and removed" in capsys.readouterr().out) == (damage != "gone")
    fill(tmp_path, range(20))
    read_back(tmp_path, range(20))


def test_rows_that_are_lost_while_they_are_read_are_made_anew(tmp_path):
    fill(tmp_path, range(20), 10)
    images = Selection(open_pixels(tmp_path), np.array(make_digests(range(20))))
    expected, made = images[:], []

    def make(digests):
        made.extend(digests)
        fill(tmp_path, [int(digest, 16) for digest in digests])

    for path in list_shards(tmp_path):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    again = Selection(open_pixels(tmp_path), images.digests, make)
    assert np.array_equal(again[3:17], expected[3:17]) and len(made) == len(set(made))
    assert np.array_equal(again[5], expected[5]) and np.array_equal(again[:], expected)
    with pytest.raises(KeyError, match="0{20}"):
        open_pixels(tmp_path)[make_digests([99])]
    with pytest.raises(OSError, match="has lost rows: run again"):
        Selection(open_pixels(tmp_path), np.array(make_digests([99])))[:]


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped twin"])
def test_damage_after_a_first_look_is_seen_too(tmp_path, damage):
    fill(tmp_path, range(10), 10)
    store, digests = open_pixels(tmp_path), make_digests(range(10))
    expected, (shard,) = store[digests], list_shards(tmp_path)
    content = shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(content[: len(content) // 2])
    elif damage == "gone":
        shard.unlink()
    else:
        # Made again by another process, and damaged there.
        shard.rename(shard.with_name(32 * "f" + ".shard"))
        shard.with_name(32 * "f" + ".shard").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    images = Selection(store, np.array(digests), lambda lost: fill(tmp_path, range(10), 10))
    if damage == "flipped twin":
        store.refresh()
    assert np.array_equal(images[:], expected)


def test_threads_share_one_store(tmp_path):
    store, wrong = open_pixels(tmp_path), []

    def work(first):
        for number in range(first, first + 40):
            (digest,) = make_digests([number])
            store.put({digest: make_row(digest)})
            store.refresh()
            if not np.array_equal(store[digest], make_row(digest)):
                wrong.append(digest)

    threads = [threading.Thread(target=work, args=(100 * k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 240 and not wrong


def test_more_shards_than_may_be_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "MOST_MAPS", 3)
    fill(tmp_path, range(20), 1)
    assert len(read_back(tmp_path, [7, *range(20), 7]).maps) <= 3


def test_full_disk_is_named_and_the_store_goes_on(tmp_path):
    fill(tmp_path, range(3))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
    try:
        with pytest.raises(OSError, match=".shard could not be written.*free there"):
            fill(tmp_path, range(3, 30), 27)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert len(list(tmp_path.iterdir())) == 1, "nothing half-written is left"
    fill(tmp_path, range(30))
    read_back(tmp_path, range(30))


def test_rows_without_a_shape_are_kept_too(tmp_path):
    facts = np.array([(3, 0.5), (4, 0.25)], [("width", "u4"), ("contrast", "f4")])
    first, second = make_digests([1, 2])
    Store(tmp_path, facts.dtype).put({first: facts[0], second: facts[1]})
    store = Store(tmp_path, facts.dtype)
    assert (store[[second, first]] == facts[::-1]).all() and store[[]].shape == (0,)


def test_a_selection_is_sent_as_digests_and_read_where_it_arrives(tmp_path):
    fill(tmp_path, range(200), 1)
    digests = np.array(make_digests(range(200)))
    chosen = Selection(open_pixels(tmp_path), digests).take([150, 2, 7, 150])
    sent = pickle.dumps(chosen)
    assert len(sent) < 3000, "neither rows nor the names of 200 files"
    expected = np.stack([make_row(digests[k]) for k in (150, 2, 7, 150)])
    assert np.array_equal(pickle.loads(sent)[:], expected) and np.array_equal(chosen[:], expected)
    assert chosen.shape == (4, *SHAPE)
