"""What the answer box and the table of pairs say; they claim no more than the tests behind them."""

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from lib.evaluation import intervals, model_selection, wording
from lib.evaluation.answers import Predictions
from lib.evaluation.intervals import LEVEL, MIN_RUNS, beats_baseline

MAX_WEAKEST = 3  # classes that are named
MIN_PICTURES = 20  # that tell something about calibration
REPEATED = ("network", "transfer")  # kinds of models that SEEDS trains again
KINDS = ["better", "worse", "same", "unsure", "few", "apart"]


def find_answer(predictions: Predictions) -> dict:
    """Find what the answer box says, in parts.html.jinja.

    The best configuration has the highest mean; those come first that surely beat the
    majority class, and that no other surely beats.

    Returns:
        name and label: the best, and its first training, whose file is model; untrained: whether its
        backbone is;
        is_useful: whether each of its trainings beats the baseline; count: how many were
        compared; configuration: its row of `Predictions.configurations`; to_repeat: networks
        of too few trainings; doubts of `model_selection.doubt_contest`; weakest of `list_weakest`;
        and the other configurations: better (than they are the best is), worse, same, unsure
        (too few pictures), few (of two to four trainings in common), apart (not compared).
    """
    table = predictions.configurations
    first = predictions.first
    labels = dict(zip(first.runs.configuration, first.labels))
    useful = _find_useful(predictions)
    best = _choose(predictions, useful)
    label = labels[best]
    scores = first.scores
    doubts = []
    for name in first.labels:
        doubts.append(model_selection.doubt_contest(first.models[name], scores[name]))
    to_repeat = []
    for name in table.index[table.runs < MIN_RUNS]:
        if first.models[labels[name]].kind in REPEATED:
            to_repeat.append(name)
    answer = {
        "label": label,
        "name": best,
        "model": first.models[label].name,
        "untrained": first.models[label].is_untrained,
        "is_useful": best in useful,
        "count": len(table),
        "configuration": table.loc[best].to_dict(),
        "doubts": [doubt for doubt in doubts if doubt],
        "to_repeat": to_repeat,
        "weakest": list_weakest(first.select(np.array(first.labels) == label)),
    }
    kinds = _place_others(best, predictions)
    for kind in KINDS:
        answer[kind] = [name for name in table.index if kinds[name] == kind]
    return answer


def _find_useful(predictions):
    table = predictions.configurations
    n = intervals.effective_sample_size(predictions.groups)
    baseline = np.bincount(predictions.y_true).max() / len(predictions.y_true)
    useful = []
    for name, lowest in table.lowest.items():
        if beats_baseline(lowest, n, baseline, count=len(table)):
            useful.append(name)
    return useful


def _choose(predictions, useful):
    pairs = predictions.pairs
    beaten = set(pairs.other[pairs.established])
    names = predictions.configurations.index
    return min(names, key=lambda name: (name not in useful, name in beaten))


def _place_others(best, predictions):
    means = predictions.configurations["mean"]
    kinds = dict.fromkeys(means.index, "apart")
    for pair in predictions.pairs.itertuples():
        if best not in (pair.model, pair.other):
            continue
        is_ahead = pair.model == best
        other = pair.other if is_ahead else pair.model
        if pair.established:
            kinds[other] = "better" if is_ahead else "worse"
        elif means[other] == means[best]:
            kinds[other] = "same"
        elif np.isnan(pair.p_holm):
            kinds[other] = "few"
        else:
            kinds[other] = "unsure"
    kinds[best] = "best"
    return kinds


def list_weakest(predictions: Predictions) -> list[tuple[str, int, int]]:
    """List the classes that one model recognises worst, where its recalls surely differ.

    Returns:
        Class, pictures recognised, pictures; of three classes at most.
    """
    y_true = predictions.y_true
    correct = predictions.correct[0]
    if not recalls_differ(y_true, correct, predictions.groups):
        return []
    table = pd.Series(correct).groupby(y_true).agg(["mean", "sum", "size"])
    worst = table[table["mean"] < correct.mean()].sort_values("mean", kind="stable")
    rows = []
    for number, row in worst.head(MAX_WEAKEST).iterrows():
        name = str(predictions.class_names[number])
        rows.append((name, int(row["sum"]), int(row["size"])))
    return rows


def recalls_differ(y_true: np.ndarray, correct: np.ndarray, groups: np.ndarray) -> bool:
    """Tell whether classes surely differ in their recall, by a χ² test of homogeneity.

    The statistic is Cressie and Read's (1984), which claims less than Pearson's where
    classes are small. The pictures of a class count as many as their groups are worth.

    Args:
        y_true: int (n,), the index of each true class.
        correct: bool (n,).
        groups: int (n,), as in `intervals`.
    """
    recall = pd.Series(correct).groupby(y_true).mean()
    if recall.nunique() == 1:
        return False
    n = pd.Series(groups).groupby(y_true).agg(intervals.effective_sample_size)
    counts = [n * recall, n * (1 - recall)]
    test = chi2_contingency(counts, correction=False, lambda_="cressie-read")
    return bool(test.pvalue < LEVEL)


def describe_calibration(score: dict) -> str:
    """Say whether probabilities can be believed: mean confidence beside top-1.

    Args:
        score: of `Predictions.scores`; the level of Wilson's interval is divided by the
            number of models compared.
    """
    confidence = score["confidence"]
    top1 = score["top1"]
    pictures = wording.format_things(score["n"], "picture")
    if score["n"] < MIN_PICTURES:
        return f"too few to say: {pictures}, and {MIN_PICTURES} are needed"
    level = LEVEL / score["compared"]
    low, high = intervals.wilson_interval(top1, score["effective_n"], level)
    points = wording.format_points(confidence, top1)
    verdict = f"as sure as right, as far as {pictures} can tell"
    if confidence > high:
        verdict = f"too sure by about {points}"
    if confidence < low:
        verdict = f"too modest by about {points}"
    says = wording.format_percent(confidence)
    share = wording.format_percent(top1)
    return f"{verdict}: it says {says} on average and is right in {share} of cases"


def tabulate_pairs(pairs: pd.DataFrame, best: str) -> pd.DataFrame:
    """Write the pairs of `intervals.compare_configurations` as texts, those of the best first.

    Returns:
        ahead (it has the higher accuracy, or the same), other, difference, interval, p ("–" of two
        to four trainings, which can't tell) and established.
    """
    rows = []
    for pair in pairs.itertuples():
        p = "–" if np.isnan(pair.p_holm) else wording.format_p(pair.p_holm)
        row = [
            pair.model,
            pair.other,
            wording.format_number(pair.difference),
            wording.format_bounds(pair.low, pair.high),
            p.removeprefix("p = ").removeprefix("p "),
            "yes" if pair.established else "no",
        ]
        rows.append(row)
    columns = ["ahead", "other", "difference", "interval", "p", "established"]
    table = pd.DataFrame(rows, columns=columns)
    has_best = (table.ahead == best) | (table.other == best)
    order = np.argsort(~has_best, kind="stable")
    return table.iloc[order].reset_index(drop=True)
