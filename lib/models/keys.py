"""What counts: the keys of models and of trainings."""

import contextlib
import hashlib
import inspect
import json
import uuid
from collections.abc import Callable
from functools import partial

import keras
import numpy as np

from lib.data.generators import Batches

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 7
# The ends of a graph, where the configuration of a model has names of layers.
ENDS = ("input_layers", "output_layers")


def make_key(*parts: object) -> str:
    """Hash models, arrays and what JSON can write: the key is the same only if all of it is.

    Of a model count what its layers are set to, their dtype policies among it, and the values of all
    its variables, the states of random layers among them. Names of layers and initialisers don't count.

    Returns:
        32 hex digits.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, keras.Model):
            config = _drop_names(simplify(part.get_config()), {})
            digest.update(_write_json([part.dtype_policy.name, config]))
            for variable in part.variables:
                _add_array(digest, keras.ops.convert_to_numpy(variable))
        elif isinstance(part, np.ndarray):
            _add_array(digest, part)
        else:
            digest.update(_write_json(part))
        digest.update(b"\n")
    return digest.hexdigest()[:32]


def _write_json(part):
    return json.dumps(part, sort_keys=True, default=str).encode()


def _add_array(digest, array):
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(array.tobytes())


def _drop_names(config, positions):
    if isinstance(config, list):
        return [_drop_names(value, positions) for value in config]
    # A dtype policy has a name, too, and it counts.
    if not isinstance(config, dict) or "Policy" in str(config.get("class_name")):
        return config
    if "keras_history" in config:
        name = config["keras_history"][0]
        return [positions[name], config["keras_history"][1:]]
    if "input_layers" in config:
        positions = {}
        for layer in config["layers"]:
            positions[layer["name"]] = len(positions)
    nameless = {}
    for key, value in config.items():
        if key in ENDS:
            nameless[key] = _number_layers(value, positions)
        elif key != "name":
            nameless[key] = _drop_names(value, positions)
    return nameless


def _number_layers(ends, positions):
    # An end is ["dense", 0, 0]: a layer, its call and which answer of it.
    if isinstance(ends, dict):
        return {key: _number_layers(end, positions) for key, end in ends.items()}
    if isinstance(ends, list):
        return [_number_layers(end, positions) for end in ends]
    return positions.get(ends, ends)


def make_family(
    model: keras.Model, build: Callable, batches: list[Batches], decisive: list
) -> str:
    """Hash what decides a training, but for seeds and the first weights of what learns.

    These are the batches, the layers, how the model is compiled, what learns, the code, and the weights
    that stay.

    Args:
        model: as it is compiled.
        build: the function that made it.
        batches: to train and to validate on.
        decisive: further settings, such as epochs.
    """
    described = [*decisive, TRAINING_VERSION, batches[0].set_hash]
    for part in batches:
        described += part.describe()
    described += describe_settings(model)
    described.append(_read_source(build))
    for weight in model.non_trainable_weights:
        described.append(keras.ops.convert_to_numpy(weight))
    return make_key(*described)


def describe_settings(model: keras.Model) -> list:
    """List the layers of a model, how it is compiled, and which of its variables learn."""
    learning = {id(variable) for variable in model.trainable_variables}
    learns = [id(variable) in learning for variable in model.variables]
    layers = _drop_names(simplify(model.get_config()), {})
    settings = _drop_names(simplify(model.get_compile_config()), {})
    return [model.dtype_policy.name, layers, settings, model.jit_compile, learns]


def _read_source(build):
    """Return the source of a function, or of what a partial one calls; "" where it can't be read."""
    if isinstance(build, partial):
        build = build.func
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(build)
    return ""


def mark_custom_code(model: keras.Model, build: Callable) -> str:
    """Return "", or, where code decides that no key can tell, a text that is always another.

    This is code of one's own that a model is compiled with, or a `build` without source. A note says so.
    """
    config = model.get_compile_config()
    # Known by the object: a function of one's own may have the name of one of Keras'.
    if model.loss in vars(keras.losses).values():
        config["loss"] = None
    custom = find_custom_objects(config)
    if not _read_source(build):
        custom.append(f"{build}, whose source can't be read,")
    if not custom:
        return ""
    print(
        f"Note: always trained anew, since no key can tell what {', '.join(custom)} does."
    )
    return uuid.uuid4().hex


def simplify(config: object) -> object:
    """Leave out of a configuration what only training needs, and arguments left at their defaults.

    Every version of Keras adds some that older ones don't know.

    Args:
        config: what `get_config`, `serialize_keras_object` or a file gives.
    """
    if isinstance(config, (list, tuple)):
        return [simplify(value) for value in config]
    if not isinstance(config, dict):
        return config
    simple = {}
    for key, value in config.items():
        if key != "compile_config":
            simple[key] = simplify(value)
    # A layer of one's own may have a name of Keras'.
    is_keras = config.get("module") == "keras.layers"
    if is_keras and isinstance(config.get("config"), dict):
        layer = getattr(keras.layers, config["class_name"], None)
        if layer:
            _drop_defaults(simple["config"], layer)
    return simple


def _drop_defaults(settings, layer):
    # Layers that read their configuration themselves may rely on what is in it.
    reads = layer.from_config.__func__ is not keras.Layer.from_config.__func__
    for key, argument in inspect.signature(layer.__init__).parameters.items():
        is_default = settings.get(key) == argument.default and not reads
        if is_default or key.endswith("_initializer"):
            settings.pop(key, None)


def find_custom_objects(config: object) -> list[str]:
    """Name the layers and functions in a configuration that are not Keras' or keras-hub's own."""
    if isinstance(config, dict):
        kind = config.get("class_name")
        if kind == "function":
            return [str(config["config"])]
        module = str(config.get("module", "keras"))
        if kind in ("Lambda", "__lambda__") or kind and not module.startswith("keras"):
            return [kind]
        # No file holds how models within are compiled.
        config = [value for key, value in config.items() if key != "compile_config"]
    found = []
    if isinstance(config, (list, tuple)):
        for value in config:
            found += find_custom_objects(value)
    return found
