"""A pretrained backbone, its own preprocessing, its kept features."""

import contextlib
import hashlib
import inspect
import os
import socket
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
from tqdm import tqdm

from lib.data.store import Selection, open_store
from lib.machine import count_replicas
from lib.models.configs import make_key
from lib.storage import lock, require_room

FEATURE_BATCH = 32
# Where Keras keeps what it downloads, and how many seconds it waits for an answer.
DOWNLOADS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
PATIENCE = 8
# What the notebook decides itself: where the backbone is cut off, and what comes in.
SET_HERE = "include_top input_shape input_tensor weights pooling classes classifier_activation"


class Backbone(NamedTuple):
    """A frozen backbone and what belongs to it.

    Attributes:
        model: keras.Model without top, not trainable; maps preprocessed pictures to feature maps.
        preprocess: the backbone's own preprocess_input, for RGB pictures of 0-255.
        weights: `imagenet`, the name of a weights file, or `untrained`.
    """

    model: keras.Model
    preprocess: callable
    weights: str


def load_backbone(name: str, weights: str | None, image_size: int, options: dict, ws) -> Backbone:
    """Load a backbone of keras.applications without its top, frozen.

    Args:
        name: a model of keras.applications, say ResNet50.
        weights: "imagenet", the path of a weights file, or None for untrained weights.
        image_size: side of the pictures, in pixels.
        options: further arguments of the model, say {"alpha": 0.25}.
        ws: the workspace; on demo pictures, ImageNet weights that can't be downloaded are done
            without.

    Raises:
        ValueError: no such model, an option that it does not have or has no ImageNet weights for,
            or weights of another model or damaged ones.
        FileNotFoundError: the weights file does not exist.
        ConnectionError: ImageNet weights can't be downloaded.
    """
    build, preprocess = find_application(name)
    check_options(name, build, options)
    options = options | {"include_top": False, "input_shape": (image_size, image_size, 3)}
    try:
        model, label = build(weights=None, **options), "untrained"
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} can't be built of IMAGE_SIZE and BACKBONE_OPTIONS: {error}")
    if weights == "imagenet":
        # The demo does without, and says so.
        with contextlib.suppress(ConnectionError) if ws.is_demo else contextlib.nullcontext():
            model, label = _download(name, build, options), "imagenet"
    elif weights is not None:
        label = _load_file(model, Path(weights))
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise ValueError(
            f"WEIGHTS: {weights} holds numbers that are not finite: download it again."
        )
    model.trainable = False
    return Backbone(model, preprocess, label)


def find_application(name: str):
    """Return the constructor of a keras.applications model and its preprocess_input.

    Raises:
        ValueError: keras.applications has no such model.
    """
    models = {n: f for n, f in vars(keras.applications).items() if inspect.isfunction(f)}
    if name not in models:
        known = ", ".join(sorted(models))
        raise ValueError(f"BACKBONE: keras.applications has no {name!r}. It has: {known}.")
    return models[name], inspect.getmodule(models[name]).preprocess_input


def check_options(name: str, build, options: dict) -> None:
    """Raise a ValueError for an option that a model does not have, or that is not to be chosen."""
    known = set(inspect.signature(build).parameters) - set(SET_HERE.split())
    for option in options:
        if option in SET_HERE.split():
            raise ValueError(f"BACKBONE_OPTIONS: {option!r} is set by the notebook: leave it out.")
        if option not in known:
            raise ValueError(
                f"BACKBONE_OPTIONS: {name} has no option {option!r}. It has: "
                f"{', '.join(sorted(known))}."
            )


def _download(name: str, build, options: dict) -> keras.Model:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        return build(weights="imagenet", **options)
    except Exception as error:
        # Keras refuses what there are no weights for before it asks for any.
        if isinstance(error, ValueError) and "corrupted" not in str(error):
            raise ValueError(
                f"{name} has no ImageNet weights for these BACKBONE_OPTIONS and IMAGE_SIZE: {error}"
            ) from error
        unreadable = [str(path) for path in DOWNLOADS.glob("*.h5") if not _can_open(path)]
        damage = f" Delete what a killed download left: {', '.join(unreadable)}."
        raise ConnectionError(
            f"The ImageNet weights of {name} can't be downloaded into {DOWNLOADS} ({error})."
            f"{damage if unreadable else ''} Connect to the internet, or download the no-top weights "
            "elsewhere and name the file in WEIGHTS."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _can_open(path: Path) -> bool:
    try:
        h5py.File(path, "r").close()
    except OSError:
        return False
    return True


def _load_file(model: keras.Model, path: Path) -> str:
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


def cached_features(extractor: keras.Model, images, scratch: Path) -> Selection:
    """Run every picture through a frozen extractor once, or read what an earlier run computed.

    They lie in the store of the extractor's configuration and weights, found by the pictures'
    content: a killed run goes on where it stopped, and any number of processes share them.

    Args:
        extractor: maps uint8 pictures to features.
        images: a `Selection` of pictures, uint8 (n, size, size, 3).
        scratch: folder of the stores.

    Returns:
        float32 (n, *features), indexed like an array.

    Raises:
        OSError: the features would find no room, or could not be written.
    """
    shape = extractor.output_shape[1:]
    store = open_store(scratch, f"features_{make_key(extractor)}", np.float32, shape)
    first = np.unique(images.digests, return_index=True)[1]
    missing = np.sort(first[store.find(images.digests[first]) < 0])
    if len(missing):
        require_room(scratch, len(missing) * store.row_bytes, "the features")
    size = FEATURE_BATCH * count_replicas(extractor)
    with tqdm(total=len(missing), desc="features", unit="picture") as progress:
        for start in range(0, len(missing), size):
            with lock(store.rows.with_suffix(".computing")):
                block = missing[start : start + size]
                # Another process may have computed them meanwhile.
                todo = block[store.find(images.digests[block]) < 0]
                if len(todo):
                    store.append(dict(zip(images.digests[todo], _compute(extractor, images[todo]))))
            progress.update(len(block))
    return store.select(images.digests)


def _compute(extractor, pictures) -> np.ndarray:
    if count_replicas(extractor) == 1:
        return np.asarray(extractor.predict_on_batch(pictures), np.float32)
    # Only `predict` divides a batch among the GPUs.
    return np.asarray(extractor.predict(pictures, len(pictures), verbose=0), np.float32)
