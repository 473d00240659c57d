"""Scores, how far probabilities can be taken at their word, and answers of groups."""

import json

import numpy as np
import pytest
import simulations
from scipy.special import softmax
from sklearn import metrics as sklearn

from lib.evaluation import group_answers, metrics
from lib.evaluation.intervals import wilson_interval
from lib.models.temperature import fit_temperature

CLASSES = ["bird", "frog", "newt", "shell"]


@pytest.fixture
def drawn():
    """The classes of 203 pictures, and probabilities that know nothing of them."""
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1])
    y_prob = rng.dirichlet(np.ones(4), 203)
    return y_true, y_prob


def test_scores_equal_those_of_scikit_learn(drawn):
    y_true, y_prob = drawn
    y_pred = y_prob.argmax(axis=1)
    is_class = np.eye(4)[y_true]
    distances = (y_prob - is_class) ** 2
    expected = {
        "n": 203,
        "top1": sklearn.accuracy_score(y_true, y_pred),
        "top3": sklearn.top_k_accuracy_score(y_true, y_prob, k=3),
        "average_per_class": sklearn.balanced_accuracy_score(y_true, y_pred),
        "macro_f1": sklearn.f1_score(y_true, y_pred, average="macro"),
        "nll": sklearn.log_loss(y_true, y_prob),
        "brier": distances.sum() / 203,
        "roc_auc": sklearn.roc_auc_score(y_true, y_prob, multi_class="ovr"),
        "majority_class": "bird",
        "baseline": np.mean(y_true == 0),
    }

    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))

    found = {name: score[name] for name in expected}
    assert found == pytest.approx(expected)


def test_scores_of_classes_equal_those_of_scikit_learn(drawn):
    y_true, y_prob = drawn
    y_pred = y_prob.argmax(axis=1)
    expected = sklearn.precision_recall_fscore_support(y_true, y_pred)

    score = metrics.evaluate(y_true, y_prob, CLASSES, np.arange(203))

    for name, values in zip(("precision", "per_class", "f1", "support"), expected):
        by_class = dict(zip(CLASSES, values))
        assert score[name] == pytest.approx(by_class)


def test_scores_of_two_pictures_are_valid_json_though_one_is_surely_wrong(recwarn):
    y_prob = np.float32([[1, 0], [1, 0]])
    every = np.arange(2)

    score = metrics.evaluate(every, y_prob, "ab", every)

    assert not recwarn.list
    text = json.dumps(score, allow_nan=False)
    assert json.loads(text) == score


def test_every_interval_is_wilsons_of_as_many_pictures_as_the_groups_are_worth():
    # Ten bursts of 20 and 40 single pictures, of which the last three are mistaken.
    sizes = [20] * 10 + [1] * 40
    groups = np.repeat(np.arange(50), sizes)
    y_true = groups % 2
    y_pred = np.where(groups < 47, y_true, 1 - y_true)
    n = 240**2 / (10 * 20**2 + 40)
    # Half of both are of the class "a", and one of its 120 pictures is mistaken.
    n_of_a = 120**2 / (5 * 20**2 + 20)

    score = metrics.evaluate(y_true, np.eye(2)[y_pred], "ab", groups)

    assert score["effective_n"] == pytest.approx(n)
    assert score["top1_interval"] == wilson_interval(237 / 240, n)
    assert score["per_class_interval"]["a"] == wilson_interval(119 / 120, n_of_a)


def test_calibration_error_equals_the_mean_gap_over_fifteen_bins(drawn):
    y_true, y_prob = drawn
    confidence = y_prob.max(axis=1)
    is_right = y_prob.argmax(axis=1) == y_true
    number = np.ceil(15 * confidence).astype(int)
    gaps = np.bincount(number, is_right - confidence)

    found = metrics.measure_calibration(y_true, y_prob)

    assert found["ece"] == pytest.approx(np.abs(gaps).sum() / 203)
    assert found["confidence"] == pytest.approx(confidence.mean())


def test_a_bin_is_known_as_well_as_its_groups_allow():
    # Three of four are right at 0.9, in two groups; the last is right at 0.6.
    y_prob = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]])
    y_true = np.array([0, 0, 0, 1, 0])
    groups = np.array([0, 0, 1, 1, 2])

    table = metrics.reliability_table(y_true, y_prob, groups)

    assert table.confidence.tolist() == pytest.approx([0.6, 0.9])
    assert table.accuracy.tolist() == [1, 0.75]
    assert table.pictures.tolist() == [1, 4]
    bounds = table[["low", "high"]].to_numpy()
    assert bounds[1].tolist() == wilson_interval(0.75, 2)


def draw_labels(y_prob, rng):
    """Draw labels that have these probabilities."""
    limits = rng.random((len(y_prob), 1))
    return (y_prob.cumsum(axis=1) < limits).sum(axis=1)


def test_temperature_of_an_overconfident_model_is_found_and_heals_it():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 5))
    y_true = draw_labels(softmax(logits, axis=1), rng)
    y_prob = softmax(logits * 3, axis=1).astype(np.float32)

    judged = metrics.judge_temperature(y_true, y_prob, np.arange(4000))

    assert judged["temperature"] == pytest.approx(3, rel=0.1)
    assert judged["ece_after"] < 0.04
    assert judged["nll_after"] < judged["nll_before"]


def test_what_is_believed_is_what_is_handed_over_of_the_half_that_did_not_fit_it():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 5))
    y_true = draw_labels(softmax(logits, axis=1), rng)
    y_prob = softmax(logits / 3, axis=1)
    groups = np.arange(4000)
    _, second = metrics.split_halves(y_true, groups)

    scaled = metrics.judge_temperature(y_true, y_prob, groups)
    unscaled = metrics.judge_temperature(y_true, y_prob, groups, is_calibrated=True)

    is_right = y_prob.argmax(axis=1) == y_true
    assert scaled["judged_n"] == 2000
    assert scaled["judged_top1"] == is_right[second].mean()
    assert abs(scaled["judged_confidence"] - scaled["judged_top1"]) < 0.03
    assert unscaled["temperature"] == 1
    assert unscaled["judged_n"] == 4000
    assert unscaled["judged_z"] > 10


@pytest.mark.parametrize(("right", "is_fitted"), [(4, False), (5, True)])
def test_temperature_needs_five_right_answers_and_five_wrong_ones(right, is_fitted):
    y_prob = np.full((60, 2), [0.2, 0.8])
    y_prob[:right] = [0.8, 0.2]

    temperature = fit_temperature(np.zeros(60, int), y_prob)

    assert (temperature != 1) == is_fitted


def test_pictures_of_a_group_stand_in_one_half():
    groups = np.repeat(np.arange(40), 5)
    y_true = groups % 2

    fitted, judged = metrics.split_halves(y_true, groups)

    assert np.bincount(y_true[fitted]).tolist() == [50, 50]
    assert np.array_equal(judged, ~fitted)
    assert not set(groups[fitted]) & set(groups[judged])


def test_a_temperature_is_rarely_fitted_to_a_model_that_is_as_sure_as_right():
    assert simulations.fit_temperatures(1.0, 80, 100) <= 0.1


@pytest.mark.parametrize(("temperature", "n", "burst"), [(1.3, 240, 1), (2, 1000, 8)])
def test_a_temperature_that_would_help_is_fitted(temperature, n, burst):
    assert simulations.fit_temperatures(temperature, n, 40, burst) >= 0.4


def test_a_temperature_is_fitted_though_it_rounds_a_probability_to_0():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 2))
    y_true = draw_labels(softmax(3 * logits, axis=1), rng)
    # Some answers are so wrong that a lower temperature makes the truth's share 0 in float32.
    logits[::1000, 0] = 60 * (y_true[::1000] - 0.5)
    logits[::1000, 1] = -logits[::1000, 0]
    y_prob = softmax(logits, axis=1).astype(np.float32)

    judged = metrics.judge_temperature(y_true, y_prob, np.arange(4000))

    assert judged["temperature"] < 1


def test_pictures_of_few_groups_establish_no_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (200, 3))
    y_true = draw_labels(softmax(logits, axis=1), rng)
    y_prob = softmax(3 * logits, axis=1)
    single = np.arange(200)

    alone = metrics.judge_temperature(y_true, y_prob, single)
    bursts = metrics.judge_temperature(y_true, y_prob, single // 50)

    assert alone["temperature"] > 2
    assert bursts["temperature"] == 1
    assert bursts["nll_after"] == bursts["nll_before"]
    assert bursts["ece_after"] == bursts["ece_before"]


# The odds of the first class are 2, 2 and 1 / 32 in "b": their geometric mean is 1 / 2.
OF_FIRST = np.array([2 / 3, 2 / 3, 1 / 33, 0.7, 0.2])
Y_PROB = np.stack([OF_FIRST, 1 - OF_FIRST], axis=1)
GROUPS = np.array(["b", "b", "b", "a", "c"])


def test_group_answers_by_the_mean_of_logarithms():
    pooled = group_answers.pool_groups(Y_PROB, GROUPS)

    assert pooled[:, 0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.7, 0.2])


def test_answers_of_groups_stand_beside_those_of_their_own_pictures():
    y_true = np.ones(5, int)

    score = group_answers.score_groups(y_true, Y_PROB, GROUPS)

    # One picture of "b" is right, which outvotes the others; "a" is wrong, "c" right.
    by_picture = (1 / 3 + 0 + 1) / 3
    expected = {"groups": 3, "by_group": 2 / 3, "by_picture": by_picture}
    assert score == pytest.approx(expected)


def test_a_group_of_two_classes_has_no_truth():
    y_true = np.array([0, 1, 1, 1, 1])

    score = group_answers.score_groups(y_true, Y_PROB, GROUPS)

    assert score["groups"] == 2


def test_of_single_pictures_no_groups_are_scored():
    y_true = np.ones(5, int)

    assert group_answers.score_groups(y_true, Y_PROB, np.arange(5)) == {}
