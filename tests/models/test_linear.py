"""A linear classifier: as good as scikit-learn's, and honest about what it has not seen."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from lib.data.split import deal_folds
from lib.models import linear


def draw_features(n, d, num_classes=4, spread=2.0, seed=0):
    """Draw features of overlapping classes, none of them negative, in unequal units."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, num_classes, n)
    means = rng.normal(0, 1, (num_classes, d)) * (rng.random(d) < 0.3)
    features = np.maximum(means[y_true] + rng.normal(0, spread, (n, d)), 0) * rng.gamma(2, 1, d)
    return features.astype(np.float32), y_true


@pytest.mark.parametrize(("n", "d"), [(300, 40), (60, 90)])
def test_basis_gives_back_the_features_and_the_classifier_of_them(n, d):
    features, y_true = draw_features(n, d)
    features[:, 3] = 5.0  # says nothing
    basis = linear.find_basis(features)
    assert (basis.rows**2).sum() / n == pytest.approx(1, rel=1e-3)
    assert np.allclose((features - basis.mean) @ basis.axes, basis.rows, atol=1e-4)
    weights = linear.fit_linear(basis, y_true, 4, 1e-3, np.arange(n))
    kernel, bias = basis.find_kernel(weights)
    logits = features @ kernel + bias
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(
        softmax(linear.find_logits(basis, weights, np.arange(n)), axis=1), expected, atol=1e-4
    )


def test_fit_finds_the_smallest_loss():
    features, y_true = draw_features(200, 30)
    basis, chosen = linear.find_basis(features), np.arange(150)
    found = linear.fit_linear(basis, y_true, 4, 1e-3, chosen)

    def measure_loss(weights):
        y_prob = softmax(linear.find_logits(basis, weights, chosen), axis=1)
        of_truth = y_prob[np.arange(150), y_true[:150]]
        return -np.log(of_truth).mean() + 5e-4 * (weights[:-1] ** 2).sum()

    rng, best = np.random.default_rng(0), measure_loss(found)
    for size in (1e-2, 1e-1, 1):
        for _ in range(20):
            assert measure_loss(found + rng.normal(0, size, found.shape)) > best - 1e-5
    warm = linear.fit_linear(basis, y_true, 4, 1e-3, chosen, found)
    assert measure_loss(warm) == pytest.approx(best, abs=1e-4)


def test_accuracy_is_that_of_a_tuned_logistic_regression():
    features, y_true = draw_features(900, 60)
    groups = np.arange(900)
    folds = deal_folds(y_true, groups, 5, seed=0)[:, np.newaxis]
    basis = linear.find_basis(features)
    _, ours = linear.cross_validate(basis, y_true, 4, groups, folds, seed=0)
    theirs = []
    for held in range(5):
        learned, asked = folds[:, 0] != held, folds[:, 0] == held
        scaler = StandardScaler().fit(features[learned])
        grid = {"C": np.logspace(-4, 1, 6)}
        model = GridSearchCV(LogisticRegression(max_iter=500), grid, cv=5)
        model.fit(scaler.transform(features[learned]), y_true[learned])
        theirs.append(model.score(scaler.transform(features[asked]), y_true[asked]))
    assert ours.mean() > 0.6 and ours.mean() == pytest.approx(np.mean(theirs), abs=0.015)


def test_answers_to_labels_without_meaning_are_no_better_than_guessing():
    features, y_true = draw_features(400, 300)
    y_true = np.random.default_rng(1).permutation(y_true)
    groups = np.arange(400)
    folds = np.stack([deal_folds(y_true, groups, 5, seed) for seed in range(2)], axis=1)
    basis = linear.find_basis(features)
    y_prob, accuracies = linear.cross_validate(basis, y_true, 4, groups, folds, seed=0)
    assert accuracies.shape == (2, 5) and abs(accuracies.mean() - 0.25) < 0.08
    assert np.allclose(y_prob.sum(axis=2), 1, atol=1e-5)
    # Who knows nothing should say so: little worse than a quarter for each class.
    of_truth = y_prob[0, np.arange(400), y_true]
    assert -np.log(of_truth).mean() < np.log(4) + 0.05


@pytest.mark.parametrize("n", [300, 3000])
def test_held_out_answers_can_be_taken_at_their_word(n, monkeypatch):
    monkeypatch.setattr(linear, "ENOUGH", 700)  # 3,000 rows are many
    features, y_true = draw_features(n, 40)
    groups = np.arange(n)
    folds = deal_folds(y_true, groups, 5, seed=0)[:, np.newaxis]
    basis = linear.find_basis(features)
    y_prob, _ = linear.cross_validate(basis, y_true, 4, groups, folds, seed=0)
    right = y_prob[0].argmax(axis=1) == y_true
    assert abs(y_prob[0].max(axis=1).mean() - right.mean()) < 0.06


def test_a_label_has_no_say_in_the_answer_to_its_own_picture():
    features, y_true = draw_features(120, 20)
    groups = np.arange(120)
    folds = deal_folds(y_true, groups, 5, seed=0)[:, np.newaxis]
    basis = linear.find_basis(features)
    before, _ = linear.cross_validate(basis, y_true, 4, groups, folds, seed=0)
    held, changed = np.flatnonzero(folds[:, 0] == 2), y_true.copy()
    changed[held] = (changed[held] + 1) % 4
    after, _ = linear.cross_validate(basis, changed, 4, groups, folds, seed=0)
    assert np.allclose(before[0, held], after[0, held], atol=1e-6)
    assert not np.allclose(before, after, atol=1e-3)


def test_folds_keep_groups_together_and_classes_even():
    y_true = np.repeat([0, 1, 2], [100, 50, 25])
    groups = np.arange(175)
    groups[:20] = groups[0]
    groups[100:110] = groups[100]
    fold = deal_folds(y_true, groups, 5, seed=3)
    assert len(set(fold[:20])) == 1 and len(set(fold[100:110])) == 1
    for label, most in ((0, 36), (1, 18), (2, 5)):
        counts = np.bincount(fold[y_true == label], minlength=5)
        assert counts.max() <= most and counts.min() >= 5
    assert np.array_equal(fold, deal_folds(y_true, groups, 5, seed=3))
    assert not np.array_equal(fold, deal_folds(y_true, groups, 5, seed=4))


def test_few_mistakes_are_no_reason_to_be_sure():
    """Nothing bounds the temperature of answers that are all right."""
    features, y_true = draw_features(48, 30, num_classes=3, spread=0.5)
    folds = deal_folds(y_true, np.arange(48), 5, seed=0)[:, np.newaxis]
    basis = linear.find_basis(features)
    _, accuracies = linear.cross_validate(basis, y_true, 3, np.arange(48), folds, seed=0)
    _, temperature, _ = linear.choose_penalty(
        basis, y_true, 3, np.arange(48), np.arange(48), seed=0
    )
    assert accuracies.mean() > 0.9 and temperature == 1


def test_too_few_groups_are_an_error():
    with pytest.raises(ValueError, match="12 pictures are 3 groups.*5 folds"):
        deal_folds(np.arange(12) % 2, np.arange(12) % 3, 5, seed=0)


def test_a_class_of_few_pictures_is_judged_too():
    features, y_true = draw_features(60, 10)
    y_true[:] = np.arange(60) % 2
    y_true[:4] = 2
    folds = deal_folds(y_true, np.arange(60), 5, seed=0)[:, np.newaxis]
    basis = linear.find_basis(features)
    y_prob, _ = linear.cross_validate(basis, y_true, 3, np.arange(60), folds, seed=0)
    assert np.isfinite(y_prob).all() and y_prob.shape == (1, 60, 3)
