"""Backbones: the network that a spec means, frozen, without its last layers.

There are three kinds: Keras' applications, presets of keras-hub, files.
"""

import inspect
import textwrap
from pathlib import Path

import keras
import pandas as pd

from lib.base.parameters import suggest
from lib.base.workspace import Workspace
from lib.models.networks import PRESET, Network, split_spec
from lib.models.record import read_record

APPLICATIONS = dict(inspect.getmembers(keras.applications, inspect.isfunction))
# Sides in pixels of the pictures that they were trained on; 224 where none is named.
SIDES = pd.read_csv(
    Path(__file__).with_name("image_sizes.csv"), index_col="network"
).side
# Where no network can be downloaded, the demo has these, all of one file: tests/pretrain_sketches.py.
SKETCHES = ("sketches", "sketches_random", "sketches@96")
SKETCHES_FILE = Path(__file__).parents[1] / "data/sketches.keras"
# Of the pictures that they see. The network learned from 80, with which it errs too seldom to show anything.
SKETCHES_SIZE = 46


def _find_application(name):
    """Return the function of keras.applications that builds a model; a ValueError proposes another."""
    if name not in APPLICATIONS:
        known = suggest(name, APPLICATIONS)
        raise ValueError(f"keras.applications has no {name!r}{known}")
    return APPLICATIONS[name]


def load_backbone(
    spec: str,
    weights: str | None,
    image_size: int | None,
    options: dict,
    ws: Workspace | None,
) -> Network:
    """Load a pretrained network without its last layers, frozen.

    Args:
        spec: a model of keras.applications, hub:PRESET of keras-hub, or the path of a .keras file, from
            RGB pictures of 0-255 to maps, tokens or a vector. @224 at its end goes before `image_size`.
        weights: of a model of keras.applications: "imagenet", the path of a weights file, or "none" or
            None, untrained. Presets and files have their own.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: on its demo pictures `sketches` takes the place of what can't be downloaded; None demands it.

    Raises:
        ValueError: it can't be loaded so; the message has Keras' own words.
    """
    weights = None if weights == "none" else weights
    name, own_size = split_spec(spec)
    size = own_size or image_size
    try:
        network = _load(name, weights, size, options)
    except Exception as error:
        is_download = _is_failed_download(error, weights)
        if is_download and ws is not None and ws.is_demo:
            print(
                f"Note: {name}'s weights could not be downloaded: a small network that has learned "
                "other kinds of drawings takes its place."
            )
            return load_backbone("sketches", None, None, {}, None)
        raise ValueError(
            f"BACKBONE {name} can't be loaded with WEIGHTS {weights}, IMAGE_SIZE {size}, "
            f"BACKBONE_OPTIONS {options}: {_explain(error, is_download)}"
        ) from error
    network.model.trainable = False
    return network._replace(spec=spec)


def _is_failed_download(error, weights):
    """Tell whether no network was refused, which has a reason of its own, but a download failed."""
    is_refused = isinstance(error, (ImportError, TypeError, ValueError))
    return weights in (None, "imagenet") and not is_refused


def _explain(error, is_download):
    """Shorten Keras' words, which may list every layer, and say what to do without a connection."""
    words = textwrap.shorten(str(error), 500)
    if is_download:
        words += (
            " Where nothing can be downloaded, name a file that lies here: of these weights, in WEIGHTS, or "
            "of a whole network (.keras), in BACKBONE or BACKBONES."
        )
    return words


def _load(name, weights, size, options):
    """Load a network as its kind asks; errors are Keras' own."""
    if name.endswith(".keras"):
        # Its layers can't tell what a network has learned from. What lies beside it may.
        if read_record(Path(name)) is not None:
            raise ValueError(
                "it is a classifier of these notebooks, and may remember these pictures: "
                "give a network that has learned from others"
            )
        return _load_file(Path(name), size, **options)
    if name.startswith(PRESET):
        return _load_preset(name, size, **options)
    if name in SKETCHES:
        return _load_sketches(name, size, **options)
    return _load_application(name, weights, size, **options)


def _load_application(name, weights, size, **options):
    """Build a model of keras.applications on preprocessed pixels."""
    build = _find_application(name)
    size = size or int(SIDES.get(name, 224))
    pixels = keras.Input((size, size, 3), name="pixels")
    model = build(
        input_tensor=inspect.getmodule(build).preprocess_input(pixels),
        input_shape=(size, size, 3),
        include_top=False,
        weights=weights,
        **options,
    )
    return Network(model, size, Path(weights or "untrained").name)


def _load_file(path, size):
    """Load a network from a .keras file."""
    model = keras.saving.load_model(path, compile=False)
    _, own_size, _, channels = model.input_shape
    if channels != 3:
        raise ValueError(f"it takes {model.input_shape}, which are no RGB pictures")
    size = size or own_size or 224
    pixels = keras.Input((size, size, 3), name="pixels")
    if own_size != size:
        model = keras.models.clone_model(model, keras.Input((size, size, 3)))
        # Unlike values that are set, those of a file reach what a Normalization computes of them.
        model.load_weights(path)
    network = keras.Model(pixels, model(pixels), name=model.name)
    return Network(network, size, path.name)


def _load_preset(spec, size):
    """Load what a preset of keras-hub sees pictures with, say hub:dinov2_base or hub:FOLDER."""
    from keras_hub import layers, models

    preset = spec.removeprefix(PRESET)
    converter = layers.ImageConverter.from_preset(preset)
    own_sizes = converter.image_size or [224]
    size = size or own_sizes[0]
    load = models.Backbone.from_preset
    try:
        # Some can be built for any size; others have no such argument, or no other size.
        tower = load(preset, image_shape=(size, size, 3))
    except (TypeError, ValueError):
        tower = load(preset)
    # Of a network for pictures and text, the half that sees.
    tower = getattr(tower, "vision_encoder", tower)
    pixels = keras.Input((size, size, 3), name="pixels")
    rescaling = keras.layers.Rescaling(converter.scale or 1.0, converter.offset or 0.0)
    scaled = rescaling(pixels)
    # Some take the pictures by name, in a dictionary.
    named = keras.tree.map_structure(lambda _: scaled, tower.input)
    network = keras.Model(pixels, tower(named), name=tower.name)
    return Network(network, size, Path(preset).name)


def _load_sketches(name, size):
    """Load the network of the demo; "sketches_random" has random weights in its place."""
    network = _load_file(SKETCHES_FILE, size or SKETCHES_SIZE)
    if name == "sketches":
        return network._replace(weights="sketches")
    twin = keras.models.clone_model(network.model)
    return network._replace(model=twin, weights="untrained")
