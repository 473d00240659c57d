"""How files are written: whole or not at all, with room, on Google Drive."""

import contextlib
import errno
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock
import numpy as np

UNFINISHED = "unfinished_????????????????.*"
DRIVE = Path("/content/drive/MyDrive")
# A disk, a quota or a file that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


class FullDiskError(OSError):
    """A disk, or a quota, has no room."""


@contextlib.contextmanager
def atomic_write(path: Path):
    """Yield a temporary name beside `path` and rename it to `path` once the block has succeeded.

    Readers of `path` see the old file or the new one, even after a power cut. When it has reached
    Google Drive only `flush_drive` can tell.
    """
    part = path.with_name(f"unfinished_{secrets.token_hex(8)}{path.suffix}")
    with explain_full_disk(path):
        try:
            yield part
            _wait_for_disk(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _wait_for_disk(path):
    """Return once a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def append(path: Path, start: int, content: np.ndarray) -> None:
    """Write an array behind the first `start` bytes of a file, over what a killed process left there.

    Writing through a map would end this process where the disk is full.
    """
    with explain_full_disk(path):
        with path.open("ab") as file:
            file.truncate(start)
            file.write(content)
        _wait_for_disk(path)


def acquire_lock(path: Path, timeout: float = 600) -> contextlib.AbstractContextManager:
    """Keep others out as long as the block of a `with` lasts, or this process.

    Not every mounted drive has locks: there nobody is kept out, and a note says so.

    Args:
        path: of an empty file, which is made, with its folder, and stays.
        timeout: seconds to wait for others.

    Raises:
        OSError: others held the lock all the time, or the file can't be written or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The system frees it when this process dies; a mere file would outlive that.
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        return lock.acquire(timeout, poll_interval=0.01)
    except filelock.Timeout:
        raise OSError(f"{path.parent} is in use by another run: wait for its end.")
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    _note_missing_locks(path.parent)
    return contextlib.nullcontext()


@functools.cache
def _note_missing_locks(folder):
    """Say it once for each folder."""
    print(f"Note: {folder} is on a drive without locks: use it for one run at a time.")


def is_on_drive(path: Path) -> bool:
    """Tell whether a path lies on Google Drive."""
    return path.is_relative_to(DRIVE.parent)


@contextlib.contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Say what to do where the disk is full; raise all other errors as they are.

    The system names no file where writing fails, nor where a connection does.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise FullDiskError(
            f"{path} could not be written: {error}: make room, or name another folder, and run again."
        ) from error


def require_room(folder: Path, needed: int, purpose: str) -> None:
    """Make a folder and check that it can be written and has room, before long work.

    Args:
        needed: bytes that have to be free.
        purpose: what needs them, for the error.

    Raises:
        OSError: the folder can't be written, or has less room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        lack = needed - shutil.disk_usage(folder).free
    if lack > 0:
        raise FullDiskError(
            f"{folder} lacks {lack / 1e6:,.1f} MB for {purpose}: make room there, or name another folder."
        )


def open_drive() -> None:
    """Make sure that Google Drive is there; ask a person who works in Colab to mount it.

    Raises:
        FileNotFoundError: it is not mounted, or its mount has died.
    """
    if os.path.exists(DRIVE):
        return
    try:
        from google.colab import drive

        drive.mount(str(DRIVE.parent))
    # There is no Colab, or it has one of several errors for a person who refuses.
    except Exception as error:
        raise FileNotFoundError(
            f"Google Drive is not mounted ({error}). What needs none: upload, an https:// address or flowers "
            "as PICTURES, here as RESULTS. In Colab, mount it again: run `from google.colab import drive; "
            "drive.mount('/content/drive', force_remount=True)` in a cell, then run all cells again: what is "
            "finished is not done twice."
        ) from error


def flush_drive(folder: Path) -> None:
    """Wait until all that was written to a folder has reached Google Drive, and unmount it.

    Colab may take its machine back as soon as a run is over, with what was not yet sent.
    """
    if not is_on_drive(folder):
        return
    from google.colab import drive

    drive.flush_and_unmount()
    print("Everything is on Google Drive, which is unmounted now.")
