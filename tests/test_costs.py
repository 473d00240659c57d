"""What a set will cost is said beforehand."""

import re
from dataclasses import replace

from lib import costs


def test_room_and_minutes_are_said_from_the_number_of_pictures(ws, draw_classes):
    draw_classes(ws.train, 2)
    paths = sorted(ws.train.rglob("*.png"))
    room, minutes = costs.describe_costs(ws, paths * 5_000, [160, 224])
    # 227 kB a picture.
    assert "30,000 pictures need about 6,820 MB of scratch." in room
    found = re.findall(r"([\d,]+) in (\d\d)", minutes)
    taken = {name: int(number.replace(",", "")) for number, name in found}
    assert taken["03"] > taken["02"] > taken["04"] >= 1
    assert room.startswith("Note: ") and minutes.startswith("Note: ")


def test_drive_is_counted_where_the_results_lie_there(ws, drive, draw_classes):
    draw_classes(ws.train, 1)
    on_drive = replace(ws, results=drive / "results")
    paths = sorted(ws.train.rglob("*.png"))
    room = costs.describe_costs(on_drive, paths, [8])[0]
    assert "Google Drive" in room


def test_a_short_way_is_proposed_for_many_pictures(ws, draw_classes):
    draw_classes(ws.train, 1)
    path = next(ws.train.rglob("*.png"))
    assert "--only 1 5 8" in costs.describe_costs(ws, [path] * 50_001, [8])[-1]
    fewer = costs.describe_costs(ws, [path] * 50_000, [8])
    assert not any("--only" in line for line in fewer)
    assert costs.describe_costs(ws, [], [8]) == []


def test_a_damaged_picture_does_not_stop_it(ws):
    (ws.train / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert len(costs.describe_costs(ws, [ws.train / "cut.png"], [8])) == 1
