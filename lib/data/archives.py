"""Archives, here or on the web, unpacked once, whole, and nowhere but into their folder; data of Kaggle."""

import os
import shutil
import tarfile
import urllib.request
import zipfile
import zlib
from pathlib import Path

import pandas as pd
from tqdm.utils import CallbackIOWrapper

from lib.base.storage import acquire_lock, require_room
from lib.base.work import show_progress
from lib.base.workspace import Workspace, read_table

DEMO = Path(__file__).with_name("demo.zip")
TIMEOUT = 60  # seconds without a byte, until a download is given up
END = 1 << 24  # bytes behind the last file of a tar that are looked at


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, into a folder of scratch, unless it is there, whole.

    Raises:
        OSError: The archive is damaged, too large, or would write outside its folder.
    """
    state = archive.stat()
    place = zlib.crc32(str(archive).encode())
    # An archive that takes the place of this one has another folder, and no folder is called like a part.
    folder = scratch / f"archive_{place:08x}_{state.st_mtime_ns}_{state.st_size}"
    # It is written last, so what a killed process has left is not whole.
    known = folder.with_suffix(".sizes")
    with acquire_lock(folder.with_suffix(".lock")):
        if known.exists() and known.read_text() == _sum_sizes(folder):
            return folder
        try:
            # tar first: one whose last member is a zip file would pass for that.
            open_archive = _open_tar if tarfile.is_tarfile(archive) else _open_zip
            packed, members, size = open_archive(archive)
            with packed:
                require_room(folder, size, "what it holds")
                packed.extractall(folder, members)
            known.write_text(_sum_sizes(folder))
        # Damage shows itself in many ways, a link to nothing, a full disk and a missing password in others.
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise OSError(f"{archive} can't be unpacked: {error}") from error
    return folder


def _sum_sizes(folder):
    """Say how many bytes all that lies below a folder has; a link to nowhere is an error."""
    total = sum(map(os.path.getsize, folder.rglob("*")))
    return f"{total} bytes"


def _open_tar(archive):
    """Open a tar, which has to be whole; list what it holds, and say how far that reaches."""
    packed = tarfile.open(archive)
    # It refuses what leads out, through a link, too; and what is unpacked can be read and replaced.
    packed.extraction_filter = tarfile.data_filter
    members = packed.getmembers()
    # tarfile takes a damaged header for the end; beyond the true end are zeros.
    packed.fileobj.seek(packed.offset)
    rest = packed.fileobj.read(END)
    if any(rest) or len(rest) < tarfile.BLOCKSIZE:
        raise ValueError("its end is missing, or its middle damaged")
    return packed, members, packed.offset


def _open_zip(archive):
    """Open a ZIP whose names are UTF-8 or, as programs of Windows write them, cp437; list and sum its files."""
    try:
        packed = zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        packed = zipfile.ZipFile(archive)
    members = packed.infolist()
    for member in members:
        # Windows divides folders so.
        member.filename = member.filename.replace("\\", "/")
        # Python would write it to where another file may belong.
        if os.path.normpath(member.filename).startswith(("/", "../")):
            raise ValueError(f"{member.filename!r} leads out of its folder")
    return packed, members, sum(member.file_size for member in members)


def unpack_demo(folder: Path) -> None:
    """Unpack the demo set into a folder, whole or not at all, unless it is there.

    The folder holds train/<Class>/, test/ and its test_labels.csv (header file,label), planted.csv
    (header file,fault,truth), scenes/ and its scenes.csv (header file,labels).
    """
    with acquire_lock(folder.with_suffix(".lock")):
        if not folder.exists():
            # What a killed process has left of it is written over.
            part = folder.with_suffix(".part")
            shutil.unpack_archive(DEMO, part)
            part.rename(folder)


def list_planted(ws: Workspace) -> pd.DataFrame:
    """Read what is planted in the demo: file, fault, truth (the class drawn, "" for none)."""
    if not ws.is_demo:
        return pd.DataFrame(columns=["file", "fault", "truth"], dtype=str)
    return read_table(ws.train.parent / "planted.csv")


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
