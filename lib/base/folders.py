"""Folders that are ours, or refused: results and scratch are new, empty, or carry our marker."""

import itertools
import re
from pathlib import Path

from lib.base.escapes import list_some
from lib.base.storage import UNFINISHED, atomic_write, require_room

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
# The one file of the user's that may lie among the results.
CORRECTIONS = "corrections.csv"
# What systems and people may leave in any folder, and what a killed run of ours has left.
PASSED_OVER = re.compile(
    r"\..*|.*\.lock|desktop\.ini|Thumbs\.db|Icon\r|lost\+found|corrections\.csv|drive_paths\.json|"
    + UNFINISHED.pattern
)


def check(places: dict[str, Path | str]) -> None:
    """Check that results and scratch are ours to write, and lie in nothing that is read, or the reverse.

    Args:
        places: by the keys of the paths file; of paths, all are absolute.

    Raises:
        ValueError: they aren't, or do. Nothing is written.
    """
    read = _list_read(places)
    for kind in KINDS:
        folder = places[kind]
        for key, other in read:
            is_inside = folder.is_relative_to(other) or other.is_relative_to(folder)
            if is_inside and key != kind and other != places["results"] / CORRECTIONS:
                raise ValueError(
                    f'"{kind}" is "{folder}" and "{key}" is "{other}": neither may lie in the other. Name '
                    "another folder."
                )
        _check_ours(folder, kind)


def _list_read(places):
    """List all places by their keys; classes that are links, and val beside train, count, too."""
    read = []
    for key, place in places.items():
        # Archives hold no folders, nor does what isn't here.
        inside = map(Path.resolve, Path(place).glob("*/"))
        read += [(key, path) for path in (Path(place), *inside)]
    for path in Path(places["train"]).parent.glob("[vV]al*/"):
        if not (path / MARKER).exists():
            read.append(("validation", path.resolve()))
    if "multi_labels" in places:
        # The folder that is called like the table may hold its pictures.
        read.append(("multi_labels", places["multi_labels"].with_suffix("")))
    return read


def _check_ours(folder, kind):
    """Raise a ValueError where a folder is neither new, nor empty, nor marked as one of its kind."""
    marker = folder / MARKER
    if marker.exists() and KINDS[kind].encode() in marker.read_bytes():
        return
    names = [path.name for path in folder.glob("*")]
    foreign = list_some(itertools.filterfalse(PASSED_OVER.fullmatch, names))
    if foreign:
        raise ValueError(
            f'"{kind}" is "{folder}", which holds other files ({foreign}): name a new folder. One of these '
            f'notebooks is known by its {MARKER}, with the line "{KINDS[kind]}"'
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
    # Of two runs that begin at once, both write the same.
    if not marker.exists():
        with atomic_write(marker) as part:
            part.write_text(f"{KINDS[kind]}\n{ADVICE}", encoding="utf-8")
