"""What a model's JSON tells of what the model is built on, and of its settings."""

from lib.models import backbones, origins, saved
from lib.models.networks import Network
from lib.workspace import Workspace


def describe_base(ws: Workspace, base: Network | str | None) -> dict:
    """Return what is told of the network, or the saved model, that a model is built on."""
    if base is None:
        return {"weights": "from scratch", "parameters": {}}
    if isinstance(base, str):
        start = saved.read_metadata(ws, base)
        return {
            "weights": start.get("weights"),
            "backbone_origin": start.get("backbone_origin"),
            "started_from": base,
            "parameters": {"backbone": start["parameters"].get("backbone")},
        }
    name = backbones.hide_folder(base.spec)
    return {
        "weights": base.weights,
        "backbone_origin": origins.describe_origin(base.spec, base.weights),
        "parameters": {"backbone": name, "weights": base.weights},
    }


def characterize(words: str, base: dict, is_augmented: bool) -> str:
    """Add to some words about a model what it is built on, as of `describe_base`, and augmentation."""
    name = base.get("started_from") or base["parameters"].get("backbone")
    if name:
        words += f" of {name}"
    if is_augmented:
        words += ", augmentation"
    return words


def list_settings(parameters: dict) -> dict:
    """Return the parameters of a notebook, but for its seeds, as they stand in a model's JSON."""
    return {
        name.lower(): value for name, value in parameters.items() if "SEED" not in name
    }
