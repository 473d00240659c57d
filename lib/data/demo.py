"""The demo set: pictures that are drawn, packed as demo.zip, and what is planted among them."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from lib.base.storage import acquire_lock
from lib.base.workspace import Workspace, read_table

ZIP = Path(__file__).with_name("demo.zip")
MARKER = "about_these_pictures.txt"
ABOUT = """Pictures of the demo, unpacked from lib/data/demo.zip, whose hash is {}.
When another demo.zip comes, this folder is replaced: keep nothing of your own here.
"""


def unpack_pictures(folder: Path) -> None:
    """Unpack the demo set into a folder, whole or not at all, unless it is there.

    The folder holds train/<Class>/, test/ and its test_labels.csv (header file,label), planted.csv
    (header file,fault,truth), scenes/ and its scenes.csv (header file,labels). The demo of another
    demo.zip gives way; a folder that holds something else stays as it is.
    """
    digest = hashlib.sha256(ZIP.read_bytes()).hexdigest()
    about = ABOUT.format(digest)
    with acquire_lock(folder.with_suffix(".lock")):
        if _is_wanted(folder, about):
            _replace(folder, about)


def _is_wanted(folder, about):
    """Tell whether nothing is there, or an older demo."""
    marker = folder / MARKER
    if marker.exists():
        return marker.read_text(encoding="utf-8") != about
    # The demo had no marker once, but always this file.
    return not folder.exists() or (folder / "planted.csv").exists()


def _replace(folder, about):
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f"{folder.name}.part"
    ) as part:
        whole = Path(part, "whole")
        shutil.unpack_archive(ZIP, whole)
        (whole / MARKER).write_text(about, encoding="utf-8")
        if folder.exists():
            folder.rename(Path(part, "of another version"))
        whole.rename(folder)


def list_planted(ws: Workspace) -> pd.DataFrame:
    """Read what is planted in the demo: file, fault, truth (the class drawn, "" for none)."""
    if not ws.is_demo:
        return pd.DataFrame(columns=["file", "fault", "truth"], dtype=str)
    return read_table(ws.train.parent / "planted.csv")
