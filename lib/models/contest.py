"""A contest of frozen networks: which of them serves these pictures best, at what cost."""

import gc
import timeit

import keras
import numpy as np
import pandas as pd

from lib.base.workspace import Workspace
from lib.data.pixels import open_pixels
from lib.models import backbones, linear, networks
from lib.models.features import cached_features
from lib.models.parts import build_extractor

BATCH = 32


def gather_features(
    specs: str | list[str],
    weights: str | None,
    image_size: int | None,
    rows: pd.DataFrame,
    ws: Workspace,
    seed: int,
) -> tuple:
    """Let networks, one after the other, look at every picture once.

    On the demo the networks of `backbones.SKETCHES` take the place of none.

    Args:
        specs: of the networks, each as in `backbones.load_backbone`, as are `weights` and `image_size`; a
            list, or text with commas between them.
        rows: of the split.
        seed: decides untrained weights, so that the same network can be built again.

    Returns:
        The facts of every network, in order: candidate (its name), entry (its spec) and reason ("", or why
        it does not take part); of one that does, those of `_look`, too. And for each candidate that takes
        part its features, float32 (n, features).

    Raises:
        ValueError: two networks have one name, or none takes part.
        OSError: features find no room or, as a ClusterError, no worker, or a picture has changed since 01.
    """
    facts, features = _try_networks(
        networks.list_specs(specs), weights, image_size, rows, ws, seed
    )
    if not features and ws.is_demo and weights:
        more, features = _try_networks(backbones.SKETCHES, None, None, rows, ws, seed)
        facts += more
    if not features:
        raise ValueError(
            "BACKBONES: none of these networks can take part, for the reasons above: name others."
        )
    return facts, features


def _try_networks(specs, weights, image_size, rows, ws, seed):
    """Return what `gather_features` does, though none may take part."""
    facts = []
    features = {}
    names = [networks.name_network(spec) for spec in specs]
    if len(set(names)) < len(names):
        raise ValueError(
            f"BACKBONES: of {', '.join(names)} two are called alike: leave one out, or "
            "rename a file."
        )
    for name, spec in zip(names, specs):
        keras.utils.set_random_seed(seed)
        try:
            found, features[name] = _look(spec, weights, image_size, rows, ws)
        except OSError:  # of the disk, of pictures or of workers
            raise
        # Networks fail in many ways, on a full GPU, too.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            found = {"reason": reason}
            print(f"Note: {name} does not take part: {reason}")
        facts.append({"candidate": name, "entry": spec} | found)
        gc.collect()  # One network after the other in memory.
    return facts, features


def _look(spec, weights, image_size, rows, ws):
    """Return what a network costs and where it comes from, and its features.

    These facts are weights, image_size (pixels), parameters, megabytes (of the weights in float32),
    features (how many), pooling (`parts.pool`), pictures_per_second (of a batch of 32), and those of
    `networks.describe_origin`.
    """
    backbone = backbones.load_backbone(spec, weights, image_size, {}, None)
    extractor = build_extractor(backbone)
    images = open_pixels(ws, rows, backbone.image_size)
    pictures_per_second = measure_speed(extractor, images[:BATCH])
    features = cached_features(extractor, images, ws)
    if linear.find_flat(features[:]).all():
        raise ValueError(
            "its features are the same for all pictures: its weights may be damaged."
        )
    parameters = extractor.count_params()
    costs = {
        "weights": backbone.weights,
        "image_size": backbone.image_size,
        "parameters": parameters,
        "megabytes": 4 * parameters / 1e6,
        "features": extractor.output_shape[-1],
        "pooling": extractor.layers[-1].name,
        "pictures_per_second": pictures_per_second,
    }
    origin = networks.describe_origin(spec, backbone.weights)
    return costs | origin | {"reason": ""}, features


def measure_speed(extractor: keras.Model, batch: np.ndarray) -> float:
    """Return how many pictures per second pass a network, those of a batch together."""
    # The first pass builds the graph.
    seconds = timeit.repeat(
        lambda: extractor.predict_on_batch(batch), number=1, repeat=3
    )
    return len(batch) / min(seconds)
