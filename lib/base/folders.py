"""Folders that are ours, or refused: results and scratch are new, empty, or carry our marker."""

import itertools
import os
import re
from pathlib import Path

from lib.base.storage import UNFINISHED, require_room

MARKER = "about_this_folder.txt"
# By the first line of a marker a folder is known.
KINDS = {
    "results": "Results of the image classifier notebooks.",
    "scratch": "Scratch of the image classifier notebooks: it may be deleted at any time.",
}
ADVICE = """
The notebooks write, replace and delete files here. Keep nothing of your own in this folder: copy
what you want to change or to keep to another one. (Only corrections.csv, which review.html makes,
may lie among the results.) This file says that the folder is ours: leave it here.
"""
# What systems and people may leave in any folder, and what a killed run of ours has left.
PASSED_OVER = re.compile(
    rf"\..*|.*\.lock|desktop\.ini|Thumbs\.db|lost\+found|corrections\.csv|{UNFINISHED.pattern}"
)
MAX_NAMED = 3
# The one file of the user's that may lie among the results.
CORRECTIONS = "corrections.csv"
# Keys of folders of pictures, and of CSV files.
PICTURES = ("train", "validation", "test")
TABLES = ("train_labels", "corrections", "test_labels", "multi_labels")
# Where the project's own files lie.
PROJECT_FOLDERS = ("notebooks", "lib", "tests")


def check_apart(places: dict, repository: Path) -> None:
    """Check that results and scratch lie in nothing of the project's or the user's, and the reverse.

    Args:
        places: by the keys of the paths file, absolute; None where there is none.
        repository: the folder of the project.

    Raises:
        ValueError: they don't.
    """
    names = [*PROJECT_FOLDERS]
    for kind in KINDS:
        inside = os.path.relpath(places[kind], repository)
        # Hidden folders at its top are no place either, also new ones.
        names += re.findall(r"^\.[^./\\][^/\\]*", inside)
    others = [("a folder of this project", repository / name) for name in names]
    others += [(key, places[key]) for key in (*PICTURES, *KINDS) if places.get(key)]
    for (key, other), kind in itertools.product(others, KINDS):
        folder = places[kind]
        if key != kind and (
            folder.is_relative_to(other) or other.is_relative_to(folder)
        ):
            raise ValueError(
                f'"{kind}" is "{folder}" and "{key}" is "{other}": neither may lie in the other. Name a '
                f'new folder as "{kind}".'
            )
    for kind, key in itertools.product(KINDS, TABLES):
        table = places.get(key)
        folder = places[kind]
        if table and table.is_relative_to(folder) and table != folder / CORRECTIONS:
            raise ValueError(
                f'"{key}" is "{table}", in "{kind}", where it may be replaced: copy it beside your pictures.'
            )


def check_ours(folder: Path, kind: str, opened: Path | None = None) -> None:
    """Check that a folder is new, empty, or marked as one of its kind; write nothing.

    Args:
        kind: a key of `KINDS`, which is the key of the paths file, too.
        opened: the paths file, which may lie in the folder.

    Raises:
        ValueError: it is none of these.
    """
    place = f'"{kind}" is "{folder}"'
    marker = folder / MARKER
    if marker.exists():
        text = marker.read_text(encoding="utf-8", errors="replace")
        # Whoever made an empty one was killed.
        if text and not text.startswith(KINDS[kind]):
            raise ValueError(
                f"{place}, but {marker} says otherwise: name a new folder."
            )
        return
    names = [path.name for path in folder.glob("*") if path != opened]
    foreign = sorted(name for name in names if not PASSED_OVER.fullmatch(name))
    if foreign:
        named = ", ".join(foreign[:MAX_NAMED])
        raise ValueError(
            f"{place}, which holds other files ({named}): name a new folder. If these notebooks have made "
            f'it and {MARKER} was deleted, put that file back, with the line "{KINDS[kind]}"'
        )


def mark(folder: Path, kind: str) -> None:
    """Make a folder where it is missing, and mark it as ours before anything else is written.

    Args:
        kind: a key of `KINDS`.

    Raises:
        OSError: it can't be written.
    """
    require_room(folder, 0, "")
    marker = folder / MARKER
    try:
        # Of two runs that begin at once, one makes it.
        marker.open("x").close()
    except FileExistsError:
        if marker.stat().st_size > 0:
            return
    marker.write_text(KINDS[kind] + "\n" + ADVICE, encoding="utf-8")
