"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import io
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import timedelta

import papermill
import psutil
from IPython import get_ipython
from papermill.exceptions import PapermillExecutionError

from lib.base import storage
from lib.base.parameters import suggest
from lib.base.workspace import REPOSITORY, Workspace

NOTEBOOKS = REPOSITORY / "notebooks"
# Those of the chain, in order: 00 runs the others.
NAMES = """01_data_prep 02_baseline_cnn 03_augmented_cnn 04_resnet50_transfer 05_backbones 06_fine_tuning
07_label_audit 08_evaluation 09_random_images 10_hand_over 11_multi_label""".split()
# These run where they are asked for.
BEYOND = NAMES[4:7]
FIRST = NAMES[0]
KERNEL_LOG = "kernel.log"  # of the results
STOPS = (signal.SIGINT, signal.SIGTERM)
# A bar of tqdm: what it is about, the share done, time left, epoch; or the cells of papermill.
BAR = re.compile(
    r"(\w[^\r\n:]*): +(\d+%)\|.*?<([\d:]+)(?:.*?(epoch=[\d/]+))?|(\d+ of \d+ cells)"
)
# It warns of parameters that stand in the folded cell, which it doesn't know; its errors are raised.
logging.getLogger("papermill").setLevel(logging.CRITICAL)


def choose_notebooks(only: list[str], beyond: bool, ws: Workspace) -> list[str]:
    """Return the names of the notebooks to run, in order.

    Args:
        only: numbers, 2 or 02, and words of names; without any the usual notebooks run.
        beyond: whether 05 to 07 are usual.
        ws: 11 is usual where it has labels for it.

    Raises:
        ValueError: a word of `only` fits no notebook.
    """
    chosen = set()
    for word in only:
        found = [name for name in NAMES if f"_{word.zfill(2)}_" in f"_{name}_"]
        if not found:
            raise ValueError(
                f"--only {word}: no such notebook, or no blanks between two{suggest(word, NAMES)}"
            )
        chosen.update(found)
    if chosen:
        return sorted(chosen)
    usual = [name for name in NAMES[:-1] if beyond or name not in BEYOND]
    if ws.multi_labels and (beyond or not ws.is_demo):
        usual.append(NAMES[-1])
    return usual


@contextlib.contextmanager
def handle_stops(handler: Callable) -> Iterator[None]:
    """Let a function handle Ctrl-C and SIGTERM as long as the block of a `with` lasts."""
    before = {number: signal.signal(number, handler) for number in STOPS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def raise_stop(number: int, frame: object) -> None:
    """Raise SystemExit with the status of a signal."""
    raise SystemExit(128 + number)


def _kill_kernels():
    """End the notebooks that this process runs."""
    # They live in sessions of their own, which a terminal's Ctrl-C does not reach. Dask's workers end
    # with this process, and would be started again.
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in child.cmdline():
                child.kill()


class Line(io.TextIOBase):
    """The line of one notebook: how far it is, then how long it took; and the notes below it."""

    def __init__(self, name: str):
        self.name = name
        self.written = ""
        self.started = time.perf_counter()
        self.display("")

    def write(self, text: str) -> None:
        """Take what a notebook writes: show its cell; of a bar the share done, time left and epoch."""
        self.written += text
        # A log keeps the last words alone.
        if sys.stdout.isatty() or get_ipython() is not None:
            for bar in BAR.finditer(text):
                self.display(", ".join(filter(None, bar.groups())))

    def display(self, words: str) -> None:
        """Show some words in place of those before, which may be longer."""
        print(f"\r{self.name:<22} … {words:<50}", end="", flush=True)

    def close(self) -> None:
        """End the line with its time, and show the notes that were written."""
        super().close()
        seconds = round(time.perf_counter() - self.started)
        self.display(f"took {timedelta(seconds=seconds)}")
        # Where a bar is open a note stands behind it in the same line.
        notes = re.findall("Note: .*", self.written)
        print("", *notes, sep="\n    ")


def run_notebook(ws: Workspace, name: str, parameters: dict) -> None:
    """Execute one notebook into the results folder, where it stays as far as it came.

    It has one line, and its notes below.

    An exception that a signal raises could leave a lock behind, and a wait without a limit might not
    notice the signal. So it is noted, and asked for in steps.

    Raises:
        RuntimeError: a cell has failed, or the kernel died; it names cell and error.
        SystemExit: a signal has stopped it.
    """
    stops = []
    failure = None
    with (
        Line(name) as line,
        handle_stops(lambda number, frame: stops.append(number)),
        storage.atomic_write(ws.file("notebooks", f"{name}.ipynb")) as part,
        futures.ThreadPoolExecutor(1) as thread,
    ):
        run = thread.submit(_execute, name, part, parameters, line)
        while not futures.wait([run], timeout=0.1).done:
            # It may be about to start.
            if stops:
                _kill_kernels()
        try:
            run.result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except RuntimeError:  # of nbclient, which has lost its kernel
            failure = f"{name}: its kernel died; see {ws.results / KERNEL_LOG}"
    if stops:
        raise SystemExit(128 + stops[0])
    if failure:
        raise RuntimeError(failure)


def _execute(name, part, parameters, line):
    """Let papermill execute a notebook; outside the main thread nbclient leaves signals alone."""
    # Without an interval every cell is shown.
    bar = {"file": line, "bar_format": "{n_fmt} of {total_fmt} cells", "mininterval": 0}
    papermill.execute_notebook(
        str(NOTEBOOKS / f"{name}.ipynb"),
        str(part),
        parameters=parameters,
        kernel_name="python3",
        stdout_file=line,
        stderr_file=line,
        # In a notebook it is a widget.
        progress_bar=not get_ipython() and bar,
        coalesce_streams=True,
        # Every file is whole at the end, and TensorFlow takes its time to leave.
        shutdown_kernel="immediate",
        # Seconds after which it sees that its kernel has been killed, in place of 5.
        shell_timeout_interval=1,
    )
