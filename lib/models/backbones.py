"""Backbones: the network that an entry means, and what it has learned from."""

import json
import re
import zipfile
from pathlib import Path

import keras

from lib.models import networks, saved
from lib.models.networks import PRESET, Network
from lib.storage import read_table

# What is known of pretrained networks: the first row counts whose `begins` a name begins with.
ORIGINS = read_table(Path(__file__).with_name("origins.csv")).to_dict("records")
FACTS = ["trained_on", "licence", "source", "note", "base_model"]
# Where no network can be downloaded, the demo has these, all of one file: tests/pretrain_sketches.py.
SKETCHES = ("sketches", "sketches_random", "sketches@96")
SKETCHES_FILE = Path(__file__).parents[1] / "data/sketches.keras"
UNKNOWN = (
    "nobody can tell what a file has learned from: perhaps from pictures like these"
)


def split_entry(entry: str, default=None) -> tuple[str, int | None]:
    """Divide `hub:dinov2_small@224` into the network and the side of its pictures, in pixels."""
    network, _, size = entry.rpartition("@")
    return (network, int(size)) if network and size.isdecimal() else (entry, default)


def name_network(entry: str) -> str:
    """Return what files of a network are called: `dinov2_small_224` of `hub:dinov2_small@224`."""
    network, size = split_entry(entry)
    # The address of a preset may end in its version.
    network = re.sub(
        r"/\d+$", "", network.removeprefix(PRESET).rstrip("/")
    ).removesuffix(".keras")
    name = re.sub(r"[^\w.-]+", "_", Path(network).name.lower())
    return f"{name}_{size}" if size else name


def hide_folder(entry: str) -> str:
    """Return how files that may be passed on name a network: without the folder it lies in."""
    return name_network(entry) if "/" in entry else entry


def load_backbone(
    name: str, weights, image_size: int | None, options: dict, ws
) -> Network:
    """Load a pretrained network without its last layers, frozen.

    Args:
        name: a model of keras.applications, hub:PRESET of keras-hub, or the path of a .keras file, from
            RGB pictures of 0-255 to maps, tokens or a vector. @224 at its end goes before `image_size`.
        weights: of a model of keras.applications: "imagenet", the path of a weights file, or "none", or
            None, for untrained weights. Presets have their own, or none; files always their own.
        image_size: side of the pictures, in pixels; None for the network's own.
        options: further arguments of a keras.applications model, say {"alpha": 0.25}.
        ws: on its demo pictures `sketches` takes the place of what can't be downloaded; None demands it.

    A ValueError of an unknown network, a classifier, options or weights that don't fit; a FileNotFoundError,
    ConnectionError or ImportError where a file, a download or keras-hub is missing.
    """
    entry, size = split_entry(name, image_size)
    weights = None if weights == "none" else weights
    is_file, is_preset = entry.endswith(".keras"), entry.startswith(PRESET)
    if options and (is_file or is_preset):
        raise ValueError(
            f"BACKBONE_OPTIONS are for models of keras.applications, not for {entry}."
        )
    try:
        if is_file:
            _refuse_classifier(Path(entry))
            network = networks.load_file(Path(entry), size)
        elif entry in SKETCHES:
            network = load_sketches(entry, size)
        elif is_preset:
            network = networks.load_preset(entry, bool(weights), size)
        else:
            network = networks.load_application(entry, weights, size, options)
    except ConnectionError:
        if ws is None or not ws.is_demo:
            raise
        print(
            f"{entry}'s weights could not be downloaded: a small network that has learned "
            f"{describe_sketches()['kinds']} other kinds of drawings takes its place."
        )
        return load_backbone("sketches", None, None, {}, None)
    network.model.trainable = False
    return network._replace(entry=name)


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


def load_sketches(entry: str, size: int | None) -> Network:
    """Load the network that has learned other drawings, or its twin of random weights, `sketches_random`."""
    network = networks.load_file(SKETCHES_FILE, size)
    if entry == "sketches":
        return network._replace(weights="sketches")
    twin = keras.models.clone_model(network.model)
    return network._replace(model=twin, weights="untrained")


def describe_sketches() -> dict:
    """Read how that network was made: kinds (how many), side (of its pictures), seed."""
    with zipfile.ZipFile(SKETCHES_FILE) as file:
        return json.loads(file.read("metadata.json"))


def describe_origin(entry: str, weights: str) -> dict:
    """Return what is known of a network: trained_on, licence, source, note, base_model; "" where unknown.

    The note says where pictures like yours may have been seen in training, which flatters a score;
    base_model is what the network is called on the Hugging Face Hub.

    Args:
        entry: as `name` of `load_backbone`.
        weights: as in `Network`.
    """
    origin = dict.fromkeys(FACTS, "")
    if weights == "untrained":
        return origin | {"trained_on": "nothing: its weights are random"}
    network, is_preset = split_entry(entry)[0], entry.startswith(PRESET)
    # A file, or a folder that someone calls like a preset, may be anything.
    is_known = is_preset or weights in ("imagenet", "sketches")
    if "/" in entry or network.endswith(".keras") or not is_known:
        return origin | {"note": UNKNOWN}
    rows = (row for row in ORIGINS if network.lower().startswith(row["begins"]))
    origin |= {key: text for key, text in next(rows, {}).items() if key in origin}
    if origin["base_model"]:  # the owner of keras-hub's presets, before their own name
        origin["base_model"] += network.removeprefix(PRESET)
    return origin


def describe_base(ws, base) -> dict:
    """Return what a model's JSON tells of what it is built on: a `Network`, a saved model's name, or None."""
    if base is None:
        return {"weights": "from scratch", "parameters": {}}
    if isinstance(base, str):
        start = saved.read_metadata(ws, base)
        known = {key: start.get(key) for key in ("weights", "backbone_origin")}
        chosen = {"backbone": start["parameters"].get("backbone")}
        return known | {"started_from": base, "parameters": chosen}
    origin = describe_origin(base.entry, base.weights)
    chosen = {"backbone": hide_folder(base.entry), "weights": base.weights}
    return {"weights": base.weights, "backbone_origin": origin, "parameters": chosen}
