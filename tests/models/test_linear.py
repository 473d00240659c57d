"""A linear classifier, of classes and of labels: as good as a tuned one, honest about the unseen."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score as score
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.data.split import deal_folds
from lib.models import heads, linear
from lib.models.temperature import apply_temperature


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


def cross_validate(features, y_true, **options):
    """Cross-validate with four classes, and every row a group of its own."""
    return linear.cross_validate(
        features,
        y_true,
        num_classes=4,
        groups=np.arange(len(y_true)),
        seed=0,
        **options,
    )


def measure_accuracy(y_true, y_prob):
    return (y_prob.argmax(axis=-1) == y_true).mean()


def answer_held_out(features, y_true, **options):
    """Return the answers to held-out rows, float (n, 4), of one deal into folds."""
    return cross_validate(features, y_true, **options).y_prob[0]


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

    y_prob = cross_validate(features, y_true, repeats=2).y_prob

    # One of four is right by chance.
    assert measure_accuracy(y_true, y_prob) == pytest.approx(0.25, abs=0.08)
    assert np.allclose(y_prob.sum(axis=2), 1, atol=1e-5)
    # Who knows nothing should say so: little worse than a quarter for each class.
    assert metrics.log_loss(y_true, y_prob[0]) < np.log(4) + 0.05


def test_held_out_answers_are_as_sure_as_they_are_right():
    features, y_true = draw_features(1500, 40)

    y_prob = answer_held_out(features, y_true)

    accuracy = measure_accuracy(y_true, y_prob)
    assert accuracy > 0.5
    assert y_prob.max(axis=1).mean() == pytest.approx(accuracy, abs=0.06)


def test_a_label_has_no_say_in_the_answer_to_its_own_picture(monkeypatch):
    features, y_true = draw_features(120, 20)
    fold = deal_folds(y_true, np.arange(120), 5, 0)
    held = fold == 2
    changed = np.where(held, (y_true + 1) % 4, y_true)
    before = answer_held_out(features, y_true)

    def deal_alike(y_true, groups, folds, seed):
        return fold if folds == 5 else deal_folds(y_true, groups, folds, seed)

    monkeypatch.setattr(linear, "deal_folds", deal_alike)
    after = answer_held_out(features, changed)

    assert np.allclose(before[held], after[held], atol=1e-6)
    assert not np.allclose(before, after, atol=1e-3)


def test_rows_outside_the_mask_are_not_learned_from():
    features, y_true = draw_features(120, 20)
    learned = np.arange(120) % 3 > 0
    mask = learned[np.newaxis]
    before = answer_held_out(features, y_true, train_mask=mask)

    features[~learned] += 5
    after = answer_held_out(features, y_true, train_mask=mask)

    assert np.array_equal(before[learned], after[learned])
    assert not np.allclose(before[~learned], after[~learned])


def test_a_lesson_can_write_the_outer_loop_with_the_strengths_that_were_chosen():
    features, y_true = draw_features(600, 40)
    groups = np.arange(600) // 2
    fold = deal_folds(y_true, groups, folds=5, seed=4)

    found = linear.cross_validate(features, y_true, 4, groups, seed=3, repeats=2)

    assert len(np.unique(found.C)) > 1
    # The second time rows are dealt with the next seed.
    for number in range(5):
        held = fold == number
        regression = LogisticRegression(C=found.C[1, number])
        model = make_pipeline(StandardScaler(), regression)
        model.fit(features[~held], y_true[~held])
        y_prob = model.predict_proba(features[held])
        scaled = apply_temperature(y_prob, found.temperatures[1, number])
        assert np.allclose(found.y_prob[1, held], scaled, atol=1e-4)
        accuracy = measure_accuracy(y_true[held], y_prob)
        assert found.accuracies[1, number] == pytest.approx(accuracy)


def test_few_mistakes_are_no_reason_to_be_sure():
    """Nothing bounds the temperature of answers that are all right."""
    features, y_true = draw_features(48, 30, num_classes=3, spread=0.5)

    classifier, held_out = linear.fit(features, y_true, 3, np.arange(48), seed=0)

    assert measure_accuracy(y_true, held_out) > 0.9
    assert classifier.temperature == 1


def fit(features, y_true, num_classes):
    """Fit with every row a group of its own."""
    groups = np.arange(len(y_true))
    classifier, _ = linear.fit(features, y_true, num_classes, groups, seed=0)
    return classifier


@pytest.mark.parametrize("num_classes", [2, 4])
def test_features_that_vary_by_rounding_alone_get_no_weight(num_classes):
    features, y_true = draw_features(600, 20, num_classes, spread=1)
    flat = np.full((600, 3), 7, np.float32)
    flat[::2, 1] += np.spacing(np.float32(7))
    flat[:, 2] = 0
    wider = np.hstack([features, flat])

    classifier = fit(wider, y_true, num_classes)

    weights, _ = classifier.get_weights()
    assert not weights[-3:].any()
    assert weights[:-3].any(axis=1).all()
    assert measure_accuracy(y_true, classifier.predict_proba(wider)) > 0.6


def test_head_of_a_class_that_no_row_shows_answers_as_the_classifier():
    features, y_true = draw_features(120, 10, num_classes=3)
    y_true[y_true == 1] = 3

    classifier = fit(features, y_true, num_classes=4)

    y_prob = classifier.predict_proba(features)
    assert y_prob.shape == (120, 4)
    assert y_prob[:, 1].max() < 1e-3
    answers = heads.build_head(classifier).predict(features, verbose=0)
    assert np.allclose(answers, y_prob, atol=1e-5)


@pytest.mark.parametrize("one_group", [False, True])
def test_a_class_of_few_pictures_or_of_one_group_is_answered_too(one_group):
    features, _ = draw_features(60, 10)
    y_true = np.arange(60) % 2
    y_true[:4] = 2
    groups = np.arange(60)
    if one_group:
        groups[:4] = 0

    found = linear.cross_validate(features, y_true, 3, groups, seed=0)

    assert found.accuracies.shape == (1, 5)
    assert found.y_prob.shape == (1, 60, 3)
    assert np.allclose(found.y_prob.sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize("fit", [linear.fit, linear.cross_validate])
def test_one_of_two_classes_in_one_group_is_an_error_that_says_so(fit):
    features, y_true = draw_features(60, 10, num_classes=2)
    groups = np.where(y_true == 1, 99, np.arange(60))

    with pytest.raises(ValueError, match="single group"):
        fit(features, y_true, 2, groups, seed=0)


def find_rare(features, y_true, class_weights):
    """Return which share of the rare class 1 is found."""
    groups = np.arange(len(y_true))
    found = linear.cross_validate(
        features, y_true, 2, groups, seed=0, class_weights=class_weights
    )
    y_pred = found.y_prob[0].argmax(axis=1)
    return metrics.recall_score(y_true, y_pred)


def test_balanced_weights_find_more_of_a_rare_class():
    features, y_true = draw_features(2000, 20, num_classes=2, spread=4)
    kept = (y_true == 0) | (np.arange(2000) % 12 == 0)

    plain = find_rare(features[kept], y_true[kept], "none")
    balanced = find_rare(features[kept], y_true[kept], "balanced")

    assert balanced > plain + 0.2


def draw_labels(n, labels=6):
    """Draw features of various scales, and labels from 0.04 to 0.4 that hang on them."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(24, 48))
    units = rng.uniform(0.1, 9, 48)
    features = rng.normal(size=(n, 24)) @ mixing
    features = features * units + 3
    scaled = StandardScaler().fit_transform(features)
    logits = scaled @ rng.normal(size=(48, labels)) / 3
    logits += rng.logistic(size=logits.shape)
    y_true = np.zeros((n, labels), bool)
    for label, share in enumerate(np.linspace(0.04, 0.4, labels)):
        limit = np.quantile(logits[:, label], 1 - share)
        y_true[:, label] = logits[:, label] > limit
    return features.astype(np.float32), y_true


@pytest.fixture(scope="module")
def labelled():
    """Features and labels, of which the first 600 were learned from; the classifier; its answers."""
    features, y_true = draw_labels(3000)
    groups = np.arange(600)
    classifier, held_out = linear.fit_labels(
        features[:600], y_true[:600], groups, seed=0
    )
    return features, y_true, classifier, held_out


def test_labels_are_ranked_as_well_as_by_one_against_the_rest(labelled):
    features, y_true, classifier, _ = labelled
    regression = LogisticRegression(C=1 / 48, max_iter=2000)
    rest = make_pipeline(StandardScaler(), OneVsRestClassifier(regression))
    rest.fit(features[:600], y_true[:600])
    expected = score(y_true[600:], rest.predict_proba(features[600:]))

    found = score(y_true[600:], classifier.predict_proba(features[600:]))

    assert found > expected - 0.01


def test_held_out_answers_to_labels_are_not_flattered(labelled):
    features, y_true, classifier, held_out = labelled
    y_prob = classifier.predict_proba(features)

    held = score(y_true[:600], held_out)

    assert held < score(y_true[:600], y_prob[:600])
    assert held == pytest.approx(score(y_true[600:], y_prob[600:]), abs=0.08)
    strengths = {round(48 * one.C, 6) for one in classifier.classifiers}
    assert strengths <= set(linear.STRENGTHS)


def test_head_for_labels_answers_as_the_classifier(labelled):
    features, _, classifier, _ = labelled

    answers = heads.build_head(classifier).predict(features, verbose=0)

    assert np.allclose(answers, classifier.predict_proba(features), atol=1e-5)
