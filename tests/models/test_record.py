"""Records of models: which trainings count together, and what earlier versions wrote."""

import json

import keras
import pytest
from conftest import build_classifier, fit_runs

from lib.data import generators
from lib.data.split import identify_set, read_split
from lib.models import training
from lib.models.record import (
    Found,
    Record,
    list_records,
    read_found,
    read_record,
    update_record,
    write_found,
)


def train_network(ws, seeds, units=4, batches=None, epochs=1):
    """Train a network of one dense layer before the last for an epoch."""

    def build():
        hidden = keras.layers.Dense(units, activation="relu")
        model = build_classifier(keras.layers.Flatten(), hidden, name="cnn")
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    batches = batches or generators.pair(ws, 8, 12, seed=seeds[0])
    return fit_runs(
        training.Runs(build, batches, ws, {"EPOCHS": epochs}, seeds), epochs
    )


def name_records(ws, *filters):
    """Return the names of the models that count, sorted: dates of one second leave open which is older."""
    return sorted(record.name for record in list_records(ws, *filters))


def test_a_changed_network_is_not_averaged_with_earlier_seeds_and_a_note_says_so(
    prepared, capsys
):
    train_network(prepared, [42, 43])

    train_network(prepared, [42], units=5)

    assert name_records(prepared) == ["cnn"]
    assert "\nNote: cnn@43 is left out: it is of other" in capsys.readouterr().out


def test_a_seed_counts_once(prepared):
    train_network(prepared, [42, 43, 44])

    train_network(prepared, [43])

    assert name_records(prepared) == ["cnn", "cnn@44"]


def test_a_model_is_of_the_split_that_its_batches_are_of(prepared):
    batches = generators.pair(prepared, 8, 12, seed=42)
    rows = read_split(prepared)
    before = identify_set(rows)
    others = rows.part.map({"train": "validation", "validation": "train"})
    split = rows[["file", "label"]].assign(part=others)
    prepared.save_table(split, "split.csv")

    train_network(prepared, [42], batches=batches)

    record = read_record(prepared.results / "models/cnn.json")
    assert record.split_hash == before
    with pytest.raises(FileNotFoundError, match="no .*model .*02_baseline_cnn"):
        list_records(prepared)


def test_epochs_that_04_alone_chooses_are_an_error(prepared):
    with pytest.raises(ValueError, match="EPOCHS .*say 20"):
        train_network(prepared, [42], epochs="auto")


def describe(ws, name, **facts):
    """Write the record of a model of the current split, and a file beside it."""
    ws.file("models", f"{name}.keras").touch()
    facts = {"configuration": name, "family": name} | facts
    facts = {"split_hash": identify_set(read_split(ws))} | facts
    return update_record(ws, Record(name, ["007", "NA", "red"], 8, **facts))


def test_what_another_version_knew_more_is_passed_over(prepared):
    content = {"name": "old", "class_names": [], "image_size": 8, "task": "x"}
    prepared.save_json(content, "models/old.json")

    assert read_record(prepared.results / "models/old.keras") == Record("old", [], 8)


def test_what_an_earlier_version_left_open_is_as_if_it_were_not_there(ws):
    known = {"name": "a", "class_names": ["x", "y"], "image_size": 8}
    ws.save_json(known | {"answer_sets": None}, "models/a.json")

    record = read_record(ws.results / "models/a.json")

    assert record == Record(**known)


@pytest.mark.parametrize("content", ['{"name": "ha', "[]", '{"name": "half"}', "1"])
def test_model_of_a_damaged_record_is_left_out_after_a_note_that_names_its_file(
    content, prepared, capsys
):
    describe(prepared, "whole")
    describe(prepared, "half")
    prepared.file("models/half.json").write_text(content)

    assert name_records(prepared) == ["whole"]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Note: {prepared.results}/models/half.keras is left out")


def test_record_without_its_model_and_a_model_of_several_labels_do_not_count(prepared):
    describe(prepared, "whole")
    describe(prepared, "several", thresholds={"007": 0.5})
    describe(prepared, "lost")
    (prepared.results / "models/lost.keras").unlink()

    assert name_records(prepared) == ["whole"]


def test_what_is_found_of_a_model_is_kept_beside_it(prepared):
    record = describe(prepared, "cnn")

    found = update_record(prepared, record, temperature=1.5)

    assert record.temperature is None
    assert read_record(prepared.results / "models/cnn.keras") == found
    text = (prepared.results / "models/cnn.json").read_text(encoding="utf-8")
    assert json.loads(text)["temperature"] == 1.5


def test_models_are_asked_for_by_kind_and_name(prepared):
    describe(prepared, "own", kind="scratch")
    describe(prepared, "a_transfer", kind="transfer")
    describe(prepared, "a_linear", kind="linear")

    assert name_records(prepared, ["linear", "transfer"]) == ["a_linear", "a_transfer"]
    assert name_records(prepared, ["linear", "scratch"], "own") == ["own"]
    with pytest.raises(FileNotFoundError, match="no model own .*05_backbones"):
        list_records(prepared, ["linear"], "own")


def test_what_lessons_find_of_one_set_stands_in_one_file(ws):
    write_found(ws, "a", contest=[{"candidate": "net"}])
    write_found(ws, "a", doubtful=3)

    assert read_found(ws, "a") == Found("a", [{"candidate": "net"}], doubtful=3)


def test_what_was_found_of_another_set_counts_no_longer(ws):
    write_found(ws, "a", doubtful=3)

    assert read_found(ws, "b") == Found("b")
    write_found(ws, "b", copies=1)
    assert read_found(ws, "a") == Found("a")
