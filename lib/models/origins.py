"""What pretrained networks have learned from, where one can tell: `origins.csv`."""

from pathlib import Path

from lib.data.table import read_table
from lib.models.networks import PRESET, split_spec

# What is known of pretrained networks: the first row counts whose `begins` a name begins with.
ORIGINS = read_table(Path(__file__).with_name("origins.csv")).to_dict("records")
FACTS = ["trained_on", "licence", "source", "note", "base_model"]
UNKNOWN = (
    "nobody can tell what a file has learned from: perhaps from pictures like these"
)


def describe_origin(spec: str, weights: str) -> dict:
    """Return what is known of a network: trained_on, licence, source, note, base_model; "" where unknown.

    The note says where pictures like yours may have been seen in training, which flatters a score;
    base_model is what the network is called on the Hugging Face Hub.

    Args:
        spec: as in `load_backbone`.
        weights: as in `Network`.
    """
    origin = dict.fromkeys(FACTS, "")
    if weights == "untrained":
        return origin | {"trained_on": "nothing: its weights are random"}
    network, is_preset = split_spec(spec)[0], spec.startswith(PRESET)
    # A file, or a folder that someone calls like a preset, may be anything.
    is_known = is_preset or weights in ("imagenet", "sketches")
    if "/" in spec or network.endswith(".keras") or not is_known:
        return origin | {"note": UNKNOWN}
    rows = (row for row in ORIGINS if network.lower().startswith(row["begins"]))
    origin |= {key: text for key, text in next(rows, {}).items() if key in origin}
    if origin["base_model"]:  # the owner of keras-hub's presets, before their own name
        origin["base_model"] += network.removeprefix(PRESET)
    return origin
