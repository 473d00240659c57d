"""In which order notebooks run, which are asked for, and which --resume takes for finished."""

import re
import subprocess
import time

import nbformat
import pytest

from lib import chain, runner, workspace

FIRST = ["01_data_prep", "02_baseline_cnn", "03_augmented_cnn", "04_resnet50_transfer"]
BEYOND = ["07_backbones", "08_fine_tuning", "09_label_audit"]
JUDGES = ["05_evaluation", "06_random_images"]
KNOBS = {
    "04_resnet50_transfer": 'WEIGHTS: str = "imagenet"\nIMAGE_SIZE: int = 224',
    "07_backbones": 'WEIGHTS: str = "imagenet"\nIMAGE_SIZE: int = 160',
}


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A folder of notebooks with one cell each, and a README that is none."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "README.md").write_text("how to use them")
    for name in FIRST + BEYOND + JUDGES:
        cell = nbformat.v4.new_code_cell(KNOBS.get(name, "SEED: int = 1"))
        cell.metadata["tags"] = ["parameters"]
        kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        nbformat.write(
            nbformat.v4.new_notebook(cells=[cell], metadata=kernel), folder / f"{name}.ipynb"
        )
    for room in (chain, runner):
        monkeypatch.setattr(room, "NOTEBOOKS", folder)
    return folder


@pytest.fixture
def run(stand_ins, tmp_path, monkeypatch):
    """Return a function that runs a chain in which notebooks only leave what an executed one does.

    It returns the names in the order in which they ran. `fails` names one that fails.
    """
    for name in ("DRIVE_PATHS", "TRAIN_ANEW", "TQDM_MININTERVAL"):
        monkeypatch.setenv(name, "")
    (tmp_path / "train").mkdir()
    paths = tmp_path / "paths.json"
    paths.write_text('{"train": "train", "results": "r", "scratch": "s"}')

    def run_chain(*arguments, fails=None):
        ran = []

        def execute(ws, name, parameters):
            notebook = nbformat.read(stand_ins / f"{name}.ipynb", as_version=4)
            notebook.cells[0].execution_count = 1
            notebook.metadata["papermill"] = {"parameters": parameters, "exception": name == fails}
            nbformat.write(notebook, ws.file("notebooks", f"{name}.ipynb"))
            # A file's time is that of the system's last tick.
            time.sleep(0.01)
            ran.append(name)
            if name == fails:
                raise RuntimeError(name)

        monkeypatch.setattr(runner, "run_notebook", execute)
        monkeypatch.setattr(chain, "check_backbone", lambda *further: None)
        monkeypatch.setattr(chain.report, "write_report", lambda ws: None)
        assert chain.main(["--paths", str(paths), *arguments]) == (fails is not None)
        return ran

    return run_chain


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], FIRST + JUDGES),
        (["--beyond"], FIRST + BEYOND + JUDGES),
        (["--only", "07", "05"], ["07_backbones", "05_evaluation"]),
        (["--only", "06", "05", "09", "03"], ["03_augmented_cnn", "09_label_audit", *JUDGES]),
        (["--only", "05", "--beyond"], ["05_evaluation"]),
    ],
    ids=" ".join,
)
def test_judges_run_last_and_what_lies_beyond_only_when_asked_for(run, arguments, expected):
    assert run(*arguments) == expected


def test_resumed_chain_beyond_runs_what_is_beyond_and_the_judges_again(run):
    run()
    assert run("--resume") == []
    assert run("--beyond", "--resume") == BEYOND + JUDGES
    assert run("--beyond", "--resume") == []
    assert run("--resume") == [], "judges that ran after 07 to 09 are finished without them, too"


def test_judges_older_than_what_ran_beyond_since_are_not_finished(run):
    run("--beyond")
    assert run("--only", "08") == ["08_fine_tuning"]
    assert run("--resume") == JUDGES
    assert run("--beyond", "--resume") == ["09_label_audit", *JUDGES]


def test_chain_that_failed_beyond_goes_on_there(run):
    ran = run("--beyond", fails="08_fine_tuning")
    assert ran == [*FIRST, "07_backbones", "08_fine_tuning"]
    assert run("--beyond", "--resume") == ["08_fine_tuning", "09_label_audit", *JUDGES]


def test_fresh_chain_takes_nothing_beyond_of_an_older_one_for_finished(run):
    run("--beyond")
    run(fails="02_baseline_cnn")
    assert run("--beyond", "--resume") == [*FIRST[1:], *BEYOND, *JUDGES]
    run("--only", "05", "07", fails="07_backbones")
    assert run("--only", "05", "07", "--resume") == ["07_backbones", "05_evaluation"]


def test_parameters_reach_04_and_07_alike(stand_ins):
    names = chain.choose_notebooks([], beyond=True)
    values = chain.read_parameters([["WEIGHTS", "w.h5"], ["IMAGE_SIZE", "64"]], names)
    for name in ("04_resnet50_transfer", "07_backbones"):
        assert values[name] == {"WEIGHTS": "w.h5", "IMAGE_SIZE": 64}
    assert values["08_fine_tuning"] == values["05_evaluation"] == {}


def test_notebook_beyond_runs_under_papermill_with_its_parameters(stand_ins, ws, capfd):
    names = chain.choose_notebooks(["07"])
    values = chain.read_parameters([["IMAGE_SIZE", "64"]], names)
    runner.run_notebooks(ws, names, values)
    assert runner.is_finished(ws, "07_backbones", {"IMAGE_SIZE": 64})
    assert "07_backbones           … done in" in capfd.readouterr().out


def plan_make(folder, *arguments):
    """Return the commands that make would run in a folder with notebooks."""
    (folder / "tests").mkdir()
    for place in (folder, folder / "tests"):
        (place / "requirements.txt").touch()
    makefile = workspace.REPOSITORY / "Makefile"
    command = ["make", "--dry-run", "--directory", folder, "--makefile", makefile, *arguments]
    return subprocess.check_output(command, text=True)


@pytest.mark.parametrize("setting", ["BEYOND=", "BEYOND=0", "BEYOND=1"])
def test_make_hands_on_that_more_is_asked_for(setting, tmp_path):
    (demo, run) = re.findall("-m lib.chain.*", plan_make(tmp_path, "demo", "run", setting))
    assert ("--beyond" in demo) == ("--beyond" in run) == (setting == "BEYOND=1")
    assert demo.endswith("--paths demo") and run.endswith("--paths drive_paths.json")


def test_make_test_runs_every_notebook_in_the_order_of_the_chain(stand_ins):
    plan = plan_make(stand_ins.parent, "test-notebooks")
    assert re.findall(r"notebooks/(\w+)\.ipynb", plan) == runner.list_notebooks()
    assert runner.list_notebooks() == FIRST + BEYOND + JUDGES


def test_no_size_reaches_only_notebooks_with_a_backbone():
    pairs = [["IMAGE_SIZE", "None"], ["WEIGHTS", "None"]]
    names = ["02_baseline_cnn", "04_resnet50_transfer", "07_backbones"]
    values = chain.read_parameters(pairs, names)
    assert values["02_baseline_cnn"] == {}
    for name in names[1:]:
        assert values[name] == {"IMAGE_SIZE": None, "WEIGHTS": None}
