"""A linear classifier, of classes and of labels: as good as a tuned one, honest about the unseen."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.data.split import deal_folds
from lib.models import linear, parts


def draw_features(n, d, num_classes=4, spread=2.0):
    """Draw features of overlapping classes, none of them negative, in unequal units."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, num_classes, n)
    means = rng.normal(0, 1, (num_classes, d))
    means *= rng.random(d) < 0.3
    features = means[y_true] + rng.normal(0, spread, (n, d))
    units = rng.gamma(2, 1, d)
    features = np.maximum(features, 0) * units
    return features.astype(np.float32), y_true


def answer_held_out(features, y_true, groups=None):
    """Answer rows held out in five folds, every row a group of its own unless groups are given."""
    if groups is None:
        groups = np.arange(len(y_true))
    return cross_val_predict(
        linear.TunedLogistic(),
        features,
        y_true,
        cv=PredefinedSplit(deal_folds(y_true, groups, 5, seed=0)),
        params={"groups": groups},
        method="predict_proba",
    )


def fit(features, y_true):
    """Fit with every row a group of its own."""
    return linear.TunedLogistic().fit(features, y_true, np.arange(len(y_true)))


def measure_accuracy(y_true, y_prob):
    return (y_prob.argmax(axis=-1) == y_true).mean()


def test_accuracy_is_that_of_a_tuned_logistic_regression():
    features, y_true = draw_features(600, 40)
    fold = deal_folds(y_true, np.arange(600), folds=5, seed=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=3)
    scores = cross_val_score(search, features, y_true, cv=PredefinedSplit(fold))

    y_prob = answer_held_out(features, y_true)

    accuracy = measure_accuracy(y_true, y_prob)
    assert accuracy > 0.55
    assert accuracy == pytest.approx(scores.mean(), abs=0.02)


def test_labels_without_meaning_are_answered_no_better_than_by_guessing():
    features, y_true = draw_features(400, 300)
    y_true = np.random.default_rng(1).permutation(y_true)

    y_prob = answer_held_out(features, y_true)

    # One of four is right by chance.
    assert measure_accuracy(y_true, y_prob) == pytest.approx(0.25, abs=0.08)
    # Who knows nothing should say so: little worse than a quarter for each class.
    assert metrics.log_loss(y_true, y_prob) < np.log(4) + 0.05


def test_held_out_answers_are_as_sure_as_they_are_right():
    features, y_true = draw_features(1500, 40)

    y_prob = answer_held_out(features, y_true)

    accuracy = measure_accuracy(y_true, y_prob)
    assert y_prob.max(axis=1).mean() == pytest.approx(accuracy, abs=0.06)


def test_rows_of_a_group_are_held_out_together_where_C_is_chosen():
    """A label that only memory can tell is remembered where copies are divided."""
    features, _ = draw_features(60, 200)
    y_true = np.random.default_rng(1).integers(0, 2, 60)
    copies = np.repeat(features, 3, axis=0)
    labels = np.repeat(y_true, 3)

    divided = linear.TunedLogistic().fit(copies, labels, np.arange(180))
    together = linear.TunedLogistic().fit(copies, labels, np.arange(180) // 3)

    assert measure_accuracy(labels, divided.held_out_) > 0.8
    assert measure_accuracy(labels, together.held_out_) < 0.7


def test_few_mistakes_are_no_reason_to_be_sure():
    """Nothing bounds the temperature of answers that are all right."""
    features, y_true = draw_features(48, 30, num_classes=3, spread=0.5)

    fitted = fit(features, y_true)

    assert measure_accuracy(y_true, fitted.held_out_) > 0.9
    assert fitted.temperature_ == 1


def test_a_feature_that_training_hardly_showed_decides_no_new_picture():
    features, y_true = draw_features(600, 20)
    rare = np.zeros((600, 1), np.float32)
    rare[0] = 0.002
    fitted = fit(np.hstack([features, rare]), y_true)
    usual = np.hstack([features, np.zeros_like(rare)])
    unusual = np.hstack([features, np.ones_like(rare)])

    before = fitted.predict_proba(usual)
    after = fitted.predict_proba(unusual)

    assert np.abs(before - after).max() < 0.5


@pytest.mark.parametrize("num_classes", [2, 4])
def test_head_answers_as_the_classifier(num_classes):
    features, y_true = draw_features(600, 10, num_classes)

    fitted = fit(features, y_true)

    answers = parts.build_head(fitted).predict(features, verbose=0)
    assert fitted.temperature_ != 1
    assert answers.shape == (600, num_classes)
    assert np.allclose(answers, fitted.predict_proba(features), atol=1e-5)


@pytest.mark.parametrize("one_group", [False, True])
def test_a_class_of_few_pictures_or_of_one_group_is_answered_too(one_group):
    features, _ = draw_features(60, 10)
    y_true = np.arange(60) % 2
    y_true[:4] = 2
    groups = np.arange(60)
    if one_group:
        groups[:4] = 0

    y_prob = answer_held_out(features, y_true, groups=groups)

    assert y_prob.shape == (60, 3)
    assert np.allclose(y_prob.sum(axis=1), 1, atol=1e-5)
    # The fold of its only group is answered without it.
    assert (y_prob[:4, 2] == 0).all() == one_group


def test_one_of_two_classes_in_one_group_is_an_error_that_says_so():
    features, y_true = draw_features(60, 10, num_classes=2)
    groups = np.where(y_true == 1, 99, np.arange(60))

    with pytest.raises(ValueError, match="single group"):
        linear.TunedLogistic().fit(features, y_true, groups)


def test_classifier_that_is_kept_has_the_chosen_c():
    features, y_true = draw_features(200, 30)

    classifier = fit(features, y_true)

    scaler, regression = classifier.pipeline_
    plain = LogisticRegression(C=classifier.C_, max_iter=1000)
    plain.fit(scaler.transform(features), y_true)
    assert classifier.C_ != 1.0
    assert np.allclose(regression.coef_, plain.coef_, atol=0.01)


def test_features_that_are_the_same_for_all_pictures_are_an_error_that_says_so():
    features = np.ones((40, 5), np.float32)

    with pytest.raises(ValueError, match="features of all pictures are the same"):
        fit(features, np.arange(40) % 2)
