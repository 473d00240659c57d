"""Do what only a GPU can show, on the demo, in about ten minutes, and print a table.

PYTHONPATH=. python tests/on_a_gpu.py             with the networks that compete in 05 on a GPU
PYTHONPATH=. python tests/on_a_gpu.py --random    with random ones of their size, where none can be downloaded

Trainings are killed on the GPU and go on without it, and a run without it takes all that was trained and
computed on it. Where there is no GPU, one is simulated: tests/gpu_stand_in.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import faults
import numpy as np

from lib.base import storage, workspace
from lib.base.machine import describe_environment
from lib.base.parameters import read_defaults
from lib.models import networks
from lib.models.record import read_record

STAND_IN = Path(__file__).with_name("gpu_stand_in")
# The first training of these is killed; the others follow.
BEGUN = ["1", "2"]
REST = ["3", "4", "5", "6", "8"]
SETTINGS = ["-p", "EPOCHS", "3"]
PICTURES = 64  # whose answers are compared
# What describes the small DINOs of keras-hub, with registers.
SMALL_DINO = {
    "num_layers": 12,
    "num_heads": 6,
    "hidden_dim": 384,
    "intermediate_dim": 1536,
    "num_register_tokens": 4,
}
DINOS = {
    "DINOV2": {
        "image_shape": (224, 224, 3),
        "patch_size": 14,
        "position_embedding_shape": (518, 518),
    },
    "DINOV3": {"image_shape": (256, 256, 3), "patch_size": 16},
}


def list_machines() -> tuple[dict, dict]:
    """Return the variables of the environment that give a process a GPU, and those that give it none."""
    with_path = {"PYTHONPATH": str(workspace.REPOSITORY)}
    if "no GPU" in describe_environment():
        both = os.pathsep.join([str(STAND_IN), str(workspace.REPOSITORY)])
        return {"PYTHONPATH": both}, with_path
    return with_path, with_path | {"CUDA_VISIBLE_DEVICES": "-1"}


def build_dino(kind: str):
    """Build a small DINO of keras-hub, in its real size, with random weights."""
    from keras_hub import models

    return getattr(models, f"{kind}Backbone")(**SMALL_DINO, **DINOS[kind])


def save_random(folder: Path) -> str:
    """Save random networks of the size of three that compete on a GPU; return their specs."""
    from keras_hub import layers

    specs = ["ConvNeXtTiny"]
    for kind, settings in DINOS.items():
        preset = folder / f"{kind.lower()}_small"
        build_dino(kind).save_to_preset(str(preset))
        side = settings["image_shape"][0]
        converter = getattr(layers, f"{kind}ImageConverter")
        scaled = converter(image_size=(side, side), scale=1 / 127.5, offset=-1.0)
        scaled.save_to_preset(str(preset))
        specs.append(f"{networks.PRESET}{preset}@{side}")
    return ", ".join(specs)


def start(paths: Path, arguments: list, machine: dict) -> subprocess.Popen:
    """Start a chain on one of the machines."""
    with mock.patch.dict(os.environ, machine):
        return faults.start_chain(paths, arguments)


def run(paths: Path, arguments: list, machine: dict) -> str:
    """Run a chain to its end; return what it said."""
    print(*arguments, file=sys.stderr)
    output = faults.finish(start(paths, arguments, machine))
    print(output, file=sys.stderr)
    return output


def kill_after_an_epoch(
    root: Path, paths: Path, arguments: list, machine: dict
) -> None:
    """Start a chain, and kill it and its kernel when a training has its first checkpoint."""
    process = start(paths, arguments, machine)
    whole = []
    while not whole:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
        found = root.glob("r/checkpoints/*.npz")
        whole = [path for path in found if not path.match(storage.UNFINISHED)]
    faults.kill(process, with_kernel=True)


def read_kept(root: Path) -> dict:
    """Read what must stay: keys of models, files of trained ones, and sizes of stored features."""
    kept = {}
    for path in root.glob("r/models/*.keras"):
        record = read_record(path)
        kept[record.name] = [record.key]
        # The file of a linear one holds names of layers, which count what was built before.
        if record.kind != "linear":
            kept[record.name].append(record.file_hash)
    for path in filter(Path.is_file, root.glob("s/stores/*/features_*/*")):
        kept[path.relative_to(root)] = path.stat().st_size
    return kept


def train_on_both(
    root: Path, paths: Path, begun: list, rest: list, settings: list
) -> list[tuple]:
    """Train on the GPU, killed there and gone on with without it, then do all again without it.

    Args:
        root: holds results and scratch, r and s.
        paths: of the workspace.
        begun: numbers of the lessons that are killed in their first training.
        rest: of those after them.
        settings: further arguments of the chain.

    Returns:
        Rows of the table.
    """
    gpu, cpu = list_machines()
    started = time.perf_counter()
    kill_after_an_epoch(root, paths, ["--only", *begun, *settings], gpu)
    going_on = run(paths, ["--only", *begun, *settings], cpu)
    run(paths, ["--only", *begun, *rest, *settings], gpu)
    minutes = (time.perf_counter() - started) / 60
    before = read_kept(root)
    again = run(paths, ["--only", *begun, *rest, *settings], cpu)
    changed = faults.list_differences(read_kept(root), before)
    went_on = re.findall(r"goes on after epoch \d+", going_on)
    return [
        ("minutes of lessons " + " ".join([*begun, *rest]), f"{minutes:.1f}"),
        ("killed on the GPU, without it", ", ".join(went_on) or "begins anew"),
        ("again without the GPU: taken", again.count("is taken from the training")),
        ("again without the GPU: trained anew", again.count("is trained anew")),
        ("again without the GPU: models and features that changed", len(changed)),
    ]


def save_answers(paths: Path, file: Path) -> None:
    """Save what each model answers to validation pictures, on the machine of this process."""
    from lib.data import generators
    from lib.models import saved
    from lib.models.record import list_records

    ws = workspace.read(str(paths))
    answers = {}
    for record in list_records(ws):
        model = saved.load_model(ws, record.name)
        _, validation = generators.pair(ws, record.image_size, 32, 0, False)
        answers[record.name] = model.predict_on_batch(validation.inputs[:PICTURES])
    np.savez(file, **answers)


def compare_answers(root: Path, paths: Path) -> list[tuple]:
    """Compare what each model answers with the GPU and without it; return rows of the table."""
    files = [root / "gpu.npz", root / "cpu.npz"]
    for file, machine in zip(files, list_machines()):
        command = [sys.executable, __file__, "--answer", str(paths), str(file)]
        subprocess.run(command, check=True, env=os.environ | machine)
    on_gpu, on_cpu = map(np.load, files)
    rows = []
    for name in on_gpu:
        difference = np.abs(on_gpu[name] - on_cpu[name]).max()
        what = f"{name}: largest difference of a probability"
        rows.append((what, f"{difference:.1e}"))
    return rows


def hurry(root: Path, paths: Path, specs: str, settings: list) -> list[tuple]:
    """Time the quick way, then give each network a model and heatmaps; return rows of the table."""
    gpu, _ = list_machines()
    settings = ["-p", "BACKBONES", specs, *settings]
    started = time.perf_counter()
    output = run(paths, ["--only", "1", "5", "8", *settings], gpu)
    minutes = (time.perf_counter() - started) / 60
    left_out = output.count("does not take part")
    for spec in networks.list_specs(specs):
        run(paths, ["--only", "5", *settings, "-p", "BACKBONES", spec], gpu)
    mapped = run(paths, ["--only", "8", "9"], gpu)
    return [
        ("minutes of the quick way", f"{minutes:.1f}"),
        ("networks that could not take part", left_out),
        ("models without heatmaps, in 08 and 09", mapped.count("has no heatmaps")),
        ("heatmaps to look at", str(root / "r/report.html")),
    ]


def make_paths(root: Path) -> Path:
    """Return the paths file of a new workspace of the demo's pictures."""
    root.mkdir()
    demo = workspace.read("demo")
    ws = replace(demo, results=root / "r", scratch=root / "s")
    ws.claim()
    return ws.save_paths()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", action="store_true", help="networks are random")
    parser.add_argument("--networks", help="specs, instead of those of 05")
    parser.add_argument("--answer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.answer:
        save_answers(*map(Path, options.answer))
        return
    root = Path(tempfile.mkdtemp())
    lesson = workspace.REPOSITORY / "notebooks/05_backbones.ipynb"
    specs = options.networks or read_defaults(lesson)["ON_GPU"]
    settings = []
    if options.random:
        specs = save_random(root)
        settings = ["-p", "WEIGHTS", "none"]
    gpu, _ = list_machines()
    rows = [("machine", describe_environment().splitlines()[-1])]
    rows.append(("the GPU is simulated", str(STAND_IN) in gpu["PYTHONPATH"]))
    chain_root = root / "chain"
    paths = make_paths(chain_root)
    rows += train_on_both(chain_root, paths, BEGUN, REST, SETTINGS)
    rows += compare_answers(chain_root, paths)
    quick_root = root / "quick"
    rows += hurry(quick_root, make_paths(quick_root), specs, settings)
    print("| what | here |", "|---|---|", sep="\n")
    for what, found in rows:
        print(f"| {what} | {found} |")


if __name__ == "__main__":
    main()
