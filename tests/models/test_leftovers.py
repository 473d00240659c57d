"""Checkpoints that nobody goes on with."""

import json

import numpy as np
import pytest

from lib.models import leftovers


@pytest.fixture
def begun(ws):
    """A workspace with a checkpoint of 02 of five epochs, one of 03, one by hand,
    one of an earlier version, and a damaged one."""
    told = {
        "baseline_cnn-1": leftovers.tell("02_baseline_cnn", {"EPOCHS": 5, "SEEDS": 3}),
        "augmented_cnn-2": leftovers.tell("03_augmented_cnn", {"EPOCHS": 5}),
        "tiny-3": "",
    }
    for name, text in told.items():
        facts = json.dumps({"rows": [], "told": text})
        np.savez(ws.file("checkpoints", f"{name}.npz"), facts, np.zeros(3))
    np.savez(ws.file("checkpoints", "older-5.npz"), json.dumps([]), np.zeros(3))
    ws.file("checkpoints", "half-4.npz").write_bytes(b"half")
    return ws


def list_checkpoints(ws):
    return {path.stem for path in ws.results.glob("checkpoints/*.npz")}


def test_checkpoints_of_a_notebook_that_is_told_something_else_are_removed_with_a_line(
    begun, capsys
):
    before = list_checkpoints(begun)

    leftovers.remove_given_up(begun, {"02_baseline_cnn": {"EPOCHS": 9}})

    assert list_checkpoints(begun) == before - {"baseline_cnn-1"}
    assert capsys.readouterr().out.endswith("removed: baseline_cnn-1\n")


def test_checkpoints_that_a_notebook_goes_on_with_stay_whatever_the_number_of_seeds(
    begun, capsys
):
    before = list_checkpoints(begun)

    leftovers.remove_given_up(begun, {"02_baseline_cnn": {"EPOCHS": 5, "SEEDS": 1}})

    assert list_checkpoints(begun) == before
    assert capsys.readouterr().out == ""
