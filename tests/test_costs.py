"""What a set will cost is said beforehand."""

import shutil
import time
from dataclasses import replace

import pytest

from lib import costs


@pytest.fixture
def pictures(ws, draw_classes):
    """Two pictures."""
    draw_classes(ws.train, 2, ["red"])
    return sorted(ws.train.rglob("*.png"))


def test_room_and_minutes_are_said_from_the_number_of_pictures(
    ws, pictures, monkeypatch
):
    # 64 pictures are decoded in sixteen seconds.
    monkeypatch.setattr(time, "perf_counter", iter([0, 16]).__next__)

    room, minutes = costs.describe_costs(ws, pictures * 15_000, [160, 224])

    # 3 x (160² + 224²) bytes a picture: 227,328.
    assert room.startswith("Note: 30,000 pictures")
    assert "6,820 MB" in room
    # 4, 7.8, 5.3 and 23 pictures a second.
    assert "125 in 01, 64 in 02, 94 in 03, 22 in 04" in minutes


def test_drive_is_counted_where_results_and_pictures_lie_there(ws, drive, pictures):
    on_drive = replace(ws, results=drive / "results")
    moved = shutil.copytree(ws.train, drive / "train")
    there = sorted(moved.rglob("*.png"))

    assert "Google Drive" in costs.describe_costs(on_drive, there, [8])[0]
    assert "Google Drive" not in costs.describe_costs(on_drive, pictures, [8])[0]
    assert "Google Drive" not in costs.describe_costs(ws, there, [8])[0]


@pytest.mark.parametrize(("count", "is_proposed"), [(50_001, True), (50_000, False)])
def test_a_short_way_is_proposed_for_many_pictures(ws, pictures, count, is_proposed):
    last = costs.describe_costs(ws, pictures[:1] * count, [8])[-1]

    assert ("--only 1 5 8" in last) == is_proposed


def test_no_pictures_cost_nothing(ws):
    assert costs.describe_costs(ws, [], [8]) == []


def test_a_damaged_picture_does_not_stop_it(ws):
    cut = ws.train / "cut.png"
    cut.write_bytes(b"\x89PNG\r\n\x1a\n")

    assert len(costs.describe_costs(ws, [cut], [8])) == 1
