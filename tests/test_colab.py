"""What Google Colab needs: address and badges, forms, versions, Drive, and a session from end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from packaging.requirements import Requirement

from lib import start, storage, workspace
from lib.data.drawing import draw_picture
from lib.parameters import read_defaults

ROOT = workspace.REPOSITORY
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
STAND_IN = ROOT / "tests/colab_stand_in"
SMALL = "-p IMAGE_SIZE 32 -p EPOCHS 4 -p BATCH_SIZE 8".split()


def copy_project(target):
    """Copy what git would fetch of the project."""
    for name in (".github", "lib", "notebooks"):
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "README.md", target)
    return target


def find_source(name, word, root=ROOT):
    """Return the source of the first code cell that holds a word."""
    cells = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells
    return next(c.source for c in cells if c.cell_type == "code" and word in c.source)


def list_addresses(root):
    """Return the address in each bootstrap cell, and those of the badges in the README."""
    texts = [find_source(name, "REPOSITORY", root) for name in NAMES]
    written = [re.findall('REPOSITORY = "(.*?)"', text) for text in texts]
    readme = (root / "README.md").read_text(encoding="utf-8")
    return written, re.findall(r"colab\.research\.google\.com/github(\S+)\)", readme)


def write_address(repository, root):
    # Whoever writes their address has not installed anything yet.
    command = [sys.executable, "-S", root / ".github/address.py"] + repository.split()
    return subprocess.run(command, capture_output=True, text=True)


def test_one_command_writes_one_address_and_a_badge_that_opens_the_first_click(
    tmp_path, read_all
):
    root = copy_project(tmp_path)
    for repository in ("linnaeus/leaves", "haeckel/art.forms"):
        assert write_address(repository, root).returncode == 0
        written, badge = list_addresses(root)
        assert written == [[repository]] * len(NAMES)
        assert badge == [f"/{repository}/blob/main/notebooks/00_start_here.ipynb"]
        for name in NAMES:
            nbformat.validate(
                nbformat.read(root / f"notebooks/{name}.ipynb", as_version=4)
            )
    again = read_all(root)
    write_address("haeckel/art.forms", root)
    assert read_all(root) == again, "the second time, nothing is left to write"


def test_address_and_badge_of_the_project_agree():
    written, badge = list_addresses(ROOT)
    assert len(badge) <= 1 and all(each == written[0] for each in written)
    address = f"/{written[0][0]}/blob/main/notebooks/00_start_here.ipynb"
    assert badge == [address] * bool(written[0][0]), "run make colab REPO=owner/name"


@pytest.mark.parametrize("repository", ["", "leaves", 'a/"b'])
def test_wrong_address_is_an_error_and_writes_nothing(tmp_path, read_all, repository):
    root = copy_project(tmp_path)
    before = read_all(root)
    refused = write_address(repository, root)
    assert refused.returncode == 1 and "make colab REPO=owner/name" in refused.stderr
    assert read_all(root) == before


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_has_the_field_of_its_type_and_no_quotes_where_text_is_wanted(
    name,
):
    defaults = read_defaults(ROOT / f"notebooks/{name}.ipynb")
    checked = set()
    cells = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for knob, form in re.findall(
        r"^(\w+)(?:: [\w |]+)? = .*?  # @param (.*?)(?:  # fmt: skip)?$", text, re.M
    ):
        options, _, further = form.partition("] ")
        options = json.loads(options + "]" * bool(further))
        default = defaults.get(knob, "")
        if isinstance(options, list):
            # What is raw is written as Python has it.
            shown = json.dumps(default) if "raw" in further else default
            assert shown in options and (
                not further or "allow-input" in json.loads(further)
            )
        elif knob in defaults:
            kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
            assert options["type"] == kinds.get(type(default), "raw"), knob
        checked.add(knob)
    assert checked >= set(defaults)


def test_nothing_that_colab_ships_is_installed_again():
    pins = dict(
        line.split("==")
        for line in (ROOT / "tests/colab.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    needed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    # Colab has OpenCV and filelock, of a version that is not known here; the bootstrap cell
    # installs simplejpeg, and 00 papermill; nbval is for whoever tests.
    further = {"opencv-python-headless", "filelock", "simplejpeg", "papermill", "nbval"}
    assert {one.name for one in needed} - set(pins) == further
    assert "machine.set_up()" in find_source(NAMES[0], "REPOSITORY")
    assert find_source("00_start_here", 'install_in_colab("papermill")')
    for one in needed:
        assert one.name not in pins or pins[one.name] in one.specifier, (
            f"Colab has another: {one}"
        )


def test_bootstrap_outside_the_project_says_what_to_do(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    source = find_source(NAMES[0], "REPOSITORY")
    with pytest.raises(FileNotFoundError, match="type owner/name into REPOSITORY"):
        exec(source, {})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    source = re.sub('REPOSITORY = ".*?"', 'REPOSITORY = "linnaeus/leaves"', source)
    with pytest.raises(FileNotFoundError, match="type owner/name into REPOSITORY"):
        exec(source, {})
    assert "linnaeus/leaves" in capfd.readouterr().err, "git says what it lacks"


def test_what_goes_to_drive_is_written_elsewhere_and_copied_whole(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    path = tmp_path / "drive/MyDrive/model.keras"
    path.parent.mkdir(parents=True)
    for content in ("first", "second"):
        with storage.atomic_write(path) as written:
            assert not storage.is_on_drive(written)
            written.write_text(content)
        assert path.read_text() == content and list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError), storage.atomic_write(path) as written:
        written.write_text("third")
        monkeypatch.setattr(
            shutil, "copyfile", lambda *args: (_ for _ in ()).throw(OSError)
        )
    assert path.read_text() == "second" and list(path.parent.iterdir()) == [path]
    assert not written.exists()


def test_drive_that_is_not_mounted_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    with pytest.raises(FileNotFoundError, match="not mounted.*drive.mount"):
        workspace.open(tmp_path / "drive/MyDrive/drive_paths.json")
    paths = tmp_path / "paths.json"
    paths.write_text('{"train": "drive/MyDrive/train", "results": "r", "scratch": "s"}')
    with pytest.raises(FileNotFoundError, match="not mounted.*drive.mount"):
        workspace.open(paths)


def test_drive_that_can_not_be_flushed_does_not_spoil_a_finished_run(
    ws, monkeypatch, capsys
):
    storage.flush_drive(ws.results)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(storage, "DRIVE", ws.results.parent)
    monkeypatch.setitem(sys.modules, "google.colab", None)
    storage.flush_drive(ws.results)
    assert "could not be flushed" in capsys.readouterr().out


def test_own_pictures_come_from_an_upload_or_from_web_addresses(tmp_path, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    draw_picture("Aves", np.random.default_rng(0)).save(site / "frog.png")
    (site / "page.png").write_text("<html>")
    (site / "huge.png").write_bytes(bytes(1000))
    space = {"UPLOAD": True, "IMAGES": ["mine.png"], "sys": sys}
    exec(upload := find_source("09_random_images", "if UPLOAD"), space)
    assert space["IMAGES"] == ["mine.png"], "outside of Colab there is nothing to ask"
    files = SimpleNamespace(upload=lambda: {"frog.png": b"frog"})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(files=files))
    exec(upload, space)
    assert space["IMAGES"] == ["frog.png"]
    space |= {
        "ws": SimpleNamespace(scratch=tmp_path / "s"),
        "class_names": ["frogs"],
        "Path": Path,
    }
    imports = find_source("09_random_images", "from lib.data import").split(
        "check_parameters("
    )[0]
    exec(imports, space)
    for name in ("fetch", "list_named"):
        exec(find_source("09_random_images", f"def {name}"), space)
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        names = [
            f"{root}/{name}" for name in ("frog.png?size=1", "fog.png", "page.png")
        ]
        listed = space["list_named"](names + ["http://[bad"])
        draw_picture("Fungi", np.random.default_rng(0)).save(site / "frog.png")
        kept = space["list_named"](names[:1]).path[0]
        assert kept.read_bytes() == (site / "frog.png").read_bytes(), "fetched anew"
        space["MAX_BYTES"] = 100
        assert list(space["list_named"]([f"{root}/huge.png"]).problem) == [
            "not_downloaded"
        ]
        server.shutdown()
    assert list(listed.problem) == [
        "",
        "not_downloaded",
        "not_a_picture",
        "not_downloaded",
    ]
    assert kept == listed.path[0]
    assert list(kept.parent.iterdir()) == [kept], "only what can be decoded is kept"


class Session:
    """A machine of Colab: a folder `content`, a slow Drive that can be mounted, and the stand-in."""

    def __init__(self, root):
        self.root = root
        self.content = root / "content"
        self.log = root / "accesses.txt"
        self.drive = root / "account"
        self.mount = root / "content/drive"
        self.environment = os.environ | {
            "PYTHONPATH": str(STAND_IN),
            "STAND_IN_DRIVE": str(self.drive),
            "STAND_IN_MOUNT": str(self.mount),
            "STAND_IN_LOG": str(self.log),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{root}/github/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/",
        }
        self.begin()

    def begin(self):
        """Give the machine back, with all that it holds but Drive, and take a new one."""
        if self.mount.exists():
            os.rename(self.mount, self.drive)
        shutil.rmtree(self.content, ignore_errors=True)
        self.content.mkdir()
        self.log.write_text("")

    def run(self, *command, cwd="", **environment):
        return subprocess.run(
            command,
            cwd=self.content / cwd,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )

    def open_notebook(self, github):
        """Run the bootstrap cell of 02, then open the workspace, which mounts Drive."""
        cell = find_source("02_baseline_cnn", "REPOSITORY", github)
        # In Colab the environment of Python does not lie inside the project.
        code = f"import sys, google.colab\nsys.prefix = sys.base_prefix\n{cell}\nprint(workspace.open().train)"
        done = self.run(sys.executable, "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_notebook(self, name, parameters):
        """Take a new machine, and run a notebook on it as it lies on GitHub; return its text."""
        self.begin()
        written = self.root / f"github/linnaeus/leaves.git/notebooks/{name}.ipynb"
        executed = self.root / f"{name}.ipynb"
        values = json.dumps(parameters)
        command = [
            sys.executable,
            "-m",
            "papermill",
            str(written),
            str(executed),
            "-y",
            values,
        ]
        done = self.run(*command)
        text = executed.read_text(encoding="utf-8")
        assert done.returncode == 0, text[-3000:]
        return text

    def run_chain(self, *arguments, **environment):
        paths = str(self.mount / "MyDrive/drive_paths.json")
        command = [
            sys.executable,
            "-m",
            "lib.chain",
            "--paths",
            paths,
        ]
        command += SMALL + list(arguments)
        return self.run(*command, cwd="leaves", **environment)

    def list_reads_before_training(self):
        """List the files read on Drive, up to the first checkpoint that is written."""
        before = self.log.read_text().partition("write MyDrive/results/checkpoints")[0]
        return [line for line in before.splitlines() if line.startswith("read ")]


@pytest.fixture
def session(tmp_path, draw_classes):
    """The project on GitHub, pictures in a ZIP file on Drive, and a fresh machine."""
    draw_classes(tmp_path / "train", 10)
    account = tmp_path / "account/MyDrive"
    shutil.make_archive(str(account / "train"), "zip", tmp_path, "train")
    scratch = str(tmp_path / "content/scratch")
    paths = {"train": "train.zip", "results": "results", "scratch": scratch}
    (account / "drive_paths.json").write_text(json.dumps(paths))
    session = Session(tmp_path)
    github = copy_project(tmp_path / "github/linnaeus/leaves.git")
    write_address("linnaeus/leaves", github)
    # In the real Colab, Drive is mounted at /content/drive, where not everybody may write.
    room = github / "lib/storage.py"
    source = room.read_text(encoding="utf-8")
    assert source.count('"/content/drive"') == 1
    room.write_text(
        source.replace("/content/drive", str(session.mount)), encoding="utf-8"
    )
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(["git", *author, *command], cwd=github, check=True)
    return session


def test_each_notebook_works_on_a_machine_of_its_own_and_goes_on_where_one_was_taken_away(
    session,
):
    """01 and 08 as notebooks; 02 by the chain, which is killed in the third epoch."""
    session.run_notebook("01_data_prep", {"IMAGE_SIZES": [32]})
    github = session.root / "github/linnaeus/leaves.git"
    session.begin()
    assert "train.zip" in session.open_notebook(github)
    killed = session.run_chain("--only", "2", STAND_IN_KILL="3")
    results = session.mount / "MyDrive/results"
    assert killed.returncode == -9
    (kept,) = results.glob("checkpoints/*.npz")
    with np.load(kept) as checkpoint:
        assert checkpoint["history"].shape == (2, 6)

    session.begin()
    session.open_notebook(github)
    resumed = session.run_chain("--only", "2")
    assert resumed.returncode == 0, resumed.stderr
    assert (
        "Everything is on Google Drive" in resumed.stdout and not session.mount.exists()
    )
    reads = session.list_reads_before_training()
    assert 0 < len(reads) < 20, reads
    assert not [line for line in reads if "train.zip" in line]

    results = session.drive / "MyDrive/results"
    executed = (results / "notebooks/02_baseline_cnn.ipynb").read_text(encoding="utf-8")
    assert "goes on after epoch 2 of 4" in executed
    assert list(pd.read_csv(results / "history/baseline_cnn.csv").epoch) == [1, 2, 3, 4]
    session.run_notebook("08_evaluation", {})
    session.begin()
    assert (results / "report.html").is_file()


def test_first_click_runs_all_in_one_session_and_leaves_the_results_on_drive(session):
    """00, as it lies on GitHub, on two classes of the demo in an archive on Drive; one model is enough."""
    for number, name in enumerate(("Aves", "Fungi")):
        for part, count in (("train", 12), ("test", 2)):
            folder = session.root / "two" / part / name
            folder.mkdir(parents=True)
            for k in range(count):
                rng = np.random.default_rng([number, k, count])
                draw_picture(name, rng).save(folder / f"{k}.jpg")
    archive = session.drive / "MyDrive/two"
    shutil.make_archive(str(archive), "zip", session.root / "two")
    options = "--only 1 2 8 9 -p EPOCHS 1 -p IMAGE_SIZES [32] -p IMAGE_SIZE 32"
    form = {"PICTURES": "two.zip", "RESULTS": "on Drive", "OPTIONS": options}
    text = session.run_notebook("00_start_here", form)
    results = session.drive / "MyDrive/image_classifiers"
    assert "09_random_images       … done in" in text
    session.begin()
    assert (results / "report.html").is_file() and len(
        pd.read_csv(results / "random_images.csv")
    )
    assert set(pd.read_csv(results / "random_images.csv").truth) <= {"Aves", "Fungi"}
    executed = nbformat.reads(text, as_version=4).cells
    outputs = [output for cell in executed for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    for words in ("recognises", "data:image/svg", "image/png", "says: "):
        assert words in text, words


def test_drive_is_asked_for_only_where_something_lies_there(
    tmp_path, monkeypatch, draw_classes
):
    asked = []
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    monkeypatch.setattr(storage, "mount_drive", lambda: asked.append(True))
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    draw_classes(tmp_path / "pictures", 5)
    assert start.read_form("", "here", False, "") == ["--paths", "demo"]
    pictures = str(tmp_path / "pictures")
    results = str(tmp_path / "results")
    arguments = start.read_form(pictures, results, True, "--seeds 2")
    assert (
        arguments[2:] == ["--results", results, "--beyond", "--seeds", "2"]
        and not asked
    )
    assert workspace.open(arguments[1]).train == tmp_path / "pictures"
    assert workspace.open(arguments[1]).test is None, (
        "it holds classes, and no part for testing"
    )
    on_drive = str(tmp_path / "drive/MyDrive/mine")
    for form in (("mine.zip", "here"), ("", "On drive"), ("", on_drive)):
        with pytest.raises(start.FormError, match="not mounted"):
            start.read_form(*form, False, "")
    assert len(asked) == 3 and not (tmp_path / "drive").exists()


def test_form_with_slips_is_understood_or_refused_and_writes_nothing(
    tmp_path, read_all, draw_classes
):
    draw_classes(tmp_path / "pictures", 5)
    draw_classes(tmp_path / "others", 5)
    pictures = str(tmp_path / "pictures")
    results = str(tmp_path / "results")
    assert start.read_form(" Demo ", "Here", False, "") == ["--paths", "demo"]
    start.read_form(f'"{pictures}"', results, False, "")
    before = read_all(tmp_path)
    for form, words in (
        (("mine.zip", results), "mine.zip does not exist"),
        (("https://example.org/a.zip", results), "address of the web"),
        (("upload", "here"), "works in Colab"),
    ):
        with pytest.raises(start.FormError, match=words):
            start.read_form(*form, False, "")
    for options in ("--wat 3", '-p EPOCHS "5'):
        with pytest.raises(
            start.FormError, match="OPTIONS: .* no options of the chain"
        ):
            start.read_form(pictures, results, False, options)
    assert read_all(tmp_path) == before
    others = str(tmp_path / "others")
    paths = start.read_form(others, results, False, "")[1]
    assert str(workspace.open(paths).train) == others, "nothing has run yet"
    (tmp_path / "results/split.csv").touch()
    with pytest.raises(
        start.FormError, match="RESULTS: .*has results of .*others: name another"
    ):
        start.read_form(pictures, results, False, "")


@pytest.mark.parametrize(
    "written",
    [
        "MyDrive/pics",
        "My Drive/pics",
        "drive/MyDrive/pics",
        "/content/drive/MyDrive/pics",
    ],
)
def test_what_lies_in_my_drive_is_found_however_it_is_written(drive, written):
    (drive / "pics").mkdir()
    assert start.find_pictures(f" '{written}' ") == str(drive / "pics")


def test_results_in_my_drive_lie_there_however_it_is_written(drive, draw_classes):
    draw_classes(drive / "pics", 5)
    arguments = start.read_form(str(drive / "pics"), "My Drive/mine", False, "")
    assert arguments[-1] == str(drive / "mine")


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("https://www.kaggle.com/datasets/owner/pets/data?a=b", "datasets/owner/pets"),
        ("kaggle.com/datasets/owner/pets", "datasets/owner/pets"),
        ("https://www.kaggle.com/competitions/dogs/data", "competitions/dogs"),
        ("https://www.kaggle.com/c/dogs", "competitions/dogs"),
    ],
)
def test_address_of_kaggle_means_its_data(page, name):
    assert start.find_pictures(page) == f"kaggle:{name}"


@pytest.mark.parametrize(
    "address", ["https://drive.google.com/drive/x", "http:/a.org/b", "www.a.org/b.zip"]
)
def test_any_other_address_is_refused(address):
    with pytest.raises(start.FormError, match="address of the web"):
        start.find_pictures(address)


def test_paths_file_that_says_more_than_a_form_is_left_alone(tmp_path, draw_classes):
    """Say one with labels, in the folder that is named for the results."""
    draw_classes(tmp_path / "pictures", 5)
    results = tmp_path / "results"
    results.mkdir()
    file = results / "drive_paths.json"
    paths = {"train": str(tmp_path / "pictures"), "train_labels": "labels.csv"}
    file.write_text(json.dumps(paths))
    with pytest.raises(start.FormError, match="has the keys train_labels"):
        start.read_form(str(tmp_path / "pictures"), str(results), False, "")
    assert json.loads(file.read_text()) == paths


def test_corrections_of_the_review_are_kept_for_the_next_run(tmp_path, draw_classes):
    draw_classes(tmp_path / "pictures", 5)
    form = (str(tmp_path / "pictures"), str(tmp_path / "results"), False, "")
    ws = workspace.open(start.read_form(*form)[1])
    made = tmp_path / "corrections (1).csv"
    made.write_text("file,label\nNA/000.png,red\n")
    kept = start.take_corrections(ws, str(made))
    assert kept.read_bytes() == made.read_bytes()
    assert workspace.open(start.read_form(*form)[1]).corrections == kept


def test_corrections_that_lack_earlier_ones_are_refused(tmp_path, ws):
    earlier = ws.file("corrections.csv")
    earlier.write_text("file,label\na.png,red\nb.png,red\n")
    before = earlier.read_bytes()
    made = tmp_path / "made.csv"
    for rows in ("b.png,NA", "no rows", ""):
        made.write_text(f"file,label\n{rows}\n")
        with pytest.raises(start.FormError):
            start.take_corrections(ws, str(made))
    assert earlier.read_bytes() == before
    made.write_text("file,label\na.png,red\nb.png,NA\n")
    start.take_corrections(ws, str(made))
    assert earlier.read_bytes() == made.read_bytes()


def test_a_run_that_stops_before_its_first_notebook_is_one_sentence(
    tmp_path, draw_classes, capsys
):
    draw_classes(tmp_path / "pictures", 5)
    (tmp_path / "bare").mkdir()
    results = tmp_path / "results"
    for folder, options, words in (
        ("pictures", "-p EPOCHS many", "EPOCHS is 'many'"),
        ("bare", "", "bare holds no picture"),
    ):
        arguments = start.read_form(
            str(tmp_path / folder), str(results), False, options
        )
        with pytest.raises(
            start.FormError, match="It stopped: .* run all cells again"
        ) as stopped:
            start.run_form(arguments)
        assert words in capsys.readouterr().err
    shown = InteractiveShell().showtraceback
    shown((type(stopped.value), stopped.value, stopped.tb))
    assert (
        "Traceback" not in (text := "".join(capsys.readouterr()))
        and "It stopped" in text
    )
