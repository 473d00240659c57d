"""What a model is: its key, and the file that opens everywhere."""

import hashlib
import inspect
import json
import linecache
import re
import zipfile
from pathlib import Path
from types import FunctionType

import keras
import numpy as np

# Where a layer's configuration names a layer: its own name, and those whose outputs it takes.
NAME = re.compile(r'(?<="name": )"([^"]+)"|(?<=\[)"([^"]+)"(?=, \d+, \d+\])')


def make_key(*parts) -> str:
    """Hash models, arrays and what JSON can write: the key is the same exactly if nothing is other.

    Of a model count its configuration, whatever names Keras gave its layers and whatever
    initialisers they have, and the values of all its variables, the states of random layers among
    them. Of your own functions and classes only the names: see `read_own_code`.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, keras.Model):
            digest.update(describe_config(part.get_config()).encode())
            arrays = map(keras.ops.convert_to_numpy, part.variables)
        elif isinstance(part, np.ndarray):
            arrays = [part]
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
            arrays = []
        for array in arrays:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        digest.update(b"\n")
    return digest.hexdigest()[:32]


def describe_config(config: dict) -> str:
    """Return what `get_config` gives as JSON: names are numbered, and initialisers left out."""
    numbers = {}
    return NAME.sub(
        lambda name: f'"{numbers.setdefault(name[1] or name[2], len(numbers))}"',
        json.dumps(simplify(config)),
    )


def describe_training(model: keras.Model) -> list[str]:
    """List how a model is compiled, and what of it is a notebook's own."""
    how = model.get_compile_config() | {"jit_compile": model.jit_compile}
    return [describe_config(how), *read_own_code(model)]


def read_own_code(model: keras.Model) -> list[str]:
    """List the cells of a notebook that define what a model, its loss and optimizer are made of.

    And the numbers and texts that these functions and methods use.
    """
    parts = [model]
    for part in parts:
        parts += getattr(part, "layers", [])
    parts += [getattr(model, "optimizer", None), *keras.tree.flatten(getattr(model, "loss", None))]
    waiting = [one for part in parts for one in (part, *getattr(part, "__dict__", {}).values())]
    found, seen = [], set()
    while waiting:
        value = waiting.pop()
        value = inspect.unwrap(getattr(value, "python_function", value))  # that of a tf.function
        value = value if isinstance(value, (FunctionType, type)) else type(value)
        if value.__module__ != "__main__" or value in seen:
            continue
        seen.add(value)
        if isinstance(value, type):
            waiting += vars(value).values()
            continue
        used = [cell.cell_contents for cell in value.__closure__ or ()]
        used += [value.__globals__.get(name) for name in value.__code__.co_names]
        waiting += used
        found += linecache.getlines(value.__code__.co_filename)
        found += [repr(one) for one in used if isinstance(one, (int, float, str))]
    return found


def simplify(config, in_float32: bool = False):
    """Leave out of a configuration what only training needs, and what is usual.

    Every version of Keras adds arguments that older ones don't know; as long as they are left at
    their defaults, nothing of them has to be written. Takes what `get_config` or a model's file
    gives; `in_float32` makes layers that compute in half precision compute in float32.
    """
    if isinstance(config, (list, tuple)):
        return [simplify(value, in_float32) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        policy = config["config"]["name"]
        return "float32" if in_float32 and policy.startswith("mixed_") else policy
    kept = {key: value for key, value in config.items() if key != "compile_config"}
    simple = {key: simplify(value, in_float32) for key, value in kept.items()}
    layer = getattr(keras.layers, str(config.get("class_name")), None)
    if layer is not None and isinstance(config.get("config"), dict):
        # Layers that read their configuration themselves may rely on what is in it.
        reads = layer.from_config.__func__ is not keras.Layer.from_config.__func__
        for key, argument in inspect.signature(layer.__init__).parameters.items():
            is_usual = simple["config"].get(key) == argument.default and not reads
            if is_usual or key.endswith("_initializer"):
                simple["config"].pop(key, None)
    return simple


def rebuild(model: keras.Model, name: str, policy: str) -> keras.Model:
    """Build a model anew under another name, the models within it in another dtype policy of Keras.

    It is functional, and computes in float32, as its last layer will.
    """
    config = model.get_config() | {"name": name}
    for layer, described in zip(model.operations[:-1], config["layers"]):
        if isinstance(layer, keras.Model):
            described["config"] = _compute_in(described["config"], policy)
    again = type(model).from_config(config)
    again.set_weights(model.get_weights())
    return again


def _compute_in(config, policy: str):
    if isinstance(config, (list, tuple)):
        return [_compute_in(value, policy) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return policy
    return {key: _compute_in(value, policy) for key, value in config.items()}


def write_model(model: keras.Model, path: Path) -> None:
    """Write a model so that it opens in older and newer Keras, on any backend and any machine.

    It was never compiled, so the optimizer's state, twice the weights, stays out; and it computes
    in float32.
    """
    plain = type(model).from_config(simplify(model.get_config(), in_float32=True))
    plain.set_weights(model.get_weights())
    plain.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = simplify(json.loads(members["config.json"]))
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
