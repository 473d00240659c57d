"""Run notebooks in their order with papermill, alone in their results folder."""

import contextlib
import multiprocessing
import os
import platform
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import nbformat
import papermill
import psutil
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib import storage, workspace
from lib.data.pictures import BEING_READ

NOTEBOOKS = workspace.REPOSITORY / "notebooks"
# They judge what all others made.
JUDGES = ("05", "06")


def list_notebooks() -> list[str]:
    """Return the names of the notebooks in the order of the chain: by number, the judges last."""
    return sorted((path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")), key=find_place)


def find_place(name: str) -> tuple[bool, str]:
    """Return the place of a notebook in the chain, as a key to sort by."""
    return name.startswith(JUDGES), name


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
    """Keep other chains out of the results folder; the system frees it when this process ends.

    An OSError where another chain is at work there, or the folder can't be written.
    """
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
                holder.unlink(missing_ok=True)
    except filelock.Timeout:
        about = holder.read_text() if holder.exists() else "just begun"
        raise OSError(f"{ws.results} is in use by another chain: {about}. Wait for its end.")


def skip_finished(ws, names: list[str], parameters: dict) -> list[str]:
    """Return the notebooks from the first one that is not finished with the same parameters on."""
    for position, name in enumerate(names):
        if not is_finished(ws, name, parameters[name]):
            return names[position:]
        print(f"{name:<22} finished before, skipped", flush=True)
    return []


def run_notebooks(ws, names: list[str], parameters: dict) -> None:
    """Execute notebooks in order, one line each; stop at the first RuntimeError of `run_notebook`.

    Args:
        names: of the notebooks.
        parameters: for each name, {parameter: value}.
    """
    # A bar that redraws itself would fill an executed notebook with lines.
    os.environ.setdefault("TQDM_MININTERVAL", "30")
    for name in names:
        print(f"{name:<22} …", end=" ", flush=True)
        started, end = time.perf_counter(), "failed after"
        try:
            run_notebook(ws, name, parameters[name])
            end = "done in"
        finally:
            print(end, describe_seconds(time.perf_counter() - started))


def run_notebook(ws, name: str, parameters: dict) -> None:
    """Execute one notebook into the results folder, where it stays as far as it came.

    A RuntimeError, which names notebook, cell and error, says that it failed.
    """
    log, failure = ws.scratch / "kernel.log", None
    executed = storage.whole_file(ws.file("notebooks", f"{name}.ipynb"))
    with executed as part, stderr_to(log), watch_reading(ws) as marks:
        try:
            # Outside the main thread nbclient leaves signals to `signals_raise`.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(
                    papermill.execute_notebook,
                    str(NOTEBOOKS / f"{name}.ipynb"),
                    str(part),
                    parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    # Every file is whole by then, and TensorFlow takes its time to leave.
                    shutdown_kernel="immediate",
                ).result()
        except PapermillExecutionError as error:
            failure = f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            names = {mark.read_text(errors="backslashreplace") for mark in marks.iterdir()}
            reading = f" while it read {', '.join(sorted(names))}" if names else ""
            failure = f"{name}: its kernel died{reading}; its last words: {log}"
    if failure:
        raise RuntimeError(failure)


@contextlib.contextmanager
def watch_reading(ws):
    """Yield a folder where a file for each thread of a kernel names the picture that it reads."""
    with tempfile.TemporaryDirectory(prefix="being_read_", dir=ws.scratch) as folder:
        os.environ[BEING_READ] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[BEING_READ]


@contextlib.contextmanager
def stderr_to(path: Path):
    """Send what this process and the kernels that it starts write to stderr into a file.

    TensorFlow and IPython greet at every start; a chain shows one line a notebook.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    with path.open("a") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def is_finished(ws, name: str, parameters: dict) -> bool:
    """Tell whether a notebook, as it stands now, ran to its end with these parameters.

    One that ran before one of its predecessors did, or before labels were edited, is not: it would
    show what was made before.
    """
    path = ws.results / "notebooks" / f"{name}.ipynb"
    try:
        executed = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError):
        return False
    sources = [file for file in (ws.train_labels, ws.corrections) if file and file.exists()]
    others = path.parent.glob("*.ipynb")
    sources += [other for other in others if find_place(other.stem) < find_place(name)]
    if any(file.stat().st_mtime > path.stat().st_mtime for file in sources):
        return False
    record = executed.metadata.get("papermill", {})
    cells = [c for c in executed.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    written = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    return (
        not record.get("exception")
        and all(cell.execution_count for cell in cells if cell.cell_type == "code")
        and record.get("parameters") == parameters
        and [c.source for c in cells] == [c.source for c in written]
    )


def describe_seconds(seconds: float) -> str:
    """Return a duration for people: "42 s", "3.1 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
