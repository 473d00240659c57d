"""A linear classifier, of classes and of labels: as good as a tuned one, honest about the unseen."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_notebooks import list_code

from lib.data.split import deal_folds
from lib.models import heads, linear
from lib.models.temperature import apply_temperature


def draw_features(n, d, num_classes=4, spread=2.0, seed=0):
    """Draw features of overlapping classes, none of them negative, in unequal units."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, num_classes, n)
    means = rng.normal(0, 1, (num_classes, d)) * (rng.random(d) < 0.3)
    features = np.maximum(means[y_true] + rng.normal(0, spread, (n, d)), 0) * rng.gamma(
        2, 1, d
    )
    return features.astype(np.float32), y_true


def answer(features, y_true, num_classes=4, repeats=1):
    groups = np.arange(len(y_true))
    return linear.cross_validate(
        features, y_true, num_classes, groups, 0, 5, repeats
    ).y_prob


def test_accuracy_is_that_of_a_tuned_logistic_regression():
    features, y_true = draw_features(900, 60)
    y_prob, theirs, fold = (
        answer(features, y_true),
        [],
        deal_folds(y_true, np.arange(900), 5, 0),
    )
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


def test_held_out_answers_can_be_taken_at_their_word():
    features, y_true = draw_features(1500, 40)
    y_prob = answer(features, y_true)
    right = y_prob[0].argmax(axis=1) == y_true
    assert (
        right.mean() > 0.5 and abs(y_prob[0].max(axis=1).mean() - right.mean()) < 0.06
    )


def test_a_label_has_no_say_in_the_answer_to_its_own_picture(monkeypatch):
    features, y_true = draw_features(120, 20)
    before, fold = answer(features, y_true), deal_folds(y_true, np.arange(120), 5, 0)
    held, changed = fold == 2, y_true.copy()
    changed[held] = (changed[held] + 1) % 4

    def deal_alike(y_true, groups, folds, seed):
        return fold if folds == 5 else deal_folds(y_true, groups, folds, seed)

    monkeypatch.setattr(linear, "deal_folds", deal_alike)
    after = answer(features, changed)
    assert np.allclose(before[0, held], after[0, held], atol=1e-6)
    assert not np.allclose(before, after, atol=1e-3)


def test_rows_outside_the_mask_are_not_learned_from():
    features, y_true = draw_features(120, 20)
    groups = np.arange(120)
    mask = np.ones((1, 120), bool)
    mask[0, ::3] = False
    task = {"y_true": y_true, "num_classes": 4, "groups": groups, "seed": 0}
    before = linear.cross_validate(features, train_mask=mask, **task)
    features[::3] += 5
    after = linear.cross_validate(features, train_mask=mask, **task)
    learned = mask[0]
    assert np.array_equal(before.y_prob[0, learned], after.y_prob[0, learned])
    assert not np.allclose(before.y_prob[0, ~learned], after.y_prob[0, ~learned])


def test_a_mask_that_leaves_too_few_groups_is_an_error():
    features, y_true = draw_features(60, 10)
    groups = np.arange(60) // 2
    mask = np.zeros((1, 60), bool)
    mask[0, :4] = True
    with pytest.raises(ValueError, match="2 groups"):
        linear.cross_validate(features, y_true, 4, groups, 0, train_mask=mask)


def test_few_mistakes_are_no_reason_to_be_sure():
    """Nothing bounds the temperature of answers that are all right."""
    features, y_true = draw_features(48, 30, num_classes=3, spread=0.5)
    y_prob = answer(features, y_true, 3)
    assert (y_prob[0].argmax(axis=1) == y_true).mean() > 0.9
    assert linear.fit(features, y_true, 3, np.arange(48), 0)[0].temperature == 1


def test_a_lesson_can_write_the_outer_loop_with_the_strengths_that_were_chosen():
    features, y_true = draw_features(600, 40)
    groups = np.arange(600) // 2
    held_out = linear.cross_validate(features, y_true, 4, groups, seed=3, repeats=2)
    assert len(np.unique(held_out.C)) > 1
    for repeat in range(2):
        fold = deal_folds(y_true, groups, folds=5, seed=3 + repeat)
        for train, held in PredefinedSplit(fold).split():
            number = fold[held[0]]
            model = make_pipeline(
                StandardScaler(), LogisticRegression(C=held_out.C[repeat, number])
            )
            model.fit(features[train], y_true[train])
            y_prob = apply_temperature(
                model.predict_proba(features[held]),
                held_out.temperatures[repeat, number],
            )
            found = held_out.y_prob[repeat, held]
            assert np.allclose(found, y_prob, atol=1e-4)
            accuracy = (found.argmax(axis=1) == y_true[held]).mean()
            assert held_out.accuracies[repeat, number] == pytest.approx(accuracy)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_features_that_vary_by_rounding_alone_count_neither_here_nor_in_the_saved_head(
    num_classes,
):
    features, y_true = draw_features(600, 20, num_classes, spread=1)
    alone, _ = linear.fit(features, y_true, num_classes, np.arange(600), 0)
    flat = np.full((600, 3), 7, np.float32)
    flat[:, 1] += np.random.default_rng(0).integers(0, 2, 600) * np.spacing(
        np.float32(7)
    )
    flat[:, 2] = 0
    wider = np.hstack([features, flat])
    with_flat, _ = linear.fit(wider, y_true, num_classes, np.arange(600), 0)
    weights, _ = heads.fold_scaling(with_flat)
    assert not weights[-3:].any() and weights[:-3].any(axis=1).all()
    expected = with_flat.predict_proba(wider)
    right = [
        (one.argmax(axis=1) == y_true).mean()
        for one in (expected, alone.predict_proba(features))
    ]
    assert right[0] > 0.6 and right[0] == pytest.approx(right[1], abs=0.02)
    # Elsewhere they may be rounded otherwise.
    flat[:, 1] = np.float32(7) - np.spacing(np.float32(7))
    again = heads.build_head(with_flat).predict(np.hstack([features, flat]), verbose=0)
    assert np.allclose(again, expected, atol=1e-4)


@pytest.mark.parametrize(
    "groups", [np.arange(60), np.r_[[0, 0, 0, 0], np.arange(4, 60)]]
)
def test_a_class_of_few_pictures_or_of_one_group_is_answered_too(groups):
    features, y_true = draw_features(60, 10)
    y_true[:] = np.arange(60) % 2
    y_true[:4] = 2
    held_out = linear.cross_validate(features, y_true, 3, groups, seed=0)
    y_prob, accuracies = held_out.y_prob, held_out.accuracies
    assert accuracies.shape == (1, 5) and accuracies.min() >= 0
    assert y_prob.shape == (1, 60, 3) and np.allclose(y_prob.sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize("fit", [linear.fit, linear.cross_validate])
def test_one_of_two_classes_in_one_group_is_an_error_that_says_so(fit):
    features, y_true = draw_features(60, 10, num_classes=2)
    groups = np.where(y_true == 1, 99, np.arange(60))
    with pytest.raises(
        ValueError, match="One of two classes is a single group of pictures"
    ):
        fit(features, y_true, 2, groups, 0)


def test_balanced_weights_find_more_of_a_rare_class():
    features, y_true = draw_features(2000, 20, num_classes=2, spread=4)
    few = np.flatnonzero((y_true == 0) | (np.arange(2000) % 12 == 0))
    task = features[few], y_true[few], 2, np.arange(len(few)), 0
    recalls = []
    for class_weights in ("none", "balanced"):
        y_prob = linear.cross_validate(*task, class_weights=class_weights).y_prob
        recalls.append((y_prob[0].argmax(axis=1) == 1)[y_true[few] == 1].mean())
    assert recalls[1] > recalls[0] + 0.2


def draw_task(n, labels=6, seed=0):
    """Draw correlated features of various scales, and labels from 0.04 to 0.4 that hang on them."""
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(n, 24)) @ rng.normal(size=(24, 48))) * rng.uniform(
        0.1, 9, 48
    ) + 3
    logits = (
        StandardScaler().fit_transform(features) @ rng.normal(size=(48, labels)) / 3
    )
    logits += rng.logistic(size=logits.shape)
    limits = np.quantile(logits, 1 - np.linspace(0.04, 0.4, labels), axis=0)
    return features.astype(np.float32), logits > np.diag(limits)


@pytest.fixture(scope="module")
def task():
    features, y_true = draw_task(1200)
    learned = slice(0, 600)
    fitted = linear.fit_labels(
        features[learned], y_true[learned], np.arange(600), seed=0
    )
    return features, y_true, *fitted


def test_answers_rank_as_well_as_those_of_one_against_the_rest(task):
    features, y_true, classifier, _ = task
    scaler = StandardScaler().fit(features[:600])
    rows, others = map(scaler.transform, (features[:600], features[600:]))
    rest = OneVsRestClassifier(LogisticRegression(C=1 / 48, max_iter=2000)).fit(
        rows, y_true[:600]
    )
    score = metrics.average_precision_score
    own, theirs = classifier.predict_proba(features[600:]), rest.predict_proba(others)
    assert score(y_true[600:], own) > score(y_true[600:], theirs) - 0.01


def test_held_out_answers_are_not_flattered_and_C_suits_each_label(task):
    features, y_true, classifier, held_out = task
    score = metrics.average_precision_score
    new = score(y_true[600:], classifier.predict_proba(features[600:]))
    learned = score(y_true[:600], classifier.predict_proba(features[:600]))
    held = score(y_true[:600], held_out)
    assert held < learned and abs(held - new) < 0.08
    assert {round(C * 48, 6) for C in classifier.C} <= set(linear.STRENGTHS)


def test_thresholds_lose_little_against_the_best_on_other_pictures(task):
    features, y_true = draw_task(9000)
    classifier, held_out = linear.fit_labels(
        features[:3000], y_true[:3000], np.arange(3000), 0
    )
    (source,) = (
        c.source for c in list_code("11_multi_label") if "thresholds = " in c.source
    )

    def choose(truth, scores):
        space = {"learned": truth, "held_out": scores, "y_prob": scores}
        names = [*map(str, range(truth.shape[1]))]
        space |= {"y_true": pd.DataFrame(truth, columns=names), "np": np, "pd": pd}
        exec(source, space | {"metrics": metrics}, space)
        return space["thresholds"]

    truth, y_prob = y_true[3000:], classifier.predict_proba(features[3000:])
    ours, best = choose(y_true[:3000], held_out), choose(truth, y_prob)
    f1 = [
        metrics.f1_score(truth, y_prob >= limits, average="macro")
        for limits in (ours, best)
    ]
    assert f1[1] - 0.02 < f1[0] <= f1[1]
    assert metrics.f1_score(truth, y_prob >= 0.5, average="macro") < f1[0]
