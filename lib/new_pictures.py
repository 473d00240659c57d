"""The pictures that `predict` is asked about: their files, and which belong together."""

import contextlib
import os
import sys
from pathlib import Path

from lib.data.label_files import read_labels
from lib.data.labels import list_new_pictures
from lib.data.names import match_files


def list_files(places: list[str]) -> list[str]:
    """Return pictures, and those in folders, each once; how many were named again is a note.

    Raises:
        FileNotFoundError: it names what does not exist.
    """
    files = []
    for place in places:
        if os.path.isdir(place):
            # Standard output is for the answers.
            with contextlib.redirect_stdout(sys.stderr):
                inside = list_new_pictures(Path(place), [])
            files += [str(Path(place, name)) for name in inside.file]
        else:
            # Its row will say that it can't be read.
            with contextlib.suppress(PermissionError):
                os.stat(place)
            files.append(place)
    different = {}
    for file in files:
        # Two links to one file are two pictures, since either may be asked for.
        folder = os.path.realpath(os.path.dirname(file))
        different.setdefault(os.path.join(folder, os.path.basename(file)), file)
    repeated = len(files) - len(different)
    if repeated:
        print(f"Note: named more than once: {repeated:,}", file=sys.stderr)
    return list(different.values())


def list_groups(how: str, files: list[str]) -> list[str]:
    """Return the group of each file: "folder", or as a CSV file of columns file and group says.

    Raises:
        ValueError: the CSV file gives a file no group, or several.
    """
    if how != "folder":
        return _read_groups(Path(how), files)
    # It may be written in several ways.
    return [os.path.realpath(Path(file).parent) for file in files]


def _read_groups(csv, files):
    paths = [Path(os.path.realpath(file)) for file in files]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    names = [path.relative_to(folder).as_posix() for path in paths]
    rows = read_labels(csv, ["file", "group"])
    found = match_files(rows.file, names, folder)
    by_path = dict(zip(paths, names))
    for name in rows.file:
        # As it was given goes first, which is how the table of answers has it.
        path = Path(os.path.realpath(name))
        found[name] = by_path.get(path, found.get(name))
    rows = rows.assign(file=rows.file.map(found))
    different = rows[["file", "group"]].drop_duplicates()
    groups = different.drop_duplicates("file", keep=False).set_index("file").group
    lost = [name for name in names if name not in groups]
    if lost:
        raise ValueError(
            f"{csv} has to give {lost[0]} one group (such files: {len(lost):,})."
        )
    # A picture without a group is its own.
    return [groups[name] or str(path) for name, path in zip(names, paths)]
