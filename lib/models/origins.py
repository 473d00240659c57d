"""What pretrained networks were trained on, and the licence of their weights: see origins.csv."""

import re
from pathlib import Path

from lib.models import saved
from lib.models.backbones import PRESET, hide_folder, name_network, split_entry
from lib.storage import read_table

# The first row counts whose pattern a name, `hub:` before that of a preset, begins with.
ORIGINS = read_table(Path(__file__).with_name("origins.csv")).to_dict("records")
# Of species, or chosen to be like pictures of species.
NATURALISTS = re.compile(r"(^|[\W_])inat|bioclip|plantnet|ImageNet-2[12]k|birds and flowers", re.I)


def describe_origin(entry: str, weights: str) -> dict:
    """Return what is known of a network: trained_on, licence, source, note; "" where unknown.

    The note says where such pictures as a naturalist's may have been seen in training, which flatters
    a score. A `.keras` file does not tell where its weights are from.

    Args:
        entry: as `name` of `backbones.load_backbone`.
        weights: `imagenet`, `untrained` or a name, as in `Network`.
    """
    origin = dict.fromkeys(("trained_on", "licence", "source", "note"), "")
    if weights == "untrained":
        return origin | {"trained_on": "nothing: its weights are random"}
    is_preset, name = entry.startswith(PRESET), name_network(entry)
    # A file, or a folder that someone calls like a preset, may be anything.
    is_file = "/" in entry or split_entry(entry)[0].endswith(".keras")
    if not is_file and (is_preset or weights == "imagenet"):
        full = f"{PRESET}{name}" if is_preset else name
        rows = (row for row in ORIGINS if re.match(row["pattern"], full))
        origin |= {key: text for key, text in next(rows, {}).items() if key in origin}
    if NATURALISTS.search(f"{name} {origin['trained_on']}"):
        origin["note"] = "may have seen such pictures"
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
