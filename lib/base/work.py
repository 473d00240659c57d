"""Long work: blocks of it done by threads of this process or by workers of a Dask cluster, and its bar."""

import concurrent.futures
import logging
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator

from tqdm import tqdm

from lib.base.machine import describe_project

PATIENCE = 30  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class ClusterError(OSError):
    """The cluster is at fault, not what it was asked."""


def show_progress(
    steps: Iterable = (), desc: str = "", total: int | None = None, **options
) -> tqdm:
    """Return a bar of tqdm over some steps, on stdout: in a notebook stderr is red.

    One step, or none, has no bar.
    """
    if total is None:
        total = len(steps)
    return tqdm(steps, desc, total, file=sys.stdout, disable=total < 2, **options)


def run_blocks(
    function: Callable,
    blocks: Iterable,
    *shared,
    address: str | None = None,
    threads: int = 1,
) -> Iterator[tuple]:
    """Call function(block, *shared) for each block; yield block and result.

    They come as they are finished. Blocks that were not begun are called off where the loop is cut short.

    Args:
        function: of a module; it keeps what it makes in a store, so that little is sent.
        blocks: lists, or other sequences, of what is to be worked on.
        address: of the cluster whose workers do it, see `connect`; None for threads of this process.
        threads: how many, then.

    Raises:
        ClusterError: A worker raised an OSError, or the cluster failed; other errors of the function
            are raised as they are.
    """
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        submit = _open_workers(address) if address else pool.submit
        futures = {submit(function, block, *shared): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(list(futures)):
                block = futures.pop(future)
                yield block, _wait(future, address) if address else future.result()
        finally:
            for future in futures:
                future.cancel()


def _open_workers(address):
    """Return a function that submits a task to the workers of a cluster."""
    executor = connect(address).get_executor(pure=False)
    version = describe_project()

    def submit(*task):
        # As bytes, which the scheduler does not open, and a worker of another version not either.
        return executor.submit(_work, version, pickle.dumps(task))

    return submit


def _work(version, task):
    """Run on a worker; return what the function of a task returns."""
    own = describe_project()
    if version != own:
        raise ClusterError(f"A worker has another version: {own}, and not {version}")
    function, *arguments = pickle.loads(task)
    try:
        return function(*arguments)
    except OSError as error:
        raise ClusterError(f"A worker, which needs all folders: {error}") from None


def _wait(future, address):
    """Return what a worker has returned."""
    import distributed

    try:
        return future.result()
    except (concurrent.futures.CancelledError, distributed.comm.CommClosedError):
        # It would look for the scheduler for good, and draw from Python's random numbers.
        clients.pop(address).close()
        raise ClusterError("The scheduler is gone: start it, then run the same again.")


def connect(address: str):
    """Return the `distributed.Client` of a cluster; the workers of `local:N` are started.

    Raises:
        ClusterError: Dask, a scheduler, a worker, or this version of the project there is missing, or
            the address is none.
    """
    if address in clients and clients[address].status == "running":
        return clients[address]
    # What matters is raised.
    logging.getLogger("distributed").handlers = [logging.NullHandler()]
    try:
        from distributed import Client

        client = Client(_find_scheduler(address), timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
        client.run_on_scheduler(describe_project)
    except (OSError, ImportError, ValueError) as error:
        raise ClusterError(
            f"{address} lacks a scheduler, a worker, or this project: {error}. An address is "
            '"tcp://host:8786", or "local:2" for two workers on this machine. Dask is installed by: '
            'pip install "dask[distributed]>=2025.1"'
        )
    clients[address] = client
    return client


def _find_scheduler(address):
    """Return what the client of an address connects to; `local:N` is started."""
    if not address.startswith("local:"):
        return address
    from distributed import LocalCluster

    return LocalCluster(
        int(address.removeprefix("local:")),
        threads_per_worker=1,
        # Dask takes mapped files for memory, and would kill workers for them.
        memory_limit=None,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
