"""Archives, here or on the web, unpacked once, whole, and nowhere but into their folder; data of Kaggle."""

import errno
import os
import shutil
import tarfile
import urllib.request
import zipfile
import zlib
from pathlib import Path

import pandas as pd
from tqdm.utils import CallbackIOWrapper

from lib.base.storage import (
    FullDiskError,
    acquire_lock,
    explain_full_disk,
    require_room,
)
from lib.base.work import show_progress
from lib.base.workspace import Workspace, read_table
from lib.data.listing import TWICE

DEMO = Path(__file__).with_name("demo.zip")
TIMEOUT = 60  # seconds without a byte, until a download is given up
UTF_8 = 1 << 11  # the flag of a name in a ZIP that is UTF-8
END = 1 << 24  # bytes behind the last file of a tar that are looked at
# These are no faults of an archive, nor is an error of the system with one of the numbers.
OF_MACHINES = (FullDiskError, ImportError, MemoryError, PermissionError)
NUMBERS = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS)


class DamagedArchiveError(OSError):
    """An archive that is not whole, or holds what can't be unpacked anywhere."""


def unpack(archive: Path, scratch: Path, encoding: str | None = None) -> Path:
    """Unpack a .zip or .tar file, compressed or not, into a folder of scratch, unless it is there, whole.

    Args:
        encoding: of its names, as Python calls it; None takes UTF-8 or, of a ZIP file with other names, cp437.

    Raises:
        DamagedArchiveError: The archive is damaged, or would write outside its folder.
        OSError: The disk has no room, or fails.
        ImportError: This Python can't unpack it safely.
    """
    state = archive.stat()
    place = zlib.crc32(f"{archive}{encoding or ''}".encode())
    # An archive that takes the place of this one has another folder, and no folder is called like a part.
    folder = scratch / f"archive_{place:08x}_{state.st_mtime_ns}_{state.st_size}"
    # It is written last, so what a killed process has left is not whole.
    known = folder.with_suffix(".sizes")
    with acquire_lock(folder.with_suffix(".lock")):
        if known.exists() and known.read_text() == _sum_sizes(folder):
            return folder
        known.unlink(missing_ok=True)
        try:
            # tar first: one whose last member is a zip file would pass for that.
            open_archive = _open_tar if tarfile.is_tarfile(archive) else _open_zip
            packed, members, size = open_archive(archive, encoding)
            with packed, explain_full_disk(folder):
                require_room(scratch, size, f"what {archive} holds")
                packed.extractall(folder, members)
                known.write_text(_sum_sizes(folder))
        except OF_MACHINES:
            raise
        # Damage shows itself in many ways, a link to nothing and a missing password in others.
        except Exception as error:
            if getattr(error, "errno", None) in NUMBERS:
                raise
            raise DamagedArchiveError(
                f"{archive} can't be unpacked: {error}"
            ) from error
        finally:
            if not known.exists():
                shutil.rmtree(folder, ignore_errors=True)
    return folder


def _sum_sizes(folder):
    """Say how many bytes all that lies below a folder has; a link to nowhere is an error."""
    total = sum(map(os.path.getsize, folder.rglob("*")))
    return f"{total} bytes"


def _open_tar(archive, encoding):
    """Open a tar, which has to be whole; list what it holds, and say how far that reaches."""
    if not hasattr(tarfile, "data_filter"):
        raise ImportError(f"{archive} needs Python 3.11.4 or later to be unpacked.")
    packed = tarfile.open(archive, encoding=encoding)
    # It refuses what leads out, through a link, too; and what is unpacked can be read and replaced.
    packed.extraction_filter = tarfile.data_filter
    members = packed.getmembers()
    _check_names(members, "name", tarfile.TarInfo.isdir)
    # tarfile takes a damaged header for the end; beyond the true end are zeros.
    packed.fileobj.seek(packed.offset)
    rest = packed.fileobj.read(END)
    if any(rest) or len(rest) < tarfile.BLOCKSIZE:
        raise ValueError("its end is missing, or its middle damaged")
    return packed, members, packed.offset


def _open_zip(archive, encoding):
    """Open a ZIP; list and sum its files."""
    try:
        packed = zipfile.ZipFile(archive, metadata_encoding=encoding or "utf-8")
    except UnicodeDecodeError:
        packed = zipfile.ZipFile(archive)
        names = [
            each.filename for each in packed.infolist() if not each.flag_bits & UTF_8
        ]
        odd = next(name for name in names if not name.isascii())
        print(
            f"Note: names in {archive} are read as cp437, say {odd!r}. If they are of another encoding, write it "
            'into the paths file: "encoding": "cp932" for Japanese.'
        )
    members = packed.infolist()
    # Windows may divide folders so; in other archives it is a part of a letter of Japanese.
    if not any("/" in member.filename for member in members):
        for member in members:
            member.filename = member.filename.replace("\\", "/")
    _check_names(members, "filename", zipfile.ZipInfo.is_dir)
    return packed, members, sum(member.file_size for member in members)


def _check_names(members, attribute, is_folder):
    """Refuse names that lead up; a later file of one name gets an ending by which 01 lists it."""
    taken = set()
    for member in members:
        name = getattr(member, attribute)
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r} may lead out of its folder")
        name = os.path.normpath(name)
        while name in taken and not is_folder(member):
            name += TWICE
            setattr(member, attribute, name)
        taken.add(name)


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


def fetch_archive(address: str, scratch: Path, encoding: str | None = None) -> Path:
    """Download an archive into scratch and unpack it there, each once and whole; return the folder.

    An earlier download is taken without asking the network; one that is damaged begins anew.

    Args:
        encoding: as of `unpack`.

    Raises:
        OSError: There is no network, no room, or no whole archive at that address.
    """
    archive = scratch / f"download_{zlib.crc32(address.encode()):08x}"
    with acquire_lock(archive.with_suffix(".lock")):
        if not archive.exists():
            _download(address, archive)
        try:
            return unpack(archive, scratch, encoding)
        except DamagedArchiveError as error:
            archive.unlink()
            raise OSError(
                f"{address} gives no whole archive ({error}). Write the address of the .zip or .tar file itself, "
                "not of a page about it, and run again, which begins anew."
            ) from error


def _download(address, archive):
    """Write what an address gives to a file, which gets its name at the end; `unpack` tells if it is whole."""
    part = archive.with_suffix(".part")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
            total = int(response.headers.get("Content-Length", 0))
            require_room(archive.parent, total, "the download")
            bar = show_progress(desc="download", total=total, unit="B", unit_scale=True)
            with bar, part.open("wb") as file:
                shutil.copyfileobj(CallbackIOWrapper(bar.update, response), file)
    except FullDiskError:
        raise
    # A network fails in many ways, an address that is none in others.
    except Exception as error:
        raise OSError(
            f"{address} can't be downloaded: {error}. Without internet choose the demo, or a folder."
        ) from error
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
