"""Pretrained networks of three kinds: Keras' applications, presets of keras-hub, files."""

import hashlib
import inspect
import os
import re
import socket
import zipfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from lib.models.pooling import flatten, is_classifier
from lib.models.presets import PRESET, load_preset
from lib.parameters import suggest

# Where Keras keeps what it downloads.
DOWNLOADS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
PATIENCE = 8  # seconds to wait for an answer
# Sides in pixels of the pictures that Keras' applications were trained on; 224 where none is named.
OWN_SIZES = {"InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}
SIDES = {"B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}
SIDES |= {"V2B1": 240, "V2B2": 260, "V2B3": 300, "V2S": 384, "V2M": 480, "V2L": 480}
OWN_SIZES |= {f"EfficientNet{kind}": side for kind, side in SIDES.items()}


class Network(NamedTuple):
    """A network without its last layers."""

    # From (n, size, size, 3) to maps (n, h, w, channels), tokens (n, places, channels) or vectors.
    model: keras.Model
    preprocess: callable  # maps RGB pictures of 0-255 to what the model takes
    image_size: int  # side of the pictures in pixels
    weights: str  # `imagenet`, `untrained`, or the name of the file or preset
    entry: str = ""  # as it was asked for


def split_entry(entry: str, default=None) -> tuple[str, int | None]:
    """Divide `hub:dinov2_small@224` into the network and the side of its pictures, in pixels."""
    network, _, size = entry.rpartition("@")
    return (network, int(size)) if network and size.isdecimal() else (entry, default)


def name_network(entry: str) -> str:
    """Return what files of a network are called: `dinov2_small_224` of `hub:dinov2_small@224`."""
    network, size = split_entry(entry)
    # The address of a preset may end in its version.
    network = re.sub(r"/\d+$", "", network.removeprefix(PRESET).rstrip("/")).removesuffix(".keras")
    name = re.sub(r"[^\w.-]+", "_", Path(network).name.lower())
    return f"{name}_{size}" if size else name


def hide_folder(entry: str) -> str:
    """Return how files that may be passed on name a network: without the folder it lies in."""
    return name_network(entry) if "/" in entry else entry


def load_backbone(name: str, weights, image_size: int | None, options: dict, ws) -> Network:
    """Load a pretrained network without its last layers, frozen.

    Args:
        name: a model of keras.applications, hub:PRESET of keras-hub, or the path of a .keras file, from
            RGB pictures of 0-255 to maps, tokens or a vector. @224 at its end goes before `image_size`.
        weights: of a model of keras.applications: "imagenet", the path of a weights file, or "none", or
            None, for untrained weights. Presets have their own, or none; files always their own.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: on its demo pictures, weights that can't be downloaded are done without; None demands them.

    A ValueError of an unknown network, a classifier, options or weights that don't fit; a FileNotFoundError,
    ConnectionError or ImportError where a file, a download or keras-hub is missing.
    """
    entry, size = split_entry(name, image_size)
    weights = None if weights == "none" else weights
    is_file, is_preset = entry.endswith(".keras"), entry.startswith(PRESET)
    if options and (is_file or is_preset):
        raise ValueError(f"BACKBONE_OPTIONS are for models of keras.applications, not for {entry}.")
    try:
        if is_file:
            network = _load_file(Path(entry), size)
        elif is_preset:
            source = hide_folder(entry).removeprefix(PRESET) if weights else "untrained"
            network = Network(*load_preset(entry, bool(weights), size), source)
        else:
            network = _load_application(entry, weights, size, options)
    except ConnectionError:
        if ws is None or not ws.is_demo:
            raise
        return load_backbone(name, None, image_size, options, None)
    if not all(np.isfinite(weight).all() for weight in network.model.get_weights()):
        raise ValueError(f"WEIGHTS: {network.weights} of {entry} isn't finite: download it again.")
    network.model.trainable = False
    return network._replace(entry=name)


def find_application(name: str):
    """Return the constructor of a keras.applications model and its preprocess_input."""
    models = {n: f for n, f in vars(keras.applications).items() if inspect.isfunction(f)}
    if name not in models:
        remedy = f"{suggest(name, sorted(models))} Else give {PRESET}PRESET, or a .keras file."
        raise ValueError(f"BACKBONE: keras.applications has no {name!r}{remedy}")
    return models[name], inspect.getmodule(models[name]).preprocess_input


def _load_application(name: str, weights, size: int | None, options: dict) -> Network:
    build, preprocess = find_application(name)
    size, source = size or OWN_SIZES.get(name, 224), weights if weights == "imagenet" else None
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        model = build(weights=source, include_top=False, input_shape=(size, size, 3), **options)
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
    finally:
        socket.setdefaulttimeout(before)
    return Network(model, preprocess, size, source or _load_weights(model, weights))


def _load_weights(model: keras.Model, file: str | None) -> str:
    if not file:
        return "untrained"
    path, needed = Path(file), f"no-top weights of {model.name}, {model.count_params():,} numbers"
    if not path.is_file():
        raise FileNotFoundError(f"WEIGHTS: {path.resolve()} is not a file. Give {needed}, or None.")
    try:
        model.load_weights(path)
    except Exception as error:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        remedy = f"SHA-256 {digest}: download {needed}, or correct BACKBONE and BACKBONE_OPTIONS."
        raise ValueError(f"WEIGHTS: {path} does not fit {model.name}: {error} {remedy}") from error
    return path.name


def _load_file(path: Path, size: int | None) -> Network:
    if not path.is_file():
        raise FileNotFoundError(f"BACKBONE: {path.resolve()} is not a file.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"BACKBONE: {path} can't be used: damaged or no Keras file; copy it again")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        _, own, *others = model.input_shape
        if others != [own, 3] or len(model.outputs) != 1:
            raise ValueError(f"it takes {model.input_shape} and gives {model.output_shape}.")
        remembers = is_classifier(model)
        if size and own not in (None, size):
            with flatten(model) as (flat, _):
                model = keras.models.clone_model(flat, keras.Input((size, size, 3)))
            model.set_weights(flat.get_weights())
    except Exception as error:
        raise ValueError(
            f"BACKBONE: {path} can't be used for RGB pictures (0-255) of {size or 'its own'} pixels, to "
            f"give maps or a vector. Save or copy it again, or give another IMAGE_SIZE. {error}"
        ) from error
    if remembers:
        raise ValueError(
            f"BACKBONE: {path} is a classifier, and may remember these pictures. Give the network below "
            "its head: keras.Model(model.inputs, model.layers[-2].output).save(…)."
        )
    return Network(model, lambda pixels: pixels, size or own or 224, path.name)
