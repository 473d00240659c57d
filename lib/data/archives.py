"""Archives, unpacked once, whole, and nowhere but into their folder; data of Kaggle, downloaded once."""

import hashlib
import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lib.base.storage import acquire_lock, atomic_write, require_room

ENDINGS = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz")
# Bytes at the end of an archive. A ZIP has the checksums of all its files there, a compressed tar that
# of the whole; 16 MiB are the table of some 150,000 files.
END = 1 << 24


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, into a folder of scratch, unless it is there, whole.

    Raises:
        ValueError: The archive is damaged, too large, would write outside its folder, or holds two
            files of one name.
    """
    folder = scratch / f"{archive.name.split('.')[0]}_{_identify(archive)}"
    # It is written last, so what a killed process has left is not whole.
    sizes = folder.with_suffix(".json")
    with acquire_lock(folder.with_suffix(".lock")):
        if not _is_whole(folder, sizes):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                unpacked = _extract(archive, folder)
            # Damage shows itself in many ways, a full disk and a missing password in others.
            except Exception as error:
                shutil.rmtree(folder, ignore_errors=True)
                reason = str(error).rstrip(".") or type(error).__name__
                raise ValueError(f"{archive} can't be unpacked: {reason}.")
            with atomic_write(sizes) as part:
                part.write_text(json.dumps(unpacked))
    return folder


def _identify(archive):
    """Hash the size, time and end of an archive, so that another one has another folder."""
    state = archive.stat()
    with archive.open("rb") as file:
        file.seek(max(state.st_size - END, 0))
        digest = hashlib.blake2b(file.read(), digest_size=6)
    digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _is_whole(folder, sizes):
    """Tell whether all files that were unpacked are there, in their sizes: 0.2 s for 100,000 of them."""
    try:
        for name, size in json.loads(sizes.read_text()).items():
            if os.path.getsize(f"{folder}/{name}") != size:
                return False
    except FileNotFoundError:
        return False
    return True


def _extract(archive, folder):
    """Write the files of an archive to a new folder; return their sizes in bytes by their names."""
    sizes = {}
    # tar first: one whose last member is a zip file would pass for that.
    read = _read_tar if tarfile.is_tarfile(archive) else _read_zip
    for name, content in read(archive, folder):
        path = name.replace("\\", "/")
        words = [word for word in path.split("/") if word not in ("", ".")]
        if ".." in words:
            raise ValueError(f"{name!r} leads out of it")
        target = folder.joinpath(*words)
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
            sizes["/".join(words)] = file.tell()
    return sizes


def _read_tar(archive, folder) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and open content of all that a tar holds; names of folders end in a slash.

    A link to a file that it holds is that file once more; other links are an error.
    """
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
            if member.isdir():
                yield f"{member.name}/", content
            elif content:
                yield member.name, content
            else:
                raise ValueError(f"{member.name!r} is neither file nor folder")


def _read_zip(archive, folder) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and open content of all that a ZIP holds; names of folders end in a slash."""
    with _open_zip(archive) as packed:
        members = packed.infolist()
        require_room(
            folder, sum(member.file_size for member in members), "what it holds"
        )
        for member in members:
            yield member.filename, packed.open(member)


def _open_zip(archive):
    """Open a ZIP; where names don't say how they are written, that is UTF-8, or else cp437."""
    try:
        return zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        print(
            f"Note: names in {archive} aren't in UTF-8 and are read as those of DOS (cp437): if letters "
            "are wrong, pack the folder with another program."
        )
        return zipfile.ZipFile(archive)


def download(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle, and return its folder.

    What follows the name is a folder in the data.

    Raises:
        ValueError: The name has another form.
        ConnectionError: Kaggle gives no data; the error says its answer, and what to do.
    """
    form = re.fullmatch(
        "(competitions/[^/]+|datasets/[^/]+/[^/]+)/?(.*)", name.strip("/")
    )
    if not form:
        raise ValueError(
            f"{name}: not kaggle:competitions/NAME or kaggle:datasets/OWNER/NAME."
        )
    page, inside = form.groups()
    kind, handle = page.split("s/", 1)
    try:
        import kagglehub

        folder = getattr(kagglehub, f"{kind}_download")(handle)
    except Exception as error:
        raise ConnectionError(
            f"https://www.kaggle.com/{page} gives no data: {error}. It needs kagglehub (pip install "
            "kagglehub). Join there and accept the rules, store an API token of your settings there as "
            "KAGGLE_API_TOKEN in Colab's secrets or the environment, and run this again."
        )
    return Path(folder, inside)
