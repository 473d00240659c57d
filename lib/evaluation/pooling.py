"""One answer for each group of pictures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax

from lib.models.temperature import TINY


def pool_groups(y_prob: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Give each picture the answer of its group, float (n, classes).

    It is the mean of the logarithms of its pictures' probabilities.

    Args:
        y_prob: float (n, classes), scaled by the temperature.
        groups: int or text (n,).
    """
    logarithms = np.log(np.maximum(y_prob, TINY))
    by_group = pd.DataFrame(logarithms).groupby(np.asarray(groups))
    means = by_group.transform("mean").to_numpy()
    return softmax(means, axis=1)


def group_columns(
    y_prob: np.ndarray,
    class_names: Sequence[str],
    groups: np.ndarray,
    usable: np.ndarray,
) -> dict[str, pd.Series]:
    """Return answers of `pool_groups` as columns; who isn't `usable`, bool (n,), has no vote."""
    table = pd.DataFrame({"group": groups})[usable]
    votes = y_prob[usable]
    pooled = pool_groups(votes, table.group)
    answers = pooled.argmax(axis=1)
    table["group_label"] = np.asarray(class_names)[answers]
    table["group_probability"] = pooled.max(axis=1).round(6)
    table["group_agree"] = votes.argmax(axis=1) == answers
    agree = table.groupby("group").group_agree
    table["group_size"] = agree.transform("size")
    table["group_agree"] = agree.transform("sum")
    return table.reindex(range(len(groups))).to_dict("series")
