"""The pictures that `predict` is asked about: their files, and which belong together."""

import contextlib
import os
import sys
from pathlib import Path

from lib.data.label_files import read_labels
from lib.data.labels import list_new_pictures
from lib.data.names import match_files


def list_files(places: list[str]) -> list[str]:
    """Return pictures, and those in folders; a FileNotFoundError names what does not exist."""
    files = []
    for place in places:
        if os.path.isdir(place):
            # Standard output is for the answers.
            with contextlib.redirect_stdout(sys.stderr):
                inside = list_new_pictures(Path(place), [])
            files += [str(Path(place, name)) for name in inside.file]
        else:
            _require(place)
            files.append(place)
    return files


def _require(place):
    try:
        os.stat(place)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{place} does not exist: name pictures, or folders of them."
        )
    except OSError:
        pass  # Its row will say that it can't be read.


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
    rows["file"] = rows.file.map(match_files(rows.file, names, folder))
    rows = rows.drop_duplicates(["file", "group"])
    rows = rows.drop_duplicates("file", keep=False)
    groups = rows.set_index("file").group.to_dict()
    lost = [name for name in names if name not in groups]
    if lost:
        raise ValueError(
            f"{csv} has to give {lost[0]} one group (such files: {len(lost):,})."
        )
    # A picture without a group is its own.
    return [groups[name] or str(path) for name, path in zip(names, paths)]
