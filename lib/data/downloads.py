"""Data on the web, downloaded once: an archive by its address, data of Kaggle by their name."""

import shutil
import urllib.request
import zlib
from pathlib import Path

from tqdm.utils import CallbackIOWrapper

from lib.base.storage import acquire_lock, require_room
from lib.base.work import show_progress
from lib.data.archives import unpack

TIMEOUT = 60  # seconds without a byte, until a download is given up


def fetch_archive(address: str, scratch: Path) -> Path:
    """Download an archive into scratch and unpack it there, each once and whole; return the folder.

    An earlier download is taken without asking the network; after a failure it begins anew.

    Raises:
        OSError: There is no network, room, or whole archive at that address.
    """
    archive = scratch / f"download_{zlib.crc32(address.encode()):08x}"
    try:
        with acquire_lock(archive.with_suffix(".lock")):
            if not archive.exists():
                _download(address, archive)
        return unpack(archive, scratch)
    except Exception as error:
        archive.unlink(missing_ok=True)
        raise OSError(
            f"{address} gives no archive ({error}). Without internet choose the demo, or a folder; else write the "
            "address of the .zip or .tar file itself, not of a page about it, and run again, which begins anew."
        ) from error


def _download(address, archive):
    """Write what an address gives to a file, which gets its name at the end; `unpack` tells if it is whole."""
    part = archive.with_suffix(".part")
    with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
        total = int(response.headers.get("Content-Length", 0))
        require_room(archive.parent, total, "the download")
        bar = show_progress(desc="download", total=total, unit="B", unit_scale=True)
        with bar, part.open("wb") as file:
            shutil.copyfileobj(CallbackIOWrapper(bar.update, response), file)
    part.rename(archive)


def fetch_from_kaggle(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle into kagglehub's cache; return the folder.

    Raises:
        OSError: Kaggle gives no data; the error says its answer, and what to do.
    """
    try:
        import kagglehub

        kind, handle = name.split("s/", 1)
        return Path(getattr(kagglehub, f"{kind}_download")(handle))
    except Exception as error:
        raise OSError(
            f"kaggle:{name} gives no data: {error}. Write kaggle:competitions/NAME or "
            "kaggle:datasets/OWNER/NAME, install kagglehub (pip install kagglehub), join there and accept "
            "the rules, and store an API token of your settings there as KAGGLE_API_TOKEN in Colab's "
            "secrets or the environment."
        ) from error
