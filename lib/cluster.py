"""Past one machine: blocks of work on the workers of a Dask cluster, which is optional."""

import logging
import pickle

from lib.machine import describe_project, share_machine
from lib.storage import record_names

PATIENCE = 30  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class ClusterError(OSError):
    """The cluster is at fault, not what it was asked."""


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
    ours = describe_project()
    try:
        client = Client(_find_scheduler(address), timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
        theirs = client.run(describe_project, on_error="return")
        theirs["the scheduler"] = client.run_on_scheduler(describe_project)
    except (OSError, ImportError) as error:
        raise ClusterError(f"{address} lacks a scheduler, a worker, or this project: {error}")
    # Whoever dies meanwhile answers an OSError.
    if others := {k: v for k, v in theirs.items() if v != ours and not isinstance(v, OSError)}:
        client.close()
        raise ClusterError(f"All need {ours}, by PYTHONPATH, but there are {others}")
    print(f"Dask: {len(client.nthreads())} workers, dashboard {client.dashboard_link}", flush=True)
    clients[address] = client
    return client


def _find_scheduler(address: str):
    if not address.startswith("local:"):
        return address
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    workers, count = {}, int(address.removeprefix("local:"))
    for number, env in enumerate(share_machine(count)):
        # Dask takes mapped files for memory, and would kill workers for them.
        options = {"nthreads": 1, "memory_limit": None, "env": env, "silence_logs": 50}
        options |= {"host": "127.0.0.1", "resources": {"GPU": env["CUDA_VISIBLE_DEVICES"] != "-1"}}
        workers[number] = {"cls": Nanny, "options": options}
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    # Three deaths end a block's tries; few others wait where it runs, which are blamed too.
    allowed = {"allowed-failures": 2, "worker-saturation": 1.0}
    with dask.config.set({f"distributed.scheduler.{key}": value for key, value in allowed.items()}):
        return SpecCluster(workers, {"cls": Scheduler, "options": options}, silence_logs=50)


def size_blocks(address: str, count: int, most: int) -> int:
    """Return how many pictures make a block, whole batches of 32: each worker gets about eight."""
    workers = len(connect(address).nthreads()) or 1
    return 32 * max(1, min(most // 32, 32, -(-count // (8 * 32 * workers))))


def submit_blocks(address: str, function, blocks: list, *arguments, on_gpu=False) -> dict:
    """Send blocks, names and no pixels, to workers, which call function(block, *arguments).

    Returns futures, each with its block; `on_gpu` prefers workers with a GPU (Dask resource).
    """
    client, ours = connect(address), describe_project()
    offers = client.run(lambda dask_worker: dask_worker.state.total_resources, on_error="ignore")
    have_one = {bool(offered.get("GPU")) for offered in offers.values()}
    options = {"pure": False, "resources": {"GPU": 1} if on_gpu and len(have_one) > 1 else None}
    # As bytes, which the scheduler does not open, and a worker of another version not either.
    tasks = (pickle.dumps((function, block, *arguments)) for block in blocks)
    return {client.submit(work, ours, task, **options): block for task, block in zip(tasks, blocks)}


def work(version: dict, task: bytes) -> tuple:
    """Run on a worker; return its address and what the function returns; an error tells both."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        if version != describe_project():
            raise OSError("it has another version of the project")
        function, *arguments = pickle.loads(task)
        return worker, function(*arguments)
    except Exception as error:
        kind = ClusterError if isinstance(error, OSError) else RuntimeError
        raise kind(f"The worker {worker}: {type(error).__name__}: {error}") from None


def gather_blocks(futures: dict, killers):
    """Yield each block, its worker and result as they finish; cancel the rest where cut short.

    Raises a ClusterError where a worker can't read or write, or the scheduler is gone; else a
    RuntimeError, also of a block that kills workers: its names go to the text file `killers`.
    """
    import distributed as dask

    try:
        for future in dask.as_completed(list(futures)):
            block = futures.pop(future)
            if isinstance(future.exception(), dask.KilledWorker):
                named = record_names(killers, getattr(block, "digests", block))
                raise RuntimeError(f"Workers die, or lack memory, with these pictures: {named}")
            yield block, *future.result()
    except (dask.CancelledError, dask.comm.CommClosedError):
        raise ClusterError("The scheduler is gone: start it, then use --resume.")
    finally:
        for future in futures:
            future.cancel()
