import io
import os
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from lib import dataset, pixels, sources, workspace

COMPETITION = "competitions/leaves"


def pack(archive, files):
    """Write a .zip or .tar file of {name: bytes}."""
    archive.parent.mkdir(exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(str(name), content)
        return archive
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(str(name))
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return archive


@pytest.fixture
def files(ws, draw_classes, read_all):
    """The pictures of three classes: relative path to bytes."""
    draw_classes(ws.train, 2)
    return read_all(ws.train)


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A mounted Google Drive."""
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "drive")
    (tmp_path / "drive/MyDrive").mkdir(parents=True)
    return tmp_path / "drive/MyDrive"


@pytest.mark.parametrize("name", ["train.zip", "train.tar", "train.tar.gz"])
@pytest.mark.parametrize("top", ["", "train", "data/train"])
def test_archive_gives_the_pictures_of_the_folder_it_was_made_of(ws, files, read_all, name, top):
    inside = {Path(top, file): content for file, content in files.items()}
    archive = pack(ws.results / name, inside | {"__MACOSX/._x": b"", ".DS_Store": b""})
    packed = replace(ws, train=archive)
    assert read_all(sources.open_folder(packed, "train")).items() >= files.items()
    listed, _ = dataset.scan(sources.open_folder(packed, "train"))
    assert set(listed.label) == {"007", "NA", "red"} and len(listed) == 6


def test_archive_is_unpacked_once_and_anew_when_it_changed(ws, files):
    archive = pack(ws.results / "train.zip", files)
    first = sources.unpack(archive, ws.scratch)
    (first / "mark").touch()
    assert sources.unpack(archive, ws.scratch) == first and (first / "mark").exists()
    pack(archive, {"one/1.png": b"longer"})
    assert sources.unpack(archive, ws.scratch) != first


def test_unpacking_killed_half_way_begins_anew(ws, files, read_all, monkeypatch):
    archive = pack(ws.results / "train.zip", files)

    def die(stream, target, bar):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sources, "_write", die)
        patch.setattr(sources.shutil, "rmtree", lambda *args, **options: None)
        sources.unpack(archive, ws.scratch)
    assert [path.suffix for path in ws.scratch.iterdir()] == [".part"]
    assert read_all(sources.unpack(archive, ws.scratch)) == files
    assert len(list(ws.scratch.iterdir())) == 1


def test_archive_on_drive_is_read_as_one_file(ws, files, drive, read_all, monkeypatch):
    archive = pack(drive / "train.zip", files)
    extract, seen = sources._extract, []
    monkeypatch.setattr(
        sources, "_extract", lambda path, *rest: seen.append(path) or extract(path, *rest)
    )
    assert read_all(sources.unpack(archive, ws.scratch)) == files
    assert not workspace.is_on_drive(seen[0]) and not seen[0].exists()


@pytest.mark.parametrize(
    ("name", "inside", "words"),
    [
        ("a.zip", {"../out.png": b"x"}, "outside"),
        ("a.zip", {"/tmp/out.png": b"x"}, "outside"),
        ("a.tar", {"cat/../../out.png": b"x"}, "outside"),
        ("a.tar", {"/tmp/out.png": b"x"}, "outside"),
        ("a.zip", {"cat/bomb.bmp": bytes(10**7)}, "no archive of pictures"),
        ("a.tar.gz", {"cat/bomb.bmp": bytes(10**7)}, "no archive of pictures"),
    ],
)
def test_hostile_archive_is_refused_and_writes_nothing(ws, name, inside, words):
    archive = pack(ws.results / name, inside)
    with pytest.raises(ValueError, match=f"{name}.*{words}"):
        sources.unpack(archive, ws.scratch)
    assert not list(ws.scratch.rglob("*")) and not (ws.scratch.parent / "out.png").exists()


def test_links_in_an_archive_are_refused(ws):
    archive = ws.results / "a.tar"
    archive.parent.mkdir()
    with tarfile.open(archive, "w") as packed:
        link = tarfile.TarInfo("cat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        packed.addfile(link)
    with pytest.raises(ValueError, match="'cat' is a link"):
        sources.unpack(archive, ws.scratch)


def test_archive_larger_than_the_disk_is_refused(ws, files, monkeypatch):
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ValueError, match="GB are free"):
        sources.unpack(pack(ws.results / "a.zip", files), ws.scratch)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archive_is_named(ws, files, name):
    archive = pack(ws.results / name, files)
    whole = archive.read_bytes()
    middle = bytes(b ^ 255 for b in whole[200:400])
    for content in (whole[: len(whole) // 2], whole[:200] + middle + whole[400:], b"text", b""):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} can't be unpacked"):
            sources.unpack(archive, ws.scratch)
        assert not list(ws.scratch.iterdir())


def test_new_pictures_may_come_in_an_archive(ws, files, prepared):
    packed = replace(prepared, test=pack(ws.results / "new.zip", files))
    folder, listed, origin = dataset.list_new_pictures(packed, ["007", "NA", "red"], [])
    assert len(listed) == 6 and listed.label.nunique() == 3 and origin == "the test folder"
    assert all((folder / file).is_file() for file in listed.file)


@pytest.fixture
def kaggle(tmp_path, files, monkeypatch):
    """A kagglehub that gives a competition with train and test folders, or raises `error`."""

    def fetch(handle):
        if state.error:
            raise state.error
        state.handles.append(handle)
        return str(folder)

    folder = tmp_path / "cache"
    for part in ("train/train", "test"):
        for file, content in files.items():
            (folder / part / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / part / file).write_bytes(content)
    (folder / "sample_submission.csv").write_text("id,label")
    state = SimpleNamespace(
        competition_download=fetch, dataset_download=fetch, handles=[], error=None, folder=folder
    )
    monkeypatch.setitem(sys.modules, "kagglehub", state)
    return state


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("competitions/leaves", "leaves"),
        ("competitions/leaves/train", "leaves"),
        ("competitions/leaves/train/train", "leaves"),
        ("datasets/linnaeus/leaves", "linnaeus/leaves"),
        ("datasets/linnaeus/leaves/train", "linnaeus/leaves"),
    ],
)
def test_class_folders_of_kaggle_are_found(tmp_path, ws, kaggle, name, handle):
    paths = tmp_path / "paths.json"
    paths.write_text(f'{{"train": "kaggle:{name}", "results": "r", "scratch": "s"}}')
    opened = workspace.open(paths)
    assert workspace.open(opened.save_paths()) == opened
    folder = sources.open_folder(opened, "train")
    assert kaggle.handles == [handle] and folder == kaggle.folder / "train/train"
    listed, _ = dataset.scan(folder)
    assert dict(listed.label.value_counts()) == {"007": 2, "NA": 2, "red": 2}


def test_competition_serves_new_pictures_too(ws, kaggle):
    opened = replace(ws, test=Path(f"kaggle:{COMPETITION}"))
    assert sources.open_folder(opened, "test") == kaggle.folder / "test"


def http_error(status):
    """Return the error that kagglehub raises for a status of Kaggle's answer."""
    exceptions = pytest.importorskip("kagglehub.exceptions", reason="kagglehub is not installed")
    response = requests.Response()
    response.status_code = status
    return exceptions.KaggleApiHTTPError(f"{status} Client Error.", response=response)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: http_error(401), ["KAGGLE_API_TOKEN", "Colab's secrets"]),
        (lambda: http_error(403), ["accept the rules", "kaggle.com/competitions/leaves"]),
        (lambda: http_error(404), ["no such page", "kaggle.com/competitions/leaves"]),
        (lambda: http_error(503), ["try again later"]),
        (lambda: requests.ConnectionError("no route"), ["can't be reached", "no route"]),
        (lambda: OSError("Network is unreachable"), ["can't be reached"]),
    ],
)
def test_refusal_of_kaggle_says_the_remedy(make, words, request):
    error = make()  # from the real package, before it is replaced
    request.getfixturevalue("kaggle").error = error
    with pytest.raises(ConnectionError) as caught:
        sources.download(COMPETITION)
    assert all(word in str(caught.value) for word in words), caught.value


def test_kaggle_without_credentials_says_where_they_are_read(tmp_path, monkeypatch):
    pytest.importorskip("kagglehub", reason="kagglehub is not installed")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "KAGGLE_CONFIG_DIR", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(ConnectionError, match="KAGGLE_API_TOKEN.*from the environment alone"):
        sources.download(COMPETITION)


@pytest.mark.parametrize("name", ["leaves", "competitions", "datasets/leaves", "models/a/b"])
def test_wrong_name_of_kaggle_is_named(name):
    with pytest.raises(ValueError, match="kaggle:competitions/NAME"):
        sources.download(name)


def test_folder_that_the_data_lacks_is_named(kaggle):
    with pytest.raises(ValueError, match="trian"):
        sources.download(f"{COMPETITION}/trian")


def test_missing_kagglehub_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(ConnectionError, match="pip install kagglehub"):
        sources.download(COMPETITION)


@pytest.fixture
def kept(prepared, drive):
    """A prepared workspace whose results are on Drive, where its pixels were kept."""
    os.rename(prepared.results, drive / "results")
    ws = replace(prepared, results=drive / "results")
    pixels.keep_copies(ws, [8])
    return ws


def test_kept_pixels_come_back_without_any_picture(kept, read_all):
    before = read_all(kept.scratch)
    files = dataset.read_split(kept).file
    expected = pixels.open_pixels(kept, files, 8)[:]
    empty = replace(kept, train=kept.train / "gone", scratch=kept.scratch / "new")
    assert (pixels.open_pixels(empty, files, 8)[:] == expected).all()
    assert read_all(empty.scratch) == before
    (copy,) = (kept.results.parent / "results_pixels").iterdir()
    written = copy.stat().st_mtime_ns
    pixels.keep_copies(empty, [8])
    assert copy.stat().st_mtime_ns == written and list(copy.parent.iterdir()) == [copy]


def test_damaged_copy_of_pixels_is_noticed_and_made_anew(kept, capsys):
    (copy,) = (kept.results.parent / "results_pixels").iterdir()
    content = bytearray(copy.read_bytes())
    content[1000] ^= 1
    copy.write_bytes(content)
    files = dataset.read_split(kept).file
    expected = pixels.open_pixels(kept, files, 8)[:]
    again = replace(kept, scratch=kept.scratch / "new")
    assert (pixels.open_pixels(again, files, 8)[:] == expected).all()
    assert "CRC" in capsys.readouterr().out
    third = replace(kept, train=kept.train / "gone", scratch=kept.scratch / "third")
    assert (pixels.open_pixels(third, files, 8)[:] == expected).all()


def test_copy_of_added_pictures_replaces_the_older_one(kept, draw_classes):
    draw_classes(kept.train, 12, seed=5)
    listed, _ = dataset.scan(kept.train)
    pixels.prepare(kept.train, listed.file, [8], kept.scratch)
    pixels.keep_copies(kept, [8])
    assert len(list((kept.results.parent / "results_pixels").iterdir())) == 1


def test_no_copy_is_made_where_results_are_not_on_drive(prepared):
    pixels.keep_copies(prepared, [8])
    assert not (prepared.results.parent / "results_pixels").exists()
