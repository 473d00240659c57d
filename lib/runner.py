"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import io
import logging
import os
import re
import signal
import sys
import threading
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

KERNEL_LOG = "kernel.log"  # of the results, where no other chain writes
# A bar of tqdm: what it is about, the share done, time left, epoch; or the cells of papermill.
BAR = re.compile(
    r"(\w[^\r\n:]*): +(\d+%)\|.*?<([\d:]+)(?:.*?(epoch=[\d/]+))?|(\d+ of \d+ cells)"
)
# It warns of parameters that stand in the folded cell, which it doesn't know; its errors are raised.
logging.getLogger("papermill").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def signals_raise():
    """Make Ctrl-C and SIGTERM raise SystemExit, and kill every kernel until the block has ended."""
    stopped = threading.Event()
    ended = threading.Event()

    def kill_kernels():
        stopped.wait()
        # The thread of a notebook may be about to start one.
        while not ended.wait(0.1):
            _kill_children()

    def stop(number: int, frame: object):
        # A second one would leave that thread behind.
        if not stopped.is_set():
            stopped.set()
            raise SystemExit(128 + number)

    threading.Thread(target=kill_kernels, daemon=True).start()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ended.set()
        stopped.set()


def _kill_children():
    # A kernel lives in a session of its own, which a terminal's Ctrl-C does not reach. Dask's workers
    # end with this process, and would be started again.
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in child.cmdline():
                for process in (child, *child.children(recursive=True)):
                    process.kill()


@contextlib.contextmanager
def lock_results(ws: workspace.Workspace):
    """Keep other chains out of the results folder, by an OSError, until this process ends."""
    with storage.acquire_lock(ws.results / ".lock", timeout=0):
        try:
            yield
        finally:
            storage.sweep(ws.results)


class Line(io.TextIOBase):
    """The line of one notebook: how far it is, on a terminal and in a notebook, and how it ended."""

    def __init__(self, name: str):
        self.beginning = f"{name:<22} … "
        self.is_watched = sys.stdout.isatty() or get_ipython() is not None
        self.written = ""
        print(self.beginning, end="", flush=True)

    def write(self, text: str) -> None:
        """Take what a notebook writes: show its cell; of a bar the share done, time left and epoch."""
        # papermill's own bar has no line to itself.
        if not text.endswith(" cells"):
            self.written += text
        bars = list(BAR.finditer(text))
        if bars and self.is_watched:
            parts = filter(None, bars[-1].groups())
            self.update(", ".join(parts))

    def update(self, words: str, end: str = "") -> None:
        """Show some words in place of those before."""
        if self.is_watched:
            # Over what is longer.
            words = f"\r{self.beginning}{words:<50}"
        print(words, end=end, flush=True)


def run_notebooks(
    ws: workspace.Workspace, names: list[str], parameters: dict[str, dict]
) -> list[str]:
    """Execute notebooks in order, one line each and their notes.

    Args:
        parameters: {parameter: value} for each name.

    Returns:
        The names of those of `commands.BEYOND` that failed; others raise as `run_notebook` does.
    """
    # A bar that redraws itself would fill an executed notebook with lines.
    os.environ.setdefault("TQDM_MININTERVAL", "10")
    # Kernels find `lib`, wherever the chain was started.
    inherited = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{workspace.REPOSITORY}{os.pathsep}{inherited}"
    failed = []
    for name in names:
        line = Line(name)
        started = time.perf_counter()
        end = "ended after"
        try:
            run_notebook(ws, name, parameters[name], line)
            end = "done in"
        except RuntimeError as error:
            if name not in commands.BEYOND:
                raise
            failed.append(name)
            reason = " ".join(str(error).split())
            line.write(f"\nNote: {reason}\n")
        finally:
            seconds = timedelta(seconds=round(time.perf_counter() - started))
            line.update(f"{end} {seconds}", end="\n")
            for written in line.written.splitlines():
                if written.startswith("Note: "):
                    print(f"    {written}")
    return failed


def run_notebook(
    ws: workspace.Workspace, name: str, parameters: dict, line: Line
) -> None:
    """Execute one notebook into the results folder, where it stays as far as it came.

    Raises:
        RuntimeError: a cell has failed, or the kernel died; it names cell and error.
    """
    # In a notebook papermill's own bar is a widget.
    bar = {"file": line, "bar_format": "{n_fmt} of {total_fmt} cells", "mininterval": 0}
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
                progress_bar=False if get_ipython() else bar,
                coalesce_streams=True,
                # Every file is whole at the end, and TensorFlow takes its time to leave.
                shutdown_kernel="immediate",
            )
            # A signal that comes as a wait begins is heard only when it ends.
            while not execution.done():
                futures.wait([execution], timeout=0.5)
            execution.result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            failure = f"{name}: its kernel died; see {ws.results / KERNEL_LOG}"
    if failure:
        raise RuntimeError(failure)
