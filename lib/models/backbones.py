"""Backbones: the network that a spec means, frozen."""

from pathlib import Path

import keras

from lib.base.paths_file import check_exists
from lib.base.workspace import Workspace
from lib.models import networks
from lib.models.networks import PRESET, Network, split_spec
from lib.models.record import read_record

# Where no network can be downloaded, the demo has these, all of one file: tests/pretrain_sketches.py.
SKETCHES = ("sketches", "sketches_random", "sketches@96")
SKETCHES_FILE = Path(__file__).parents[1] / "data/sketches.keras"
WITHOUT_NETWORK = (
    ". Where nothing can be downloaded, name a file that lies here: of these weights, in WEIGHTS, or of "
    "a whole network (.keras), in BACKBONE or BACKBONES."
)


def list_specs(text: str | list[str]) -> list[str]:
    """Return the specs of networks that BACKBONES names: a list, or text with commas between them."""
    specs = text.split(",") if isinstance(text, str) else text
    return [spec.strip() for spec in specs if spec.strip()]


def look_up(parameters: dict, ws: Workspace) -> None:
    """Look up the networks that parameters name, without loading them.

    Args:
        parameters: BACKBONES or BACKBONE, and WEIGHTS; "auto" means a network that 05 chooses.
        ws: its demo does without networks that are to be downloaded.

    Raises:
        ValueError, FileNotFoundError: there is none of a name.
        ConnectionError: all would have to be downloaded, and can't be.
    """
    specs = [parameters.get("BACKBONE", "auto")]
    specs += list_specs(parameters.get("BACKBONES", []))
    names = [split_spec(spec)[0] for spec in specs if spec != "auto"]
    for name in names:
        _find(name)
    weights = parameters["WEIGHTS"]
    if weights not in (None, "none", "imagenet"):
        check_exists(Path(weights), "Correct WEIGHTS.")
    are_missing = bool(names) and not any(map(_is_here, names))
    if are_missing and weights == "imagenet" and not ws.is_demo:
        try:
            networks.require_connection(networks.CACHES)
        except ConnectionError as error:
            raise ConnectionError(f"BACKBONES: {error}{WITHOUT_NETWORK}") from error


def _find(name):
    if name.endswith(".keras"):
        check_exists(Path(name), "Name a file of a network.")
    elif name.startswith(PRESET):
        networks.find_preset(name)
    elif name not in SKETCHES:
        networks.find_application(name)


def _is_here(name):
    return name in SKETCHES or Path(name.removeprefix(PRESET)).exists()


def load_backbone(
    spec: str,
    weights: str | None,
    image_size: int | None,
    options: dict,
    ws: Workspace | None,
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

    Raises:
        ValueError: it can't be loaded so; the message ends in Keras' own words.
    """
    weights = None if weights == "none" else weights
    name, size = split_spec(spec, image_size)
    try:
        network = _load(name, weights, size, options)
    except Exception as error:
        # What is refused has a reason of its own; all else is a download that failed.
        is_refused = isinstance(error, (ImportError, TypeError, ValueError))
        is_download = weights in (None, "imagenet") and not is_refused
        if is_download and ws is not None and ws.is_demo:
            print(
                f"Note: {name}'s weights could not be downloaded: a small network that has learned "
                "other kinds of drawings takes its place."
            )
            return load_backbone("sketches", None, None, {}, None)
        # Keras may list every layer, on many lines.
        words = " ".join(str(error).split())[:500]
        if is_download:
            words += WITHOUT_NETWORK
        raise ValueError(
            f"BACKBONE {name} can't be loaded with WEIGHTS {weights}, IMAGE_SIZE {size}, "
            f"BACKBONE_OPTIONS {options}: {words}"
        ) from error
    network.model.trainable = False
    return network._replace(spec=spec)


def _load(name, weights, size, options):
    is_file = name.endswith(".keras")
    is_preset = name.startswith(PRESET)
    if options and (is_file or is_preset):
        raise ValueError("BACKBONE_OPTIONS are for models of keras.applications")
    if is_file:
        _refuse_classifier(Path(name))
        return networks.load_file(Path(name), size)
    if is_preset:
        return networks.load_preset(name, bool(weights), size)
    if name in SKETCHES:
        return _load_sketches(name, size)
    return networks.load_application(name, weights, size, options)


def _refuse_classifier(path):
    # Its layers can't tell what a network has learned from. What lies beside it may.
    folder = path.resolve().parent
    is_result = folder.name == "models" and (folder.parent / "split.csv").exists()
    if is_result or read_record(path) is not None:
        raise ValueError(
            "it is a classifier of these notebooks, and may remember these pictures: "
            "give a network that has learned from others"
        )


def _load_sketches(name, size):
    network = networks.load_file(SKETCHES_FILE, size)
    if name == "sketches":
        return network._replace(weights="sketches")
    twin = keras.models.clone_model(network.model)
    return network._replace(model=twin, weights="untrained")
