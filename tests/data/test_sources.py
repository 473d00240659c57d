import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from lib import storage, workspace
from lib.data import archives, downloads, sources

COMPETITION = "competitions/leaves"
KINDS = ["folder", "zip", "tar", "kaggle"]
CLASSES = {"007", "NA", "red"}


def pack(archive, files):
    """Write a .zip or .tar file of {name: bytes}."""
    archive.parent.mkdir(parents=True, exist_ok=True)
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
def files(tmp_path, draw_classes, read_all):
    """The pictures of three classes: relative path to bytes."""
    draw_classes(tmp_path / "drawn", 2)
    return read_all(tmp_path / "drawn")


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """A kagglehub that gives its `folder`, or raises `error`."""

    def fetch(handle):
        if state.error:
            raise state.error
        state.handles.append(handle)
        return str(state.folder)

    state = SimpleNamespace(competition_download=fetch, dataset_download=fetch)
    state.handles, state.error, state.folder = [], None, tmp_path / "given"
    monkeypatch.setitem(sys.modules, "kagglehub", state)
    return state


@pytest.fixture
def give(tmp_path, kaggle):
    """A function that lays {name: bytes} out as a folder, archive or data of Kaggle."""

    def give(kind, files):
        if kind in ("zip", "tar"):
            return pack(tmp_path / f"given.{kind}", files)
        for name, content in files.items():
            (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "given" / name).write_bytes(content)
        return Path(f"kaggle:{COMPETITION}") if kind == "kaggle" else tmp_path / "given"

    return give


def below(prefix, files):
    return {str(Path(prefix, name)): content for name, content in files.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("root", "beside"),
    [
        ("", ["README.md", "LICENSE", "__MACOSX/._x.png", ".DS_Store", "annotations/1.xml"]),
        ("leaves", ["README.md", "LICENSE", "Thumbs.db", "annotations/1.xml", "banner.png"]),
        ("data/leaves", ["__MACOSX/data/._x.png", ".thumbs/1.png", "data.zip"]),
        ("train", ["annotations/1.xml", "train.zip"]),
        ("train/train", ["test/test/1.png", "sample_submission.csv"]),
        ("Train", ["Test/red/1.png"]),
        ("training", ["validation/red/1.png"]),
        ("training_set/training_set", ["test_set/test_set/red/1.png"]),
        ("train", ["val/1.png", "test/1.png"]),  # ImageNet's way
    ],
)
def test_class_folders_are_found_alike_in_a_folder_an_archive_and_on_kaggle(
    ws, files, give, read_all, kind, root, beside
):
    given = give(kind, below(root, files) | dict.fromkeys(beside, b"x"))
    found = read_all(sources.open_folder(replace(ws, train=given), "train"))
    assert {path: found.get(path) for path in files} == files
    assert {path.parts[0] for path in found if path.suffix == ".png"} - {"__MACOSX"} == CLASSES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [["leaves.zip"], ["train.zip", "test.zip"], ["train/train.tar"]])
def test_archives_in_what_is_given_are_unpacked(ws, tmp_path, files, give, read_all, kind, names):
    inside = {"notes.txt": b""}
    for name in names:
        inner = {"1.png": b"x"} if name == "test.zip" else below("train", files)
        inside[name] = pack(tmp_path / "packed" / Path(name).name, inner).read_bytes()
    given = give(kind, inside)
    before = read_all(tmp_path / "given")
    assert read_all(sources.open_folder(replace(ws, train=given), "train")) == files
    assert read_all(tmp_path / "given") == before


@pytest.mark.parametrize(
    "inside",
    [
        ["frogs/1.jpg", "frogs/2.jpg", "notes.txt"],  # one class, for the error that says so
        ["train/1.jpg", "bus/1.jpg", "car/1.jpg"],
        ["train.zip", "bus/1.jpg", "car/1.jpg"],
        ["bullet_train/1.jpg", "steam_train/1.jpg"],
        ["training.day/1.jpg", "d\u00e9train/1.jpg"],
        ["bullet_train/1.jpg", "test_tube/1.jpg", "car/1.jpg"],
    ],
)
def test_classes_are_not_taken_for_parts(ws, give, inside):
    given = give("folder", dict.fromkeys(inside, b"x"))
    assert sources.open_folder(replace(ws, train=given), "train") == given


@pytest.mark.parametrize("kind", ["no ending", "behind a link"])
def test_a_class_of_odd_pictures_beside_one_of_folders_is_not_passed_over(ws, give, tmp_path, kind):
    given = give("folder", {f"bird/{year}/1.jpg": b"x" for year in (2020, 2021)})
    if kind == "no ending":
        (given / "cat").mkdir()
        (given / "cat/1").write_bytes(b"\xff\xd8\xff\xe0")
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/1.jpg").write_bytes(b"x")
        (given / "cat").mkdir()
        (given / "cat/more").symlink_to(tmp_path / "elsewhere")
    assert sources.open_folder(replace(ws, train=given), "train") == given


@pytest.mark.parametrize(
    "inside", [["1.jpg", "a/b/2.jpg", "old.zip"], ["cat/1.jpg", "dog/1.jpg"], ["1.jpg"]]
)
def test_new_pictures_are_taken_as_they_lie(ws, give, inside):
    given = give("folder", dict.fromkeys(inside, b"x"))
    assert sources.open_folder(replace(ws, test=given), "test") == given


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_not_taken_for_classes(ws, give, kind):
    given = give(kind, dict.fromkeys(["val/1.jpg", "test/a/1.jpg", "README.md"], b"x"))
    words = 'holds the parts of a data set, not classes: test, val. Point "train" in drive_paths.json at'
    with pytest.raises(ValueError, match=words):
        sources.open_folder(replace(ws, train=given), "train")
    assert sources.open_folder(replace(ws, test=given), "test").name == "test"


@pytest.mark.parametrize(
    ("inside", "train"),
    [
        (["seg_train/seg_train/a/1", "seg_test/seg_test/a/1", "seg_pred/seg_pred/1"], "seg_train/seg_train"),
        (["train1/a/1", "train1/b/1", "test1/1"], "train1"),
        (["x_train/a/1", "x_test/a/1"], "x_train"),
        (["train_224/a/1", "val_224/a/1"], "train_224"),
        (["train.v2/a/1", "Test 2/1", "dev_set/a/1"], "train.v2"),
        (["train/1", "test1/1"], "train"),
    ],
)  # fmt: skip
def test_folders_named_after_parts_by_any_word_are_parts(ws, give, inside, train):
    given = give("folder", {f"{path}.jpg": b"x" for path in inside})
    assert sources.open_folder(replace(ws, train=given), "train") == given / train


@pytest.mark.parametrize(
    "inside",
    [["train_224/a/1.jpg", "train_512/a/1.jpg"], ["val/a/1.jpg"], ["train1.zip", "train2.zip"]],
)
def test_parts_of_which_none_is_the_one_for_training_are_an_error(ws, give, inside):
    given = give("folder", dict.fromkeys(inside, b"x"))
    with pytest.raises(ValueError, match=f'{given} holds the parts .* Point "train" in'):
        sources.open_folder(replace(ws, train=given), "train")


def test_validation_beside_a_part_of_any_name_is_found(ws, files, give, read_all):
    given = give("folder", below("train_224", files) | below("val_224", files))
    ws = replace(ws, train=given)
    assert sources.find_validation(ws) == given / "val_224"


@pytest.mark.parametrize("other", ["birds_val", "val_512", "web_dev/x_train", "dev_board"])
def test_validation_of_another_set_beside_is_not_taken(ws, files, give, other):
    given = give(
        "folder", below("flowers_train", files) | below("train", files) | below(other, files)
    )
    for name in ("flowers_train", "train"):
        named = replace(ws, train=given / name)
        assert sources.find_validation(named) is None


def test_validation_of_another_set_in_the_same_scratch_is_not_taken(ws, tmp_path, files):
    both = {name: pack(tmp_path / f"both/{name}.zip", files) for name in ("train", "val")}
    first = replace(ws, train=both["train"])
    assert sources.find_validation(first)
    second = replace(ws, train=pack(tmp_path / "alone/train.zip", below("more", files)))
    assert sources.find_validation(second) is None


def test_parts_beside_other_pictures_are_refused(ws, give):
    given = give("folder", dict.fromkeys(["train/a/1.jpg", "test/1.jpg", "extra/1.jpg"], b"x"))
    with pytest.raises(
        ValueError, match=f"{given} holds the parts .* not classes: extra, test, train"
    ):
        sources.open_folder(replace(ws, train=given), "train")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("named", ["val", "Validation", "dev/dev"])
def test_validation_beside_train_is_found(ws, files, give, read_all, kind, named):
    ws = replace(ws, train=give(kind, below(named, files) | {"train/train/a/1.jpg": b"x"}))
    train = sources.open_folder(ws, "train")
    assert read_all(train) == {Path("a/1.jpg"): b"x"}
    assert read_all(sources.find_validation(ws)) == files


@pytest.mark.parametrize("kind", KINDS)
def test_validation_packed_beside_train_is_found(ws, tmp_path, files, give, read_all, kind):
    train = pack(tmp_path / "train.zip", {"a/1.jpg": b"x", "b/1.jpg": b"x"}).read_bytes()
    valid = pack(tmp_path / "packed/valid.tar", files).read_bytes()
    ws = replace(ws, train=give(kind, {"train.zip": train, "valid.tar": valid}))
    assert read_all(sources.find_validation(ws)) == files


def test_validation_is_found_when_the_training_part_itself_is_named(ws, files, give, read_all):
    given = give("folder", below("train", files) | below("val", files))
    pack(given / "zips/train.zip", files), pack(given / "zips/val.zip", files)
    for place in ("train", "zips/train.zip"):
        named = replace(ws, train=given / place)
        folder = sources.find_validation(named)
        assert read_all(folder) == files


def test_flat_validation_is_said_and_not_used(ws, files, give, capsys):
    ws = replace(ws, train=give("folder", below("train", files) | {"val/1.jpg": b"x"}))
    assert sources.find_validation(ws) is None
    assert capsys.readouterr().out == f"{ws.train / 'val'} has no class folders and is not used.\n"


def test_folder_beside_one_that_is_no_part_is_not_validation(ws, files, give):
    given = give("folder", below("leaves", files) | below("val", files))
    ws = replace(ws, train=given / "leaves")
    assert sources.find_validation(ws) is None


def test_configured_validation_comes_first(ws, files, give):
    given = give("folder", below("train", files) | below("val", files) | below("mine", files))
    ws = replace(ws, train=given, validation=given / "mine")
    assert sources.find_validation(ws) == given / "mine"


def test_archive_is_unpacked_once_and_anew_when_it_changed(ws, files):
    archive = pack(ws.results / "train.zip", files)
    first = archives.unpack(archive, ws.scratch)
    (first / "mark").touch()
    assert archives.unpack(archive, ws.scratch) == first and (first / "mark").exists()
    pack(archive, {"one/1.png": b"longer"})
    assert archives.unpack(archive, ws.scratch) != first


def test_two_processes_unpack_an_archive_once(ws, read_all):
    files = {Path(f"{n % 9}/{n}.png"): bytes(str(n), "ascii") for n in range(3000)}
    archive = pack(ws.results / "train.zip", files)
    code = (
        "import pathlib, sys; from lib.data.archives import unpack; print(flush=True); input();"
        "print(unpack(*map(pathlib.Path, sys.argv[1:])))"
    )
    command = [sys.executable, "-c", code, archive, ws.scratch]
    options = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options |= {"text": True, "cwd": workspace.REPOSITORY}
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    for process in both:
        process.stdout.readline()  # it has imported, and waits
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    (out, said), (other_out, other_said) = [process.communicate(timeout=100) for process in both]
    assert out == other_out and read_all(Path(out.strip())) == files
    assert ("unpacking" in said) + ("unpacking" in other_said) == 1


def test_unpacking_killed_half_way_begins_anew(ws, files, read_all, monkeypatch):
    archive = pack(ws.results / "train.zip", files)

    def die(packed, folder, members):
        (folder / "half.png").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(zipfile.ZipFile, "extractall", die)
        patch.setattr(archives.shutil, "rmtree", lambda *args, **options: None)
        archives.unpack(archive, ws.scratch)
    assert list(ws.scratch.glob("*.part/whole/half.png"))
    folder = archives.unpack(archive, ws.scratch)
    assert read_all(folder) == files
    assert [path for path in ws.scratch.iterdir() if path.suffix != ".lock"] == [folder]


def test_archive_on_drive_is_read_as_one_file(ws, files, drive, read_all, monkeypatch):
    archive = pack(drive / "train.zip", files)
    extract, seen = archives._extract, []
    monkeypatch.setattr(
        archives, "_extract", lambda path, *rest: seen.append(path) or extract(path, *rest)
    )
    assert read_all(archives.unpack(archive, ws.scratch)) == files
    assert not storage.is_on_drive(seen[0]) and not seen[0].exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.parametrize(
    "hostile", ["../out.png", "{}/out.png", "cat/../../../out.png", "..\\out.png"]
)
def test_hostile_names_write_nothing_outside(ws, tmp_path, read_all, name, hostile):
    archive = pack(tmp_path / "given" / name, {hostile.format(tmp_path): b"x", "cat/1.png": b"y"})
    try:
        archives.unpack(archive, ws.scratch)
    except ValueError as error:
        assert name in str(error) and "outside" in str(error)
        assert {path.suffix for path in ws.scratch.iterdir()} == {".lock"}
    written = [str(path) for path in read_all(tmp_path) if path.suffix == ".png"]
    assert all(fnmatch(path, "scratch/a_*/*.png") for path in written), written


def test_archive_larger_than_the_disk_is_refused(ws, files, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    for name in ("a.zip", "a.tar", "a.tar.gz"):
        archive = pack(ws.results / name, files | {Path("cat/huge.bmp"): bytes(10**7)})
        with pytest.raises(ValueError, match="0.0 MB free, and what it holds will need 10.0 MB"):
            archives.unpack(archive, ws.scratch)
        assert {path.suffix for path in ws.scratch.iterdir()} == {".lock"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_damaged_archive_is_named(ws, files, name):
    archive = pack(ws.results / name, files)
    whole = archive.read_bytes()
    bad = whole[:200] + bytes(b ^ 255 for b in whole[200:400]) + whole[400:]
    for content in (whole[: len(whole) // 2], bad, b"text", b""):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} can't be unpacked"):
            archives.unpack(archive, ws.scratch)
        assert {path.suffix for path in ws.scratch.iterdir()} == {".lock"}


def test_tar_cut_between_two_files_or_with_a_damaged_name_is_noticed(ws):
    archive = pack(ws.results / "a.tar", {"cat/1.png": b"x", "dog/2.png": b"y"})
    whole = archive.read_bytes()
    for content in (whole[:1024], whole.replace(b"dog/2.png", b"dig/2.png")):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match="a.tar can't be unpacked: its end is missing, or"):
            archives.unpack(archive, ws.scratch)


def test_folders_parted_by_backslashes_are_folders(ws, files, read_all):
    archive = pack(ws.results / "a.zip", {str(p).replace("/", "\\"): files[p] for p in files})
    assert read_all(archives.unpack(archive, ws.scratch)) == files


def pack_link(ws, kind, target):
    archive = pack(ws.results / "a.tar", {"cat/1.png": b"x"})
    with tarfile.open(archive, "a") as packed:
        link = tarfile.TarInfo("dog/2.png")
        link.type, link.linkname = kind, target
        packed.addfile(link)
    return archive


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.LNKTYPE, "cat/1.png"), (tarfile.SYMTYPE, "2")]
)
def test_link_within_an_archive_is_unpacked(ws, kind, target):
    link = archives.unpack(pack_link(ws, kind, target), ws.scratch) / "dog/2.png"
    assert link.is_symlink() or link.read_bytes() == b"x"


@pytest.mark.parametrize("target", ["/etc/hosts", "../../out.png", "../cat/1.png"])
def test_link_that_may_lead_outside_is_refused(ws, target):
    with pytest.raises(ValueError, match="dog/2.png' is a link"):
        archives.unpack(pack_link(ws, tarfile.SYMTYPE, target), ws.scratch)
    assert {path.suffix for path in ws.scratch.iterdir()} == {".lock"}


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("competitions/leaves", "leaves"),
        ("competitions/leaves/train", "leaves"),
        ("competitions/leaves/train/train/", "leaves"),
        ("datasets/linnaeus/leaves", "linnaeus/leaves"),
        ("datasets/linnaeus/leaves/train", "linnaeus/leaves"),
    ],
)
def test_class_folders_of_kaggle_are_found(tmp_path, files, give, kaggle, name, handle):
    given = give("folder", below("train/train", files) | below("test", files))
    paths = tmp_path / "paths.json"
    paths.write_text(f'{{"train": "kaggle:{name}", "results": "r", "scratch": "s"}}')
    opened = workspace.open(paths)
    assert workspace.open(opened.save_paths()) == opened
    assert sources.open_folder(opened, "train") == given / "train/train"
    assert kaggle.handles == [handle]


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
        downloads.download(COMPETITION)
    assert all(word in str(caught.value) for word in words), caught.value


def test_kaggle_without_credentials_says_where_they_are_read(tmp_path, monkeypatch):
    pytest.importorskip("kagglehub", reason="kagglehub is not installed")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "KAGGLE_CONFIG_DIR", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(ConnectionError, match="KAGGLE_API_TOKEN.*from the environment alone"):
        downloads.download(COMPETITION)


@pytest.mark.parametrize("name", ["leaves", "competitions", "datasets/leaves", "models/a/b"])
def test_wrong_name_of_kaggle_is_named(name):
    with pytest.raises(ValueError, match="kaggle:competitions/NAME"):
        downloads.download(name)


def test_folder_that_the_data_lacks_is_named(kaggle):
    with pytest.raises(ValueError, match="trian"):
        downloads.download(f"{COMPETITION}/trian")


def test_missing_kagglehub_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(ConnectionError, match="pip install kagglehub"):
        downloads.download(COMPETITION)
