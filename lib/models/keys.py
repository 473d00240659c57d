"""What counts: the keys of models and of trainings."""

import hashlib
import inspect
import json
import re
import uuid

import keras
import numpy as np

from lib.data.generators import Batches

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 8
# Of JSON, the name of an object (that of a policy is what it computes in), and a layer that is meant by
# its name: [name, call, which answer of it].
NAME = re.compile(
    r'(?<!Policy", "config": {"name": )(?<="name": )"[^"]*"|(?<=\[)"[^"]*"(?=, \d+, \d+])'
)


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
        config = _describe_config(part.get_config())
        return [part.dtype_policy.name, config, part.variables]
    if isinstance(part, keras.Variable):
        return keras.ops.convert_to_numpy(part)
    if isinstance(part, np.ndarray):
        content = hashlib.sha256(part.tobytes()).hexdigest()
        return [str(part.dtype), part.shape, content]
    return str(part)


def _describe_config(config):
    """Return as text what counts of a configuration, without what `simplify` leaves out.

    Names are numbered in the order in which they first appear: so they don't count, but which layer is
    meant does.
    """
    numbers = {}
    text = json.dumps(simplify(config), sort_keys=True)
    return NAME.sub(lambda name: str(numbers.setdefault(name[0], len(numbers))), text)


def make_keys(
    model: keras.Model,
    whole: keras.Model,
    batches: list[Batches],
    decisive: list,
    seed: int,
) -> dict:
    """Make the keys of a training, as fields of its record.

    A training is decided by the batches, the layers, how the model is compiled, what learns, and all
    weights. A family leaves out the seed and the first weights of what learns, but not how these are
    drawn. Where a model is made or compiled with code of one's own the key is always another, and a note
    says so.

    Args:
        model: as it is compiled.
        whole: what is saved.
        batches: to train and to validate on.
        decisive: further settings, such as epochs.
        seed: of the first weights and the batches.
    """
    family = make_key(
        decisive,
        TRAINING_VERSION,
        batches[0].part.set_hash,
        [part.describe() for part in batches],
        describe_settings(model),
        _list_initializers(model),
        _describe_config(whole.get_config()),
        model.non_trainable_weights,
    )
    own = [keras.saving.serialize_keras_object(model), model.get_compile_config()]
    custom = find_custom_objects(own)
    if custom:
        print(
            f"Note: always trained anew, since no key can tell what {', '.join(custom)} does; "
            "what is of Keras is known by its name."
        )
    key = make_key(family, seed, model, whole, uuid.uuid4().hex if custom else "")
    return {"family": family, "key": key, "seed": seed}


def _list_initializers(model):
    """List how the first weights of a model are drawn."""
    found = []

    def keep(part: dict) -> dict:
        found.extend(part[key] for key in part if key.endswith("_initializer"))
        return part

    _visit_parts(model.get_config(), keep)
    return found


def _visit_parts(config, visit):
    """Return what a configuration is when each of its objects, the inner ones first, is what `visit` gives."""
    text = json.dumps(config, default=_describe)
    return json.loads(text, object_hook=visit)


def describe_settings(model: keras.Model) -> list:
    """List the layers of a model, how it is compiled, and which of its variables learn."""
    layers = _describe_config(model.get_config())
    settings = _describe_config(model.get_compile_config())
    learns = [variable.trainable for variable in model.variables]
    return [model.dtype_policy.name, layers, settings, model.jit_compile, learns]


def simplify(config: object) -> object:
    """Leave out of a configuration what only training needs, and arguments left at their defaults.

    Every version of Keras adds some that older ones don't know.

    Args:
        config: what `get_config`, `serialize_keras_object` or a file gives.
    """
    return _visit_parts(config, _simplify_part)


def _simplify_part(part):
    """Simplify one object of a configuration, whose own parts are simple already."""
    simple = dict(part)
    simple.pop("compile_config", None)
    # A layer of one's own may have a name of Keras'.
    if part.get("module") == "keras.layers":
        layer = getattr(keras.layers, part["class_name"])
        # Layers that read their configuration themselves may rely on what is in it.
        reads = layer.from_config.__func__ is not keras.Layer.from_config.__func__
        settings = dict(part["config"])
        for key, argument in inspect.signature(layer.__init__).parameters.items():
            is_default = settings.get(key) == argument.default and not reads
            if is_default or key.endswith("_initializer"):
                settings.pop(key, None)
        simple["config"] = settings
    return simple


def find_custom_objects(config: object) -> list[str]:
    """Name the layers and functions in a configuration that are not Keras' or keras-hub's own."""
    parts = []
    _visit_parts(simplify(config), parts.append)
    found = []
    for part in parts:
        kind = part.get("class_name")
        module = str(part.get("module", "keras"))
        if kind == "__lambda__" or not module.startswith("keras"):
            found.append(part.get("registered_name") or kind)
    return found
