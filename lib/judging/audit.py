"""Labels that are probably wrong, how many there are, and which pictures to label next."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from scipy.stats import chi2, gamma
from threadpoolctl import threadpool_limits

from lib.data.label_files import match_files
from lib.data.split import deal_folds
from lib.judging.intervals import LEVEL
from lib.models import linear

# Shares of wrong labels and temperatures that are tried.
SHARES, TEMPERATURES = np.append(0, np.geomspace(2e-4, 0.6, 160)), np.geomspace(0.25, 4, 140)
# Of the classifier's other disagreements with the labels, the part that the estimate may take for
# wrong labels, or wrong labels for it: chosen so that the interval holds (tests/README.md).
DOUBT = 0.1


# Threads that must share busy cores wait for each other at every small step: 0.8 s became 40.
@threadpool_limits.wrap(limits=1, user_api="blas")
def answer_held_out(basis, y_true, groups, folds: int, seed: int) -> tuple[np.ndarray, tuple]:
    """Answer every picture by a linear classifier that has not seen it, nor any of its group.

    One penalty and temperature serve all folds: chosen for each anew, as where classifiers are
    judged, they would take several times as long. Two numbers tell nothing of a single picture.

    Args:
        basis: `linear.Basis` of the features.
        y_true: int (n,), from 0 without gaps. groups: int (n,), as in `intervals`.
        folds: into which the set is dealt.

    Returns float64 (n, classes), and what `linear.choose_penalty` returns.
    """
    every, num_classes = np.arange(len(y_true)), y_true.max() + 1
    choice = linear.choose_penalty(basis, y_true, num_classes, every, groups, seed)
    penalty, temperature, _ = choice
    fold, y_prob = deal_folds(y_true, groups, folds, seed), np.empty((len(y_true), num_classes))
    for held in range(folds):
        learned, asked = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        weights = linear.fit_linear(basis, y_true, num_classes, penalty, learned)
        y_prob[asked] = softmax(linear.find_logits(basis, weights, asked) / temperature, axis=1)
    return y_prob, choice


def rank_labels(y_prob, y_true) -> pd.DataFrame:
    """Rank pictures by how improbable their own label is, as held-out answers have it.

    Self-confidence: the probability of the label itself. (Northcutt, Jiang and Chuang 2021 compare
    it with other rules.)

    Args:
        y_prob: float (n, classes), of classifiers that have not seen the picture.
        y_true: int (n,), the labels.

    Returns columns suggested (int, the most probable class), self_confidence, rank (from 1, all
    different), in the order of the pictures. It is a ValueError where there is one class only.
    """
    if y_prob.shape[1] < 2:
        raise ValueError("One class only: an audit asks which other class a picture may show.")
    own = y_prob[np.arange(len(y_true)), y_true]
    table = pd.DataFrame({"suggested": y_prob.argmax(axis=1), "self_confidence": own})
    return table.assign(rank=table.self_confidence.rank(method="first").astype(int))


def estimate_wrong(y_prob, y_true, groups) -> tuple[list[float], pd.DataFrame]:
    """Estimate how many labels are wrong, in all and by pair of classes, with 95 % intervals.

    Answers miss where a classifier errs, about as often as it admits, or where a label was drawn
    without regard to the picture. So a label has the probability (1 - s) q + s (1 - q) / (classes -
    1), where q is the answer's, softened by a temperature, and s the share of wrong labels. Both are
    fitted by maximum likelihood, and the interval of s is that of the likelihood ratio (Wilks 1938),
    divided by the design effect (Kish 1965), n / number of groups. It is widened by `DOUBT` times
    the share of other misses, since no likelihood knows how wrong its own form is; where it touches
    the largest share that is tried, it ends at 1.

    Args:
        y_prob, y_true: as in `rank_labels`. groups: int (n,), as in `intervals`.

    Returns:
        [number, low, high], in pictures.
        Columns label, suggested (int, the classes), number, low, high, the largest number first, of
        pairs that may have more than 0.05: a list of where to look. These intervals, of a Poisson
        mean (Garwood 1936) at the ends of the whole interval, hold less often.
    """
    logits, own = np.log(np.maximum(y_prob, 1e-12)), np.arange(len(y_true))
    n, classes = logits.shape
    surprise = np.full((len(SHARES), len(TEMPERATURES)), np.inf)
    for column, temperature in enumerate(TEMPERATURES):
        q = np.exp(log_softmax(logits / temperature, axis=1)[own, y_true])
        mixed = q + SHARES[:, np.newaxis] * ((1 - q) / (classes - 1) - q)
        surprise[:, column] = -np.log(np.maximum(mixed, 1e-300)).sum(axis=1)
    profile, column = surprise.min(axis=1), surprise.argmin(axis=1)
    best = int(profile.argmin())
    gap = chi2.ppf(1 - LEVEL, 1) / 2 * n / len(np.unique(groups))
    held = np.flatnonzero(profile <= profile[best] + gap)
    missed = np.mean(y_prob.argmax(axis=1) != y_true)
    doubt = DOUBT * max(missed - SHARES[best], 0)
    low = max(SHARES[held[0]] - doubt, 0)
    high = 1 if held[-1] == len(SHARES) - 1 else SHARES[held[-1]] + doubt
    shares, softened = np.array([SHARES[best], low, high]), logits / TEMPERATURES[column[best]]
    expected = [_expect_pairs(softened, y_true, share) for share in shares]
    return (shares * n).tolist(), _tabulate_pairs(*expected)


def _expect_pairs(logits, y_true, share) -> np.ndarray:
    # The expected number of pictures with each label (row) that are of each other class (column).
    y_prob, own = np.exp(log_softmax(logits, axis=1)), np.arange(len(y_true))
    classes, q = y_prob.shape[1], y_prob[own, y_true]
    drawn = share * (1 - q) / (classes - 1)
    wrong = drawn / np.maximum((1 - share) * q + drawn, 1e-300)
    y_prob[own, y_true] = 0
    y_prob *= (wrong / np.maximum(y_prob.sum(axis=1), 1e-300))[:, np.newaxis]
    table = np.zeros((classes, classes))
    np.add.at(table, y_true, y_prob)
    return table


def _tabulate_pairs(number, low, high) -> pd.DataFrame:
    # Of a thousand classes there are a million pairs, nearly all of which nothing suggests.
    label, suggested = np.nonzero(high > 0.05)
    number, low, high = (table[label, suggested] for table in (number, low, high))
    low = np.where(low > 1e-9, gamma.ppf(LEVEL / 2, np.maximum(low, 1e-9)), 0)
    bounds = {"low": low, "high": gamma.ppf(1 - LEVEL / 2, high + 1)}
    table = pd.DataFrame({"label": label, "suggested": suggested, "number": number} | bounds)
    return table.sort_values("number", ascending=False, kind="stable", ignore_index=True)


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
