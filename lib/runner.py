"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import io
import logging
import os
import re
import signal
import sys
import time
from concurrent import futures
from datetime import timedelta

import papermill
import psutil
from IPython import get_ipython
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib import commands
from lib.base import storage, workspace

KERNEL_LOG = "kernel.log"  # of the results
# A bar of tqdm: what it is about, the share done, time left, epoch; or the cells of papermill.
BAR = re.compile(
    r"(\w[^\r\n:]*): +(\d+%)\|.*?<([\d:]+)(?:.*?(epoch=[\d/]+))?|(\d+ of \d+ cells)"
)
# papermill's own bar; without an interval it shows every cell.
CELLS = {"bar_format": "{n_fmt} of {total_fmt} cells", "mininterval": 0}
# It warns of parameters that stand in the folded cell, which it doesn't know; its errors are raised.
logging.getLogger("papermill").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def signals_raise():
    """Make the first Ctrl-C or SIGTERM raise SystemExit, and pass over those after it."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: object):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_kernels():
    """End the notebooks that this process runs."""
    # They live in sessions of their own, which a terminal's Ctrl-C does not reach. Dask's workers end
    # with this process, and would be started again.
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in child.cmdline():
                child.kill()


class Line(io.TextIOBase):
    """The line of one notebook: how far it is, on a terminal and in a notebook, and how long it took."""

    def __init__(self, name: str):
        self.beginning = f"{name:<22} … "
        self.is_watched = sys.stdout.isatty() or get_ipython() is not None
        self.written = ""
        self.started = time.perf_counter()
        print(self.beginning, end="", flush=True)

    def write(self, text: str) -> None:
        """Take what a notebook writes: show its cell; of a bar the share done, time left and epoch."""
        # papermill's own bar has no line to itself.
        if not text.endswith(" cells"):
            self.written += text
        bars = list(BAR.finditer(text))
        if bars and self.is_watched:
            parts = filter(None, bars[-1].groups())
            self.display(", ".join(parts))

    def display(self, words: str) -> None:
        """Show some words in place of those before."""
        if self.is_watched:
            # Over what is longer.
            words = f"\r{self.beginning}{words:<50}"
        print(words, end="", flush=True)

    def finish(self) -> None:
        """End the line with its time, and show the notes that were written."""
        seconds = round(time.perf_counter() - self.started)
        self.display(f"took {timedelta(seconds=seconds)}")
        print()
        for written in self.written.splitlines():
            if written.startswith("Note: "):
                print(f"    {written}")


def run_notebooks(ws: workspace.Workspace, parameters: dict[str, dict]) -> list[str]:
    """Execute notebooks in order, one line each and their notes.

    Args:
        parameters: {parameter: value} for each notebook, by its name.

    Returns:
        The names of those of `commands.BEYOND` that failed; others raise as `run_notebook` does.
    """
    # A bar that redraws itself would fill an executed notebook with lines.
    os.environ.setdefault("TQDM_MININTERVAL", "10")
    # Kernels find `lib`, wherever the chain was started.
    inherited = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{workspace.REPOSITORY}{os.pathsep}{inherited}"
    failed = []
    for name, values in parameters.items():
        line = Line(name)
        try:
            run_notebook(ws, name, values, line)
        except RuntimeError as error:
            if name not in commands.BEYOND:
                raise
            failed.append(name)
            reason = " ".join(str(error).split())
            line.write(f"\nNote: {reason}\n")
        finally:
            line.finish()
    return failed


def run_notebook(
    ws: workspace.Workspace, name: str, parameters: dict, line: Line
) -> None:
    """Execute one notebook into the results folder, where it stays as far as it came.

    Raises:
        RuntimeError: a cell has failed, or the kernel died; it names cell and error.
    """
    failure = None
    executed = storage.atomic_write(ws.file("notebooks", f"{name}.ipynb"))
    with executed as part, futures.ThreadPoolExecutor(1) as thread:
        # A signal that comes while its thread starts would leave it behind.
        thread.submit(int).result()
        try:
            # Outside the main thread nbclient leaves signals to `signals_raise`.
            execution = thread.submit(
                papermill.execute_notebook,
                str(commands.NOTEBOOKS / f"{name}.ipynb"),
                str(part),
                parameters=parameters,
                kernel_name="python3",
                stdout_file=line,
                stderr_file=line,
                # In a notebook it is a widget.
                progress_bar=not get_ipython() and {"file": line, **CELLS},
                coalesce_streams=True,
                # Every file is whole at the end, and TensorFlow takes its time to leave.
                shutdown_kernel="immediate",
            )
            _await(execution)
            execution.result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            failure = f"{name}: its kernel died; see {ws.results / KERNEL_LOG}"
        finally:
            # A stopped notebook ends with its kernel, which may be about to start.
            _await(thread.submit(int), kills=True)
    if failure:
        raise RuntimeError(failure)


def _await(future, kills=False):
    """Wait for a future, if wanted while kernels are killed; signals are heard between two waits."""
    while not future.done():
        if kills:
            _kill_kernels()
        futures.wait([future], timeout=0.1)
