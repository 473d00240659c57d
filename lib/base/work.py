"""Long work: blocks of it, done by threads of this process or by an executor handed in, and its bar."""

import concurrent.futures
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

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
    blocks: Sequence,
    *shared,
    desc: str = "",
    address: str | None = None,
    threads: int = 1,
) -> Iterator[tuple]:
    """Call function(block, *shared) for each block; yield block and result.

    They come as they are finished. Blocks that were not begun are called off where the loop is cut short.

    Args:
        function: of a module; it keeps what it makes in a store, so that little is sent.
        blocks: lists, or other sequences, of pictures that are to be worked on.
        desc: stands before a bar of the pictures that are done.
        address: of the executor that does it; None for threads of this process.
        threads: how many, then.

    Raises:
        OSError: the executor failed; errors of the function are raised as they are.
    """
    if address:
        pool = executors[0](address)
    else:
        pool = concurrent.futures.ThreadPoolExecutor(threads)
    total = sum(map(len, blocks))
    with pool, show_progress(desc=desc, total=total, unit="picture") as bar:
        futures = {pool.submit(function, block, *shared): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(futures):
                block = futures.pop(future)
                result = future.result()
                bar.update(len(block))
                yield block, result
        finally:
            for future in futures:
                future.cancel()
