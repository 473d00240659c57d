import contextlib
import json
import os
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from lib import storage, workspace
from lib.data import sources
from lib.data.demo import draw_dataset

ROOT = workspace.REPOSITORY


@pytest.fixture
def paths_file(tmp_path):
    """Return a function that writes a paths file beside the folders train and test."""
    for name in ("train", "test"):
        (tmp_path / name).mkdir()

    def write(**changes):
        paths = {
            "train": "train",
            "results": "out/results",
            "scratch": "out/scratch",
        } | changes
        path = tmp_path / "paths.json"
        kept = {key: value for key, value in paths.items() if value is not None}
        path.write_text(json.dumps(kept), encoding="utf-8")
        return path

    return write


def test_relative_paths_are_relative_to_the_json_file(
    paths_file, tmp_path, monkeypatch
):
    path = paths_file(test="./test")
    monkeypatch.chdir("/")
    ws = workspace.open(path)
    assert (ws.train, ws.test) == (tmp_path / "train", tmp_path / "test")
    assert (ws.results, ws.scratch) == (
        tmp_path / "out/results",
        tmp_path / "out/scratch",
    )
    assert ws.test_labels is None and not ws.is_demo
    assert str(ws.train) in ws.data_note


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"results": None}, ValueError, ['"results"', "missing"]),
        ({"trian": "train"}, ValueError, ['"trian"', 'did you mean "train"']),
        ({"shade": "x"}, ValueError, ['"shade"', "test_labels", "cluster"]),
        (
            {"train": "pictures"},
            FileNotFoundError,
            ['"train"', "pictures", "holds", "test, train"],
        ),
        ({"scratch": 5}, ValueError, ['"scratch"', "in quotes"]),
        (
            {"results": "train"},
            ValueError,
            ['"results"', 'inside "train"', "another folder"],
        ),
        (
            {"corrections": "x.csv"},
            FileNotFoundError,
            ['"corrections"', "x.csv", "holds"],
        ),
        ({"train": "out/scratch/x"}, ValueError, ['"train"', 'inside "scratch"']),
        (
            {"validation": "test", "scratch": "test/s"},
            ValueError,
            ['inside "validation"'],
        ),
        ({"validation": "train"}, ValueError, ['"validation"', 'inside "train"']),
    ],
)
def test_wrong_paths_file_is_an_error_that_names_the_key(
    paths_file, changes, error, words
):
    with pytest.raises(error) as caught:
        workspace.open(paths_file(**changes))
    assert all(word in str(caught.value) for word in words), caught.value


def test_backslash_in_a_paths_file_is_an_error_with_advice(tmp_path):
    path = tmp_path / "paths.json"
    path.write_text(r'{"train": "C:\pictures\train", "results": "r", "scratch": "s"}')
    with pytest.raises(
        ValueError, match=r"Invalid .escape.*Write / or \\\\ between folders, not"
    ):
        workspace.open(path)


def test_byte_order_mark_and_home_folder_are_understood(paths_file, monkeypatch):
    path = paths_file(scratch="~/scratch")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(workspace.open(path).scratch) == "/home/somebody/scratch"


@pytest.mark.parametrize("content", ['{"train": "train",}', "", '["train"]', "\xff"])
def test_file_that_is_no_json_object_is_an_error_that_names_the_example(
    tmp_path, content
):
    path = tmp_path / "paths.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match="paths.json.*drive_paths.example.json"):
        workspace.open(path)
    with pytest.raises(
        FileNotFoundError, match="nowhere.json.*drive_paths.example.json"
    ):
        workspace.open(tmp_path / "nowhere.json")


@pytest.mark.parametrize("key", ["train", "results"])
def test_a_key_that_stands_twice_is_an_error_that_names_it(paths_file, key):
    path = paths_file()
    path.write_text(path.read_text().replace("{", f'{{"{key}": "other", '))
    with pytest.raises(ValueError, match=f'"{key}" stands there twice'):
        workspace.open(path)


def test_a_relative_path_of_the_environment_is_looked_for_in_the_repository_too(
    paths_file, tmp_path, monkeypatch
):
    """A kernel runs in the folder of its notebook."""
    paths_file().rename(tmp_path / "mine.json")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(workspace, "REPOSITORY", tmp_path)
    monkeypatch.setenv("DRIVE_PATHS", "mine.json")
    assert workspace.open().train == tmp_path / "train"


def test_environment_names_the_paths_file_and_an_argument_goes_before_it(
    paths_file, monkeypatch
):
    path = paths_file()
    monkeypatch.setenv("DRIVE_PATHS", str(path))
    assert workspace.open() == workspace.open(path)
    assert workspace.open("demo").is_demo


def test_demo_is_opened_only_where_no_paths_file_is(paths_file, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "REPOSITORY", tmp_path)
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    monkeypatch.setattr(workspace, "DEMO_PATHS", tmp_path / "lib/demo_paths.json")
    (tmp_path / "lib").mkdir()
    shutil.copy(ROOT / "lib/demo_paths.json", tmp_path / "lib")
    demo = workspace.open()
    assert demo.is_demo and demo == workspace.open("demo")
    assert demo.test_labels.name == "test_labels.csv" and "drawn" in demo.data_note
    paths_file().rename(tmp_path / "drive_paths.json")
    assert workspace.open().train == tmp_path / "train"


def test_results_of_the_demo_go_to_a_mounted_drive_unless_it_is_named(drive):
    on_drive = workspace.open()
    assert on_drive.is_demo and on_drive.results.is_relative_to(drive)
    assert workspace.open(on_drive.save_paths()) == on_drive
    assert not workspace.open("demo").results.is_relative_to(drive)


def test_a_person_who_refuses_to_mount_drive_gets_the_demo(
    monkeypatch, tmp_path, capsys
):
    refuse = mock.Mock(side_effect=ValueError("mount failed"))
    colab = mock.Mock(drive=mock.Mock(mount=refuse))
    monkeypatch.setitem(sys.modules, "google", mock.Mock(colab=colab))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    assert workspace.open() == workspace.open("demo") and refuse.called
    assert "the demo, on this machine alone" in capsys.readouterr().out


def test_pictures_of_the_demo_are_drawn_by_whoever_first_opens_them(
    monkeypatch, tmp_path, ws
):
    monkeypatch.setattr(workspace, "REPOSITORY", tmp_path)
    monkeypatch.setattr(
        sources, "draw_dataset", partial(draw_dataset, per_class=2, test_count=5)
    )
    demo = replace(
        ws, train=tmp_path / "demo/pictures/train", test=tmp_path / "demo/pictures/test"
    )
    assert demo.is_demo and not demo.test.exists()
    folder = sources.open_folder(demo, "test")
    assert (
        folder == demo.test
        and len(list(folder.glob("*.jpg"))) == 5
        and demo.train.exists()
    )


def test_saved_paths_open_an_equal_workspace(paths_file, tmp_path, monkeypatch):
    for ws in (workspace.open(paths_file(test="test")), workspace.open("demo")):
        ws = replace(ws, results=tmp_path / "kept")
        again = workspace.open(ws.save_paths())
        assert again == ws and again.is_demo == ws.is_demo


def test_the_file_that_was_opened_is_left_alone(paths_file, tmp_path):
    """Even if it is drive_paths.json in the folder of the results."""
    path = paths_file(results=".").rename(tmp_path / "drive_paths.json")
    before = path.read_bytes()
    ws = workspace.open(path)
    written = ws.save_paths()
    assert path.read_bytes() == before
    assert written != path and workspace.open(written) == ws


def test_a_paths_file_of_other_results_is_left_alone(paths_file, tmp_path):
    path = paths_file(results="mine").rename(tmp_path / "drive_paths.json")
    before = path.read_bytes()
    ws = workspace.open("demo", results=tmp_path)
    assert workspace.open(ws.save_paths()) == ws
    assert path.read_bytes() == before


def test_corrections_among_the_results_count_unless_others_are_named(
    paths_file, tmp_path
):
    assert workspace.open(paths_file()).corrections_note == ""
    usual = tmp_path / "out/results/corrections.csv"
    usual.parent.mkdir(parents=True)
    usual.write_text("file,label\n")
    ws = workspace.open(paths_file())
    assert ws.corrections == usual
    assert (
        ws.corrections_note.startswith("Note: ") and str(usual) in ws.corrections_note
    )
    assert workspace.open(ws.save_paths()) == ws
    mine = tmp_path / "mine.csv"
    mine.touch()
    ws = workspace.open(paths_file(corrections="mine.csv"))
    assert ws.corrections == mine
    assert f"{usual} is not read" in ws.corrections_note


def test_corrections_follow_the_folder_of_the_results(paths_file, tmp_path):
    (tmp_path / "corrections.csv").touch()
    ws = workspace.open(paths_file(), results=tmp_path)
    assert ws.corrections == tmp_path / "corrections.csv"
    usual = ws.save_paths()
    (tmp_path / "corrections.csv").unlink()
    assert workspace.open(usual).corrections is None


def test_only_what_a_killed_run_has_left_is_swept(tmp_path):
    mine = ["leaf.part.0.jpg", "thesis.part.docx", "unfinished_poem.txt"]
    for name in mine:
        (tmp_path / name).touch()
    (tmp_path / "book.part.one").mkdir()
    with storage.atomic_write(tmp_path / "table.csv") as part:
        part.touch()
        shutil.copy(part, tmp_path / "kept")
    (tmp_path / "kept").rename(part)
    storage.sweep(tmp_path, min_age=3600)
    assert part.exists(), "another process may be writing it"
    storage.sweep(tmp_path)
    assert not part.exists()
    assert {*mine, "book.part.one", "table.csv"} == {p.name for p in tmp_path.iterdir()}


def test_what_another_user_has_left_is_passed_over(tmp_path, monkeypatch):
    leftover = tmp_path / f"unfinished_{32 * 'a'}.csv"
    leftover.touch()
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:  # who may delete anything
            stack.callback(os.seteuid, 0)
            os.seteuid(65534)
        storage.sweep(Path())
    tmp_path.chmod(0o755)
    assert leftover.exists()


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), storage.atomic_write(path) as part:
        part.write_text("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with storage.atomic_write(path) as part:
        part.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_missing_results_file_names_the_notebook_to_run(ws):
    with pytest.raises(FileNotFoundError, match="split.csv.*01_data_prep.*first.$"):
        ws.existing("split.csv", made_by="01_data_prep")
    with mock.patch.dict(sys.modules, {"google.colab": mock.Mock()}):
        with pytest.raises(
            FileNotFoundError, match="01_data_prep.*machine of its own: mount Google"
        ):
            ws.existing("split.csv", made_by="01_data_prep")
    ws.file("split.csv").write_text("")
    assert ws.existing("split.csv", made_by="01_data_prep") == ws.results / "split.csv"


def test_cluster_of_the_environment_goes_before_that_of_the_file(
    paths_file, monkeypatch
):
    path = paths_file(cluster="tcp://file:8786")
    assert workspace.open(path).cluster == "tcp://file:8786"
    monkeypatch.setenv(workspace.SCHEDULER, "tcp://environment:8786")
    assert workspace.open(path).cluster == "tcp://environment:8786"
