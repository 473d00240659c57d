"""Archives, unpacked once, whole, and nowhere but into their folder; data of Kaggle, downloaded once."""

import hashlib
import os
import re
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lib.base.storage import require_room

ENDINGS = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz")


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, once, into a folder of scratch.

    Raises:
        ValueError: The archive is damaged, too large, would write outside its folder, or holds two
            files of one name.
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
        whole = Path(part, "whole")
        try:
            # tar first: one whose last member is a zip file would pass for that.
            extract = _extract_tar if tarfile.is_tarfile(archive) else _extract_zip
            extract(archive, whole)
            if not folder.is_dir():
                os.replace(whole, folder)
        # Damage shows itself in many ways, a full disk and a missing password in others.
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ValueError(f"{archive} can't be unpacked: {reason}.")
    return folder


def _extract_tar(archive, folder):
    with tarfile.open(archive) as packed:
        packed.extraction_filter = tarfile.data_filter
        members = packed.getmembers()
        _check_tar(packed, members)
        _check_files(folder, [(m.name, m.size) for m in members if not m.isdir()])
        packed.extractall(folder)


def _check_tar(packed, members):
    # tarfile takes a damaged header for the end; beyond the true end are zeros.
    packed.fileobj.seek(packed.offset)
    rest = packed.fileobj.read(1 << 24)
    if any(rest) or len(rest) < tarfile.BLOCKSIZE:
        raise ValueError("its end is missing, or its middle damaged")
    # By chains of such links the filter of older Pythons is led outside.
    for member in members:
        if member.issym() and ".." in member.linkname:
            raise ValueError(f"{member.name!r} is a link that leads up")


def _extract_zip(archive, folder):
    # Names that don't say how they are written are UTF-8, or an error that says they are not.
    with zipfile.ZipFile(archive, metadata_encoding="utf-8") as packed:
        members = packed.infolist()
        files = [(m.filename, m.file_size) for m in members if not m.is_dir()]
        _check_files(folder, files)
        packed.extractall(folder)


def _check_files(folder, files):
    """Refuse files, of name and bytes, without room, or two of one path: the later would replace the other."""
    seen = set()
    needed = 0
    for name, size in files:
        needed += size
        # What zipfile leaves out of a name.
        words = [w for w in name.split("/") if w not in ("", ".", "..")]
        path = "/".join(words)
        if path in seen:
            raise ValueError(f"two of its files are called {path!r}")
        seen.add(path)
    require_room(folder, needed, "what it holds")


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
