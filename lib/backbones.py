"""A pretrained backbone, its own preprocessing, its cached features."""

import contextlib
import hashlib
import inspect
import os
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
from tqdm import tqdm

from lib.workspace import explain_failed_writing, require_room

FEATURE_BATCH = 32
# Where Keras keeps what it downloads.
DOWNLOADS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


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
        ValueError: no such model, an option that it does not have, or weights of another model
            or damaged ones.
        FileNotFoundError: the weights file does not exist.
        ConnectionError: ImageNet weights can't be downloaded.
    """
    build, preprocess = find_application(name)
    unknown = set(options) - set(inspect.signature(build).parameters)
    if unknown:
        raise ValueError(f"BACKBONE_OPTIONS: {name} has no option {sorted(unknown)[0]!r}.")
    options = options | {"include_top": False, "input_shape": (image_size, image_size, 3)}
    try:
        model = build(weights=None, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} can't be built of IMAGE_SIZE and BACKBONE_OPTIONS: {error}")
    label = "untrained"
    if weights == "imagenet":
        # The demo does without, and says so.
        with contextlib.suppress(*[ConnectionError] * ws.is_demo):
            model, label = _download(name, options), "imagenet"
    elif weights is not None:
        label = _load_file(model, Path(weights))
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise ValueError(
            f"WEIGHTS: {weights} holds numbers that are not finite: download it again."
        )
    model.trainable = False
    return Backbone(model, preprocess, label)


def _download(name: str, options: dict) -> keras.Model:
    # Keras takes what lies there for whole, unless it knows the hash; a killed run leaves a part.
    for path in DOWNLOADS.glob("*top*.h5"):
        try:
            h5py.File(path, "r").close()
        except OSError:
            path.unlink()
    try:
        return find_application(name)[0](weights="imagenet", **options)
    except Exception as error:
        raise ConnectionError(
            f"The ImageNet weights of {name} can't be downloaded into {DOWNLOADS} ({error}). Connect "
            "to the internet, or download the no-top weights elsewhere and name the file in WEIGHTS."
        ) from error


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


def fingerprint(model: keras.Model) -> str:
    """Hash the architecture and the weights of a model: equal exactly when nothing moved."""
    digest = hashlib.blake2b(repr((model.name, model.input_shape)).encode(), digest_size=16)
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def cached_features(extractor: keras.Model, images, scratch: Path) -> np.ndarray:
    """Run every picture through a frozen extractor once, or read what an earlier run computed.

    The cache is named by the extractor's weights and the pictures' content. It grows batch by
    batch, so a killed run goes on where it stopped.

    Args:
        extractor: maps uint8 pictures to features.
        images: `Pixels` (n, size, size, 3).
        scratch: folder of the cache.

    Returns:
        float32 memory map (n, *features).

    Raises:
        OSError: the features would find no room, or could not be written.
    """
    key = hashlib.blake2b((fingerprint(extractor) + images.key).encode(), digest_size=16)
    path = scratch / f"features_{key.hexdigest()}.f32"
    shape = (len(images), *extractor.output_shape[1:])
    row_bytes = 4 * int(np.prod(shape[1:]))
    require_room(scratch, len(images) * row_bytes, "the features")
    with explain_failed_writing(path), path.open("ab") as store:
        done = min(store.tell() // row_bytes, len(images))
        store.truncate(done * row_bytes)
        with tqdm(total=len(images), initial=done, desc="features", unit="picture") as progress:
            for start in range(done, len(images), FEATURE_BATCH):
                batch = images[start : start + FEATURE_BATCH]
                features = np.asarray(extractor.predict_on_batch(batch), dtype=np.float32)
                store.write(np.ascontiguousarray(features).data)
                store.flush()
                progress.update(len(batch))
    return np.memmap(path, np.float32, mode="r", shape=shape)
