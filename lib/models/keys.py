"""What counts: the keys of models and of trainings."""

import hashlib
import inspect
import json
import uuid

import keras
import numpy as np

from lib.data.generators import Batches

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 8
# Of no consequence where nothing is trained.
OF_TRAINING = ("trainable", "seed")


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
    return json.dumps(_number_names(simplify(config), {}), sort_keys=True)


def _number_names(part, numbers):
    """Return a configuration with numbers in place of names; those of further names are added to `numbers`."""
    match part:
        case {"class_name": str(kind)} if kind.endswith("Policy"):
            # Its name is what it computes in.
            return part
        case dict():
            numbered = {}
            for key, value in sorted(part.items()):
                if key == "name" and isinstance(value, str):
                    numbered[key] = numbers.setdefault(value, len(numbers))
                else:
                    numbered[key] = _number_names(value, numbers)
            return numbered
        case [str(name), int(call), int(answer)]:
            # A layer that is meant by its name, and which answer to which call of it.
            return [numbers.setdefault(name, len(numbers)), call, answer]
        case list():
            return [_number_names(each, numbers) for each in part]
    return part


def make_frozen_key(model: keras.Model) -> str:
    """Hash what decides the answers of a model that is not trained: 32 hex digits.

    Of its configuration and variables count all but what trains, and how random layers are seeded: so a
    network is the same that was saved and loaded again, or built after another seed.
    """
    config = _visit_parts(model.get_config(), _forget_training)
    return make_key(model.dtype_policy.name, _describe_config(config), model.weights)


def _forget_training(part):
    """Leave out of one object of a configuration what has no consequence where nothing is trained."""
    return {key: part[key] for key in part if key not in OF_TRAINING}


def make_keys(
    model: keras.Model,
    whole: keras.Model,
    batches: list[Batches],
    decisive: list,
    seed: int,
    jit_compile: bool = False,
) -> dict:
    """Make the keys of a training, as fields of its record.

    A training is decided by the batches, the layers, how the model is compiled, what learns, and all
    weights. A family leaves out the seed and the first weights of what learns, but not how these are
    drawn. Where a model is made or compiled with code of one's own the key is always another.

    Args:
        model: as it is compiled.
        whole: what is saved.
        batches: to train and to validate on.
        decisive: further settings, such as epochs.
        seed: of the first weights and the batches.
        jit_compile: as in `describe_settings`.
    """
    family = make_key(
        decisive,
        TRAINING_VERSION,
        batches[0].part.set_hash,
        [part.describe() for part in batches],
        describe_settings(model, jit_compile),
        _list_initializers(model),
        _describe_config(whole.get_config()),
        model.non_trainable_weights,
    )
    salt = uuid.uuid4().hex if _find_training_code(model) else ""
    key = make_key(family, seed, model, whole, salt)
    return {"family": family, "key": key, "seed": seed}


def _list_initializers(model):
    """List how the first weights of a model are drawn."""
    found = []
    for part in _list_parts(model.get_config()):
        found.extend(part[key] for key in part if key.endswith("_initializer"))
    return found


def _list_parts(config):
    """List all objects of a configuration, the inner ones first."""
    parts = []

    def keep(part: dict) -> dict:
        parts.append(part)
        return part

    _visit_parts(config, keep)
    return parts


def _visit_parts(config, visit):
    """Return what a configuration is when each of its objects, the inner ones first, is what `visit` gives."""
    text = json.dumps(config, default=_describe)
    return json.loads(text, object_hook=visit)


def describe_settings(model: keras.Model, jit_compile: bool = False) -> list:
    """List the layers of a model, how it is compiled, and which of its variables learn.

    Args:
        jit_compile: counts in place of the model's own, which Keras chooses by the machine. True gives
            the keys that earlier versions made where there was a GPU.
    """
    layers = _describe_config(model.get_config())
    compiled = (model.get_compile_config() or {}) | {"jit_compile": jit_compile}
    learns = [variable.trainable for variable in model.variables]
    settings = _describe_config(compiled)
    return [model.dtype_policy.name, layers, settings, jit_compile, learns]


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


def _find_training_code(model: keras.Model) -> list[str]:
    """Name what is not Keras' own of the layers of a model, and of what it is compiled with."""
    own = [keras.saving.serialize_keras_object(model), model.get_compile_config()]
    return find_custom_objects(own)


def tell_training_code(model: keras.Model) -> None:
    """Say in a note that a model is always trained anew, if it has code of one's own."""
    custom = _find_training_code(model)
    if custom:
        print(
            f"Note: always trained anew, since no key can tell what {', '.join(custom)} does; what is of "
            "Keras is known by its name."
        )


def find_policies(config: object) -> set[str]:
    """Return the names of the dtype policies in a configuration, such as `mixed_float16`."""
    parts = _list_parts(config)
    policies = [part for part in parts if part.get("class_name") == "DTypePolicy"]
    return {policy["config"]["name"] for policy in policies}


def find_custom_objects(config: object) -> list[str]:
    """Name the layers and functions in a configuration that are not Keras' or keras-hub's own."""
    found = []
    for part in _list_parts(simplify(config)):
        kind = part.get("class_name")
        module = str(part.get("module", "keras"))
        if kind == "__lambda__" or not module.startswith("keras"):
            found.append(part.get("registered_name") or kind)
    return found
