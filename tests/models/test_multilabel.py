"""One logistic regression a label: beside scikit-learn's; its thresholds."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from test_notebooks import list_code

from lib.models import linear, multilabel


def draw_task(n, labels=6, seed=0):
    """Draw correlated features of various scales, and labels from 0.04 to 0.4 that hang on them."""
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(n, 24)) @ rng.normal(size=(24, 48))) * rng.uniform(0.1, 9, 48) + 3
    logits = StandardScaler().fit_transform(features) @ rng.normal(size=(48, labels)) / 3
    logits += rng.logistic(size=logits.shape)
    limits = np.quantile(logits, 1 - np.linspace(0.04, 0.4, labels), axis=0)
    return features.astype(np.float32), logits > np.diag(limits)


@pytest.fixture(scope="module")
def task():
    features, y_true = draw_task(1200)
    learned = slice(0, 600)
    fitted = multilabel.fit_labels(features[learned], y_true[learned], np.arange(600), seed=0)
    return features, y_true, *fitted


def test_answers_are_those_of_one_against_the_rest_with_the_same_C(task):
    features, y_true, classifier, _ = task
    scaler = StandardScaler().fit(features[:600])
    rows, others = map(scaler.transform, (features[:600], features[600:]))
    own, theirs = classifier.answer(features[600:]), np.zeros((600, 6))
    for C in set(classifier.C.tolist()):
        rest = OneVsRestClassifier(LogisticRegression(C=C, max_iter=2000)).fit(rows, y_true[:600])
        has_it = classifier.C == np.float32(C)
        theirs[:, has_it] = rest.predict_proba(others)[:, has_it]
    score = metrics.average_precision_score
    assert abs(score(y_true[600:], own) - score(y_true[600:], theirs)) < 0.002
    assert abs(own - theirs).max() < 0.03


def test_held_out_answers_are_not_flattered_and_C_suits_each_label(task):
    features, y_true, classifier, held_out = task
    score = metrics.average_precision_score
    new = score(y_true[600:], classifier.answer(features[600:]))
    learned = score(y_true[:600], classifier.answer(features[:600]))
    held = score(y_true[:600], held_out)
    assert held < learned and abs(held - new) < 0.08
    assert set(classifier.C * 48) <= set(np.float32(linear.STRENGTHS) / 48 * 48)


def test_label_that_nearly_every_row_or_hardly_any_shows_is_learned_too():
    features, y_true = draw_task(90)
    y_true[:, 0], y_true[:, 1] = True, False
    y_true[0, 0], y_true[0, 1] = False, True
    classifier, held_out = multilabel.fit_labels(features, y_true, np.arange(90), 0)
    answers = classifier.answer(features)
    assert np.isfinite(answers).all() and np.isfinite(held_out).all()
    assert answers[:, 0].mean() > 0.9 and answers[:, 1].mean() < 0.1


def test_thresholds_lose_little_against_the_best_on_other_pictures(task):
    features, y_true = draw_task(9000)
    classifier, held_out = multilabel.fit_labels(features[:3000], y_true[:3000], np.arange(3000), 0)
    (source,) = (c.source for c in list_code("11_multi_label") if "recall_curve" in c.source)

    def choose(truth, scores):
        space = {"learned": truth, "held_out": scores, "y_prob": scores}
        names = [*map(str, range(truth.shape[1]))]
        space |= {"y_true": pd.DataFrame(truth, columns=names), "np": np, "pd": pd}
        exec(source, space | {"metrics": metrics}, space)
        return space["thresholds"]

    truth, y_prob = y_true[3000:], classifier.answer(features[3000:])
    ours, best = choose(y_true[:3000], held_out), choose(truth, y_prob)
    f1 = [metrics.f1_score(truth, y_prob >= limits, average="macro") for limits in (ours, best)]
    assert f1[1] - 0.02 < f1[0] <= f1[1]
    assert metrics.f1_score(truth, y_prob >= 0.5, average="macro") < f1[0]
