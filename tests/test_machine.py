import keras
import pytest

from lib import machine


@pytest.mark.parametrize(
    ("precision", "gpus", "policy"),
    [
        ("float32", ["7.5"], "float32"),
        ("auto", ["7.5", "8.0"], "mixed_float16"),
        ("auto", ["6.1", "8.0"], "float32"),
        ("auto", [], "float32"),
    ],
)
def test_precision_follows_what_the_machine_has(precision, gpus, policy, monkeypatch):
    monkeypatch.setattr(machine, "query_gpus", lambda field: gpus)
    assert (
        machine.set_precision(precision) == keras.config.dtype_policy().name == policy
    )
    machine.set_precision("float32")
