"""Commands that go on from results: with the parameters of the runs before."""

import shlex
from pathlib import Path

from lib.base.paths_file import read_json
from lib.base.workspace import MINE, Workspace

KEPT = "run_parameters.json"  # of the results: {name: value as it was typed}


def keep_parameters(ws: Workspace, pairs: list[list[str]], adds: bool) -> None:
    """Keep the names and values of -p with the results.

    Args:
        adds: whether those of earlier runs stay, as where only some notebooks run.
    """
    kept = dict(pairs)
    if adds:
        kept = _read_kept(ws) | kept
    ws.save_json(kept, KEPT)


def _read_kept(ws):
    path = ws.results / KEPT
    return read_json(path) if path.exists() else {}


def describe_command(ws: Workspace, option: str) -> str:
    """Return a command of make for these results, with an option such as "--seeds 5".

    It may stand on a page that is passed on, so it names no folder.
    """
    target = "demo" if ws.is_demo else f"run PATHS={MINE}"
    words = option.split()
    for name, value in _read_kept(ws).items():
        if name != "SEEDS" or "--seeds" not in words:
            path = Path(value)
            words += ["-p", name, f"…/{path.name}" if path.is_absolute() else value]
    arguments = shlex.join(words).replace("$", "$$")
    return f"make {target} ARGUMENTS={shlex.quote(arguments)}"
