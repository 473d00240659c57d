"""The store: whole rows, whoever writes them and whatever happens to files and processes."""

import multiprocessing
import os
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest

from lib.data import store as stores
from lib.data.store import Selection, Store

SHAPE = (16, 16, 3)


def make_row(digest):
    """Return the row that belongs to a digest, and to no other."""
    rng = np.random.default_rng(int(digest, 16))
    return rng.integers(0, 256, SHAPE, dtype=np.uint8)


def make_digests(numbers):
    return [f"{number:032x}" for number in numbers]


def open_rows(folder):
    return Store(folder, (np.uint8, SHAPE))


def fill(folder, numbers, block=5):
    store = open_rows(folder)
    for start in range(0, len(numbers), block):
        digests = make_digests(numbers[start : start + block])
        store.put({digest: make_row(digest) for digest in digests})


def read_back(folder, numbers):
    """Check that each of these digests has its own row."""
    store = open_rows(folder)
    digests = make_digests(numbers)
    expected = [make_row(digest) for digest in digests]
    assert np.array_equal(Selection(store, digests)[:], expected)
    return store


def test_eight_writers_of_one_store_leave_every_row_where_its_digest_says(tmp_path):
    context = multiprocessing.get_context("fork")
    # Each overlaps with its neighbours, half of it.
    shares = [range(start, start + 200) for start in range(0, 800, 100)]
    writers = [context.Process(target=fill, args=(tmp_path, share)) for share in shares]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert len(read_back(tmp_path, range(900)).index) == 900


def test_what_a_killed_writer_left_behind_the_rows_is_none_and_is_overwritten(tmp_path):
    fill(tmp_path, range(3))
    for name in ("rows", "digests"):
        with (tmp_path / name).open("ab") as file:
            file.write(bytes(10))

    assert list(open_rows(tmp_path).index) == make_digests(range(3))
    fill(tmp_path, range(6))

    read_back(tmp_path, range(6))
    assert (tmp_path / "rows").stat().st_size == 6 * 768


def test_store_deleted_under_a_reader_is_read_to_the_end_and_missed_afterwards(
    tmp_path,
):
    fill(tmp_path / "store", range(20))
    digests = np.array(make_digests(range(20)))
    chosen = Selection(open_rows(tmp_path / "store"), digests)
    expected = chosen[:]

    shutil.rmtree(tmp_path / "store")

    assert np.array_equal(chosen[:], expected)
    with pytest.raises(OSError, match="lacks rows that were there: run again"):
        replace(chosen)[:]


def test_store_made_anew_under_a_reader_is_not_taken_for_the_old_one(tmp_path):
    fill(tmp_path / "store", range(20))
    store = open_rows(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    fill(tmp_path / "store", range(30, 0, -1))

    digests = make_digests([3, 20])

    expected = [make_row(digest) for digest in digests]
    assert np.array_equal(Selection(store, digests)[:], expected)


@pytest.mark.parametrize(
    ("name", "size", "kept"), [("digests", 0, 0), ("digests", 150, 4), ("rows", 800, 1)]
)
def test_rows_that_one_of_both_files_has_lost_are_made_anew(tmp_path, name, size, kept):
    fill(tmp_path, range(20))
    store = open_rows(tmp_path)

    os.truncate(tmp_path / name, size)

    assert len(store.find_missing(make_digests(range(20)))) == 20 - kept
    fill(tmp_path, range(30, 0, -1))
    read_back(tmp_path, range(1, 31))


def test_writer_that_stops_between_both_files_gives_no_digest_the_row_of_another(
    tmp_path, monkeypatch
):
    fill(tmp_path, range(20))
    os.truncate(tmp_path / "rows", 800)
    append = stores.storage.append

    def stop(path, *arguments):
        append(path, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stores.storage, "append", stop)
        fill(tmp_path, range(30, 40))

    read_back(tmp_path, range(1))
    assert list(open_rows(tmp_path).index) == make_digests(range(1))


def test_full_disk_is_named_and_the_store_goes_on(tmp_path):
    fill(tmp_path, range(3))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
    try:
        with pytest.raises(OSError, match=f"{tmp_path}/rows could not be written"):
            fill(tmp_path, range(3, 30), 27)
        read_back(tmp_path, range(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    fill(tmp_path, range(30))
    read_back(tmp_path, range(30))


def test_stores_of_an_older_loader_are_others(tmp_path, monkeypatch):
    before = stores.open_store(tmp_path, "pixels_8", (np.uint8, SHAPE))

    monkeypatch.setattr(stores, "LOADER_VERSION", stores.LOADER_VERSION + 1)

    after = stores.open_store(tmp_path, "pixels_8", (np.uint8, SHAPE))
    assert after.folder != before.folder
