"""Archives: unpacked once, whole, and nowhere but into their folder."""

import hashlib
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

from lib.progress import show_progress
from lib.storage import is_on_drive, lock, require_room

ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.(gz|bz2|xz))?)$", re.IGNORECASE)


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, once, into a folder of scratch.

    From Google Drive it is first copied: many small reads are slow there. An archive that is
    damaged, too large, or would write outside its folder is a ValueError.
    """
    # So the folder's name changes with the archive.
    state = f"{archive} {archive.stat().st_size} {archive.stat().st_mtime_ns}".encode()
    key = hashlib.blake2b(state, digest_size=6).hexdigest()
    folder = scratch / f"{archive.name.split('.')[0]}_{key}"
    # The folder gets its name when all is in it, so after a kill the work is done anew.
    part = folder.with_suffix(".part")
    with lock(folder.with_suffix(".lock")):
        if folder.is_dir():
            return folder
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            copy = part / archive.name
            source = shutil.copyfile(archive, copy) if is_on_drive(archive) else archive
            _extract(source, part / "whole")
            os.replace(part / "whole", folder)
        # Damage shows itself in many ways, a full disk and a missing password in others.
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ValueError(f"{archive} can't be unpacked: {reason}.")
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    text = f"unpacking {archive.name}"
    # tar first: one whose last member is a zip file would pass for that.
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            members = packed.getmembers()
            # tarfile takes a damaged header for the end; beyond the true end are zeros.
            packed.fileobj.seek(packed.offset)
            rest = packed.fileobj.read(1 << 24)
            if any(rest) or len(rest) < tarfile.BLOCKSIZE:
                raise ValueError("its end is missing, or its middle damaged")
            # By chains of such links the filter of older Pythons is led outside.
            up = [member for member in members if member.issym() and ".." in member.linkname]
            if up:
                raise ValueError(f"{up[0].name!r} is a link that leads up, to {up[0].linkname!r}")
            require_room(folder, sum(member.size for member in members), "what it holds")
            packed.extractall(folder, show_progress(members, text, unit=" files"), filter="data")
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            for member in members:
                member.filename = member.filename.replace("\\", "/")  # as some write on Windows
            require_room(folder, sum(member.file_size for member in members), "what it holds")
            packed.extractall(folder, show_progress(members, text, unit=" files"))
    else:
        raise ValueError("it is neither a folder nor a whole .zip or .tar file")
