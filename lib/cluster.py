"""Past one machine: blocks of work on the workers of a Dask cluster, which is optional."""

import logging
import math
import os

from lib.machine import count_cores, describe_project, query_gpus
from lib.storage import whole_file

PATIENCE = 60  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class ClusterError(OSError):
    """The cluster is at fault, not what it was asked."""


def connect(address: str):
    """Return the `distributed.Client` of a cluster; of `local:N` the workers are started.

    Raises a ClusterError where there is no scheduler or worker, or one has another version of lib.
    """
    if address in clients and clients[address].status == "running":
        return clients[address]
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('cluster needs Dask: pip install "dask[distributed]>=2025.1"') from error
    logging.getLogger("distributed").handlers = [logging.NullHandler()]  # we raise what matters
    try:
        client = Client(_find_scheduler(address), timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
    except OSError as error:
        raise ClusterError(f"The cluster {address} has no scheduler, or no worker: {error}")
    ours, theirs = describe_project(), client.run(describe_project, on_error="return")
    # Whoever dies meanwhile answers an OSError.
    if others := {k: v for k, v in theirs.items() if v != ours and not isinstance(v, OSError)}:
        raise ClusterError(f"Workers need this project and its versions, {ours}; not so: {others}")
    print(f"Dask: {len(client.nthreads())} workers, dashboard {client.dashboard_link}", flush=True)
    clients[address] = client
    return client


def _find_scheduler(address: str):
    if not address.startswith("local:"):
        return address
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    count = int(address.removeprefix("local:"))
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # to share a GPU with this process
    gpus, threads, workers = len(query_gpus("name")), max(1, count_cores() // count), {}
    for number in range(count):
        gpu = number if number < gpus else -1
        env = {"TF_NUM_INTRAOP_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpu}
        # Dask takes mapped files for memory, and would kill workers for them.
        options = {"nthreads": 1, "memory_limit": None, "env": env, "silence_logs": 50}
        workers[number] = {"cls": Nanny, "options": options | {"resources": {"GPU": gpu >= 0}}}
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    # Three deaths end a block's tries; no other waits where it runs, which would be blamed too.
    allowed = {"allowed-failures": 2, "worker-saturation": 1.0}
    with dask.config.set({f"distributed.scheduler.{key}": value for key, value in allowed.items()}):
        return SpecCluster(workers, {"cls": Scheduler, "options": options}, silence_logs=50)


def size_blocks(address: str, count: int, most: int) -> int:
    """Return how many pictures make a block, whole batches of 32: each worker gets about eight."""
    return min(most, 32 * math.ceil(count / 256 / len(connect(address).nthreads())))


def submit_blocks(address: str, function, blocks: list, *arguments, on_gpu=False) -> dict:
    """Send blocks, names and no pixels, to workers, which call function(block, *arguments).

    Returns the futures, each with its block. With `on_gpu` each GPU (Dask resource) gets one.
    """
    client, told = connect(address), (function, describe_project())
    offers = client.run(lambda dask_worker: dask_worker.state.total_resources, on_error="ignore")
    on_gpu = on_gpu and any(offered.get("GPU") for offered in offers.values())
    options = {"pure": False, "resources": {"GPU": 1} if on_gpu else None}
    return {client.submit(call, *told, block, *arguments, **options): block for block in blocks}


def call(function, version: dict, block, *arguments):
    """Call a function on a worker; its address comes with the result, or stands in the error."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        if version != describe_project():
            raise OSError("it has another version of the project")
        return worker, function(block, *arguments)
    except Exception as error:
        kind = ClusterError if isinstance(error, OSError) else RuntimeError
        raise kind(f"The worker {worker}: {type(error).__name__}: {error}") from None


def gather_blocks(futures: dict, killers):
    """Yield each block, its worker and result as they finish; cancel the rest where cut short.

    Raises a ClusterError where a worker can't read or write, or the scheduler is gone; else a
    RuntimeError, also of a block that kills workers: its names go to the text file `killers`.
    """
    import distributed

    try:
        for future in distributed.as_completed(list(futures)):
            block = futures.pop(future)
            if isinstance(future.exception(), distributed.KilledWorker):
                names = [*getattr(block, "digests", block)]
                with whole_file(killers) as part:
                    part.write_text("\n".join(names))
                told = f"{', '.join(names[:3])} …, {len(names)} in all, named in {killers}"
                raise RuntimeError(f"Workers die, or lack memory, with these pictures: {told}")
            yield block, *future.result()
    except (distributed.CancelledError, distributed.comm.CommClosedError):
        raise ClusterError("The scheduler is gone: start it, then use --resume.")
    finally:
        for future in futures:
            future.cancel()
