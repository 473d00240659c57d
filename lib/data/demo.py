"""The demo set: pictures that are drawn, packed as demo.zip, and what is planted among them."""

import shutil
import tempfile
from pathlib import Path

import pandas as pd

from lib.base.storage import acquire_lock
from lib.base.workspace import Workspace, read_table

ZIP = Path(__file__).with_name("demo.zip")


def unpack_pictures(folder: Path) -> None:
    """Unpack the demo set into a folder, whole or not at all, unless it is there.

    The folder holds train/<Class>/, test/ and its test_labels.csv (header file,label), planted.csv
    (header file,fault,truth), scenes/ and its scenes.csv (header file,labels).
    """
    with acquire_lock(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as part:
                shutil.unpack_archive(ZIP, Path(part, "whole"))
                Path(part, "whole").rename(folder)


def list_planted(ws: Workspace) -> pd.DataFrame:
    """Read what is planted in the demo: file, fault, truth (the class drawn, "" for none)."""
    if not ws.is_demo:
        return pd.DataFrame(columns=["file", "fault", "truth"], dtype=str)
    return read_table(ws.train.parent / "planted.csv")
