"""Thresholds of labels, against scikit-learn's F1 at every possible one."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from lib.evaluation.thresholds import choose_threshold


def test_no_other_threshold_has_a_higher_f1():
    rng = np.random.default_rng(4)
    has_label = rng.random(80) < 0.3
    y_prob = 0.3 * has_label + 0.7 * rng.random(80)
    # Many answers are equal.
    y_prob = y_prob.round(1)

    threshold = choose_threshold(has_label, y_prob)

    found = f1_score(has_label, y_prob >= threshold)
    others = [f1_score(has_label, y_prob >= limit) for limit in y_prob]
    assert found == pytest.approx(max(others))


def test_threshold_lies_in_the_middle_of_the_gap():
    has_label = np.array([True, False, True, False])
    y_prob = np.array([0.9, 0.2, 0.6, 0.1])

    assert choose_threshold(has_label, y_prob) == pytest.approx(0.4)


def test_threshold_of_a_label_of_every_picture_is_the_lowest_answer():
    y_prob = np.array([0.9, 0.2, 0.6])

    assert choose_threshold(np.ones(3, bool), y_prob) == pytest.approx(0.2)


def test_label_of_no_picture_has_a_threshold_of_one_half():
    y_prob = np.array([0.1, 0.2, 0.3])

    assert choose_threshold(np.zeros(3, bool), y_prob) == 0.5
