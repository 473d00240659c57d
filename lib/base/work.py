"""Long work: blocks of it, done by threads of this process or by an executor handed in, and its bar."""

import concurrent.futures
import sys
from collections.abc import Callable, Iterable, Iterator

from tqdm import tqdm

# Classes of executors that take an address: `lib` hands in the one of its leaf.
executors = []


def show_progress(
    steps: Iterable = (), desc: str = "", total: int | None = None, **options
) -> tqdm:
    """Return a bar of tqdm over some steps, on stdout: in a notebook stderr is red.

    One step, or none, has no bar.
    """
    count = len(steps) if total is None else total
    return tqdm(steps, desc, count, file=sys.stdout, disable=count < 2, **options)


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
        address: of the executor that does it; None for threads of this process.
        threads: how many, then.

    Raises:
        OSError: the executor failed; errors of the function are raised as they are.
    """
    if address:
        pool = executors[0](address)
    else:
        pool = concurrent.futures.ThreadPoolExecutor(threads)
    with pool:
        futures = {pool.submit(function, block, *shared): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(list(futures)):
                block = futures.pop(future)
                yield block, future.result()
        finally:
            for future in futures:
                future.cancel()
