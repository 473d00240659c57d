"""A linear classifier: as good as a tuned one, and honest about what it has not seen."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from lib.data.split import deal_folds
from lib.models import contest, linear


def draw_features(n, d, num_classes=4, spread=2.0, seed=0):
    """Draw features of overlapping classes, none of them negative, in unequal units."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, num_classes, n)
    means = rng.normal(0, 1, (num_classes, d)) * (rng.random(d) < 0.3)
    features = np.maximum(means[y_true] + rng.normal(0, spread, (n, d)), 0) * rng.gamma(2, 1, d)
    return features.astype(np.float32), y_true


def answer(features, y_true, num_classes=4, repeats=1):
    groups = np.arange(len(y_true))
    return linear.answer_held_out(features, y_true, num_classes, groups, 0, 5, repeats)[0]


def test_accuracy_is_that_of_a_tuned_logistic_regression():
    features, y_true = draw_features(900, 60)
    y_prob, theirs, fold = answer(features, y_true), [], deal_folds(y_true, np.arange(900), 5, 0)
    for held in range(5):
        learned, asked = fold != held, fold == held
        scaler = StandardScaler().fit(features[learned])
        grid = {"C": np.logspace(-4, 1, 6)}
        model = GridSearchCV(LogisticRegression(max_iter=500), grid, cv=5)
        model.fit(scaler.transform(features[learned]), y_true[learned])
        theirs.append(model.score(scaler.transform(features[asked]), y_true[asked]))
    ours = (y_prob[0].argmax(axis=1) == y_true).mean()
    assert ours > 0.6 and ours == pytest.approx(np.mean(theirs), abs=0.015)


def test_answers_to_labels_without_meaning_are_no_better_than_guessing():
    features, y_true = draw_features(400, 300)
    y_true = np.random.default_rng(1).permutation(y_true)
    y_prob = answer(features, y_true, repeats=2)
    assert abs((y_prob.argmax(axis=2) == y_true).mean() - 0.25) < 0.08
    assert np.allclose(y_prob.sum(axis=2), 1, atol=1e-5)
    # Who knows nothing should say so: little worse than a quarter for each class.
    of_truth = y_prob[0, np.arange(400), y_true]
    assert -np.log(of_truth).mean() < np.log(4) + 0.05


@pytest.mark.parametrize("enough", [10_000, 700])
def test_held_out_answers_can_be_taken_at_their_word(enough, monkeypatch):
    monkeypatch.setattr(linear, "ENOUGH", enough)
    features, y_true = draw_features(1500, 40)
    y_prob = answer(features, y_true)
    right = y_prob[0].argmax(axis=1) == y_true
    assert right.mean() > 0.5 and abs(y_prob[0].max(axis=1).mean() - right.mean()) < 0.06


def test_a_label_has_no_say_in_the_answer_to_its_own_picture(monkeypatch):
    features, y_true = draw_features(120, 20)
    before, fold = answer(features, y_true), deal_folds(y_true, np.arange(120), 5, 0)
    held, changed = fold == 2, y_true.copy()
    changed[held] = (changed[held] + 1) % 4

    def deal_alike(*task):
        return fold if task[2] == 5 else deal_folds(*task)

    monkeypatch.setattr(linear, "deal_folds", deal_alike)
    after = answer(features, changed)
    assert np.allclose(before[0, held], after[0, held], atol=1e-6)
    assert not np.allclose(before, after, atol=1e-3)


def test_few_mistakes_are_no_reason_to_be_sure():
    """Nothing bounds the temperature of answers that are all right."""
    features, y_true = draw_features(48, 30, num_classes=3, spread=0.5)
    y_prob = answer(features, y_true, 3)
    assert (y_prob[0].argmax(axis=1) == y_true).mean() > 0.9
    assert linear.fit(features, y_true, 3, np.arange(48), 0).temperature == 1


@pytest.mark.parametrize("num_classes", [2, 4])
def test_features_that_vary_by_rounding_alone_count_neither_here_nor_in_the_saved_head(num_classes):
    features, y_true = draw_features(600, 20, num_classes, spread=1)
    alone = linear.fit(features, y_true, num_classes, np.arange(600), 0)
    flat = np.full((600, 3), 7, np.float32)
    flat[:, 1] += np.random.default_rng(0).integers(0, 2, 600) * np.spacing(np.float32(7))
    flat[:, 2] = 0
    wider = np.hstack([features, flat])
    with_flat = linear.fit(wider, y_true, num_classes, np.arange(600), 0)
    assert (with_flat.units[-3:] == 0).all() and (with_flat.units[:-3] > 0).all()
    expected = with_flat.answer(wider)
    right = [(one.argmax(axis=1) == y_true).mean() for one in (expected, alone.answer(features))]
    assert right[0] > 0.6 and right[0] == pytest.approx(right[1], abs=0.02)
    # Elsewhere they may be rounded otherwise.
    flat[:, 1] = np.float32(7) - np.spacing(np.float32(7))
    again = contest.build_head(with_flat).predict(np.hstack([features, flat]), verbose=0)
    assert np.allclose(again, expected, atol=1e-4)


@pytest.mark.parametrize("groups", [np.arange(60), np.r_[[0, 0, 0, 0], np.arange(4, 60)]])
def test_a_class_of_few_pictures_or_of_one_group_is_answered_too(groups):
    features, y_true = draw_features(60, 10)
    y_true[:] = np.arange(60) % 2
    y_true[:4] = 2
    y_prob, accuracies = linear.answer_held_out(features, y_true, 3, groups, seed=0)
    assert accuracies.shape == (1, 5) and accuracies.min() >= 0
    assert y_prob.shape == (1, 60, 3) and np.allclose(y_prob.sum(axis=2), 1, atol=1e-5)
    # Where only one class is left to learn from, it is the answer.
    only = np.flatnonzero(y_true == 1)
    assert (linear.fit(features, y_true, 3, groups, 0, only).answer(features)[:, 1] > 0.99).all()
