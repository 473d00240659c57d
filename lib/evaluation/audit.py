"""Labels that are probably wrong, and which pictures to label next."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.label_files import match_files

# A label that has a smaller probability is doubtful, where another class has a larger one.
DOUBTFUL = 0.1


def rank_labels(y_prob, y_true) -> pd.DataFrame:
    """Rank pictures by how improbable their own label is, as held-out answers have it.

    Self-confidence: the probability of the label itself. (Northcutt, Jiang and Chuang 2021 compare
    it with other rules.)

    Args:
        y_prob: float (n, classes), of classifiers that have not seen the picture.
        y_true: int (n,), the labels.

    Returns, in the order of the pictures, columns suggested (int, the most probable class),
    self_confidence, rank (from 1, all different) and is_doubtful (below `DOUBTFUL`, and another class is
    suggested). It is a ValueError where there is one class only.
    """
    if y_prob.shape[1] < 2:
        raise ValueError("One class only: an audit asks which other class a picture may show.")
    own, suggested = y_prob[np.arange(len(y_true)), y_true], y_prob.argmax(axis=1)
    table = pd.DataFrame({"suggested": suggested, "self_confidence": own})
    table["rank"] = table.self_confidence.rank(method="first").astype(int)
    return table.assign(is_doubtful=(own < DOUBTFUL) & (suggested != y_true))


def carry_corrections(
    template: pd.DataFrame, earlier: pd.DataFrame, files, folder: Path
) -> pd.DataFrame:
    """Add the rows of an earlier corrections file to a new one: without them they would be undone.

    Args:
        template: columns file, label and more, of pictures to look at now.
        earlier: columns file and label, as people wrote them.
        files: all that a name may mean, with those that were left out, relative to `folder`.

    Returns a row a picture, with the earlier label where there is one.
    """
    names = match_files(earlier.file, files, folder)
    earlier = earlier.assign(file=earlier.file.map(names).fillna(earlier.file))
    given = earlier.drop_duplicates("file").set_index("file").label
    again = template.assign(label=template.file.map(given).fillna(template.label))
    others = given[~given.index.isin(template.file)].reset_index()
    return pd.concat([again.astype(object), others], ignore_index=True).fillna("")


def choose_next(rows, y_prob, count: int) -> np.ndarray:
    """Choose unlabelled pictures that teach most: unsure ones, each unlike those chosen before.

    A picture stands where the slope of the loss would be if the answer were right (the embedding of
    BADGE: Ash et al. 2020), so what the classifier is sure of lies near the origin. From there on
    the farthest from all chosen is next (k-centre, Gonzalez 1985; Sener and Savarese 2018); a near
    copy of a chosen one is never far.

    Args:
        rows: float32 (n, d), each of length 1.
        y_prob: float (n, classes).

    Returns int (min(count, n),), positions in the order of choice.
    """
    slopes = np.array(y_prob, float)
    slopes[np.arange(len(slopes)), slopes.argmax(axis=1)] -= 1
    squares = (slopes**2).sum(axis=1)
    apart, chosen = squares, []
    for _ in range(min(count, len(rows))):
        last = int(apart.argmax())
        chosen.append(last)
        products = (slopes @ slopes[last]) * (rows @ rows[last])
        apart = np.minimum(apart, squares + squares[last] - 2 * products)
        apart[last] = -1
    return np.array(chosen, int)
