"""Archives, unpacked once, whole, and nowhere but into their folder; the demo's pictures are one."""

import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

import pandas as pd

from lib.base.storage import acquire_lock, require_room
from lib.base.workspace import Workspace, read_table

DEMO = Path(__file__).with_name("demo.zip")

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
    """Open a tar, which has to be whole; list and sum what it holds."""
    packed = tarfile.open(archive)
    # It refuses what leads out, through a link, too; and what is unpacked can be read and replaced.
    packed.extraction_filter = tarfile.data_filter
    members = packed.getmembers()
    # tarfile takes a damaged header for the end; beyond the true end are zeros.
    packed.fileobj.seek(packed.offset)
    rest = packed.fileobj.read(END)
    if any(rest) or len(rest) < tarfile.BLOCKSIZE:
        raise ValueError("its end is missing, or its middle damaged")
    return packed, members, sum(member.size for member in members)


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
