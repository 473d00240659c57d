"""Networks without their last layers, of three kinds: Keras' applications, presets of keras-hub, files."""

import importlib
import inspect
import os
import textwrap
import urllib.request
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import keras

from lib.machine import find_versions
from lib.parameters import suggest

PRESET = "hub:"
# Where Keras keeps what it downloads.
DOWNLOADS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
PATIENCE = 8  # seconds to wait for an answer
# A small file beside the weights of Keras' applications.
BESIDE_WEIGHTS = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
# Sides in pixels of the pictures that Keras' applications were trained on; 224 where none is named.
OWN_SIZES = {
    "InceptionV3": 299,
    "InceptionResNetV2": 299,
    "Xception": 299,
    "NASNetLarge": 331,
}
SIDES = {"B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}
SIDES |= {"V2B1": 240, "V2B2": 260, "V2B3": 300, "V2S": 384, "V2M": 480, "V2L": 480}
OWN_SIZES |= {f"EfficientNet{kind}": side for kind, side in SIDES.items()}


class Network(NamedTuple):
    """A network without its last layers."""

    # From RGB pictures of 0-255, (n, size, size, 3), to maps (n, h, w, channels), tokens (n, places,
    # channels) or vectors. The layers of keras.applications stand in it; others are one layer of it.
    model: keras.Model
    image_size: int  # side of the pictures in pixels
    weights: (
        str  # `imagenet`, `sketches`, `untrained`, or the name of the file or preset
    )
    spec: str = ""  # as it was asked for


def split_spec(spec: str, default=None) -> tuple[str, int | None]:
    """Divide `hub:dinov2_small@224` into the network and the side of its pictures, in pixels."""
    network, _, size = spec.rpartition("@")
    return (network, int(size)) if network and size.isdecimal() else (spec, default)


def find_application(name: str):
    """Return the constructor of a keras.applications model and its preprocess_input."""
    models = {
        n: f for n, f in vars(keras.applications).items() if inspect.isfunction(f)
    }
    if name not in models:
        remedy = f"{suggest(name, sorted(models))} Else give {PRESET}PRESET, or a .keras file."
        raise ValueError(f"BACKBONE: keras.applications has no {name!r}{remedy}")
    return models[name], inspect.getmodule(models[name]).preprocess_input


def load_application(name: str, weights, size: int | None, options: dict) -> Network:
    """Build a model of keras.applications on preprocessed pixels; arguments as in `load_backbone`."""
    build, preprocess = find_application(name)
    size, source = (
        size or OWN_SIZES.get(name, 224),
        weights if weights == "imagenet" else None,
    )
    given = {"input_shape": (size, size, 3), "include_top": False, "weights": source}
    pixels = preprocess(keras.Input((size, size, 3), name="pixels"))
    try:
        if source and not (any(DOWNLOADS.glob("*")) or has_connection()):
            raise OSError(f"{BESIDE_WEIGHTS} can't be read")
        model = build(input_tensor=pixels, **given, **options)
    except Exception as error:
        # Keras refuses what it can't build, or has no weights for, before it asks for any.
        if isinstance(error, (TypeError, ValueError)) and "corrupted" not in str(error):
            problem = "has no ImageNet weights for" if source else "can't be built of"
            problem += f" IMAGE_SIZE {size} and BACKBONE_OPTIONS {options}"
            raise ValueError(f"{name} {problem}: {error}") from error
        raise ConnectionError(
            f"The ImageNet weights of {name} can't be downloaded into {DOWNLOADS} ({error}). Connect "
            "to the internet, and delete what a killed download may have left there; or get the "
            "no-top weights elsewhere and name the file in WEIGHTS."
        ) from error
    return Network(model, size, source or _load_weights(model, weights))


@lru_cache(maxsize=1)
def has_connection() -> bool:
    """Tell, asking once a process, whether the server of Keras' weights answers."""
    try:
        urllib.request.urlopen(BESIDE_WEIGHTS, timeout=PATIENCE).close()
        return True
    except OSError:
        return False


def _load_weights(model: keras.Model, file: str | None) -> str:
    if not file:
        return "untrained"
    path, needed = (
        Path(file),
        f"no-top weights of {model.name}, {model.count_params():,} numbers",
    )
    if not path.is_file():
        raise FileNotFoundError(
            f"WEIGHTS: {path.resolve()} is not a file. Give {needed}, or None."
        )
    try:
        model.load_weights(path)
    except Exception as error:
        remedy = f"Download {needed}, or correct BACKBONE and BACKBONE_OPTIONS."
        remedy += f" {textwrap.shorten(str(error), 200)}"  # Keras lists every layer.
        raise ValueError(f"WEIGHTS: {path} does not fit. {remedy}") from error
    return path.name


def load_file(path: Path, size: int | None) -> Network:
    """Load a network from a .keras file; arguments as in `load_backbone`."""
    if not path.is_file():
        raise FileNotFoundError(f"BACKBONE: {path.resolve()} is not a file.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        _, own, *others = model.input_shape
        if others != [own, 3] or len(model.outputs) != 1:
            raise ValueError(
                f"it takes {model.input_shape} and gives {model.output_shape}."
            )
        pixels = keras.Input((size or own or 224,) * 2 + (3,), name="pixels")
        if own not in (None, pixels.shape[1]):
            resized = keras.models.clone_model(model, keras.Input(pixels.shape[1:]))
            resized.set_weights(model.get_weights())
            model = resized
        network = keras.Model(pixels, model(pixels), name=model.name)
    except Exception as error:
        raise ValueError(
            f"BACKBONE: {path} can't be used for RGB pictures (0-255) of {size or 'its own'} pixels, to "
            f"give maps or a vector. Save or copy it again, or give another IMAGE_SIZE. {error}"
        ) from error
    return Network(network, pixels.shape[1], path.name)


def load_preset(spec: str, with_weights: bool, image_size: int | None) -> Network:
    """Load what a preset of keras-hub sees pictures with, say hub:dinov2_base or hub:FOLDER."""
    hub, preset = _import_hub(), spec.removeprefix(PRESET)
    load = hub.models.Backbone.from_preset
    try:
        converter = hub.layers.ImageConverter.from_preset(preset)
        size = image_size or (converter.image_size or [224])[0]
        try:
            # Some can be built for any size; others have no such argument, or no other size.
            tower = load(preset, load_weights=with_weights, image_shape=(size, size, 3))
        except (TypeError, ValueError):
            tower = load(preset, load_weights=with_weights)
        # Of a network for pictures and text, the half that sees.
        tower = getattr(tower, "vision_encoder", tower)
    except (ValueError, TypeError) as error:
        raise ValueError(f"BACKBONE: {spec} is no backbone for pictures: {error}")
    except Exception as error:
        raise ConnectionError(
            f"BACKBONE: {spec} can't be had ({error}). Connect to the internet; where its licence has "
            "to be accepted, do so on its page and set KAGGLE_API_TOKEN."
        ) from error
    scale = 1.0 if converter.scale is None else converter.scale
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.layers.Rescaling(scale, converter.offset or 0.0)(pixels)
    taken = (
        dict.fromkeys(tower.input, scaled) if isinstance(tower.input, dict) else scaled
    )
    source = Path(preset).name if with_weights else "untrained"
    return Network(keras.Model(pixels, tower(taken), name=tower.name), size, source)


def _import_hub():
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        # Left to itself, pip would replace Keras and TensorFlow by what the newest keras-hub asks for.
        versions = find_versions(["keras", "tensorflow"]).items()
        fitting = " ".join(
            ["keras-hub", *(f"{name}=={version}" for name, version in versions)]
        )
        raise ImportError(
            f"{PRESET}… needs keras-hub ({error}): pip install {fitting}"
        ) from error
