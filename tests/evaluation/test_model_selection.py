"""Candidates on the same folds: how rarely a difference is claimed that is none, and the choice."""

import html
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import simulations
from conftest import load_functions, run_cells
from scipy import stats

from lib.evaluation import model_selection
from lib.evaluation.display import show_part
from lib.evaluation.intervals import correct_tests
from lib.models import linear
from lib.models.record import Record

EVERY = np.arange(200)
TOOLS = {"np": np, "pd": pd, "student": stats.t, "correct_tests": correct_tests}


def judge(accuracies, speeds, groups=EVERY):
    """Judge candidates whose answers have the mean of their accuracies, and one without any."""
    n = len(groups)
    folds = {name: np.array(values) for name, values in accuracies.items()}
    y_prob = {}
    for name, shares in folds.items():
        is_right = np.arange(n) < round(shares.mean() * n)
        y_prob[name] = np.stack([is_right, ~is_right], axis=1)[np.newaxis]
    facts = pd.DataFrame({"candidate": ["absent", *accuracies]})
    facts["pictures_per_second"] = [np.nan, *speeds]
    table = model_selection.judge_candidates(facts, np.zeros(n, int), y_prob, groups)
    names = TOOLS | {"contest_table": table, "accuracies": folds, "groups": groups}
    return run_cells("05_backbones", ["05-test"], names)["contest_table"]


def choose(table, choice):
    """Return the candidate that 05 chooses."""
    names = {"contest_table": table, "CHOICE": choice}
    return run_cells("05_backbones", ["backbones-20"], names)["winner"]


@pytest.mark.parametrize(
    ("low", "kind", "weights", "is_doubted"),
    [
        (0.95, "linear", "imagenet", True),
        (0.4, "linear", "imagenet", False),
        # Random weights have seen no pictures before.
        (0.95, "linear", "untrained", False),
        (0.95, "finetuned", "imagenet", False),
    ],
)
def test_contest_is_doubted_that_a_network_won_by_pictures_it_had_seen(
    low, kind, weights, is_doubted
):
    record = Record("a", ["x"], 8, kind=kind, weights=weights, network="net")
    score = SimpleNamespace(top1=0.5, top1_interval=(0.4, 0.6))
    contest = [{"candidate": "net", "accuracy": 0.98, "low": low, "high": 0.99}]

    doubt = model_selection.doubt_contest(contest, record, score)

    assert (doubt is not None) == is_doubted
    if is_doubted:
        said = say("doubted", doubt)
        assert "In the contest net recognised 98 %, here 50 %" in said


def say(part, value):
    """Return what a part of the page says, as plain text."""
    text = re.sub("<[^>]*>", "", show_part(part, value).data)
    return " ".join(html.unescape(text).split())


@pytest.fixture
def judged():
    """Two candidates that are nearly alike, a weak one, and one that took no part."""
    accuracies = {
        "small": [[0.88, 0.90, 0.91, 0.89, 0.90]],
        "large": [[0.90, 0.90, 0.92, 0.89, 0.91]],
        "weak": [[0.60, 0.62, 0.61, 0.60, 0.62]],
    }
    return judge(accuracies, speeds=[50, 10, 900])


def test_best_and_cheapest_are_chosen_among_those_that_take_part(judged):
    assert choose(judged, "best") == "large"
    assert choose(judged, "cheapest") == "small"


def test_the_most_accurate_stands_first_and_who_did_not_take_part_last(judged):
    assert list(judged.candidate) == ["large", "small", "weak", "absent"]
    assert judged.n.isna().tolist() == [False, False, False, True]


def test_contest_names_who_is_worse_and_who_cannot_be_told_apart(judged):
    said = say("contest", judged)

    assert np.isnan(judged.p_holm[0])
    assert said.startswith("large recognises 0.905 of 200 training pictures")
    assert "It is better than weak." in said
    assert said.endswith("too few to say whether it is better than small.")


def test_of_equals_the_faster_is_best():
    table = judge({"slow": [[0.9, 0.8]], "fast": [[0.9, 0.8]]}, speeds=[10, 20])

    assert choose(table, "best") == "fast"
    assert table.p_holm[1] == 1


def test_one_candidate_alone_is_compared_with_nobody():
    table = judge({"only": [[0.9, 0.8]]}, speeds=[10])

    assert choose(table, "cheapest") == "only"
    assert "no other" in say("contest", table)


def test_where_one_group_is_larger_than_half_a_fold_nothing_is_claimed_and_it_is_said():
    accuracies = {"large": [[0.90, 0.92, 0.89]], "weak": [[0.10, 0.11, 0.12]]}
    # 21 of 200 pictures.
    groups = np.maximum(EVERY - 20, 0)

    judged = judge(accuracies, [10, 900], groups=groups)

    assert np.isnan(judged.p_holm[1])
    assert choose(judged, "cheapest") == "large"
    said = say("contest", judged)
    assert "half a fold, so nothing says whether it is better than weak." in said


def test_test_of_folds_is_that_of_nadeau_and_bengio():
    d = np.array([[0.02, 0.01, 0.03, 0, 0.02], [0.01, 0.03, 0.02, 0.01, 0]])
    error = np.sqrt((1 / 10 + 1 / 4) * d.var(ddof=1))

    p_value = load_functions("05_backbones", "05-test", **TOOLS).compare_folds(d, -0.02)

    assert p_value == pytest.approx(2 * stats.t.sf(0.02 / error, 9))


def measure(classes, per_class, distance, class_weight=None):
    """Return the learning curve of classes that lie so far apart."""
    rng = np.random.default_rng(0)
    y_true = np.repeat(np.arange(classes), per_class)
    n = len(y_true)
    centres = distance * rng.normal(size=(classes, 30))
    features = centres[y_true] + rng.normal(size=(n, 30))
    estimator = linear.TunedLogistic(class_weight)
    return model_selection.learning_curve(features, y_true, np.arange(n), estimator)


@pytest.fixture
def one_strength(monkeypatch):
    """Fit with one C alone, which is sooner done."""
    monkeypatch.setattr(linear, "STRENGTHS", (1,))


@pytest.fixture
def two_shares(one_strength, monkeypatch):
    """Try half of the pictures and all alone."""
    monkeypatch.setattr(model_selection, "SHARES", (0.5, 1.0))


def test_more_pictures_are_said_to_help_where_half_of_them_were_surely_worse(
    two_shares,
):
    table = measure(classes=10, per_class=12, distance=0.5)

    half, whole = table.itertuples()
    assert table.pictures.tolist() == [60, 120]
    assert table.n.tolist() == [120, 120]
    assert half.difference == pytest.approx(half.accuracy - whole.accuracy)
    curve = model_selection.summarize_curve(table)
    assert curve["is_rising"]
    assert f"rose by {-half.difference:.3f} (0." in say("rise", curve)


def test_learning_curve_tries_a_part_of_many_pictures(two_shares, monkeypatch):
    monkeypatch.setattr(model_selection, "MAX_ROWS", 60)

    table = measure(classes=10, per_class=12, distance=3)

    assert table.n.tolist() == [60, 60]
    assert table.pictures.tolist() == [30, 60]


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.02, "changed by −0.020 (−0.035 to −0.005)"),
        (-0.01, "changed by +0.010 (−0.005 to 0.025)"),
    ],
    ids=["fall", "unsure"],
)
def test_a_fall_or_an_unsure_rise_is_no_rise_and_is_told_with_its_sign(
    difference, words
):
    half = {"share": 0.5, "n": 120, "difference": difference}
    half["difference_low"] = difference - 0.015
    half["difference_high"] = difference + 0.015

    curve = model_selection.summarize_curve(pd.DataFrame([half]))

    assert not curve["is_rising"]
    sentence = say("rise", curve)
    assert "not established" in sentence
    assert words in sentence


def test_learning_curve_tries_each_share_and_names_what_cannot_be_tried(
    one_strength, capsys
):
    table = measure(classes=2, per_class=20, distance=3)

    # Of the others folds leave a class with one picture, and three parts need two.
    assert table.share.tolist() == [0.4, 0.5, 0.7, 1.0]
    assert table.pictures.tolist() == [16, 20, 28, 40]
    notes = re.findall("Note: (.*?) of the pictures", capsys.readouterr().out)
    assert notes == ["10 %", "20 %"]


def test_a_classifier_that_cannot_be_fitted_is_an_error_and_no_note(two_shares):
    with pytest.raises(ValueError, match="class_weight"):
        measure(classes=2, per_class=20, distance=3, class_weight="equal")


def test_without_half_of_the_pictures_nothing_is_said_of_more(two_shares):
    table = measure(classes=2, per_class=5, distance=3)

    curve = model_selection.summarize_curve(table)
    assert curve == {}
    assert "too few" in say("rise", curve)


def test_a_true_rise_is_seen_by_its_pictures_more_often_than_by_its_folds():
    assert simulations.claim_rise(0, 200) <= 0.05
    assert simulations.claim_rise(0.1, 200) > 0.6
