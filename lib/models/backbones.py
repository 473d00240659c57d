"""Pretrained networks of three kinds: Keras' applications, presets of keras-hub, files."""

import hashlib
import inspect
import os
import re
import socket
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from lib.models.presets import PRESET, load_preset
from lib.parameters import suggest

# Where Keras keeps what it downloads, and how many seconds it waits for an answer.
DOWNLOADS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
PATIENCE = 8
# Sides in pixels of the pictures that Keras' applications were trained on; 224 where none is named.
OWN_SIZES = {"InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}
OWN_SIZES |= {"EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300}
OWN_SIZES |= {"EfficientNetB4": 380, "EfficientNetB5": 456, "EfficientNetB6": 528}
OWN_SIZES |= {"EfficientNetB7": 600, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260}
OWN_SIZES |= {"EfficientNetV2B3": 300, "EfficientNetV2S": 384, "EfficientNetV2M": 480}
OWN_SIZES |= {"EfficientNetV2L": 480}
# What the notebook decides itself: where the network is cut off, and what comes in.
SET_HERE = set(
    "include_top input_shape input_tensor weights pooling classes classifier_activation".split()
)


class Network(NamedTuple):
    """A network without its last layers.

    The model maps preprocessed pictures (n, size, size, 3) to maps (n, h, w, channels), tokens
    (n, places, channels) or vectors (n, channels).
    """

    model: keras.Model
    preprocess: callable  # maps RGB pictures of 0-255 to what the model takes
    image_size: int  # side of the pictures in pixels
    weights: str  # `imagenet`, `untrained`, or the name of the file or preset


def name_network(entry: str) -> str:
    """Return what files of a network are called: `efficientnet_lite2` of a path that ends so."""
    # The address of a preset may end in its version.
    name = re.sub(r"/\d+$", "", entry.removeprefix(PRESET).rstrip("/")).removesuffix(".keras")
    return re.sub(r"[^\w.-]+", "_", Path(name).name.lower())


def hide_folder(entry: str) -> str:
    """Return how files that may be passed on tell a network: without the folder it lies in."""
    return name_network(entry) if "/" in entry else entry


def load_backbone(name: str, weights, image_size: int | None, options: dict, ws) -> Network:
    """Load a pretrained network without its last layers, frozen.

    Args:
        name: a model of keras.applications, say ResNet50; or hub:PRESET, a backbone of keras-hub;
            or the path of a .keras file that maps RGB pictures of 0-255 to maps or a vector.
        weights: of a model of keras.applications: "imagenet", the path of a weights file, or None
            for untrained weights. Presets have their own, or None; files always their own.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: the workspace; on demo pictures, weights that can't be downloaded are done without. None
            demands them.

    Raises:
        ValueError: no such network, an option that it does not have or has no ImageNet weights for,
            or weights of another model or damaged ones.
        FileNotFoundError: the file does not exist.
        ConnectionError: weights can't be downloaded.
        ImportError: keras-hub is missing, or does not fit.
    """
    try:
        network = _load(name, weights, image_size, options)
    except ConnectionError:
        # The demo does without, and says so.
        if ws is None or not ws.is_demo:
            raise
        network = _load(name, None, image_size, options)
    if not all(np.isfinite(weight).all() for weight in network.model.get_weights()):
        raise ValueError(
            f"WEIGHTS: {weights if weights != 'imagenet' else name} holds numbers that are not "
            "finite: download it again."
        )
    network.model.trainable = False
    return network


def _load(entry: str, weights: str | None, image_size: int | None, options: dict) -> Network:
    is_file = entry.endswith(".keras")
    if options and (is_file or entry.startswith(PRESET)):
        raise ValueError(f"BACKBONE_OPTIONS are for models of keras.applications, not for {entry}.")
    if is_file:
        return _load_keras_file(Path(entry), image_size)
    if entry.startswith(PRESET):
        preset = entry.removeprefix(PRESET)
        parts = load_preset(preset, weights is not None, image_size)
        return Network(*parts, "untrained" if weights is None else preset)
    return _load_application(entry, weights, image_size, options)


def find_application(name: str):
    """Return the constructor of a keras.applications model and its preprocess_input.

    A ValueError where keras.applications has no such model.
    """
    models = {n: f for n, f in vars(keras.applications).items() if inspect.isfunction(f)}
    if name not in models:
        raise ValueError(
            f"BACKBONE: keras.applications has no {name!r}{suggest(name, sorted(models))} "
            f"Else give {PRESET}PRESET of keras-hub, or the path of a .keras file."
        )
    return models[name], inspect.getmodule(models[name]).preprocess_input


def _load_application(name: str, weights, image_size, options: dict) -> Network:
    build, preprocess = find_application(name)
    known = set(inspect.signature(build).parameters) - SET_HERE
    for option in options:
        if option in SET_HERE:
            raise ValueError(f"BACKBONE_OPTIONS: {option!r} is set by the notebook: leave it out.")
        if option not in known:
            hint = suggest(option, sorted(known))
            raise ValueError(f"BACKBONE_OPTIONS: {name} has no option {option!r}{hint}")
    size = image_size or OWN_SIZES.get(name, 224)
    options = options | {"include_top": False, "input_shape": (size, size, 3)}
    if weights == "imagenet":
        return Network(_download(name, build, options), preprocess, size, weights)
    try:
        model = build(weights=None, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} can't be built of IMAGE_SIZE and BACKBONE_OPTIONS: {error}")
    label = "untrained" if weights is None else _load_weights(model, Path(weights))
    return Network(model, preprocess, size, label)


def _download(name: str, build, options: dict) -> keras.Model:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        return build(weights="imagenet", **options)
    except Exception as error:
        # Keras refuses what it can't build, or has no weights for, before it asks for any.
        if isinstance(error, (TypeError, ValueError)) and "corrupted" not in str(error):
            raise ValueError(
                f"{name} has no ImageNet weights for these BACKBONE_OPTIONS, or can't be built of "
                f"this IMAGE_SIZE: {error}"
            ) from error
        raise ConnectionError(
            f"The ImageNet weights of {name} can't be downloaded into {DOWNLOADS} ({error}). Connect "
            "to the internet, and delete what a killed download may have left of them there; or "
            "download the no-top weights elsewhere and name the file in WEIGHTS."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _load_weights(model: keras.Model, path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f'WEIGHTS: {path.resolve()} is not a file. Give "imagenet", the path of no-top weights '
            f"of {model.name}, or None."
        )
    try:
        model.load_weights(path)
    except Exception as error:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        raise ValueError(
            f"WEIGHTS: {path} does not fit {model.name}: {error} Its SHA-256 is {digest}. Needed are "
            f"no-top weights of {model.count_params():,} numbers: download the file again, or "
            "correct BACKBONE and BACKBONE_OPTIONS."
        ) from error
    return path.name


def _load_keras_file(path: Path, image_size: int | None) -> Network:
    if not path.is_file():
        raise FileNotFoundError(f"BACKBONE: {path.resolve()} is not a file.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        sides = model.input_shape[1:3]
        is_picture = len(model.inputs) == 1 and model.input_shape[3:] == (3,)
        if not is_picture or len(set(sides)) > 1 or len(model.outputs) != 1:
            raise ValueError(f"it takes {model.input_shape} and gives {model.output_shape}.")
        size = image_size or model.input_shape[1] or 224
        if model.input_shape[1] not in (None, size):
            other = keras.models.clone_model(model, keras.Input((size, size, 3)))
            other.set_weights(model.get_weights())
            model = other
    except Exception as error:
        raise ValueError(
            f"BACKBONE: {path} can't be used as a network of pictures of {image_size or 'its own'} "
            "pixels (RGB, 0-255) that gives maps or a vector. Save it again, give another "
            f"IMAGE_SIZE, or copy the file again. {error}"
        ) from error
    return Network(model, lambda pixels: pixels, size, path.name)
