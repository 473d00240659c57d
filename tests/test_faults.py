"""What happens to odd files, killed runs, full disks, wrong weights and stale results."""

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import faults
import keras
import numpy as np
import pytest
from conftest import (
    decode_all,
    draw_classes,
    join_checks,
    load_bytes,
    prepare_and_split,
)
from PIL import Image
from test_pictures import PICTURE, encode
from test_training import Stop, train_tiny

from lib import chain
from lib.base import storage, workspace
from lib.data import generators, labels, pictures, pixels
from lib.data.split import read_split
from lib.models import saved, training
from lib.models.features import cached_features

GOOD = encode(PICTURE)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
# What is put into a class.
FILES = {
    "1 x 1.png": encode(Image.new("RGB", (1, 1))),
    "of another ending.gif": GOOD,
    "without ending": GOOD,
    "of other letters żółw 🐢 %s {0} $x$.JPG": GOOD,
    "of 250 letters".ljust(246, "x") + ".jpg": GOOD,
    "program that draws.jpg": EPS,
    "return\r.jpg": GOOD,
}
LEFT_OUT = {
    "endless device.jpg": "not_a_file",
    "link to itself.jpg": "unreadable",
    "of 256 MB.jpg": "too_large",
    "pipe.jpg": "not_a_file",
    "program that draws.jpg": "not_a_picture",
    "return\\r.jpg": "odd_name",
}


def test_file_of_any_kind_is_used_or_listed_with_one_word(ws):
    draw_classes(ws.train, 2)
    folder = ws.train / "red"
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / "endless device.jpg").symlink_to("/dev/zero")
    (folder / "link to itself.jpg").symlink_to("link to itself.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with (folder / "of 256 MB.jpg").open("wb") as file:
        file.truncate(pictures.MAX_FILE_BYTES + 1)

    rows = join_checks(*decode_all(ws))

    # Six are drawn.
    assert len(rows) == 6 + len(FILES) + 4
    odd = rows[rows.problem != ""]
    names = odd.file.str.removeprefix("red/")
    assert dict(zip(names, odd.problem)) == LEFT_OUT


def test_class_folder_that_cannot_be_read_is_listed(ws, monkeypatch):
    draw_classes(ws.train, 5)
    real = Path.iterdir

    def refuse(path):
        if path.name == "NA":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refuse)

    listed, found = labels.list_pictures(ws, ws.train)

    assert found.to_numpy().tolist() == [["NA/", "unreadable", "left out"]]
    # It is a class all the same.
    assert "NA" in set(listed.label)


@pytest.mark.parametrize("kind", faults.KINDS)
def test_picture_cut_short_anywhere_is_refused_or_complete(kind):
    data = encode(PICTURE, kind.split(",")[0], **faults.KINDS[kind])
    whole = load_bytes(data, 8)

    for length in range(0, len(data), max(1, len(data) // 300)):
        try:
            shown = load_bytes(data[:length], 8)
        except pictures.PictureError:
            continue
        # A few bytes behind the last pixel say only that this was all.
        assert length >= len(data) - 20
        assert np.array_equal(shown, whole)


def test_mutated_pictures_never_crash_hang_or_change_their_verdict():
    assert faults.survive_mutations(300) == 300


needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None
    or bool(subprocess.run(["unshare", "-rm", "true"]).returncode),
    reason="this machine lets no ordinary user mount a small disk",
)


@needs_mounts
def test_full_disk_is_named_and_the_chain_goes_on_after_room_was_made(tmp_path):
    assert faults.survive_full_disks(1, tmp_path, faults.SHORT, sizes=[100]) == 1


def test_stopped_predictions_go_on_to_the_same_table_and_copies(tmp_path):
    assert faults.survive_stopped_answers(4, tmp_path) == 4


def test_second_chain_refuses_and_names_the_first(ws, capsys):
    paths = ws.save_paths()

    with storage.acquire_lock(ws.results / ".lock"):
        assert chain.main(["--paths", str(paths)]) == 1

    assert f"{ws.results} is in use" in capsys.readouterr().err


PASSED_ON = [
    FileNotFoundError(errno.ENOENT, "none", "missing/b.csv"),
    # The system names no file.
    ConnectionResetError(errno.ECONNRESET, "reset by peer"),
]


@pytest.mark.parametrize("error", PASSED_ON, ids=repr)
def test_what_is_not_the_fault_of_a_file_that_is_written_is_told_as_it_is(ws, error):
    with pytest.raises(OSError) as raised:
        with storage.atomic_write(ws.file("a.csv")):
            raise error

    assert raised.value is error


def test_full_disk_is_said_of_the_file_that_is_written(ws):
    with pytest.raises(OSError, match="a.csv could not be written.*make room"):
        with storage.atomic_write(ws.file("a.csv")), open("/dev/full", "w") as file:
            file.write("x")


@pytest.fixture
def flock(monkeypatch):
    """What locks a file."""
    flock = mock.Mock()
    monkeypatch.setattr(fcntl, "flock", flock)
    return flock


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_where_files_have_no_locks_work_goes_on_without(code, ws, flock, capsys):
    flock.side_effect = OSError(code, "no locks")

    with storage.acquire_lock(ws.scratch / ".lock"):
        assert "a drive without locks" in capsys.readouterr().out


def test_lock_that_fails_for_another_reason_is_an_error(ws, flock):
    flock.side_effect = OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(OSError, match="Too many open files"):
        storage.acquire_lock(ws.scratch / ".lock")


def test_too_little_room_for_features_is_an_error_before_the_work(
    prepared, monkeypatch
):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    images = pixels.open_pixels(prepared, read_split(prepared), 8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))

    with pytest.raises(OSError, match="lacks 0.0 MB for the features"):
        cached_features(network, images, prepared)


def train_deterministically(ws, reverse, cores):
    """Prepare, split and train from a folder listed forwards or backwards; keep the outcome."""
    real = Path.iterdir
    Path.iterdir = lambda path: iter(sorted(real(path), reverse=reverse))
    os.cpu_count = lambda: cores
    training.set_seed(3, deterministic=True)
    table = prepare_and_split(ws)
    run = train_tiny(ws, epochs=2, run_eagerly=False, DETERMINISTIC=True)
    _, validation = generators.pair(ws, 8, 5, seed=0)
    y_prob = run.model.predict(generators.stream(validation), verbose=0)
    images = pixels.open_pixels(ws, table.sort_values("file"), 8)[:]
    arrays = [*run.model.get_weights(), y_prob, images]
    np.save(ws.file("outcome.npy"), np.concatenate([np.ravel(one) for one in arrays]))


def test_deterministic_training_gives_equal_bits_in_every_process_and_folder_order(
    tmp_path,
):
    draw_classes(tmp_path / "train", 10)
    # Both are forked from a process that has imported Keras, which takes longer than all else here.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    train = tmp_path / "train"
    one = workspace.Workspace(train, tmp_path / "one", tmp_path / "scratch_of_one")
    other = replace(one, results=tmp_path / "other", scratch=tmp_path / "scratch")

    with ProcessPoolExecutor(2, context, max_tasks_per_child=1) as pool:
        tasks = [
            pool.submit(train_deterministically, one, reverse=False, cores=1),
            pool.submit(train_deterministically, other, reverse=True, cores=7),
        ]
    for task in tasks:
        task.result()

    for name in ("outcome.npy", "split.csv", "pictures.csv"):
        expected = (one.results / name).read_bytes()
        assert (other.results / name).read_bytes() == expected, name


def test_model_that_holds_code_is_refused(prepared):
    train_tiny(prepared, epochs=1)
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)]
    path = prepared.results / "models/tiny.keras"
    keras.Sequential(layers).save(path)
    metadata = json.loads(path.with_suffix(".json").read_text())
    metadata["file_hash"] = saved.hash_model(path, metadata["class_names"])
    prepared.save_json(metadata, "models/tiny.json")

    with pytest.raises(ValueError, match="(?i)lambda"):
        saved.load_model(prepared, "tiny")


def test_checkpoint_that_holds_code_runs_nothing_and_is_called_damaged(
    prepared, tmp_path, capsys
):
    with pytest.raises(InterruptedError):
        train_tiny(prepared, epochs=2, callbacks=[Stop()])

    class Program:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (path,) = (prepared.results / "checkpoints").iterdir()
    program = np.array([Program()], dtype=object)
    np.savez(path, history=np.zeros((1, 6)), variable_0=program)

    train_tiny(prepared, epochs=2)

    assert not (tmp_path / "ran").exists()
    assert f"Note: {path} is damaged" in capsys.readouterr().out
