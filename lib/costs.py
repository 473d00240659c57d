"""What a set will cost before it costs: the room that its pixels take."""

from pathlib import Path

from lib.base.storage import is_on_drive
from lib.base.workspace import Workspace


def describe_costs(ws: Workspace, folder: Path, count: int, sizes: list[int]) -> str:
    """Say how much room the pixels of a set will take.

    Args:
        folder: where the pictures lie, unpacked.
        count: of the pictures.
        sizes: sides in pixels of the squares that are kept of each.
    """
    megabytes = count * sum(3 * size * size for size in sizes) / 1e6
    place = "scratch"
    if is_on_drive(ws.results) and is_on_drive(folder):
        place += ", and as much on Google Drive"
    return f"Note: {count:,} pictures need about {megabytes:,.0f} MB of {place}."
