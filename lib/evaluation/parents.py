"""Parents of classes: a person names them, and nothing is trained for them."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lib.base.escapes import list_some
from lib.data.label_files import read_labels, refuse_cells
from lib.data.names import find_alike


def read_parents(path: Path | None, class_names: Sequence[str]) -> dict[str, str]:
    """Read the parents that a CSV file class,parent names; there are none without a file.

    Returns:
        Of each class, and of each parent that has one, the parent directly above it, as `parents` below.

    Raises:
        ValueError: A name has two parents or lies below itself, or a class is a parent; the error names
            file and line. A name that is neither is passed over, with a note; another one names those that
            differ in capitals alone.
    """
    if path is None:
        return {}
    rows = read_labels(path, ["class", "parent"]).query("parent != ''")
    rows = rows.drop_duplicates(["label", "parent"])
    alike = find_alike([*class_names, *rows.label, *rows.parent])
    if alike:
        print(f"Note: {path.name}: these stay apart: {list_some(alike)}.")
    is_known = rows.label.isin([*class_names, *rows.parent])
    if not is_known.all():
        others = list_some(rows.label[~is_known])
        print(f"Note: {path.name}: passed over, as no class and no parent: {others}.")
    rows = rows[is_known]
    is_class = rows.parent.isin(class_names)
    refuse_cells(path, rows.parent[is_class], "parent: it is a class")
    refuse_cells(
        path,
        rows.label[rows.label.duplicated()],
        "new name: an earlier line gives its parent",
    )
    try:
        TopologicalSorter(rows.groupby("label").parent.agg(list)).prepare()
    except CycleError as error:
        circle = rows.parent[rows.label.isin(error.args[1])]
        refuse_cells(path, circle, "parent: it lies below itself")
    return rows.set_index("label").parent.to_dict()


def list_parents(name: str, parents: dict) -> list[str]:
    """List all parents of a class, the highest first."""
    found = []
    while name := parents.get(name):
        found.insert(0, name)
    return found


def find_parent(names: list, parents: dict) -> str:
    """Return the lowest parent that holds all of some classes; "" where there is none."""
    lines = [list_parents(name, parents) for name in names]
    shared = set(lines[0]).intersection(*lines)
    return max(shared, key=lines[0].index, default="")


def order_classes(class_names: Sequence[str], parents: dict) -> list[str]:
    """Order classes by name, those of one parent beside one another, before parents below it."""

    def line_up(name: str) -> list[tuple[bool, str]]:
        above = [(True, parent) for parent in list_parents(name, parents)]
        return [*above, (False, name)]

    return sorted(class_names, key=line_up)
