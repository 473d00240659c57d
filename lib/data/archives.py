"""Archives, unpacked once, whole, and nowhere but into their folder."""

import hashlib
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from lib.base.storage import acquire_lock, atomic_write, explain_error, require_room

# Bytes at the end of an archive. A ZIP has the checksums of all its files there, a compressed tar that
# of the whole; 16 MiB are the table of some 150,000 files.
END = 1 << 24


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, into a folder of scratch, unless it is there, whole.

    Raises:
        ValueError: The archive is damaged, too large, or would write outside its folder.
    """
    folder = scratch / f"{archive.name.split('.')[0]}_{_identify(archive)}"
    # It is written last, so what a killed process has left is not whole.
    sizes = folder.with_suffix(".json")
    with acquire_lock(folder.with_suffix(".lock")):
        if not _is_whole(folder, sizes):
            try:
                unpacked = _extract(archive, folder)
            # Damage shows itself in many ways, a full disk and a missing password in others.
            except Exception as error:
                shutil.rmtree(folder, ignore_errors=True)
                reason = explain_error(error)
                raise ValueError(f"{archive} can't be unpacked: {reason}") from error
            with atomic_write(sizes) as part:
                part.write_text(json.dumps(unpacked))
    return folder


def _identify(archive):
    """Hash the size, time and end of an archive, so that another one has another folder."""
    state = archive.stat()
    with archive.open("rb") as file:
        file.seek(max(state.st_size - END, 0))
        content = file.read()
    content += f"{state.st_size} {state.st_mtime_ns}".encode()
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _is_whole(folder, sizes):
    """Tell whether all files that were unpacked are there, in their sizes: 0.3 s for 100,000 of them."""
    try:
        unpacked = json.loads(sizes.read_text())
        found = {name: os.path.getsize(f"{folder}/{name}") for name in unpacked}
        return found == unpacked
    except (OSError, ValueError):
        return False


def _extract(archive, folder):
    """Write the files of an archive to a folder; return their sizes in bytes by their names."""
    sizes = {}
    # tar first: one whose last member is a zip file would pass for that.
    read = _read_tar if tarfile.is_tarfile(archive) else _read_zip
    for name, content in read(archive, folder):
        path = os.path.normpath(folder / name.replace("\\", "/"))
        inside = Path(path).relative_to(folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with content, open(path, "wb") as file:
            shutil.copyfileobj(content, file)
            sizes[str(inside)] = file.tell()
    return sizes


def _read_tar(archive, folder):
    """Yield the name and the open content of each file in a tar; a link to one of them is one, too."""
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
        # tarfile takes a damaged header for the end; beyond the true end are zeros.
        packed.fileobj.seek(packed.offset)
        rest = packed.fileobj.read(END)
        if any(rest) or len(rest) < tarfile.BLOCKSIZE:
            raise ValueError("its end is missing, or its middle damaged")
        require_room(folder, sum(member.size for member in members), "what it holds")
        for member in members:
            content = packed.extractfile(member)
            if content:
                yield member.name, content
            elif not member.isdir():
                raise ValueError(f"{member.name!r} is neither file nor folder")


def _read_zip(archive, folder):
    """Yield the name and the open content of each file in a ZIP."""
    try:
        packed = zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        # As its flag says; programs of Windows write so.
        packed = zipfile.ZipFile(archive)
        print(f"Note: names in {archive} aren't UTF-8: they are read as cp437.")
    with packed:
        members = packed.infolist()
        require_room(
            folder, sum(member.file_size for member in members), "what it holds"
        )
        for member in members:
            if not member.filename.endswith(("/", "\\")):
                yield member.filename, packed.open(member)
