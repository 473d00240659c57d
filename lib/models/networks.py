"""What the spec of a network tells: its name, its size, and what it has learned from: `origins.csv`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lib.base.parameters import suggest
from lib.base.paths_file import check_exists
from lib.base.workspace import read_table

# The chain asks about networks, and Keras would keep its memory as long as that runs.
if TYPE_CHECKING:
    import keras

PRESET = "hub:"
# What is known of pretrained networks: the first row counts whose `begins` a name begins with.
KNOWN = read_table(Path(__file__).with_name("origins.csv")).set_index("begins")
# Of every model of keras.applications the side in pixels of the pictures that it was trained on.
SIDES = (
    read_table(Path(__file__).with_name("image_sizes.csv")).set_index("network").side
)


class Network(NamedTuple):
    """A network without its last layers."""

    # From RGB pictures of 0-255, (n, size, size, 3), to maps (n, h, w, channels), tokens (n, places,
    # channels) or vectors. The layers of keras.applications stand in it; others are one layer of it.
    model: "keras.Model"
    image_size: int  # side of the pictures in pixels
    # `imagenet`, `sketches`, `untrained`, or the name of the file or preset.
    weights: str
    spec: str = ""  # as it was asked for


def split_spec(spec: str) -> tuple[str, int | None]:
    """Divide `hub:dinov2_small@224` into the network and the side of its pictures, in pixels, or None."""
    network, _, size = spec.rpartition("@")
    if size.isdecimal():
        return network, int(size)
    return spec, None


def list_specs(text: str | list[str]) -> list[str]:
    """Return the specs of networks that BACKBONES names: a list, or text with commas between them."""
    specs = text.split(",") if isinstance(text, str) else text
    return [spec.strip() for spec in specs if spec.strip()]


def look_up(parameters: dict) -> None:
    """Look up the networks that parameters name, without loading them: files and models of keras.applications.

    Args:
        parameters: of the notebooks; BACKBONE, BACKBONES (auto names none), ON_CPU and ON_GPU count.

    Raises:
        ValueError, FileNotFoundError: there is none of a name.
    """
    specs = []
    for name in ("BACKBONES", "ON_CPU", "ON_GPU"):
        if parameters.get(name, "auto") != "auto":
            specs += list_specs(parameters[name])
    if parameters.get("BACKBONE"):
        specs.append(parameters["BACKBONE"])
    for spec in specs:
        name, _ = split_spec(spec)
        if name.endswith(".keras"):
            check_exists(
                Path(name),
                "Name a file of a network; where a path has a comma, BACKBONES is a list: "
                '["one,two.keras"].',
            )
        elif not name.startswith((PRESET, "sketches")):
            check_application(name)


def check_application(name: str) -> None:
    """Check that keras.applications has a model, without importing Keras; a ValueError if not."""
    if name not in SIDES:
        raise ValueError(
            f"keras.applications has no {name!r}{suggest(name, SIDES.index)}"
        )


def name_network(spec: str) -> str:
    """Return what files of a network are called: `dinov2_small_224` of `hub:dinov2_small@224`."""
    # The address of a preset may end in its version.
    ending = r"(/\d+/?|\.keras)(?=@\d+$|$)"
    network = re.sub(ending, "", spec.removeprefix(PRESET))
    # TensorFlow asks that a name begins with a letter or a digit, and has no others.
    name = re.sub(r"[^a-z\d.-]+", "_", Path(network).name.lower())
    return name.lstrip("_.-") or "network"


def describe_origin(spec: str, weights: str) -> dict[str, str]:
    """Return what is known of a network: the columns of `origins.csv`; "" where unknown.

    The note says where pictures like yours may have been seen in training, which flatters a score, or
    that nobody can tell; base_model is what the network is called on the Hugging Face Hub; asks is
    what the licence asks of a person who hands a model on.

    Args:
        spec: as in `load_backbone`.
        weights: as in `Network`.
    """
    name, _ = split_spec(spec)
    if weights == "untrained":
        name = weights
    elif "/" in name or "." in weights:
        # A file, or a folder that someone calls like a preset, may be anything.
        name = ""
    # The last row begins with nothing, as every name does.
    row = next(filter(name.lower().startswith, KNOWN.index))
    origin = KNOWN.loc[row].to_dict()
    origin["base_model"] = origin["base_model"].format(name.removeprefix(PRESET))
    return origin


def describe_base(base: Network) -> dict:
    """Return the fields of a record about the network that a model is built on."""
    return {
        "network": name_network(base.spec),
        "weights": base.weights,
        "backbone_origin": describe_origin(base.spec, base.weights),
    }
