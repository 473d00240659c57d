"""The contest of 05: which networks take part, which don't and why."""

import re
import timeit
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import run_cells

from lib.data import pixels, split
from lib.models import backbones, linear, networks, parts
from lib.models.features import cached_features

CELLS = ["backbones-09", "05-look", "05-gather", "05-gather-all"]
ROOMS = {
    "backbones": backbones,
    "cached_features": cached_features,
    "keras": keras,
    "linear": linear,
    "networks": networks,
    "parts": parts,
    "pixels": pixels,
    "tf": tf,
    "timeit": timeit,
}


@pytest.fixture
def files(tmp_path):
    """Two small networks in files, a broken one, and a name that Keras doesn't know."""
    for name, filters in (("small", 3), ("large", 6)):
        keras.utils.set_random_seed(filters)
        inputs = keras.Input((8, 8, 3))
        convolution = keras.layers.Conv2D(filters, 3, activation="relu")
        keras.Sequential([inputs, convolution]).save(tmp_path / f"{name}.keras")
    (tmp_path / "broken.keras").write_bytes(b"half of a download")
    return {
        "broken": str(tmp_path / "broken.keras"),
        "unknown": "NoSuchNet",
        "small": str(tmp_path / "small.keras"),
        "large": str(tmp_path / "large.keras"),
    }


def gather(specs, ws):
    """Let networks look at the training part, as 05 does; return their facts and features."""
    table = split.read_split(ws)
    names = {
        "BACKBONES": specs,
        "IMAGE_SIZE": None,
        "SEED": 0,
        "WEIGHTS": "imagenet",
        "train_rows": table[table.part == "train"],
        "ws": ws,
    }
    known = run_cells("05_backbones", CELLS, ROOMS | names)
    return known["facts"], known["features"]


def test_networks_that_cannot_be_had_are_rows_with_a_reason_and_the_others_go_on(
    prepared, files
):
    facts, features = gather(list(files.values()), prepared)

    broken, unknown, small, large = facts
    names = [row["candidate"] for row in facts]
    assert names == ["broken", "nosuchnet", "small", "large"]
    assert "broken.keras" in broken["reason"]
    assert "NoSuchNet" in unknown["reason"]
    assert small["reason"] == large["reason"] == ""
    assert list(features) == ["small", "large"]
    # Six filters of 3 x 3 x 3 weights and a bias, of four bytes each.
    assert large["features"] == 6
    assert large["parameters"] == 6 * 28
    assert large["megabytes"] == pytest.approx(4 * 6 * 28 / 1e6)


def test_none_left_is_an_error_after_a_note_with_every_reason(prepared, files, capsys):
    with pytest.raises(AssertionError, match="none can take part"):
        gather(f"{files['broken']}, {files['unknown']}", prepared)

    notes = capsys.readouterr().out
    assert re.search("(?s)Note: broken does.*Note: nosuchnet does", notes)


def test_on_the_demo_sketches_of_three_sizes_compete_where_no_other_network_can(
    prepared, monkeypatch
):
    monkeypatch.setattr(type(prepared), "is_demo", True)

    facts, features = gather("NoSuchNet", prepared)

    sizes = [row["image_size"] for row in facts[1:]]
    assert list(features) == ["sketches", "sketches_44", "sketches_32"]
    assert sizes == [backbones.SKETCHES_SIZE, 44, 32]
    assert {row["weights"] for row in facts[1:]} == {"sketches"}


@pytest.mark.parametrize(
    ("value", "reason"), [(0, "the same for all"), (3e38, "no finite numbers")]
)
def test_network_whose_features_tell_nothing_stays_away_and_the_others_go_on(
    value, reason, prepared, files
):
    network = keras.saving.load_model(files["small"])
    kernel = network.layers[0].kernel
    kernel.assign(np.full(kernel.shape, value, np.float32))
    network.save(files["small"])

    facts, features = gather([files["small"], files["large"]], prepared)

    assert list(features) == ["large"]
    assert reason in facts[0]["reason"]


def test_pictures_that_are_gone_or_others_since_01_are_no_fault_of_a_network(
    prepared, files, tmp_path
):
    elsewhere = replace(prepared, scratch=tmp_path / "another machine")
    table = split.read_split(prepared)
    file = table.file[table.part == "train"].iloc[0]
    (prepared.train / file).write_bytes(b"another picture")

    with pytest.raises(OSError, match=f"{file} has changed since 01"):
        gather([files["small"]], elsewhere)

    prepared.train.rename(tmp_path / "unmounted")
    with pytest.raises(OSError, match="train"):
        gather([files["small"]], elsewhere)
