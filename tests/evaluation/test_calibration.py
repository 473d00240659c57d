"""How far probabilities can be taken at their word, and the temperature that heals them."""

import numpy as np
import pytest
from scipy.special import softmax

from lib.evaluation import metrics
from lib.evaluation.intervals import wilson_interval


def test_calibration_error_equals_the_mean_gap_over_fifteen_bins():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 4, 203)
    y_prob = rng.dirichlet(np.ones(4), 203)
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
    assert judged["ece_before"] > 0.15
    assert judged["ece_after"] < 0.04
    assert judged["nll_after"] < judged["nll_before"]


def test_probabilities_that_float32_rounded_to_0_and_1_have_a_finite_loss():
    y_prob = np.eye(2)[[0, 1, 0]]

    judged = metrics.judge_temperature(np.array([0, 1, 1]), y_prob, np.arange(3))

    values = list(judged.values())
    assert np.isfinite(values).all()


@pytest.mark.parametrize("right", [2, 58])
def test_answers_nearly_all_alike_fit_no_temperature(right):
    y_prob = np.full((60, 2), [0.2, 0.8])
    y_prob[:right] = [0.8, 0.2]

    judged = metrics.judge_temperature(np.zeros(60, int), y_prob, np.arange(60))

    assert judged["temperature"] == 1


def test_pictures_of_a_group_stand_in_one_half():
    groups = np.repeat(np.arange(40), 5)
    y_true = groups % 2

    fitted, judged = metrics.split_halves(y_true, groups)

    assert np.bincount(y_true[fitted]).tolist() == [50, 50]
    assert np.array_equal(judged, ~fitted)
    assert not set(groups[fitted]) & set(groups[judged])


def test_a_temperature_whose_gain_is_not_established_is_1():
    rng = np.random.default_rng(1)
    y_prob = rng.dirichlet([1.0] * 3, 38)
    y_true = draw_labels(y_prob, rng)

    judged = metrics.judge_temperature(y_true, y_prob, np.arange(38))

    assert judged["temperature"] == 1
    assert judged["ece_after"] == judged["ece_before"]
    assert judged["nll_after"] == judged["nll_before"]


def test_pictures_of_few_groups_establish_no_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (200, 3))
    y_true = rng.integers(0, 3, 200)
    y_prob = softmax(3 * logits, axis=1)
    single = np.arange(200)

    alone = metrics.judge_temperature(y_true, y_prob, single)
    bursts = metrics.judge_temperature(y_true, y_prob, single // 50)

    assert alone["temperature"] > 2
    assert bursts["temperature"] == 1
