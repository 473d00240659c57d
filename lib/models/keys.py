"""What counts: the keys of models and of trainings."""

import ast
import contextlib
import hashlib
import inspect
import json
import textwrap
import uuid
from collections.abc import Callable
from functools import partial

import keras
import numpy as np

from lib.data.generators import Batches

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 7


def make_key(*parts: object) -> str:
    """Hash models, arrays and what JSON can write: the key is the same only if all of it is.

    Of a model count what its layers are set to, their dtype policies among it, and the values of all
    its variables, the states of random layers among them. Names of layers and initialisers don't count.

    Returns:
        32 hex digits.
    """
    text = json.dumps(parts, sort_keys=True, default=_describe)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _describe(part):
    """Describe what JSON has no form for: models, arrays, and anything else by its text."""
    if isinstance(part, keras.Model):
        config = _drop_names(simplify(part.get_config()), {})
        return [part.dtype_policy.name, config, _read_values(part.variables)]
    if isinstance(part, np.ndarray):
        content = hashlib.sha256(part.tobytes()).hexdigest()
        return [str(part.dtype), part.shape, content]
    return str(part)


def _read_values(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _drop_names(config, positions):
    """Leave out names; where a layer is meant by its name, its position takes the place of it."""
    if isinstance(config, list):
        # A layer, its call and which answer of it.
        if [type(value) for value in config] == [str, int, int]:
            return [positions.get(config[0], config[0]), *config[1:]]
        return [_drop_names(value, positions) for value in config]
    # A dtype policy has a name, too, and it counts.
    if not isinstance(config, dict) or "Policy" in str(config.get("class_name")):
        return config
    if "input_layers" in config:
        positions = {layer["name"]: k for k, layer in enumerate(config["layers"])}
    named = config.items()
    return {key: _drop_names(value, positions) for key, value in named if key != "name"}


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
    return make_key(
        decisive,
        TRAINING_VERSION,
        batches[0].set_hash,
        [part.describe() for part in batches],
        describe_settings(model),
        _read_source(build),
        _read_values(model.non_trainable_weights),
    )


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
    source = ""
    with contextlib.suppress(OSError, TypeError, SyntaxError):
        source = textwrap.dedent(inspect.getsource(build))
        # Without comments; a lambda within a call can't be parsed alone.
        source = ast.unparse(ast.parse(source))
    return source


def mark_custom_code(model: keras.Model, build: Callable) -> str:
    """Return "", or, where code decides that no key can tell, a text that is always another.

    This is code of one's own that a model is compiled with, or a `build` without source. A note says so.
    """
    config = model.get_compile_config()
    # Known by the object: a function of one's own may have the name of one of Keras'.
    if model.loss in vars(keras.losses).values():
        config["loss"] = None
    custom = find_custom_objects(simplify(config))
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
    kept = config.items()
    simple = {key: simplify(value) for key, value in kept if key != "compile_config"}
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
    """Name the layers and functions in a configuration that are not Keras' or keras-hub's own.

    Args:
        config: as `simplify` returns it.
    """
    values = config
    if isinstance(config, dict):
        kind = config.get("class_name")
        if kind == "function":
            return [str(config["config"])]
        module = str(config.get("module", "keras"))
        if kind in ("Lambda", "__lambda__") or kind and not module.startswith("keras"):
            return [kind]
        values = list(config.values())
    if not isinstance(values, list):
        return []
    return sum(map(find_custom_objects, values), [])
