"""Archives behind addresses: downloaded once, whole, or an error of one line; data of Kaggle."""

import errno
import os
import socket
import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import pytest
from conftest import draw_classes
from test_sources import pack

from lib.base import workspace
from lib.data import archives, sources


@pytest.fixture
def archive(site):
    """An archive of two classes that is on the web, and its address."""
    folder, address = site
    contents = {f"set/{name}/1.png": os.urandom(999) for name in ("cat", "dog")}
    return pack(folder / "set.tar.gz", contents), f"{address}/set.tar.gz"


def list_classes(ws):
    folders = sources.fetch_folder(ws, "train").iterdir()
    return sorted(folder.name for folder in folders)


def test_archive_at_an_address_is_downloaded_once(ws, archive, capsys):
    path, address = archive
    ws = replace(ws, train=address)

    found = list_classes(ws)
    path.unlink()

    assert found == list_classes(ws) == ["cat", "dog"]
    assert "download: 100%" in capsys.readouterr().out


FAULTS = {b"": "unpacked", b"<html>Sign in": "unpacked", None: "404"}


@pytest.mark.parametrize("content", FAULTS)
def test_failed_download_is_one_line_and_begins_anew(ws, archive, content):
    path, address = archive
    ws = replace(ws, train=address)
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content or whole[: len(whole) // 2])

    with pytest.raises(OSError, match=FAULTS[content]) as caught:
        list_classes(ws)
    path.write_bytes(whole)

    assert str(caught.value).startswith(address)
    assert "\n" not in str(caught.value)
    assert list_classes(ws) == ["cat", "dog"]


def test_server_that_sends_nothing_is_given_up(ws, monkeypatch):
    monkeypatch.setattr(archives, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/set.zip"
        with pytest.raises(OSError, match="timed out"):
            archives.fetch_archive(address, ws.scratch)


def test_archive_larger_than_the_disk_is_not_downloaded(ws, archive, monkeypatch):
    usage = SimpleNamespace(free=100)
    monkeypatch.setattr("lib.base.storage.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="lacks .* for the download"):
        archives.fetch_archive(archive[1], ws.scratch)


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES, errno.EROFS]
)
def test_download_stays_where_the_machine_fails_to_unpack_it(
    ws, archive, monkeypatch, number
):
    path, address = archive
    with monkeypatch.context() as patch:
        failure = OSError(number, os.strerror(number), "1.png")
        patch.setattr("tarfile.copyfileobj", mock.Mock(side_effect=failure))
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            archives.fetch_archive(address, ws.scratch)
    path.unlink()

    assert "archive (" not in str(caught.value)
    assert archives.fetch_archive(address, ws.scratch).exists()


@pytest.fixture
def kagglehub(monkeypatch):
    """A stand-in for the package of Kaggle."""
    stand_in = mock.Mock()
    monkeypatch.setitem(sys.modules, "kagglehub", stand_in)
    return stand_in


@pytest.mark.parametrize(
    ("name", "kind"),
    [("competitions/leaves", "competition"), ("datasets/me/leaves", "dataset")],
)
def test_class_folders_of_kaggle_are_found(ws, tmp_path, kagglehub, name, kind):
    draw_classes(tmp_path / "given/train/train", 1)
    download = getattr(kagglehub, f"{kind}_download")
    download.return_value = str(tmp_path / "given")
    ws = replace(ws, train=f"kaggle:{name}")

    assert workspace.open(ws.save_paths()).train == ws.train
    assert sources.fetch_folder(ws, "train") == tmp_path / "given/train/train"
    download.assert_called_once_with(name.partition("/")[2])


def test_answer_of_kaggle_is_said_with_what_to_do(kagglehub):
    kagglehub.dataset_download.side_effect = OSError("403 Client Error")
    with pytest.raises(OSError, match="kaggle:datasets/a/b .*: 403 .*KAGGLE_API"):
        archives.fetch_from_kaggle("datasets/a/b")
