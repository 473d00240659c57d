"""Labels to check, and which pictures to label next."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from lib.evaluation.neighbours import MOST_DISTANCE, NEAREST

# A less probable label is doubtful; what lies farther away than so many labelled ones is junk.
DOUBTFUL, USUAL = 0.1, 0.99


def rank_labels(y_prob, y_true) -> pd.DataFrame:
    """Rank pictures by self-confidence: how probable held-out answers call their own label.

    A label is doubtful if it has less than `DOUBTFUL`, and another class has at least the mean
    self-confidence of the pictures labelled so: the threshold of confident learning (Northcutt, Jiang
    and Chuang 2021), which is lower where classes are hard to tell apart.

    Returns a row a picture: suggested (int, the most probable class), self_confidence, rank (from 1,
    all different) and is_doubtful. A ValueError where there is one class only.
    """
    if y_prob.shape[1] < 2:
        raise ValueError("One class only: an audit asks which other class a picture may show.")
    own, suggested = y_prob[np.arange(len(y_true)), y_true], y_prob.argmax(axis=1)
    table = pd.DataFrame({"suggested": suggested, "self_confidence": own})
    table["rank"] = table.self_confidence.rank(method="first").astype(int)
    usual = table.self_confidence.groupby(y_true).mean().reindex(suggested).to_numpy()
    is_probable = (suggested != y_true) & (y_prob.max(axis=1) >= usual)
    return table.assign(is_doubtful=(own < DOUBTFUL) & is_probable)


def choose_next(rows, y_prob, labelled, away, count: int) -> np.ndarray:
    """Choose unlabelled pictures to label next: smallest margins first, no junk, no copies.

    The margin is the difference of the two highest probabilities (Scheffer, Decomain and Wrobel 2001).
    What lies farther from the fifth nearest labelled picture than `USUAL` of these do is passed over:
    the classifier is unsure there, but no label would help it. So is a near copy of one that is
    chosen, by the closeness of `neighbours.find_copies`.

    Args:
        rows, labelled: float32 (n, d), (m, d), from `neighbours.scale_features`.
        away: float32 (m,), distance of each labelled picture to the fifth nearest of them.

    Returns int (count or fewer,), positions in the order of choice.
    """
    if not len(rows):
        return np.empty(0, int)
    search = NearestNeighbors(n_neighbors=min(NEAREST, len(labelled)), algorithm="brute")
    distances = np.maximum(search.fit(labelled).kneighbors(rows)[0][:, -1], 1e-6)
    second, first = np.sort(y_prob, axis=1)[:, -2:].T
    order = np.argsort(first - second, kind="stable")
    chosen = []
    for place in order[distances[order] <= np.quantile(away, USUAL, method="higher")]:
        if len(chosen) == count:
            break
        apart = np.sqrt(np.maximum(2 - 2 * rows[chosen] @ rows[place], 0))
        closeness = apart / np.sqrt(distances[chosen] * distances[place])
        if (closeness > MOST_DISTANCE).all():
            chosen.append(place)
    return np.array(chosen, int)
