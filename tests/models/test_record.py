"""Records of models: which trainings count together, and what earlier versions wrote."""

import json

import keras
import pytest
from conftest import fit_runs

from lib.data import generators
from lib.data.split import identify_set, read_split
from lib.models import training
from lib.models.record import (
    Record,
    find_transfer,
    list_records,
    read_record,
    update_record,
)


def train_network(ws, seeds, units=4, batches=None):
    """Train a network of one dense layer before the last for an epoch."""

    def build():
        layers = [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
        model = keras.Sequential(layers, name="cnn")
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    batches = batches or generators.pair(ws, 8, 12, seed=seeds[0])
    return fit_runs(training.Runs(build, batches, ws, {"EPOCHS": 1}, seeds), 1)


def name_records(ws):
    """Return the names and seeds of the models that count, and the lines about the others."""
    records, left_out = list_records(ws)
    return [(record.name, record.seed) for record in records], left_out


def test_a_changed_network_is_not_averaged_with_earlier_seeds(prepared):
    train_network(prepared, [42, 43, 44])

    train_network(prepared, [42], units=5)

    counted, left_out = name_records(prepared)
    assert counted == [("cnn", 42)]
    assert len(left_out) == 2
    assert all("cnn was trained since with other settings" in line for line in left_out)


def test_a_seed_counts_once(prepared):
    train_network(prepared, [42, 43, 44])

    train_network(prepared, [43])

    counted, (line,) = name_records(prepared)
    assert counted == [("cnn", 43), ("cnn@44", 44)]
    assert line.startswith("cnn@43 is left out: cnn was trained since")
    assert "or its seed" in line


def test_a_model_is_of_the_split_that_its_batches_are_of(prepared):
    batches = generators.pair(prepared, 8, 12, seed=42)
    rows = read_split(prepared)
    before = identify_set(rows)
    others = rows.part.map({"train": "validation", "validation": "train"})
    prepared.save_table(rows.assign(part=others), "split.csv")

    train_network(prepared, [42], batches=batches)

    record = read_record(prepared.results / "models/cnn.json")
    assert record.split_hash == before
    with pytest.raises(FileNotFoundError, match="cnn is left out: .*other pictures"):
        list_records(prepared)


def test_batches_of_two_splits_or_of_none_are_an_error(prepared):
    train, validation = generators.pair(prepared, 8, 12, seed=42)
    rows = read_split(prepared)
    prepared.save_table(rows.assign(part=rows.part[::-1].to_numpy()), "split.csv")
    _, other = generators.pair(prepared, 8, 12, seed=42)
    unnamed = generators.Batches(train.inputs, train.y_true, 3, 12, seed=42)

    for batches in ((train, other), (unnamed, unnamed)):
        with pytest.raises(ValueError, match="of which split"):
            train_network(prepared, [42], batches=batches)


def describe(ws, name, **facts):
    """Write the record of a model of the current split, and a file beside it."""
    ws.file("models", f"{name}.keras").touch()
    facts = {"configuration": name, "family": name} | facts
    facts = {"split_hash": identify_set(read_split(ws))} | facts
    return update_record(ws, Record(name, ["007", "NA", "red"], 8, **facts))


def test_what_an_earlier_version_wrote_does_not_count_and_can_be_asked(prepared):
    record = describe(prepared, "new")
    early = {"name": "old", "class_names": record.class_names, "image_size": 8}
    early |= {"split_hash": record.split_hash, "backbone_origin": None, "task": "x"}
    prepared.save_json(early, "models/old.json")

    counted, (line,) = name_records(prepared)

    assert counted == [("new", None)]
    assert line.startswith("old is left out: it is damaged, ")
    assert read_record(prepared.results / "models/old.keras").backbone_origin == {}


@pytest.mark.parametrize("content", ['{"name": "ha', "[]", '{"name": "half"}', "1"])
def test_models_of_damaged_records_and_of_several_labels_are_left_out(
    content, prepared
):
    describe(prepared, "whole")
    describe(prepared, "several", thresholds={"007": 0.5}, split_hash="own")
    prepared.file("models/half.json").write_text(content)

    counted, (line,) = name_records(prepared)

    assert counted == [("whole", None)]
    assert line.startswith("half is left out: it is damaged")


def test_a_model_without_its_file_is_left_out(prepared):
    describe(prepared, "whole")
    describe(prepared, "lost")
    (prepared.results / "models/lost.keras").unlink()

    counted, (line,) = name_records(prepared)

    assert counted == [("whole", None)]
    assert line.startswith("lost is left out: it is damaged, without its .keras file")


def test_what_is_found_of_a_model_is_kept_beside_it(prepared):
    record = describe(prepared, "cnn")

    found = update_record(prepared, record, temperature=1.5)

    assert record.temperature is None
    assert read_record(prepared.results / "models/cnn.keras") == found
    text = (prepared.results / "models/cnn.json").read_text(encoding="utf-8")
    assert json.loads(text)["temperature"] == 1.5


def test_start_is_the_model_asked_for_else_the_newest_winner_of_05(prepared):
    describe(prepared, "first_linear", kind="linear", date="2026-01-01 10:00:00")
    describe(prepared, "second_linear", kind="linear", date="2026-01-01 11:00:00")
    describe(prepared, "a_transfer", kind="transfer", date="2026-01-01 12:00:00")

    assert find_transfer(prepared).name == "second_linear"
    assert find_transfer(prepared, "a_transfer").name == "a_transfer"


def test_a_model_of_another_kind_is_no_start(prepared):
    describe(prepared, "own_linear", kind="network")
    describe(prepared, "a_transfer", kind="transfer")

    assert find_transfer(prepared).name == "a_transfer"
    for name in ("own_linear", "a_transfer", ""):
        with pytest.raises(
            FileNotFoundError, match=f"{name or 'model'} .*05_backbones"
        ):
            find_transfer(prepared, name, ["linear"])
