"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import logging
import multiprocessing
import os
import platform
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import filelock
import papermill
import psutil
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib import storage, workspace
from lib.progress import Line

NOTEBOOKS = workspace.REPOSITORY / "notebooks"
# It warns of parameters that stand in the folded cell, which it doesn't know.
logging.getLogger("papermill").setLevel(logging.ERROR)


def list_notebooks() -> list[str]:
    """Return the names of the notebooks, in the order of their numbers, but of 00, which runs the others."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb") if path.stem[:2] != "00")


@contextlib.contextmanager
def signals_raise():
    """Make Ctrl-C and SIGTERM kill the running notebook and raise SystemExit."""

    def stop(number, frame):
        # Dask starts a worker again that is killed; all end with this process.
        spared = {child.pid for child in multiprocessing.active_children() if "Dask" in child.name}
        # A kernel lives in a session of its own, which a terminal's Ctrl-C does not reach.
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.pid not in spared and "resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def lock_results(ws):
    """Keep other chains out of the results folder, by an OSError, until this process ends."""
    for folder in (ws.results, ws.scratch):
        storage.require_room(folder, 0, "")
    holder = ws.results / ".chain"
    try:
        with storage.lock(ws.results / ".lock", timeout=0):
            if holder.exists():
                # The kernel of a killed chain looks once a second whether its parent still lives.
                time.sleep(2)
            holder.write_text(f"process {os.getpid()} on {platform.node()}, since {time.ctime()}")
            try:
                yield
            finally:
                # What a killed kernel has left half-written.
                for part in (*ws.results.glob("*.part.*"), *ws.results.glob("*/*.part.*")):
                    part.unlink(missing_ok=True)
                holder.unlink(missing_ok=True)
    except filelock.Timeout:
        found = holder.read_text() if holder.exists() else "just begun"
        raise OSError(f"{ws.results} is in use by another chain: {found}. Wait for its end.")


def run_notebooks(ws, names: list[str], parameters: dict) -> None:
    """Execute notebooks in order, one line each, with {parameter: value} for each name."""
    # A bar that redraws itself would fill an executed notebook with lines.
    os.environ.setdefault("TQDM_MININTERVAL", "10")
    # Kernels find `lib`, wherever the chain was started.
    paths = [str(workspace.REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    for name in names:
        line, started, end, taken = Line(name), time.perf_counter(), "failed after", []
        try:
            taken, end = run_notebook(ws, name, parameters[name], line), "done in"
        except SystemExit:
            end = "stopped after"
            raise
        finally:
            taken_time = timedelta(seconds=round(time.perf_counter() - started))
            line.update(f"{end} {taken_time}", end="\n")
            print(*taken, sep="", end="")


def run_notebook(ws, name: str, parameters: dict, line=None) -> list[str]:
    """Execute one notebook into the results folder, where it stays as far as it came.

    What it writes is shown to `line`. Returns what it says that it took from earlier trainings; a
    RuntimeError names cell and error.
    """
    log, failure, written = ws.scratch / "kernel.log", None, str(NOTEBOOKS / f"{name}.ipynb")
    bar = {"file": line, "bar_format": "{n_fmt} of {total_fmt} cells", "mininterval": 0}
    # Every file is whole at the end, and TensorFlow takes its time to leave.
    options = {"kernel_name": "python3", "shutdown_kernel": "immediate"}
    # Of a bar that redraws itself the last state is kept. In a notebook papermill's own is a widget.
    options |= {
        "coalesce_streams": True,
        "progress_bar": bar if line and not line.handle else False,
    }
    options |= {"stdout_file": line, "stderr_file": line}
    run = partial(papermill.execute_notebook, written, parameters=parameters, **options)
    executed = storage.whole_file(ws.file("notebooks", f"{name}.ipynb"))
    with executed as part, stderr_to(log), watch_reading(ws) as marks:
        try:
            # Outside the main thread nbclient leaves signals to `signals_raise`.
            with ThreadPoolExecutor(1) as thread:
                notebook = thread.submit(run, str(part)).result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            names = {mark.read_text(errors="backslashreplace") for mark in marks.glob("*.reading")}
            reading = f" while it read {', '.join(sorted(names))}" if names else ""
            failure = f"{name}: its kernel died{reading}; its last words: {log}"
    if failure:
        raise RuntimeError(failure)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    lines = "".join(output.get("text", "") for output in outputs).splitlines(keepends=True)
    return [f"    {line}" for line in lines if line.endswith("--anew trains again\n")]


@contextlib.contextmanager
def watch_reading(ws):
    """Yield a folder where a file for each thread of a kernel names the picture that it reads."""
    with tempfile.TemporaryDirectory(prefix="being_read_", dir=ws.scratch) as folder:
        os.environ[storage.BEING_READ] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[storage.BEING_READ]


@contextlib.contextmanager
def stderr_to(path: Path):
    """Send what this process and its kernels write to stderr, greetings mostly, into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    with path.open("a") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
