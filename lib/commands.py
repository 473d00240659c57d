"""What a command asks for: which notebooks run, with which parameters, and what holds of the runs before."""

import argparse
import fnmatch
import shlex
from collections import defaultdict

from lib.base.escapes import list_some
from lib.base.parameters import check_parameters, parse_value, read_defaults, suggest
from lib.base.paths_file import read_json
from lib.base.workspace import REPOSITORY, Workspace
from lib.data import sources

NOTEBOOKS = REPOSITORY / "notebooks"
# Those of the chain, in order: 00 runs the others.
NAMES = """01_data_prep 02_baseline_cnn 03_augmented_cnn 04_resnet50_transfer 05_backbones 06_fine_tuning
07_label_audit 08_evaluation 09_random_images 10_hand_over 11_multi_label""".split()
# These run where they are asked for; the notebooks behind them need nothing of theirs.
BEYOND = NAMES[4:7]
FIRST = NAMES[0]
LAST = NAMES[-1]
# The networks that these two build have the size that -p names; a backbone's stands behind its @.
SIZED = NAMES[1:3]
BEGUN = ".begun"  # of the results: when 01 has last begun
KEPT = "run_parameters.json"  # of the results: {name: value as it was typed}


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
    if only:
        return sorted(_find_notebooks(only))
    is_asked = ws and ws.multi_labels and (beyond or not ws.is_demo)
    if is_asked and not sources.has_classes(ws):
        return [LAST]
    left_out = [] if beyond else BEYOND
    if not is_asked:
        left_out = [*left_out, LAST]
    return [name for name in NAMES if name not in left_out]


def _find_notebooks(words):
    chosen = set()
    for word in words:
        pattern = f"{int(word):02d}_*" if word.isdecimal() else f"*{word}*"
        found = fnmatch.filter(NAMES, pattern)
        if not found:
            advice = suggest(word, NAMES)
            if "," in word:
                advice = f": write blanks between them: {word.replace(',', ' ')}"
            raise ValueError(f"--only {word}: no such notebook{advice}")
        chosen.update(found)
    return chosen


def note_others() -> None:
    """Name the notebooks that are none of the chain, such as copies."""
    known = {"00_start_here", *NAMES}
    others = {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")} - known
    if others:
        print(f"Note: not of the chain: {list_some(others)}")


def check_split(ws: Workspace) -> None:
    """Raise a ValueError where 01 has begun since it made the split, say has failed on other pictures."""
    begun = ws.results / BEGUN
    split = ws.results / "split.csv"
    is_there = begun.exists() and split.exists()
    if is_there and begun.stat().st_mtime > split.stat().st_mtime:
        raise ValueError(
            f"{FIRST} has not come to its end, so {split} is an earlier one: run it again."
        )


def list_parameters() -> dict[str, list[str]]:
    """List the parameters that -p reaches, each with the notebooks that have it."""
    having = defaultdict(list)
    for name in NAMES:
        for key in read_defaults(NOTEBOOKS / f"{name}.ipynb"):
            if key != "IMAGE_SIZE" or name in SIZED:
                having[key].append(name)
    return having


def read_parameters(pairs: list[list[str]], names: list[str]) -> dict[str, dict]:
    """Read -p pairs, and give each notebook those that it has.

    A note says so where no chosen notebook has one.

    Raises:
        ValueError: no notebook has a parameter, or a value can't be read or is not allowed.
    """
    having = list_parameters()
    values = {name: {} for name in names}
    for pair in pairs:
        if len(pair) != 2:
            words = " ".join(pair)
            key, _, text = words.replace("=", " ").partition(" ")
            raise ValueError(f"-p {words}: write -p {key} {shlex.quote(text)}")
        key, text = pair
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


def recall_parameters(
    ws: Workspace, names: list[str], options: argparse.Namespace
) -> list[list[str]]:
    """Return the pairs of -p, behind those of the runs before that hold; a note names these.

    With --as-before these are what the chosen notebooks were told, else what 01 was; seeds never.
    """
    holding = set(names) if options.as_before else {FIRST}.intersection(names)
    given = {pair[0] for pair in options.parameter}
    having = list_parameters()
    held = []
    for key, text in read_kept(ws, options).items():
        holds = not holding.isdisjoint(having.get(key, ()))
        if holds and key not in given and not key.startswith("SEED"):
            held.append([key, text])
    if held:
        words = " ".join(f"-p {shlex.join(pair)}" for pair in held)
        print(f"Note: as before: {words}")
    return held + options.parameter


def read_kept(ws: Workspace, options: argparse.Namespace) -> dict[str, str]:
    """Read the parameters of the runs before; none with --anew, unless --as-before asks for them."""
    path = ws.results / KEPT
    begins_anew = options.anew and not options.as_before
    return read_json(path) if path.exists() and not begins_anew else {}


def keep_parameters(ws: Workspace, options: argparse.Namespace) -> None:
    """Keep the pairs of -p with the results; where only some notebooks run, those before stay, too."""
    is_added = options.as_before or options.only
    kept = read_kept(ws, options) if is_added else {}
    ws.save_json(kept | dict(options.parameter), KEPT)
