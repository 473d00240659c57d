from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import draw_features, measure_ranking, plant_labels
from scipy.special import softmax

from lib.judging import audit, neighbours
from lib.models import linear


def draw_answers(truth, seed, apart=4, too_sure=1.5):
    """Draw answers of a classifier that errs on hard pictures and is too sure of itself."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (len(truth), truth.max() + 1))
    logits[np.arange(len(truth)), truth] += apart * rng.gamma(4, 0.25, len(truth))
    return softmax(too_sure * logits, axis=1)


def answer(features, y_true, groups=None):
    groups = np.arange(len(y_true)) if groups is None else groups
    return audit.answer_held_out(linear.find_basis(features), y_true, groups, 5, 0)[0]


def estimate(y_prob, y_true, groups=None):
    groups = np.arange(len(y_true)) if groups is None else groups
    return audit.estimate_wrong(y_prob, y_true, groups)


def test_no_answer_comes_from_a_copy_of_the_picture():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 64)).astype(np.float32)
    labels, groups = np.tile(rng.integers(0, 4, 100), 2), np.tile(np.arange(100), 2)
    y_prob = answer(np.tile(features, (2, 1)), labels, groups)
    assert (y_prob.argmax(axis=1) == labels).mean() < 0.45, "labels drawn at random can't be known"


def test_planted_errors_come_first_in_the_ranking():
    features, truth = draw_features(300, 5, 0)
    labels, planted = plant_labels(truth, 0.05, 0)
    table = audit.rank_labels(answer(features, labels), labels)
    precision, recall = measure_ranking(table["rank"].to_numpy(), planted)
    assert precision >= 0.75 and recall >= 0.9
    right = table.suggested.to_numpy()[planted] == truth[planted]
    assert right.mean() >= 0.75, "what is suggested is what was there before"


def test_ranks_are_all_different_and_follow_self_confidence():
    y_prob = np.array([[0.2, 0.8], [0.2, 0.8], [0.9, 0.1]])
    table = audit.rank_labels(y_prob, np.array([0, 0, 0]))
    assert list(table["rank"]) == [1, 2, 3] and list(table.suggested) == [1, 1, 0]
    assert list(table.self_confidence) == [0.2, 0.2, 0.9]


def test_one_class_only_is_an_error():
    with pytest.raises(ValueError, match="One class only"):
        audit.rank_labels(np.ones((3, 1)), np.zeros(3, int))


@pytest.mark.parametrize("share", [0, 0.05, 0.2])
def test_interval_holds_the_number_of_wrong_labels(share):
    held = []
    for seed in range(10):
        truth = np.arange(400) % 10
        labels, planted = plant_labels(truth, share, seed)
        (number, low, high), pairs = estimate(draw_answers(truth, seed), labels)
        assert pairs.number.sum() == pytest.approx(number, abs=2)
        held.append(low <= len(planted) <= high)
    assert sum(held) >= 9


def test_swapped_pair_of_classes_is_named():
    truth = np.arange(400) % 4
    labels = truth.copy()
    labels[np.flatnonzero(truth == 2)[:12]] = 1
    _, pairs = estimate(draw_answers(truth, 0, apart=6), labels)
    worst = pairs.iloc[0]
    assert (worst.label, worst.suggested) == (1, 2) and worst.low <= 12 <= worst.high


def test_copies_of_each_picture_widen_the_interval():
    truth = np.arange(200) % 10
    labels, _ = plant_labels(truth, 0.1, 0)
    y_prob = draw_answers(truth, 0)
    _, low, high = estimate(y_prob, labels)[0]
    y_prob, labels, groups = np.tile(y_prob, (5, 1)), np.tile(labels, 5), np.arange(1000) % 200
    _, *told = estimate(y_prob, labels, groups)[0]
    _, *not_told = estimate(y_prob, labels)[0]
    assert told == pytest.approx([5 * low, 5 * high])
    assert told[0] < not_told[0] and told[1] > not_told[1]


def test_doubt_of_the_form_makes_the_interval_hold(monkeypatch):
    held = {audit.DOUBT: 0, 0: 0}
    for doubt in held:
        monkeypatch.setattr(audit, "DOUBT", doubt)
        for seed in range(10):
            truth, rng = np.arange(400) % 10, np.random.default_rng(seed + 100)
            # No one temperature makes these true: each answer is too sure to another degree.
            sureness = np.exp(rng.normal(0, 0.5, (400, 1)))
            y_prob = softmax(sureness * np.log(draw_answers(truth, seed, 4, 1)), axis=1)
            held[doubt] += estimate(y_prob, truth)[0][1] == 0
    assert held.pop(0) <= 6 and min(held.values()) >= 9


def test_labels_without_any_sense_have_no_upper_end_below_all():
    rng = np.random.default_rng(0)
    truth, labels = np.arange(400) % 10, rng.integers(0, 10, 400)
    (_, low, high), _ = estimate(draw_answers(truth, 0, apart=8), labels)
    assert 200 < low and high == 400


def test_pairs_that_nothing_suggests_are_left_out():
    truth = np.arange(400) % 100
    labels = truth.copy()
    labels[0] = 7
    _, pairs = estimate(draw_answers(truth, 0, apart=20), labels)
    assert (pairs.label[0], pairs.suggested[0]) == (7, 0) and len(pairs) < 1000


def test_earlier_corrections_are_carried_along_and_stand_once():
    template = pd.DataFrame({"file": ["a/1.png", "b/2.png"], "label": ["a", "b"]})
    template = template.assign(suggested=["b", "a"], self_confidence=[0.1, 0.2])
    rows = [("./b/2.png", "a"), ("b\\2.png", "a"), ("a/5.png", ""), ("b\\3.png", "a")]
    earlier = pd.DataFrame(rows, columns=["file", "label"])
    files = ["a/1.png", "b/2.png", "b/3.png", "a/5.png", "b/5.png"]
    carried = audit.carry_corrections(template, earlier, files, Path("train"))
    assert carried.to_numpy().tolist() == [
        ["a/1.png", "a", "b", 0.1],
        ["b/2.png", "a", "a", 0.2],
        ["a/5.png", "", "", ""],
        ["b/3.png", "a", "", ""],
    ]


def test_a_class_of_few_pictures_or_of_one_group_is_answered_too():
    features, truth = draw_features(30, 2, 0)
    labels = np.r_[truth, [2, 2]]
    features = np.r_[features, features[:2] + 1][:, :8].astype(np.float32)
    for groups in (np.arange(32), np.r_[np.arange(30), [30, 30]]):
        y_prob = answer(features, labels, groups)
        assert np.isfinite(y_prob).all()
        table = audit.rank_labels(y_prob, labels)
        found = neighbours.find_neighbours(
            neighbours.scale_features(features), labels, table.suggested.to_numpy(), groups
        )
        outliers = neighbours.find_outliers(found.spread, labels)
        (_, low, high), _ = estimate(y_prob, labels, groups)
        assert low <= 2 <= high and outliers.shape == (32,)


def test_next_to_label_are_unsure_and_no_copies_of_each_other():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 16)).astype(np.float32)
    y_prob = np.tile([0.98, 0.01, 0.01], (60, 1))
    y_prob[:30] = rng.dirichlet([30, 30, 30], 30)
    rows[1:10], y_prob[1:10] = rows[0], y_prob[0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chosen = audit.choose_next(rows, y_prob, 15)
    assert len(set(chosen)) == 15 and (chosen < 30).all()
    assert (chosen < 10).sum() <= 1, "ten copies count as one"
    assert sorted(audit.choose_next(rows, y_prob, 100)) == list(range(60))
    assert len(audit.choose_next(rows[:0], y_prob[:0], 5)) == 0
