"""What the tests share: small drawn pictures, and a workspace of them as 01_data_prep leaves it."""

import ast
import contextlib
import functools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.base import storage, workspace
from lib.base.parameters import read_defaults
from lib.data import labels, pictures, pixels, split
from lib.data.findings import leave_out, list_checks

matplotlib.use("Agg")
# Names that a careless reader of CSV files would turn into a number and a missing value.
COLOURS = {"007": (40, 60, 220), "NA": (40, 190, 60), "red": (220, 50, 40)}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def plain_environment():
    """Name no paths file; undo what a chain tells its kernels by the environment."""
    with mock.patch.dict(os.environ):
        for name in ("DRIVE_PATHS", "TRAIN_ANEW"):
            os.environ.pop(name, None)
        yield


@pytest.fixture(autouse=True)
def environment():
    with plain_environment():
        yield


def draw_classes(folder, per_class, classes=tuple(COLOURS), size=(30, 24), seed=0):
    """Draw noisy pictures into class folders told apart by colour."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            noise = rng.normal(COLOURS[name], 25, (size[1], size[0], 3))
            picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
            picture.save(folder / name / f"{number:03d}.png")


def make_workspace(root, **keys):
    """Return a new workspace below a folder, with some keys more."""
    folders = [root / name for name in ("train", "results", "scratch")]
    ws = workspace.Workspace(*folders, **keys)
    ws.claim()
    return ws


@pytest.fixture
def ws(tmp_path):
    """A workspace whose train folder is still to be filled."""
    (tmp_path / "train").mkdir()
    return make_workspace(tmp_path)


def copy_results(ws, folder):
    """Return a workspace with the same pictures, whose results may be spoiled."""
    shutil.copytree(ws.results, folder / "results")
    return replace(ws, results=folder / "results")


def decode_all(ws, image_sizes=(8,)):
    """List and decode the pictures of a workspace; return what `decode` does, with all findings."""
    listed, odd = labels.list_pictures(ws, ws.train)
    files = leave_out(listed, odd)
    decoded, damaged = pixels.decode_pictures(ws, ws.train, files, image_sizes)
    return decoded, pd.concat([odd, damaged])


def join_checks(rows, findings):
    """Join files and findings, each with what checks.csv says, "" for nothing."""
    return rows.merge(list_checks(findings), how="outer", on="file").fillna("")


def prepare_and_split(ws, image_sizes=(8,), seed=0):
    """Do the work of 01_data_prep on pictures without copies; return those that are used."""
    ws.claim()
    decoded, found = decode_all(ws, image_sizes)
    whole = leave_out(decoded, found)
    grouped = whole.assign(group=split.find_groups(whole))
    used = grouped.assign(part=split.split(grouped, seed))
    split.save_split(ws, decoded, used, found)
    return used


@pytest.fixture
def prepared(ws):
    """A workspace of three classes of ten pictures, prepared and split as 01_data_prep does it."""
    draw_classes(ws.train, 10)
    prepare_and_split(ws)
    return ws


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A mounted Google Drive."""
    folder = tmp_path / "drive/MyDrive"
    monkeypatch.setattr(storage, "DRIVE", folder)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def refused_drive(tmp_path, monkeypatch):
    """What would mount Drive in this Colab, whose user refuses."""
    colab = mock.Mock()
    colab.drive.mount.side_effect = ValueError("mount failed")
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "drive/MyDrive")
    return colab.drive.mount


@pytest.fixture
def site(tmp_path):
    """A folder, and the address at which it is on the web."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def read_all(folder):
    """Read every file below a folder: relative path to bytes."""
    paths = filter(Path.is_file, folder.rglob("*"))
    return {path.relative_to(folder): path.read_bytes() for path in paths}


@pytest.fixture
def no_picture_is_read(monkeypatch):
    """Fail where a picture is read, which `decode` does for all others."""
    monkeypatch.setattr(pictures, "decode", lambda *_: pytest.fail("read a picture"))


def read_code(name, root=workspace.REPOSITORY):
    """Return the code cells of a notebook, by their ids."""
    notebook = nbformat.read(root / f"notebooks/{name}.ipynb", as_version=4)
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def load_functions(lesson, *ids, **names):
    """Return what functions of some cells of a lesson are called, with the names that they read."""
    for cell_id in ids:
        tree = ast.parse(read_code(lesson)[cell_id].source)
        tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        exec(compile(tree, f"<{lesson}: {cell_id}>", "exec"), names)
    return SimpleNamespace(**names)


def fit_runs(runs, epochs, callbacks=()):
    """Fit each run as a lesson does, and return the first training."""
    for run in runs:
        run.options["callbacks"] += callbacks
        run.model.fit(
            run.train, validation_data=run.validation, epochs=epochs, **run.options
        )
    return runs.first


def build_classifier(
    *layers, shape=(8, 8, 3), name="tiny", classes=3, activation="softmax"
):
    """Build a model of classes: layers, and a dense one behind them."""
    # Most tests do without Keras, which takes long to import.
    from keras import Input, Sequential
    from keras.layers import Dense

    last = Dense(classes, activation=activation)
    return Sequential([Input(shape), *layers, last], name=name)


def save_network(path, filters, side=32):
    """Save a small network that nobody has trained."""
    from keras import Input, Sequential, utils
    from keras.layers import Conv2D, Rescaling

    utils.set_random_seed(filters)
    convolution = Conv2D(filters, 5, strides=5, activation="relu")
    Sequential([Input((side, side, 3)), Rescaling(1 / 255), convolution]).save(path)


def add_head(pixels, features, name=None, classes=3):
    """Build the model of a backbone, from pixels to features, and a head, as the lessons do."""
    from keras import Model

    head = build_classifier(shape=features.shape[1:], name="head", classes=classes)
    return Model(pixels, head(features), name=name)


def load_bytes(data, size):
    """Load the picture that a file of these bytes holds as `pictures.load` does."""
    side = pictures.find_decoding_side(size)
    return pictures.square(pictures.decode(data, side).pixels, size)


def run_cells(name, ids, names, root=workspace.REPOSITORY):
    """Execute cells of a notebook, which know some names, np and pd; return all that is known then."""
    cells = read_code(name, root)
    known = {"np": np, "pd": pd, **names}
    for cell_id in ids:
        source = cells[cell_id].source
        exec(compile(source, f"<{name}: {cell_id}>", "exec"), known)
    return known


def execute_lesson(name, ws, times=1, **parameters):
    """Execute a notebook on a workspace in this process, where its packages are imported already.

    Each cell is executed so many times before the next one.
    """
    cells = []
    # Behind the first cell and the two of parameters.
    for cell_id in list(read_code(name))[3:]:
        cells += [cell_id] * times
    known = read_defaults(workspace.REPOSITORY / f"notebooks/{name}.ipynb") | parameters
    known |= {"workspace": workspace, "Path": Path, "sys": sys}
    with mock.patch.dict(os.environ, DRIVE_PATHS=str(ws.save_paths())):
        run_cells(name, cells, known)


def plan_make(*arguments):
    """Return the commands that make would run."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    return subprocess.check_output(command, cwd=workspace.REPOSITORY, text=True)


def find_imports(statements):
    """Return the modules that some statements import."""
    modules = set()
    for node in statements:
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from lib.data import pixels` names a room, `from lib.data.store import Store` a part.
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return modules


def find_browser():
    for path in filter(None, map(shutil.which, BROWSERS)):
        # Ubuntu's chromium-browser can be a stub that only tells what to install.
        if subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, in which pages are opened as a person does it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium is installed; .ci/run installs one")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


@contextlib.contextmanager
def open_page(browser, path, *allowed, script="", wait_until="load", **options):
    """Open the page in a file without a network; what goes wrong in it fails the test at its end.

    These are errors, dialogs, and requests for anything but the page and what is allowed.
    """
    context = browser.new_context(offline=True, **options)
    # A busy machine may take longer than the usual half minute.
    context.set_default_timeout(600_000)
    page = context.new_page()
    page.add_init_script(script)
    found = []
    page.on("console", lambda line: found.append(f"{line.type}: {line.text}"))
    page.on("request", lambda request: found.append(request.url))
    for event in ("pageerror", "dialog"):
        page.on(event, lambda fault: found.append(f"{fault}"))
    page.goto(path.as_uri(), wait_until=wait_until)
    yield page
    context.close()
    lines = ("debug:", "info:", "log:")
    harmless = (*lines, "data:", "blob:", path.as_uri(), *allowed)
    assert [one for one in found if not one.startswith(harmless)] == []


def runs_foreign_script(browser, path):
    """Tell whether a copy of a page runs a script that is not its own."""
    text = path.read_text(encoding="utf-8")
    changed = path.with_name("changed.html")
    text = text.replace("</main>", "<script>alert(1)</script></main>")
    changed.write_text(text, encoding="utf-8")
    page = browser.new_page()
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog))
    page.goto(changed.as_uri())
    page.close()
    return bool(dialogs)


def find_violations(page):
    """Return what axe finds in light and in dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    reports = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        result = axe.run(page)
        if result.violations_count:
            reports.append(result.generate_report())
    return "\n".join(reports)
