"""Which folder is meant: of folders and archives; and archives that may not be unpacked."""

import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import draw_classes, read_all

from lib.base import storage
from lib.data import archives, sources
from lib.data.findings import list_checks
from lib.data.labels import list_pictures

JPEG = b"\xff\xd8\xff\xe0 a JPEG begins like this"
CONTENTS = dict.fromkeys((".md", ".txt", ".mat", ".zip", ""), b"text")
CONTENTS[".orf"] = b"IIRO an ORF begins like this"


def pack(archive, files):
    """Write a .zip or .tar file of {name: bytes}."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(str(name), content)
        return archive
    mode = "w:gz" if archive.suffix == ".gz" else "w"
    with tarfile.open(archive, mode) as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(str(name))
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return archive


@pytest.fixture
def files(tmp_path):
    """The pictures of three classes: relative path to bytes."""
    draw_classes(tmp_path / "drawn", 2)
    return read_all(tmp_path / "drawn")


@pytest.fixture
def give(tmp_path):
    """A function that lays out files of these names in a folder, most of them JPEGs."""

    def give(names):
        for name in names:
            path = tmp_path / "given" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTENTS.get(path.suffix, JPEG))
        return tmp_path / "given"

    return give


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_classes_and_validation_are_found_in_an_archive(ws, files, name):
    inside = {"README.md": b"x", "annotations/1.xml": b"<a>"}
    for file, content in files.items():
        inside[f"leaves/train/train/{file}"] = content
        inside[f"leaves/val/{file}"] = content

    ws = replace(ws, train=pack(ws.results / name, inside))

    assert read_all(sources.fetch_folder(ws, "train")) == files
    assert read_all(sources.find_validation(ws)) == files


# What lies in a folder, and where the classes are.
TRAINS = """\
cat/1.jpg, dog/1.jpg, README.md -> .
data/leaves/cat/1.jpg, data/leaves/dog/1.jpg, .thumbs/1.png, .cover.jpg -> data/leaves
training_set/training_set/cat/1.jpg, test_set/test_set/cat/1.jpg -> training_set/training_set
seg_train/seg_train/a/1.jpg, seg_test/a/1.jpg, seg_pred/1.jpg -> seg_train/seg_train
Training Data/a/1.jpg, Test Data/1.jpg, banner.png -> Training Data
train_224/a/1.jpg, val_224/a/1.jpg -> train_224
train (1)/cat/1.jpg, valid_set/cat/1.jpg -> train (1)
train/1.jpg, test1/1.jpg -> train
train_224/a/1.jpg, val/a/1.jpg -> train_224
train.v2/a/1.jpg, Test 2/1.jpg, dev_set/a/1.jpg -> train.v2
train_a/1.jpg, test_b/1.jpg -> train_a
TRAIN/a/1.jpg, TEST/a/1.jpg, TEST_SIMPLE/a/1.jpg -> TRAIN
trainval/cat/1.jpg, tests/cat/1.jpg, eval/cat/1.jpg -> trainval
Train/cat/1.jpg, Test/cat/1.jpg, docs/LICENSE -> Train
images/cat/1.jpg, images/dog/1.jpg, annotations/1.mat, notes/LICENSE -> images
"""
# As these look at first, and are classes.
CLASSES = """\
frogs/1.jpg, frogs/2.jpg, notes.txt -> .
train/1.jpg, bus/1.jpg, car/1.jpg -> .
bullet_train/1.jpg, test_tube/1.jpg, car/1.jpg -> .
train/a/1.jpg, test/1.jpg, extra/1.jpg -> .
oak/1.jpg, elm/1.jpg, valid/oak/1.jpg, valid/elm/1.jpg -> .
train/2019/1.jpg, bus/2019/1.jpg, car/2019/1.jpg -> .
oak/1.jpg, elm/1.jpg, valid/1.jpg -> .
oak/red/1.jpg, elm/wych/1.jpg, test/paper/1.jpg -> .
leaves/cat/1.jpg, leaves/dog/1.jpg, beside.jpg -> .
cat/persian/1.jpg, cat/siamese/1.jpg, dog/7.jpg?w=300 -> .
cat/persian/1.jpg, cat/siamese/1.jpg, dog/1.orf -> ."""


@pytest.mark.parametrize("line", (TRAINS + CLASSES).split("\n"))
def test_folder_of_classes_is_found(ws, give, line):
    inside, train = line.split(" -> ")
    given = give(inside.split(", "))

    found = sources.fetch_folder(replace(ws, train=given), "train")

    assert found == given / train


def test_folder_that_holds_archives_alone_is_an_error_that_names_them(ws, give):
    given = give(["train.zip", "val.zip"])
    with pytest.raises(OSError, match=r"train\.zip, val\.zip"):
        sources.fetch_folder(replace(ws, train=given), "train")


def test_new_pictures_are_taken_as_they_lie(ws, give):
    given = give(["1.jpg", "a/b/2.jpg"])
    assert sources.fetch_folder(replace(ws, test=given), "test") == given


def test_part_for_test_is_found_beside_that_for_training_and_apart_from_it(ws, give):
    given = give(["train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg"])
    ws = replace(ws, train=given, test=given)

    assert sources.fetch_folder(ws, "test") == given / "test"
    assert sources.find_validation(ws) is None


# What lies in a folder, what of it is train, and the validation part beside that.
BESIDE = """\
train/a/1.jpg, train/b/1.jpg, val/a/1.jpg -> . -> val
train/a/1.jpg, dev/dev/a/1.jpg, dev/dev/notes/1.txt -> train -> dev/dev
train_224/a/1.jpg, val_224/a/1.jpg -> . -> val_224
train/Caf\u00e9/1.jpg, val/Cafe\u0301/1.jpg -> train -> val
train/a/1.jpg, val (1)/a/1.jpg -> train -> val (1)
leaves/a/1.jpg, val/a/1.jpg -> leaves ->
train/a/1.jpg, val/a/1.jpg, val/z/1.jpg -> train ->"""


@pytest.mark.parametrize("line", BESIDE.split("\n"))
def test_validation_beside_train_counts_if_its_folders_are_the_classes(ws, give, line):
    inside, train, found = [cell.strip() for cell in line.split("->")]
    given = give(inside.split(", "))
    folder = sources.find_validation(replace(ws, train=given / train))
    assert folder == (given / found if found else None)


def test_configured_validation_comes_first(ws, give):
    given = give(["train/a/1.jpg", "val/a/1.jpg", "mine/a/1.jpg"])
    ws = replace(ws, train=given / "train", validation=given / "mine")
    assert sources.find_validation(ws) == given / "mine"


def test_archive_is_unpacked_once(ws, files):
    archive = pack(ws.results / "train.zip", files)

    first = archives.unpack(archive, ws.scratch)
    written = (first / "red/000.png").stat().st_mtime_ns
    again = archives.unpack(archive, ws.scratch)

    assert again == first
    assert (again / "red/000.png").stat().st_mtime_ns == written


def test_replaced_archive_is_unpacked_anew(ws):
    archive = pack(ws.results / "train.zip", {"cat/1.png": b"old"})
    archives.unpack(archive, ws.scratch)
    pack(archive, {"cat/1.png": b"new"})

    unpacked = archives.unpack(archive, ws.scratch)

    assert list(read_all(unpacked).values()) == [b"new"]


@pytest.mark.parametrize("lost", ["NA/000.png", "../{}.sizes"])
def test_what_was_unpacked_and_damaged_since_is_unpacked_anew(ws, files, lost):
    """A killed unpacking has written no sizes, which are last."""
    archive = pack(ws.results / "train.zip", files)
    unpacked = archives.unpack(archive, ws.scratch)
    (unpacked / "red/000.png").write_bytes(b"cut")
    (unpacked / lost.format(unpacked.name)).unlink()

    assert read_all(archives.unpack(archive, ws.scratch)) == files


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("a.tar", "cat/../../../out.png"),
        ("a.zip", "cat/../../../out.png"),
        # Inside, it would change its class.
        ("a.tar", "cat/../dog/out.png"),
        ("a.zip", "cat/../dog/out.png"),
        ("a.zip", "{}/out.png"),
    ],
)
def test_names_that_lead_out_are_refused(ws, tmp_path, name, hostile):
    archive = pack(tmp_path / "given" / name, {hostile.format(tmp_path): b"x"})
    with pytest.raises(OSError, match=f"{name} can't be unpacked: .*out.png"):
        archives.unpack(archive, ws.scratch)
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize("target", ["/etc/hosts", "../../../out.png", "gone.png"])
def test_links_that_lead_out_or_nowhere_are_refused(ws, target):
    archive = pack(ws.results / "a.tar", {"cat/1.png": b"x"})
    with tarfile.open(archive, "a") as packed:
        member = tarfile.TarInfo("dog/2.png")
        member.type = tarfile.SYMTYPE
        member.linkname = target
        packed.addfile(member)

    with pytest.raises(OSError, match="a.tar can't be unpacked: .*dog/2.png'"):
        archives.unpack(archive, ws.scratch)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_archive_larger_than_the_disk_is_refused(ws, files, monkeypatch, name):
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: usage)
    archive = pack(ws.results / name, files | {"cat/huge.bmp": bytes(10**7)})

    with pytest.raises(OSError, match=f"lacks 10.0 MB for what .*{name} holds"):
        archives.unpack(archive, ws.scratch)

    assert list(ws.scratch.glob("*/")) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_damaged_archive_is_named(ws, files, name):
    archive = pack(ws.results / name, files)
    whole = archive.read_bytes()
    half = whole[: len(whole) // 2]
    damaged = whole[:200] + b"\xff" * 200 + whole[400:]
    for content in (half, whole[:100], damaged, b"text", b""):
        archive.write_bytes(content)
        with pytest.raises(OSError, match=f"{name} can't be unpacked"):
            archives.unpack(archive, ws.scratch)
        assert list(ws.scratch.glob("*/")) == []


def test_tar_cut_between_two_files_or_with_a_damaged_name_is_noticed(ws):
    archive = pack(ws.results / "a.tar", {"cat/1.png": b"x", "dog/2.png": b"y"})
    whole = archive.read_bytes()
    for content in (whole[:1024], whole.replace(b"dog/2.png", b"dig/2.png")):
        archive.write_bytes(content)
        with pytest.raises(OSError, match="a.tar .* end is missing"):
            archives.unpack(archive, ws.scratch)


def pack_bytes(archive, names):
    """Write a .zip file of files whose names are these bytes, without saying their encoding."""
    stand_ins = [f"{number}".rjust(len(name), "x") for number, name in enumerate(names)]
    pack(archive, dict.fromkeys(stand_ins, b"x"))
    data = archive.read_bytes()
    for stand_in, name in zip(stand_ins, names):
        data = data.replace(stand_in.encode(), name)
    archive.write_bytes(data)
    return archive


@pytest.mark.parametrize("name", [b"Caf\xc3\xa9/1.png", b"Caf\x82\\1.png"])
def test_names_in_a_zip_are_utf_8_or_as_windows_writes_them(ws, name):
    archive = pack_bytes(ws.results / "a.zip", [name])

    unpacked = archives.unpack(archive, ws.scratch)

    assert list(read_all(unpacked)) == [Path("Caf\u00e9/1.png")]


# The second byte of the second letter of 表面 and 表裏 is a backslash in ASCII.
JAPANESE = ["表面/1.png", "表裏/1.png"]


def test_classes_of_a_japanese_windows_stay_apart_with_a_note_that_shows_one(
    ws, capsys
):
    names = [name.encode("cp932") for name in JAPANESE]
    archive = pack_bytes(ws.results / "a.zip", names)

    unpacked = archives.unpack(archive, ws.scratch)

    assert len(list(unpacked.iterdir())) == 2
    shown = names[0].decode("cp437")
    said = capsys.readouterr().out
    assert f"Note: names in {archive} are read as cp437, say {shown!r}" in said
    assert '"encoding": "cp932"' in said


@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_the_encoding_of_the_paths_file_reads_names_of_archives(ws, ending):
    path = ws.results / f"a.{ending}"
    if ending == "zip":
        pack_bytes(path, [name.encode("cp932") for name in JAPANESE])
    else:
        with tarfile.open(
            path, "w", encoding="cp932", format=tarfile.GNU_FORMAT
        ) as packed:
            for name in JAPANESE:
                packed.addfile(tarfile.TarInfo(name))
    ws = replace(ws, train=path, encoding="cp932")

    unpacked = archives.unpack(ws.train, ws.scratch, ws.encoding)

    assert set(map(str, read_all(unpacked))) == set(JAPANESE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_of_members_of_one_name_all_but_the_first_are_listed_with_a_reason(ws, name):
    archive = ws.results / name
    names = ["cat/1.png", "cat/1.png", "cat/./1.png", "dog/2.png"]
    if name == "a.zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for number, member in enumerate(names):
                packed.writestr(member, JPEG + bytes([number]))
    else:
        with tarfile.open(archive, "w") as packed:
            for number, member in enumerate(names):
                info = tarfile.TarInfo(member)
                info.size = len(JPEG) + 1
                packed.addfile(info, io.BytesIO(JPEG + bytes([number])))
    ws = replace(ws, train=archive)

    folder = sources.fetch_folder(ws, "train")
    listed, odd = list_pictures(ws, folder)

    assert (folder / "cat/1.png").read_bytes() == JPEG + b"\0"
    assert list(list_checks(odd).problem) == ["name_twice"] * 2
    assert len(listed) == 4


def test_a_python_that_unpacks_no_tar_safely_is_named(ws, monkeypatch):
    archive = pack(ws.results / "a.tar", {"cat/1.png": b"x"})
    monkeypatch.delattr(tarfile, "data_filter")

    with pytest.raises(ImportError, match="a.tar needs Python 3.11.4 or later"):
        archives.unpack(archive, ws.scratch)


def test_new_pictures_within_the_folders_to_learn_from_are_refused(ws, give, tmp_path):
    given = give(["cat/1.jpg", "dog/1.jpg", "cat/new/2.jpg", "new/3.jpg"])
    elsewhere = tmp_path / "linked"
    (given / "dog").rename(elsewhere)
    (given / "dog").symlink_to(elsewhere)

    for test in ("new", "cat/new", "cat", ".", "../linked"):
        within = replace(ws, train=given, test=given / test)
        with pytest.raises(ValueError, match='"test" is .* "train" is .* neither'):
            sources.fetch_folder(within, "train")


def test_new_pictures_may_lie_in_another_part_of_the_folder_of_train(ws, give):
    given = give(["seg_train/cat/1.jpg", "seg_train/dog/1.jpg", "seg_test/1.jpg"])
    ws = replace(ws, train=given, test=given / "seg_test")

    assert sources.fetch_folder(ws, "train") == given / "seg_train"
    assert sources.fetch_folder(ws, "test") == given / "seg_test"
