"""Archives, unpacked once, whole, and nowhere but into their folder; data of Kaggle, downloaded once."""

import hashlib
import os
import re
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lib.storage import require_room
from lib.work import show_progress


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, once, into a folder of scratch.

    An archive that is damaged, too large, or would write outside its folder is a ValueError.
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
            _extract(archive, Path(part, "whole"))
            if not folder.is_dir():
                os.replace(Path(part, "whole"), folder)
        # Damage shows itself in many ways, a full disk and a missing password in others.
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ValueError(f"{archive} can't be unpacked: {reason}.")
    return folder


def _extract(archive: Path, folder: Path) -> None:
    # tar first: one whose last member is a zip file would pass for that.
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            members, packed.extraction_filter = packed.getmembers(), tarfile.data_filter
            _check_tar(packed, members)
            _extract_members(packed, members, sum(one.size for one in members), folder)
    else:
        # Names that don't say how they are written are UTF-8, or an error that says they are not.
        with zipfile.ZipFile(archive, metadata_encoding="utf-8") as packed:
            members = packed.infolist()
            _extract_members(
                packed, members, sum(one.file_size for one in members), folder
            )


def _check_tar(packed: tarfile.TarFile, members: list) -> None:
    # tarfile takes a damaged header for the end; beyond the true end are zeros.
    packed.fileobj.seek(packed.offset)
    rest = packed.fileobj.read(1 << 24)
    if any(rest) or len(rest) < tarfile.BLOCKSIZE:
        raise ValueError("its end is missing, or its middle damaged")
    # By chains of such links the filter of older Pythons is led outside.
    for member in members:
        if member.issym() and ".." in member.linkname:
            raise ValueError(f"{member.name!r} is a link that leads up")


def _extract_members(packed, members: list, size: int, folder: Path) -> None:
    require_room(folder, size, "what it holds")
    packed.extractall(folder, show_progress(members, "unpacking", unit=" files"))


def download(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle, and return its place.

    What follows the name is a folder in the data. A ValueError names a wrong form or a missing
    folder; a ConnectionError says what Kaggle answers, and what to do.
    """
    form = re.fullmatch(
        "(competitions/[^/]+|datasets/[^/]+/[^/]+)/?(.*)", name.strip("/")
    )
    if not form:
        raise ValueError(
            f"{name}: not kaggle:competitions/NAME or kaggle:datasets/OWNER/NAME."
        )
    page, inside = form.groups()
    kind, handle = page.split("/", 1)
    try:
        import kagglehub

        path = Path(
            getattr(kagglehub, f"{kind.removesuffix('s')}_download")(handle), inside
        )
    except Exception as error:
        raise ConnectionError(
            f"https://www.kaggle.com/{page} gives no data: {error}. It needs kagglehub (pip install "
            "kagglehub). Join there and accept the rules, store an API token of your settings there as "
            "KAGGLE_API_TOKEN in Colab's secrets or the environment, and run this again."
        )
    if not path.exists():
        raise ValueError(f"kaggle:{name} was downloaded, but there is no {path}.")
    return path
