"""A contest of frozen networks: which of them serves these pictures best, and at what cost."""

import re

import keras
import numpy as np

from lib.cluster import ClusterError
from lib.data.pixels import open_pixels
from lib.machine import set_seed
from lib.models import linear
from lib.models.backbones import load_backbone, name_network
from lib.models.features import cached_features, measure_speed
from lib.models.fuse import fuse_normalisations
from lib.models.origins import describe_origin
from lib.models.pooling import build_extractor


def gather_features(entries: list[str], weights, image_size, files, ws, seed: int) -> tuple:
    """Let networks, one after the other, look at every picture once; list what each is and costs.

    Args:
        entries: each as `name` of `backbones.load_backbone`, as are `weights` and `image_size`.
        files: of the split. ws: the workspace.
        seed: decides untrained weights, so that the same network can be built again.

    Returns:
        facts: of every network, in order: candidate (its name), entry, weights, image_size
            (pixels), parameters, megabytes (of the weights in float32), features (how many),
            pooling (`pooling.pool`), pictures_per_second (of a batch of 32, once the first is
            through), trained_on, licence, source, note (`origins`), reason ("", or why it does not
            take part, in which case all from weights to note is missing).
        features: of those that take part, by the candidate's name: `Selection`, float32 (n, features).

    A ValueError where two networks have one name; a ClusterError, of which no network is at fault.
    """
    names = [name_network(entry) for entry in entries]
    if again := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"BACKBONES: two are called {again[0]}: leave one out, or rename a file.")
    facts, features, policy = [], {}, keras.config.dtype_policy()
    for name, entry in zip(names, entries):
        facts.append({"candidate": name, "entry": entry})
        set_seed(seed, deterministic=False)
        try:
            more, features[name] = _look(entry, weights, image_size, files, ws)
            facts[-1] |= more
        except ClusterError:
            raise
        # Be it a full GPU: the others go on.
        except Exception as error:
            # Keras colours some of its messages.
            words = re.sub(r"\x1b\[[\d;]*m", "", f"{type(error).__name__}: {error}").split()
            facts[-1]["reason"] = " ".join(words)
            print(f"{name} does not take part: {facts[-1]['reason']}")
        # One network after the other in memory; what they compute in stays.
        keras.utils.clear_session(free_memory=True)
        keras.config.set_dtype_policy(policy)
    return facts, features


def _look(entry: str, weights, image_size, files, ws) -> tuple:
    backbone = load_backbone(entry, weights, image_size, {}, None)
    extractor = build_extractor(backbone)
    images, fused = open_pixels(ws, files, backbone.image_size), fuse_normalisations(extractor)
    facts = {"weights": backbone.weights, "image_size": backbone.image_size}
    count, size = extractor.count_params(), extractor.output_shape[-1]
    facts |= {"parameters": count, "megabytes": 4 * count / 1e6, "features": size}
    facts |= {"pooling": extractor.layers[-1].name}
    facts |= {"pictures_per_second": measure_speed(fused, images)}
    facts |= describe_origin(entry, backbone.weights)
    features = cached_features(extractor, images, ws, fused)
    if not linear.centre(np.array(features[:]))[1].any():
        raise ValueError("its features are the same for all pictures: its weights may be damaged.")
    return facts | {"reason": ""}, features


def check_candidates(facts: list[dict]) -> None:
    """Raise a ValueError, which gives every reason, where none of the networks takes part."""
    if all(row["reason"] for row in facts):
        reasons = "\n".join(f"- {row['entry']}: {row['reason']}" for row in facts)
        raise ValueError(f"BACKBONES: none of these networks can take part.\n{reasons}")


def build_head(classifier: linear.Classifier) -> keras.Sequential:
    """Build a classifier's twin for features as they are: (n, d) to probabilities (n, classes)."""
    kernel = classifier.units[:, np.newaxis].astype(float) * classifier.weights
    bias = classifier.bias - classifier.mean @ kernel
    dense = keras.layers.Dense(len(bias), activation="softmax")
    head = keras.Sequential([keras.Input((len(kernel),)), dense], name="head")
    head.set_weights([kernel / classifier.temperature, bias / classifier.temperature])
    return head


def build_model(facts, weights, classifier: linear.Classifier, seed: int) -> keras.Model:
    """Put a classifier behind its network: RGB pictures of 0-255 to probabilities.

    Args:
        facts: candidate, entry and image_size, as `gather_features` lists them.
        weights, seed: as `gather_features` took them: it is the same network.
    """
    set_seed(seed, deterministic=False)
    backbone = load_backbone(facts["entry"], weights, int(facts["image_size"]), {}, None)
    extractor, head = build_extractor(backbone), build_head(classifier)
    name = f"{facts['candidate']}_linear"
    return keras.Model(extractor.input, head(extractor.output), name=name)
