"""A contest of networks: who takes part, who doesn't and why, and the winner's model."""

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from lib.data import split
from lib.models import contest


@pytest.fixture
def networks(tmp_path):
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


def gather(specs, ws, weights="imagenet", seed=0):
    """Let networks look at the training part."""
    table = split.read_split(ws)
    rows = table[table.part == "train"]
    return contest.gather_features(specs, weights, None, rows, ws, seed)


def test_networks_that_cannot_be_had_are_rows_with_a_reason_and_the_others_go_on(
    prepared, networks
):
    facts, features = gather(list(networks.values()), prepared)

    broken, unknown, small, large = facts
    names = [row["candidate"] for row in facts]
    assert names == ["broken", "nosuchnet", "small", "large"]
    assert "broken.keras" in broken["reason"]
    assert "NoSuchNet" in unknown["reason"]
    assert small["reason"] == large["reason"] == ""
    assert list(features) == ["small", "large"]


def test_facts_tell_what_a_network_costs(prepared, networks):
    facts, _ = gather([networks["large"]], prepared)

    (large,) = facts
    assert large["features"] == 6
    # Six filters of 3 x 3 x 3 weights and a bias, of four bytes each.
    assert large["parameters"] == 6 * 28
    assert large["megabytes"] == pytest.approx(4 * 6 * 28 / 1e6)


def test_speed_is_that_of_the_fastest_of_three_passes_of_a_batch():
    waits = [0.4, 0.1, 0.2]

    def predict(batch):
        time.sleep(waits.pop(0))
        return np.zeros((len(batch), 4))

    network = SimpleNamespace(predict_on_batch=predict)

    speed = contest.measure_speed(network, np.zeros((32, 8, 8, 3)))

    # At most 32 in 0.1 s; a busy machine may wake up late.
    assert waits == []
    assert 6.4 < speed <= 320


def test_networks_look_at_the_training_part_alone_and_may_be_text_with_commas(
    prepared, networks
):
    _, features = gather(f"{networks['small']}, {networks['large']},", prepared)

    table = split.read_split(prepared)
    assert list(features) == ["small", "large"]
    assert len(features["small"]) == (table.part == "train").sum()


def test_none_left_is_an_error_after_a_note_with_every_reason(
    prepared, networks, capsys
):
    specs = [networks["broken"], networks["unknown"]]

    with pytest.raises(ValueError, match="none of these"):
        gather(specs, prepared)

    notes = capsys.readouterr().out
    assert re.search("(?s)Note: broken does.*Note: nosuchnet does", notes)


def test_on_the_demo_sketches_and_a_random_twin_compete_where_no_other_network_can(
    prepared, monkeypatch
):
    monkeypatch.setattr(type(prepared), "is_demo", True)

    facts, features = gather("NoSuchNet", prepared, seed=3)

    _, sketches, random, larger = facts
    assert list(features) == ["sketches", "sketches_random", "sketches_96"]
    assert sketches["weights"] == larger["weights"] == "sketches"
    assert random["weights"] == "untrained"
    assert sketches["licence"]
    assert larger["image_size"] == 96


def change_kernel(path, kernel):
    """Give the convolution of a network in a file another kernel."""
    network = keras.saving.load_model(path)
    network.layers[0].kernel.assign(kernel)
    network.save(path)


def test_network_whose_features_are_all_the_same_stays_away_and_the_others_go_on(
    prepared, networks
):
    change_kernel(networks["small"], np.zeros((3, 3, 3, 3), np.float32))

    facts, features = gather([networks["small"], networks["large"]], prepared)

    assert list(features) == ["large"]
    assert "the same for all" in facts[0]["reason"]


def test_network_with_a_feature_that_is_no_number_stays_away_and_the_others_go_on(
    ws, draw_classes, prepare_set, networks
):
    draw_classes(ws.train, 20)
    prepare_set(ws)
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    # The sum over a red picture is larger than any float32; red ones come last.
    kernel[:, :, 0] = 1e34
    change_kernel(networks["small"], kernel)

    facts, features = gather([networks["small"], networks["large"]], ws)

    assert list(features) == ["large"]
    assert "no finite numbers" in facts[0]["reason"]


def test_two_of_one_name_are_an_error_before_any_work(prepared):
    with pytest.raises(ValueError, match="net, net two are called alike"):
        gather(["a/net.keras", "b/net.keras"], prepared)


def test_picture_that_has_changed_since_01_is_no_fault_of_a_network(
    prepared, networks, tmp_path
):
    table = split.read_split(prepared)
    file = table.file[table.part == "train"].iloc[0]
    (prepared.train / file).write_bytes(b"another picture")
    elsewhere = replace(prepared, scratch=tmp_path / "another machine")

    with pytest.raises(OSError, match=f"{file} has changed since 01"):
        gather([networks["small"]], elsewhere)
