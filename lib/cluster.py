"""One executor for blocks of work: threads of this process, or the workers of a Dask cluster."""

import concurrent.futures
import logging
import pickle

from lib.machine import count_cores, describe_project
from lib.storage import BEING_READ

PATIENCE = 30  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class ClusterError(OSError):
    """The cluster is at fault, not what it was asked."""


def run_blocks(function, blocks, *shared, address=None, threads=1):
    """Call function(block, *shared) for each block; yield block, result and, if any, the worker.

    They come as they are finished; what was not begun is called off where the loop is cut short.

    Args:
        function: of a module; what it makes it keeps in a store, so that little is sent.
        blocks: lists, or other sequences, of what is to be worked on.
        address: of the cluster whose workers do it, see `connect`; None for threads of this process.
        threads: how many, then.

    Raises what the function raises; of a worker that can't read or write, or has another version of the
    project, and of a lost scheduler a ClusterError, and of all else there a RuntimeError.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    submit = _open_workers(address) if address else pool.submit
    with pool:
        futures = {submit(function, block, *shared): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(list(futures)):
                block = futures.pop(future)
                answer = _wait(future, block) if address else (future.result(), None)
                yield block, *answer
        finally:
            for future in futures:
                future.cancel()


def _open_workers(address: str):
    executor, version = connect(address).get_executor(pure=False), describe_project()
    # As bytes, which the scheduler does not open, and a worker of another version not either.
    return lambda *task: executor.submit(work, version, pickle.dumps(task))


def work(version: dict, task: bytes) -> tuple:
    """Run on a worker; return what the function of a task returns, and its own address."""
    from distributed import get_worker

    address = get_worker().address
    try:
        if version != (own := describe_project()):
            raise OSError(f"it has another version of the project: {own}, and not {version}")
        function, *arguments = pickle.loads(task)
        return function(*arguments), address
    except Exception as error:
        kind = ClusterError if isinstance(error, OSError) else RuntimeError
        raise kind(f"The worker {address}: {type(error).__name__}: {error}") from None


def _wait(future, block):
    import distributed

    try:
        return future.result()
    except distributed.KilledWorker:
        names = list(getattr(block, "digests", block))
        named = f"{', '.join(names[:3])} …, {len(names)} in all"
        raise RuntimeError(f"Workers die, or lack memory, with these pictures: {named}")
    except (concurrent.futures.CancelledError, distributed.comm.CommClosedError):
        raise ClusterError("The scheduler is gone: start it, then run the same again.")


def connect(address: str):
    """Return the `distributed.Client` of a cluster; of `local:N` the workers are started.

    Raises a ClusterError without Dask, a scheduler, a worker, or this version of the project there.
    """
    if address in clients and clients[address].status == "running":
        return clients[address]
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError('cluster needs Dask: pip install "dask[distributed]>=2025.1"') from error
    logging.getLogger("distributed").handlers = [logging.NullHandler()]  # we raise what matters
    try:
        client = Client(_find_scheduler(address), timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
        client.run_on_scheduler(describe_project)
    except (OSError, ImportError) as error:
        raise ClusterError(f"{address} lacks a scheduler, a worker, or this project: {error}")
    print(f"Dask: {len(client.nthreads())} workers, dashboard {client.dashboard_link}", flush=True)
    clients[address] = client
    return client


def _find_scheduler(address: str):
    if not address.startswith("local:"):
        return address
    import dask
    from distributed import LocalCluster

    count = int(address.removeprefix("local:"))
    # A worker that starts again would find the folder of a notebook that has ended.
    env = {BEING_READ: "", "TF_NUM_INTRAOP_THREADS": str(max(1, count_cores() // count))}
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    # Dask takes mapped files for memory, and would kill workers for them.
    here |= {"threads_per_worker": 1, "memory_limit": None, "env": env}
    # Three deaths end a block's tries; few others wait where it runs, which are blamed too.
    allowed = {"allowed-failures": 2, "worker-saturation": 1.0}
    with dask.config.set({f"distributed.scheduler.{key}": value for key, value in allowed.items()}):
        return LocalCluster(n_workers=count, **here)
