"""Archives: unpacked once, whole, and nowhere but into their folder."""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lib.storage import is_on_drive, require_room
from lib.work import show_progress

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
    if folder.is_dir():
        return folder
    scratch.mkdir(parents=True, exist_ok=True)
    # The folder gets its name when all is in it; where another process was first, its folder stays.
    with tempfile.TemporaryDirectory(dir=scratch, prefix=f"{folder.name}.part") as part:
        try:
            copy = Path(part, archive.name)
            source = shutil.copyfile(archive, copy) if is_on_drive(archive) else archive
            _extract(source, Path(part, "whole"))
            if not folder.is_dir():
                os.replace(Path(part, "whole"), folder)
        # Damage shows itself in many ways, a full disk and a missing password in others.
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ValueError(f"{archive} can't be unpacked: {reason}.")
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
        # Names that don't say how they are written are UTF-8, or an error that says they are not.
        with zipfile.ZipFile(archive, metadata_encoding="utf-8") as packed:
            members = packed.infolist()
            require_room(folder, sum(member.file_size for member in members), "what it holds")
            packed.extractall(folder, show_progress(members, text, unit=" files"))
    else:
        raise ValueError("it is neither a folder nor a whole .zip or .tar file")
