"""Backbones of keras-hub, which is optional: their half that sees pictures."""

import importlib

import keras

from lib.machine import find_versions

PRESET = "hub:"


def load_preset(entry: str, with_weights: bool, image_size: int | None) -> tuple:
    """Load what a preset of keras-hub sees pictures with, say dinov2_base or siglip2_base_patch16_224.

    Args:
        entry: hub: and a name that keras-hub knows, or the folder of a saved preset.
        image_size: side of the pictures in pixels; None for that of the preset.

    Returns model, preprocess and image_size, as in `backbones.Network`. An ImportError where
    keras-hub is missing, or does not fit; a ValueError where there is no such preset for pictures, or
    not at this size; a ConnectionError where it can't be downloaded.
    """
    hub, preset = _import_hub(), entry.removeprefix(PRESET)
    try:
        converter = hub.layers.ImageConverter.from_preset(preset)
        size = image_size or (converter.image_size or [224])[0]
        tower = _load_tower(hub, preset, with_weights, size)
    except (ValueError, TypeError) as error:
        raise ValueError(f"BACKBONE: {entry} is no backbone for pictures: {error}")
    except Exception as error:
        raise ConnectionError(
            f"BACKBONE: {entry} can't be had ({error}). Connect to the internet; where its licence has "
            "to be accepted, do so on its page and set KAGGLE_API_TOKEN."
        ) from error
    if (only := tower.inputs[0].shape[1]) not in (None, size):
        problem = f"{entry} takes pictures of {only} pixels alone: write {entry}@{only}."
        raise ValueError(f"BACKBONE: {problem}")
    scale = 1.0 if converter.scale is None else converter.scale
    rescale = keras.layers.Rescaling(scale, converter.offset or 0.0)
    if not isinstance(tower.input, dict):
        return tower, rescale, size
    (place,) = tower.input
    return tower, lambda pixels: {place: rescale(pixels)}, size


def _load_tower(hub, preset: str, with_weights: bool, size: int):
    load = hub.models.Backbone.from_preset
    try:
        # Some can be built for any size; others have no such argument, or no other size.
        backbone = load(preset, load_weights=with_weights, image_shape=(size, size, 3))
    except (TypeError, ValueError):
        backbone = load(preset, load_weights=with_weights)
    # Of a network for pictures and text, the half that sees.
    return getattr(backbone, "vision_encoder", backbone)


def _import_hub():
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        # Left to itself, pip would replace Keras and TensorFlow by what the newest keras-hub asks for.
        versions = find_versions(["keras", "tensorflow"]).items()
        fitting = " ".join(["keras-hub", *(f"{name}=={version}" for name, version in versions)])
        raise ImportError(f"{PRESET}… needs keras-hub ({error}): pip install {fitting}") from error
