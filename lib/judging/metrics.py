"""Numbers from labels and probabilities, and sentences that say what they mean."""

import itertools
import re

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn import metrics as scikit

# The level of every test and interval, how often a bootstrap draws, and what decides the draws.
LEVEL, DRAWS, SEED = 0.05, 4000, 0


def evaluate(y_true, y_prob, class_names) -> dict:
    """Score one model.

    Args:
        y_true: int (n,), positions in `class_names`.
        y_prob: float (n, classes), rows sum to 1.
        class_names: text (classes,).

    Returns:
        n; top1, top3: share of pictures whose true class is the most probable one, or one of the
        three most probable; average_per_class, also called balanced_accuracy: mean recall over
        classes with pictures; macro_f1, weighted_f1, kappa (Cohen 1960); confidence: mean
        probability of the answers; per_class: {class: recall, None without pictures}; `_interval`
        after a name: its 95 % interval; and what `measure_calibration` and `judge_temperature`
        return.
    """
    y_true, order = np.asarray(y_true), np.argsort(-y_prob, axis=1, kind="stable")
    y_pred = order[:, 0]
    matrix = count_confusions(y_true, y_pred, len(class_names))
    right, support = np.diag(matrix), matrix.sum(axis=1)
    recall = [k / n if n else None for k, n in zip(right.tolist(), support.tolist())]
    average = float(np.mean([value for value in recall if value is not None]))
    intervals = [wilson_interval(k, n) for k, n in zip(right, support)]
    return {
        "n": len(y_true),
        "top1": float(right.sum() / len(y_true)),
        "top1_interval": wilson_interval(right.sum(), len(y_true)),
        "top3": float((order[:, :3] == y_true[:, None]).any(axis=1).mean()),
        "average_per_class": average,
        "average_per_class_interval": bootstrap_average(right, support),
        "balanced_accuracy": average,
        "macro_f1": float(scikit.f1_score(y_true, y_pred, average="macro", zero_division=0)),
        "weighted_f1": float(scikit.f1_score(y_true, y_pred, average="weighted", zero_division=0)),
        "kappa": float(scikit.cohen_kappa_score(y_true, y_pred)),
        "confidence": float(y_prob.max(axis=1).mean()),
        **measure_calibration(y_true, y_prob),
        **judge_temperature(y_true, y_prob),
        "per_class": dict(zip(class_names, recall)),
        "per_class_interval": dict(zip(class_names, intervals)),
    }


def wilson_interval(right: int, n: int) -> list[float]:
    """Return the 95 % interval of a share, `right` of `n` (Wilson 1927); [0, 1] where n is 0."""
    if n == 0:
        return [0.0, 1.0]
    interval = binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def bootstrap_average(right, support) -> list[float]:
    """Return the bootstrap 95 % interval of the mean recall over the classes with pictures.

    Pictures are drawn within each class, as the split does, and one fewer than there are, which
    makes the spread of the draws unbiased (Rao and Wu 1988). Two right and two wrong pictures,
    shared among the classes, keep the interval open where all or none are right (Agresti and
    Coull 1998). A class with one picture tells nothing of its spread, and narrows the interval.

    Args:
        right, support: int (classes,), pictures recognised and pictures in all.
    """
    right, support = np.asarray(right)[np.asarray(support) > 0], support[support > 0]
    share = (right + 2 / len(right)) / (support + 4 / len(right))
    drawn = np.maximum(support - 1, 1)
    recall = np.random.default_rng(SEED).binomial(drawn, share, (DRAWS, len(right))) / drawn
    return np.quantile(recall.mean(axis=1), [LEVEL / 2, 1 - LEVEL / 2]).tolist()


def count_confusions(y_true, y_pred, num_classes: int) -> np.ndarray:
    """Count pictures by true class (rows) and predicted class (columns): int64 (classes, classes)."""
    return scikit.confusion_matrix(y_true, y_pred, labels=range(num_classes))


def report_classes(y_true, y_pred, class_names) -> tuple[str, pd.DataFrame]:
    """Return scikit-learn's classification report, as text with 4 digits and as a DataFrame."""
    options = dict(labels=range(len(class_names)), target_names=class_names, zero_division=0)
    text = scikit.classification_report(y_true, y_pred, digits=4, **options)
    table = scikit.classification_report(y_true, y_pred, output_dict=True, **options)
    table = pd.DataFrame(table).T
    # Where every class is scored, scikit-learn gives one accuracy in place of three averages.
    if "accuracy" in table.index:
        table.loc["accuracy", ["precision", "recall", "support"]] = np.nan, np.nan, len(y_true)
    return text, table.astype({"support": int})


def list_confusions(matrix: np.ndarray, class_names, count: int) -> pd.DataFrame:
    """List the most frequent mistakes.

    Args:
        matrix: int (classes, classes), rows are true classes.
        class_names: text (classes,).
        count: rows at most.

    Returns:
        columns true, predicted, pictures, share (of the true class); ties in class order.
    """
    true, predicted = np.nonzero(matrix * (1 - np.eye(len(matrix), dtype=int)))
    table = pd.DataFrame(np.array(class_names)[[true, predicted]].T, columns=["true", "predicted"])
    table["pictures"] = matrix[true, predicted]
    table["share"] = table.pictures / matrix.sum(axis=1)[true]
    return table.sort_values("pictures", ascending=False, kind="stable", ignore_index=True)[:count]


def measure_calibration(y_true, y_prob) -> dict[str, float]:
    """Measure how far the probabilities can be taken at their word.

    Args:
        y_true: int (n,).
        y_prob: float (n, classes), rows sum to 1.

    Returns:
        nll: mean negative log-likelihood of the true class, in nats; brier: mean squared distance
        from certainty of the truth, 0-2 (Brier 1950); ece: expected calibration error, 0-1, the
        mean distance of accuracy from confidence over 15 bins (Guo et al. 2017).
    """
    y_prob = soften(y_prob, 1)
    of_truth = y_prob[np.arange(len(y_true)), y_true]
    bins = bin_confidences(y_true, y_prob)
    gaps = (bins.accuracy - bins.confidence).abs()
    return {
        "nll": float(scikit.log_loss(y_true, y_prob, labels=range(y_prob.shape[1]))),
        "brier": float(((y_prob**2).sum(axis=1) - 2 * of_truth + 1).mean()),
        "ece": float(np.average(gaps, weights=bins.pictures)),
    }


def bin_confidences(y_true, y_prob, bins: int = 15) -> pd.DataFrame:
    """Group pictures by the probability of the answer, in bins of equal width.

    Returns:
        One row a bin with pictures: confidence (mean probability of the answer), accuracy, low,
        high (its Wilson 95 % interval), pictures.
    """
    confidence = np.asarray(y_prob, float).max(axis=1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": y_prob.argmax(axis=1) == y_true})
    groups = table.groupby(np.ceil(confidence * bins).clip(1, bins))
    right, table = groups.accuracy.sum(), groups.mean().assign(pictures=groups.size())
    table[["low", "high"]] = [wilson_interval(k, n) for k, n in zip(right, table.pictures)]
    return table.reset_index(drop=True)


def soften(y_prob, temperature: float) -> np.ndarray:
    """Divide the logits by a temperature (Guo et al. 2017); above 1 it makes a model less sure."""
    # A probability that float32 rounded to 0 has no logarithm.
    logits = np.log(np.maximum(np.asarray(y_prob, float), np.finfo(np.float32).tiny))
    return softmax(logits / temperature, axis=1)


def fit_temperature(y_true, y_prob) -> float:
    """Return the temperature, 0.05-20, at which the negative log-likelihood is smallest."""

    def loss(logarithm):
        softened = soften(y_prob, np.exp(logarithm))
        return scikit.log_loss(y_true, softened, labels=range(softened.shape[1]))

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded").x))


def judge_temperature(y_true, y_prob) -> dict[str, float]:
    """Fit a temperature on one half of the pictures and judge it on the other.

    Returns:
        temperature; nll_before, nll_after, ece_before, ece_after: of the other half.
    """
    order = np.random.default_rng(SEED).permutation(len(y_true))
    order = order[np.argsort(y_true[order], kind="stable")]
    # Every second picture of a class-by-class list: both halves have each class alike.
    fitted, judged = order[::2], order[1::2]
    temperature = fit_temperature(y_true[fitted], y_prob[fitted])
    scores = {"temperature": temperature}
    for when, divisor in (("before", 1), ("after", temperature)):
        measured = measure_calibration(y_true[judged], soften(y_prob[judged], divisor))
        scores |= {f"{name}_{when}": measured[name] for name in ("nll", "ece")}
    return scores


def compare_pair(right_a, right_b) -> tuple[float, float]:
    """Compare two models on the same pictures.

    Args:
        right_a, right_b: bool (n,), whether each model is right on a picture.

    Returns:
        difference: accuracy of a minus that of b.
        p_value: of the exact McNemar test (McNemar 1947), two-sided: how likely a difference as
            large is when neither model is better.
    """
    right_a, right_b = np.asarray(right_a), np.asarray(right_b)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    discordant = only_a + only_b
    p_value = binomtest(only_a, discordant).pvalue if discordant else 1.0
    return float(right_a.mean() - right_b.mean()), float(p_value)


def bootstrap_difference(right_a, right_b) -> list[float]:
    """Return the bootstrap 95 % interval of the difference of two accuracies on the same pictures.

    Pictures are drawn with both answers. Half a picture more where both, one or none is right
    keeps the interval open when the models never differ (Agresti and Min 2005).
    """
    n, shift = len(right_a), np.asarray(right_a, int) - np.asarray(right_b, int)
    cells = np.array([(shift == 1).sum() + 0.5, (shift == -1).sum() + 0.5, (shift == 0).sum() + 1])
    drawn = np.random.default_rng(SEED).multinomial(n, cells / cells.sum(), DRAWS)
    differences = (drawn[:, 0] - drawn[:, 1]) / n
    return np.quantile(differences, [LEVEL / 2, 1 - LEVEL / 2]).tolist()


def compare_pairs(right: dict[str, np.ndarray]) -> pd.DataFrame:
    """Compare each pair of models, best first.

    Args:
        right: model label to bool (n,), whether it is right on each picture.

    Returns:
        One row a pair: model, other, difference, low, high (`bootstrap_difference`), p_value
        (`compare_pair`), p_holm (the same, corrected for the number of pairs after Holm 1979, so
        that any false claim among them is as rare as the level says), n.
    """
    ordered = sorted(right, key=lambda label: -right[label].mean())
    rows = []
    for a, b in itertools.combinations(ordered, 2):
        difference, p_value = compare_pair(right[a], right[b])
        low, high = bootstrap_difference(right[a], right[b])
        rows.append((a, b, difference, low, high, p_value, len(right[a])))
    columns = ["model", "other", "difference", "low", "high", "p_value", "n"]
    pairs = pd.DataFrame(rows, columns=columns).sort_values("p_value", kind="stable")
    factors = np.arange(len(pairs), 0, -1)
    return pairs.assign(p_holm=(pairs.p_value * factors).clip(upper=1).cummax()).sort_index()


def describe_pairs(pairs: pd.DataFrame) -> list[str]:
    """Say of each pair of `compare_pairs` whether one is better, and claim no more."""
    sentences = []
    for row in pairs.itertuples():
        size = f"{row.difference:.3f} ({row.low:z.3f}–{row.high:z.3f})"
        claim = f"{row.model} is better than {row.other} by {size}"
        if row.p_holm >= LEVEL:
            claim = f"{row.model} and {row.other} can't be told apart on {row.n:,} pictures: "
            claim += f"difference {size}"
        p_value = f"p = {row.p_holm:.2g}" if row.p_holm >= 1e-4 else "p < 0.0001"
        sentences.append(f"{claim}, {p_value} (exact McNemar, Holm).")
    return sentences


def describe_verdict(scores: dict[str, dict], pairs: pd.DataFrame) -> list[str]:
    """Say in three sentences which model scores highest, what is established, what to beware of.

    Args:
        scores: model label to what `evaluate` returns.
        pairs: as `compare_pairs` returns them.
    """
    best = max(scores, key=lambda label: scores[label]["top1"])
    score, guessing = scores[best], 1 / len(scores[best]["per_class"])
    top1, (low, high) = score["top1"], score["top1_interval"]
    told = pairs.p_holm < LEVEL
    better = pairs[told].groupby("model", sort=False).other
    claims = [f"{model} is better than {join_names(others)}" for model, others in better]
    claims += list(pairs.model[~told] + " and " + pairs.other[~told] + " can't be told apart")
    more = [f"{len(claims) - 3} more findings stand below"] if claims[3:] else []
    off = score["confidence"] - top1
    word = "too high" if off > 0 else "too low"
    word = "about right" if abs(off) <= (high - low) / 2 else word
    return [
        f"{best} scores highest: it recognises {top1:.3f} of {score['n']:,} validation pictures "
        f"(95 % interval {low:.3f}–{high:.3f}), where guessing would score {guessing:.3f}"
        f"{', which the interval does not rule out' * (low <= guessing)}.",
        f"{'; '.join(claims[:3] + more) or 'There is no other model to compare it with'}.",
        f"On average {best} gives its answers a probability of {score['confidence']:.3f}, which is "
        f"{word} (expected calibration error {score['ece']:.3f}).",
    ]


def join_names(names, count: int = 3) -> str:
    """Join names to "a, b and c"; say how many there are beyond the first `count`."""
    names = list(names)
    if len(names) > count:
        names[count:] = [f"{len(names) - count} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else "".join(names)


def escape_text(text) -> str:
    """Return one line that Markdown and HTML show as it is, whatever names are in it."""
    special = r"[!#$&*+<>@\[\\\]^`{|}~=]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(special, lambda found: f"&#{ord(found[0])};", " ".join(str(text).split()))


def describe_agreement(truth: str, predicted: dict[str, str]) -> str:
    """Say which models are right on one picture; where the truth is unknown, whether they agree.

    Args:
        truth: its class, or "".
        predicted: model label to class.
    """
    if not truth:
        classes = set(predicted.values())
        if len(classes) == 1:
            return f"Truth unknown; the models agree on {classes.pop()}."
        return f"Truth unknown; the models see {len(classes)} different classes."
    right = [label for label, name in predicted.items() if name == truth]
    if len(right) == len(predicted):
        return "Every model is right."
    if not right:
        return "No model is right."
    verb = "is" if len(right) == 1 else "are"
    return f"{' and '.join(right)} {verb} right."


def describe_extremes(per_class: dict[str, float], count: int = 3) -> str:
    """Say which classes a model recognises best and worst, ties together.

    Args:
        per_class: {class: recall}.
        count: how many of tied classes are named.
    """
    recall = pd.Series(per_class, dtype=float)
    parts = []
    for side, value in (("best", recall.max()), ("worst", recall.min())):
        names = join_names(recall.index[recall == value], count)
        parts.append(f"{side} {names} ({value:.2f})")
    return "; ".join(parts) + "."


def describe_gap(history: pd.DataFrame) -> str:
    """Say in words how far training and validation accuracy are apart after the last epoch.

    Args:
        history: columns epoch, accuracy, val_accuracy, val_loss, as `training.fit` returns it.
    """
    last = history.iloc[-1]
    gap = last.accuracy - last.val_accuracy
    best = history.loc[history.val_loss.idxmin()]
    side = "above" if gap >= 0 else "below"
    text = (
        f"After epoch {last.epoch:.0f} the training accuracy is {last.accuracy:.3f} and the "
        f"validation accuracy {last.val_accuracy:.3f}: training is {abs(gap):.3f} {side} validation. "
        f"The validation loss was lowest after epoch {best.epoch:.0f} ({best.val_loss:.3f})"
    )
    if best.epoch < last.epoch:
        return f"{text} and ends at {last.val_loss:.3f}."
    return f"{text}, the last one, so it was still falling."
