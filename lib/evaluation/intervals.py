"""95 % intervals of shares, and of the mean average precision.

Pictures of one group (copies, look-alikes, one animal) say less than as many others: the number of
pictures is divided by the design effect of groups (Kish 1965), as Korn and Graubard (1998) do.
Groups are int (n,), equal for pictures that belong together; `np.arange(n)` where none do.
"""

import warnings

import numpy as np
from scipy.stats import beta, t

# The level of every test and interval.
LEVEL = 0.05
# With fewer pictures (groups, where they come in groups), or fewer in a class, no interval of an
# average per class holds often enough.
FEWEST, FEWEST_IN_CLASS = 20, 5


def wilson_interval(right, n, freedom: float = np.inf, level: float = LEVEL) -> list[float]:
    """Return the interval of a share, `right` of `n` (Wilson 1927); [0, 1] where n is 0.

    Both may be divided by a design effect; `freedom` is that of a variance that was estimated.
    """
    if n == 0:
        return [0.0, 1.0]
    z, share = t.ppf(1 - level / 2, freedom), right / n
    middle = share + z**2 / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)
    # Rounding must not put a bound of a share of 0 or 1 a hair beside it.
    return [float(low) if right > 0 else 0.0, float(high) if right < n else 1.0]


def find_effect(values, groups) -> float:
    """Return the design effect of groups on the sum of values (n,) around 0; 1 where none belong."""
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], values)
    return max(1.0, float(sums @ sums / max(values @ values, 1e-300)))


def count_independent(right, groups) -> tuple[float, float]:
    """Return how many independent pictures tell as much as `right`, bool (n,), does.

    And the degrees of freedom of their spread: of few groups it is known badly, of one not at all.
    """
    n, count = len(right), len(np.unique(groups))
    if count == n:
        return float(n), np.inf
    # The share is moved a little to 1/2: what is always right has groups too.
    effect = find_effect(right - (np.sum(right) + 1) / (n + 2), groups)
    return n / effect * (count - 1) / count, count - 1


def find_share_interval(right, groups, level: float = LEVEL) -> list[float]:
    """Return the Wilson interval of the share of True in `right`, bool (n,)."""
    n, freedom = count_independent(right, groups)
    return wilson_interval(np.mean(right) * n, n, freedom, level) if n else [0.0, 1.0]


def find_lowest_share(share, n, n_independent, groups: int, level: float) -> float:
    """Return the lower end of an interval of a share that is never too short (Clopper and Pearson 1934).

    Args: as `metrics.evaluate` returns them. Of few groups it is lower (Korn and Graubard 1998).
    """
    if groups < 2 or not share:
        return 0.0
    if groups < n:
        wide, wider = t.ppf(1 - level / 2, [n - 1, groups - 1])
        n_independent *= (wide / wider) ** 2
    right = share * n_independent
    return float(beta.ppf(level / 2, right, n_independent - right + 1))


def count_members(y_true, groups, num_classes: int) -> np.ndarray:
    """Return how many groups each class has, which are its independent pictures: int (classes,)."""
    pairs = np.unique(np.stack([y_true, groups]), axis=1)
    return np.bincount(pairs[0], minlength=num_classes)


def find_average_interval(matrix, y_true, y_pred, groups) -> list[float] | None:
    """Return the interval of the mean recall over the classes that have pictures.

    The variance of the mean is that of the recalls, each of its own class (delta method); the
    interval is Wilson's for as many pictures as would give it. One right and one wrong answer,
    shared among the classes, are added: what is always right stays uncertain (Agresti and Coull 1998).

    Args:
        matrix: int (classes, classes), the confusion matrix of y_true and y_pred.

    Returns:
        None where the classes have so few pictures (groups) that it would promise too much.
    """
    members = count_members(y_true, groups, len(matrix))
    inverse = 1 / members[members > 0]
    enough = len(inverse) ** 2 / inverse.sum() >= FEWEST
    # A class of one picture says nothing of its spread.
    enough &= (inverse == 1).sum() <= inverse.sum() / 2
    if len(np.unique(groups)) < len(groups):
        enough &= 1 / inverse.mean() >= FEWEST_IN_CLASS and members[members > 0].min() > 1
    if not enough:
        return None
    present, count = matrix.any(axis=1), len(inverse)
    right, support = np.diag(matrix), np.maximum(matrix.sum(axis=1), 1)
    recall = (right + 1 / count) / (support + 2 / count)
    # A class of one picture gets the mean of all.
    recall = np.where(support == 1, recall[present].mean(), recall)
    effect = find_effect(((y_true == y_pred) - recall[y_true]) / support[y_true], groups)
    freedoms = np.maximum(support - 1, 1)[present]
    variance = (recall * (1 - recall))[present] / freedoms / count**2
    # Degrees of freedom of a sum of variances (Satterthwaite 1946).
    freedom = variance.sum() ** 2 / (variance**2 / freedoms).sum()
    middle, mean = recall[present].mean(), (right / support)[present].mean()
    n = middle * (1 - middle) / (variance.sum() * effect)
    return wilson_interval(mean * n, n, freedom)


def find_precision_interval(y_true, y_prob, groups, draws: int = 500) -> list[float]:
    """Return the interval of the mean average precision of labels, bool and float (n, labels).

    Groups are drawn with replacement (Efron 1979). Few pictures flatter it, draws from them even more:
    as much is taken off. Of labels of few groups the spread is badly known (Student's t).
    """
    numbers, groups = np.unique(groups, return_inverse=True)
    rng, n = np.random.default_rng(0), len(numbers)
    drawn = rng.multinomial(n, np.full(n, 1 / n), draws)[:, groups]
    weights, averages, members = np.vstack([np.ones(len(groups)), drawn]), [], []
    for truth, scores in zip(y_true.T, y_prob.T):
        order = np.argsort(-scores, kind="stable")
        hits, asked = weights[:, order] * truth[order], weights[:, order].cumsum(axis=1)
        precision, found = hits.cumsum(axis=1) / np.maximum(asked, 1), hits.sum(axis=1)
        # A draw without the label tells nothing of it.
        averages.append((hits * precision).sum(axis=1) / np.where(found, found, np.nan))
        members.append(len(np.unique(groups[truth])))
    with np.errstate(invalid="ignore"), warnings.catch_warnings(action="ignore"):
        first, *others = np.nanmean(averages, axis=0)  # a draw may have no label at all
    reach = t.ppf(1 - LEVEL / 2, max(np.mean(members) - 1, 1)) * np.nanstd(others)
    middle = 2 * first - np.nanmean(others)
    # What is ranked without a mistake stays as uncertain as a share of as many.
    low, high = wilson_interval(first * sum(members), sum(members))
    return [float(max(min(middle - reach, low), 0)), float(min(max(middle + reach, high), 1))]
