"""What pretrained networks have learned from, where one can tell: `origins.csv`."""

from pathlib import Path

from lib.base.workspace import read_table
from lib.models.networks import PRESET, split_spec

# What is known of pretrained networks: the first row counts whose `begins` a name begins with.
ORIGINS = read_table(Path(__file__).with_name("origins.csv")).to_dict("records")
FACTS = ["trained_on", "licence", "source", "note", "base_model", "asks"]
UNKNOWN = "nobody can tell what it has learned from: perhaps from pictures like these"


def describe_origin(spec: str, weights: str) -> dict[str, str]:
    """Return what is known of a network, each of `FACTS`; "" where unknown.

    The note says where pictures like yours may have been seen in training, which flatters a score, or
    that nobody can tell; base_model is what the network is called on the Hugging Face Hub; asks is
    what the licence asks of a person who hands a model on.

    Args:
        spec: as in `load_backbone`.
        weights: as in `Network`.
    """
    origin = dict.fromkeys(FACTS, "")
    if weights == "untrained":
        origin["trained_on"] = "nothing: its weights are random"
        return origin
    network, _ = split_spec(spec)
    row = _find_row(network, weights)
    if row is None:
        origin["note"] = UNKNOWN
        return origin
    for fact in FACTS:
        origin[fact] = row[fact]
    if origin["base_model"]:  # the owner of keras-hub's presets, before their own name
        origin["base_model"] += network.removeprefix(PRESET)
    return origin


def _find_row(network, weights):
    # A file, or a folder that someone calls like a preset, may be anything.
    is_known = network.startswith(PRESET) or weights in ("imagenet", "sketches")
    if is_known and "/" not in network and not network.endswith(".keras"):
        for row in ORIGINS:
            if network.lower().startswith(row["begins"]):
                return row
    return None
