"""Whether results are of other pictures than `train` has now."""

from os import environ

import pandas as pd

from lib.base.paths_file import read_json
from lib.base.workspace import Workspace, read_table

# Of the results: the folder of the pictures that the split is of.
PREPARED = "prepared_from.json"
# Of the smaller of two sets. Collections of different people have single pictures in common.
MIN_SHARED = 0.1


def check_name(ws: Workspace) -> None:
    """Check, where 01 doesn't run, that `train` is called as it was when 01 prepared these results.

    Raises:
        ValueError: it isn't, so models would learn from other pictures; it names both folders.
    """
    earlier = _read_earlier(ws)
    if earlier not in (None, str(ws.train)):
        raise _refuse(ws, earlier)


def check_pictures(ws: Workspace, digests: pd.Series) -> None:
    """Check that some pictures are those that 01 has prepared in these results earlier, wherever they lay then.

    Args:
        digests: of the pictures of `train`. TRAIN_ANEW=1 in the environment allows others.

    Raises:
        ValueError: they aren't, so models would be lost; it names both folders.
    """
    earlier = _read_earlier(ws)
    if earlier is None or environ.get("TRAIN_ANEW"):
        return
    known = read_table(ws.results / "pictures.csv").digest
    smaller = min(len(known), len(digests))
    if known.isin(digests).sum() < MIN_SHARED * smaller:
        raise _refuse(ws, earlier)


def _read_earlier(ws):
    """Return the folder that these results were prepared from, None where there are none yet."""
    path = ws.results / PREPARED
    return read_json(path)["train"] if path.exists() else None


def _refuse(ws, earlier):
    return ValueError(
        f"{ws.results} has results of {earlier}, and these may not be pictures of {ws.train}: run "
        "01_data_prep, with --anew if they aren't, or name other results."
    )
