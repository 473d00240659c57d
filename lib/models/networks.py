"""Networks without their last layers, of three kinds: Keras' applications, presets of keras-hub, files."""

import importlib.util
import inspect
import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from lib.base.parameters import suggest

PRESET = "hub:"
# Where Keras and keras-hub keep what they download.
CACHES = [
    Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models"),
    Path(os.environ.get("KAGGLEHUB_CACHE", Path.home() / ".cache/kagglehub"), "models"),
]
PATIENCE = 8  # seconds to wait for an answer
# A small file beside the weights of Keras' applications.
BESIDE_WEIGHTS = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
# Sides in pixels of the pictures that Keras' applications were trained on; 224 where none is named.
OWN_SIZES = {
    "InceptionV3": 299,
    "InceptionResNetV2": 299,
    "Xception": 299,
    "NASNetLarge": 331,
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
}


class Network(NamedTuple):
    """A network without its last layers."""

    # From RGB pictures of 0-255, (n, size, size, 3), to maps (n, h, w, channels), tokens (n, places,
    # channels) or vectors. The layers of keras.applications stand in it; others are one layer of it.
    model: keras.Model
    image_size: int  # side of the pictures in pixels
    # `imagenet`, `sketches`, `untrained`, or the name of the file or preset.
    weights: str
    spec: str = ""  # as it was asked for


def split_spec(spec: str, default: int | None = None) -> tuple[str, int | None]:
    """Divide `hub:dinov2_small@224` into the network and the side of its pictures, in pixels."""
    network, _, size = spec.rpartition("@")
    if network and size.isdecimal():
        return network, int(size)
    return spec, default


def name_network(spec: str) -> str:
    """Return what files of a network are called: `dinov2_small_224` of `hub:dinov2_small@224`."""
    network, size = split_spec(spec)
    network = network.removeprefix(PRESET).rstrip("/")
    # The address of a preset may end in its version.
    network = re.sub(r"/\d+$", "", network).removesuffix(".keras")
    # TensorFlow asks that a name begins with a letter or a digit, and has no others.
    name = re.sub(r"[^a-z\d.-]+", "_", Path(network).name.lower()).lstrip("_.-")
    name = name or "network"
    return f"{name}_{size}" if size else name


def find_application(name: str) -> Callable:
    """Return the function of keras.applications that builds a model; a ValueError proposes another."""
    build = getattr(keras.applications, name, None)
    if not inspect.isfunction(build):
        applications = inspect.getmembers(keras.applications, inspect.isfunction)
        known = suggest(name, [each for each, _ in applications])
        raise ValueError(f"keras.applications has no {name!r}{known}")
    return build


def find_preset(spec: str) -> None:
    """Raise a ValueError where keras-hub is installed, and a preset is neither its own nor a path."""
    preset = spec.removeprefix(PRESET)
    if "/" in preset or importlib.util.find_spec("keras_hub") is None:
        return
    known = importlib.import_module("keras_hub").models.Backbone.presets
    if preset not in known and not Path(preset).exists():
        raise ValueError(f"keras-hub has no {preset!r}{suggest(preset, known)}")


def load_application(
    name: str, weights: str | None, size: int | None, options: dict
) -> Network:
    """Build a model of keras.applications on preprocessed pixels; arguments as in `load_backbone`."""
    build = find_application(name)
    if weights == "imagenet":
        require_connection(CACHES[:1])
    size = size or OWN_SIZES.get(name, 224)
    pixels = keras.Input((size, size, 3), name="pixels")
    model = build(
        input_tensor=inspect.getmodule(build).preprocess_input(pixels),
        input_shape=(size, size, 3),
        include_top=False,
        weights=weights,
        **options,
    )
    return Network(model, size, Path(weights or "untrained").name)


def require_connection(caches: list[Path]) -> None:
    """Raise a ConnectionError where nothing was downloaded to caches before, nor can be now."""
    if any(any(path.glob("*")) for path in caches):
        return
    try:
        urllib.request.urlopen(BESIDE_WEIGHTS, timeout=PATIENCE).close()
    except OSError as error:
        raise ConnectionError(f"{BESIDE_WEIGHTS} can't be read") from error


def load_file(path: Path, size: int | None) -> Network:
    """Load a network from a .keras file; arguments as in `load_backbone`."""
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    shape = model.input_shape
    if len(model.outputs) != 1 or shape[2:] != (shape[1], 3):
        raise ValueError(f"it takes {shape} and gives {model.output_shape}")
    size = size or shape[1] or 224
    pixels = keras.Input((size, size, 3), name="pixels")
    if shape[1] not in (None, size):
        resized = keras.models.clone_model(model, keras.Input((size, size, 3)))
        resized.set_weights(model.get_weights())
        model = resized
    network = keras.Model(pixels, model(pixels), name=model.name)
    return Network(network, size, path.name)


def load_preset(spec: str, with_weights: bool, size: int | None) -> Network:
    """Load what a preset of keras-hub sees pictures with, say hub:dinov2_base or hub:FOLDER."""
    if importlib.util.find_spec("keras_hub") is None:
        raise ImportError("keras_hub is missing: pip install keras-hub")
    import keras_hub as hub

    preset = spec.removeprefix(PRESET)
    converter = hub.layers.ImageConverter.from_preset(preset)
    size = size or (converter.image_size or [224])[0]
    load = hub.models.Backbone.from_preset
    try:
        # Some can be built for any size; others have no such argument, or no other size.
        tower = load(preset, load_weights=with_weights, image_shape=(size, size, 3))
    except (TypeError, ValueError):
        tower = load(preset, load_weights=with_weights)
    # Of a network for pictures and text, the half that sees.
    tower = getattr(tower, "vision_encoder", tower)
    scale = converter.scale or 1.0
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.layers.Rescaling(scale, converter.offset or 0.0)(pixels)
    if isinstance(tower.input, dict):
        scaled = dict.fromkeys(tower.input, scaled)
    network = keras.Model(pixels, tower(scaled), name=tower.name)
    weights = Path(preset).name if with_weights else "untrained"
    return Network(network, size, weights)
