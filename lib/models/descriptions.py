"""What a record tells of what its model is built on, and of its settings."""

from lib.models.backbones import name_network
from lib.models.networks import Network
from lib.models.origins import describe_origin
from lib.models.record import Record


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
    settings = {}
    for name, value in parameters.items():
        if "SEED" not in name:
            settings[name.lower()] = value
    if base["kind"] != "network":
        settings["backbone"] = base["network"]
        settings["weights"] = base["weights"]
    return settings
