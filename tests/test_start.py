"""The form of 00: what its answers mean, which are refused, and how a run ends."""

import json
import shutil
import sys
from pathlib import Path
from unittest import mock

import pytest
from conftest import draw_classes, read_all, read_code, run_cells
from IPython.core.interactiveshell import InteractiveShell

from lib import chain, runner, start
from lib.base import machine, storage, workspace
from lib.data import sources
from lib.data.label_files import read_labels


def fill_in(pictures="", results="here", run="all lessons", options=""):
    """Return the arguments and the workspace of a form, in which nothing else is filled in."""
    return start.prepare_run(str(pictures), str(results), run, options)


def test_form_of_folders_becomes_arguments_of_the_chain(tmp_path):
    draw_classes(tmp_path / "pictures", 5)
    results = str(tmp_path / "results")

    arguments, ws = fill_in(tmp_path / "pictures", results, options="--seeds 2")

    assert arguments[0] == "--paths"
    assert arguments[2:] == ["--results", results, "--seeds", "2"]
    assert ws.train == tmp_path / "pictures"
    # It holds classes, and no part for testing.
    assert ws.test is None


@pytest.mark.parametrize(
    ("run", "options", "expected"),
    [
        ("quick", "", "01 05 08 09"),
        ("all lessons", "", "01 02 03 04 08 09 10"),
        ("all and beyond", "", "01 02 03 04 05 06 07 08 09 10 11"),
        ("quick", "--only 2", "02"),
    ],
)
def test_form_says_which_notebooks_run_unless_its_options_do(run, options, expected):
    arguments, ws = fill_in(run=run, options=options)

    parsed = chain.parse_arguments(arguments)
    names = runner.choose_notebooks(parsed.only, parsed.beyond, ws)
    assert [name[:2] for name in names] == expected.split()


def test_an_archive_on_drive_has_what_to_learn_from_and_what_is_new(
    drive, tmp_path, monkeypatch
):
    for part in ("train", "test"):
        draw_classes(tmp_path / "set" / part, 5)
    shutil.make_archive(str(drive / "set"), "zip", tmp_path / "set")
    # It is unpacked into scratch.
    monkeypatch.setattr(workspace, "REPOSITORY", tmp_path)

    _, ws = fill_in("My Drive/set.zip", "on Drive")

    assert ws.train == ws.test == drive / "set.zip"
    assert ws.results == drive / "image_classifiers"


@pytest.mark.parametrize(
    ("pictures", "results"),
    [("My Drive/mine.zip", "here"), ("", "on Drive")],
)
def test_drive_is_asked_for_where_something_lies_there(
    refused_drive, capsys, pictures, results
):
    # First what needs no Drive.
    words = "mount failed.*upload, .*https://.*flowers.*force_remount=True"
    with pytest.raises(start.FormError, match=words):
        fill_in(pictures, results)

    assert refused_drive.call_count == 1
    assert not storage.DRIVE.exists()
    assert capsys.readouterr().out == ""


def test_drive_is_not_asked_for_where_nothing_lies_there(refused_drive, ws):
    draw_classes(ws.train, 5)

    fill_in(ws.train, ws.results)

    assert not refused_drive.called


@pytest.mark.parametrize(
    ("pictures", "results", "options", "words"),
    [
        ("mine.zip", "results", "", "mine.zip"),
        ("upload", "results", "", "Colab"),
        ("pictures", "results", "--wat 3", "arguments: --wat 3"),
        ("pictures", "results", "3", "arguments: 3"),
        ("pictures", "pictures/out", "", 'pictures/out" and "train"'),
        ("pictures", "https://drive.google.com/a", "", "RESULTS .*MyDrive/FOLDER"),
        ("http://a.org/x", "results", "", "PICTURES .*https://"),
    ],
)
def test_form_that_can_not_be_used_is_refused_and_writes_nothing(
    tmp_path, monkeypatch, pictures, results, options, words
):
    draw_classes(tmp_path / "pictures", 5)
    monkeypatch.chdir(tmp_path)
    before = read_all(tmp_path)

    with pytest.raises(start.FormError, match=words):
        fill_in(pictures, results, run="quick", options=options)

    assert read_all(tmp_path) == before


@pytest.mark.parametrize("written", ["MyDrive/pics", "on Drive/pics"])
def test_what_lies_on_google_drive_is_found_as_it_is_called(
    drive, ws, tmp_path, monkeypatch, written
):
    """In Colab Drive is a folder beside the notebook, and a form, a key and an option name it."""
    (drive / "pics").mkdir()
    monkeypatch.chdir(tmp_path)
    paths = ws.save_paths()
    keys = json.loads(paths.read_text()) | {"results": written}
    paths.write_text(json.dumps(keys))

    assert start.find_pictures(written) == drive / "pics"
    assert fill_in(results=written)[1].results == drive / "pics"
    assert workspace.read("demo", written).results == drive / "pics"
    assert workspace.read(paths).results == drive / "pics"


@pytest.mark.parametrize("written", ["{}/My Drive/r", "./My Drive/r"])
def test_a_folder_that_is_called_like_drive_is_used_where_it_is(
    drive, tmp_path, monkeypatch, written
):
    monkeypatch.chdir(tmp_path)
    place = written.format(tmp_path)

    _, ws = fill_in(results=place)

    assert ws.results == tmp_path / "My Drive/r"


@pytest.mark.parametrize("place", ["here", "on Drive"])
def test_flowers_are_downloaded_and_they_and_the_demo_have_results_of_their_own(
    site, drive, tmp_path, monkeypatch, place
):
    folder, address = site
    draw_classes(tmp_path / "flower_photos", 5)
    shutil.make_archive(folder / "f", "gztar", tmp_path, "flower_photos")
    monkeypatch.setitem(start.NAMED, "flowers", f"{address}/f.tar.gz")
    monkeypatch.setattr(start, "REPOSITORY", tmp_path)

    _, ws = fill_in("flowers", place)
    _, own = fill_in(tmp_path / "flower_photos", place)
    _, demo = fill_in("demo", place)

    assert ws.train == start.NAMED["flowers"]
    assert sources.fetch_folder(ws, "train").name == "flower_photos"
    for other in (ws.results, demo.results):
        assert own.results not in (other, *other.parents)


def test_form_that_is_ready_says_where_its_results_go(tmp_path, capsys):
    form = {"PICTURES": "", "RESULTS": f"{tmp_path}/mine", "RUN": "quick"}
    names = form | {"OPTIONS": f"--results {tmp_path}/other", "machine": machine}

    run_cells("00_start_here", ["00-06"], names)

    assert capsys.readouterr().out == f"ready: demo; results: {tmp_path}/other\n"


def test_what_is_uploaded_is_found_where_colab_keeps_it(tmp_path, monkeypatch):
    colab = mock.Mock()
    colab.files.upload.return_value = {"x.zip": b"1"}
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.chdir(tmp_path)
    Path("x.zip").touch()

    assert start.find_pictures("upload") == tmp_path / "x.zip"


def test_a_run_that_stops_is_one_sentence(ws, capsys):
    draw_classes(ws.train, 5)
    arguments, _ = fill_in(ws.train, ws.results, options="-p EPOCHS many")

    with pytest.raises(start.FormError) as stopped:
        start.run_form(arguments)

    assert "EPOCHS" in capsys.readouterr().err
    error = stopped.value
    InteractiveShell().showtraceback((type(error), error, stopped.tb))
    assert capsys.readouterr().out == f"{error}\n"


def test_corrections_that_lack_earlier_ones_are_refused(tmp_path, ws):
    earlier = ws.file("corrections.csv")
    earlier.write_text("file,label\na.png,red\nb.png,red\n")
    before = earlier.read_bytes()
    made = tmp_path / "made.csv"
    made.write_text("file,label\nb.png,NA\n")
    cell = read_code("00_start_here", workspace.REPOSITORY)["00-corrections"].source
    source = cell.replace('CORRECTIONS = ""', f"CORRECTIONS = {str(made)!r}")
    names = {"ws": ws, "start": start, "shutil": shutil, "read_labels": read_labels}

    with pytest.raises(AssertionError, match="corrects a.png"):
        exec(source, names)

    assert earlier.read_bytes() == before
