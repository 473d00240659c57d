"""Numbers from labels and probabilities."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import classification_report, confusion_matrix


def evaluate(y_true, y_prob, class_names) -> dict:
    """Score one model.

    Args:
        y_true: int (n,), positions in `class_names`.
        y_prob: float (n, classes), rows sum to 1.
        class_names: text (classes,).

    Returns:
        top1: share of pictures whose most probable class is the true one; top1_interval: its
        Wilson 95 % interval; average_per_class: mean recall over classes with pictures;
        per_class: {class: recall, NaN without pictures}; per_class_interval; n.
    """
    matrix = count_confusions(y_true, y_prob.argmax(axis=1), len(class_names))
    right, support = np.diag(matrix), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        recall = right / support
    intervals = [wilson_interval(k, n) for k, n in zip(right, support)]
    return {
        "top1": float(right.sum() / support.sum()),
        "top1_interval": wilson_interval(right.sum(), support.sum()),
        "average_per_class": float(np.nanmean(recall)),
        "per_class": dict(zip(class_names, recall.tolist())),
        "per_class_interval": dict(zip(class_names, intervals)),
        "n": int(support.sum()),
    }


def wilson_interval(right: int, n: int) -> list[float]:
    """Return the 95 % interval of a share, `right` of `n` (Wilson 1927); [0, 1] where n is 0."""
    if n == 0:
        return [0.0, 1.0]
    interval = binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def count_confusions(y_true, y_pred, num_classes: int) -> np.ndarray:
    """Count pictures by true class (rows) and predicted class (columns): int64 (classes, classes)."""
    return confusion_matrix(y_true, y_pred, labels=range(num_classes))


def report_classes(y_true, y_pred, class_names) -> tuple[str, pd.DataFrame]:
    """Return scikit-learn's classification report, as text with 4 digits and as a DataFrame."""
    options = dict(labels=range(len(class_names)), target_names=class_names, zero_division=0)
    text = classification_report(y_true, y_pred, digits=4, **options)
    table = classification_report(y_true, y_pred, output_dict=True, **options)
    # Where every class is scored, scikit-learn gives one accuracy in place of three averages.
    accuracy = table.pop("accuracy", None)
    table = pd.DataFrame(table).T.astype({"support": int})
    if accuracy is not None:
        table.loc["accuracy"] = [np.nan, np.nan, accuracy, len(y_true)]
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
    mistakes = matrix * (1 - np.eye(len(matrix), dtype=int))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    rows = [(t, p) for t, p in zip(*np.unravel_index(order, matrix.shape)) if mistakes[t, p]]
    return pd.DataFrame(
        [
            (class_names[t], class_names[p], matrix[t, p], matrix[t, p] / matrix[t].sum())
            for t, p in rows
        ],
        columns=["true", "predicted", "pictures", "share"],
    )


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


def describe_order(right: dict[str, np.ndarray]) -> list[str]:
    """Say of each pair of models, best first, whether one is better, and claim no more.

    The level of 5 % is divided by the number of pairs (Bonferroni), so that the chance of any
    false claim stays below it.

    Args:
        right: model label to bool (n,), whether it is right on each picture.
    """
    ordered = sorted(right, key=lambda label: -right[label].mean())
    pairs = list(itertools.combinations(ordered, 2))
    sentences = []
    for better, worse in pairs:
        difference, p_value = compare_pair(right[better], right[worse])
        shown = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
        if p_value < 0.05 / len(pairs):
            sentences.append(f"{better} is better than {worse}, by {difference:.4f} ({shown}).")
        else:
            sentences.append(
                f"{better} and {worse} can't be told apart on {len(right[better]):,} pictures: "
                f"they differ by {difference:.4f} ({shown})."
            )
    return sentences


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
    recall = pd.Series(per_class)
    parts = []
    for side, value in (("best", recall.max()), ("worst", recall.min())):
        names = list(recall.index[recall == value])
        more = f" and {len(names) - count} more" if len(names) > count else ""
        parts.append(f"{side} {', '.join(names[:count])}{more} ({value:.2f})")
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
