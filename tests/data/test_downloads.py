"""Archives behind addresses: downloaded once, whole, or an error of one line; data of Kaggle."""

import http.server
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from test_sources import pack

from lib.base import workspace
from lib.data import downloads, sources


@pytest.fixture
def archive(tmp_path):
    """An archive of two classes, as bytes."""
    contents = {f"set/{name}/1.png": os.urandom(999) for name in ("cat", "dog")}
    return pack(tmp_path / "set.tar.gz", contents).read_bytes()


@pytest.fixture
def server(archive):
    """A server of the archive at `address`; it does what `fault` says, and counts its `requests`."""
    half = archive[: len(archive) // 2]
    bodies = {"cut off": half, "slow": half, "short": half, "page": b"<html>Sign in"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests += 1
            body = bodies.get(state.fault, archive)
            is_cut = state.fault in ("cut off", "slow")
            self.send_response(404 if state.fault == "missing" else 200)
            self.send_header("Content-Length", len(archive if is_cut else body))
            self.end_headers()
            self.wfile.write(body)
            if state.fault == "slow":
                state.is_over.wait(10)

        def log_message(self, *line):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = SimpleNamespace(fault="", requests=0, is_over=threading.Event())
    state.address = f"http://127.0.0.1:{running.server_port}/set.tar.gz"
    thread = threading.Thread(target=running.serve_forever, args=[0.01])
    thread.start()
    yield state
    state.is_over.set()
    running.shutdown()
    thread.join()
    running.server_close()


def list_classes(ws):
    folders = sources.open_folder(ws, "train").iterdir()
    return sorted(folder.name for folder in folders)


def test_archive_at_an_address_is_downloaded_once(ws, tmp_path, server, capsys):
    paths = tmp_path / "paths.json"
    paths.write_text(f'{{"train": "{server.address}", "results": "r", "scratch": "s"}}')
    ws = workspace.open(paths)

    found = list_classes(ws)
    server.fault = "missing"

    assert found == list_classes(ws) == ["cat", "dog"]
    assert server.requests == 1
    assert "download: 100%" in capsys.readouterr().out


FAULTS = {
    "cut off": "unpacked",
    "slow": "timed out",
    "missing": "404",
    "short": "unpacked",
    "page": "unpacked",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_failed_download_is_one_line_and_begins_anew(ws, server, monkeypatch, fault):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    ws = replace(ws, train=server.address)
    server.fault = fault

    with pytest.raises(ValueError, match=FAULTS[fault]) as caught:
        list_classes(ws)
    server.fault = ""

    assert str(caught.value).startswith(server.address)
    assert "\n" not in str(caught.value)
    assert list_classes(ws) == ["cat", "dog"]


def test_archive_larger_than_the_disk_is_not_downloaded(ws, server, monkeypatch):
    usage = SimpleNamespace(free=100)
    monkeypatch.setattr("lib.base.storage.shutil.disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="the download will need"):
        downloads.fetch_archive(server.address, ws.scratch)


@pytest.fixture
def kaggle(monkeypatch):
    """A kagglehub that gives `folder`, or raises `error`, and notes the `names` that it was asked for."""

    def give(kind, handle):
        state.names.append(f"{kind}/{handle}")
        if state.error:
            raise state.error
        return str(state.folder)

    state = SimpleNamespace(names=[], error=None, folder=None)
    state.competition_download = partial(give, "competitions")
    state.dataset_download = partial(give, "datasets")
    monkeypatch.setitem(sys.modules, "kagglehub", state)
    return state


@pytest.mark.parametrize("name", ["competitions/leaves", "datasets/me/leaves"])
def test_class_folders_of_kaggle_are_found(ws, tmp_path, draw_classes, kaggle, name):
    kaggle.folder = tmp_path / "given"
    draw_classes(kaggle.folder / "train/train", 1)
    ws = replace(ws, train=f"kaggle:{name}")

    assert workspace.open(ws.save_paths()).train == ws.train
    assert sources.open_folder(ws, "train") == kaggle.folder / "train/train"
    assert kaggle.names == [name]


def test_answer_of_kaggle_is_said_with_what_to_do(kaggle):
    kaggle.error = OSError("403 Client Error")
    with pytest.raises(ValueError, match="kaggle:datasets/a/b .*: 403 .*KAGGLE_API"):
        downloads.fetch_from_kaggle("datasets/a/b")
