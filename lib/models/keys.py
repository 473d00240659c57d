"""What counts: the key of a model, and of a training."""

import hashlib
import inspect
import json
import re
import uuid

import keras
import numpy as np

# Where a layer's configuration names a layer: its own name, and those whose outputs it takes.
NAME = re.compile(r'(?<="name": )"([^"]+)"|(?<=\[)"([^"]+)"(?=, \d+, \d+\])')


def make_key(*parts) -> str:
    """Hash models, arrays and what JSON can write: the key is the same exactly if nothing is other.

    Of a model count its configuration, but for names and initialisers, and the values of all its
    variables, the states of random layers among them.
    """
    digest = hashlib.sha256()
    for part in parts:
        arrays = []
        if isinstance(part, keras.Model):
            digest.update(describe_config(part.get_config()).encode())
            arrays = map(keras.ops.convert_to_numpy, part.variables)
        elif isinstance(part, np.ndarray):
            arrays = [part]
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        for array in arrays:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        digest.update(b"\n")
    return digest.hexdigest()[:32]


def describe_config(config: dict) -> str:
    """Return what `get_config` gives as JSON: names are numbered, and initialisers left out."""
    text, numbers = json.dumps(simplify(config), default=str), {}
    return NAME.sub(
        lambda name: f'"{numbers.setdefault(name[1] or name[2], len(numbers))}"', text
    )


def describe_training(model: keras.Model, build) -> list:
    """List what decides a training beside a model's first weights: how it is compiled, what learns, its code.

    `build` is the function that made the model. Compiled with code of one's own, the list is never the
    same, and a line says so.
    """
    learning = {id(variable) for variable in model.trainable_variables}
    which = [id(variable) in learning for variable in model.variables]
    compiled = model.get_compile_config() | {"jit_compile": model.jit_compile}
    if foreign := find_custom_objects(compiled):
        print(f"Always trained anew, since no key can tell what {foreign} does.")
        compiled["never the same"] = uuid.uuid4().hex
    return [describe_config(compiled), which, inspect.getsource(build)]


def simplify(config):
    """Leave out of a configuration what only training needs, and arguments left at their defaults.

    Every version of Keras adds some that older ones don't know. Takes what `get_config` or a file gives.
    """
    if isinstance(config, (list, tuple)):
        return [simplify(value) for value in config]
    if not isinstance(config, dict):
        return config
    simple = {
        key: simplify(value) for key, value in config.items() if key != "compile_config"
    }
    # A layer of one's own may have a name of Keras'.
    is_keras = config.get("module") == "keras.layers" and isinstance(
        config.get("config"), dict
    )
    if is_keras and (layer := getattr(keras.layers, config["class_name"], None)):
        # Layers that read their configuration themselves may rely on what is in it.
        reads = layer.from_config.__func__ is not keras.Layer.from_config.__func__
        for key, argument in inspect.signature(layer.__init__).parameters.items():
            is_usual = simple["config"].get(key) == argument.default and not reads
            if is_usual or key.endswith("_initializer"):
                simple["config"].pop(key, None)
    return simple


def find_custom_objects(config) -> str:
    """Name the first layer or function in a configuration that is not Keras' or keras-hub's own, or ""."""
    if isinstance(config, (list, tuple)):
        return next(filter(None, map(find_custom_objects, config)), "")
    if not isinstance(config, dict):
        return ""
    kind, module = config.get("class_name"), str(config.get("module", "keras"))
    # Keras writes functions of its own as plain names.
    if kind and (
        kind in ("Lambda", "__lambda__", "function") or not module.startswith("keras")
    ):
        return str(config["config"]) if kind == "function" else kind
    # How models within are compiled no file holds.
    return find_custom_objects(
        [config[key] for key in config if key != "compile_config"]
    )
