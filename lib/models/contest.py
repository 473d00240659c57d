"""A contest of frozen networks: which of them serves these pictures best, and at what cost."""

import keras
import numpy as np

from lib.data import pixels
from lib.machine import set_seed, use_all_gpus
from lib.models.backbones import build_extractor, cached_features, load_backbone, measure_speed
from lib.models.folding import fold_normalisations
from lib.models.networks import name_network
from lib.models.origins import describe_origin


def gather_features(
    entries: list[str], weights, image_size, files, ws, seed
) -> tuple[list[dict], dict]:
    """Let networks look at every picture, one after the other; see `enter_network` for the arguments.

    Returns:
        facts: of every network, in order.
        features: of those that take part, by the candidate's name.
    """
    names = [name_network(entry) for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"BACKBONES: two are called {name}: leave one out, or rename a file.")
    facts, features = [], {}
    for entry in entries:
        row, found = enter_network(entry, weights, image_size, files, ws, seed)
        facts.append(row)
        if found is not None:
            features[row["candidate"]] = found
    return facts, features


def enter_network(
    entry: str, weights: str | None, image_size: int | None, files, ws, seed
) -> tuple:
    """Let one network look at every picture once, and tell what it is and costs.

    Args:
        entry: as `name` of `backbones.load_backbone`, as are `weights` and `image_size`.
        files: of the split.
        ws: the workspace.
        seed: decides untrained weights, so that the same network can be built again.

    Returns:
        facts: candidate (its name), entry, weights, image_size (pixels), parameters, megabytes (of
            the weights in float32), features (how many), pictures_per_second (of a batch of 32, once
            the first is through), trained_on, licence, source, note (`origins`), reason ("", or why
            it does not take part, in which case all from image_size to note is missing).
        features: a `Selection`, float32 (n, features), or None.
    """
    facts = {"candidate": name_network(entry), "entry": entry}
    set_seed(seed, deterministic=False)
    try:
        with use_all_gpus():
            backbone = load_backbone(entry, weights, image_size, {}, None)
            extractor = build_extractor(backbone)
        images = pixels.open_pixels(ws, files, backbone.image_size)
        facts |= {"weights": backbone.weights, "image_size": backbone.image_size}
        count, size = extractor.count_params(), extractor.output_shape[-1]
        facts |= {"parameters": count, "megabytes": 4 * count / 1e6, "features": size}
        folded = fold_normalisations(extractor)
        facts |= {"pictures_per_second": measure_speed(folded, images)}
        features = cached_features(extractor, images, ws.scratch, folded)
        return facts | describe_origin(entry, backbone.weights) | {"reason": ""}, features
    # Whatever keeps one network out, be it a full GPU: the others go on.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{facts['candidate']} does not take part: {reason}")
        return facts | {"reason": reason}, None
    finally:
        # One network after the other in memory.
        keras.utils.clear_session(free_memory=True)


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
