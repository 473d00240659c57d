"""What a command asks for: which notebooks run, with which parameters, and what holds of the runs before."""

import argparse
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
# Their networks have the size that -p names.
BUILT_HERE = NAMES[1:3]
KEPT = "run_parameters.json"  # of the results: {name: value as it was typed}


def choose_notebooks(
    only: list[str], beyond: bool = False, ws: Workspace | None = None
) -> list[str]:
    """Return the names of the notebooks to run, in order.

    Args:
        only: numbers, 2 or 02, and words of names; without any the usual notebooks run.
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
    """Return the names that have one of the words, or several in a row."""
    chosen = set()
    for word in words:
        found = [name for name in NAMES if f"_{word.zfill(2)}_" in f"_{name}_"]
        if not found:
            advice = suggest(word, NAMES)
            raise ValueError(
                f"--only {word}: no such notebook, or no blanks between two{advice}"
            )
        chosen.update(found)
    return chosen


def note_others() -> None:
    """Name the notebooks that are none of the chain, such as copies."""
    others = {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    others -= {"00_start_here", *NAMES}
    if others:
        print(f"Note: not of the chain: {list_some(others)}")


def list_parameters() -> dict[str, list[str]]:
    """List the parameters that -p reaches, each with the notebooks that have it."""
    having = defaultdict(list)
    for name in NAMES:
        for key in read_defaults(NOTEBOOKS / f"{name}.ipynb"):
            having[key].append(name)
    # The size of a backbone stands behind its @.
    having["IMAGE_SIZE"] = BUILT_HERE
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
            raise ValueError(f"-p {' '.join(pair)}: write -p NAME VALUE, or 'A VALUE'.")
        key, text = pair
        if key not in having:
            raise ValueError(f"-p {key}: no notebook has it{suggest(key, having)}")
        value = check_parameters({key: parse_value(key, text)})
        reached = values.keys() & having[key]
        for name in reached:
            values[name] |= value
        if not reached:
            print(f"Note: -p {key} reaches only {', '.join(having[key])}.")
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
    kept = read_kept(ws, names, options)
    free = sorted(kept.keys() - given - {"SEED", "SEEDS"})
    held = [[key, kept[key]] for key in free if holding.intersection(having[key])]
    if held:
        print("Note: as before: -p", " -p ".join(map(shlex.join, held)))
    return held + options.parameter


def read_kept(
    ws: Workspace, names: list[str], options: argparse.Namespace
) -> dict[str, str]:
    """Read the parameters of the runs before; 01 with --anew begins without, but for --as-before."""
    path = ws.results / KEPT
    begins_anew = options.anew and FIRST in names and not options.as_before
    return read_json(path) if path.exists() and not begins_anew else {}


def keep_parameters(
    ws: Workspace, names: list[str], options: argparse.Namespace
) -> None:
    """Keep the pairs of -p with the results; where only some notebooks run, those before stay, too."""
    is_added = options.as_before or options.only
    kept = read_kept(ws, names, options) if is_added else {}
    ws.save_json(kept | dict(options.parameter), KEPT)
