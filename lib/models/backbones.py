"""Backbones: the network that a spec means, frozen."""

import json
import re
import zipfile
from pathlib import Path

import keras

from lib.models import networks
from lib.models.networks import PRESET, Network, split_spec

# Where no network can be downloaded, the demo has these, all of one file: tests/pretrain_sketches.py.
SKETCHES = ("sketches", "sketches_random", "sketches@96")
SKETCHES_FILE = Path(__file__).parents[1] / "data/sketches.keras"


def name_network(spec: str) -> str:
    """Return what files of a network are called: `dinov2_small_224` of `hub:dinov2_small@224`."""
    network, size = split_spec(spec)
    # The address of a preset may end in its version.
    network = re.sub(
        r"/\d+$", "", network.removeprefix(PRESET).rstrip("/")
    ).removesuffix(".keras")
    name = re.sub(r"[^\w.-]+", "_", Path(network).name.lower())
    return f"{name}_{size}" if size else name


def hide_folder(spec: str) -> str:
    """Return how files that may be passed on name a network: without the folder it lies in."""
    return name_network(spec) if "/" in spec else spec


def load_backbone(
    spec: str, weights, image_size: int | None, options: dict, ws
) -> Network:
    """Load a pretrained network without its last layers, frozen.

    Args:
        spec: a model of keras.applications, hub:PRESET of keras-hub, or the path of a .keras file, from
            RGB pictures of 0-255 to maps, tokens or a vector. @224 at its end goes before `image_size`.
        weights: of a model of keras.applications: "imagenet", the path of a weights file, or "none", or
            None, for untrained weights. Presets have their own, or none; files always their own.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: on its demo pictures `sketches` takes the place of what can't be downloaded; None demands it.

    A ValueError of an unknown network, a classifier, options or weights that don't fit; a FileNotFoundError,
    ConnectionError or ImportError where a file, a download or keras-hub is missing.
    """
    asked, size = split_spec(spec, image_size)
    weights = None if weights == "none" else weights
    is_file, is_preset = asked.endswith(".keras"), asked.startswith(PRESET)
    if options and (is_file or is_preset):
        raise ValueError(
            f"BACKBONE_OPTIONS are for models of keras.applications, not for {asked}."
        )
    try:
        if is_file:
            _refuse_classifier(Path(asked))
            network = networks.load_file(Path(asked), size)
        elif asked in SKETCHES:
            network = load_sketches(asked, size)
        elif is_preset:
            network = networks.load_preset(asked, bool(weights), size)
        else:
            network = networks.load_application(asked, weights, size, options)
    except ConnectionError:
        if ws is None or not ws.is_demo:
            raise
        print(
            f"{asked}'s weights could not be downloaded: a small network that has learned "
            f"{describe_sketches()['kinds']} other kinds of drawings takes its place."
        )
        return load_backbone("sketches", None, None, {}, None)
    network.model.trainable = False
    return network._replace(spec=spec)


def _refuse_classifier(path: Path) -> None:
    # Its layers can't tell what a network has learned from. What lies beside it may.
    try:
        beside = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        beside = {}
    folder = path.resolve().parent
    is_result = folder.name == "models" and (folder.parent / "split.csv").exists()
    if "class_names" in beside or is_result:
        raise ValueError(
            f"BACKBONE: {path} is a classifier of these notebooks, and may remember these pictures: "
            "give a network that has learned from others."
        )


def load_sketches(spec: str, size: int | None) -> Network:
    """Load the network that has learned other drawings, or its twin of random weights, `sketches_random`."""
    network = networks.load_file(SKETCHES_FILE, size)
    if spec == "sketches":
        return network._replace(weights="sketches")
    twin = keras.models.clone_model(network.model)
    return network._replace(model=twin, weights="untrained")


def describe_sketches() -> dict:
    """Read how that network was made: kinds (how many), side (of its pictures), seed."""
    with zipfile.ZipFile(SKETCHES_FILE) as file:
        return json.loads(file.read("metadata.json"))
