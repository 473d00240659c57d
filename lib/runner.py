"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import io
import logging
import multiprocessing
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import filelock
import papermill
import psutil
from IPython import get_ipython
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib import storage, workspace

NOTEBOOKS = workspace.REPOSITORY / "notebooks"
# A bar of tqdm: what it is about, the share done, time left, epoch; or the cells of papermill.
BAR = re.compile(
    r"(\w[^\r\n:]*): +(\d+%)\|.*?<([\d:]+)(?:.*?(epoch=[\d/]+))?|(\d+ of \d+ cells)"
)
# It warns of parameters that stand in the folded cell, which it doesn't know.
logging.getLogger("papermill").setLevel(logging.ERROR)


def list_notebooks() -> list[str]:
    """Return the names of the notebooks, in the order of their numbers, but of 00, which runs the others."""
    return sorted(
        path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb") if path.stem[:2] != "00"
    )


@contextlib.contextmanager
def signals_raise():
    """Make Ctrl-C and SIGTERM kill the running notebook and raise SystemExit."""

    def stop(number, frame):
        # Dask starts a worker again that is killed; all end with this process.
        spared = {
            child.pid
            for child in multiprocessing.active_children()
            if "Dask" in child.name
        }
        # A kernel lives in a session of its own, which a terminal's Ctrl-C does not reach.
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.pid not in spared and "resource_tracker" not in " ".join(
                    child.cmdline()
                ):
                    child.kill()
        raise SystemExit(128 + number)

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def lock_results(ws):
    """Keep other chains out of the results folder, by an OSError, until this process ends."""
    storage.require_room(ws.results, 0, "")
    storage.require_room(ws.scratch, 0, "")
    # The system frees the lock when this process dies; a mere file would outlive it.
    try:
        held = filelock.FileLock(ws.results / ".lock", fallback_to_soft=False)
    except TypeError:  # of older versions, which never take a mere file
        held = filelock.FileLock(ws.results / ".lock")
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise OSError(f"{ws.results} is in use by another chain: wait for its end.")
    except (NotImplementedError, OSError):
        pass  # Not every mounted drive has locks: there nobody is kept out.
    try:
        yield
    finally:
        # What a killed kernel has left half-written.
        for part in (*ws.results.glob("*.part.*"), *ws.results.glob("*/*.part.*")):
            part.unlink(missing_ok=True)
        held.release()


class Line(io.TextIOBase):
    """The line of one notebook: how far it is, on a terminal and in a notebook, and how it ended."""

    def __init__(self, name: str):
        self.beginning = f"{name:<22} … "
        self.is_watched = sys.stdout.isatty() or get_ipython() is not None
        print(self.beginning, end="", flush=True)

    def write(self, text: str) -> None:
        """Take what a notebook writes: show its cell; of a bar the share done, time left and epoch."""
        bars = list(BAR.finditer(text))
        if bars and self.is_watched:
            self.update(", ".join(filter(None, bars[-1].groups())))

    def update(self, words: str, end: str = "") -> None:
        """Show some words in place of those before."""
        if self.is_watched:
            # Over what is longer.
            words = f"\r{self.beginning}{words:<50}"
        print(words, end=end, flush=True)


def run_notebooks(ws, names: list[str], parameters: dict) -> None:
    """Execute notebooks in order, one line each, with {parameter: value} for each name."""
    # A bar that redraws itself would fill an executed notebook with lines.
    os.environ.setdefault("TQDM_MININTERVAL", "10")
    # Kernels find `lib`, wherever the chain was started.
    paths = [str(workspace.REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    for name in names:
        line, started, end, taken = Line(name), time.perf_counter(), "ended after", []
        try:
            taken, end = run_notebook(ws, name, parameters[name], line), "done in"
        finally:
            seconds = timedelta(seconds=round(time.perf_counter() - started))
            line.update(f"{end} {seconds}", end="\n")
            print(*taken, sep="", end="")


def run_notebook(ws, name: str, parameters: dict, line: Line) -> list[str]:
    """Execute one notebook into the results folder, where it stays as far as it came.

    Returns what it says that it took from earlier trainings; a RuntimeError names cell and error.
    """
    log, failure = ws.scratch / "kernel.log", None
    # Every file is whole at the end, and TensorFlow takes its time to leave.
    options = {
        "kernel_name": "python3",
        "shutdown_kernel": "immediate",
        "coalesce_streams": True,
    }
    options |= {"parameters": parameters, "stdout_file": line, "stderr_file": line}
    # In a notebook papermill's own bar is a widget.
    bar = {"file": line, "bar_format": "{n_fmt} of {total_fmt} cells", "mininterval": 0}
    options["progress_bar"] = False if get_ipython() else bar
    executed = storage.atomic_write(ws.file("notebooks", f"{name}.ipynb"))
    with executed as part, stderr_to(log), ThreadPoolExecutor(1) as thread:
        written = str(NOTEBOOKS / f"{name}.ipynb")
        try:
            # Outside the main thread nbclient leaves signals to `signals_raise`.
            run = thread.submit(
                papermill.execute_notebook, written, str(part), **options
            )
            notebook = run.result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            failure = f"{name}: its kernel died; its last words: {log}"
    if failure:
        raise RuntimeError(failure)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    lines = "".join(output.get("text", "") for output in outputs).splitlines(
        keepends=True
    )
    return [f"    {line}" for line in lines if line.endswith("--anew trains again\n")]


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
