"""Checkpoints that no training will go on with; without Keras."""

import json
from contextlib import suppress
from zipfile import BadZipFile

import numpy as np

from lib.base.workspace import Workspace

# In the environment of a kernel: what its notebook is told, as `tell` writes it.
TOLD = "TOLD_BY_CHAIN"


def tell(notebook: str, parameters: dict) -> str:
    """Write down what a notebook is told, but for the number of seeds, which changes no training."""
    settings = {name: parameters[name] for name in parameters if name != "SEEDS"}
    return json.dumps([notebook, settings], sort_keys=True)


def remove_given_up(ws: Workspace, values: dict[str, dict]) -> None:
    """Remove the checkpoints of notebooks that are told something else now; a note says how many.

    Those that a notebook wrote that was run by hand stay.

    Args:
        values: {parameter: value} for each notebook, by its name.
    """
    told = {notebook: tell(notebook, values[notebook]) for notebook in values}
    removed = []
    for path in sorted(ws.results.glob("checkpoints/*.npz")):
        # A damaged one is told by its training, and one of an earlier version says nothing.
        with suppress(OSError, ValueError, KeyError, TypeError, BadZipFile):
            with np.load(path, allow_pickle=False) as kept:
                facts = json.loads(str(kept["arr_0"]))
            notebook, _ = json.loads(facts["told"])
            if notebook in told and facts["told"] != told[notebook]:
                path.unlink()
                removed.append(path.stem)
    if removed:
        print(f"Note: begun with other settings, so removed: {', '.join(removed)}")


def remove_of(ws: Workspace, name: str) -> None:
    """Remove all checkpoints of a training that is finished, those of other settings among them."""
    for path in ws.results.glob("checkpoints/*.npz"):
        owner, _, _ = path.stem.rpartition("-")
        if owner == name:
            path.unlink()
