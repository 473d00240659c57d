"""What Google Colab needs: address and badges, forms, versions, Drive, and a session from end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from packaging.requirements import Requirement

from lib import badges, storage, workspace
from lib.data.labels import list_named_pictures

ROOT = workspace.REPOSITORY
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
STAND_IN = ROOT / "tests/colab_stand_in"
SMALL = "-p IMAGE_SIZE 32 -p EPOCHS 4 -p BATCH_SIZE 8".split()


def copy_project(target):
    """Copy what git would fetch of the project."""
    for name in ("lib", "notebooks"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", target)
    return target


def find_source(name, word, root=ROOT):
    """Return the source of the first code cell that holds a word."""
    cells = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells
    return next(c.source for c in cells if c.cell_type == "code" and word in c.source)


def test_one_command_writes_one_address_and_badges_that_open_their_own_notebook(tmp_path, read_all):
    root = copy_project(tmp_path)
    for repository in ("linnaeus/leaves", "linnaeus/leaves", "haeckel/art.forms"):
        before = read_all(root)
        badges.write_address(repository, root)
        for name in NAMES:
            address = f"/github/{repository}/blob/main/notebooks/{name}.ipynb"
            notebook = nbformat.read(root / f"notebooks/{name}.ipynb", as_version=4)
            text = "\n".join(cell.source for cell in notebook.cells)
            assert re.findall(r"colab\.research\.google\.com(/github\S+)\)", text) == [address]
            assert re.findall('REPOSITORY = "(.*)"', text) == [repository]
            assert notebook.cells[0].source.startswith("# ")
            assert (root / "README.md").read_text(encoding="utf-8").count(address) == 1
    badges.write_address("linnaeus/leaves", root)
    badges.write_address("haeckel/art.forms", root)
    assert read_all(root) != before
    again = read_all(root)
    badges.write_address("haeckel/art.forms", root)
    assert read_all(root) == again, "the second time, nothing is left to write"


def test_address_and_badges_of_the_project_agree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = set(re.findall(r"colab\.research\.google\.com/github/([^/]+/[^/]+)/blob", readme))
    for name in NAMES:
        text = (ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8")
        written = re.findall(r'REPOSITORY = \\"(.*?)\\"', text)
        assert len(written) == 1 and ({*written} - {""}) == found, "run make colab REPO=owner/name"
        badge = f"/github/{written[0]}/blob/main/notebooks/{name}.ipynb"
        assert text.count("colab-badge") == text.count(badge) == len(found)


@pytest.mark.parametrize("repository", ["", "leaves", "a/b/c", "a b/c", 'a/"b'])
def test_wrong_address_is_an_error_and_writes_nothing(tmp_path, repository):
    with pytest.raises(ValueError, match="make colab REPO=owner/name"):
        badges.write_address(repository, tmp_path / "nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_has_a_form_for_colab_and_type_and_reason_for_papermill(name):
    listed = papermill.inspect_notebook(str(ROOT / f"notebooks/{name}.ipynb"))
    lines = find_source(name, "# @param").splitlines()
    assert len(listed) == len(lines)
    for line in lines:
        knob, value, form, reason = re.fullmatch(
            r"(\w+): \w+ = (.*?)  # @param (.*?)  # (.*)", line
        ).groups()
        help_text = listed[knob]["help"]
        assert listed[knob]["inferred_type_name"] in ("int", "float", "str", "bool", "list", "dict")
        assert listed[knob]["default"] == value and help_text.endswith(reason)
        assert not set("{}[]=") & set(reason), "Colab and papermill might take it for the form"
        options = json.loads(form)
        kind = {"int": "integer", "float": "number", "bool": "boolean", "list": "raw"}
        expected = kind.get(listed[knob]["inferred_type_name"])
        if value == "None":
            # A field for numbers can't hold it.
            expected = "raw"
        assert isinstance(options, list) or expected in (options["type"], None)
        assert isinstance(options, dict) or value.strip('"') in options


def test_nothing_that_colab_ships_is_installed_again():
    pins = dict(
        line.split("==")
        for line in (ROOT / "tests/colab.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    needed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    # Colab has OpenCV and filelock, of a version that is not known here; the bootstrap cell
    # installs simplejpeg; the other two are for machines that run chain and tests.
    further = {"opencv-python-headless", "filelock", "simplejpeg", "papermill", "nbval"}
    assert {one.name for one in needed} - set(pins) == further
    assert "install_what_colab_lacks" in find_source(NAMES[0], "REPOSITORY")
    for one in needed:
        assert one.name not in pins or pins[one.name] in one.specifier, f"Colab has another: {one}"


def test_bootstrap_outside_the_project_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    source = find_source(NAMES[0], "REPOSITORY")
    with pytest.raises(FileNotFoundError, match="make colab REPO=owner/name"):
        exec(source, {})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    source = re.sub('REPOSITORY = ".*?"', 'REPOSITORY = "linnaeus/leaves"', source)
    with pytest.raises(ConnectionError, match="github.com/linnaeus/leaves.git.*public"):
        exec(source, {})


def test_what_goes_to_drive_is_written_elsewhere_and_copied_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive")
    path = tmp_path / "drive/MyDrive/model.keras"
    path.parent.mkdir(parents=True)
    for content in ("first", "second"):
        with storage.whole_file(path) as written:
            assert not storage.is_on_drive(written)
            written.write_text(content)
        assert path.read_text() == content and list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError), storage.whole_file(path) as written:
        written.write_text("third")
        monkeypatch.setattr(shutil, "copyfile", lambda *args: (_ for _ in ()).throw(OSError))
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


def test_drive_that_can_not_be_flushed_does_not_spoil_a_finished_run(ws, monkeypatch, capsys):
    storage.flush_drive(ws)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(storage, "DRIVE", ws.results.parent)
    monkeypatch.setitem(sys.modules, "google.colab", None)
    storage.flush_drive(ws)
    assert "could not be flushed" in capsys.readouterr().out


def test_own_pictures_come_from_an_upload_or_from_web_addresses(ws, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "frog.png").write_bytes(b"frog")
    monkeypatch.chdir(tmp_path)
    upload = find_source("09_random_images", "if UPLOAD")
    space = {"UPLOAD": True, "IMAGES": ["mine.png"], "sys": sys}
    exec(upload, space)
    assert space["IMAGES"] == ["mine.png"], "outside of Colab there is nothing to ask"
    files = SimpleNamespace(upload=lambda: {"frog.png": b"frog"})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(files=files))
    exec(upload, space)
    assert space["IMAGES"] == ["frog.png"]

    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/frog.png?size=1"
        missing = address.replace("frog", "fog")
        listed = list_named_pictures([str(folder), address, missing], [], ws.scratch)
        server.shutdown()
    assert list(listed.problem) == ["", "", "not_downloaded"]
    assert list(listed.file) == [f"{folder}/frog.png", address, missing]
    assert listed.path[1].read_bytes() == b"frog" and listed.path[1].is_relative_to(ws.scratch)


class Session:
    """A machine of Colab: a folder `content`, a slow Drive that can be mounted, and the stand-in."""

    def __init__(self, root):
        self.root, self.content, self.log = root, root / "content", root / "accesses.txt"
        self.drive, self.mount = root / "account", root / "content/drive"
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

    def run_chain(self, *arguments, **environment):
        paths = str(self.mount / "MyDrive/drive_paths.json")
        command = [sys.executable, "-m", "lib.chain", "--paths", paths, *SMALL, *arguments]
        return self.run(*command, cwd="leaves", **environment)

    def list_reads_before_training(self):
        """List the files read on Drive, up to the first checkpoint that is written."""
        before = self.log.read_text().partition("write MyDrive/results/checkpoints")[0]
        return [line for line in before.splitlines() if line.startswith("read ")]


@pytest.fixture
def session(tmp_path, draw_classes, monkeypatch):
    """The project on GitHub, pictures in a ZIP file on Drive, and a fresh machine."""
    monkeypatch.delenv("TQDM_MININTERVAL", raising=False)
    draw_classes(tmp_path / "train", 10)
    account = tmp_path / "account/MyDrive"
    shutil.make_archive(str(account / "train"), "zip", tmp_path, "train")
    scratch = str(tmp_path / "content/scratch")
    paths = {"train": "train.zip", "results": "results", "scratch": scratch}
    (account / "drive_paths.json").write_text(json.dumps(paths))
    session = Session(tmp_path)
    github = copy_project(tmp_path / "github/linnaeus/leaves.git")
    badges.write_address("linnaeus/leaves", github)
    # In the real Colab, Drive is mounted at /content/drive, where not everybody may write.
    room = github / "lib/storage.py"
    source = room.read_text(encoding="utf-8")
    assert source.count('"/content/drive"') == 1
    room.write_text(source.replace("/content/drive", str(session.mount)), encoding="utf-8")
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *author, *command], cwd=github, check=True)
    return session


def test_session_killed_in_the_third_epoch_goes_on_tomorrow_on_another_machine(session):
    github = session.root / "github/linnaeus/leaves.git"
    assert "train.zip" in session.open_notebook(github)
    killed = session.run_chain("--only", "1", "2", "-p", "IMAGE_SIZES", "[32]", STAND_IN_KILL="3")
    results = session.mount / "MyDrive/results"
    assert killed.returncode == -9 and "01_data_prep           … done in" in killed.stdout
    (kept,) = results.glob("checkpoints/*.npz")
    with np.load(kept) as checkpoint:
        assert checkpoint["history"].shape == (2, 6)

    session.begin()
    session.open_notebook(github)
    # 01 alone would read every picture again.
    resumed = session.run_chain("--only", "2")
    assert resumed.returncode == 0, resumed.stderr
    assert "Everything is on Google Drive" in resumed.stdout and not session.mount.exists()
    reads = session.list_reads_before_training()
    assert 0 < len(reads) < 20, reads
    assert not [line for line in reads if "train.zip" in line]

    results = session.drive / "MyDrive/results"
    executed = (results / "notebooks/02_baseline_cnn.ipynb").read_text(encoding="utf-8")
    assert "goes on after epoch 2 of 4" in executed
    history = pd.read_csv(results / "history/baseline_cnn.csv")
    session.open_notebook(github)
    whole = session.run_chain("--only", "01", "02")
    assert whole.returncode == 0, whole.stderr
    uninterrupted = pd.read_csv(results / "history/baseline_cnn.csv")
    columns = [name for name in history if name != "seconds"]
    assert history[columns].equals(uninterrupted[columns]) and len(history) == 4
