"""The workers of a Dask cluster, as an executor that work is given to."""

import concurrent.futures
import logging
import pickle
from collections.abc import Callable

from lib.base.machine import describe_project

PATIENCE = 30  # seconds to wait for a scheduler and its first worker
clients = {}  # the connections of this process, by address


class Workers(concurrent.futures.Executor):
    """The workers of the cluster at an address, see `connect`.

    All need the same folders.
    """

    def __init__(self, address: str):
        self.address = address
        self.executor = connect(address).get_executor(pure=False)

    def submit(self, function: Callable, *arguments) -> concurrent.futures.Future:
        """Submit a task to a worker, which refuses it where this project is another there."""
        # As bytes, which the scheduler does not open, and a worker of another version not either.
        task = pickle.dumps((function, arguments))
        return self.executor.submit(_work, describe_project(), task)

    def __exit__(self, kind, error, trace):
        from distributed import comm

        lost = (concurrent.futures.CancelledError, comm.CommClosedError)
        if isinstance(error, lost):
            # It would look for the scheduler for good, and draw from Python's random numbers.
            clients.pop(self.address).close()
            raise OSError("The scheduler is gone: start it, then run the same again.")


def _work(version, task):
    """Run on a worker; return what the function of a task returns."""
    own = describe_project()
    if version != own:
        raise OSError(f"A worker has another version: {own}, and not {version}")
    function, arguments = pickle.loads(task)
    return function(*arguments)


def connect(address: str):
    """Return the `distributed.Client` of a cluster; the workers of `local:N` are started.

    Raises:
        OSError: Dask, a scheduler, a worker, or this version of the project there is missing, or
            the address is none.
    """
    if address in clients and clients[address].status == "running":
        return clients[address]
    scheduler = address
    # What matters is raised.
    logging.getLogger("distributed").handlers = [logging.NullHandler()]
    try:
        from distributed import Client, LocalCluster

        if address.startswith("local:"):
            scheduler = LocalCluster(
                int(address.removeprefix("local:")),
                threads_per_worker=1,
                # Dask takes mapped files for memory, and would kill workers for them.
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
        client = Client(scheduler, timeout=PATIENCE)
        client.wait_for_workers(1, PATIENCE)
        client.run_on_scheduler(describe_project)
    except (OSError, ImportError, ValueError) as error:
        raise OSError(
            f"{address} lacks a scheduler, a worker, or this project: {error}. An address is "
            '"tcp://host:8786", or "local:2" for two workers on this machine. Dask is installed by: '
            'pip install "dask[distributed]>=2025.1"'
        )
    clients[address] = client
    return client
