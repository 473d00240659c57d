"""What Google Colab needs: address and badges, versions, Drive, and sessions from end to end."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path
from threading import Thread
from unittest import mock

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import draw_classes, find_imports, read_all, read_code, run_cells
from packaging.requirements import Requirement

from lib.base import storage, workspace

ROOT = workspace.REPOSITORY
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
STAND_IN = ROOT / "tests/colab_stand_in"
FIRST = "notebooks/00_start_here.ipynb"


def copy_project(target):
    """Copy what git would fetch of the project."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in (".github", "lib", "notebooks"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for name in ("README.md", "requirements.txt"):
        shutil.copy(ROOT / name, target)
    return target


def read_addresses(root):
    """Return the addresses in all bootstrap cells, and those of the badges in the README."""
    written = set()
    for name in NAMES:
        bootstrap = list(read_code(name, root).values())[0]
        written.add(re.search('^REPOSITORY = "(.*?)"', bootstrap.source, re.M)[1])
    readme = (root / "README.md").read_text(encoding="utf-8")
    badges = re.findall(r"colab\.research\.google\.com/github/(\S+)\)", readme)
    return written, badges


def write_address(repository, root):
    # Whoever writes their address has not installed anything yet.
    command = [sys.executable, "-S", root / ".github/address.py", repository]
    return subprocess.run(command, capture_output=True, text=True)


def test_one_command_writes_one_address_and_a_badge_that_opens_the_first_click(
    tmp_path,
):
    root = copy_project(tmp_path)

    for repository in ("linnaeus/leaves", "haeckel/art.forms"):
        assert write_address(repository, root).returncode == 0

    badge = f"haeckel/art.forms/blob/main/{FIRST}"
    assert read_addresses(root) == ({"haeckel/art.forms"}, [badge])
    before = read_all(root)
    write_address("haeckel/art.forms", root)
    assert read_all(root) == before


def test_address_and_badge_of_the_project_agree():
    (address,), badges = read_addresses(ROOT)

    expected = [f"{address}/blob/main/{FIRST}"] if address else []
    assert badges == expected


def read_requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and line[0] != "#"]


def test_nothing_that_colab_ships_is_installed_again():
    pins = {}
    for one in read_requirements("tests/colab.txt"):
        pins[one.name] = str(one.specifier).removeprefix("==")
    needed = {one.name: one for one in read_requirements("requirements.txt")}

    refused = []
    for name in needed.keys() & pins.keys():
        if not needed[name].specifier.contains(pins[name]):
            refused.append(name)

    assert refused == []
    # Colab has these of a version that is not known here; the bootstrap cell installs simplejpeg,
    # and 00 papermill; nbval is for whoever tests.
    further = {"opencv-python-headless", "filelock", "jsonschema", "threadpoolctl"}
    further |= {"simplejpeg", "papermill", "nbval"}
    assert needed.keys() - pins.keys() == further


def test_every_package_that_is_imported_is_declared():
    sources = [path.read_text("utf-8") for path in (ROOT / "lib").rglob("*.py")]
    for name in NAMES:
        sources += [cell.source for cell in read_code(name).values()]
    imported = set()
    for source in sources:
        # What a function imports may be missing.
        modules = find_imports(ast.parse(source).body)
        imported.update(module.partition(".")[0] for module in modules)
    declared = {one.name for one in read_requirements("requirements.txt")}
    distributions = packages_distributions()

    undeclared = []
    for name in imported - sys.stdlib_module_names - {"lib"}:
        if declared.isdisjoint(map(str.lower, distributions[name])):
            undeclared.append(name)

    assert undeclared == []


def commit_all(folder):
    author = "-c user.name=test -c user.email=test@example.org"
    commit = f"git init -q && git add . && git {author} commit -q -m all"
    subprocess.run(commit, shell=True, check=True, cwd=folder)


def write_small_project(folder):
    """Write a `lib` that says where it is."""
    (folder / "lib/base").mkdir(parents=True)
    first = "from lib.base import machine, workspace"
    (folder / "lib/__init__.py").write_text(first)
    (folder / "lib/base/workspace.py").touch()
    (folder / "lib/base/machine.py").write_text("def set_up(): print(__file__)")


def run_first_cell(repository, folder, prefix, **environment):
    """Run the first cell in a folder, in an environment of Python that lies in `prefix`, as in Colab."""
    source = read_code("00_start_here")["00-01"].source
    typed = f"REPOSITORY = {repository!r}"
    source = re.sub('REPOSITORY = ".*?"', lambda _: typed, source)
    lines = [
        "import sys",
        f"sys.prefix = {prefix!r}",
        "sys.modules['google.colab'] = sys",
        source,
    ]
    return subprocess.run(
        [sys.executable, "-I", "-c", "\n".join(lines)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_lessons_take_the_lib_of_their_own_copy(tmp_path):
    """Also in the environment that lies in another one."""
    for name in ("own", "other"):
        write_small_project(tmp_path / name)
    lessons = tmp_path / "own/notebooks"
    lessons.mkdir()

    done = run_first_cell("", lessons, f"{tmp_path}/other/.venv")

    assert done.stdout == f"{tmp_path}/own/lib/base/machine.py\n", done.stderr


def send_git_to(root):
    """Return the environment in which git takes a folder for GitHub."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{root}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }


@pytest.fixture
def colab(tmp_path):
    """Return a function that runs the first cell in Colab, with a small project on GitHub.

    It takes what is typed as REPOSITORY, and variables of the environment.
    """
    project = tmp_path / "github/linnaeus/leaves.git"
    write_small_project(project)
    commit_all(project)
    content = tmp_path / "content"
    content.mkdir()

    def run(repository, **environment):
        environment = send_git_to(tmp_path / "github") | environment
        # There the environment of Python does not lie inside the project.
        return run_first_cell(repository, content, sys.base_prefix, **environment)

    return run


@pytest.mark.parametrize(
    "repository",
    [
        " linnaeus/leaves ",
        "https://github.com/linnaeus/leaves",
        "https://github.com/linnaeus/leaves.git",
    ],
)
def test_project_is_fetched_however_its_address_is_written(colab, tmp_path, repository):
    done = colab(repository)

    assert done.stdout == f"{tmp_path}/content/leaves/lib/base/machine.py\n", (
        done.stderr
    )


@pytest.mark.parametrize("repository", ["", " ", "leaves", "linnaeus/leafs"])
def test_first_cell_without_a_known_address_says_what_to_type(colab, repository):
    done = colab(repository)

    assert done.returncode == 1
    assert done.stderr.endswith("type owner/name of a public project above.\n")
    # What git says is shown.
    assert ("fatal: " in done.stderr) == bool(repository.strip())


class Private(BaseHTTPRequestHandler):
    """Asks for a name and a password."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=github")
        self.end_headers()


def test_git_does_not_wait_for_the_password_of_a_private_project(colab):
    with ThreadingHTTPServer(("127.0.0.1", 0), Private) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"url.http://127.0.0.1:{server.server_port}/.insteadOf"
        done = colab("linnaeus/leaves", GIT_CONFIG_KEY_0=address)
        server.shutdown()

    assert "terminal prompts disabled" in done.stderr
    assert "public project" in done.stderr


@pytest.fixture
def flush(monkeypatch):
    """What unmounts the Drive of Colab."""
    colab = mock.Mock()
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return colab.drive.flush_and_unmount


def test_drive_is_flushed_where_the_results_lie_there(ws, drive, flush):
    storage.flush_drive(ws.results)
    assert not flush.called

    storage.flush_drive(drive / "results")
    assert flush.called


@pytest.fixture
def site(site):
    """A folder with a picture, red/000.png, and the address at which it is on the web."""
    draw_classes(site[0], 1, ["red"])
    return site


@pytest.fixture
def lesson(ws, monkeypatch):
    """The names of 09 once it knows how names of pictures become a list."""
    monkeypatch.setenv("DRIVE_PATHS", str(ws.save_paths()))
    names = {"workspace": workspace, "Path": Path, "class_names": ["red"]}
    names["UPLOAD"] = False
    cells = ["images-04", "list-named"]
    return run_cells("09_random_images", cells, names)


def test_addresses_of_the_web_become_files_where_there_are_some(site, lesson, ws):
    folder, address = site
    (folder / "page.png").write_text("<html>")
    names = ["red/000.png?size=1", "gone.png", "page.png"]
    addresses = [f"{address}/{name}" for name in names] + ["http://[bad"]

    listed = lesson["list_named"](addresses)

    assert [path.is_file() for path in listed.path] == [True, False, True, False]
    assert listed.path[0].is_relative_to(ws.scratch)
    assert listed.path[0].read_bytes() == (folder / "red/000.png").read_bytes()


def test_a_picture_of_the_web_is_fetched_anew_each_time(site, lesson):
    folder, address = site
    lesson["list_named"]([f"{address}/red/000.png"])
    draw_classes(folder, 1, ["red"], seed=1)

    (path,) = lesson["list_named"]([f"{address}/red/000.png"]).path

    assert path.read_bytes() == (folder / "red/000.png").read_bytes()


def read_outputs(path):
    """Return what the cells of a notebook have shown."""
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", ())]


class Session:
    """Machines of Colab, one after the other: a slow Drive that can be mounted, and the stand-in."""

    def __init__(self, root):
        self.root = root
        self.content = root / "content"
        self.log = root / "accesses.txt"
        self.drive = root / "account"
        self.mount = self.content / "drive"
        self.github = root / "github/linnaeus/leaves.git"
        self.environment = os.environ | send_git_to(root / "github")
        self.environment |= {
            "PYTHONPATH": str(STAND_IN),
            "STAND_IN_DRIVE": str(self.drive),
            "STAND_IN_MOUNT": str(self.mount),
            "STAND_IN_LOG": str(self.log),
        }

    def publish(self):
        """Put the project on GitHub, with an address, and with Drive where this machine may write."""
        copy_project(self.github)
        write_address("linnaeus/leaves", self.github)
        room = self.github / "lib/base/storage.py"
        source = room.read_text(encoding="utf-8")
        assert source.count('"/content/drive/MyDrive"') == 1
        room.write_text(source.replace("/content/drive", str(self.mount)))
        commit_all(self.github)

    def run_notebook(self, name, parameters, **environment):
        """Run a notebook as it lies on GitHub on a new machine, and give that back; return the status."""
        self.content.mkdir()
        self.log.write_text("")
        command = [sys.executable, "-m", "papermill", "-y", json.dumps(parameters)]
        command += [self.github / f"notebooks/{name}.ipynb", self.find_executed(name)]
        environment = self.environment | environment
        done = subprocess.run(command, cwd=self.content, env=environment)
        if self.mount.exists():
            self.mount.rename(self.drive)
        shutil.rmtree(self.content)
        return done.returncode

    def find_executed(self, name):
        return self.root / f"{name}.ipynb"

    def list_reads_before_training(self):
        """List the files read on Drive, up to the first checkpoint that is written."""
        before = self.log.read_text().partition("write MyDrive/results/checkpoints")[0]
        return [line for line in before.splitlines() if line.startswith("read ")]


@pytest.fixture
def session(tmp_path):
    """The project on GitHub, a ZIP file of pictures and a paths file on Drive, and no machine yet."""
    draw_classes(tmp_path / "set/train", 10)
    draw_classes(tmp_path / "set/test", 2, seed=1)
    session = Session(tmp_path)
    session.publish()
    account = session.drive / "MyDrive"
    shutil.make_archive(str(account / "set"), "zip", tmp_path / "set")
    scratch = str(session.content / "scratch")
    paths = {"train": "set.zip", "results": "results", "scratch": scratch}
    (account / "drive_paths.json").write_text(json.dumps(paths))
    return session


def test_notebook_works_on_a_machine_of_its_own_and_goes_on_where_one_was_taken_away(
    session,
):
    """03 is killed in the third epoch."""
    results = session.drive / "MyDrive/results"
    small = {"IMAGE_SIZE": 32, "EPOCHS": 4, "BATCH_SIZE": 8}
    assert session.run_notebook("01_data_prep", {"IMAGE_SIZES": [32]}) == 0
    killed = session.run_notebook("03_augmented_cnn", small, STAND_IN_KILL="3")
    (kept,) = results.glob("checkpoints/*.npz")
    with np.load(kept) as checkpoint:
        kept_facts = json.loads(str(checkpoint["arr_0"]))

    resumed = session.run_notebook("03_augmented_cnn", small)

    assert killed == -9
    assert [row["epoch"] for row in kept_facts["rows"]] == [1, 2]
    assert resumed == 0
    reads = session.list_reads_before_training()
    # The archive is unpacked anew, and none of its 30 pictures is read on Drive.
    assert 0 < len(reads) < 30
    outputs = read_outputs(session.find_executed("03_augmented_cnn"))
    assert "epoch 2 of 4" in str(outputs)
    whole = pd.read_csv(results / "history/augmented_cnn.csv")
    assert list(whole.epoch) == [1, 2, 3, 4]
