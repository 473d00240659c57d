"""Scores, how far probabilities can be taken at their word, and answers of groups."""

import json

import numpy as np
import pytest
import simulations
from scipy.special import softmax
from sklearn import metrics as sklearn

from lib.evaluation import group_answers, metrics
from lib.evaluation.intervals import wilson_interval
from lib.models.record import Record
from lib.models.temperature import fit_temperature

CLASSES = ["bird", "frog", "newt", "shell"]


def judge(y_true, y_prob, groups=None, **facts):
    """Score a model of the first of four classes, of which a record has further facts."""
    record = Record("cnn", CLASSES[: y_prob.shape[1]], 8, **facts)
    if groups is None:
        groups = np.arange(len(y_true))
    return metrics.evaluate(y_true, y_prob, record, groups)


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, 203, p=[0.5, 0.2, 0.2, 0.1])
    y_prob = rng.dirichlet(np.ones(4), 203)
    y_pred = y_prob.argmax(axis=1)
    distances = (y_prob - np.eye(4)[y_true]) ** 2
    expected = {
        "label": "cnn",
        "n": 203,
        "top1": sklearn.accuracy_score(y_true, y_pred),
        "top3": sklearn.top_k_accuracy_score(y_true, y_prob, k=3),
        "average_per_class": sklearn.balanced_accuracy_score(y_true, y_pred),
        "macro_f1": sklearn.f1_score(y_true, y_pred, average="macro"),
        "nll": sklearn.log_loss(y_true, y_prob),
        "brier": distances.sum() / 203,
        "roc_auc": sklearn.roc_auc_score(y_true, y_prob, multi_class="ovr"),
        "confidence": y_prob.max(axis=1).mean(),
        "majority_class": "bird",
        "baseline": np.mean(y_true == 0),
    }
    of_classes = sklearn.precision_recall_fscore_support(y_true, y_pred)

    score = judge(y_true, y_prob)

    found = {name: getattr(score, name) for name in expected}
    assert found == pytest.approx(expected)
    for name, values in zip(("precision", "per_class", "f1", "support"), of_classes):
        assert getattr(score, name) == pytest.approx(dict(zip(CLASSES, values)))
    recalls = [score.per_class[name] for name in score.worst_first]
    assert recalls == sorted(recalls)


def test_scores_of_two_pictures_are_valid_json_though_one_is_surely_wrong(recwarn):
    score = judge(np.arange(2), np.float32([[1, 0], [1, 0]])).to_dict()

    assert not recwarn.list
    text = json.dumps(score, allow_nan=False)
    assert json.loads(text) == score


def test_every_interval_is_wilsons_of_as_many_pictures_as_the_groups_are_worth():
    # Ten bursts of 20 and 40 single pictures, of which the last three are mistaken.
    groups = np.repeat(np.arange(50), [20] * 10 + [1] * 40)
    y_true = groups % 2
    y_pred = np.where(groups < 47, y_true, 1 - y_true)
    n = 240**2 / (10 * 20**2 + 40)
    # Half of both are birds, and one of their 120 pictures is mistaken.
    n_of_birds = 120**2 / (5 * 20**2 + 20)

    score = judge(y_true, np.eye(2)[y_pred], groups)

    assert score.effective_n == pytest.approx(n)
    assert score.top1_interval == wilson_interval(237 / 240, n)
    assert score.per_class_interval["bird"] == wilson_interval(119 / 120, n_of_birds)


def test_answer_of_the_right_parent_is_a_mistake_within_it():
    # Ten bursts of two: six are right, three in another class of the same parent.
    groups = np.repeat(np.arange(10), 2)
    y_true = np.repeat([0, 1, 2, 3, 0, 1, 0, 1, 2, 3], 2)
    y_pred = np.repeat([0, 1, 2, 3, 0, 1, 1, 0, 1, 2], 2)
    parents = {"bird": "Vertebrata", "frog": "Vertebrata"}
    parents |= {"newt": "Vertebrata", "Vertebrata": "Animalia"}

    score = judge(y_true, np.eye(4)[y_pred], groups, parents=parents)

    assert score.parents == {
        "accuracy": 0.9,
        "interval": pytest.approx(wilson_interval(0.9, 10)),
        "n": 20,
        "mistakes_within": 6,
    }


def test_calibration_error_equals_the_mean_gap_over_fifteen_bins():
    rng = np.random.default_rng(0)
    confidence = rng.random(203)
    is_right = rng.random(203) < 0.7
    number = np.ceil(15 * confidence).astype(int)
    gaps = np.bincount(number, is_right - confidence)

    found = metrics.expected_calibration_error(confidence, is_right)

    assert found == pytest.approx(np.abs(gaps).sum() / 203)


def draw_labels(logits, rng):
    """Draw labels that have these probabilities."""
    limits = rng.random((len(logits), 1))
    return (softmax(logits, axis=1).cumsum(axis=1) < limits).sum(axis=1)


def draw_answers(n, sure):
    """Return the classes of pictures, and probabilities whose temperature would be `sure`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (n, 4))
    y_true = draw_labels(logits, rng)
    return y_true, softmax(sure * logits, axis=1).astype(np.float32)


def test_temperature_of_an_overconfident_model_is_found_and_heals_it():
    score = judge(*draw_answers(4000, sure=3))

    assert score.temperature == pytest.approx(3, rel=0.1)
    assert score.ece_after < 0.04
    assert score.nll_after < score.nll_before


def test_what_is_believed_is_what_is_handed_over_of_the_half_that_did_not_fit_it():
    y_true, y_prob = draw_answers(4000, sure=1 / 3)
    _, second = metrics.split_halves(y_true, np.arange(4000))

    scaled = judge(y_true, y_prob)
    unscaled = judge(y_true, y_prob, calibrated_on="held-out answers")

    is_right = y_prob.argmax(axis=1) == y_true
    assert scaled.judged_n == 2000
    assert scaled.judged_top1 == is_right[second].mean()
    assert abs(scaled.judged_confidence - scaled.judged_top1) < 0.03
    assert unscaled.temperature == 1
    assert unscaled.ece_after == unscaled.ece_before == scaled.ece_before
    assert unscaled.judged_n == 4000
    assert unscaled.judged_z > 10


@pytest.mark.parametrize(("right", "is_fitted"), [(4, False), (5, True)])
def test_temperature_needs_five_right_answers_and_five_wrong_ones(right, is_fitted):
    y_prob = np.full((60, 2), [0.2, 0.8])
    y_prob[:right] = [0.8, 0.2]

    temperature = fit_temperature(np.zeros(60, int), y_prob)

    assert (temperature != 1) == is_fitted


def test_pictures_of_a_group_stand_in_one_half():
    groups = np.repeat(np.arange(40), 5)

    fitted, judged = metrics.split_halves(groups % 2, groups)

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
    y_true = draw_labels(3 * logits, rng)
    # Some answers are so wrong that a lower temperature makes the truth's share 0 in float32.
    logits[::1000, 0] = 60 * (y_true[::1000] - 0.5)
    logits[::1000, 1] = -logits[::1000, 0]

    score = judge(y_true, softmax(logits, axis=1).astype(np.float32))

    assert score.temperature < 1


def test_pictures_of_few_groups_establish_no_temperature():
    y_true, y_prob = draw_answers(200, sure=3)

    alone = judge(y_true, y_prob)
    bursts = judge(y_true, y_prob, np.arange(200) // 50)

    assert alone.temperature > 2
    assert bursts.temperature == 1
    assert bursts.nll_after == bursts.nll_before


# The odds of the first class are 2, 2 and 1 / 32 in "b": their geometric mean is 1 / 2.
OF_FIRST = np.array([2 / 3, 2 / 3, 1 / 33, 0.7, 0.2])
Y_PROB = np.stack([OF_FIRST, 1 - OF_FIRST], axis=1)
GROUPS = np.array(["b", "b", "b", "a", "c"])


def test_answers_of_groups_stand_beside_those_of_their_own_pictures():
    score = group_answers.score_groups(np.ones(5, int), Y_PROB, GROUPS)

    # One picture of "b" is right, which outvotes the others; "a" is wrong, "c" right.
    by_picture = (1 / 3 + 0 + 1) / 3
    expected = {"groups": 3, "by_group": 2 / 3, "by_picture": by_picture}
    assert score == pytest.approx(expected)


@pytest.mark.parametrize(("groups", "count"), [(GROUPS, 2), (np.arange(5), None)])
def test_a_group_of_two_classes_has_no_truth_and_single_pictures_are_no_groups(
    groups, count
):
    score = judge(np.array([0, 1, 1, 1, 1]), Y_PROB, groups)

    assert score.groups == count
