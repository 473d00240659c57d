from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import draw_features, measure_ranking, plant_labels

from lib.evaluation import audit, neighbours
from lib.models import linear


def answer(features, y_true, groups=None):
    groups = np.arange(len(y_true)) if groups is None else groups
    return linear.answer_held_out(features, y_true, y_true.max() + 1, groups, seed=0)[0][0]


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
    is_planted = np.isin(np.arange(300), planted)
    assert (
        table.is_doubtful[is_planted].mean() >= 0.8 > 0.05 >= table.is_doubtful[~is_planted].mean()
    )


def test_ranks_are_all_different_and_follow_self_confidence():
    y_prob = np.array([[0.2, 0.8], [0.2, 0.8], [0.9, 0.1]])
    table = audit.rank_labels(y_prob, np.array([0, 0, 0]))
    assert list(table["rank"]) == [1, 2, 3] and list(table.suggested) == [1, 1, 0]
    assert list(table.self_confidence) == [0.2, 0.2, 0.9]


def test_doubtful_is_what_has_less_than_a_tenth_where_another_class_has_more():
    y_prob = np.full((3, 20), 0.05)
    y_prob[0] = np.eye(20)[1] * 0.81 + 0.01
    y_prob[1] = np.eye(20)[1] * 0.5 + np.eye(20)[0] * 0.2 + 0.3 / 20
    table = audit.rank_labels(y_prob, np.array([0, 0, 0]))
    # The third has no class that is more probable than its own.
    assert list(table.is_doubtful) == [True, False, False]


def test_one_class_only_is_an_error():
    with pytest.raises(ValueError, match="One class only"):
        audit.rank_labels(np.ones((3, 1)), np.zeros(3, int))


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
        assert outliers.shape == (32,)


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
