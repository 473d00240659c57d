"""Backbones: the network that a spec means, frozen, without its last layers.

There are three kinds: Keras' applications, presets of keras-hub, files.
"""

import inspect
import textwrap
from pathlib import Path

import keras
from requests import RequestException

from lib.base.workspace import Workspace
from lib.models.networks import PRESET, SIDES, Network, check_application, split_spec
from lib.models.record import read_record

# Of networks that could not be downloaded.
ADVICE = (
    ". Presets (hub:) lie on Kaggle: where it asks for a licence, accept it at kaggle.com/models/keras, "
    "and set KAGGLE_API_TOKEN (notebooks/networks.md). Where nothing can be downloaded, name a file that "
    "lies here: of these weights, in WEIGHTS, or of a whole network (.keras), in BACKBONE or BACKBONES."
)
# Where no network can be downloaded, the demo has this one: tests/pretrain_sketches.py.
SKETCHES = "sketches"
SKETCHES_FILE = Path(__file__).parents[1] / "data/sketches.keras"
# Of the pictures that they see. The network learned from 80, with which it errs too seldom to show anything.
SKETCHES_SIZE = 46


def load_backbone(
    spec: str,
    weights: str | None,
    image_size: int | None,
    options: dict,
    ws: Workspace | None,
) -> Network:
    """Load a pretrained network without its last layers, frozen; a ValueError where that can't be.

    Args:
        spec: a model of keras.applications, hub:PRESET of keras-hub, or the path of a .keras file, from
            RGB pictures of 0-255 to maps, tokens or a vector. @224 at its end goes before `image_size`.
        weights: of a model of keras.applications: "imagenet", a weights file, or "none" or None.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: on its demo pictures `sketches` takes the place of what can't be downloaded; None demands it.
    """
    weights = None if weights == "none" else weights
    name, own_size = split_spec(spec)
    size = own_size or image_size
    try:
        network = _load(name, weights, size, options)
    except Exception as error:
        # kagglehub says by its kind that a download failed, and Keras in words.
        is_download = isinstance(error, RequestException) or "URL fetch" in str(error)
        if is_download and ws is not None and ws.is_demo:
            print(
                f"Note: {name}'s weights could not be downloaded: a small network that has learned "
                "other kinds of drawings takes its place."
            )
            return load_backbone(SKETCHES, None, None, {}, None)
        advice = ADVICE if is_download else ""
        # Keras' words may list every layer.
        words = textwrap.shorten(str(error), 500)
        raise ValueError(
            f"BACKBONE {name} can't be loaded with WEIGHTS {weights}, IMAGE_SIZE {size}, "
            f"BACKBONE_OPTIONS {options}: {words}{advice}"
        ) from error
    network.model.trainable = False
    return network._replace(spec=spec)


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
    if name == SKETCHES:
        network = _load_file(SKETCHES_FILE, size or SKETCHES_SIZE, **options)
        return network._replace(weights=SKETCHES)
    return _load_application(name, weights, size, **options)


def _load_application(name, weights, size, **options):
    """Build a model of keras.applications on preprocessed pixels."""
    check_application(name)
    build = getattr(keras.applications, name)
    size = size or int(SIDES[name])
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
    if channels != 3:  # Keras would convolve colours by themselves.
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
    check_handle(preset, models.Backbone.presets)
    converter = layers.ImageConverter.from_preset(preset)
    own_sizes = converter.image_size or [224]
    size = size or own_sizes[0]
    tower = _open_tower(preset, size)
    pixels = keras.Input((size, size, 3), name="pixels")
    rescaling = keras.layers.Rescaling(converter.scale or 1.0, converter.offset or 0.0)
    outputs = _ask(tower, rescaling(pixels))
    network = keras.Model(pixels, outputs, name=tower.name)
    return Network(network, size, Path(preset).name)


def _open_tower(preset, size):
    """Open a preset, or only the half of it that sees where it is for pictures and text."""
    from keras_hub import models

    load = models.Backbone.from_preset
    try:
        # Some can be built for any size; others have no such argument, or no other size.
        tower = load(preset, image_shape=(size, size, 3))
    except (TypeError, ValueError):
        tower = load(preset)
    return getattr(tower, "vision_encoder", tower)


def _ask(tower, pictures):
    """Return what a network makes of pictures: where it gives maps of several stages, the smallest."""
    # Some take pictures by name, in a dictionary, and some give maps so.
    inputs = keras.tree.map_structure(lambda _: pictures, tower.input)
    outputs = tower(inputs)
    if isinstance(outputs, dict):
        return min(outputs.values(), key=lambda maps: maps.shape[1])
    return outputs


def check_handle(preset: str, presets: dict[str, dict]) -> None:
    """Check that a preset leads to the weights of its name, whose words may stand in another order.

    keras-hub 0.32 has three that lead to those of another network.

    Args:
        preset: its name, an address or a folder.
        presets: of keras-hub, by their names.

    Raises:
        ValueError: it leads to others.
    """
    if preset not in presets:
        return
    # An address is kaggle://OWNER/MODEL/FRAMEWORK/NAME, and perhaps a version.
    called = presets[preset]["kaggle_handle"].split("/")[5]
    if not set(called.split("_")) <= set(preset.split("_")):
        raise ValueError(f"keras-hub gives the weights of {called} for {preset}")
