"""What a record tells of what its model is built on, and of its settings."""

from lib.models.backbones import hide_folder
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
        "network": hide_folder(base.spec),
        "weights": base.weights,
        "backbone_origin": describe_origin(base.spec, base.weights),
    }


def characterize(words: str, base: Network | Record | None, is_augmented: bool) -> str:
    """Add to some words about a model what it is built on, and augmentation."""
    if isinstance(base, Record):
        words += f" of {base.name}"
    elif base:
        words += f" of {hide_folder(base.spec)}"
    if is_augmented:
        words += ", augmentation"
    return words


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
    if base["kind"] == "transfer":
        settings["weights"] = base["weights"]
    return settings
