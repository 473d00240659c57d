import numpy as np
import pytest
from planted import draw_features, measure_ranking, plant_labels

from lib.evaluation import audit, neighbours
from lib.models import linear


def answer(features, y_true, groups):
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
    table = audit.rank_labels(answer(features, labels, np.arange(300)), labels)
    precision, recall = measure_ranking(table["rank"].to_numpy(), planted)
    assert precision >= 0.75 and recall >= 0.9
    right = table.suggested.to_numpy()[planted] == truth[planted]
    assert right.mean() >= 0.75, "what is suggested is what was there before"
    is_planted = np.isin(np.arange(300), planted)
    assert table.is_doubtful[is_planted].mean() >= 0.7
    assert table.is_doubtful[~is_planted].mean() <= 0.02


def test_ranks_are_all_different_and_follow_self_confidence():
    y_prob, y_true = np.array([[0.2, 0.8], [0.2, 0.8], [0.9, 0.1]]), np.zeros(3, int)
    table = audit.rank_labels(y_prob, y_true)
    assert list(table["rank"]) == [1, 2, 3] and list(table.suggested) == [1, 1, 0]
    assert list(table.self_confidence) == [0.2, 0.2, 0.9]
    with pytest.raises(ValueError, match="One class only"):
        audit.rank_labels(y_prob[:, :1], y_true)


def test_doubtful_is_an_improbable_label_beside_a_class_as_probable_as_it_usually_is():
    # The second class has 0.6 where it is the label.
    y_true = np.array([0, 0, 0, 1, 1])
    rows = [(0.05, 0.9, 0.05), (0.05, 0.55, 0.4), (0.2, 0.7, 0.1), (0.2, 0.5, 0.3), (0.2, 0.7, 0.1)]
    table = audit.rank_labels(np.array(rows), y_true)
    assert list(table.is_doubtful) == [True, False, False, False, False]
    # The third class is nobody's label, so nothing tells how probable it usually is.
    y_prob = np.array([(0.05, 0.0, 0.95), (0.9, 0.1, 0.0)])
    assert not audit.rank_labels(y_prob, np.array([0, 1])).is_doubtful[0]


@pytest.mark.parametrize(("apart", "num_classes"), [(0.5, 5), (0.3, 10)])
def test_a_rule_for_suggestions_marks_fewer_right_labels(apart, num_classes):
    """Most of the planted labels stay marked, of the right ones a third fewer than by the label alone."""
    marked = np.zeros((2, 2))
    for seed in range(4):
        features, truth = draw_features(600, num_classes, seed, apart)
        labels, planted = plant_labels(truth, 0.05, seed)
        is_planted = np.isin(np.arange(600), planted)
        y_prob = answer(features, labels, np.arange(600))
        table = audit.rank_labels(y_prob, labels)
        improbable = (table.self_confidence < audit.DOUBTFUL) & (table.suggested != labels)
        for row, is_marked in enumerate((table.is_doubtful, improbable)):
            marked[row] += is_marked[is_planted].sum(), is_marked[~is_planted].sum()
    assert marked[0, 0] >= 0.7 * marked[1, 0] and marked[0, 1] <= 0.7 * marked[1, 1]


def draw_pool(seed):
    """Draw features of 200 labelled pictures, then of 600 others: 360 of the classes, 120 junk, 120 copies."""
    features, y_true = draw_features(560, 5, seed, apart=1)
    rng = np.random.default_rng(seed)
    junk = rng.normal(0, 1, (120, 64))
    copies = features[200:320] + rng.normal(0, 0.2, (120, 64))
    pool = np.concatenate([features[200:], junk, copies]).astype(np.float32)
    return features[:200], y_true[:200], pool


def choose(labelled, y_true, pool, count):
    rows, known = neighbours.scale_features(pool), neighbours.scale_features(labelled)
    around = neighbours.find_neighbours(known, y_true, y_true, np.arange(len(known)))
    groups = np.arange(len(known))
    y_prob = linear.fit(labelled, y_true, y_true.max() + 1, groups, 0).answer(pool)
    return audit.choose_next(rows, y_prob, known, around.distances[:, -1], count), y_prob


def test_next_to_label_are_unsure_and_neither_junk_nor_copies():
    origin = np.r_[np.arange(480), np.arange(120)]
    is_junk = (np.arange(600) >= 360) & (np.arange(600) < 480)
    for seed in range(4):
        chosen, y_prob = choose(*draw_pool(seed), 60)
        second, first = np.sort(y_prob, axis=1)[:, -2:].T
        margin = first - second
        assert (np.diff(margin[chosen]) >= 0).all(), "the smallest margin comes first"
        assert is_junk[chosen].mean() <= 0.05 and is_junk[margin.argsort()[:60]].mean() >= 0.9
        useful = np.flatnonzero(~is_junk)
        by_margin = useful[margin[useful].argsort()[:60]]
        assert len(set(origin[chosen])) == 60, "a copy is no news"
        assert len(set(origin[by_margin])) < 55


def test_fewer_are_chosen_where_there_are_no_more():
    labelled, y_true, pool = draw_pool(0)
    chosen, _ = choose(labelled, y_true, pool, 1000)
    assert len(set(chosen)) == len(chosen) < 600
    assert len(choose(labelled, y_true, np.tile(pool[:1], (9, 1)), 5)[0]) == 1
    nothing = audit.choose_next(pool[:0], np.empty((0, 5)), labelled, np.ones(200), 5)
    assert nothing.shape == (0,)
    # Of three labelled pictures none has a fifth neighbour.
    few, _ = choose(labelled[:3], np.array([0, 1, 1]), pool[:20], 5)
    assert len(few) <= 5
