"""Long work: blocks of it done by threads of this process or by workers of a Dask cluster, and its bar."""

import concurrent.futures
import logging
import pickle
import sys

from tqdm import tqdm

from lib.machine import count_cores, describe_project

PATIENCE = 30  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class ClusterError(OSError):
    """The cluster is at fault, not what it was asked."""


def show_progress(
    steps=None, desc: str = "", total: int | None = None, **options
) -> tqdm:
    """Return a bar of tqdm over some steps: in a notebook on stdout, where it isn't red, else on stderr.

    One step, or none, has no bar.
    """
    total = len(steps) if total is None else total
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    file = sys.stdout if in_notebook else sys.stderr
    return tqdm(steps, desc, total, file=file, disable=total < 2, **options)


def run_blocks(function, blocks, *shared, address=None, threads=1):
    """Call function(block, *shared) for each block; yield block, result and, if any, the worker.

    They come as they are finished; what was not begun is called off where the loop is cut short.

    Args:
        function: of a module; what it makes it keeps in a store, so that little is sent.
        blocks: lists, or other sequences, of what is to be worked on.
        address: of the cluster whose workers do it, see `connect`; None for threads of this process.
        threads: how many, then.

    Raises what the function raises, of a worker's OSError a ClusterError.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    submit = _open_workers(address) if address else pool.submit
    with pool:
        futures = {submit(function, block, *shared): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(list(futures)):
                block = futures.pop(future)
                yield block, *(_wait(future) if address else (future.result(), None))
        finally:
            for future in futures:
                future.cancel()


def _open_workers(address: str):
    executor, version = connect(address).get_executor(pure=False), describe_project()
    # As bytes, which the scheduler does not open, and a worker of another version not either.
    return lambda *task: executor.submit(work_on, version, pickle.dumps(task))


def work_on(version: dict, task: bytes) -> tuple:
    """Run on a worker; return what the function of a task returns, and its own address."""
    from distributed import get_worker

    address = get_worker().address
    if version != (own := describe_project()):
        raise ClusterError(
            f"The worker {address} has another version: {own}, and not {version}"
        )
    function, *arguments = pickle.loads(task)
    try:
        return function(*arguments), address
    except OSError as error:
        raise ClusterError(f"The worker {address}: {error}") from None


def _wait(future):
    import distributed

    try:
        return future.result()
    except (concurrent.futures.CancelledError, distributed.comm.CommClosedError):
        raise ClusterError("The scheduler is gone: start it, then run the same again.")
    except distributed.KilledWorker as error:
        raise ClusterError(f"Workers die, or lack memory: {error}")


def connect(address: str):
    """Return the `distributed.Client` of a cluster; of `local:N` the workers are started.

    Raises a ClusterError without Dask, a scheduler, a worker, or this version of the project there,
    or where the address is none.
    """
    if address in clients and clients[address].status == "running":
        return clients[address]
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            'cluster needs Dask: pip install "dask[distributed]>=2025.1"'
        ) from error
    logging.getLogger("distributed").handlers = [
        logging.NullHandler()
    ]  # we raise what matters
    try:
        client = Client(_find_scheduler(address), timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
        client.run_on_scheduler(describe_project)
    except (OSError, ImportError, ValueError, ZeroDivisionError) as error:
        raise ClusterError(
            f"{address} lacks a scheduler, a worker, or this project: {error}. An address is that of "
            'a scheduler of Dask, say "tcp://host:8786", or "local:2" for two workers on this machine.'
        )
    print(
        f"Dask: {len(client.nthreads())} workers, dashboard {client.dashboard_link}",
        flush=True,
    )
    clients[address] = client
    return client


def _find_scheduler(address: str):
    if not address.startswith("local:"):
        return address
    from distributed import LocalCluster

    count = int(address.removeprefix("local:"))
    env = {"TF_NUM_INTRAOP_THREADS": str(max(1, count_cores() // count))}
    # Dask takes mapped files for memory, and would kill workers for them.
    return LocalCluster(
        count, threads_per_worker=1, memory_limit=None, host="127.0.0.1", env=env,
        dashboard_address="127.0.0.1:0", silence_logs=50,
    )  # fmt: skip
