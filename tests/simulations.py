"""How often intervals hold the truth and tests are wrong: `make simulations` prints the table.

The tests call the same functions with fewer reports. Every report draws as many pictures of each
class as the split leaves there.
"""

import functools
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import norm

from lib.evaluation import calibration, claims, comparisons, intervals, metrics, verdict

SCORES = ["top1", "top3", "average_per_class"]
SETS = {
    "balanced": lambda n: np.full(10, n // 10),
    "95/5": lambda n: np.array([n - round(n / 20), round(n / 20)]),
    "long tail": lambda n: np.maximum(np.round(n / np.arange(1, 21) / 3.6), 1).astype(int),
}
SIZES = (40, 80, 240, 800, 2002)
# How far the true class stands out, and how much too sure the model is of it.
MODELS = {"weak": (1.5, 1.0), "overconfident": (3.0, 2.5)}


def draw_answers(rng, support, model):
    """Draw labels and probabilities; rare classes are harder."""
    apart, sharpness = MODELS[model]
    likeness = np.random.default_rng(0).normal(0, 0.5, (len(support), len(support)))
    y_true = np.repeat(np.arange(len(support)), support)
    logits = likeness[y_true] + rng.normal(0, 1, (len(y_true), len(support)))
    easier = apart + np.linspace(0.5, -1, len(support))
    logits[np.arange(len(y_true)), y_true] += easier[y_true]
    return y_true, softmax(sharpness * logits, axis=1).astype(np.float32)


def find_intervals(y_true, y_prob, groups):
    """Return name: (score, interval) of the scores that have intervals."""
    y_pred, classes = y_prob.argmax(axis=1), y_prob.shape[1]
    of_truth = y_prob[np.arange(len(y_true)), y_true, None]
    told = {}
    for name, right in {"top1": y_pred == y_true, "top3": (y_prob > of_truth).sum(1) < 3}.items():
        told[name] = right.mean(), intervals.find_share_interval(right, groups)
    matrix = metrics.count_confusions(y_true, y_pred, classes)
    recall = np.diag(matrix)[matrix.any(axis=1)] / matrix.sum(axis=1)[matrix.any(axis=1)]
    bounds = intervals.find_average_interval(matrix, y_true, y_pred, groups)
    return told | {"average_per_class": (recall.mean(), bounds)}


def cover_scores(kind, n, model, reports, many=400_000):
    """Return for each score how often its interval holds the truth, and how often there is one."""
    rng, support = np.random.default_rng(n), SETS[kind](n)
    large = draw_answers(rng, support * (many // n), model)
    truth = find_intervals(*large, np.arange(len(large[0])))
    held, shown = dict.fromkeys(SCORES, 0), dict.fromkeys(SCORES, 0)
    for _ in range(reports):
        drawn = find_intervals(*draw_answers(rng, support, model), np.arange(support.sum()))
        for name, (_, interval) in drawn.items():
            if interval is not None:
                shown[name] += 1
                held[name] += interval[0] - 1e-9 <= truth[name][0] <= interval[1] + 1e-9
    return {name: (held[name] / max(shown[name], 1), shown[name] / reports) for name in SCORES}


def cover_best(k, n, chance, reports):
    """Return how often the interval of the best of k equal models holds the truth, and how often
    that model is said to beat a baseline that is as good, `chance`."""
    rng, found = np.random.default_rng(k), np.zeros(2)
    for _ in range(reports):
        right = rng.random((k, n)) < chance
        best = right[right.mean(axis=1).argmax()]
        low, high = intervals.find_share_interval(best, np.arange(n))
        score = {"top1": best.mean(), "n": n, "groups": n, "n_independent": n, "baseline": chance}
        found += [low <= chance <= high, verdict.beats_baseline(score, k)]
    return found / reports


def compare_models(n, models, gap, reports):
    """Compare models on n pictures; the first is better by `gap`, the others are equal.

    Returns how many reports contradict themselves (a cell against its interval or its p-value, a tie
    not told), make any false claim, or have an interval that misses the truth.
    """
    rng, found = np.random.default_rng(models * n), np.zeros(3)
    chances = np.r_[0.5 + gap, np.full(models - 1, 0.5)]
    truth = dict(zip("abcdef", chances))
    for _ in range(reports):
        hard, own = rng.random(n), rng.random((models, n))
        # Half of the pictures are right or wrong for all models alike.
        right = dict(zip("abcdef", np.where(rng.random(n) < 0.5, hard, own) < chances[:, None]))
        pairs = comparisons.compare_pairs(right, np.arange(n))
        found[0] += contradicts_itself(pairs)
        actual = np.array([truth[a] - truth[b] for a, b in zip(pairs.model, pairs.other)])
        found[1] += ((pairs.p_holm < 0.05) & (actual <= 0)).any()
        found[2] += ((actual < pairs.low) | (actual > pairs.high)).any()
    return found


def contradicts_itself(pairs):
    """Tell whether a cell of the matrix says other than the interval or the p-value of its pair."""
    table = claims.tabulate_pairs(pairs)
    names = [label.split(" ", 1)[1] for label in table.index]
    for row in pairs.itertuples():
        a, b = names.index(row.model), names.index(row.other)
        cells = table.iloc[a, b], table.iloc[b, a]
        told = cells[0].endswith(" better")
        if not told == cells[1].endswith(" worse") == (row.p_holm < 0.05) == (row.low > 0):
            return True
        if row.high < 0 or (cells[0].endswith(" same")) != (row.difference == 0):
            return True
        if (cells[0][0] == "+") != (cells[1][0] == "−") and row.difference >= 0.0005:
            return True
    return False


def judge_calibration(n, off, reports):
    """Draw answers whose probability is too high by `off`.

    Returns how often the test finds that, and how often the sentence calls it about right.
    """
    rng, found, praised = np.random.default_rng(n), 0, 0
    for _ in range(reports):
        confidence = rng.uniform(0.3, 0.95, n)
        y_prob = np.repeat((1 - confidence[:, None]) / 9, 10, axis=1)
        y_prob[:, 0] = confidence
        y_true = np.where(rng.random(n) < confidence - off, 0, rng.integers(1, 10, n))
        right = y_prob.argmax(axis=1) == y_true
        score = calibration.measure_calibration(y_true, y_prob, np.arange(n))
        score["top1_interval"] = intervals.find_share_interval(right, np.arange(n))
        score["top1"] = right.mean()
        found += score["calibration_p"] < 0.05
        praised += claims.describe_calibration(score).startswith("yes")
    return found / reports, praised / reports


def describe_curves(epochs, fall, reports):
    """Return how often a loss that falls by `fall` an epoch, with noise of 0.05, is called falling,
    and how often rising."""
    rng, said = np.random.default_rng(epochs), np.zeros(2)
    for _ in range(reports):
        loss = 1 - fall * np.arange(epochs) + rng.normal(0, 0.05, epochs)
        history = {"epoch": np.arange(epochs) + 1, "accuracy": 0.5, "val_accuracy": 0.5}
        text = claims.describe_gap(pd.DataFrame(history | {"val_loss": loss}))
        said += ["falling" in text, "rising" in text]
    return said / reports


def cover_ways(n, runs, spread, reports):
    """Return how often the intervals of a way's mean, and of a difference of two, hold the truth.

    Args:
        spread: standard deviation of what a run adds to the log odds of every picture.
    """
    rng, held = np.random.default_rng(n + runs), np.zeros(2)
    nodes = np.linspace(-6, 6, 2001)
    weights = norm.pdf(nodes) / norm.pdf(nodes).sum()
    scale = np.sqrt(1.5**2 + 1 + spread**2)
    truth = weights @ (1 / (1 + np.exp(-0.5 - scale * nodes)))
    for _ in range(reports):
        hard, ways = rng.normal(0, 1.5, (n, 1)), {}
        for way in "ab":
            odds = 0.5 + hard + rng.normal(0, 1, (n, 1)) + rng.normal(0, spread, runs)
            flags = rng.random((n, runs)) < 1 / (1 + np.exp(-odds))
            ways[way] = dict(enumerate(flags.T))
        means, gaps = comparisons.compare_ways(ways, np.arange(n))
        held += [means.low["a"] <= truth <= means.high["a"], gaps.low[0] <= 0 <= gaps.high[0]]
    return held / reports


def cover_groups(reports, many=400_000):
    """Draw 150 groups of 1 to 5 pictures that are answered alike.

    Returns how often an interval holds the truth, a score, with groups and without.
    """
    rng, held = np.random.default_rng(0), {name: np.zeros(2) for name in SCORES}
    large = draw_answers(rng, np.full(5, many // 5), "weak")
    truth = find_intervals(*large, np.arange(len(large[0])))
    for _ in range(reports):
        y_true, y_prob = draw_answers(rng, np.full(5, 30), "weak")
        groups = np.repeat(np.arange(150), np.tile(np.arange(1, 6), 30))
        for column, given in enumerate((groups, np.arange(len(groups)))):
            found = find_intervals(y_true[groups], y_prob[groups], given)
            for name, (_, (low, high)) in found.items():
                held[name][column] += low <= truth[name][0] <= high
    return {name: counts / reports for name, counts in held.items()}


RUNS = [(n, runs, spread) for n in (240, 2002) for runs in (2, 3, 5) for spread in (0, 0.1, 0.5)]


def list_jobs(reports):
    """List what is simulated: (function, arguments)."""
    cells = [(kind, n, model) for kind in SETS for n in SIZES for model in MODELS]
    jobs = [(cover_scores, (*cell, reports)) for cell in cells]
    for n in (40, 80, 240, 2002):
        jobs += [(compare_models, (n, 3, gap, reports)) for gap in (0, 0.1)]
        jobs.append((compare_models, (n, 6, 0, reports // 2)))
    jobs += [
        (judge_calibration, (n, off, reports)) for n in (40, 240, 800, 2002) for off in (0, 0.1)
    ]
    jobs += [(describe_curves, (10, fall, reports)) for fall in (0, 0.02)]
    jobs += [(cover_ways, (*cell, reports)) for cell in RUNS]
    jobs += [(cover_best, (k, 240, 0.5, 5 * reports)) for k in (4, 8)]
    jobs += [(cover_best, (k, 300, 1 / 300, 5 * reports)) for k in (1, 15)]
    jobs.append((cover_groups, (reports // 2,)))
    return jobs


def simulate(job):
    """Do one job of `list_jobs`."""
    # Few counts are possible, and many reports have the same.
    comparisons._find_bound = FIND_BOUND
    return job[0](*job[1])


FIND_BOUND = functools.lru_cache(100_000)(comparisons._find_bound)


def write_rows(results):
    """Yield the rows of the table: what, where, figure."""
    by = {}
    results = list(results)
    for (function, arguments), result in results:
        by.setdefault(function.__name__, {})[arguments[:-1]] = result
    for name in SCORES:
        cells = [result[name] for result in by["cover_scores"].values()]
        often = [held for held, shown in cells if shown >= 0.5]
        rarely = [(1 - held) * shown for held, shown in cells if 0 < shown < 0.5]
        figure = f"{min(often):.3f} – {max(often):.3f}" if often else "no interval is given"
        where = f"{len(often)} of {len(cells)} sets and models"
        if rarely:
            where += f"; {len(rarely)} with one now and then, wrong in {max(rarely):.3f} at most"
        yield f"coverage, {name}", where, figure
    pairs = by["compare_models"]
    counts = {job[1][:-1]: job[1][-1] for job, _ in results if job[0] is compare_models}
    total, every = sum(counts.values()), sum(pairs.values())
    yield "reports that contradict themselves", f"{total:,} reports", f"{every[0]:.0f}"
    for row, what in ((1, "any false claim about a pair"), (2, "any interval of a pair misses")):
        shares = [result[row] / counts[key] for key, result in pairs.items()]
        yield what, "3 and 6 models, n = 40 – 2,002", f"{min(shares):.3f} – {max(shares):.3f}"
    for (n, off), (found, praised) in by["judge_calibration"].items():
        what = "calibration is doubted: " + ("power, too sure by 0.10" if off else "size")
        yield what, f"n = {n:,}", f"{found:.3f}; believed {praised:.3f}"
    for (_, fall), (falling, rising) in by["describe_curves"].items():
        what = "loss called falling; rising"
        yield what, f"10 epochs, falls by {fall}", f"{falling:.3f}; {rising:.3f}"
    for runs in (2, 3, 5):
        cells = [result for key, result in by["cover_ways"].items() if key[1] == runs]
        for column, what in enumerate(("a way of training", "a difference of two ways")):
            shares = [cell[column] for cell in cells]
            figure = f"{min(shares):.3f} – {max(shares):.3f}"
            yield f"coverage, {what}", f"{runs} runs, n = 240 and 2,002", figure
    for (k, n, chance), (held, claimed) in by["cover_best"].items():
        figure = f"{held:.3f}; falsely said to beat the baseline {claimed:.3f}"
        where = f"{k} models that are right by {chance:.3f}, n = {n}"
        yield "coverage, the best of equal models", where, figure
    (groups,) = by["cover_groups"].values()
    groups = np.array([counts for counts in groups.values() if counts[0]])
    for column, what in enumerate(("told", "not told")):
        figure = f"{groups[:, column].min():.3f} – {groups[:, column].max():.3f}"
        yield "coverage, every score with an interval", f"groups of 1 – 5, {what}", figure


if __name__ == "__main__":
    found = list_jobs(1000)
    # The longest first, so that no core waits at the end.
    found.sort(key=lambda job: -job[1][0] if isinstance(job[1][0], int) else -job[1][1])
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        done = list(zip(found, pool.map(simulate, found)))
    print("| what | where | share of reports |\n|---|---|---|")
    for row in write_rows(done):
        print("|", " | ".join(row), "|")
