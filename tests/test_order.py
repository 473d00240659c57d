"""In which order notebooks run, which are asked for, with what parameters, and what their line says."""

import io
import json
import linecache
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from unittest import mock

import nbformat
import papermill
import pytest
from conftest import plan_make

from lib import chain, runner
from lib.base import storage, workspace

FIRST = ["01_data_prep", "02_baseline_cnn", "03_augmented_cnn", "04_resnet50_transfer"]
BEYOND = ["05_backbones", "06_fine_tuning", "07_label_audit"]
LAST = ["08_evaluation", "09_random_images", "10_hand_over"]
KNOBS = """WEIGHTS: str = "imagenet"  # @param {}
IMAGE_SIZE: int = 224  # @param {}"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A folder of notebooks with one cell each, and a README that is none."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "README.md").write_text("how to use them")
    for name in ["00_start_here", *FIRST, *BEYOND, *LAST, "11_multi_label"]:
        write_notebook(folder / f"{name}.ipynb", [])
    monkeypatch.setattr(runner, "NOTEBOOKS", folder)
    return folder


def write_notebook(path, sources, knobs=KNOBS):
    """Write a notebook of a cell of parameters and further ones."""
    cells = [nbformat.v4.new_code_cell(source) for source in [knobs, *sources]]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    metadata = {"kernelspec": kernel}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture
def start(stand_ins, ws):
    """Return a function that starts a chain of stand-ins on a picture, and returns its status."""
    (ws.train / "1.jpg").touch()
    paths = str(ws.save_paths())
    return lambda *arguments: chain.main(["--paths", paths, *arguments])


@pytest.fixture
def run(start, monkeypatch):
    """Return a function that runs a chain and returns the names, in the order in which they ran."""
    ran = []

    def note(ws, name, *further):
        ran.append(name)

    monkeypatch.setattr(runner, "run_notebook", note)

    def run_chain(*arguments):
        ran.clear()
        assert start(*arguments) == 0
        return ran

    return run_chain


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], FIRST + LAST),
        (["--beyond"], FIRST + BEYOND + LAST),
        (
            ["--only", "10", "9", "8", "07", "3"],
            ["03_augmented_cnn", "07_label_audit", *LAST],
        ),
        (
            ["--only", "cnn", "audit"],
            ["02_baseline_cnn", "03_augmented_cnn", "07_label_audit"],
        ),
    ],
)
def test_notebooks_run_in_the_order_of_their_numbers(run, arguments, expected):
    assert run(*arguments) == expected


@pytest.mark.parametrize(("option", "expected"), [("--resume", ""), ("--anew", "1")])
def test_kernels_alone_are_told_whether_to_train_anew(
    run, monkeypatch, option, expected
):
    told = []

    def note(*further):
        told.append(os.environ["TRAIN_ANEW"])

    monkeypatch.setattr(runner, "run_notebook", note)
    before = dict(os.environ)

    run("--only", "1", option)

    assert told == [expected]
    assert dict(os.environ) == before


def test_chain_ends_with_all_results_on_drive(run, ws, monkeypatch):
    flush = mock.Mock()
    monkeypatch.setattr(storage, "flush_drive", flush)

    run("--only", "1")

    flush.assert_called_once_with(ws.results)


BAR = """
from tqdm import tqdm
with tqdm(total=3, desc="tiny", mininterval=0) as progress:
    for epoch in "123":
        progress.set_postfix(accuracy="0.1", epoch=f"{epoch}/3")
        progress.update()
"""
FAILING = ["1 + 1", "open('split.csv')"]
NOTE = "Note: tiny is taken from an earlier training."


def test_line_of_a_notebook_says_cell_and_progress_and_its_notes(
    stand_ins, ws, monkeypatch
):
    """Each in place of the one before; the note is printed while a bar is open."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", terminal)
    sources = ["assert IMAGE_SIZE == 64", f"{BAR}    print({NOTE!r})\nprint('no note')"]
    write_notebook(stand_ins / "02_baseline_cnn.ipynb", sources)

    runner.run_notebook(ws, "02_baseline_cnn", {"IMAGE_SIZE": 64})

    _, *shown = map(str.rstrip, terminal.getvalue().split("\r"))
    assert all(line.startswith("02_baseline_cnn        …") for line in shown)
    assert any("2 of 4 cells" in line for line in shown)
    # How long it takes is not told before.
    assert any(re.search(r"tiny, 33%, [\d:]+, epoch=1/3$", line) for line in shown)
    assert re.fullmatch(rf".* took [\d:]+ +\n    {NOTE}", shown[-1])


def test_log_keeps_no_progress(stand_ins, ws, capsys):
    write_notebook(stand_ins / "02_baseline_cnn.ipynb", [BAR])

    runner.run_notebook(ws, "02_baseline_cnn", {})

    out = capsys.readouterr().out
    assert "took" in out
    assert "%" not in out


def test_failing_notebook_is_named_with_cell_and_error_and_ends_the_chain(
    start, stand_ins, ws, capsys
):
    write_notebook(stand_ins / "02_baseline_cnn.ipynb", FAILING)

    assert start("--only", "2", "8") == 1

    words = "02_baseline_cnn, cell 3: FileNotFoundError: .*split.csv"
    assert re.search(words, capsys.readouterr().err)
    assert not (ws.results / "notebooks/08_evaluation.ipynb").exists()


def is_waiting(thread):
    """Tell whether a thread waits for a lock."""
    frame = sys._current_frames()[thread]
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return "acquire(" in line


def test_help_is_no_stop(start, capsys):
    assert start("--help") == 0

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_that_does_not_wake_the_main_thread_ends_the_notebook(
    start, stand_ins, ws, monkeypatch, capsys, number
):
    """As one does that comes between letting go of the GIL and waiting; no kernel is there yet."""
    ended = ws.results / "ended"
    sources = ["import time; time.sleep(600)", f"open({str(ended)!r}, 'w')"]
    write_notebook(stand_ins / "01_data_prep.ipynb", sources)
    execute = papermill.execute_notebook

    def interrupt(*arguments, **options):
        while not is_waiting(threading.main_thread().ident):
            pass
        # Only the main thread handles it, and no system call of that is interrupted.
        signal.pthread_kill(threading.get_ident(), number)
        execute(*arguments, **options)

    monkeypatch.setattr(papermill, "execute_notebook", interrupt)

    assert start() == 128 + number

    assert capsys.readouterr().err.count("stopped; the same command") == 1
    assert not ended.exists()
    # It stays as far as it came.
    assert [path.stem for path in (ws.results / "notebooks").iterdir()] == FIRST[:1]


def test_notebook_that_ends_as_the_stop_comes_is_kept_and_the_last(
    start, stand_ins, ws, monkeypatch
):
    execute = papermill.execute_notebook

    def interrupt(*arguments, **options):
        execute(*arguments, **options)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(papermill, "execute_notebook", interrupt)

    assert start() == 128 + signal.SIGINT

    assert [path.stem for path in (ws.results / "notebooks").iterdir()] == FIRST[:1]


def test_dead_kernel_is_told_with_a_log_of_this_chain_alone(
    start, stand_ins, ws, capfd
):
    sources = ["import os", "os.write(2, b'last words')", "os._exit(1)"]
    write_notebook(stand_ins / "01_data_prep.ipynb", sources)

    assert start("--only", "1") == 1

    log = ws.results / "kernel.log"
    assert f"01_data_prep: its kernel died; see {log}" in capfd.readouterr().err
    assert "last words" in log.read_text()
    assert not list(ws.scratch.glob("*.log"))


WRONG = {
    "-p EPOCH 3": "-p EPOCH.*EPOCHS",
    "--seeds 0": "SEEDS is 0: write a whole number from 1",
    "--only backbonse": "backbonse.*05_backbones",
    "--only 50": "--only 50: no such notebook",
    "--only 1,5,8": "--only 1,5,8: .*no blanks",
    "-p BACKBONES ResNet50 -p BACKBONE ResNet5": "ResNet50",
    "--only 1 5 -p BACKBONES ResNet50,no/net.keras": "no/net.keras does not exist",
    "-p SEED [1": r"SEED is '\[1': write a whole number",
    "--paths nowhere.json": "nowhere.json",
    "--wat r": "unrecognized arguments: --wat r",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_argument_is_an_error_that_names_it(words, tmp_path, capsys):
    arguments = ["--results", str(tmp_path / "r"), *words.split()]

    assert chain.main(arguments) == 1

    assert re.search(WRONG[words], capsys.readouterr().err)
    assert not (tmp_path / "r").exists()


def test_values_are_read_and_go_to_the_notebooks_that_have_them(capsys):
    pairs = [["AUGMENT", "false"], ["SEED", "7"], ["IMAGE_SIZES", "[32, 64]"]]
    pairs.append(["EXAMPLES", "3"])

    parameters = chain.parse_parameters(pairs)
    values = chain.share_parameters(FIRST[::2], parameters, before={})

    assert values["03_augmented_cnn"] == {"AUGMENT": False, "SEED": 7}
    assert values["01_data_prep"] == {"SEED": 7, "IMAGE_SIZES": [32, 64]}
    assert "Note: no chosen notebook has EXAMPLES.\n" in capsys.readouterr().out


def test_image_size_reaches_the_networks_that_are_built_here_alone():
    values = chain.share_parameters(runner.NAMES, {"IMAGE_SIZE": 64}, before={})

    reached = [name for name in runner.NAMES if values[name]]
    assert reached == ["02_baseline_cnn", "03_augmented_cnn"]


@pytest.fixture
def told(run, stand_ins, ws, monkeypatch):
    """Return a function that runs a chain and returns what 01 and 02 are told."""
    knobs = 'GROUP_BY: str = "none"  # @param {}\nSEED: int = 42  # @param {}'
    write_notebook(stand_ins / "01_data_prep.ipynb", [], knobs)
    told = {}

    def keep(ws, name, values):
        told[name] = values
        # As papermill does.
        metadata = {"papermill": {"parameters": values}}
        ws.save_json({"metadata": metadata}, f"notebooks/{name}.ipynb")

    monkeypatch.setattr(runner, "run_notebook", keep)

    def run_chain(words):
        told.clear()
        run(*words.split())
        return told.get(FIRST[0]), told.get(FIRST[1])

    return run_chain


GROUPED = {"GROUP_BY": "folder"}


def test_parameters_of_01_hold_with_a_note_until_others_are_given(told, capsys):
    told("-p GROUP_BY folder -p SEED 7 -p WEIGHTS none")
    capsys.readouterr()

    assert told("--only 1 2") == (GROUPED, {})
    assert (
        "Note: as before, 01_data_prep: {'GROUP_BY': 'folder'}\n"
        in capsys.readouterr().out
    )
    assert told("--anew")[0] == GROUPED
    assert told("--only 1 -p GROUP_BY name")[0] == {"GROUP_BY": "name"}
    assert told("--only 1")[0] == {"GROUP_BY": "name"}


def test_as_before_takes_all_parameters_but_seeds_and_p_goes_before(told, capsys):
    told("-p WEIGHTS a.h5 -p IMAGE_SIZE 64 -p SEED 7")
    capsys.readouterr()

    values = told("--only 2 --as-before -p IMAGE_SIZE 32")[1]

    assert values == {"WEIGHTS": "a.h5", "IMAGE_SIZE": 32}
    note = "Note: as before, 02_baseline_cnn: {'WEIGHTS': 'a.h5'}\n"
    assert note in capsys.readouterr().out


def test_as_before_a_notebook_takes_what_it_was_told_itself(told):
    told("--only 2 -p WEIGHTS a.h5")
    told("--only 4 -p WEIGHTS b.h5")

    assert told("--only 2 --as-before")[1] == {"WEIGHTS": "a.h5"}
    assert told("--only 1 --as-before")[0] == {}


def test_notebook_that_another_program_wrote_told_nothing(ws):
    path = ws.file("notebooks", "01_data_prep.ipynb")
    path.write_text('{"cells": []}')

    told = chain.recall_parameters(ws, ["01_data_prep"])

    assert told == {"01_data_prep": {}}


def test_papermill_keeps_what_a_notebook_was_told(stand_ins, ws, capsys):
    runner.run_notebook(ws, "02_baseline_cnn", {"WEIGHTS": None})

    told = chain.recall_parameters(ws, runner.NAMES)

    assert told == {"02_baseline_cnn": {"WEIGHTS": None}}


def test_notebook_of_another_program_was_told_nothing(ws):
    write_notebook(ws.file("notebooks", "02_baseline_cnn.ipynb"), [])

    told = chain.recall_parameters(ws, runner.NAMES)

    assert told == {"02_baseline_cnn": {}}


def test_what_a_killed_chain_has_half_written_is_swept(run, ws):
    for name in ("unfinished_0123456789abcdef.keras", "unfinished_poem.txt"):
        ws.file("models", name).touch()

    run("--only", "1")

    (left,) = (ws.results / "models").iterdir()
    assert left.name == "unfinished_poem.txt"


def test_pages_are_announced_by_the_run_that_makes_them(run, ws, capsys):
    for name in ("report.html", "model.html"):
        ws.file(name).touch()

    run("--only", "8")

    printed = capsys.readouterr().out
    assert printed.endswith(f"report: {ws.results}/report.html\n")
    assert "model: " not in printed


def test_results_of_another_folder_are_refused_where_01_does_not_run(start, ws, capsys):
    other = str(ws.train.with_name("gone"))
    ws.save_json({"train": other}, "prepared_from.json")

    assert start("--only", "8", "--anew") == 1

    error = capsys.readouterr().err
    assert other in error
    assert "run 01_data_prep" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("demo BEYOND=0", "--paths demo"),
        ("demo BEYOND=1", "--beyond --paths demo"),
        ("run BEYOND=1", "--beyond --paths drive_paths.json"),
        ("run PATHS=a.json ARGUMENTS='-p A 5'", "--paths a.json -p A 5"),
        ("quick PATHS=a.json", "--paths a.json --only 1 5 8"),
    ],
)
def test_make_hands_on_what_is_asked_for(arguments, expected):
    plan = plan_make(*shlex.split(arguments))

    (command,) = re.findall("-m lib.chain (.*)", plan)
    assert command.split() == expected.split()


def test_make_test_runs_every_notebook_on_the_demo_under_nbval():
    plan = plan_make("test-notebooks")

    names = re.findall(r"notebooks/(\w+)\.ipynb", plan)
    assert names == list(runner.NAMES)
    assert "--nbval-lax" in plan


def test_make_test_works_in_a_folder_of_its_own():
    """It leaves the results of `make demo` alone."""
    (command,) = re.findall("^(sed .*) > demo/", plan_make("test-notebooks"), re.M)

    written = subprocess.check_output(command, shell=True, cwd=workspace.REPOSITORY)

    paths = json.loads(written)
    assert paths["train"] == "pictures/train"
    assert paths["results"] == "test/results"
    assert paths["scratch"] == "test/scratch"
