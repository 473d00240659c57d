"""Results and scratch are ours or refused, and nothing of a user's own is replaced."""

import json

import pytest
from conftest import read_all

from lib.base import paths_file, workspace


@pytest.fixture
def write_paths(tmp_path):
    """Return a function that writes a paths file beside a folder train of two classes."""
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)

    def write(**changes):
        paths = {"train": "train", "results": "r", "scratch": "s"}
        path = tmp_path / "paths.json"
        path.write_text(json.dumps(paths | changes))
        return path

    return write


def test_a_new_folder_is_marked_in_plain_words_and_is_ours_from_then_on(
    write_paths, tmp_path
):
    ws = workspace.open(write_paths())
    (ws.results / "split.csv").touch()

    assert workspace.open(write_paths()) == ws
    for folder in (ws.results, ws.scratch):
        assert "nothing of your own" in (folder / paths_file.MARKER).read_text()


def test_a_folder_with_other_files_is_refused_and_stays_as_it_is(write_paths, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/mine.csv").write_text("mine")
    path = write_paths()
    before = read_all(tmp_path)

    with pytest.raises(ValueError, match="/r is .*mine.csv: name .*") as told:
        workspace.open(path)

    assert read_all(tmp_path) == before
    # The file that it names makes the folder ours.
    assert paths_file.MARKER in str(told.value)
    (tmp_path / "r" / paths_file.MARKER).touch()
    assert workspace.open(path).results == tmp_path / "r"


def test_what_systems_leave_in_a_folder_does_not_count(write_paths, tmp_path):
    (tmp_path / "r").mkdir()
    unfinished = f"unfinished_{16 * 'a'}.csv"
    for name in ("desktop.ini", "Icon\r", ".lock", "corrections.csv", unfinished):
        (tmp_path / "r" / name).touch()

    assert workspace.open(write_paths()).results == tmp_path / "r"


def test_a_paths_file_may_lie_in_its_results_and_stays_as_it_is(write_paths, tmp_path):
    (tmp_path / "r").mkdir()
    path = tmp_path / "r/drive_paths.json"
    paths = {"train": "../train", "results": ".", "scratch": "../s"}
    path.write_text(json.dumps(paths))
    before = path.read_bytes()

    written = workspace.open(path).save_paths()

    assert written.name == "run_paths.json"
    assert path.read_bytes() == before
    assert workspace.open(written) == workspace.open(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "train"},
        {"results": "train/cat/r"},
        {"scratch": "train"},
        {"results": "."},
        {"results": "s/r"},
        {"scratch": "r/s"},
        {"results": "s"},
        {"test": "r/.new"},
        {"train_labels": "r/mine.csv"},
        {"train_labels": "s/mine.csv"},
        {"results": "cats/r"},
        {"scratch": "val/s"},
        {"scratch": "dev_set (1)/s"},
    ],
)
def test_results_scratch_and_pictures_lie_apart(write_paths, tmp_path, changes):
    path = write_paths(**changes)
    for name in ("r/.new", "val/cat", "dev_set (1)", "cats"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "train/bat").symlink_to(tmp_path / "cats")
    before = read_all(tmp_path)

    with pytest.raises(ValueError, match="neither may lie in the other"):
        workspace.open(path)

    assert read_all(tmp_path) == before
