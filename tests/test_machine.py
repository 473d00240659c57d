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
    assert machine.set_precision(precision) == keras.config.dtype_policy().name == policy
    machine.set_precision("float32")


def test_unknown_precision_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="PRECISION.*half"):
        machine.set_precision("half")


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, ["0", "1", "-1"]), ("1", ["1", "-1", "-1"]), ("", 3 * ["-1"]), ("-1", 3 * ["-1"])],
)
def test_each_process_gets_a_gpu_of_its_own_of_those_that_are_allowed(
    visible, expected, monkeypatch
):
    monkeypatch.setattr(machine, "query_gpus", lambda field: ["0", "1"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    shares = machine.share_machine(3)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == expected
