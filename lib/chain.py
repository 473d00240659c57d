"""Run the notebooks one after the other with papermill, and make one report of what they show.

python -m lib.chain                                  the drawn demo pictures
python -m lib.chain --paths drive_paths.json         your pictures
python -m lib.chain --beyond                         07 and those after it, too; 05 and 06 last
python -m lib.chain --only 02 05 -p EPOCHS 5         some notebooks, other parameters
python -m lib.chain --cluster tcp://host:8786        the work on pictures by workers of Dask
"""

import argparse
import ast
import contextlib
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import papermill
import yaml

from lib import cluster, runner, storage, workspace
from lib.judging import report
from lib.parameters import check_cluster, check_parameters
from lib.runner import NOTEBOOKS

BEYOND = "07"  # the notebooks from this one on run where they are asked for
BACKBONE_PARAMETERS = ("BACKBONE", "WEIGHTS", "IMAGE_SIZE", "BACKBONE_OPTIONS")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parse_arguments(arguments)
    try:
        names = choose_notebooks(options.only, options.beyond)
        if options.seeds is not None:
            options.parameter.append(["SEEDS", str(options.seeds)])
        values = read_parameters(options.parameter, names)
        ws = workspace.open(options.paths)
        if options.results:
            ws = replace(ws, results=options.results.resolve())
            workspace.check_apart(ws)
        ws = replace(ws, cluster=check_cluster(options.cluster, "--cluster") or ws.cluster)
        with runner.signals_raise(), runner.lock_results(ws):
            run_chain(ws, names, values, options.resume)
        storage.flush_drive(ws)
    except (OSError, ValueError, MemoryError, RuntimeError, ImportError) as error:
        print(f"\n{str(error) or repr(error)}", file=sys.stderr)
        return 1
    except SystemExit as stopped:
        print("\nstopped; the same command with --resume goes on from here", file=sys.stderr)
        return stopped.code
    return 0


def run_chain(ws, names: list[str], values: dict, resume: bool) -> None:
    """Run notebooks and make the report.

    Raises:
        RuntimeError: as `run_notebook`; MemoryError, OSError, ValueError: as `check_backbone`.
    """
    record = ws.results / "drive_paths.json"
    before = record.read_bytes() if record.exists() else b""
    os.environ["DRIVE_PATHS"] = str(ws.save_paths())
    # What was finished from other pictures is not finished for these.
    resume = resume and before == record.read_bytes()
    os.environ["TRAIN_ANEW"] = "" if resume else "1"
    if not resume:
        # Else a later --resume would take what an earlier run finished for finished by this one.
        ws.file("notebooks", f"{names[0]}.ipynb").unlink(missing_ok=True)
    (ws.scratch / "kernel.log").unlink(missing_ok=True)
    names = runner.skip_finished(ws, names, values) if resume else names
    if ws.cluster and names:
        # One for all notebooks, whose kernels share the log with its workers.
        with runner.stderr_to(ws.scratch / "kernel.log"):
            os.environ[workspace.SCHEDULER] = cluster.connect(ws.cluster).scheduler.address
    check_backbone(ws, names, values)
    runner.run_notebooks(ws, names, values)
    if written := report.write_report(ws):
        print(f"report: {written}")


def check_backbone(ws, names: list[str], values: dict) -> None:
    """Load the backbone of 04 before the notebooks that don't need it take their time.

    In a process of its own, so that this one never holds Keras.

    Raises:
        MemoryError: the system has killed that process.
        OSError, ValueError: as `backbones.load_backbone`.
    """
    name = "04_resnet50_transfer"
    if name not in names[1:]:
        return
    chosen = values[name]
    if ws.is_demo and not set(BACKBONE_PARAMETERS) & set(chosen):
        # It does without ImageNet weights.
        return
    known = papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    asked = {key: ast.literal_eval(known[key]["default"]) for key in known} | chosen
    asked = [asked[key] for key in BACKBONE_PARAMETERS]
    with runner.stderr_to(ws.scratch / "kernel.log"):
        try:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                process.submit(load_and_drop, asked, ws).result()
        except BrokenProcessPool:
            raise MemoryError(
                f"The process that loaded the backbone {asked[0]} was killed, most often for want "
                "of memory: close other programs, or choose a smaller BACKBONE or IMAGE_SIZE."
            )


def load_and_drop(asked: list, ws) -> None:
    """Load the backbone that these parameters ask for, in the order of BACKBONE_PARAMETERS."""
    from lib.models import backbones

    backbones.load_backbone(*asked, ws)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.chain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--paths", type=Path, help="a drive_paths.json (default: as the notebooks find it)")
    add("--results", type=Path, help="folder of the results, instead of that of the paths file")
    add("--cluster", metavar="ADDRESS", help="of a Dask scheduler, or local:N for N workers here")
    add("--seeds", type=int, metavar="N", help="train N times, with SEED and the seeds after it")
    add("--beyond", action="store_true", help="run 07 and those after it, too, before 05 and 06")
    add("--only", nargs="+", default=[], metavar="NN", help="just these, say 07 05; 05 and 06 last")
    told = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    add("-p", dest="parameter", help="a parameter of the notebooks; the value is YAML", **told)
    add("--resume", action="store_true", help="skip what is finished, go on where it was cut short")
    return parser.parse_args(arguments)


def choose_notebooks(only: list[str], beyond: bool = False) -> list[str]:
    """Return the names of the notebooks to run, in the order of the chain.

    These are all that begin as `only` says; where it is empty, those before BEYOND, or all.

    Raises:
        ValueError: there is no such notebook.
    """
    names = runner.list_notebooks()
    for start in only:
        if not any(name.startswith(start) for name in names):
            raise ValueError(f"--only {start}: no such notebook. There are: {', '.join(names)}.")
    if only:
        return [name for name in names if name.startswith(tuple(only))]
    return [name for name in names if beyond or name < BEYOND]


def read_parameters(pairs: list[list[str]], names: list[str]) -> dict[str, dict]:
    """Read -p pairs as YAML and give each notebook those that it has.

    Raises:
        ValueError: no chosen notebook has a parameter, or a value is not YAML or not allowed.
    """
    known = {name: papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb")) for name in names}
    values = {}
    for key, text in pairs:
        if not any(key in parameters for parameters in known.values()):
            every = ", ".join(sorted(set().union(*known.values())))
            raise ValueError(f"-p {key}: no chosen notebook has it. They have: {every}.")
        values[key] = parse_value(key, text)
    check_parameters(values)
    values = {name: {k: v for k, v in values.items() if k in known[name]} for name in names}
    for name in names:
        # None is the size of a backbone's own.
        if "WEIGHTS" not in known[name] and values[name].get("IMAGE_SIZE", 0) is None:
            del values[name]["IMAGE_SIZE"]
    return values


def parse_value(key: str, text: str):
    """Parse a parameter's value as YAML; None and 1e-4, which YAML takes for text, are as in Python.

    Raises:
        ValueError: the text is not YAML.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"-p {key}: {text!r} is not YAML: {error}")
    if value == "None":
        return None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


if __name__ == "__main__":
    sys.exit(main())
