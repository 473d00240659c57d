"""A contest of frozen networks: which of them serves these pictures best, and at what cost."""

import contextlib
import re
from pathlib import Path

import keras
import numpy as np

from lib.cluster import ClusterError
from lib.data.pixels import open_pixels
from lib.machine import set_seed
from lib.models.backbones import build_extractor, load_backbone, name_network
from lib.models.features import cached_features, measure_speed
from lib.models.fuse import fuse_normalisations
from lib.models.origins import describe_origin


def gather_features(entries: list[str], weights, image_size, files, ws, seed) -> tuple:
    """Let networks, one after the other, look at every picture once; tell what each is and costs.

    Args:
        entries: each as `name` of `backbones.load_backbone`, as are `weights` and `image_size`.
        files: of the split.
        ws: the workspace.
        seed: decides untrained weights, so that the same network can be built again.

    Returns:
        facts: of every network, in order: candidate (its name), entry, weights, image_size
            (pixels), parameters, megabytes (of the weights in float32), features (how many),
            pooling (`pooling.pool`), pictures_per_second (of a batch of 32, once the first is
            through), trained_on, licence, source, note (`origins`), reason ("", or why it does not
            take part, in which case all from weights to note is missing).
        features: of those that take part, by the candidate's name: `Selection`, float32 (n, features).

    Raises:
        ValueError: two networks have one name.
        ClusterError: no network is at fault.
    """
    names = _name_all(entries)
    facts, features, policy = [], {}, keras.config.dtype_policy()
    for name, entry in zip(names, entries):
        facts.append({"candidate": name, "entry": entry})
        set_seed(seed, deterministic=False)
        with _reason_for(facts[-1]):
            told, features[name] = _look(entry, weights, image_size, files, ws)
            facts[-1] |= told
        # One network after the other in memory; what they compute in stays.
        keras.utils.clear_session(free_memory=True)
        keras.config.set_dtype_policy(policy)
    return facts, features


def _name_all(entries: list[str]) -> list[str]:
    names = [name_network(entry) for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"BACKBONES: two are called {name}: leave one out, or rename a file.")
    return names


@contextlib.contextmanager
def _reason_for(row: dict):
    """Turn what keeps a network out into the reason in its row; the others go on."""
    try:
        yield
    except ClusterError:
        raise
    # Be it a full GPU.
    except Exception as error:
        # Keras colours some of its messages.
        words = re.sub(r"\x1b\[[\d;]*m", "", f"{type(error).__name__}: {error}").split()
        for key in set(row) - {"candidate", "entry"}:
            del row[key]
        row["reason"] = " ".join(words)
        print(f"{row['candidate']} does not take part: {row['reason']}")


def _look(entry: str, weights, image_size, files, ws) -> tuple:
    check_untaught(entry)
    backbone = load_backbone(entry, weights, image_size, {}, None)
    extractor = build_extractor(backbone)
    images, folded = open_pixels(ws, files, backbone.image_size), fuse_normalisations(extractor)
    facts = {"weights": backbone.weights, "image_size": backbone.image_size}
    count, size = extractor.count_params(), extractor.output_shape[-1]
    facts |= {"parameters": count, "megabytes": 4 * count / 1e6, "features": size}
    facts |= {"pooling": extractor.layers[-1].name}
    facts |= {"pictures_per_second": measure_speed(folded, images)}
    facts |= describe_origin(entry, backbone.weights)
    features = cached_features(extractor, images, ws, folded)
    if not np.isfinite(features[:]).all():
        raise ValueError("some features are no finite numbers; try PRECISION float32.")
    return facts | {"reason": ""}, features


def check_untaught(entry: str) -> None:
    """Raise a ValueError where a file is a model of this project, which has learned from labels.

    Where these were the labels of these pictures, it would only have to remember them.
    """
    description = Path(entry).with_suffix(".json")
    if (
        entry.endswith(".keras")
        and description.is_file()
        and "file_hash" in description.read_text()
    ):
        raise ValueError(f"{description.name} beside it says that it has learned from labels here.")


def check_candidates(facts: list[dict]) -> None:
    """Raise a ValueError, which gives every reason, where none of the networks takes part."""
    if all(row["reason"] for row in facts):
        reasons = "\n".join(f"- {row['entry']}: {row['reason']}" for row in facts)
        raise ValueError(f"BACKBONES: none of these networks can take part.\n{reasons}")


def build_head(kernel: np.ndarray, bias: np.ndarray, temperature: float) -> keras.Sequential:
    """Build a linear head, features (n, d) to probabilities (n, classes), of calibrated logits.

    Args:
        kernel, bias: float (d, classes) and (classes,), as `linear.Basis.find_kernel` gives them.
        temperature: what the logits are divided by (Guo et al. 2017).
    """
    dense = keras.layers.Dense(len(bias), activation="softmax")
    head = keras.Sequential([keras.Input((len(kernel),)), dense], name="head")
    head.set_weights([kernel / temperature, bias / temperature])
    return head
