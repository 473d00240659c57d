import numpy as np
import pytest
import simulations
from lib.models.temperature import apply_temperature, fit_temperature
from scipy.special import softmax

from lib.evaluation import calibration


def test_calibration_error_equals_the_mean_gap_over_bins_counted_one_by_one():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 4, 203), rng.dirichlet(np.ones(4), 203)
    confidence, right, total = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true, 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration.measure_calibration(y_true, y_prob, np.arange(203))["ece"] == pytest.approx(
        total / 203
    )
    bins = calibration.bin_confidences(y_true, y_prob, np.arange(203))
    assert bins.pictures.sum() == 203 and (bins.low <= bins.accuracy).all()


def test_temperature_of_an_overconfident_model_is_found_and_heals_it():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 5))
    y_true = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    y_prob = softmax(logits * 3, axis=1).astype(np.float32)
    judged = calibration.judge_temperature(y_true, y_prob, np.arange(4000))
    assert judged["temperature"] == pytest.approx(3, rel=0.1)
    assert judged["ece_before"] > 0.15 and judged["ece_after"] < 0.04
    assert judged["nll_after"] < judged["nll_before"]
    assert judged == calibration.judge_temperature(y_true, y_prob, np.arange(4000))
    softened = apply_temperature(y_prob, judged["temperature"])
    assert (softened.argmax(axis=1) == y_prob.argmax(axis=1)).all()
    # One picture of a class, and probabilities that float32 rounded to 0 and 1.
    certain = calibration.judge_temperature(np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]], np.arange(3))
    assert np.isfinite(list(certain.values())).all()


def test_temperature_is_that_of_logits_taken_one_by_one():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    found = fit_temperature(y_true, y_prob)

    def loss(temperature):
        softened = softmax(np.log(y_prob) / temperature, axis=1)
        return -np.log(softened[np.arange(300), y_true]).mean()

    assert loss(found) <= min(loss(found * 1.01), loss(found / 1.01))


def test_calibration_is_judged_by_a_test():
    size, _ = simulations.judge_calibration(240, 0, 150)
    assert size <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)
    power, praised = simulations.judge_calibration(800, 0.1, 40)
    assert power >= 0.9 and praised == 0
    assert simulations.judge_calibration(40, 0.1, 150)[1] == 0, "n = 40 can't tell"


def test_error_in_both_directions_is_found_though_the_mean_is_right():
    # Half of the answers say 0.99 and are wrong, half 0.01 more than a coin and right.
    confidence = np.repeat([0.99, 0.51], 200)
    right = np.repeat([False, True], 200)
    p_value, by_chance = calibration.resample_calibration(confidence, right, np.arange(400))
    assert p_value < 0.01 and calibration.find_ece(confidence, right) > 0.5 > by_chance


@pytest.mark.parametrize("right", [0, 2, 58, 60])
def test_answers_nearly_all_alike_fit_no_temperature(right):
    y_true = np.zeros(60, int)
    y_prob = np.where(np.arange(60)[:, None] < right, [0.8, 0.2], [0.2, 0.8])
    assert calibration.judge_temperature(y_true, y_prob, np.arange(60))["temperature"] == 1


def test_pictures_of_a_group_stand_in_one_half(monkeypatch):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    y_true = np.repeat(rng.integers(0, 2, 40), 5)
    y_prob = rng.dirichlet(np.ones(2), 200)
    seen = []
    monkeypatch.setattr(calibration, "fit_temperature", lambda _, given: seen.append(given) or 1.0)
    calibration.judge_temperature(y_true, y_prob, groups)
    chosen = {int(np.flatnonzero((y_prob == row).all(axis=1))[0]) // 5 for row in seen[0]}
    assert len(seen[0]) == 5 * len(chosen) and len(chosen) == 20
