"""Run the notebooks one after the other with papermill, and say where their report is.

What an earlier run has finished is taken: after an interruption, run the same again.
"""

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from lib import commands, runner
from lib.base import storage, work, workspace
from lib.base.machine import stderr_to
from lib.base.parameters import check_parameters, parse_value, read_defaults, suggest
from lib.base.workspace import Workspace
from lib.data import sources

LAST = "11_multi_label"
SOME_FAILED = 3  # what `main` returns where the others have run
# The networks that these two build have the size that -p names; a backbone's stands behind its @.
SIZED = ("02_baseline_cnn", "03_augmented_cnn")
BACKBONE_PARAMETERS = ("BACKBONE", "WEIGHTS", "IMAGE_SIZE", "BACKBONE_OPTIONS")
QUICK_WAY = (
    "Note: --only 1 5 8 (make quick) is the quickest way to a good model: which network suits "
    "these pictures, and how good it is."
)
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
        names = choose_notebooks(options.only, options.beyond, ws)
        values = read_parameters(options.parameter, names)
        ws.claim()
        with runner.signals_raise(), runner.lock_results(ws):
            failed = run_chain(ws, names, values, options)
        if unmount:
            storage.flush_drive(ws.results)
    except (OSError, ValueError, MemoryError, RuntimeError, ImportError) as error:
        print(f"\n{storage.explain_error(error)}", file=sys.stderr)
        return 1
    except SystemExit as stopped:
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
    ws: Workspace, names: list[str], values: dict, options: argparse.Namespace
) -> list[str]:
    """Run notebooks, and say where the report is.

    Args:
        names: of the notebooks, in order.
        values: {parameter: value} for each name.
        options: of the command line.

    Returns:
        The names of those of 05 to 07 that failed. Errors are those of `run_notebook` and
        `check_backbone`.
    """
    os.environ["DRIVE_PATHS"] = str(ws.save_paths())
    os.environ["TRAIN_ANEW"] = "1" if options.anew else ""
    log = ws.scratch / "kernel.log"
    log.unlink(missing_ok=True)
    with stderr_to(log):
        if ws.cluster:
            # One for all notebooks, whose kernels share the log with its workers.
            client = work.connect(ws.cluster)
            os.environ[workspace.SCHEDULER] = client.scheduler.address
        if "01_data_prep" in names:
            sources.open_folder(ws, "train")
        check_backbone(ws, names, values)
        commands.keep_parameters(ws, options.parameter, adds=bool(options.only))
        if SIZED[0] in names and not (options.only or ws.is_demo):
            print(QUICK_WAY)
        failed = runner.run_notebooks(ws, names, values)
    for page in ("report", "model"):
        path = ws.results / f"{page}.html"
        if path.exists():
            print(f"{page}: {path}")
    return failed


def check_backbone(ws: Workspace, names: list[str], values: dict) -> None:
    """Load the backbone of 04 before other notebooks take their time; errors as of `load_backbone`."""
    name = "04_resnet50_transfer"
    if name not in names[1:]:
        return
    is_given = values[name].keys() & BACKBONE_PARAMETERS
    # The demo does without ImageNet weights.
    if ws.is_demo and not is_given:
        return
    chosen = read_defaults(runner.NOTEBOOKS / f"{name}.ipynb") | values[name]
    from lib.models.backbones import load_backbone

    load_backbone(*map(chosen.get, BACKBONE_PARAMETERS), ws)


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
    add("--paths", type=Path, help="drive_paths.json (default: as notebooks find it)")
    add("--results", type=Path, help="folder of the results, instead of the file's")
    add("--only", nargs="+", metavar="N", help="only these: numbers, parts of names")
    add("--beyond", action="store_true", help="05 to 07 too, and 11 on the demo")
    add(
        "-p",
        nargs=2,
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
    add("--resume", action="store_true", help="the default: go on where a run stopped")


def choose_notebooks(
    only: list[str], beyond: bool = False, ws: Workspace | None = None
) -> list[str]:
    """Return the names of the notebooks to run, in order.

    Args:
        only: numbers, 2 or 02, and parts of names; without any the usual notebooks run.
        beyond: whether 05 to 07 are usual.
        ws: 11 is usual where it has labels for it, and the only one where nothing tells classes.

    Raises:
        ValueError: a word of `only` fits no notebook.
    """
    names = runner.list_notebooks()
    if only:
        return sorted(_find_notebooks(only, names))
    is_asked = ws and ws.multi_labels and (beyond or not ws.is_demo)
    if is_asked and not sources.has_classes(ws):
        return [LAST]
    left_out = () if beyond else runner.BEYOND
    if not is_asked:
        left_out += (LAST,)
    return [name for name in names if name not in left_out]


def _find_notebooks(words, names):
    chosen = set()
    for word in words:
        part = f"{int(word):02d}_" if word.isdecimal() else word
        found = {name for name in names if part in name}
        if not found:
            raise ValueError(f"--only {word}: no such notebook{suggest(word, names)}")
        chosen |= found
    return chosen


def read_parameters(pairs: list[list[str]], names: list[str]) -> dict[str, dict]:
    """Read -p pairs, and give each notebook those that it has.

    A note says so where no chosen notebook has one.

    Raises:
        ValueError: no notebook has a parameter, or a value can't be read or is not allowed.
    """
    having = defaultdict(list)
    for name in runner.list_notebooks():
        for key in read_defaults(runner.NOTEBOOKS / f"{name}.ipynb"):
            if key != "IMAGE_SIZE" or name in SIZED:
                having[key].append(name)
    values = {name: {} for name in names}
    for key, text in pairs:
        if key not in having:
            raise ValueError(f"-p {key}: no notebook has it{suggest(key, having)}")
        value = parse_value(key, text)
        check_parameters({key: value})
        reached = values.keys() & having[key]
        for name in reached:
            values[name][key] = value
        if not reached:
            also = ", ".join(having[key])
            print(f"Note: -p {key} reaches only {also}, which don't run.")
    return values


if __name__ == "__main__":
    status = main()
    # Only 00 goes on where some notebooks have failed.
    sys.exit(1 if status == SOME_FAILED else status)
