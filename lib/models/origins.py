"""What models are built on, and what pretrained networks have learned from, where one can tell: `origins.csv`."""

from pathlib import Path

from lib.base.workspace import read_table
from lib.models.networks import PRESET, Network, name_network, split_spec
from lib.models.record import Record

# What is known of pretrained networks: the first row counts whose `begins` a name begins with.
TABLE = read_table(Path(__file__).with_name("origins.csv")).set_index("begins")
ORIGINS = TABLE.to_dict("index")
BLANK = dict.fromkeys(TABLE, "")
UNKNOWN = "nobody can tell what it has learned from: perhaps from pictures like these"


def describe_origin(spec: str, weights: str) -> dict[str, str]:
    """Return what is known of a network: the columns of `origins.csv`; "" where unknown.

    The note says where pictures like yours may have been seen in training, which flatters a score, or
    that nobody can tell; base_model is what the network is called on the Hugging Face Hub; asks is
    what the licence asks of a person who hands a model on.

    Args:
        spec: as in `load_backbone`.
        weights: as in `Network`.
    """
    if weights == "untrained":
        return BLANK | {"trained_on": "nothing: its weights are random"}
    network, _ = split_spec(spec)
    # A file, or a folder that someone calls like a preset, may be anything.
    is_named = weights in ("imagenet", "sketches") or network.startswith(PRESET)
    if is_named and "/" not in network and not network.endswith(".keras"):
        for begins, origin in ORIGINS.items():
            if network.lower().startswith(begins):
                name = origin["base_model"].format(network.removeprefix(PRESET))
                return origin | {"base_model": name}
    return BLANK | {"note": UNKNOWN}


def describe_base(base: Network | Record | None) -> dict:
    """Return the fields of a record about the network, or the saved model, that a model is built on."""
    if base is None:
        return {"kind": "network"}
    if isinstance(base, Record):
        return {
            "kind": "finetuned",
            "network": base.network,
            "weights": base.weights,
            "backbone_origin": base.backbone_origin,
        }
    return {
        "kind": "transfer",
        "network": name_network(base.spec),
        "weights": base.weights,
        "backbone_origin": describe_origin(base.spec, base.weights),
    }


def list_settings(parameters: dict, base: dict) -> dict:
    """Return the parameters of a notebook, but for its seeds, as they stand in a record.

    Args:
        parameters: by their names, in capitals.
        base: of `describe_base`, whose network and weights name no folder.
    """
    told = parameters.items()
    settings = {name.lower(): value for name, value in told if "SEED" not in name}
    if base["kind"] != "network":
        settings |= {"backbone": base["network"], "weights": base["weights"]}
    return settings
