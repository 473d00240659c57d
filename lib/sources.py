"""Pictures in an archive or on Kaggle: how they get into a local folder."""

import hashlib
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from tqdm import tqdm

from lib.workspace import KAGGLE, is_on_drive

CHUNK = 1 << 24
# Bounds for archives made to fill a disk: pictures hardly shrink.
LARGEST_RATIO, MOST_FILES = 200, 5_000_000
# Folders of these names are parts of a data set, not classes.
PARTS = {"train", "test", "validation", "valid", "val"}
REMEDIES = {
    401: "Kaggle does not know you. Make an API token in your settings there, and store it as "
    "KAGGLE_API_TOKEN: in the environment, or in Colab's secrets (the key symbol). The older "
    "KAGGLE_USERNAME and KAGGLE_KEY are read from the environment alone.",
    403: "Kaggle refuses. Join there, accept the rules, then run this again.",
    404: "There is no such page: compare its address in the browser.",
    None: "Kaggle can't be reached, or the data did not arrive whole. Try again with network.",
}


def open_folder(ws, key: str) -> Path:
    """Return the local folder of the pictures that `train` or `test` names.

    A folder is taken as it is. An archive is unpacked into scratch, and data of Kaggle
    downloaded into kagglehub's cache, each once; inside them the folder is looked for.

    Args:
        ws: the workspace.
        key: "train" or "test".

    Raises:
        ValueError: as `unpack` and `download`.
        ConnectionError: as `download`.
    """
    path = getattr(ws, key)
    from_kaggle = str(path).startswith(KAGGLE)
    if from_kaggle:
        path = download(str(path).removeprefix(KAGGLE))
    if path.is_file():
        return _find_root(unpack(path, ws.scratch), key)
    return _find_root(path, key) if from_kaggle else path


def _find_root(folder: Path, key: str) -> Path:
    while True:
        inside = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
        folders = {path.name for path in inside if path.is_dir()}
        if key in folders <= PARTS:
            folder /= key
        elif len(inside) == 1 and folders and any(p.is_dir() for p in inside[0].iterdir()):
            folder = inside[0]
        else:
            return folder


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack a .zip or .tar file, compressed or not, into scratch, once.

    From Google Drive it is first copied as one file, which is fast where many small reads are
    not. The folder gets its name when all is in it, so after a kill the work is done anew.

    Args:
        archive: the file.
        scratch: folder for what can be made again.

    Returns:
        The folder of its files, named by the archive's place, size and time of change.

    Raises:
        ValueError: the archive is damaged, too large, or would write outside its folder.
    """
    about = archive.stat()
    state = f"{archive} {about.st_size} {about.st_mtime_ns}"
    key = hashlib.blake2b(state.encode(), digest_size=6).hexdigest()
    folder = scratch / f"{archive.name.split('.')[0]}_{key}"
    part, copy = (folder.with_name(f"{folder.name}.{end}") for end in ("part", "copy"))
    if folder.is_dir():
        return folder
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        if is_on_drive(archive):
            with archive.open("rb") as stream:
                _write(stream, copy, _start_bar(f"copying {archive.name}", about.st_size))
        _extract(copy if copy.exists() else archive, part, f"unpacking {archive.name}")
        os.replace(part, folder)
    # Damage shows itself in many ways, a full disk and a missing password in others.
    except Exception as error:
        raise ValueError(
            f"{archive} can't be unpacked: {error or type(error).__name__}."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        copy.unlink(missing_ok=True)
    return folder


def _start_bar(text: str, size: int) -> tqdm:
    return tqdm(total=size, desc=text, unit="B", unit_scale=True)


def _write(stream, target: Path, bar: tqdm) -> None:
    with target.open("wb") as file:
        while chunk := stream.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _extract(archive: Path, folder: Path, text: str) -> None:
    is_zip = zipfile.is_zipfile(archive)
    if not is_zip and not tarfile.is_tarfile(archive):
        raise ValueError("it is neither a folder nor a whole .zip or .tar file")
    with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as opened:
        members = _list_members(opened, is_zip, folder.resolve(), archive.stat().st_size)
        with _start_bar(text, sum(size for _, _, size in members)) as bar:
            for member, target, _ in members:
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) if is_zip else opened.extractfile(member) as stream:
                    _write(stream, target, bar)


def _list_members(opened, is_zip: bool, folder: Path, packed: int) -> list[tuple]:
    """List what will be written: member, target and size of each; nothing is written yet."""
    members, total, free = [], 0, shutil.disk_usage(folder).free
    for member in opened.infolist() if is_zip else opened:
        name = member.filename if is_zip else member.name
        size = member.file_size if is_zip else member.size
        if member.is_dir() if is_zip else member.isdir():
            continue
        target = (folder / name).resolve()
        if not target.is_relative_to(folder) or not (is_zip or member.isfile()):
            raise ValueError(f"{name!r} is a link, or a place outside of it")
        members.append((member, target, size))
        total += size
        if total > min(free, LARGEST_RATIO * packed) or len(members) > MOST_FILES:
            raise ValueError(
                f"it holds over {total / 1e9:.3g} GB in {len(members):,} files; {free / 1e9:.3g} GB "
                f"are free, and more than {LARGEST_RATIO} times its size is no archive of pictures"
            )
    if not is_zip:
        # tarfile takes a damaged header for the end; beyond the true end, of zeros, is a checksum.
        opened.fileobj.seek(opened.offset)
        if (rest := opened.fileobj.read(CHUNK)).count(0) != len(rest) or len(rest) < 512:
            raise ValueError("its end is missing, or its middle damaged")
    return members


def download(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle, into kagglehub's cache.

    Args:
        name: as above; what follows is a folder or an archive in the data.

    Raises:
        ValueError: the name has another form, or the data has no such folder.
        ConnectionError: kagglehub is missing or Kaggle gives no data; says why and what to do.
    """
    kind, *parts = name.strip("/").split("/")
    length = {"competitions": 1, "datasets": 2}.get(kind)
    if not length or len(parts) < length:
        raise ValueError(
            f'"kaggle:{name}" is neither kaggle:competitions/NAME nor kaggle:datasets/OWNER/NAME.'
        )
    handle = "/".join(parts[:length])
    try:
        import kagglehub

        fetch = kagglehub.competition_download if length == 1 else kagglehub.dataset_download
        path = Path(fetch(handle)).joinpath(*parts[length:])
    except ImportError as error:
        raise ConnectionError(f"kaggle:{name} needs kagglehub: pip install kagglehub") from error
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if type(error).__name__ in ("UnauthenticatedError", "CredentialError"):
            status = 401
        remedy = REMEDIES.get(status, "Kaggle answers with an error: try again later.")
        raise ConnectionError(f"https://www.kaggle.com/{kind}/{handle}: {remedy} ({error})")
    if not path.exists():
        raise ValueError(f"kaggle:{name} was downloaded, but there is no {path}.")
    return path
