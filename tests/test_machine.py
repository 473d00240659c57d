import time

import keras
import pytest

from lib import machine


@pytest.mark.parametrize(
    ("precision", "gpus", "flags", "is_faster", "policy"),
    [
        ("float32", ["7.5"], "avx512_bf16", True, "float32"),
        ("auto", ["7.5", "8.0"], "", False, "mixed_float16"),
        ("auto", ["6.1", "8.0"], "avx512_bf16", True, "float32"),
        ("auto", [], "avx512_bf16", True, "mixed_bfloat16"),
        ("auto", [], "avx512_bf16", False, "float32"),
        ("auto", [], "avx2", True, "float32"),
    ],
)
def test_precision_follows_what_the_machine_has(
    precision, gpus, flags, is_faster, policy, tmp_path, monkeypatch
):
    (tmp_path / "cpuinfo").write_text(f"flags: sse {flags}")
    monkeypatch.setattr(machine, "CPU_FLAGS", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "query_gpus", lambda field: gpus)
    monkeypatch.setattr(machine, "is_bfloat16_faster", lambda: is_faster)
    assert machine.set_precision(precision) == keras.config.dtype_policy().name == policy
    machine.set_precision("float32")


@pytest.mark.parametrize("slow", ["float32", "bfloat16"])
def test_bfloat16_is_faster_where_a_product_of_matrices_is(slow, monkeypatch):
    def multiply(one, other):
        time.sleep(0.02 * (keras.backend.standardize_dtype(one.dtype) == slow))
        return one

    monkeypatch.setattr(keras.ops, "matmul", multiply)
    assert machine.is_bfloat16_faster() == (slow == "float32")


def test_unknown_precision_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="PRECISION.*half"):
        machine.set_precision("half")
