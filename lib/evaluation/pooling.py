"""One answer for each group of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from lib.models.temperature import TINY


@dataclass(frozen=True)
class GroupScore:
    """How many groups are answered rightly, of those whose pictures have one class."""

    groups: int  # how many they are
    right: int


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


def score_groups(
    y_true: np.ndarray, y_prob: np.ndarray, groups: np.ndarray
) -> GroupScore | None:
    """Score one answer for each group; None where no pictures belong together.

    Groups of several classes don't count.
    """
    table = pd.DataFrame({"group": groups, "truth": y_true})
    table["is_right"] = pool_groups(y_prob, groups).argmax(axis=1) == y_true
    by_group = table.groupby("group")
    is_right = by_group.is_right.first()[by_group.truth.nunique() == 1]
    if len(by_group) == len(table) or is_right.empty:
        return None
    return GroupScore(groups=len(is_right), right=int(is_right.sum()))
