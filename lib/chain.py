"""Run the notebooks one after the other with papermill, and say where their report is.

What an earlier run has finished is taken: after an interruption, run the same again.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from unittest import mock

from lib import runner
from lib.base import storage, workspace
from lib.base.machine import stderr_to
from lib.base.parameters import (
    ALLOWED,
    check_parameters,
    parse_value,
    read_defaults,
    suggest,
)
from lib.base.paths_file import read_json
from lib.base.workspace import Workspace
from lib.data import sources
from lib.data.earlier import check_name
from lib.models import leftovers
from lib.models.networks import look_up
from lib.runner import FIRST, NAMES

PAGES = {"report.html": "08_evaluation", "model.html": "10_hand_over"}


def main(arguments: list[str] | None = None, unmount: bool = True) -> int:
    """Run the command line; return 0 where all notebooks ran, else another exit status.

    At the end Drive is flushed, and unmounted.
    """
    try:
        options = parse_arguments(arguments)
        with runner.handle_stops(runner.raise_stop):
            ws = workspace.read(options.paths, options.results)
            if options.cluster:
                ws = replace(ws, cluster=options.cluster)
            names = runner.choose_notebooks(options.only, options.beyond, ws)
            given = parse_parameters(options.parameter)
            # Where 01 runs again, pictures stay in their groups.
            holding = NAMES if options.as_before else [FIRST]
            values = share_parameters(names, given, recall_parameters(ws, holding))
            ws.claim()
            with storage.acquire_lock(ws.file(".lock"), timeout=0):
                run_chain(ws, values, options.anew)
            if unmount:
                storage.flush_drive(ws.results)
    except (OSError, ValueError, MemoryError, RuntimeError, ImportError) as error:
        print(f"\n{str(error) or repr(error)}", file=sys.stderr)
        return 1
    except SystemExit as stopped:
        # --help ends so, too, with 0.
        if stopped.code:
            print(
                "\nstopped; the same command, without --anew, goes on from here",
                file=sys.stderr,
            )
        return stopped.code
    return 0


def run_chain(ws: Workspace, values: dict[str, dict], anew: bool) -> None:
    """Run notebooks, and say where the pages are that they have made.

    Args:
        values: {parameter: value} for each notebook, by its name, in order.
        anew: whether to train what was trained before.

    Raises:
        RuntimeError: a notebook has failed, and those behind it don't run.
    """
    # No other chain writes here; a kernel of a killed one may, to its end.
    for left in ws.results.rglob(storage.UNFINISHED):
        left.unlink(missing_ok=True)
    leftovers.remove_given_up(ws, values)
    variables = {
        "DRIVE_PATHS": str(ws.save_paths()),
        "TRAIN_ANEW": "1" if anew else "",
        # Kernels find what this process finds, `lib` among it.
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    # Only kernels are told: behind the block the environment is as it was.
    with (
        stderr_to(ws.results / runner.KERNEL_LOG),
        mock.patch.dict(os.environ, variables),
    ):
        if FIRST in values:
            # Secrets of Colab, such as that of Kaggle, are for this process alone.
            sources.fetch_folder(ws, "train")
        else:
            check_name(ws)
        for name, parameters in values.items():
            os.environ[leftovers.TOLD] = leftovers.tell(name, parameters)
            runner.run_notebook(ws, name, parameters)
    for page, maker in PAGES.items():
        path = ws.results / page
        if maker in values and path.exists():
            print(f"{path.stem}: {path}")


def parse_parameters(pairs: list[list[str]]) -> dict:
    """Parse names and values of -p.

    Raises:
        ValueError, FileNotFoundError: no notebook has a parameter, a value is not allowed, or there is no
            network of a name.
    """
    parameters = {}
    for key, text in pairs:
        if key not in ALLOWED:
            raise ValueError(f"-p {key}: no notebook has it{suggest(key, ALLOWED)}")
        parameters[key] = parse_value(text)
    check_parameters(parameters)
    look_up(parameters)
    return parameters


def recall_parameters(ws: Workspace, names: Iterable[str]) -> dict[str, dict]:
    """Return what each notebook of these results was told last, as papermill keeps it in them."""
    told = {}
    for name in names:
        path = ws.results / f"notebooks/{name}.ipynb"
        if path.exists():
            # Another program may have written it.
            metadata = read_json(path).get("metadata", {})
            told[name] = metadata.get("papermill", {}).get("parameters", {})
    return told


def share_parameters(
    names: list[str], given: dict, before: dict[str, dict]
) -> dict[str, dict]:
    """Return what each notebook is told: the parameters that it has.

    Args:
        names: of the notebooks.
        given: parameters of this run. A note names each that no notebook has.
        before: what notebooks were told before, which holds for each where nothing is given, but for seeds.
            A note names it.
    """
    values = {}
    unknown = set(given)
    for name in names:
        keys = set(read_defaults(runner.NOTEBOOKS / f"{name}.ipynb"))
        # Their networks have the size that -p names; that of a backbone stands behind its @.
        if name not in NAMES[1:3]:
            keys.discard("IMAGE_SIZE")
        own = {key: given[key] for key in given if key in keys}
        told = before.get(name, {})
        free = keys - given.keys() - {"SEED", "SEEDS"}
        held = {key: told[key] for key in told if key in free}
        if held:
            print(f"Note: as before, {name}: {held}")
        values[name] = held | own
        unknown -= keys
    for key in unknown:
        print(f"Note: no chosen notebook has {key}.")
    return values


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence."""

    def error(self, message: str) -> None:
        """Raise a ValueError."""
        raise ValueError(f"{message}; --help shows what there is.")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ValueError: there is no such option, or its value is none.
    """
    parser = Parser(prog="python -m lib.chain", description=__doc__)
    add = parser.add_argument
    add("--paths", help="drive_paths.json (default: as notebooks find it)")
    add("--results", help="folder of the results, instead of the file's")
    add("--only", nargs="+", default=[], help="numbers, words of names")
    add("--beyond", action="store_true", help="05 to 07 too, and 11 on the demo")
    add(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="parameter",
        metavar=("NAME", "VALUE"),
        help="parameter; VALUE as in JSON or YAML",
    )
    add(
        "--seeds",
        type=lambda count: ["SEEDS", count],
        action="append",
        dest="parameter",
        metavar="N",
        help="train N times, with SEED and the seeds after it",
    )
    add("--cluster", help="address of a Dask scheduler, or local:N")
    add("--anew", action="store_true", help="train anew, also on other pictures")
    add("--as-before", action="store_true", help="with the parameters of the last runs")
    add("--resume", action="store_true", help="the default: go on where a run stopped")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
