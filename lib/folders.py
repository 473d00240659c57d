"""Folders that are ours, or refused: results and scratch are new, empty, or carry our marker."""

import re
from pathlib import Path

from lib.storage import UNFINISHED, require_room

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
# Keys of folders of pictures, and of CSV files.
PICTURES = ("train", "validation", "test")
TABLES = ("train_labels", "corrections", "test_labels", "multi_labels")
# Where the project's own files lie; hidden folders are no place either.
PROJECT_FOLDERS = ("notebooks", "lib", "tests")


def check_apart(places: dict, repository: Path) -> None:
    """Check that results and scratch lie in nothing of the project's or the user's, and the reverse.

    Args:
        places: by the keys of the paths file, absolute; None where there is none.
        repository: the folder of the project.

    Raises:
        ValueError: they don't.
    """
    for kind in KINDS:
        _refuse_project(kind, places[kind], repository)
    for kind in KINDS:
        folder = places[kind]
        for key in (*PICTURES, *KINDS):
            if key != kind and places.get(key):
                _refuse_overlap(kind, folder, key, places[key])
        for key in TABLES:
            if places.get(key):
                _refuse_table(kind, folder, key, places[key])


def _refuse_project(kind, folder, repository):
    advice = "name a new folder, which may lie at its top"
    if repository.is_relative_to(folder):
        raise ValueError(f'"{kind}" is "{folder}", which holds this project: {advice}.')
    if folder.is_relative_to(repository):
        top = folder.relative_to(repository).parts[0]
        if top in PROJECT_FOLDERS or top.startswith("."):
            raise ValueError(
                f'"{kind}" is "{folder}", in {top} of this project: {advice}.'
            )


def _refuse_overlap(kind, folder, key, other):
    if folder.is_relative_to(other) or other.is_relative_to(folder):
        raise ValueError(
            f'"{kind}" is "{folder}" and "{key}" is "{other}": neither may lie in the other. Name a '
            f'new folder as "{kind}".'
        )


def _refuse_table(kind, folder, key, table):
    is_usual = key == "corrections" and table == folder / "corrections.csv"
    if table.is_relative_to(folder) and not is_usual:
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
    if not folder.exists():
        return
    place = f'"{kind}" is "{folder}"'
    if not folder.is_dir():
        raise ValueError(f"{place}, which is no folder: name a new folder.")
    marker = folder / MARKER
    if marker.exists():
        text = marker.read_text(encoding="utf-8", errors="replace")
        # Whoever made an empty one was killed.
        if text and not text.startswith(KINDS[kind]):
            raise ValueError(
                f"{place}, but {marker} says otherwise: name a new folder."
            )
        return
    foreign = _list_foreign(folder, opened)
    if foreign:
        named = ", ".join(foreign[:MAX_NAMED])
        raise ValueError(
            f"{place}, which holds other files ({named}): name a new folder. If these notebooks have made "
            f'it and {MARKER} was deleted, put that file back, with the line "{KINDS[kind]}"'
        )


def _list_foreign(folder, opened):
    """List the names in a folder that count as somebody's own."""
    names = [path.name for path in folder.iterdir() if path != opened]
    return sorted(name for name in names if not PASSED_OVER.fullmatch(name))


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
