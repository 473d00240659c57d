"""How files are written: whole or not at all, with room, on Google Drive."""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path

DRIVE = Path("/content/drive")


@contextlib.contextmanager
def atomic_write(path: Path):
    """Yield a temporary name beside `path` and rename it to `path` once the block has succeeded.

    Whoever reads `path` sees the old file or the new one, even after a power cut. What goes to Google
    Drive, which is slow at many small writes, is written on the local disk and copied whole.
    """
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    with explain_failed_writing(path):
        try:
            if is_on_drive(path):
                with tempfile.TemporaryDirectory() as local:
                    yield Path(local, part.name)
                    # When it has reached Drive only `flush_drive` can tell.
                    shutil.copyfile(Path(local, part.name), part)
            else:
                yield part
                with part.open("rb") as file:
                    try:
                        os.fsync(file.fileno())
                    except OSError as error:
                        if error.errno not in (
                            errno.EINVAL,
                            errno.ENOSYS,
                            errno.ENOTSUP,
                        ):
                            raise  # Not that this file system knows no such thing.
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def is_on_drive(path: Path) -> bool:
    """Tell whether a path lies on the mounted Google Drive."""
    return DRIVE in path.parents


@contextlib.contextmanager
def explain_failed_writing(path: Path):
    """Add the file's name, and the room that is left, to an OSError of the block."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(path.parent).free / 1e6
        raise OSError(
            f"{path} could not be written: {error}. {free:,.1f} MB are free there. What was written "
            "before is whole: make room, or choose another folder, and run again."
        ) from error


def require_room(folder: Path, needed: int, purpose: str) -> None:
    """Make a folder; an OSError where it can't be written, or has less than `needed` bytes free.

    `purpose` says what needs them. To be called before long work.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OSError(
            f"{folder} can't be written ({error}): choose another folder."
        ) from error
    if free < needed:
        raise OSError(
            f"{folder} has {free / 1e6:,.1f} MB free, and {purpose} will need {needed / 1e6:,.1f} MB: "
            "make room there, or choose another folder."
        )


def mount_drive() -> None:
    """Ask a person who works in Colab to mount Google Drive; do nothing elsewhere."""
    if "google.colab" in sys.modules and not (DRIVE / "MyDrive").exists():
        from google.colab import drive

        try:
            drive.mount(str(DRIVE))
        except Exception as error:  # Colab has several for a person who refuses.
            print(
                f"Google Drive is not mounted ({error}): the demo, on this machine alone."
            )


def flush_drive(ws) -> None:
    """Wait until all results have reached Google Drive, and unmount it.

    Colab may take its machine back as soon as a run is over, with what was not yet sent.
    """
    if not is_on_drive(ws.results):
        return
    try:
        from google.colab import drive

        drive.flush_and_unmount()
        print("Everything is on Google Drive, which is unmounted now.")
    except Exception as error:
        print(
            f"Google Drive could not be flushed ({error}): leave this session open a while."
        )
