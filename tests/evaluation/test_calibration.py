import numpy as np
import pytest
from scipy.special import softmax

from lib.evaluation import metrics


def test_calibration_error_equals_the_mean_gap_over_fifteen_bins():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 4, 203)
    y_prob = rng.dirichlet(np.ones(4), 203)
    confidence = y_prob.max(axis=1)
    gaps = (y_prob.argmax(axis=1) == y_true) - confidence
    bins = np.ceil(confidence * 15).astype(int)
    total = np.abs(np.bincount(bins, gaps)).sum()
    found = metrics.measure_calibration(y_true, y_prob)
    assert found["ece"] == pytest.approx(total / 203)
    assert found["confidence"] == pytest.approx(confidence.mean())
    table = metrics.reliability_table(y_true, y_prob, np.arange(203))
    assert table.pictures.sum() == 203
    assert table.confidence.is_monotonic_increasing
    assert table.accuracy.between(table.low, table.high).all()


def draw_labels(y_prob, rng):
    """Draw labels that have these probabilities."""
    return (y_prob.cumsum(axis=1) < rng.random((len(y_prob), 1))).sum(axis=1)


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
    assert np.isfinite(list(judged.values())).all()


@pytest.mark.parametrize("right", [0, 2, 58, 60])
def test_answers_nearly_all_alike_fit_no_temperature(right):
    y_true = np.zeros(60, int)
    y_prob = np.where(np.arange(60)[:, None] < right, [0.8, 0.2], [0.2, 0.8])
    assert metrics.judge_temperature(y_true, y_prob, np.arange(60))["temperature"] == 1


def test_pictures_of_a_group_stand_in_one_half():
    groups = np.repeat(np.arange(40), 5)
    y_true = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 5)
    fitted, judged = metrics.split_halves(y_true, groups)
    assert fitted.sum() == judged.sum() == 100
    assert np.intersect1d(groups[fitted], groups[judged]).size == 0


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
    alone = metrics.judge_temperature(y_true, y_prob, np.arange(200))
    bursts = metrics.judge_temperature(y_true, y_prob, np.arange(200) // 50)
    assert alone["temperature"] > 2
    assert bursts["temperature"] == 1
