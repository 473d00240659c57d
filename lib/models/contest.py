"""A contest of frozen networks: which of them serves these pictures best, and at what cost."""

import re
import time

import keras
import numpy as np
import pandas as pd

from lib.data.pixels import open_pixels
from lib.data.split import identify_set, read_split
from lib.models import backbones, linear, origins, saved, temperature, training
from lib.models.checkpoint import HISTORY_COLUMNS
from lib.models.features import FEATURE_BATCH, cached_features, compute_batch
from lib.models.heads import build_head
from lib.models.keys import make_key
from lib.models.parts import build_extractor
from lib.work import ClusterError


def gather_features(entries, weights, image_size, rows, ws, seed: int) -> tuple:
    """Let networks, one after the other, look at every picture once; list what each is and costs.

    Args:
        entries: each as `name` of `backbones.load_backbone`, as are `weights` and `image_size`; a list,
            or text with commas between them.
        rows: of the split. ws: the workspace.
        seed: decides untrained weights, so that the same network can be built again.

    Returns:
        facts: of every network, in order: candidate (its name), entry, weights, image_size
            (pixels), parameters, megabytes (of the weights in float32), features (how many),
            pooling (`parts.pool`), pictures_per_second (of a batch of 32, once the first is
            through), trained_on, licence, source, note (`describe_origin`), reason ("", or why it does not
            take part, in which case all from weights to note is missing).
        features: of those that take part, by the candidate's name: `Selection`, float32 (n, features).

    A ValueError where two networks have one name, or none takes part, which the demo replaces by its
    own; a ClusterError, of which no network is at fault.
    """
    if isinstance(entries, str):
        entries = [entry.strip() for entry in entries.split(",") if entry.strip()]
    facts, features = _let_look(entries, weights, image_size, rows, ws, seed)
    if not features and ws.is_demo and weights:
        more, features = _let_look(backbones.SKETCHES, None, None, rows, ws, seed)
        facts += more
    if not features:
        reasons = "\n".join(f"- {row['entry']}: {row['reason']}" for row in facts)
        raise ValueError(f"BACKBONES: none of these networks can take part.\n{reasons}")
    return facts, features


def _let_look(entries, weights, image_size, rows, ws, seed: int) -> tuple:
    names = [backbones.name_network(entry) for entry in entries]
    if again := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"BACKBONES: two are called {again[0]}: leave one out, or rename a file."
        )
    facts, features, policy = [], {}, keras.config.dtype_policy()
    for name, entry in zip(names, entries):
        facts.append({"candidate": name, "entry": entry})
        training.set_seed(seed, deterministic=False)
        try:
            more, features[name] = _look(entry, weights, image_size, rows, ws)
            facts[-1] |= more
        except ClusterError:
            raise
        # Be it a full GPU: the others go on.
        except Exception as error:
            # Keras colours some of its messages.
            words = re.sub(
                r"\x1b\[[\d;]*m", "", f"{type(error).__name__}: {error}"
            ).split()
            facts[-1]["reason"] = " ".join(words)
            print(f"{name} does not take part: {facts[-1]['reason']}")
        # One network after the other in memory; what they compute in stays.
        keras.utils.clear_session(free_memory=True)
        keras.config.set_dtype_policy(policy)
    return facts, features


def _look(entry: str, weights, image_size, rows, ws) -> tuple:
    backbone = backbones.load_backbone(entry, weights, image_size, {}, None)
    extractor = build_extractor(backbone)
    images = open_pixels(ws, rows, backbone.image_size)
    facts = {"weights": backbone.weights, "image_size": backbone.image_size}
    count, size = extractor.count_params(), extractor.output_shape[-1]
    facts |= {"parameters": count, "megabytes": 4 * count / 1e6, "features": size}
    facts |= {"pooling": extractor.layers[-1].name}
    facts |= {"pictures_per_second": measure_speed(extractor, images)}
    facts |= origins.describe_origin(entry, backbone.weights)
    features = cached_features(extractor, images, ws)
    if np.allclose(features[:], features[:1], rtol=linear.FLAT, atol=0):
        raise ValueError(
            "its features are the same for all pictures: its weights may be damaged."
        )
    return facts | {"reason": ""}, features


def measure_speed(extractor: keras.Model, images) -> float:
    """Return how many pictures a second pass a network, `FEATURE_BATCH` at a time."""
    batch, seconds = images[:FEATURE_BATCH], []
    # The first one builds the graph.
    for _ in range(3):
        started = time.perf_counter()
        compute_batch(extractor, batch)
        seconds.append(time.perf_counter() - started)
    return len(batch) / min(seconds)


def build_model(facts, classifier: linear.Classifier, seed: int) -> keras.Model:
    """Put a classifier behind its network: RGB pictures of 0-255 to probabilities, in float32.

    Args:
        facts: candidate, entry, weights and image_size, as `gather_features` lists them.
        seed: as `gather_features` took it: it is the same network.
    """
    keras.config.set_dtype_policy("float32")
    training.set_seed(seed, deterministic=False)
    weights = None if facts["weights"] == "untrained" else "imagenet"
    size = int(facts["image_size"])
    backbone = backbones.load_backbone(facts["entry"], weights, size, {}, None)
    extractor, head = build_extractor(backbone), build_head(classifier)
    return keras.Model(
        extractor.input, head(extractor.output), name=f"{facts['candidate']}_linear"
    )


def save_winner(
    model, classifier, features, y_prob, table, ws, parameters: dict, seconds: float
):
    """Save the winner, contest.csv and out_of_fold.csv, once its file answers as the classifier does.

    Args:
        model: of `build_model`. features: float32 (n, d), which the classifier was fitted to in so many
            seconds. y_prob: float (n, classes), the answers when each row was held out.
        table: all candidates as they were judged, and whether each is `chosen`.
        parameters: CHOICE, CLASS_WEIGHTS, SEED, and as PRECISION the policy that features were computed in.
    """
    learned, policy, scores = (
        classifier.predict_proba(features),
        parameters["PRECISION"],
        [1],
    )
    rows = read_split(ws).query("part == 'train'").reset_index(drop=True)
    names, y_true = np.unique(rows.label.to_numpy(str), return_inverse=True)
    # Accuracy and loss on what was learned from; behind it, as of an epoch, of the held-out answers.
    for given in (learned, y_prob):
        scores += [
            (given.argmax(axis=1) == y_true).mean(),
            temperature.measure_loss(y_true, given),
        ]
    history = pd.DataFrame([[*scores, seconds]], columns=HISTORY_COLUMNS)
    run = training.Run(history, make_key(identify_set(ws), model))
    few = np.linspace(0, len(rows) - 1, 32).astype(int)
    pictures = open_pixels(ws, rows, model.input_shape[1])[few]
    metadata = _describe_winner(table, classifier, parameters)
    with saved.save(model, run, ws, model.name, metadata) as loaded:
        difference = abs(loaded.predict_on_batch(pictures) - learned[few]).max()
        assert difference < (1e-4 if policy == "float32" else 0.1), (
            "the file answers otherwise"
        )
    rows = rows[["file", "label"]].assign(predicted=names[y_prob.argmax(axis=1)])
    rows = pd.concat([rows, pd.DataFrame(y_prob, columns=names)], axis=1)
    ws.save_table(rows, "out_of_fold.csv")
    ws.save_table(table, "contest.csv")


def _describe_winner(
    table: pd.DataFrame, classifier: linear.Classifier, parameters: dict
) -> dict:
    others = table[["candidate", "accuracy", "low", "high", "p_holm"]].astype(object)
    won = table[table.chosen].iloc[0]
    chosen = {"backbone": backbones.hide_folder(won.entry), "C": classifier.C}
    chosen |= {
        "choice": parameters["CHOICE"],
        "class_weights": parameters["CLASS_WEIGHTS"],
    }
    return {
        "notebook": "05_backbones",
        "characteristics": f"frozen {won.candidate}, pooling, a linear head",
        "purpose": "the network that suits these pictures, chosen by the training pictures alone",
        "weights": won.weights,
        "image_size": int(won.image_size),
        "seed": parameters["SEED"],
        "parameters": chosen | {"precision": parameters["PRECISION"]},
        "backbone_origin": won[origins.FACTS].to_dict(),
        "temperature": 1.0,
        "calibrated_on": "held-out answers of the training part",
        "candidates": others.replace({np.nan: None}).to_dict("records"),
    }
