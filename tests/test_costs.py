"""How much room a set will take is said beforehand."""

from dataclasses import replace

from lib import costs


def test_room_is_said_from_the_number_of_pictures(ws):
    said = costs.describe_costs(ws, ws.train, 30_000, [160, 224])

    # 3 x (160² + 224²) bytes a picture: 227,328.
    assert said.startswith("Note: 30,000 pictures")
    assert "6,820 MB" in said


def test_drive_is_counted_where_results_and_pictures_lie_there(ws, drive):
    on_drive = replace(ws, results=drive / "results")
    pictures = drive / "train"

    assert "Google Drive" in costs.describe_costs(on_drive, pictures, 1, [8])
    assert "Google Drive" not in costs.describe_costs(on_drive, ws.train, 1, [8])
    assert "Google Drive" not in costs.describe_costs(ws, pictures, 1, [8])
