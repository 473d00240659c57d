"""What the audit finds of planted copies."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import run_cells
from IPython.display import display
from sklearn.metrics import cohen_kappa_score

from lib.data import label_files, sources
from lib.evaluation import neighbours
from lib.evaluation.metrics import share_interval
from lib.evaluation.wording import format_bounds

EVERY = np.arange(220)


@pytest.fixture
def drawn():
    """Features and thumbnails of 200 pictures in 4 classes, then of copies of the first 20."""
    rng = np.random.default_rng(0)
    features = rng.gamma(1, 1, (200, 64))
    centres = 2 * rng.gamma(1, 1, (4, 64))
    features += centres[np.arange(200) % 4]
    near = features[:20] * rng.uniform(0.85, 1.15, (20, 64))
    rows = neighbours.scale_features(np.concatenate([features, near]))
    colours = rng.integers(0, 256, (200, 1, 1, 3))
    shade = np.linspace(0.5, 1, 256).reshape(16, 16, 1)
    thumbnails = (colours * shade).astype(np.uint8)
    # Mirrored, and with red and blue exchanged.
    changed = thumbnails[:20, :, ::-1, ::-1]
    return rows, np.concatenate([thumbnails, changed])


def find_copies(rows, thumbnails, groups=EVERY):
    """Find copies with the closeness of 07; no pictures are known to belong together."""
    return neighbours.find_copies(rows, groups[: len(rows)], thumbnails, 0.66)


def test_all_copies_are_found_and_no_others(drawn):
    pairs = find_copies(*drawn).sort_values("a")

    assert pairs.a.tolist() == list(range(20))
    assert pairs.b.tolist() == list(range(200, 220))


@pytest.mark.parametrize(("levels", "count"), [(25, 20), (26, 0)])
def test_close_features_of_other_brightness_are_no_copies(drawn, levels, count):
    rows, thumbnails = drawn
    thumbnails[:200] = 100
    thumbnails[200:] = 100 + levels

    pairs = find_copies(rows, thumbnails)

    assert (pairs.b >= 200).sum() == count


def test_pictures_known_to_belong_together_are_no_news(drawn):
    pairs = find_copies(*drawn, groups=EVERY % 200)

    assert not (pairs.b >= 200).any()


def test_a_group_takes_no_place_among_the_nearest_of_its_pictures(drawn):
    rows, _ = drawn
    rows[:20] = rows[0]
    groups = np.maximum(EVERY - 19, 0)

    nearest, _ = neighbours.find_nearest(rows, groups, EVERY, EVERY[:20])

    assert nearest.min() >= 20


def test_labels_of_two_people_are_compared_where_both_gave_one(ws, tmp_path, capsys):
    (ws.train / "0.png").touch()
    files = [f"{number}.png" for number in range(50)]
    table = pd.DataFrame({"file": files, "label": "cat", "group": range(50)})
    table.loc[25:, "label"] = "dog"
    labels_of_second = np.repeat(["cat", "dog", "cat", "dog"], [20, 5, 10, 5])
    second = table[:40].assign(label=labels_of_second)
    second.to_csv(tmp_path / "second.csv", index=False)
    tools = [cohen_kappa_score, display, format_bounds, share_interval]
    names = {tool.__name__: tool for tool in tools}
    names |= {"label_files": label_files, "Path": Path, "table": table}
    names |= {"ws": ws, "sources": sources}
    names["SECOND_LABELS"] = tmp_path / "second.csv"

    run_cells("07_label_audit", ["two-code"], names)

    said = capsys.readouterr().out
    # Chance gives 25/40 · 30/40 + 15/40 · 10/40 = 0.5625.
    shown = said.replace("\xa0", " ")
    expected = "25 of 40 labels agree, 95 % interval 47 to 76 %; kappa 0.14"
    assert shown.startswith(expected)
