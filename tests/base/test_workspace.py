import json
import re

import pytest

from lib.base import storage, workspace
from lib.base.paths_file import read_json

ROOT = workspace.REPOSITORY


@pytest.fixture
def paths_file(tmp_path):
    """Return a function that writes a paths file beside the folders train and test."""
    for name in ("train", "test"):
        (tmp_path / name).mkdir()

    def write(**changes):
        paths = {"train": "train", "results": "out/results", "scratch": "out/scratch"}
        path = tmp_path / "paths.json"
        path.write_text(json.dumps(paths | changes), encoding="utf-8")
        return path

    return write


def test_relative_paths_are_relative_to_the_json_file(
    paths_file, tmp_path, monkeypatch
):
    path = paths_file(test=" ./test ")
    monkeypatch.chdir("/")

    ws = workspace.open(path)

    assert (ws.train, ws.test) == (tmp_path / "train", tmp_path / "test")
    assert ws.results == tmp_path / "out/results"
    assert ws.scratch == tmp_path / "out/scratch"
    assert ws.test_labels is None
    assert not ws.is_demo
    assert str(ws.train) in ws.data_note
    assert workspace.open(ws.save_paths()) == ws


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"trian": "train"}, ValueError, '"trian".*: train,'),
        (
            {"train": "pictures"},
            FileNotFoundError,
            'pictures.*test, train.*"train".*MyDrive/',
        ),
        ({"corrections": "x.csv"}, FileNotFoundError, 'x.csv.*"corrections"'),
        ({"scratch": 5}, ValueError, '"scratch".*in quotes'),
        ({"train": "$HOME/train"}, ValueError, '"train".*no path'),
        ({"train": "http://localhost.a.org/b"}, ValueError, '"train".*no path'),
        ({"test": "https://a.org/b.zip"}, ValueError, '"test".*no path'),
        ({"train": "https://drive.google.com/b"}, ValueError, "MyDrive/.*mounted"),
        ({"results": "kaggle:datasets/a/b"}, ValueError, '"results".*no path'),
    ],
)
def test_wrong_paths_file_is_an_error_that_names_the_key(
    paths_file, changes, error, words
):
    with pytest.raises(error, match=words):
        workspace.open(paths_file(**changes))


@pytest.mark.parametrize(
    "place",
    [
        "kaggle:datasets/owner/name",
        "HTTPS://a.org/b.tgz",
        "http://127.0.0.1:80/b",
        "http://[::1]:80/b",
    ],
)
def test_what_lies_on_the_web_stays_as_it_is_written(paths_file, place):
    """It may have a part to learn from, and one to test on."""
    ws = workspace.open(paths_file(train=place, test=place))

    assert ws.train == ws.test == place
    assert workspace.open(ws.save_paths()) == ws


def test_folder_called_like_drive_is_one_of_this_machine(paths_file, tmp_path):
    (tmp_path / "drive/pics").mkdir(parents=True)
    ws = workspace.open(paths_file(train="drive/pics"))
    assert ws.train == tmp_path / "drive/pics"


def test_byte_order_mark_and_home_folder_are_understood(paths_file, monkeypatch):
    path = paths_file(scratch="~/scratch")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    monkeypatch.setenv("HOME", "/home/somebody")

    assert str(workspace.read(path).scratch) == "/home/somebody/scratch"


EXAMPLE = "paths.json.*drive_paths.example.json"
UNUSABLE = {
    '{"train": "train",}': EXAMPLE,
    '["train"]': EXAMPLE,
    "\xff": EXAMPLE,
    '{"train": "train", "scratch": "s"}': '"results" is missing',
    '{"train": " ", "results": "r", "scratch": "s"}': '"train" is missing',
    r'{"train": "C:\pictures\train"}': r"Write / or \\\\",
}


@pytest.mark.parametrize("content", UNUSABLE)
def test_file_that_is_no_paths_file_is_an_error_that_says_why(tmp_path, content):
    path = tmp_path / "paths.json"
    path.write_text(content, encoding="latin-1")

    with pytest.raises(ValueError, match=UNUSABLE[content]):
        workspace.open(path)


def test_encoding_that_python_does_not_know_is_named(paths_file):
    with pytest.raises(ValueError, match='paths.json: "encoding": .*sjis-9.* cp932'):
        workspace.read(paths_file(encoding="sjis-9"))


def test_other_json_that_is_none_is_no_paths_file(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text("[]")

    with pytest.raises(ValueError, match="answer.json is no JSON object") as caught:
        read_json(path)

    assert "drive_paths" not in str(caught.value)


def test_environment_names_the_paths_file_and_an_argument_goes_before_it(
    paths_file, monkeypatch
):
    path = paths_file()
    monkeypatch.setenv("DRIVE_PATHS", str(path))
    assert workspace.open() == workspace.open(path)
    assert workspace.open("demo").is_demo


def test_demo_is_opened_only_where_no_paths_file_is(paths_file, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "MINE", tmp_path / "paths.json")

    demo = workspace.open()
    paths_file()

    assert demo == workspace.open("demo")
    assert workspace.open().train == tmp_path / "train"


def test_results_of_the_demo_go_to_a_mounted_drive_unless_it_is_named(drive):
    on_drive = workspace.open()

    assert on_drive.is_demo
    assert "drawn" in on_drive.data_note
    assert on_drive.results.is_relative_to(drive)
    assert workspace.open(on_drive.save_paths()) == on_drive
    assert not workspace.open("demo").results.is_relative_to(drive)


def test_a_person_who_refuses_to_mount_drive_gets_the_demo(refused_drive, capsys):
    assert workspace.open() == workspace.open("demo")

    assert refused_drive.called
    assert re.match("Note: .*mount failed", capsys.readouterr().out)


@pytest.mark.parametrize("named", ["mine.csv", "out/results/corrections.csv"])
def test_corrections_that_are_named_go_before_those_among_the_results(
    paths_file, tmp_path, named
):
    workspace.open(paths_file()).file("corrections.csv").touch()
    (tmp_path / "mine.csv").touch()

    ws = workspace.open(paths_file(corrections=named))

    assert ws.corrections == tmp_path / named


def test_corrections_follow_the_folder_of_the_results(paths_file, tmp_path):
    usual = tmp_path / "elsewhere/corrections.csv"
    usual.parent.mkdir()
    usual.touch()

    ws = workspace.read(paths_file(), usual.parent)
    ws.claim()
    saved = ws.save_paths()

    assert ws.corrections == usual
    assert workspace.open(saved) == ws
    usual.unlink()
    assert workspace.open(saved).corrections is None


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    with pytest.raises(KeyboardInterrupt), storage.atomic_write(path) as part:
        part.write_text("half of the n")
        raise KeyboardInterrupt

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_results_file_names_the_notebook_to_run(ws):
    with pytest.raises(FileNotFoundError, match=r"split.csv.*01_data_prep.*first\.$"):
        ws.existing("split.csv", made_by="01_data_prep")
