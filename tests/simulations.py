"""How often intervals hold the truth and claims are false: `make simulations` prints the table.

Of fewer reports than 1,000 it is made sooner: `python tests/simulations.py 250`.

Some tests call the same functions with fewer reports. Every report draws as many pictures of each
class as the split leaves there.
"""

import itertools
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from conftest import load_functions
from scipy.special import expit, softmax
from scipy.stats import norm, t
from sklearn.metrics import average_precision_score

from lib.evaluation import (
    calibration,
    comparisons,
    intervals,
    label_tests,
    limits,
    metrics,
    verdict,
    wording,
)
from lib.evaluation.predictions import Predictions
from lib.models.linear import TunedLogistic
from lib.models.record import Record

# As 05 defines it.
compare_folds = load_functions(
    "05_backbones", "05-test", np=np, student=t
).compare_folds
SETS = {
    "balanced": lambda n: np.full(10, n // 10),
    "95/5": lambda n: np.array([n - round(n / 20), round(n / 20)]),
    "long tail": lambda n: np.maximum(np.round(n / np.arange(1, 21) / 3.6), 1).astype(
        int
    ),
}
SIZES = (20, 40, 80, 240, 800, 2002)
# How far the true class stands out, and how much too sure the model is of it.
CLASSES = list("abcdefghij")
MODELS = {"weak": (1.5, 1.0), "overconfident": (3.0, 2.5)}
# Bursts, pictures of each, and single pictures beside them.
UNEQUAL = [(10, 20, 40), (3, 60, 60), (20, 10, 100), (1, 120, 120)]
SHARES = (0.6, 0.8, 0.9, 0.97)


def draw_answers(rng, support, model):
    """Draw labels and probabilities; rare classes are harder."""
    apart, sharpness = MODELS[model]
    likeness = np.random.default_rng(0).normal(0, 0.5, (len(support), len(support)))
    y_true = np.repeat(np.arange(len(support)), support)
    logits = likeness[y_true] + rng.normal(0, 1, (len(y_true), len(support)))
    easier = apart + np.linspace(0.5, -1, len(support))
    logits[np.arange(len(y_true)), y_true] += easier[y_true]
    return y_true, softmax(sharpness * logits, axis=1).astype(np.float32)


def draw_groups(bursts, size, single):
    """Return the groups of bursts of one size, and of single pictures."""
    return np.r_[np.repeat(np.arange(bursts), size), bursts + np.arange(single)]


def holds(correct, groups, truth):
    """Tell whether the interval of a share holds the truth."""
    low, high = intervals.share_interval(correct, groups)
    return low - 1e-9 <= truth <= high + 1e-9


def cover_scores(kind, n, model, reports, many=400_000):
    """Return how often the intervals of top-1 and of the largest class's recall hold the truth."""
    rng = np.random.default_rng(n)
    support = SETS[kind](n)

    y_true, y_prob = draw_answers(rng, support * (many // n), model)
    correct = y_prob.argmax(axis=1) == y_true
    truth = [correct.mean(), correct[y_true == 0].mean()]
    held = np.zeros(2)
    for _ in range(reports):
        y_true, y_prob = draw_answers(rng, support, model)
        correct = y_prob.argmax(axis=1) == y_true
        of_first = correct[y_true == 0]
        held[0] += holds(correct, np.arange(len(correct)), truth[0])
        held[1] += holds(of_first, np.arange(len(of_first)), truth[1])
    return held / reports


def cover_unequal(bursts, size, single, reports):
    """Return for each of `SHARES` how often an interval holds it; a burst is right or wrong at once."""
    rng = np.random.default_rng(size)
    groups = draw_groups(bursts, size, single)
    held = []
    for share in SHARES:
        drawn = (rng.random((reports, bursts + single)) < share)[:, groups]
        held.append(np.mean([holds(correct, groups, share) for correct in drawn]))
    return held


def cover_hard_bursts(reports, bursts=4, size=10, single=200):
    """Return how often the interval of a share holds it; bursts are right in 0.4, others in 0.95."""
    rng = np.random.default_rng(0)
    groups = draw_groups(bursts, size, single)
    shares = np.where(np.arange(groups.max() + 1) < bursts, 0.4, 0.95)
    truth = shares[groups].mean()
    held = 0
    for _ in range(reports):
        correct = (rng.random(len(shares)) < shares)[groups]
        held += holds(correct, groups, truth)
    return held / reports


def judge_best(k, n, chance, reports, burst=1):
    """Return how often the interval of the best of k equal models holds the truth."""
    rng = np.random.default_rng(k)
    groups = np.arange(n) // burst
    held = 0
    for _ in range(reports):
        correct = rng.random((k, n // burst)) < chance
        best = correct[correct.mean(axis=1).argmax()]
        held += holds(best[groups], groups, chance)
    return held / reports


def flatter(k, reports, n=240, chance=0.7):
    """Return by how much the best of k equal models is better here than it is in truth."""
    rng = np.random.default_rng(k)
    top1 = rng.binomial(n, chance, (reports, k)).max(axis=1) / n
    return top1.mean() - chance


def rank_by_luck(n, share, reports):
    """Return the mean average precision of scores that know nothing of a label of this share."""
    rng = np.random.default_rng(n)
    is_label = np.arange(n) < share * n
    found = [average_precision_score(is_label, rng.random(n)) for _ in range(reports)]
    return np.mean(found)


def believe_balanced(reports, n=400, apart=1.7):
    """Return how sure answers of the rarer class are, and how often right, with class weights.

    One picture in ten is of that class.
    """
    rng = np.random.default_rng(0)
    y_true = (np.arange(n) % 10 == 0).astype(int)
    sure = []
    right = []
    for _ in range(reports):
        learned = rng.normal(apart * y_true[:, np.newaxis], 1, (n, 1))
        classifier = TunedLogistic("balanced").fit(learned, y_true, np.arange(n))
        asked = rng.normal(apart * y_true[:, np.newaxis], 1, (n, 1))
        of_rare = classifier.predict_proba(asked)[:, 1]
        is_named = of_rare > 0.5
        sure.extend(of_rare[is_named])
        right.extend(y_true[is_named])
    return np.mean(sure), np.mean(right)


def call_useful(support, models, knows, reports):
    """Return how often any model is said to know the labels.

    Args:
        knows: how often an answer is the label; else it is drawn as labels are.
    """
    rng = np.random.default_rng(models)
    y_true = np.repeat(np.arange(len(support)), support)
    groups = np.arange(len(y_true))
    claims = 0
    for _ in range(reports):
        y_pred = rng.choice(y_true, (models, len(y_true)))
        y_pred = np.where(rng.random(y_pred.shape) < knows, y_true, y_pred)
        p_values = label_tests.measure_association(y_true, y_pred, groups)
        claims += (p_values < 0.05 / models).any()
    return claims / reports


# Films of one class beside single pictures of all three.
FILMS = (10, 30, 150)


def call_constant_useful(answers, reports):
    """Return how often a model that doesn't know the labels of `FILMS` is said to know them.

    Args:
        answers: "one", always the same; else drawn by "film" or by "picture".
    """
    rng = np.random.default_rng(0)
    groups = draw_groups(*FILMS)
    claims = 0
    for _ in range(reports):
        drawn = rng.integers(0, 3, groups.max() + 1)
        drawn[: FILMS[0]] = 0
        y_true = drawn[groups]
        y_pred = rng.choice(y_true, (1, len(groups)))
        if answers == "one":
            y_pred[:] = 0
        if answers == "film":
            y_pred = rng.choice(y_true, (1, groups.max() + 1))[:, groups]
        (p_value,) = label_tests.measure_association(y_true, y_pred, groups)
        claims += p_value < 0.05
    return claims / reports


def beat_files(models, n, gain, reports):
    """Return how often any of some models is recommended, where size, light and sharpness tell 0.4.

    They are right in 0.4 + `gain` of the cases, and their mistakes are independent.
    """
    rng = np.random.default_rng(n)
    y_true = np.arange(n) % 10
    files = [f"{k}.png" for k in range(n)]
    records = {}
    for k in range(models):
        records[str(k)] = Record(str(k), CLASSES, 8, configuration=str(k), seed=0)
    claims = 0
    for _ in range(reports):
        is_right = rng.random((models, n)) < 0.4 + gain
        wrong = (y_true + rng.integers(1, 10, (models, n))) % 10
        y_prob = np.eye(10)[np.where(is_right, y_true, wrong)]
        answers = Predictions(CLASSES, files, y_true, np.arange(n), records, y_prob)
        told = pd.Series(rng.random(n) < 0.4, files)
        claims += find_verdict(answers, told).is_useful
    return claims / reports


def has_established(pairs):
    """Tell whether any pair is told apart."""
    return any(pair.established for pair in pairs)


def claim_pairs(n, models, reports, groups=None, share=0.6):
    """Return how often any pair of models that are alike is told apart.

    Half of the pictures are right or wrong for all models at once.
    """
    rng = np.random.default_rng(models * n)
    claims = 0
    groups = np.arange(n) if groups is None else groups
    count = groups.max() + 1
    for _ in range(reports):
        shared = rng.random(count)
        own = rng.random((models, count))
        drawn = np.where(rng.random(count) < 0.5, shared, own)
        correct = {}
        for k, ease in enumerate(drawn):
            correct[k] = {0: ease[groups] < share}
        pairs = comparisons.compare_configurations(correct, groups)
        claims += has_established(pairs)
    return claims / reports


def claim_contest(reports, burst=1, networks=4, n=300, folds=5):
    """Return how often one of some classifiers of the same skill differs from the best by `compare_folds`.

    Some pictures are one burst, which lies in the first fold. Twice the pictures are dealt anew.
    """
    rng = np.random.default_rng(0)
    groups = np.maximum(np.arange(n) - burst + 1, 0)
    in_first = max(burst, n // folds)
    of_others = np.array_split(np.arange(n - in_first), folds - 1)
    sizes = np.array([in_first] + [len(rows) for rows in of_others])
    starts = sizes.cumsum() - sizes
    claims = 0
    for _ in range(reports):
        singles = [burst + rng.permutation(n - burst) for _ in range(2)]
        dealt = [np.r_[:burst, after] for after in singles]
        accuracies = {}
        means = {}
        # What a training set taught is shared by the folds of which it is the larger part.
        shared = rng.random(n)
        for name, shift in enumerate(rng.normal(0, 0.01, networks)):
            skill = 0.8 + shift + rng.normal(0, 0.005, (2, folds))
            # Most pictures are as easy for each network.
            ease = np.where(rng.random(n) < 0.8, shared, rng.random(n))[groups]
            correct = ease[dealt] < np.repeat(skill, sizes, axis=1)
            accuracies[name] = (
                np.add.reduceat(correct, starts, axis=1, dtype=int) / sizes
            )
            means[name] = correct.mean()
        ranked = sorted(means, key=means.get, reverse=True)
        p_values = []
        for better, other in itertools.combinations(ranked, 2):
            d = accuracies[other] - accuracies[better]
            p_values.append(compare_folds(d, means[other] - means[better]))
        # The pairs of the best come first.
        of_best = comparisons.correct_tests(p_values).p_holm[: networks - 1]
        claims += (of_best < 0.05).any()
    return claims / reports


def cover_ways(n, runs, spread, reports):
    """Return how often the intervals of some trainings, and of a difference of two ways, hold the truth.

    Args:
        spread: standard deviation of what a run adds to the log odds of every picture.
    """
    rng = np.random.default_rng(n + runs)
    held = np.zeros(2)
    nodes = np.linspace(-6, 6, 301)
    weights = norm.pdf(nodes) / norm.pdf(nodes).sum()
    hardness = np.sqrt(1.5**2 + 1) * nodes[:, np.newaxis]
    for _ in range(reports):
        hard = rng.normal(0, 1.5, (n, 1))
        ways = {}
        for way in "ab":
            luck = 0.5 + rng.normal(0, spread, runs)
            odds = luck + hard + rng.normal(0, 1, (n, 1))
            flags = rng.random((n, runs)) < expit(odds)
            ways[way] = dict(enumerate(flags.T))
        truth = weights @ expit(luck + hardness).mean(axis=1)
        (gap,) = comparisons.compare_configurations(ways, np.arange(n))
        held[0] += holds(flags.mean(axis=1), np.arange(n), truth)
        held[1] += gap.low <= 0 <= gap.high
    return held / reports


# Standard deviations of the top-1 of four configurations over their seeds.
SPREADS = ((0.02, 0.02, 0.02, 0.02), (0.03, 0.003, 0.003, 0.003))


def claim_seeds(n, runs, spreads, reports):
    """Return how often any pair of equal configurations, some seeds each, is told apart."""
    rng = np.random.default_rng(n + runs)
    claims = 0
    for _ in range(reports):
        correct = {}
        for name, spread in enumerate(spreads):
            shares = 0.8 + rng.normal(0, spread, (runs, 1))
            correct[name] = dict(enumerate(rng.random((runs, n)) < shares))
        pairs = comparisons.compare_configurations(correct, np.arange(n))
        claims += has_established(pairs)
    return claims / reports


def claim_bursts(reports, shape=(20, 10, 400), in_bursts=0.4, in_singles=0.05):
    """Return how often equal models that disagree more in bursts are told apart."""
    rng = np.random.default_rng(1)
    groups = draw_groups(*shape)
    count = groups.max() + 1
    is_apart_often = np.where(np.arange(count) < shape[0], in_bursts, in_singles)
    claims = 0
    for _ in range(reports):
        disagrees = rng.random(count) < is_apart_often
        winner = rng.choice([-1.0, 1.0], count)
        gaps = np.where(disagrees, winner, 0)[groups]
        _, _, p_value = comparisons.compare_runs([gaps], groups)
        claims += p_value < 0.05
    return claims / reports


GROUPED = {
    "bursts of 1 to 16": lambda rng: rng.integers(1, 17, 118),
    "a long tail": lambda rng: np.minimum(1 + rng.pareto(1.1, 320).astype(int), 200),
    "10 of 12 and 200 single": lambda rng: np.r_[np.full(10, 12), np.ones(200, int)],
    "one of 600 and 400 single": lambda rng: np.r_[600, np.ones(400, int)],
}


def judge_flips(shape, win, lose, reports):
    """Return how often a difference is established in groups, and how often its interval holds it.

    About 1,000 pictures; those of a group correlate by 0.3.
    """
    rng = np.random.default_rng(2)
    found = np.zeros(2)

    def draw(count):
        return rng.choice([1.0, -1.0, 0.0], count, p=[win, lose, 1 - win - lose])

    for _ in range(reports):
        sizes = GROUPED[shape](rng)
        groups = np.repeat(np.arange(len(sizes)), sizes)
        is_alike = rng.random(len(groups)) < np.sqrt(0.3)
        gaps = np.where(is_alike, draw(len(sizes))[groups], draw(len(groups)))
        low, high, p_value = comparisons.compare_runs([gaps], groups)
        found += [p_value < 0.05, low <= win - lose <= high]
    return found / reports


def claim_grouped_runs(shape, gain, reports):
    """Return how often five trainings each are told apart in groups, if one is better by `gain`."""
    rng = np.random.default_rng(3)
    claims = 0
    for _ in range(reports):
        sizes = GROUPED[shape](rng)
        groups = np.repeat(np.arange(len(sizes)), sizes)
        is_alike = rng.random(len(groups)) < np.sqrt(0.3)
        ease = np.where(
            is_alike, rng.random(len(sizes))[groups], rng.random(len(groups))
        )
        runs = []
        for skill in (0.8, 0.8 + gain):
            own = np.where(
                rng.random((5, len(ease))) < 0.3, rng.random((5, len(ease))), ease
            )
            runs.append(dict(enumerate(own < skill + rng.normal(0, 0.005, (5, 1)))))
        pairs = comparisons.compare_configurations(dict(enumerate(runs)), groups)
        claims += has_established(pairs)
    return claims / reports


def claim_weakest(sizes, share, reports, burst=1):
    """Return how often classes that are as hard are said to differ; of groups of a size."""
    rng = np.random.default_rng(len(sizes))
    y_true = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.arange(len(y_true))
    claims = 0
    for _ in range(reports):
        correct = rng.random(len(y_true)) < share
        shown = np.repeat(y_true, burst), np.repeat(correct, burst)
        weaker = label_tests.find_weak_classes(*shown, np.repeat(groups, burst))
        claims += len(weaker) > 0
    return claims / reports


def name_weakest(weak, reports, sizes=(24,) * 10, burst=1):
    """Return how often the first class, of this recall, is called weaker, and how often another is.

    The others are recognised in 0.9 of the cases.
    """
    rng = np.random.default_rng(len(sizes))
    y_true = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.arange(len(y_true)) // burst
    found = np.zeros(2)
    for _ in range(reports):
        shares = np.where(y_true == 0, weak, 0.9)
        correct = rng.random(groups.max() + 1)[groups] < shares
        weaker = label_tests.find_weak_classes(y_true, correct, groups)
        found += [0 in weaker, (weaker > 0).any()]
    return found / reports


def claim_weakest_in_groups(sizes, share, reports, classes=10):
    """Return how often classes that are as hard are said to differ; each has groups of these sizes."""
    rng = np.random.default_rng(len(sizes))
    groups = np.repeat(np.arange(classes * len(sizes)), sizes * classes)
    y_true = groups // len(sizes)
    claims = 0
    for _ in range(reports):
        correct = rng.random(groups.max() + 1) < share
        claims += (
            len(label_tests.find_weak_classes(y_true, correct[groups], groups)) > 0
        )
    return claims / reports


def claim_weak_in_bursts(share, reports):
    """Return how often classes that are as hard are said to differ; one has two bursts of 30."""
    rng = np.random.default_rng(0)
    y_true = np.repeat(np.arange(10), [70] + [24] * 9)
    groups = draw_groups(2, 30, 10 + 9 * 24)
    claims = 0
    for _ in range(reports):
        correct = (rng.random(groups.max() + 1) < share)[groups]
        claims += len(label_tests.find_weak_classes(y_true, correct, groups)) > 0
    return claims / reports


def fit_temperatures(temperature, n, reports, burst=1):
    """Return how often a temperature is fitted to a model that needs this one; pictures lie in bursts."""
    groups = np.arange(n) // burst
    return fit_in_groups(temperature, groups, np.full(groups.max() + 1, 0.5), reports)


def fit_in_groups(temperature, groups, concentration, reports):
    """Return how often a temperature is fitted; the higher the concentration, the harder is a group."""
    rng = np.random.default_rng(len(groups))
    fitted = 0
    for _ in range(reports):
        drawn = rng.gamma(concentration[:, np.newaxis], size=(len(concentration), 4))
        true_prob = np.maximum(drawn, 1e-9)
        true_prob /= true_prob.sum(axis=1, keepdims=True)
        limits = rng.random((len(true_prob), 1))
        y_true = (true_prob.cumsum(axis=1) < limits).sum(axis=1).clip(0, 3)
        y_prob = true_prob**temperature
        y_prob /= y_prob.sum(axis=1, keepdims=True)
        first, _ = calibration.split_halves(y_true[groups], groups)
        of_half = y_true[groups][first], y_prob[groups][first], groups[first]
        fitted += calibration.establish_temperature(*of_half) != 1
    return fitted / reports


def claim_rise(rise, reports, n=240):
    """Return how often more pictures are said to help, which raise the accuracy by `rise`.

    Three draws share the pictures: most are easy or hard for every classifier.
    """
    rng = np.random.default_rng(n)
    claims = 0
    for _ in range(reports):
        easy = rng.beta(1.2, 0.5, n)
        half = rng.random((3, n)) < easy
        whole = rng.random((3, n)) < np.clip(easy + rise, 0, 1)
        differences = half.mean(axis=0) - whole.mean(axis=0)
        _, high, p_value = comparisons.compare_runs([differences], np.arange(n))
        claims += p_value < 0.05 and high < 0
    return claims / reports


def claim_linear(n, runs, spread, reports):
    """Return how often a model that no seed decides is told from runs that are as good on average."""
    rng = np.random.default_rng(n + runs)
    claims = 0
    for _ in range(reports):
        shares = 0.7 + rng.normal(0, spread, (runs, 1))
        correct = {"linear": {None: rng.random(n) < 0.7}}
        correct["net"] = dict(enumerate(rng.random((runs, n)) < shares))
        pairs = comparisons.compare_configurations(correct, np.arange(n))
        claims += has_established(pairs)
    return claims / reports


# Of which only what a simulation asks for is replaced.
RECORD = Record("a", list("stuv"), 8)
SCORE = metrics.evaluate(np.arange(4), np.eye(4), np.arange(4), RECORD)


def find_verdict(answers, without_looking=None):
    """Find what the box says, without the scores of each model, which are slow and no claims."""
    n = dict.fromkeys(answers.class_names, 1)
    baseline = np.bincount(answers.y_true).max() / len(answers.y_true)
    answers.scores = {}
    for label in answers.labels:
        facts = {"label": label, "support": n, "per_class": n, "baseline": baseline}
        answers.scores[label] = replace(SCORE, **facts)
    if without_looking is None:
        without_looking = pd.Series(False, answers.files)
    return verdict.find_verdict(answers, without_looking)


def believe(confidence, is_right, compared=1, groups=None):
    """Return the calibration of these answers, among so many models."""
    if groups is None:
        groups = np.arange(len(is_right))
    return replace(
        SCORE.calibration,
        n=len(is_right),
        top1=np.mean(is_right),
        confidence=np.mean(confidence),
        z=calibration.judge_confidence(confidence, is_right, groups),
        compared=compared,
    )


def judge_in_bursts(shape, in_bursts, in_singles, off, reports):
    """Return how often a model is called too sure or too modest, whose probabilities are too high by `off`.

    Args:
        shape: bursts, pictures of each, and single pictures; a burst is right or wrong at once.
        in_bursts, in_singles: the probabilities of their answers.
    """
    rng = np.random.default_rng(0)
    groups = draw_groups(*shape)
    said = np.where(np.arange(groups.max() + 1) < shape[0], in_bursts, in_singles)
    found = 0
    for _ in range(reports):
        is_right = rng.random(len(said)) < said - off
        judged = believe(said[groups], is_right[groups], groups=groups)
        found += judged.word.startswith("too")
    return found / reports


def judge_calibration(n, off, reports, models=1):
    """Draw models whose probabilities are too high by `off`; return how often any is called so."""
    rng = np.random.default_rng(n)
    found = 0
    for _ in range(reports):
        confidence = rng.uniform(0.5, 0.95, (models, n))
        is_right = rng.random((models, n)) < confidence - off
        words = []
        for of_model, right in zip(confidence, is_right):
            words.append(believe(of_model, right, models).word)
        found += any(word.startswith("too") for word in words)
    return found / reports


def cover_sets(groups, reports, models=1, hard=2.5, coverage=0.95):
    """Return in how many pictures sets hold the truth, if the best of some models makes them.

    Pictures of one group are alike, and larger groups are harder.
    """
    rng = np.random.default_rng(models)
    held = []
    sizes = np.bincount(groups)[groups]

    def draw():
        y_true = rng.integers(0, 10, groups.max() + 1)[groups]
        logits = rng.normal(0, 1, (groups.max() + 1, 10))[groups]
        logits += rng.normal(0, 0.1, logits.shape)
        logits[np.arange(len(y_true)), y_true] += np.where(sizes > 1, hard, 2.5)
        return y_true, softmax(logits, axis=1)

    for _ in range(reports):
        drawn = [draw() for _ in range(models)]
        best = np.argmax(
            [(y_prob.argmax(axis=1) == y_true).mean() for y_true, y_prob in drawn]
        )
        y_true, y_prob = drawn[best]
        of_truth = y_prob[np.arange(len(y_true)), y_true]
        limit = limits.find_limit(of_truth, groups, 1 - coverage)
        y_true, y_prob = draw()
        sets = limits.build_prediction_sets(y_prob, limit)
        held.append(sets[np.arange(len(y_true)), y_true].mean())
    return float(np.mean(held))


def name_lowest(hard, reports, n=240, classes=6):
    """Return how often the first class is named, whose sets hold the truth least, and another is.

    Args:
        hard: how far the true class stands out in the first class; in the others 2.5.
    """
    rng = np.random.default_rng(n)
    every = np.arange(n)
    y_true = every % classes
    first, second = calibration.split_halves(y_true, every)
    found = np.zeros(2)
    for _ in range(reports):
        logits = rng.normal(0, 1, (n, classes))
        logits[every, y_true] += np.where(y_true == 0, hard, 2.5)
        y_prob = softmax(logits, axis=1)
        of_truth = y_prob[every, y_true]
        limit = limits.find_limit(of_truth[second], every[second], 0.05)
        sets = limits.build_prediction_sets(y_prob, limit)
        covered = sets[every, y_true]
        weaker = label_tests.find_weak_classes(
            y_true[first], covered[first], every[first]
        )
        found += [0 in weaker[:1], (weaker[:1] > 0).any()]
    return found / reports


def mark_known(reports, n=240):
    """Return which share of pictures, like those that set the limit, are called strangers."""
    rng = np.random.default_rng(n)
    marked = []
    for _ in range(reports):
        known = rng.gamma(4, 1, n)
        limit = limits.limit_strangers(known, np.arange(n), 0.95)
        marks = limits.mark_strangers(rng.gamma(4, 1, n), limit)
        marked.append(np.mean(np.array(marks) != ""))
    return np.mean(marked)


def choose_uncompared(reports, n=240):
    """Return how often a training that has no seed in common with two others is chosen.

    All are as good, and the two others have five trainings each.
    """
    rng = np.random.default_rng(n)
    y_true = np.arange(n) % 2
    runs = [("alone", 7)]
    runs += itertools.product(["cnn", "wide"], range(42, 47))
    models = {}
    for way, seed in runs:
        name = f"{way}@{seed}"
        models[name] = Record(
            name, ["cat", "dog"], 8, configuration=way, kind="scratch", seed=seed
        )
    files = [f"{k}.png" for k in range(n)]
    chosen = 0
    for _ in range(reports):
        is_right = rng.random((len(runs), n)) < 0.8
        y_prob = np.eye(2)[np.where(is_right, y_true, 1 - y_true)]
        answers = Predictions(
            ["cat", "dog"], files, y_true, np.arange(n), models, y_prob
        )
        chosen += find_verdict(answers).name == "alone"
    return chosen / reports


def draw_report(rng):
    """Draw a report: two to five ways of training, trained with some seeds each, on 20 to 200 pictures."""
    n = int(rng.integers(20, 200))
    models = {}
    y_prob = []
    groups = np.sort(rng.integers(0, n, n)) if rng.random() < 0.5 else np.arange(n)
    hard = rng.normal(0, 1, n)
    y_true = np.arange(n) % 2
    ways = ["cnn", "wide", "net_transfer", "net_linear", "net_finetuned"]
    for way in ways[: rng.integers(2, 6)]:
        seeds = 42 + np.flatnonzero(rng.random(5) < rng.choice([0.2, 0.5, 1]))
        if len(seeds) == 0 or way in ("net_linear", "net_finetuned"):
            seeds = [42]
        skill = rng.normal(0.7, 0.7)
        for seed in seeds:
            correct = rng.random(n) < 1 / (
                1 + np.exp(-hard - skill - rng.normal(0, 0.2))
            )
            name = way if seed == 42 else f"{way}@{seed}"
            kind = way.rpartition("_")[2] if "_" in way else "scratch"
            models[name] = Record(
                name,
                ["cat", "dog"],
                8,
                configuration=way,
                kind=kind,
                seed=None if kind == "linear" else int(seed),
            )
            y_prob.append(np.eye(2)[np.where(correct, y_true, 1 - y_true)])
    files = [f"{k}.png" for k in range(n)]
    return Predictions(["cat", "dog"], files, y_true, groups, models, y_prob)


def contradict(answers):
    """Tell whether box, table and interval of any pair of a report say different things."""
    answer = find_verdict(answers)
    best = answer.name
    pairs = {(pair.model, pair.other): pair for pair in answers.pairs}
    for other, word in answer.others.items():
        ahead = pairs.get((best, other))
        behind = pairs.get((other, best))
        pair = ahead or behind
        if pair is None:
            if word != "unsure":
                return True
            continue
        if pair.established != (word in ("better", "worse")):
            return True
        if (word == "worse" and not ahead) or (word == "better" and not behind):
            return True
    if set(answer.others) != set(answers.configurations.index) - {best}:
        return True
    for pair in pairs.values():
        if np.isnan(pair.p_holm):
            continue
        p = float(wording.format_p(pair.p_holm).lstrip("< "))
        claims = {pair.established, pair.low > 0, pair.p_holm < 0.05, p < 0.05}
        if len(claims) > 1:
            return True
    return False


def draw_calibrated(rng, y_true, models, classes):
    """Draw probabilities of models that are as sure as right, for these true classes."""
    y_prob = rng.dirichlet(np.full(classes, 0.3), (models, len(y_true)))
    limits = rng.random((models, len(y_true), 1))
    drawn = (y_prob.cumsum(axis=2) < limits).sum(axis=2).clip(0, classes - 1)
    # The class that is drawn by its probability becomes the true one.
    shift = (y_true - drawn)[:, :, np.newaxis]
    columns = (np.arange(classes) - shift) % classes
    return np.take_along_axis(y_prob, columns, axis=2)


def claim_anything(reports, n=240, names=("a", "b", "c"), classes=4):
    """Return how often anything false is said of equal models: in the box, and on the page.

    Each is as sure as right, and no class is harder than another.
    """
    rng = np.random.default_rng(n)
    y_true = np.arange(n) % classes
    models = {}
    for name in names:
        models[name] = Record(
            name, list("stuv"), 8, configuration=name, kind="scratch", seed=42
        )
    files = [f"{k}.png" for k in range(n)]
    claims = np.zeros(2)
    for _ in range(reports):
        y_prob = draw_calibrated(rng, y_true, len(names), classes)
        answers = Predictions(list("stuv"), files, y_true, np.arange(n), models, y_prob)
        answer = find_verdict(answers)
        is_off = {}
        for name, confidence, right in zip(names, answers.confidence, answers.correct):
            judged = believe(confidence.astype(float), right, len(names))
            is_off[name] = judged.word.startswith("too")
        box = [answer.list_others("worse"), answer.weakest, is_off[answer.name]]
        page = [*box, *is_off.values(), has_established(answers.pairs)]
        claims += [any(box), any(page)]
    return claims / reports


def contradict_often(seed, reports):
    """Return which share of drawn reports contradict themselves."""
    rng = np.random.default_rng(seed)
    return sum(contradict(draw_report(rng)) for _ in range(reports)) / reports


RUNS = list(itertools.product((240, 2002), (2, 3, 5), (0, 0.1, 0.5)))
BURSTS = [np.arange(120) // 4, draw_groups(10, 20, 40), draw_groups(1, 120, 120)]
# Models, pictures, accuracy, pictures of a group.
BEST = [(1, 240, 0.5, 1), (4, 240, 0.5, 1), (8, 240, 0.5, 1), (8, 240, 0.5, 4)]
# Models, pictures, and by how much they are better than the files' facts.
FACTS = [(1, 77, 0), (1, 240, 0), (4, 240, 0), (15, 240, 0), (1, 240, 0.15)]
# Pictures of each class, models, and share of the labels that is known.
USEFUL = [((10, 10), 1, 0), ((20, 20), 1, 0), ((99, 1), 1, 0), ((24,) * 10, 8, 0)]
USEFUL += [((99, 1), 1, 1), ((190, 50), 1, 0.2)]
HARD_BURSTS = np.repeat(np.arange(120), np.where(np.arange(120) % 6, 1, 12))
# Groups, models, how far the true class stands out in bursts, and their description.
ANSWERED = [
    (np.arange(80), 1, 2.5, "80 pictures"),
    (np.arange(80), 15, 2.5, "80 pictures, the best of 15"),
    (HARD_BURSTS, 1, 1.2, "hard bursts of 12"),
]
# Temperatures that models need, pictures, and pictures of a group.
TEMPERATURES = [
    (1.0, 20, 1),
    (1.0, 40, 1),
    (1.0, 240, 1),
    (1.0, 2002, 1),
    (1.0, 240, 4),
]
TEMPERATURES += [(1.3, 240, 1), (2.0, 1000, 8)]
# Shares of the pictures that one model alone has right, and the other.
WON = ((0.14, 0.06), (0.1, 0.1), (0.03, 0), (0.3, 0.02))
# Pictures of each class, and of a group.
EQUAL = [
    (np.full(2, 10), 1),
    (np.full(10, 8), 1),
    (np.full(10, 8), 3),
    (SETS["long tail"](240), 1),
]
# Bursts, pictures of each, single pictures; the probabilities of both; and how much these are too high.
SURE_BURSTS = [((4, 10, 200), 0.5, 0.97, 0), ((2, 30, 200), 0.5, 0.97, 0)]
SURE_BURSTS += [((4, 10, 200), 0.97, 0.7, 0), ((40, 5, 0), 0.8, 0.8, 0.1)]
SURE_BURSTS += [((4, 10, 200), 0.5, 0.9, 0.1)]
# Pictures, models.
SURE = ((20, 1), (40, 1), (100, 1), (240, 1), (240, 15), (2002, 15))


def list_jobs(reports):
    """List what is simulated: (what, where, function, arguments); a row of the table each."""
    return list(
        itertools.chain(
            list_shares(reports),
            list_best(reports),
            list_pairs(reports),
            list_seeds(reports),
            list_groups(reports),
            list_classes(reports),
            list_probabilities(reports),
            list_sets(reports),
            list_reports(reports),
        )
    )


def list_shares(reports):
    for kind, model, n in itertools.product(SETS, MODELS, SIZES):
        what = f"coverage, top-1 and a recall: {kind}, {model}"
        yield what, n, cover_scores, (kind, n, model, reports)
    what = "coverage, groups of unequal size"
    for bursts in UNEQUAL:
        where = "{} bursts of {} + {} single, shares {}".format(*bursts, SHARES)
        yield what, where, cover_unequal, (*bursts, 10 * reports)
    yield what, "4 hard bursts of 10 and 200 single", cover_hard_bursts, (reports,)
    for size in (1, 3, 5):
        where = f"40 groups of {size}, shares {SHARES}"
        what = "coverage, groups of one size"
        yield what, where, cover_unequal, (40, size, 0, 10 * reports)


def list_best(reports):
    for k, n, chance, burst in BEST:
        where = f"{k} equal models of {chance}, n = {n} in groups of {burst}"
        what = "coverage of the best of several"
        yield what, where, judge_best, (k, n, chance, 5 * reports, burst)
    for k in (4, 8, 15):
        what = "the best of several is flattered by"
        yield what, f"{k} models of 0.7, n = 240", flatter, (k, 5 * reports)
    for support, models, knows in USEFUL:
        where = f"{models} models, classes of {support}, {knows} known"
        what = "any is said to know the labels"
        yield what, where, call_useful, (support, models, knows, reports)
    for answers in ("one", "film", "picture"):
        what = "a model that doesn't is said to know the labels of films"
        where = f"{FILMS}, answers drawn by {answers}"
        yield what, where, call_constant_useful, (answers, reports)
    for models, n, gain in FACTS:
        what = "any is said to beat the files' facts"
        where = f"{models} models, n = {n}, better by {gain}"
        yield what, where, beat_files, (models, n, gain, reports)
    what = "a training that was compared with none is chosen"
    yield what, "beside two ways, as good, of five", choose_uncompared, (reports,)


def list_pairs(reports):
    what = "any false claim of a pair"
    for n in (20, 40, 80, 240, 2002):
        yield what, f"3 models, n = {n:,}", claim_pairs, (n, 3, 3 * reports)
    yield what, "6 models, n = 240", claim_pairs, (240, 6, reports)
    for groups in BURSTS:
        where = f"3 models, {len(groups)} pictures in {groups.max() + 1} groups"
        yield what, where, claim_pairs, (0, 3, reports, groups)
    for shape, where in (
        ((20, 10, 400), "20 bursts of 10"),
        ((1, 120, 120), "one of 120"),
    ):
        where = f"{where} (0.4 disagree) + {shape[2]} single (0.05)"
        yield what, where, claim_bursts, (reports, shape)
    contests = ((1, 2), (1, 4), (1, 8), (1, 15), (30, 4), (180, 2))
    for burst, networks in contests:
        where = f"{networks} networks, 2 times 5 folds, 300 pictures, burst of {burst}"
        what = "any false claim of a contest"
        yield what, where, claim_contest, (reports, burst, networks)


def list_seeds(reports):
    for n, runs, spread in RUNS:
        where = f"n = {n:,}, {runs} runs, spread {spread}"
        what = "coverage, a way of training; a difference"
        yield what, where, cover_ways, (n, runs, spread, reports)
    for runs, spread in ((3, 0.02), (5, 0.02), (5, 0.05)):
        where = f"n = 240, {runs} runs, spread of top-1 {spread}"
        what = "false claim, linear model and several runs"
        yield what, where, claim_linear, (240, runs, spread, reports)
    for n, runs, spreads in itertools.product((240, 2000, 20000), (3, 5), SPREADS):
        where = f"n = {n:,}, {runs} runs of each, spreads of top-1 {spreads}"
        what = "any false claim of a pair"
        yield what, where, claim_seeds, (n, runs, spreads, reports)


def list_groups(reports):
    for shape, (win, lose) in itertools.product(GROUPED, WON):
        what = "a difference in groups is established; coverage"
        where = f"{shape}: {win} against {lose}"
        yield what, where, judge_flips, (shape, win, lose, reports)
    for shape, gain in itertools.product(GROUPED, (0, 0.05)):
        what = "five trainings in groups are told apart"
        where = f"{shape}: better by {gain}"
        yield what, where, claim_grouped_runs, (shape, gain, reports)


def list_classes(reports):
    what = "equal classes are called weaker"
    for (sizes, burst), share in itertools.product(EQUAL, (0.9, 0.97)):
        where = f"{len(sizes)} classes, {sum(sizes)} groups of {burst}, recall {share}"
        yield what, where, claim_weakest, (sizes, share, reports, burst)
    unequal = ((6, 3, 1, 1), (20, 1, 1, 1, 1, 1))
    for sizes, share in itertools.product(unequal, (0.7, 0.9)):
        where = f"10 classes, each of groups of {sizes}, recall {share}"
        yield what, where, claim_weakest_in_groups, (sizes, share, reports)
    for share in (0.5, 0.7, 0.9, 0.97):
        where = (
            f"one of two bursts of 30 and 10 single, nine of 24 single, recall {share}"
        )
        yield what, where, claim_weak_in_bursts, (share, reports)
    what = "a weak class is named; another is"
    for burst in (1, 3):
        where = f"10 classes of 24 in groups of {burst}, recall 0.5 and nine times 0.9"
        yield what, where, name_weakest, (0.5, reports, (24,) * 10, burst)
    where = "ten times 0.9"
    yield what, where, name_weakest, (0.9, reports)
    yield what, "99 and 1 pictures", name_weakest, (0.9, reports, (99, 1))


def list_probabilities(reports):
    for needed, n, burst in TEMPERATURES:
        what = f"a temperature is fitted where {needed} is needed"
        where = f"n = {n:,} in groups of {burst}"
        yield what, where, fit_temperatures, (needed, n, reports, burst)
    groups = draw_groups(4, 10, 200)
    concentration = np.where(np.arange(groups.max() + 1) < 4, 5.0, 0.1)
    what = "a temperature is fitted where 1.0 is needed"
    where = "4 hard bursts of 10 and 200 single, easy ones"
    yield what, where, fit_in_groups, (1.0, groups, concentration, reports)
    for shape, in_bursts, in_singles, off in SURE_BURSTS:
        what = "called too sure or too modest, in bursts"
        where = f"{shape}, {in_bursts} and {in_singles}, too sure by {off}"
        yield what, where, judge_in_bursts, (shape, in_bursts, in_singles, off, reports)
    for (n, models), off in itertools.product(SURE, (0, 0.1)):
        what = "any called too sure or too modest"
        where = f"{models} models, n = {n:,}, too sure by {off}"
        yield what, where, judge_calibration, (n, off, reports, models)
    what = (
        "how sure answers of a rare class are, and how often right, with class weights"
    )
    yield what, "one in ten", believe_balanced, (reports,)
    for n in (40, 240):
        what = "average precision by luck"
        yield what, f"0.175 of {n}", rank_by_luck, (n, 0.175, reports)


def list_sets(reports):
    for groups, models, hard, where in ANSWERED:
        what = "pictures whose set of 0.95 holds the truth"
        yield what, where, cover_sets, (groups, reports, models, hard)
    for hard in (2.5, 0.5):
        what = "the class that has the lowest share is named; another is"
        where = f"it stands out by {hard}, others by 2.5, n = 240"
        yield what, where, name_lowest, (hard, reports)
    what = "pictures like those of the limit are called strangers"
    yield what, "0.05 may be, n = 240", mark_known, (reports,)


def list_reports(reports):
    for rise in (0, 0.044, 0.08):
        what = "more pictures are said to help"
        yield what, f"n = 240, true rise {rise}", claim_rise, (rise, reports)
    for n in (240, 2000):
        what = "anything false is said: in the box; on the page"
        yield what, f"3 equal models, n = {n:,}", claim_anything, (reports, n)
    what = "reports that contradict themselves"
    yield what, f"{reports:,} with seeds", contradict_often, (0, reports)


def simulate(job):
    """Do one job of `list_jobs`."""
    return job[2](*job[3])


if __name__ == "__main__":
    reports = int(sys.argv[1]) if sys.argv[1:] else 1000
    found = list_jobs(reports)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        print("| what | where | share of reports |\n|---|---|---|")
        for (what, where, *_), result in zip(found, pool.map(simulate, found)):
            figure = "; ".join(f"{one:.3f}" for one in np.atleast_1d(result))
            print(f"| {what} | {where} | {figure} |", flush=True)
