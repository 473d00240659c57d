"""How far probabilities can be taken at their word, and the temperature that heals them."""

import numpy as np
import pytest
import simulations
from scipy.special import softmax

from lib.evaluation import calibration
from lib.models.record import Record
from lib.models.temperature import fit_temperature


def judge(y_true, y_prob, groups=None, kind="scratch"):
    """Calibrate a model of a kind."""
    record = Record("cnn", [], 8, kind=kind)
    if groups is None:
        groups = np.arange(len(y_true))
    return calibration.calibrate(y_true, y_prob, groups, record, 1)


def test_calibration_error_equals_the_mean_gap_over_fifteen_bins():
    rng = np.random.default_rng(0)
    confidence = rng.random(203)
    is_right = rng.random(203) < 0.7
    number = np.ceil(15 * confidence).astype(int)
    gaps = np.bincount(number, is_right - confidence)

    found = calibration.expected_calibration_error(confidence, is_right)

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
    assert score.ece_after < 0.04 < score.ece_before


def test_what_is_believed_is_what_is_handed_over_of_the_half_that_did_not_fit_it():
    y_true, y_prob = draw_answers(4000, sure=1 / 3)
    _, second = calibration.split_halves(y_true, np.arange(4000))

    scaled = judge(y_true, y_prob)
    unscaled = judge(y_true, y_prob, kind="linear")

    is_right = y_prob.argmax(axis=1) == y_true
    assert scaled.n == 2000
    assert scaled.top1 == is_right[second].mean()
    assert abs(scaled.confidence - scaled.top1) < 0.03
    assert unscaled.temperature == 1
    assert unscaled.ece_after == unscaled.ece_before == scaled.ece_before
    assert unscaled.n == 4000
    assert unscaled.z > 10


@pytest.mark.parametrize(("right", "is_fitted"), [(4, False), (5, True)])
def test_temperature_needs_five_right_answers_and_five_wrong_ones(right, is_fitted):
    y_prob = np.full((60, 2), [0.2, 0.8])
    y_prob[:right] = [0.8, 0.2]

    temperature = fit_temperature(np.zeros(60, int), y_prob)

    assert (temperature != 1) == is_fitted


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
    assert bursts.ece_after == bursts.ece_before


@pytest.mark.parametrize("shape", [(4, 10, 200), (2, 30, 200)])
def test_a_model_that_is_as_sure_as_right_is_rarely_doubted_where_bursts_are_hard(
    shape,
):
    assert simulations.judge_in_bursts(shape, 0.5, 0.97, 0, 300) <= 0.08
