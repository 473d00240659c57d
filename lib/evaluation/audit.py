"""Labels to check, and which pictures to label next."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from lib.data.label_files import match_files
from lib.evaluation.neighbours import MOST_DISTANCE, NEAREST

# A label below this probability is doubtful, where another class is probable.
DOUBTFUL = 0.1
# An unlabelled picture farther away than so many of the labelled ones is unlike anything trained on.
USUAL = 0.99


def rank_labels(y_prob, y_true) -> pd.DataFrame:
    """Rank pictures by self-confidence: how probable held-out answers call their own label.

    A label is doubtful if it has less than `DOUBTFUL`, and another class has at least the mean
    self-confidence of the pictures labelled so: the threshold of confident learning (Northcutt, Jiang
    and Chuang 2021), which is lower where classes are hard to tell apart.

    Args:
        y_prob: float (n, classes), of classifiers that have not seen the picture.
        y_true: int (n,), the labels.

    Returns, in the order of the pictures, columns suggested (int, the most probable class),
    self_confidence, rank (from 1, all different) and is_doubtful. A ValueError where there is one
    class only.
    """
    if y_prob.shape[1] < 2:
        raise ValueError("One class only: an audit asks which other class a picture may show.")
    own, suggested = y_prob[np.arange(len(y_true)), y_true], y_prob.argmax(axis=1)
    table = pd.DataFrame({"suggested": suggested, "self_confidence": own})
    table["rank"] = table.self_confidence.rank(method="first").astype(int)
    usual = table.self_confidence.groupby(y_true).mean().reindex(suggested).to_numpy()
    is_probable = (suggested != y_true) & (y_prob.max(axis=1) >= usual)
    return table.assign(is_doubtful=(own < DOUBTFUL) & is_probable)


def carry_corrections(
    template: pd.DataFrame, earlier: pd.DataFrame, files, folder: Path
) -> pd.DataFrame:
    """Add the rows of an earlier corrections file to a new one: without them they would be undone.

    `template` has columns file, label and more, of pictures to look at now; `earlier` has file and
    label, as people wrote them; `files` are all that a name may mean, relative to `folder`.

    Returns a row a picture, with the earlier label where there is one.
    """
    names = match_files(earlier.file, files, folder)
    earlier = earlier.assign(file=earlier.file.map(names).fillna(earlier.file))
    given = earlier.drop_duplicates("file").set_index("file").label
    again = template.assign(label=template.file.map(given).fillna(template.label))
    others = given[~given.index.isin(template.file)].reset_index()
    return pd.concat([again.astype(object), others], ignore_index=True).fillna("")


def choose_next(rows, y_prob, labelled, away, count: int) -> np.ndarray:
    """Choose unlabelled pictures to label next: smallest margins first, no junk, no copies.

    The margin is the difference of the two highest probabilities (Scheffer, Decomain and Wrobel 2001).
    How far a picture lies from the labelled ones is its distance to the fifth nearest. What lies
    farther than `USUAL` of the labelled do from each other is passed over: the classifier is unsure
    there, but no label would help it. So is a near copy of one that is chosen, by the closeness of
    `neighbours.find_copies`.

    Args:
        rows: float32 (n, d), features from `neighbours.scale_features`.
        y_prob: float (n, classes).
        labelled: float32 (m, d), features of the labelled pictures.
        away: float32 (m,), distance of each of these to the fifth nearest of them.

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
