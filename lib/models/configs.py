"""What a model is: its key, and the file that opens everywhere."""

import hashlib
import inspect
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from lib.models.own_code import read_own_code

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


def describe_training(model: keras.Model, build) -> list:
    """List what decides a training beside a model's first weights: how it is compiled, what learns, its code.

    `build` is the function that made the model.
    """
    learning = {id(variable) for variable in model.trainable_variables}
    which = [id(variable) in learning for variable in model.variables]
    how = describe_config(describe_compilation(model) | {"jit_compile": model.jit_compile})
    return [how, which, *read_own_code(build)]


def describe_compilation(model: keras.Model) -> dict:
    """Return how a model is compiled; {} where Keras has no words for a part, whose code counts then."""
    try:
        return model.get_compile_config()
    except (TypeError, NotImplementedError):
        return {}


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
    if config.get("class_name") == "__lambda__":
        return config["class_name"]  # its bytes tell the folder it was written in
    if config.get("class_name") == "DTypePolicy":
        policy = config["config"]["name"]
        return "float32" if in_float32 and policy.startswith("mixed_") else policy
    kept = {key: value for key, value in config.items() if key != "compile_config"}
    simple = {key: simplify(value, in_float32) for key, value in kept.items()}
    # A layer of one's own may have a name of Keras'.
    is_keras = config.get("module") == "keras.layers" and isinstance(config.get("config"), dict)
    if is_keras and (layer := getattr(keras.layers, config["class_name"], None)):
        # Layers that read their configuration themselves may rely on what is in it.
        reads = layer.from_config.__func__ is not keras.Layer.from_config.__func__
        for key, argument in inspect.signature(layer.__init__).parameters.items():
            is_usual = simple["config"].get(key) == argument.default and not reads
            if is_usual or key.endswith("_initializer"):
                simple["config"].pop(key, None)
    return simple


def check_saveable(model: keras.Model) -> None:
    """Raise a ValueError where a model holds code that its file would not carry to another notebook."""
    waiting = [simplify(keras.saving.serialize_keras_object(model))]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            kind, module = part.get("class_name"), str(part.get("module", "keras"))
            foreign = kind in ("Lambda", "function") or not module.startswith("keras")
            if kind and foreign:
                what = part["config"] if kind == "function" else f"{kind} layer"
                raise ValueError(
                    f"{model.name} can't be saved: {what} is code that its file would not hold, so no "
                    "other notebook could open it. Build it of layers and functions of Keras."
                )
            waiting += part.values()
        elif isinstance(part, (list, tuple)):
            waiting += part


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
