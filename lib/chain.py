"""Run the notebooks one after the other with papermill, and say where their report is.

What an earlier run has finished is taken: after an interruption, run the same again.
"""

import argparse
import os
import sys
from dataclasses import replace

from lib import commands, runner
from lib.base import storage, work, workspace
from lib.base.machine import stderr_to
from lib.base.parameters import read_defaults
from lib.base.workspace import Workspace
from lib.data import sources
from lib.data.findings import check_folder
from lib.models.record import read_record

SOME_FAILED = 3  # what `main` returns where the others have run
PAGES = {"report.html": "08_evaluation", "model.html": "10_hand_over"}
TRANSFER = "04_resnet50_transfer"
WITH_NETWORKS = {TRANSFER, "05_backbones", commands.LAST}
# The arguments of `load_backbone`, and what 05 has of its own.
NETWORK_PARAMETERS = "BACKBONE WEIGHTS IMAGE_SIZE BACKBONE_OPTIONS BACKBONES".split()
EXAMPLES = """typically:
  python -m lib.chain --paths demo                           drawn pictures
  python -m lib.chain --paths drive_paths.json --beyond      your pictures, other networks too
  python -m lib.chain --only 2 evaluation -p EPOCHS 5        some notebooks, other parameters
"""


def main(arguments: list[str] | None = None, unmount: bool = True) -> int:
    """Run the command line; return 0, SOME_FAILED, or another exit status where it has stopped.

    At the end Drive is flushed, and unmounted.
    """
    options = parse_arguments(arguments)
    try:
        ws = workspace.read(options.paths, options.results)
        if options.cluster:
            ws = replace(ws, cluster=options.cluster)
        names = commands.choose_notebooks(options.only, options.beyond, ws)
        options.parameter = commands.recall_parameters(ws, names, options)
        values = commands.read_parameters(options.parameter, names)
        ws.claim()
        with runner.signals_raise(), storage.acquire_lock(ws.file(".lock"), timeout=0):
            failed = run_chain(ws, values, options)
        if unmount:
            storage.flush_drive(ws.results)
    except (OSError, ValueError, MemoryError, RuntimeError, ImportError) as error:
        print(f"\n{storage.explain_error(error)}", file=sys.stderr)
        return 1
    except SystemExit as stopped:
        storage.sweep(ws.results)
        print(
            "\nstopped; the same command, without --anew, goes on from here",
            file=sys.stderr,
        )
        return stopped.code
    if failed:
        print(f"\nfailed: {', '.join(failed)}; notes above say why", file=sys.stderr)
        return SOME_FAILED
    return 0


def run_chain(
    ws: Workspace, values: dict[str, dict], options: argparse.Namespace
) -> list[str]:
    """Run notebooks, and say where the report is.

    Args:
        values: {parameter: value} for each notebook, by its name, in order.
        options: of the command line.

    Returns:
        The names of those of 05 to 07 that failed. Errors are those of `run_notebook` and
        `check_networks`.
    """
    storage.sweep(ws.results)
    # 11 has a split of its own.
    if commands.FIRST not in values and list(values) != [commands.LAST]:
        check_folder(ws)
    os.environ["DRIVE_PATHS"] = str(ws.save_paths())
    os.environ["TRAIN_ANEW"] = "1" if options.anew else ""
    log = ws.results / runner.KERNEL_LOG
    log.unlink(missing_ok=True)
    with stderr_to(log):
        if ws.cluster:
            # One for all notebooks, whose kernels share the log with its workers.
            client = work.connect(ws.cluster)
            os.environ[workspace.SCHEDULER] = client.scheduler.address
        if commands.FIRST in values:
            sources.open_folder(ws, "train")
        check_networks(ws, values)
        commands.keep_parameters(ws, list(values), options)
        if commands.FIRST in values:
            # Where 01 fails, nobody takes the split that was made before.
            ws.file("split.csv").unlink(missing_ok=True)
        commands.note_others()
        failed = runner.run_notebooks(ws, values)
    announce_pages(ws)
    return failed


def announce_pages(ws: Workspace) -> None:
    """Say where report and model page are, or that they are of an earlier split."""
    from lib.evaluation.display import is_stale

    trained = 0
    for path in ws.results.glob("models/*.keras"):
        record = read_record(path)
        # The model of several labels is none of the report.
        if record is not None and not record.thresholds:
            trained = max(trained, path.stat().st_mtime)
    for page, maker in PAGES.items():
        path = ws.results / page
        if not path.exists():
            continue
        if is_stale(ws, page):
            print(f"Note: {page} is of an earlier split: train, then run {maker}.")
        elif path.stat().st_mtime < trained:
            print(f"Note: {page} is older than a model: run {maker}.")
        else:
            print(f"{path.stem}: {path}")


def check_networks(ws: Workspace, values: dict[str, dict]) -> None:
    """Look up the networks of later notebooks, and load that of 04, before others take their time.

    Errors are those of `look_up` and `load_backbone`.
    """
    for name in WITH_NETWORKS.intersection(list(values)[1:]):
        given = values[name]
        # The demo does without networks that are not named.
        if ws.is_demo and given.keys().isdisjoint(NETWORK_PARAMETERS):
            continue
        from lib.models import backbones

        chosen = read_defaults(commands.NOTEBOOKS / f"{name}.ipynb") | given
        if name == TRANSFER:
            backbones.load_backbone(*map(chosen.get, NETWORK_PARAMETERS[:4]), ws)
        else:
            backbones.look_up(chosen)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.chain",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_options(parser.add_argument)
    return parser.parse_args(arguments)


def _add_options(add):
    add("--paths", help="drive_paths.json (default: as notebooks find it)")
    add("--results", help="folder of the results, instead of the file's")
    add("--only", nargs="+", metavar="N", help="only these: numbers, words of names")
    add("--beyond", action="store_true", help="05 to 07 too, and 11 on the demo")
    add(
        "-p",
        nargs="+",
        action="append",
        default=[],
        dest="parameter",
        metavar=("NAME", "VALUE"),
        help="parameter; VALUE as in Python, or YAML",
    )
    add(
        "--seeds",
        type=lambda count: ["SEEDS", count],
        action="append",
        dest="parameter",
        metavar="N",
        help="train N times, with SEED and the seeds after it",
    )
    add(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask scheduler, or local:N: N workers here",
    )
    add("--anew", action="store_true", help="train anew, also on other pictures")
    add(
        "--as-before",
        action="store_true",
        help="take the parameters of the runs before, without seeds; a -p goes before",
    )
    add("--resume", action="store_true", help="the default: go on where a run stopped")


if __name__ == "__main__":
    sys.exit(main())
